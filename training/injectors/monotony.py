"""Sentences levelled until all begin alike: compound ones taken apart, phrases moved from the front."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import lemminflect

from bwcoach.draft import Span
from training.injectors.edit import Edit
from training.injectors.inflection import inflected, past_lemma
from training.injectors.sentences import same_paragraph, sentences

_SUBJECT = re.compile(r"(He|She|I|They|We|The [a-z]+|[A-Z][a-z]{2,}) (?:[a-z]+ly )?([a-z]+)")
_OTHER_SUBJECT = re.compile(
    r"\b(?:and|but|while|as|who|which|that|when|for) (?:the|a|an|his|her|he|she|they|it|we|I|there|[A-Z]\w*)\b"
)
_FRONTED = re.compile(
    r"(?P<phrase>(?:In|At|On|After|Before|From|Under|By|Without|Behind|For|Then|Now|Presently|[A-Z][a-z]+ly)"
    r"(?: [a-z’'-]+){0,6}?),? "
    r"(?P<who>he|she|I|they|we) (?P<rest>(?!had\b)[a-z]+[^,;:]{8,110})\.$"
)
_LEADING = re.compile(
    r"(?P<doing>[A-Z][a-z]+ing)(?P<rest> [^,;:]{3,70}), "
    r"(?P<who>he|she|I|they|we) (?P<then>(?!had\b)[a-z]+[^;:]{6,110})\.$"
)
_WHEN = re.compile(
    r"(?P<clause>(?:When|As|While|After|Before|If|As soon as|Though|Although) [^,;:]{6,70}), "
    r"(?P<who>he|she|I|they|we) (?P<then>(?!had\b)[a-z]+[^,;:]{6,90})\.$"
)
_SMALL = (
    "the|a|an|his|her|my|their|its|it|him|them|up|down|out|in|on|at|to|into|for|back|away|from|over|with|off|through|"
    "toward|towards|along|across|around|about|that|what|some|no|upon|under"
)
_JOINT = re.compile(
    rf"(?:,| and|, and|, then|,? and then) (?=(?!now\b|then\b|that\b|left\b|lost\b|found\b)([a-z]+) (?:{_SMALL})\b)"
    r"|, (?=([a-z]+ing) )"
    r"|(?:;|,? and|,? but|; and|; but|,? as|,? while) (?=(he|she|I|they|we) [a-z])"
)
_OBJECT_NEXT = re.compile(r" (?:the|a|an|his|her|my|their|its|it|him|them)\b")
_THINGS = r"(?:the|a|an|his|her|my|their|no|some|two|three) [^,.;]{3,45}"
_LISTED = re.compile(
    rf"(?P<front>(?:[A-Z][a-z]*|The [a-z]+) [a-z]+(?: (?:{_SMALL}))?) "
    rf"(?P<first>{_THINGS}), (?P<second>{_THINGS}),? and (?P<third>{_THINGS})\.$"
)
_STILL = re.compile(r"(?:\S+ ){1,4}(?:was|were|had|could|would)\b")
_TOLD = re.compile(
    r"(?:He|She|They|I|We|It|The|A|An|His|Her|My|Their) (?=(?:[a-z]+ ){0,4}(?:was|were|had|could|[a-z]+ed|came|went"
    r"|took|saw|gave|made|ran|rose|fell|stood|began|knew|grew|drew|threw|spoke|broke|held|led|found|wore|sang|drank|lit"
    r"|left|kept|felt|sent|sat|put|set|shut|shook|swung|hung|lay|ate|bent|caught|brought|thought)\b)"
    r"[^“”\"?!:;()—]{10,140}\.$"
)
_NO_VERB = frozenset(
    {"during", "nothing", "something", "everything", "anything", "evening", "being", "having", "including", "according"}
)
_NO_SUBJECT = frozenset(
    {"The other", "The same", "What", "This", "That", "There", "Then", "When", "Who", "But", "And", "Not", "Nor", "Now",
     "Yet", "So", "These", "Those", "Here", "One"}
)
_BE = frozenset({"was", "were", "had", "could", "would", "did"})
_FEWEST, _MOST = 3, 6


def levelled(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """Three to six sentences in a row that open with the same word, where there were fewer or not all did."""
    spans = sentences(text)
    parts = [_level(span.quote(text)) for span in spans]
    for first, part in enumerate(parts):
        if part is None:
            continue
        made, last = list(part[1]), first
        while len(made) < _FEWEST and last + 1 < len(spans) and same_paragraph(text, spans[last], spans[last + 1]):
            after = parts[last + 1]
            if after is None or after[0] != part[0] or len(made) + len(after[1]) > _MOST:
                break
            made, last = made + list(after[1]), last + 1
        worse = " ".join(made)
        place = Span(spans[first].start, spans[last].end)
        better = place.quote(text)
        if _FEWEST <= len(made) <= _MOST and worse != better:
            yield Edit(place, worse, Span(0, len(worse)), criterion, better, f"monotony/{part[0]} {len(made)}")


def same_opening(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """The same small word put before three sentences of the story in a row."""
    spans = sentences(text)
    for first, second, third in zip(spans, spans[1:], spans[2:], strict=False):
        said = [span.quote(text) for span in (first, second, third)]
        if not all(_TOLD.match(one) for one in said) or "\n" in text[first.start : third.end]:
            continue
        still = any(_STILL.match(one) for one in said)
        opening = "And" if still else rng.choice(("Then", "And", "And then", "Now"))
        worse = " ".join(f"{opening} {one if one.startswith('I ') else one[0].lower() + one[1:]}" for one in said)
        place = Span(first.start, third.end)
        yield Edit(place, worse, Span(0, len(worse)), criterion, place.quote(text), f"monotony/{opening} three times")


def _level(sentence: str) -> tuple[str, tuple[str, ...]] | None:
    """The word that the sentence opens with once it is levelled, and the sentences that it comes to."""
    if re.search(r"[“”\"?!:()—]", sentence) or not sentence.endswith("."):
        return None
    fronted = _FRONTED.match(sentence)
    if fronted:
        who = fronted["who"] if fronted["who"] == "I" else fronted["who"].capitalize()
        phrase = fronted["phrase"][0].lower() + fronted["phrase"][1:]
        return who, (f"{who} {fronted['rest']} {phrase}.",)
    listed = _LISTED.match(sentence)
    if listed and not re.search(r"\b(?:who|which|that|and)\b", sentence[: listed.end("second")]):
        who = listed["front"].split()[0]
        return who, tuple(f"{listed['front']} {listed[part]}." for part in ("first", "second", "third"))
    if when := _WHEN.match(sentence):
        who = when["who"] if when["who"] == "I" else when["who"].capitalize()
        return who, (f"{who} {when['then']} {when['clause'][0].lower()}{when['clause'][1:]}.",)
    if (leading := _LEADING.match(sentence)) and (verb := _past_of(leading["doing"].lower())):
        who = leading["who"] if leading["who"] == "I" else leading["who"].capitalize()
        return who, (f"{who} {verb}{leading['rest']}.", *_taken_apart(f"{who} {leading['then']}", who))
    subject = _SUBJECT.match(sentence)
    if subject is None or subject[1] in _NO_SUBJECT or not (subject[2] in _BE or past_lemma(subject[2])):
        return None
    if sentence[subject.end() :].startswith(" by "):
        return None
    return subject[1], tuple(_taken_apart(sentence[:-1], subject[1]))


def _taken_apart(sentence: str, who: str) -> Iterator[str]:
    """Every verb that hangs on the subject made a sentence of its own, with the subject before it."""
    start, front = 0, ""
    for joint in _JOINT.finditer(sentence):
        piece, word = front + sentence[start : joint.start()], joint[1] or joint[2]
        if joint[3] and joint[3].lower() != who.lower():
            continue
        verb = _past_of(word) if word else None
        if piece.endswith((" even", " just", " such", " so", " as", " not", " but", " and", " or")):
            continue
        if joint[1] and joint[0] == ", " and not _OBJECT_NEXT.match(sentence, joint.end() + len(joint[1])):
            continue
        if joint[1] and re.search(r"\b(?:had|was|were) ", piece):
            continue
        if (joint[1] or "").endswith("ing") or piece.endswith((" had", " was", " were")):
            continue
        if word and (_OTHER_SUBJECT.search(piece) or piece.endswith(" now")):
            continue
        if (word and verb is None) or len(piece.split()) < 3 or len(sentence[joint.end() :].split()) < 3:
            continue
        yield piece + "."
        start = joint.end() + (len(word) if word else sentence[joint.end() :].index(" "))
        front = f"{who} {verb}" if word else who
    yield front + sentence[start:] + "."


def _past_of(word: str) -> str | None:
    """A verb that can carry a sentence on, in the past; None for every other word."""
    if word.endswith("ing"):
        lemmas = lemminflect.getAllLemmas(word).get("VERB", ())
        return inflected(lemmas[0], "VBD") if lemmas and word not in _NO_VERB else None
    return word if past_lemma(word) and word not in _NO_VERB else None
