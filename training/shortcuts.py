"""What a model would reach by shortcuts: without the order of the words, or by the place in the draft alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from bwcoach import tags
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Span
from training.evaluation_sets import MarkedDraft
from training.scoring import Comparison, Measures, Reading
from training.thresholds import LEAST_CONFIDENCE

METHOD = (
    "*Shuffled words*: in every sentence the words change places at random while stops and blanks stay; a label goes "
    "to as many neighbouring words as it had, there where most of its own have come to stand. *Place alone*: a rival "
    "that knows a sentence's number and how far down the draft it lies, and how frequent each criterion is there in "
    "the other folds' drafts; it marks the part of the sentence where that criterion's labels usually lie. Both get "
    "thresholds of their own, cross-fitted as everyone's are."
)
_WORD = re.compile(r"\w[\w'’-]*")
_FIFTHS, _MOST_NUMBER = 5, 8
# A cell weighs as much as the criterion's frequency everywhere when it has this many sentences.
_SMOOTHING = 10.0


@dataclass(frozen=True)
class Shortcut:
    """Micro scores on the same drafts by a shortcut, and the model's micro F1 less the shortcut's."""

    scores: Measures
    drop: Comparison


def shuffled(draft: MarkedDraft, seed: int) -> MarkedDraft:
    """The draft with each sentence's words in another order; every other character stays where it is."""
    rng = Random(f"{seed}:{draft.id}")
    text, moved = "", list[tuple[Span, Span]]()
    for sentence in Draft(draft.text).sentences:
        text += draft.text[len(text) : sentence.start]
        words = [Span(*found.span()) for found in _WORD.finditer(draft.text, sentence.start, sentence.end)]
        order = rng.sample(words, len(words))
        end = sentence.start
        for place, word in zip(words, order, strict=True):
            text += draft.text[end : place.start]
            moved.append((word, Span(len(text), len(text) + len(word))))
            text += word.quote(draft.text)
            end = place.end
        text += draft.text[end : sentence.end]
    text += draft.text[len(text) :]
    labels = []
    for label in draft.labels:
        own = np.cumsum([0, *(old.overlap(label.span) > 0 for old, _ in moved)])
        length, span = int(own[-1]), label.span
        # A label of a stop alone stays with it.
        if length:
            first = int(np.argmax(own[length:] - own[:-length]))
            span = Span(moved[first][1].start, moved[first + length - 1][1].end)
        labels.append(replace(label, span=span, fix=None))
    return replace(draft, text=text, labels=tuple(labels), revised=None)


@dataclass(frozen=True)
class _Layout:
    """A draft's sentences and where each lies: (sentences, 2), how far down the draft in fifths, and its number, the
    later ones as one."""

    sentences: tuple[Span, ...]
    places: NDArray[np.int64]

    @staticmethod
    def of(draft: MarkedDraft) -> _Layout:
        sentences = Draft(draft.text).sentences
        starts = np.asarray([sentence.start for sentence in sentences], dtype=np.int64)
        fifth = starts * _FIFTHS // max(1, len(draft.text))
        return _Layout(sentences, np.stack([fifth, np.minimum(np.arange(len(starts)), _MOST_NUMBER)], axis=1))


def by_place_alone(drafts: Sequence[MarkedDraft], folds: int, seed: int) -> tuple[Reading, ...]:
    """What would be marked in each draft by the places of labels in the drafts of the other folds."""
    fold_of = np.random.default_rng((seed, 2)).permutation(len(drafts)) % min(folds, len(drafts))
    layouts = [_Layout.of(draft) for draft in drafts]
    readings = []
    for number, draft in enumerate(drafts):
        others = [i for i in range(len(drafts)) if fold_of[i] != fold_of[number] and drafts[i].rubric == draft.rubric]
        found = _marked(draft, layouts[number], [(drafts[i], layouts[i]) for i in others])
        readings.append(Reading(draft.id, draft.labels, found))
    return tuple(readings)


def _marked(
    draft: MarkedDraft, layout: _Layout, known: Sequence[tuple[MarkedDraft, _Layout]]
) -> tuple[Finding, ...]:
    found: list[Finding] = []
    sentences = np.concatenate([other.places for _, other in known]) if known else np.zeros((0, 2), dtype=np.int64)
    for criterion in sorted({label.criterion for other, _ in known for label in other.labels}):
        where, begins, lengths = list[NDArray[np.int64]](), list[float](), list[int]()
        for other, theirs in known:
            for label in other.labels:
                first = next((i for i, s in enumerate(theirs.sentences) if s.overlap(label.span)), None)
                if label.criterion == criterion and first is not None:
                    start = max(0, label.span.start - theirs.sentences[first].start)
                    where.append(theirs.places[first])
                    begins.append(start / len(theirs.sentences[first]))
                    lengths.append(len(label.span))
        if not where:
            continue
        labelled, everywhere = np.stack(where), len(where) / len(sentences)
        for sentence, place in zip(layout.sentences, layout.places, strict=True):
            # As if the two were independent: the frequency everywhere, times what each place makes of it.
            here, there = (labelled == place).sum(axis=0), (sentences == place).sum(axis=0)
            shares = (here + _SMOOTHING * everywhere) / (there + _SMOOTHING)
            chance = min(0.99, everywhere * float(np.prod(shares / everywhere)))
            start = min(sentence.start + int(np.median(begins) * len(sentence)), sentence.end - 1)
            reach = Span(start, min(start + max(1, int(np.median(lengths))), sentence.end))
            span = tags.whole_words(draft.text, reach)
            if span is not None and chance >= LEAST_CONFIDENCE:
                found.append(Finding(span, criterion, chance))
    return tuple(found)
