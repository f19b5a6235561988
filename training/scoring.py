"""How well findings match labels: precision, recall, F1 and F0.5, with bootstrap intervals and paired tests.

Drafts, not findings, are what is resampled: the findings of one draft share its writer and its topic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bwcoach.diagnosis import Finding

MATCHING_RULE = (
    "A finding matches a label of the same criterion when they overlap by at least half of the shorter one and the "
    "finding is no longer than three times the label plus 40 characters. Each label and each finding is matched once; "
    "where several could match, the pair with the longest overlap is taken first."
)
_BETAS = (1.0, 0.5)


def matches(finding: Finding, label: Finding) -> bool:
    """The matching rule for one pair."""
    overlap = finding.span.overlap(label.span)
    return (
        finding.criterion == label.criterion
        and overlap > 0
        and 2 * overlap >= min(len(finding.span), len(label.span))
        and len(finding.span) <= 3 * len(label.span) + 40
    )


def match(findings: Sequence[Finding], labels: Sequence[Finding]) -> tuple[tuple[int, int], ...]:
    """Which finding takes which label (indices), the longest overlap first, earlier places first among equals."""
    pairs = sorted(
        (-finding.span.overlap(label.span), label.span.start, finding.span.start, i, j)
        for i, finding in enumerate(findings)
        for j, label in enumerate(labels)
        if matches(finding, label)
    )
    taken: list[tuple[int, int]] = []
    used_findings, used_labels = set[int](), set[int]()
    for *_, i, j in pairs:
        if i not in used_findings and j not in used_labels:
            taken.append((i, j))
            used_findings.add(i)
            used_labels.add(j)
    return tuple(sorted(taken))


@dataclass(frozen=True)
class Reading:
    """One draft: what is weak in it, and what a system found."""

    draft: str
    labels: tuple[Finding, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Tally:
    """Findings that match, findings and labels: `counts` is (drafts, criteria, 3)."""

    drafts: tuple[str, ...]
    criteria: tuple[str, ...]
    counts: NDArray[np.int64]


def tally(readings: Sequence[Reading]) -> Tally:
    """Count by draft and criterion; the criteria are those that occur, in alphabetical order."""
    criteria = tuple(sorted({f.criterion for r in readings for f in (*r.findings, *r.labels)}))
    counts = np.zeros((len(readings), len(criteria), 3), dtype=np.int64)
    for row, reading in enumerate(readings):
        for column, criterion in enumerate(criteria):
            found = [f for f in reading.findings if f.criterion == criterion]
            labelled = [f for f in reading.labels if f.criterion == criterion]
            counts[row, column] = (len(match(found, labelled)), len(found), len(labelled))
    return Tally(tuple(reading.draft for reading in readings), criteria, counts)


def measures(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Precision, recall, F1, F0.5 of (..., 3) counts as (..., 4); a share of nothing counts as 0."""
    correct, found, labelled = (counts[..., i].astype(np.float64) for i in range(3))
    shares = [(correct, found), (correct, labelled)]
    shares += [((1 + beta**2) * correct, beta**2 * labelled + found) for beta in _BETAS]
    return np.stack([np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in shares], axis=-1)


def micro(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Measures of (..., criteria, 3) counts over all criteria together."""
    return measures(counts.sum(axis=-2))


def macro(counts: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of the measures over the criteria that have labels."""
    labelled = counts[..., 2] > 0
    summed = (measures(counts) * labelled[..., None]).sum(axis=-2)
    return np.asarray(summed / np.maximum(labelled.sum(axis=-1), 1)[..., None])


@dataclass(frozen=True)
class Estimate:
    """A figure and the bounds between which 95 % of its resamples lie."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Measures:
    precision: Estimate
    recall: Estimate
    f1: Estimate
    f05: Estimate
    correct: int
    found: int
    labelled: int


@dataclass(frozen=True)
class Scores:
    """`macro` is the mean over criteria that have labels; its counts are those of `micro`."""

    micro: Measures
    macro: Measures
    criteria: Mapping[str, Measures]


def resamples(drafts: int, times: int, seed: int) -> NDArray[np.float64]:
    """How often each draft is drawn in each resample: (times, drafts), rows adding up to `drafts`."""
    drawn = np.random.default_rng(seed).multinomial(drafts, np.full(drafts, 1 / drafts), size=times)
    return np.asarray(drawn, dtype=np.float64)


def estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    """The percentile interval: from the 2.5th to the 97.5th of the resampled values that are numbers."""
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def ratio(parts: NDArray[Any], *, times: int = 1000, seed: int = 0) -> Estimate:
    """The sum of (drafts, 2) `parts`' first column over that of the second, with a bootstrap interval over drafts.

    A resample whose second column adds up to nothing has no say; where all do, the figure is 0.
    """
    counts = np.asarray(parts, dtype=np.float64).reshape(-1, 2)
    total = counts.sum(axis=0)
    if not total[1]:
        return Estimate(0.0, 0.0, 0.0)
    drawn = resamples(len(counts), times, seed) @ counts
    drawn = drawn[drawn[:, 1] > 0]
    return estimate(total[0] / total[1], drawn[:, 0] / drawn[:, 1])


def score(counted: Tally, *, times: int = 1000, seed: int = 0) -> Scores:
    """Measures with percentile bootstrap intervals over drafts (Efron and Tibshirani 1993, chapter 13)."""
    total = counted.counts.sum(axis=0)
    drawn = np.einsum("td,dck->tck", resamples(len(counted.drafts), times, seed), counted.counts.astype(np.float64))
    overall = total.sum(axis=0)
    each = {
        criterion: _measures(measures(total[i]), measures(drawn[:, i]), total[i])
        for i, criterion in enumerate(counted.criteria)
    }
    return Scores(
        _measures(micro(total), micro(drawn), overall), _measures(macro(total), macro(drawn), overall), each
    )


def _measures(values: NDArray[np.float64], drawn: NDArray[np.float64], counts: NDArray[np.int64]) -> Measures:
    precision, recall, f1, f05 = (estimate(values[i], drawn[:, i]) for i in range(4))
    return Measures(precision, recall, f1, f05, *(int(count) for count in counts))


@dataclass(frozen=True)
class Comparison:
    """Micro F1 of one system less that of another on the same drafts.

    `difference` has its paired bootstrap interval; `p_value` is two-sided, of approximate randomisation (Noreen
    1989): how often exchanging the systems on a random half of the drafts gives a difference at least as large.
    """

    difference: Estimate
    p_value: float


def compare(one: Tally, other: Tally, *, times: int = 1000, shuffles: int = 10_000, seed: int = 0) -> Comparison:
    """Both tallies must be of the same drafts in the same order."""
    if one.drafts != other.drafts:
        raise ValueError("a paired comparison needs the same drafts in the same order")
    ours, theirs = (t.counts.sum(axis=1).astype(np.float64) for t in (one, other))
    difference = float(measures(ours.sum(axis=0))[2] - measures(theirs.sum(axis=0))[2])
    drawn = resamples(len(one.drafts), times, seed)
    resampled = measures(drawn @ ours)[:, 2] - measures(drawn @ theirs)[:, 2]
    swapped = np.random.default_rng((seed, 1)).integers(0, 2, size=(shuffles, len(one.drafts))).astype(np.float64)
    moved = swapped @ (theirs - ours)
    shuffled = measures(ours.sum(axis=0) + moved)[:, 2] - measures(theirs.sum(axis=0) - moved)[:, 2]
    as_large = int((np.abs(shuffled) >= abs(difference) - 1e-12).sum())
    return Comparison(estimate(difference, resampled), (as_large + 1) / (shuffles + 1))
