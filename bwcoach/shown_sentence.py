"""A sentence as a model is shown it, and the way back to the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bwcoach.draft import Span
from bwcoach.prompt import disguise

_WORD = re.compile(r"\S+")
_CHUNK = re.compile(r"\w+|[^\w\s]|\s")


@dataclass(frozen=True)
class ShownSentence:
    """Delimiters disguised, blanks folded (as prompt.number_sentences does); `places` are the offsets in the draft's
    or passage's text that its characters stand for."""

    text: str
    places: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """What a half-open run of the shown characters is in the text."""
        return Span(self.places[start], self.places[end - 1] + 1)

    @property
    def whole(self) -> Span:
        return self.span(0, len(self.text))

    @cached_property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        """What a quote is made of: words, and each mark and blank between them."""
        return tuple(match.span() for match in _CHUNK.finditer(self.text))

    def is_blank(self, chunk: int) -> bool:
        return self.text[self.chunks[chunk][0]].isspace()

    def find(self, quote: str) -> Iterator[Span]:
        """Every place of a quote that begins and ends with a chunk, so that `art` is not found in `start`."""
        edges = {0, *(end for _, end in self.chunks)}
        start = self.text.find(quote) if quote else -1
        while start >= 0:
            if start in edges and start + len(quote) in edges:
                yield self.span(start, start + len(quote))
            start = self.text.find(quote, start + 1)


def shown(text: str, sentence: Span) -> ShownSentence:
    """How a sentence of the text is shown; it holds at least one character that is not blank."""
    disguised = disguise(sentence.quote(text))
    characters: list[str] = []
    places: list[int] = []
    for word in _WORD.finditer(disguised):
        if characters:
            characters.append(" ")
            places.append(sentence.start + word.start() - 1)
        characters.extend(word.group())
        places.extend(range(sentence.start + word.start(), sentence.start + word.end()))
    return ShownSentence("".join(characters), tuple(places))
