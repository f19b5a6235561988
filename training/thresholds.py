"""From which confidence on a criterion's findings are shown, fitted on labelled drafts and judged on others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bwcoach.diagnosis import Finding
from training.scoring import Reading, match

METHOD = (
    "A criterion's threshold is the confidence that serves micro F1 best: it maximises 2 x matches - F x findings, F "
    "being the micro F1 reached (Dinkelbach's method). With n labels of the criterion it is shrunk to the one "
    "threshold that is best for all criteria together, on the logit scale: (n x own + {shrinkage:g} x pooled) / "
    "(n + {shrinkage:g}). Scores are cross-fitted: a draft's thresholds come from the other folds of drafts."
)
# Candidates: 0.01 to 0.99, evenly on the logit scale.
_LOGITS = np.linspace(-4.6, 4.6, 93)
CANDIDATES = 1 / (1 + np.exp(-_LOGITS))
LEAST_CONFIDENCE = 0.01


@dataclass(frozen=True)
class Thresholds:
    """`pooled` serves a criterion that `criteria` does not name. `extent` is the run they were fitted on."""

    criteria: Mapping[str, float]
    pooled: float
    extent: float

    def shown(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Those that reach their criterion's threshold; a finding without a confidence always does."""
        return tuple(
            f for f in findings
            if f.confidence is None or f.confidence >= self.criteria.get(f.criterion, self.pooled)
        )


@dataclass(frozen=True)
class Fit:
    """`final` is fitted on all drafts and is what ships; `by_draft` was fitted without the draft's own fold."""

    final: Thresholds
    by_draft: Mapping[str, Thresholds]

    def cross_fitted(self, runs: Mapping[float, Sequence[Reading]]) -> tuple[Reading, ...]:
        """Each draft's findings under thresholds (and the extent) that never saw it, in the order of the runs."""
        by_extent = {extent: {r.draft: r for r in readings} for extent, readings in runs.items()}
        order = [reading.draft for reading in next(iter(runs.values()))]
        return tuple(
            replace(reading, findings=self.by_draft[draft].shown(reading.findings))
            for draft in order
            for reading in [by_extent[self.by_draft[draft].extent][draft]]
        )


def fit_thresholds(
    runs: Mapping[float, Sequence[Reading]], *, folds: int = 10, shrinkage: float = 40.0, seed: int = 0
) -> Fit:
    """Fit on readings that show everything from LEAST_CONFIDENCE on; `runs` holds them by extent, often one alone.

    Which drafts share a fold is drawn from the seed. Where several extents were run, the one of the highest micro F1
    on the drafts that are fitted on is taken, for the folds and for the end.
    """
    tables = {extent: _Table.of(readings) for extent, readings in runs.items()}
    drafts = [reading.draft for reading in next(iter(runs.values()))]
    if any([reading.draft for reading in readings] != drafts for readings in runs.values()):
        raise ValueError("every extent's run must read the same drafts in the same order")
    fold_of = np.random.default_rng(seed).permutation(len(drafts)) % min(folds, len(drafts))
    final = _best(tables, np.ones(len(drafts), dtype=bool), shrinkage)
    fitted = {int(fold): _best(tables, fold_of != fold, shrinkage) for fold in np.unique(fold_of)}
    return Fit(final, {draft: fitted[int(fold)] for draft, fold in zip(drafts, fold_of, strict=True)})


@dataclass(frozen=True)
class _Table:
    """(drafts, criteria, candidates) matches and findings, and (drafts, criteria) labels."""

    criteria: tuple[str, ...]
    correct: NDArray[np.int64]
    found: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @staticmethod
    def of(readings: Sequence[Reading]) -> _Table:
        criteria = tuple(sorted({f.criterion for r in readings for f in (*r.findings, *r.labels)}))
        shape = (len(readings), len(criteria), len(CANDIDATES))
        correct, found = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        labelled = np.zeros(shape[:2], dtype=np.int64)
        for row, reading in enumerate(readings):
            for column, criterion in enumerate(criteria):
                labels = [f for f in reading.labels if f.criterion == criterion]
                findings = [f for f in reading.findings if f.criterion == criterion]
                labelled[row, column] = len(labels)
                correct[row, column], found[row, column] = _by_candidate(findings, labels)
        return _Table(criteria, correct, found, labelled)


def _by_candidate(findings: list[Finding], labels: list[Finding]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Matches and findings of one draft and criterion at each candidate threshold."""
    confidences = np.asarray([1.0 if f.confidence is None else f.confidence for f in findings])
    found = np.asarray([int((confidences >= candidate).sum()) for candidate in CANDIDATES])
    # Findings that overlap no label match at no threshold, and the others are matched anew only where one more shows.
    near = [(f, c) for f, c in zip(findings, confidences, strict=True) if any(f.span.overlap(x.span) for x in labels)]
    by_count: dict[int, int] = {0: 0}
    correct = np.zeros_like(found)
    for i, candidate in enumerate(CANDIDATES):
        shown = [f for f, confidence in near if confidence >= candidate]
        if len(shown) not in by_count:
            by_count[len(shown)] = len(match(shown, labels))
        correct[i] = by_count[len(shown)]
    return correct, found


def _best(tables: Mapping[float, _Table], drafts: NDArray[np.bool_], shrinkage: float) -> Thresholds:
    """The extent and its thresholds of the highest micro F1 on these drafts."""
    fitted = [(_fit(table, drafts, shrinkage), extent) for extent, table in tables.items()]
    (thresholds, pooled, _), extent = max(fitted, key=lambda each: each[0][2])
    return Thresholds(thresholds, pooled, extent)


def _fit(table: _Table, drafts: NDArray[np.bool_], shrinkage: float) -> tuple[dict[str, float], float, float]:
    """Thresholds by criterion, the pooled threshold, and the micro F1 they reach, on these drafts."""
    correct, found = table.correct[drafts].sum(axis=0), table.found[drafts].sum(axis=0)
    labelled = table.labelled[drafts].sum(axis=0)
    total = int(labelled.sum())
    pooled_f1 = 2 * correct.sum(axis=0) / np.maximum(found.sum(axis=0) + total, 1)
    pooled = int(np.argmax(pooled_f1))
    rows, chosen, f1 = np.arange(len(table.criteria)), np.full(len(table.criteria), pooled), float(pooled_f1[pooled])
    while True:
        gain = 2 * correct - f1 * found
        # Of equally good thresholds the highest is taken: it shows the least.
        best = len(CANDIDATES) - 1 - np.argmax(gain[:, ::-1], axis=1)
        better = 2 * correct[rows, best].sum() / max(1, int(found[rows, best].sum()) + total)
        if better <= f1 + 1e-9:
            break
        chosen, f1 = best, float(better)
    shrunk = (labelled * _LOGITS[chosen] + shrinkage * _LOGITS[pooled]) / (labelled + shrinkage)
    places = np.abs(_LOGITS[None, :] - shrunk[:, None]).argmin(axis=1)
    reached = 2 * correct[rows, places].sum() / max(1, int(found[rows, places].sum()) + total)
    thresholds = {c: _rounded(CANDIDATES[place]) for c, place in zip(table.criteria, places, strict=True)}
    return thresholds, _rounded(CANDIDATES[pooled]), float(reached)


def _rounded(confidence: float) -> float:
    """Down to four digits, so that what reached the candidate reaches the number in the card."""
    return math.floor(confidence * 10_000) / 10_000
