"""Names of things in a paper: changed, cut, left unexplained, or worn down to a pronoun."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from random import Random

from training.injectors.edit import Edit, changed
from training.injectors.forms import words_of
from training.injectors.places import SMALL_WORDS, article_clash, starts_sentence, word_before
from training.injectors.sentences import sentences

_ACRONYM = re.compile(r"((?:[A-Za-z][\w-]* ){1,6})\(([A-Z][A-Za-z]*[A-Z])s?\)")
_DEFINITE = frozenset(
    {"the", "these", "those", "our", "their", "all", "both", "each", "this", "that", "of", "in", "for", "with", "on",
     "by", "from", "to", "between", "among"}
)
_VERBS = "is|are|was|were|has|have|had|can|could|may|will|should|did|do|[a-z]+ed"
_ENDS_TERM = re.compile(rf"[.,;:)]| (?:{SMALL_WORDS}|{_VERBS})\b")
_BEFORE_PRONOUN = frozenset(
    {"that", "which", "and", "but", "as", "because", "since", "while", "whether", "if", "how", "why", "when"}
)


@cache
def _alternatives(name: str, key: str) -> str:
    return "|".join(sorted(map(str, words_of(name)[key]), key=len, reverse=True))


@cache
def _terms() -> re.Pattern[str]:
    return re.compile(rf"\b({_alternatives('inconsistent-terms', 'terms')})\b(?!-)")


@cache
def _long_names() -> re.Pattern[str]:
    return re.compile(rf"\b({_alternatives('undefined-acronym', 'acronyms')})\b(?![-(]| \()")


@cache
def _demonstratives(number: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    these = "this|This" if number == "singular" else "these|These"
    nouns, verbs = _alternatives("ambiguous-reference", number), _alternatives("ambiguous-reference", "verbs")
    return (
        re.compile(rf"\b({these}) ({nouns}) ({verbs})\b"),
        re.compile(rf"\b(The|Our) ({nouns}) ({verbs})\b"),
    )


def bare_pronoun(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A demonstrative without its noun ("This result shows" to "This shows"), or a bare pronoun for a noun.

    The noun that a bare pronoun stands for is not in the sentence before it, so that a reader has to search.
    """
    for number, pronoun in (("singular", "It"), ("plural", "They")):
        with_noun, definite = _demonstratives(number)
        for match in with_noun.finditer(text):
            if starts_sentence(text, match.start()) or word_before(text, match.start()) in _BEFORE_PRONOUN:
                form = f"ambiguous-reference/{match[1].lower()} {match[2]}"
                yield changed(match, f"{match[1]} {match[3]}", criterion, form)
        for match in definite.finditer(text):
            before = [span for span in sentences(text) if span.end <= match.start()]
            if before and starts_sentence(text, match.start()) and match[2][:5] not in before[-1].quote(text):
                yield changed(match, f"{pronoun} {match[3]}", criterion, f"ambiguous-reference/{pronoun} {match[2]}")


def bare_acronym(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """An acronym without the words that it stands for."""
    for match in _ACRONYM.finditer(text):
        words = match[1].split()
        long = next((n for n in range(1, len(words) + 1) if _initials(words[-n:]) == match[2].lower()), None)
        if long is None or text.find(match[2]) < match.start(2) or match[2] in words_of("undefined-acronym")["known"]:
            continue
        start = match.start() + match[1].rindex(" ".join(words[-long:]))
        place = re.compile(re.escape(text[start : match.end()])).match(text, start)
        worse = match[0][match[0].rindex("(") + 1 : -1]
        if place and word_before(text, start) not in ("a", "an"):
            yield changed(place, worse, criterion, "undefined-acronym/introduction cut")


def unexplained_letters(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """Letters of the field in the place of a name that stands there once and is not abbreviated."""
    acronyms = words_of("undefined-acronym")["acronyms"]
    for match in _long_names().finditer(text):
        letters = acronyms[match[0]]
        alone = text.lower().count(match[0]) == 1 and not re.search(rf"\b{letters}\b", text)
        if alone and word_before(text, match.start()) not in ("a", "an"):
            yield changed(match, letters, criterion, f"undefined-acronym/{letters}")


def _initials(words: list[str]) -> str:
    return "".join(part[0] for word in words for part in word.split("-") if part).lower()


def renamed_term(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A term under a second name at its last mention; both mentions name it by itself, as the thing that is meant."""
    places: dict[str, list[re.Match[str]]] = {}
    for match in _terms().finditer(text):
        free = _ENDS_TERM.match(text, match.end()) and text[match.start() - 1 : match.start()] != "-"
        if free:
            places.setdefault(match[0], []).append(match)
    for term, found in places.items():
        name = rng.choice(words_of("inconsistent-terms")["terms"][term])
        before = word_before(text, found[-1].start())
        same = before in {word_before(text, match.start()) for match in found[:-1]}
        if len(found) < 2 or not (same or before in _DEFINITE) or re.search(rf"\b{name}\b", text):
            continue
        if not article_clash(text, found[-1].start(), term, name):
            yield changed(found[-1], name, criterion, f"inconsistent-terms/{term} to {name}")
