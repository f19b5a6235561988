"""Stretches of real prose out of a corpus: good passages to start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from random import Random

from bwcoach.draft import Span
from training.corpus import Document

FEWEST_WORDS, MOST_WORDS = 60, 200
_PARAGRAPH = re.compile(r"[^\n]+(?:\n[^\n]+)*")
_LISTED = re.compile(r"[-*•\d(|]|[a-z]")
_STOP = re.compile(r"[.!?][”\"’)]*$")
_NO_LETTERS = re.compile(r"[^A-Za-z]+")
_NO_CAPITALS = re.compile(r"[^A-Z]+")
_ARCHAIC = re.compile(r"^pres-1[78]|hobbes|locke_|thomas-paine|adam-smith|leviathan|wealth.of.nations", re.IGNORECASE)


def passages(document: Document, rng: Random) -> Iterator[str]:
    """Runs of whole neighbouring paragraphs of 60 to 200 words, from random places, none sharing a paragraph.

    Headings, verse, lists and tables are no prose, and a run does not reach over them. Documents in the English of
    before the late nineteenth century give none, as far as their names tell.
    """
    if _ARCHAIC.search(document.id):
        return
    paragraphs = [Span(*match.span()) for match in _PARAGRAPH.finditer(document.text)]
    used: set[int] = set()

    @cache
    def prose_words(number: int) -> int:
        """0 for a paragraph that is no prose."""
        paragraph = paragraphs[number].quote(document.text)
        return len(paragraph.split()) if is_prose(paragraph) else 0

    for first in rng.sample(range(len(paragraphs)), len(paragraphs)):
        wanted = rng.randint(FEWEST_WORDS, MOST_WORDS - 60)
        last, words = first, 0
        while words < wanted and last < len(paragraphs) and last not in used:
            length = prose_words(last)
            if not length or words + length > MOST_WORDS:
                break
            words += length
            last += 1
        if words >= FEWEST_WORDS:
            used.update(range(first, last))
            yield document.text[paragraphs[first].start : paragraphs[last - 1].end]


def is_prose(paragraph: str) -> bool:
    """Whole sentences of running text, and not a heading, a verse, a list item or a row of figures."""
    if "\n" in paragraph or not _STOP.search(paragraph, max(0, len(paragraph) - 8)) or _LISTED.match(paragraph):
        return False
    letters = len(_NO_LETTERS.sub("", paragraph))
    return (
        letters > 0.72 * len(paragraph)
        and len(_NO_CAPITALS.sub("", paragraph)) < 0.12 * letters
        and len(paragraph.split()) >= 8
    )
