"""Claims without what they rest on: a source, a reason, an example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random

from training.injectors.edit import Edit, changed, planted
from training.injectors.forms import words_of
from training.injectors.inflection import singular
from training.injectors.places import starts_sentence
from training.injectors.sentences import same_paragraph, sentences

_CITATION = re.compile(r" ?(?:\((?:[^()]*[A-Z][^()]*\b(?:19|20)\d\d[a-z]?[^()]*)\)|\[\d+(?:(?:[,–-]| and) ?\d+)*\])")
_CLAUSE_START = re.compile(r"(?:(?<!\b[A-Z])(?<!spp)[.!?;:] |, (?:and |but |which |while |whereas )?|\n)")
# What a clause after a bare comma begins with; anything else may be the next item of a list.
_CLAUSE_WORD = re.compile(r"(?:the|a|an|this|these|those|it|they|we|where|there|including|so|[a-z]+ing)\b")
_SOURCE = r"\b[A-Z][\w’'-]+(?:,? (?:et al\.|(?:and|&) [A-Z][\w’'-]+))? ?(?:\((?:19|20)\d\d[a-z]?\)|\[\d+\])"
_REASON = re.compile(r"(?P<claim>[A-Z][^.!?\n;:“”\"]{30,150}?),? because (?!of\b)[^.!?\n;:“”\"]{20,200}(?=[.])")
_UNFINISHED = re.compile(
    r"\b(?:be|is|was|are|were|been|not|only|merely|simply|just|partly|mainly|and|or|but|perhaps|so|if|it|this|that)$"
)
_EVIDENCE = re.compile(
    r"(?:For example|For instance|In (?:19|20)\d\d|According to|One study|A (?:recent )?(?:study|survey)|In a survey)\b"
)
_PLURAL = re.compile(
    r"\b(?:the|these|many|most|all|our|of|for|and|by|to|with) ([a-z]{5,}s)\b"
    r"(?=[.,;]| (?:in|on|to|that|who|which|are|were|have|and|for|can|must|should|will)\b)"
)
_OF_PEOPLE = re.compile(
    r"\b(?:people|nations?|government|countr(?:y|ies)|citizens?|workers?|society|public|law|laws|state|states|taxe?s?|war|poor"
    r"|rich|women|men|children|schools?|money|wages|trade|labou?r|Congress|Parliament|city|cities)\b"
)
_TOO_VAGUE = frozenset({
    "things", "years", "times", "others", "hours", "minutes", "months", "weeks", "members", "kinds", "parts",
    "means", "terms", "reasons", "hands", "cases", "sides", "places", "points", "words", "lives", "steps", "levels",
    "forms", "sorts", "numbers", "results", "lines", "values", "types", "ways", "examples", "thousands", "millions",
    "hundreds", "details", "series", "news", "states", "pages", "fields", "keys", "names", "bits", "bytes",
    "arguments", "parameters", "contents", "ones", "eyes", "thanks", "circumstances", "respects", "grounds",
    "aspects", "species", "premises", "purposes", "conditions", "centuries", "decades", "moments", "nights",
    "mornings", "americans", "always", "perhaps", "towards", "ends"
})  # fmt: skip


@cache
def _reported() -> re.Pattern[str]:
    verbs = "|".join(words_of("missing-citation")["reported"])
    return re.compile(rf"({_SOURCE}) ({verbs}) that (?=[^.;\n]{{20,220}}[.;])")


def cut_citation(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A claim without its reference; the claim is marked, back to the comma or the stop before it."""
    for match in _CITATION.finditer(text):
        before = text[: match.start()]
        starts = _CLAUSE_START.finditer(before)
        clauses = [m.end() for m in starts if m[0] != ", " or _CLAUSE_WORD.match(before, m.end())]
        start = next((end for end in [*reversed(clauses), 0] if len(before[end:].split()) >= 5), None)
        if start is not None and len(before[start:].split()) <= 30 and not _CITATION.search(before, start):
            place = re.compile(re.escape(text[start : match.end()])).match(text, start)
            if re.match(r"\([a-z]+\)", before[start:]):
                continue
            loose = text[match.end() : match.end() + 3].startswith((", [", " [", " ("))
            if place and not loose and before[start:].count("(") == before[start:].count(")"):
                yield changed(place, before[start:], criterion, "missing-citation/reference cut")


def unnamed_source(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A finding of others told without saying whose; its clause is marked, up to the stop or the next reference."""
    for match in _reported().finditer(text):
        end = re.compile(r"[.;](?=\s|$)|\n|$").search(text, match.end())
        if end is None or _CITATION.search(text, match.end(), end.start()):
            continue
        place = re.compile(re.escape(text[match.start() : end.start()])).match(text, match.start())
        told = words_of("missing-citation")["reported"][match[2]]
        if place and starts_sentence(text, match.start()):
            worse = f"{told} that {text[match.end() : end.start()]}"
            yield changed(place, worse, criterion, "missing-citation/nobody found")


def planted_claim(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A sentence that claims something about what the passage speaks of and rests on nothing."""
    spans = [span for span in sentences(text) if span.quote(text).endswith(".") and len(span) > 40]
    claims = list(words_of("unsupported-claim")["claims"])
    if len(_OF_PEOPLE.findall(text)) > 2:
        claims += words_of("unsupported-claim")["public"]
    for place in rng.sample(spans, min(1, len(spans))):
        nouns = [match[1] for match in _PLURAL.finditer(text, place.start, place.end) if _spoken_of(text, match[1])]
        fitting = [claim for claim in claims if ("{plural}" in claim) == bool(nouns)]
        claim = rng.choice(fitting)
        said = claim.replace("{plural}", nouns[0]) if nouns else claim
        yield planted(place.end, said, criterion, f"unsupported-claim/{claim}")


def _spoken_of(text: str, plural: str) -> bool:
    """Whether the passage names these things more than once."""
    one = singular(plural)
    if one is None or plural in _TOO_VAGUE:
        return False
    return len(re.findall(rf"\b(?:{one}|{plural})\b", text.lower())) > 1


def cut_reason(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A claim whose reason, or the sentence of evidence that followed it, is gone."""
    for match in _REASON.finditer(text):
        if _UNFINISHED.search(match["claim"]):
            continue
        yield changed(match, match["claim"], criterion, "unsupported-claim/reason cut")
    spans = sentences(text)
    for claim, evidence in pairwise(spans):
        said = claim.quote(text)
        if _EVIDENCE.match(evidence.quote(text)) and same_paragraph(text, claim, evidence) and said.endswith("."):
            place = re.compile(re.escape(text[claim.start : evidence.end])).match(text, claim.start)
            if place and 6 <= len(said.split()) <= 35:
                yield changed(place, said, criterion, "unsupported-claim/evidence cut")
