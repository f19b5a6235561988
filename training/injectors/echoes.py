"""Words and points said again: an echo for a synonym, a name for its pronoun, a sentence restated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random

from training.injectors.edit import Edit, changed, planted
from training.injectors.forms import words_of
from training.injectors.harmless import reworded
from training.injectors.places import SMALL, article_clash
from training.injectors.sentences import same_paragraph, sentences

_NEAR = 260
_VERB = r"(?:was|were|had|[a-z]+ed|stood|sat|came|went|took|made|said|saw|is|has|did)\b"
_NAMED = re.compile(rf"(?P<name>The [a-z]+|[A-Z][a-z]{{2,}}) {_VERB}")
_PRONOUN = re.compile(rf"(?:It|He|She|They)(?= {_VERB})")
_ENDS = re.compile(r"\w\.$")
# "It was rent the owner was after": the pronoun stands for nothing that was named.
_EMPTY_IT = re.compile(r"It (?:is|was) (?!a |an |the |not |made |in |on |of |one )")
_CUT = re.compile(r", (?:because|which|although|though|while|whereas|so that|and|but|since|unless) | because |; |: ")


@cache
def _groups() -> tuple[re.Pattern[str], dict[str, tuple[int, ...]]]:
    groups: dict[str, tuple[int, ...]] = {}
    for number, words in enumerate(words_of("repetition")["echoes"]):
        for word in words:
            groups[word] = (*groups.get(word, ()), number)
    return re.compile(rf"\b({'|'.join(sorted(groups, key=len, reverse=True))})(s?)\b"), groups


def echoed_word(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """The word of a few lines before in the place of the other one that had been chosen to vary it."""
    pattern, groups = _groups()
    found = list(pattern.finditer(text))
    for number, match in enumerate(found):
        for earlier in found[:number]:
            near = match.start() - earlier.end() < _NEAR and earlier[2] == match[2]
            alike = earlier[1] != match[1] and set(groups[earlier[1]]) & set(groups[match[1]])
            if near and alike and not article_clash(text, match.start(), match[0], earlier[0]):
                yield changed(match, earlier[0], criterion, f"repetition/{match[1]} to {earlier[1]}")


def echoed_name(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """The subject of the sentence before, named again where a pronoun stood."""
    spans = sentences(text)
    for before, after in pairwise(spans):
        named, pronoun = _NAMED.match(text, before.start), _PRONOUN.match(text, after.start)
        if named and pronoun and same_paragraph(text, before, after):
            person = not named["name"].startswith("The ")
            if _EMPTY_IT.match(text, after.start):
                continue
            if named["name"] not in SMALL and person == (pronoun[0] in ("He", "She")):
                if person and not re.search(rf"[a-z,] {named['name']}\b", text):
                    continue
                yield changed(pronoun, named["name"], criterion, "repetition/name for pronoun")


def restated(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A sentence said again in nearly the same words, with nothing added."""
    told = len(re.findall(r"\b(?:he|she|He|She|I)\b|[“”\"]", text)) > 3
    places = [span for span in sentences(text) if 8 <= len(span.quote(text).split()) <= 32]
    for span in rng.sample(places, min(2, len(places))):
        said = span.quote(text)
        first = said.split()[0]
        if first not in SMALL or first in ("What", "How") or len(first) > 5 or not _ENDS.search(said):
            continue
        if re.search(r"[“”\"‘()\[\]—–]", said):
            continue
        cut = next((m.start() for m in _CUT.finditer(said) if len(said[: m.start()].split()) >= 6), len(said) - 1)
        point = said[:cut]
        if "," in point and cut < len(said) - 1:
            continue
        again = point if first == "I" else point[0].lower() + point[1:]
        form = rng.choice(words_of("repetition")["narrated" if told else "restated"])
        sentence = form.replace("{s}", reworded(again, rng)) + "."
        yield planted(span.end, sentence, criterion, f"repetition/{form}")
