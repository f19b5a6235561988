"""Lines out of an answer that arrives in bits, with the probabilities of their pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bwcoach.backends import Line


class StreamedLines:
    """The answer to one prompt. Where it may be JSON and begins like it, each object of its array is a line."""

    def __init__(self, prompt: int, may_be_json: bool = False) -> None:
        self._prompt = prompt
        self._may_be_json = may_be_json
        self._text = ""
        self._read = 0
        self._pieces: list[tuple[str, float]] = []

    def add(self, text: str, pieces: Sequence[tuple[str, float]] = ()) -> Iterator[Line]:
        """The lines that this bit completes; `pieces` are its tokens and their probabilities."""
        self._text += text
        self._pieces.extend(pieces)
        cut = self._next_object if self._is_json else self._next_line
        while (found := cut()) is not None:
            yield self._line(*found, last=False)

    def end(self) -> Line:
        """The last line: what stands behind the last line end, or nothing."""
        if self._is_json:
            return Line(self._prompt, "", last=True)
        return self._line(self._read, len(self._text), last=True)

    @property
    def _is_json(self) -> bool:
        return self._may_be_json and self._text.lstrip()[:1] in {"{", "[", "`"}

    def _next_line(self) -> tuple[int, int] | None:
        start, end = self._read, self._text.find("\n", self._read)
        if end < 0:
            return None
        self._read = end + 1
        return start, end

    def _next_object(self) -> tuple[int, int] | None:
        start = self._text.find("{", max(self._read, self._text.find("[")))
        if "[" not in self._text or start < 0:
            return None
        try:
            _, end = json.JSONDecoder().raw_decode(self._text, start)
        except (ValueError, RecursionError):
            return None
        self._read = end
        return start, end

    def _line(self, start: int, end: int, *, last: bool) -> Line:
        pieces, probabilities = self._between(start, end)
        # In JSON a line's end stands only between fields, where it is as good as a blank.
        text = self._text[start:end].replace("\n", " ")
        return Line(self._prompt, text, last, pieces, probabilities)

    def _between(self, start: int, end: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The pieces of a stretch, cut where it begins and ends; none if they do not spell the text."""
        pieces, probabilities, at = [], [], 0
        for piece, probability in self._pieces:
            part = piece[max(0, start - at) : max(0, end - at)]
            if part:
                pieces.append(part)
                probabilities.append(probability)
            at += len(piece)
        if "".join(pieces) != self._text[start:end]:
            return (), ()
        return tuple(piece.replace("\n", " ") for piece in pieces), tuple(probabilities)
