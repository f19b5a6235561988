"""Edits that change words and make nothing weak, so that "edited" does not come to mean "weak"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random

import yaml

from bwcoach.draft import Span
from training.examples import Example
from training.injectors.edit import Edit, moved_findings, planted
from training.injectors.forms import FormList, forms_of
from training.injectors.places import SMALL
from training.injectors.sentences import same_paragraph, sentences

HARMLESS = Path(__file__).parent.parent / "data" / "harmless.yaml"

_SPEECH = re.compile(r"[“”\"]|(?<!\w)[‘']")
_LONG_WORD = re.compile(r"[A-Za-z]{5,}")
_TIMES = (
    r"(?:[Ii]n the (?:morning|evening|afternoon)|[Aa]t (?:dawn|dusk|noon|night|midnight)"
    r"|[Aa]fter (?:a while|dinner|supper)|[Ii]n (?:18|19|20)\d\d"
    r"|[Ll]ast (?:year|week|night|month)|[Tt]hat (?:night|day|morning|evening)"
    r"|[Tt]he next (?:day|morning)|[Ff]or a (?:moment|while)|[Nn]ow and then|[Ff]rom time to time"
    r"|[Bb]efore long|[Bb]y then"
    r"|[Ii]n (?:this|that) (?:case|way|study|paper)|[Oo]nce more|[Aa]t the same time|[Aa]t (?:first|last))"
)
_PHRASE_LAST = re.compile(
    rf"(?P<main>(?P<who>He|She|They|We|I|It) (?:was |were |had )?[a-z]+[^,;:]{{6,80}}?) (?P<phrase>{_TIMES})\.$"
)
_PHRASE_FIRST = re.compile(rf"(?P<phrase>{_TIMES}),? (?P<main>(?:he|she|they|we|I|it|the|there) [^,;:]{{8,90}})\.$")
_SHORT_SECOND = re.compile(r"(?:He|She|They|We|It|I|The|There|His|Her|This|These)\b")


@cache
def _listed() -> tuple[FormList, FormList]:
    """The synonyms, and the hedges."""
    data = yaml.safe_load(HARMLESS.read_text(encoding="utf-8"))
    both = [line.split(" = ") for line in data["swap"]]
    before_object = [line.split(" = ") for line in data["swap_before_object"]]
    forms = [
        *forms_of("harmless", (_arrow(*pair) for pair in _both_ways(both))),
        *forms_of("harmless", (_arrow(*pair) for pair in _both_ways(before_object)), "before_object"),
        *forms_of("harmless", data["replace"]),
    ]
    hedges = tuple(forms_of("hedge", data["hedge"]))
    return FormList("harmless", tuple(forms), (), ()), FormList("hedge", hedges, (), ())


def _both_ways(pairs: list[list[str]]) -> Iterator[tuple[str, str]]:
    for left, right in pairs:
        yield left, right.removeprefix("^")
        yield (f"^{right}" if left.startswith("^") else right), left.removeprefix("^")


def _arrow(better: str, other: str) -> str:
    return f"{better} -> {other}"


def form_count() -> int:
    """How many different edits the list holds."""
    return sum(len(forms.forms) for forms in _listed())


def synonym(text: str, rng: Random) -> Iterator[Edit]:
    """A word or a connective for another of the same sense, which the passage does not use yet."""
    yield from (edit for edit in _listed()[0].edits(text, "", rng) if _new_here(text, edit))


def honest_hedge(text: str, rng: Random) -> Iterator[Edit]:
    """One qualifier where a claim had none."""
    for edit in _listed()[1].edits(text, "", rng):
        sentence = next((s for s in sentences(text) if s.start <= edit.span.start < s.end), None)
        if sentence and not re.search(r"\b(?:may|might|could|perhaps|probably|suggest|possibl)", sentence.quote(text)):
            yield edit


def moved_adverbial(text: str, rng: Random) -> Iterator[Edit]:
    """A phrase of time or place from one end of its sentence to the other."""
    for span in sentences(text):
        said = span.quote(text)
        if match := _PHRASE_LAST.match(said):
            main = match["main"] if match["who"] == "I" else match["main"][0].lower() + match["main"][1:]
            worse = f"{match['phrase'][0].upper()}{match['phrase'][1:]}, {main}."
        elif match := _PHRASE_FIRST.match(said):
            worse = f"{match['main'][0].upper()}{match['main'][1:]} {match['phrase'][0].lower()}{match['phrase'][1:]}."
        else:
            continue
        yield _whole(span, worse, "adverbial moved")


def joined(text: str, rng: Random) -> Iterator[Edit]:
    """Two short sentences made one longer one that earns its length."""
    spans = sentences(text)
    for first, second in pairwise(spans):
        said, then = first.quote(text), second.quote(text)
        short = 4 <= len(said.split()) <= 12 and 4 <= len(then.split()) <= 12
        if not short or not same_paragraph(text, first, second) or not _SHORT_SECOND.match(then):
            continue
        if said.endswith(".") and then.endswith(".") and not re.search(r"[“”\"‘:;]|\band\b|\bbut\b", said + then):
            rest = then if then.startswith("I ") else then[0].lower() + then[1:]
            yield _whole(Span(first.start, second.end), f"{said[:-1]}, and {rest}", "sentences joined")


def refrain(text: str, rng: Random) -> Iterator[Edit]:
    """A short sentence that comes back at the end, meant to be heard again."""
    if not re.search(r"\b(?:he|she|He|She|I)\b", text):
        return
    spans = sentences(text)
    for span in spans[: len(spans) // 2]:
        said = span.quote(text)
        words = said.split()
        if 3 <= len(words) <= 7 and said.endswith(".") and words[0] in SMALL and spans[-1].quote(text).endswith("."):
            again = f"{said} Still {said if words[0] == 'I' else said[0].lower() + said[1:]}"
            end = spans[-1].end
            worse = again.removeprefix(f"{said} ")
            yield planted(end, worse, "", "refrain")


KINDS: tuple[Callable[[str, Random], Iterator[Edit]], ...] = (synonym, honest_hedge, moved_adverbial, joined, refrain)


def harmless(passage: Example, rng: Random) -> Example | None:
    """The passage with one edit that no finding is about: its findings are the same, their spans moved along.

    None where nothing here can be changed so. No word of a finding is touched, nor one beside it, nor a word that a
    finding repeats; the edit is `harmless:<what>` in the provenance.
    """
    by_form: dict[str, list[Edit]] = {}
    for kind in KINDS:
        for edit in kind(passage.text, rng):
            if _apart(passage, edit):
                by_form.setdefault(edit.form.removeprefix("harmless/"), []).append(edit)
    if not by_form:
        return None
    form = rng.choice(sorted(by_form))
    edit = rng.choice(by_form[form])
    origin = passage.provenance
    return replace(
        passage,
        text=passage.text[: edit.span.start] + edit.replacement + passage.text[edit.span.end :],
        findings=moved_findings(passage, edit),
        provenance=replace(origin, forms=(*origin.forms, f"harmless:{form}")),
    )


def reworded(sentence: str, rng: Random) -> str:
    """The sentence with one synonym in it, where there is a place for one."""
    edits = list(_listed()[0].edits(sentence, "", rng))
    if not edits:
        return sentence
    edit = rng.choice(edits)
    return sentence[: edit.span.start] + edit.replacement + sentence[edit.span.end :]


def _whole(span: Span, replacement: str, form: str) -> Edit:
    return Edit(span, replacement, Span(0, len(replacement)), "", None, form)


def _new_here(text: str, edit: Edit) -> bool:
    old = set(_LONG_WORD.findall(edit.span.quote(text).lower()))
    return not any(word in text.lower() for word in set(_LONG_WORD.findall(edit.replacement.lower())) - old)


def _apart(passage: Example, edit: Edit) -> bool:
    text, gone = passage.text, set(_LONG_WORD.findall(edit.span.quote(passage.text).lower()))
    if _SPEECH.search(text[max(0, edit.span.start - 2) : edit.span.end + 2]):
        return False
    return not any(
        (edit.span.start <= finding.span.end and finding.span.start <= edit.span.end)
        or gone & set(_LONG_WORD.findall(finding.span.quote(text).lower()))
        for finding in passage.findings
    )
