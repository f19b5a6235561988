"""How much a system finds in what is weak and in what is sound, and whether it finds it at the right places."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bwcoach.diagnosis import Finding
from bwcoach.rubric import Rubric
from training.evaluation_sets import MarkedDraft
from training.scoring import Estimate, estimate, ratio, resamples

SEVERITY_WEIGHTS = {"major": 2.0, "minor": 1.0}
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Found:
    """What a system found in one text."""

    text: str
    rubric: Rubric
    findings: tuple[Finding, ...]

    @property
    def words(self) -> int:
        return len(self.text.split())


def per_thousand_words(found: Sequence[Found], *, times: int = 1000, seed: int = 0) -> Estimate:
    """Findings per 1000 words of all texts together, with a bootstrap interval over texts."""
    return ratio(np.asarray([[1000 * len(f.findings), f.words] for f in found]), times=times, seed=seed)


def density(found: Found) -> float:
    """Findings a word."""
    return len(found.findings) / max(found.words, 1)


def weighted_density(found: Found) -> float:
    """Findings a word, a major criterion's counting twice."""
    weights = [SEVERITY_WEIGHTS[found.rubric.criterion(f.criterion).severity] for f in found.findings]
    return sum(weights) / max(found.words, 1)


def share_denser(
    pairs: Sequence[tuple[Found, Found]], measure: Callable[[Found], float], *, times: int = 1000, seed: int = 0
) -> Estimate:
    """How often the first of a pair (the weak text) is denser than the second (its repair); ties count half."""
    wins = np.asarray([_win(measure(weak), measure(repaired)) for weak, repaired in pairs])
    return estimate(float(wins.mean()), resamples(len(pairs), times, seed) @ wins / len(pairs))


def _win(weak: float, repaired: float) -> float:
    return 0.5 if weak == repaired else float(weak > repaired)


@dataclass(frozen=True)
class Lift:
    """How many times as often findings lie at marked places as the same findings would at random places.

    `at_places` is the share of findings that overlap a marked place by at least half of the shorter of the two,
    `at_random` what that share would be on average if each finding, with its number of words, began at any word of
    its text with the same probability (computed over all words, so no chance is in it). Both leave out how often a
    place is met. `lift` is None where nothing was found or nothing could have been met.
    """

    findings: int
    at_places: float
    at_random: float
    lift: float | None


def lift(found: Sequence[Found], places: Sequence[Sequence[Finding]], *, same_criterion: bool) -> Lift:
    """Judge findings against marked places that readers agree little about (the TETRA edits)."""
    hits, chance, count = 0.0, 0.0, 0
    for one, marked in zip(found, places, strict=True):
        words = np.asarray([word.span() for word in _WORD.finditer(one.text)], dtype=np.int64).reshape(-1, 2)
        for finding in one.findings:
            wanted = [p.span for p in marked if not same_criterion or p.criterion == finding.criterion]
            spans = np.asarray([(span.start, span.end) for span in wanted], dtype=np.int64).reshape(-1, 2)
            here = np.asarray([[finding.span.start, finding.span.end]])
            covered = (words[:, 0] < finding.span.end) & (words[:, 1] > finding.span.start)
            length = max(1, int(covered.sum()))
            anywhere = np.stack([words[: len(words) - length + 1, 0], words[length - 1 :, 1]], axis=1)
            count += 1
            hits += float(_at_a_place(here, spans).mean())
            chance += float(_at_a_place(anywhere, spans).mean())
    if count == 0:
        return Lift(0, 0.0, 0.0, None)
    return Lift(count, hits / count, chance / count, hits / chance if chance else None)


def human_lift(drafts: Sequence[MarkedDraft], *, same_criterion: bool, editors: int = 3) -> Lift:
    """The lift of one editor judged against the others, by how many of them marked each place (a draft's `votes`).

    Each mark is judged as a finding of the editor who made it. Who made which is not told, so a place counts for the
    other editors with the chance that one of them is among its markers: surely for the mark itself where it has
    another vote, 1 - (1 - (n - 1) / n)^votes for any other place, n being the number of editors.
    """
    hits, chance, count = 0.0, 0.0, 0
    for draft in drafts:
        words = np.asarray([word.span() for word in _WORD.finditer(draft.text)], dtype=np.int64).reshape(-1, 2)
        shares = np.asarray([1 - (1 / editors) ** number for number in draft.votes])
        marked = draft.labels
        for i, (mark, number) in enumerate(zip(marked, draft.votes, strict=True)):
            others = [j for j, p in enumerate(marked) if not same_criterion or p.criterion == mark.criterion]
            spans = np.asarray([(marked[j].span.start, marked[j].span.end) for j in others], dtype=np.int64)
            own = np.asarray([float(number > 1) if j == i else shares[j] for j in others])
            here = np.asarray([[mark.span.start, mark.span.end]])
            covered = (words[:, 0] < mark.span.end) & (words[:, 1] > mark.span.start)
            length = max(1, int(covered.sum()))
            anywhere = np.stack([words[: len(words) - length + 1, 0], words[length - 1 :, 1]], axis=1)
            count += number
            hits += number * float(_met(here, spans, own).mean())
            chance += number * float(_met(anywhere, spans, shares[others]).mean())
    if count == 0:
        return Lift(0, 0.0, 0.0, None)
    return Lift(count, hits / count, chance / count, hits / chance if chance else None)


def _met(spans: NDArray[np.int64], places: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each of (spans, 2) the chance that a place that counts with its share lies there."""
    return np.asarray(1 - np.prod(np.where(_overlapping(spans, places), 1 - shares[None, :], 1.0), axis=1))


def _at_a_place(spans: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each of (spans, 2) whether one of (places, 2) is there."""
    return np.asarray(_overlapping(spans, places).any(axis=1))


def _overlapping(spans: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(spans, places): whether they overlap by at least half of the shorter one."""
    overlap = np.minimum(spans[:, None, 1], places[None, :, 1]) - np.maximum(spans[:, None, 0], places[None, :, 0])
    shorter = np.minimum((spans[:, 1] - spans[:, 0])[:, None], (places[:, 1] - places[:, 0])[None, :])
    return np.asarray((overlap > 0) & (2 * overlap >= shorter))
