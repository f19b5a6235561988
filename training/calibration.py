"""Whether findings are right as often as their confidence says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scoring import Estimate, Reading, estimate, match, ratio, resamples

BINS, FEWEST_IN_A_BIN = 10, 10
METHOD = (
    "A finding is right when it matches a label. Findings are sorted by confidence and cut into bins of equal numbers "
    f"({BINS}, or as many as leave {FEWEST_IN_A_BIN} findings in each; equal confidences share a bin). The expected "
    "calibration error (ECE) is the "
    "distance between a bin's mean confidence and the share of it that is right, averaged over bins by their numbers. "
    "Its interval keeps the bins; a resample adds noise and noise adds to a distance, so it lies a little high."
)


@dataclass(frozen=True)
class Bin:
    """Findings of nearly the same confidence: their mean confidence, and the share that is right."""

    findings: int
    confidence: float
    right: Estimate


@dataclass(frozen=True)
class Calibration:
    """`confidence` is the mean, `right` the share that matches a label, `error` the expected calibration error."""

    findings: int
    confidence: float
    right: Estimate
    error: Estimate
    bins: tuple[Bin, ...]


def calibration(readings: Sequence[Reading], *, times: int = 1000, seed: int = 0) -> Calibration | None:
    """Of all findings that have a confidence; None where none has. Intervals are over drafts."""
    rows = [
        (draft, finding.confidence, place in right)
        for draft, reading in enumerate(readings)
        for right in [{i for i, _ in match(reading.findings, reading.labels)}]
        for place, finding in enumerate(reading.findings)
        if finding.confidence is not None
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: row[1])
    groups = _groups(np.asarray([confidence for _, confidence, _ in rows]))
    # (drafts, bins, 3): findings, the sum of their confidences, how many of them are right.
    table = np.zeros((len(readings), len(groups), 3))
    for number, group in enumerate(groups):
        for draft, confidence, right in (rows[i] for i in group):
            table[draft, number] += (1.0, confidence, float(right))
    total = table.sum(axis=0)
    drawn = np.einsum("td,dbk->tbk", resamples(len(readings), times, seed), table)
    return Calibration(
        len(rows), float(total[:, 1].sum() / len(rows)),
        ratio(table.sum(axis=1)[:, [2, 0]], times=times, seed=seed),
        estimate(float(_error(total)), _error(drawn)),
        tuple(
            Bin(int(n), float(sure / n), ratio(table[:, number][:, [2, 0]], times=times, seed=seed))
            for number, (n, sure, _) in enumerate(total)
        ),
    )  # fmt: skip


def _groups(confidences: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Places of ascending confidences in bins as equal in number as ties allow."""
    count = max(1, min(BINS, len(confidences) // FEWEST_IN_A_BIN))
    cuts = [len(confidences) * number // count for number in range(1, count)]
    ends = {int(np.searchsorted(confidences, confidences[cut - 1], side="right")) for cut in cuts}
    return np.split(np.arange(len(confidences)), sorted(ends - {len(confidences)}))


def _error(bins: NDArray[np.float64]) -> NDArray[np.float64]:
    """The expected calibration error of (..., bins, 3): the sum over bins of |confidences - right| over findings."""
    return np.asarray(np.abs(bins[..., 1] - bins[..., 2]).sum(axis=-1) / bins[..., 0].sum(axis=-1))
