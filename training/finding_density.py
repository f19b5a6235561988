"""How much a system finds in what is weak and in what is sound, and whether it finds it at the right places."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import Rubric
from training.scoring import Estimate, estimate, resamples

SEVERITY_WEIGHTS = {"major": 2.0, "minor": 1.0}
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Found:
    """What a system found in one text."""

    text: str
    findings: tuple[Finding, ...]

    @property
    def words(self) -> int:
        return len(self.text.split())


def per_thousand_words(found: Sequence[Found], *, times: int = 1000, seed: int = 0) -> Estimate:
    """Findings per 1000 words of all texts together, with a bootstrap interval over texts."""
    counts = np.asarray([[len(f.findings), f.words] for f in found], dtype=np.float64)
    drawn = resamples(len(found), times, seed) @ counts
    total = counts.sum(axis=0)
    return estimate(1000 * total[0] / total[1], 1000 * drawn[:, 0] / drawn[:, 1])


def weighted_density(found: Found, rubric: Rubric) -> float:
    """Findings a word, a major criterion's counting twice."""
    return sum(SEVERITY_WEIGHTS[rubric.criterion(f.criterion).severity] for f in found.findings) / max(found.words, 1)


def share_denser(
    pairs: Sequence[tuple[Found, Found]], density: Callable[[Found], float], *, times: int = 1000, seed: int = 0
) -> Estimate:
    """How often the first of a pair (the weak text) is denser than the second (its repair); ties count half."""
    wins = np.asarray([_win(density(weak), density(repaired)) for weak, repaired in pairs])
    return estimate(float(wins.mean()), resamples(len(pairs), times, seed) @ wins / len(pairs))


def _win(weak: float, repaired: float) -> float:
    return 0.5 if weak == repaired else float(weak > repaired)


@dataclass(frozen=True)
class Lift:
    """How many times as often findings lie at marked places as the same findings would at random places.

    `at_places` is the share of findings that overlap a marked place by at least half of the shorter of the two,
    `at_random` the mean of that share when each finding is put, with its number of words, at a random word of its
    text. Both leave out how often a place is met. `lift` is None where nothing was found.
    """

    findings: int
    at_places: float
    at_random: float
    lift: float | None


def lift(
    found: Sequence[Found], places: Sequence[Sequence[Finding]], *, same_criterion: bool, times: int = 200,
    seed: int = 0,
) -> Lift:
    """Judge findings against marked places that readers agree little about (the TETRA edits)."""
    rng = np.random.default_rng(seed)
    hits, chance, count = 0, 0.0, 0
    for one, marked in zip(found, places, strict=True):
        words = [Span(*word.span()) for word in _WORD.finditer(one.text)]
        for finding in one.findings:
            spans = [p.span for p in marked if not same_criterion or p.criterion == finding.criterion]
            length = max(1, sum(word.overlap(finding.span) > 0 for word in words))
            starts = rng.integers(0, max(1, len(words) - length + 1), size=times)
            count += 1
            hits += _at_a_place(finding.span, spans)
            chance += sum(
                _at_a_place(Span(words[s].start, words[min(s + length, len(words)) - 1].end), spans) for s in starts
            ) / times
    if count == 0:
        return Lift(0, 0.0, 0.0, None)
    return Lift(count, hits / count, chance / count, hits / chance if chance else None)


def _at_a_place(span: Span, places: Sequence[Span]) -> bool:
    return any((o := span.overlap(place)) > 0 and 2 * o >= min(len(span), len(place)) for place in places)
