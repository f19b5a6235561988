"""The tags answer: at every token of the second reading, what is weak there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bwcoach.draft import Span
from bwcoach.errors import ModelError

_WORD_CHARACTER = re.compile(r"[\w'’-]")


_FREQUENT_WORD = re.compile(r"\u2581[a-z]{4,}")


def label_pieces(vocabulary: Sequence[str], count: int) -> tuple[str, ...]:
    """The first `count` pieces, in the order of their ids, that are lower-case words with their blank before them.

    A vocabulary of SentencePiece lists its pieces from the most frequent on, so these are single pieces that
    pretraining has moved often, in Llama 2's vocabulary as in ours. The first stands for "nothing".
    """
    frequent = [piece.replace("\u2581", " ") for piece in vocabulary if _FREQUENT_WORD.fullmatch(piece)]
    if len(frequent) < count:
        raise ModelError(f"The vocabulary has {len(frequent)} frequent words where {count} labels are needed.")
    return tuple(frequent[:count])


@dataclass(frozen=True)
class Run:
    """Neighbouring tokens that a criterion was read at, and the highest of their probabilities."""

    span: Span
    criterion: int
    confidence: float


def targets(spans: NDArray[np.int64], weaknesses: Sequence[tuple[Span, int]], criteria: int) -> NDArray[np.float32]:
    """What a second reading should say: (tokens, criteria), 1 where a token lies in a weakness (a span of the
    answer's text and the index of its criterion), else 0."""
    wanted = np.zeros((len(spans), criteria), dtype=np.float32)
    for span, criterion in weaknesses:
        wanted[(spans[:, 0] < span.end) & (spans[:, 1] > span.start), criterion] = 1.0
    return wanted


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """From the logits of (nothing, criterion 1, criterion 2, ...): p = sigmoid(criterion - nothing)."""
    difference = logits[:, 1:].astype(np.float64) - logits[:, :1].astype(np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(difference, -60, 60))))


def runs(
    text: str, spans: NDArray[np.int64], probability: NDArray[np.float64], floors: Sequence[float], extent: float
) -> tuple[Run, ...]:
    """Runs of tokens around each peak that reaches its criterion's floor.

    A run goes on while its tokens reach `extent` times the floor's worth of the peak, and is then widened to whole
    words and freed of blanks and of a comma or stop at its ends, so that it is what a person would have marked.
    """
    found: list[Run] = []
    for criterion, floor in enumerate(floors):
        column = probability[:, criterion]
        claimed = np.zeros(len(column), dtype=bool)
        for peak in np.argsort(-column, kind="stable"):
            if column[peak] < max(floor, 1e-9):
                break
            if claimed[peak]:
                continue
            level = column[peak] * extent
            first = last = int(peak)
            while first > 0 and column[first - 1] >= level and not claimed[first - 1]:
                first -= 1
            while last + 1 < len(column) and column[last + 1] >= level and not claimed[last + 1]:
                last += 1
            claimed[max(0, first - 1) : last + 2] = True
            span = whole_words(text, Span(int(spans[first, 0]), int(spans[last, 1])))
            if span is not None:
                found.append(Run(span, criterion, float(column[peak])))
    return tuple(found)


def whole_words(text: str, span: Span) -> Span | None:
    """The span widened to whole words and freed of blanks and loose punctuation; None if no word is left."""
    start, end = span.start, span.end
    while start < end and not _WORD_CHARACTER.match(text[start]):
        start += 1
    while end > start and not _WORD_CHARACTER.match(text[end - 1]):
        end -= 1
    if start == end:
        return None
    while start > 0 and _WORD_CHARACTER.match(text[start - 1]):
        start -= 1
    while end < len(text) and _WORD_CHARACTER.match(text[end]):
        end += 1
    return Span(start, end)
