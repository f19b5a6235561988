"""Slips of grammar, punctuation and typing: one function a kind, each giving every edit that it could make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import lemminflect

from training.injectors.edit import Edit, changed
from training.injectors.inflection import is_noun, singular, with_article

_ONE = "[Tt]he|[Tt]his|[Aa]n?|[Hh]is|[Hh]er|[Oo]ur|[Ii]ts"
_SEVERAL = "[Tt]he|[Tt]hese|[Mm]any|[Oo]ur|[Tt]heir|[Mm]ost"
_AGREEMENT = {"is": "are", "was": "were", "has": "have", "does": "do"}


def comma_splice(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """Two sentences joined by a comma alone; the words on both sides are marked."""
    pattern = r"\b([a-z]+)\. (The|This|It|He|She|They|We|There|These|You|In|His|Her|That) ([a-z]+)\b"
    for match in re.finditer(pattern, text):
        yield changed(match, f"{match[1]}, {match[2].lower()} {match[3]}", criterion, "mechanics/comma splice")


def typing_error(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """Letters swapped, left out or doubled inside a word."""
    places = list(re.finditer(r"\b[a-z]{6,14}\b", text))
    for match in rng.sample(places, min(3, len(places))):
        word, at = match[0], rng.randrange(1, len(match[0]) - 2)
        kind = rng.choice(("swapped", "left out", "doubled"))
        worse = {
            "swapped": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            "left out": word[:at] + word[at + 1 :],
            "doubled": word[:at] + word[at] + word[at:],
        }[kind]
        if worse != word and not lemminflect.getAllLemmas(worse):
            yield changed(match, worse, criterion, f"mechanics/letters {kind}")


def wrong_article(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """"a" for "an" and the other way round, or no "the" where one is needed."""
    for match in re.finditer(r"\b(a|an) ([a-z]+)\b", text):
        if with_article(match[2]).startswith(f"{match[1]} "):
            other = "a" if match[1] == "an" else "an"
            yield changed(match, f"{other} {match[2]}", criterion, f"mechanics/{match[1]} to {other}")
    for match in re.finditer(r"\b(in|of|on|to|at|from|by|with) the ([a-z]+)\b", text):
        if is_noun(match[2]):
            yield changed(match, f"{match[1]} {match[2]}", criterion, "mechanics/no article")


def broken_agreement(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A singular subject with a plural verb, and the other way round."""
    for match in re.finditer(rf"\b({_ONE}) ([a-z]+) (is|was|has|does)\b", text):
        if is_noun(match[2]):
            worse = f"{match[2]} {_AGREEMENT[match[3]]}"
            yield changed(match, f"{match[1]} {worse}", criterion, "mechanics/plural verb", worse)
    backwards = {plural: one for one, plural in _AGREEMENT.items()}
    for match in re.finditer(rf"\b({_SEVERAL}) ([a-z]+s) (are|were|have|do)\b", text):
        if singular(match[2]):
            worse = f"{match[2]} {backwards[match[3]]}"
            yield changed(match, f"{match[1]} {worse}", criterion, "mechanics/singular verb", worse)


def lost_apostrophe(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A possessive without its apostrophe."""
    for match in re.finditer(r"\b([a-z]{3,})[’']s (?=[a-z])", text):
        if is_noun(match[1]):
            yield changed(match, f"{match[1]}s ", criterion, "mechanics/no apostrophe", f"{match[1]}s")


SLIPS = (comma_splice, typing_error, wrong_article, broken_agreement, lost_apostrophe)
