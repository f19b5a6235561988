"""Stretches of real prose out of a corpus: good passages to start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from bwcoach.draft import Span
from training.corpus import Document

FEWEST_WORDS, MOST_WORDS = 60, 200
_PARAGRAPH = re.compile(r"[^\n]+(?:\n[^\n]+)*")
_STOP = re.compile(r"[.!?][”\"’)]*$")
_LETTERS = re.compile(r"[A-Za-z]")
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
    for first in rng.sample(range(len(paragraphs)), len(paragraphs)):
        wanted = rng.randint(FEWEST_WORDS, MOST_WORDS - 60)
        last, words = first, 0
        while words < wanted and last < len(paragraphs) and last not in used:
            paragraph = paragraphs[last].quote(document.text)
            length = len(paragraph.split())
            if words + length > MOST_WORDS or not is_prose(paragraph):
                break
            words += length
            last += 1
        if words >= FEWEST_WORDS:
            used.update(range(first, last))
            yield document.text[paragraphs[first].start : paragraphs[last - 1].end]


def is_prose(paragraph: str) -> bool:
    """Whole sentences of running text, and not a heading, a verse, a list item or a row of figures."""
    letters = len(_LETTERS.findall(paragraph))
    return (
        "\n" not in paragraph
        and len(paragraph.split()) >= 8
        and bool(_STOP.search(paragraph))
        and letters > 0.72 * len(paragraph)
        and not re.match(r"[-*•\d(|]|[a-z]", paragraph)
        and sum(character.isupper() for character in paragraph) < 0.12 * letters
    )
