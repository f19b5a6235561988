"""What a story loses when it is told badly: plain tags, plain nouns, the scene itself, the gesture that shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from random import Random

from training.injectors.edit import Edit, changed, planted
from training.injectors.forms import opened, words_of
from training.injectors.places import SMALL_WORDS, is_statement, starts_sentence
from training.injectors.sentences import sentences

_SAID = "said|asked|replied|answered|cried|remarked|returned|added|observed"
_WHO = r"he|she|I|they|(?:Mr\. |Mrs\. |Miss |Dr\. |the )?(?!(?:Dr|Mrs?|St)\b)[A-Za-z][a-z]+"
_TAG = re.compile(
    rf"(?<=(?P<stop>[,?!.—])[”\"’'] )(?:(?P<who>{_WHO}) (?P<said>{_SAID})|(?P<said2>{_SAID}) (?P<who2>{_WHO}))"
    r"(?=[,.;:]| (?:to|as|with|in|and|at|from|when|while|[a-z]+ly)\b)"
)
_OBJECT = {"he": "him", "she": "her", "i": "me"}
_REFLEXIVE = {"he": "himself", "she": "herself", "i": "myself"}
_OWN = {"His": "he", "Her": "she", "My": "i"}
_SCENE_START = re.compile(r"\b(?:The|A|An|There|His|Her|My|Their|Its)\b")
_LIKENED = re.compile(
    r"\b(?:sat|stood|pushed) (?:like|as|so|just like)\b"
    r"|\blooked (?!at|up|down|over|out|into|round|around|back|about|from)"
    r"|\blooked .* with\b"
)
_STANDING = re.compile(r"\b(?:was|were|had|seemed|appeared|looked)\b")
_NO_SCENE = re.compile(
    r"[A-Z][a-z]* (?:next|few|following|fact|other|first|last|same|reason|truth|result|moment|little|while)\b"
)
_PAST = re.compile(
    r"\b(?:was|were|had|[a-z]{2,}ed|came|went|took|gave|made|ran|rose|fell|stood|began|knew|grew|lit|left|kept|felt|sat|lay|saw)\b"
)
_NARRATOR = re.compile(r"\b(?:I|My|my|me)\b")
_TIMELESS = re.compile(r"\b(?:is|are|has|have|will|may)\b")


def attention_seeking_tag(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A tag that draws attention for "said" and its like."""
    words = words_of("dialogue-tags")
    for match in _TAG.finditer(text):
        verbs = words[{"?": "asking", "!": "crying"}.get(match["stop"], "stating")]
        inverted = match["who"] is None
        verb = rng.choice([verb for verb in verbs if not inverted or " " not in verb])
        worse = f"{verb} {match['who2']}" if inverted else f"{match['who']} {verb}"
        if rng.random() < 0.25 and " " not in verb and not re.match(r",? [a-z]+ly\b", text[match.end() :]):
            worse += f" {rng.choice(words['manner'])}"
        yield changed(match, worse, criterion, f"dialogue-tags/{verb}")


@cache
def _plain_nouns() -> tuple[re.Pattern[str], dict[str, str]]:
    kind_of = {noun: kind for kind, words in words_of("purple-prose")["kinds"].items() for noun in words["nouns"]}
    ends = SMALL_WORDS.replace("|of|", "|")
    nouns = "|".join(sorted(kind_of, key=len, reverse=True))
    return re.compile(rf"\b(?<=the )({nouns})\b(?=[.,;:!?—]| (?:{ends}|was|were|is|had)\b)(?!, [a-z]+,)"), kind_of


def ornament(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """Adjectives piled before a plain noun, or a mixed figure hung on behind it."""
    pattern, kind_of = _plain_nouns()
    for match in pattern.finditer(text):
        words = words_of("purple-prose")["kinds"][kind_of[match[0]]]
        pile, tail = rng.choice(words["piles"]), rng.choice(words["tails"])
        yield changed(match, f"{pile} {match[0]}", criterion, f"purple-prose/{pile}")
        if text[match.end()] in ".;":
            yield changed(match, f"{match[0]}, {tail}", criterion, f"purple-prose/{tail}")


def filtered(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A perceiver put before a sentence about the scene."""
    counts = {word: len(re.findall(rf"\b(?:{word}|{word.capitalize()})\b", text)) for word in ("he", "she", "I")}
    pronoun = max(counts, key=lambda word: counts[word])
    if not counts[pronoun]:
        return
    who = pronoun.lower()
    names = {"P": pronoun if who == "i" else pronoun.capitalize(), "O": _OBJECT[who], "R": _REFLEXIVE[who]}
    for match in _SCENE_START.finditer(text):
        if starts_sentence(text, match.start()) and is_statement(text, match.start()):
            if who != "i" and _NARRATOR.search(text, match.start(), match.start() + 120):
                continue
            if not _PAST.search(text, match.start(), match.start() + 100):
                continue
            if _NO_SCENE.match(text, match.start()) or _TIMELESS.search(text, match.start(), match.start() + 80):
                continue
            form = rng.choice(_perceptions(text[match.start() : match.start() + 60], who))
            yield opened(match, form.format(**names), criterion, f"filter-words/{form}/")


def _perceptions(sentence: str, who: str) -> list[str]:
    """The ways in which what the sentence begins with is perceived."""
    words = words_of("filter-words")
    first, *rest = re.findall(r"[\w’']+", sentence)
    head, still = set(rest[:3]), _STANDING.search(sentence)
    kind = (
        "heard" if head & set(words["sounds"])
        else "felt" if head & set(words["touched"])
        else "seen" if (head & set(words["scene"]) or not still) and _OWN.get(first) != who
        else "thought"
    )  # fmt: skip
    return [form for form in words[kind] if not still or not form.endswith((" as", " way", " how"))]


def named_feeling(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """The feeling named in a sentence of its own, after the one that has shown it."""
    feelings = words_of("telling")["feelings"]
    for span in sentences(text):
        said = span.quote(text)
        subject = re.match(r"(He|She|I|[A-Z][a-z]+) (?=[a-z]+ed\b|was\b|had\b|[a-z]+\b)", said)
        if subject is None or not said.endswith((".", "!")) or re.search(r"[“”\"]", said):
            continue
        if subject[1] not in ("He", "She", "I") and not re.search(rf"[a-z,] {subject[1]}\b", text):
            continue
        first = re.match(r"\S+ (?:[a-z]+ly )?([a-z]+)", said)
        for feeling in feelings:
            if first and first[1] in feeling["cues"] and not _LIKENED.search(said):
                form = rng.choice(feeling["named"])
                named = form.replace("{P}", subject[1])
                yield planted(span.end, named, criterion, f"telling/{form}")
