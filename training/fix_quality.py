"""How good suggested fixes are: against what stands in the repair, and from which probability on they are right."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.bleu import BLEUScore

from bwcoach.diagnosis import Finding
from training.evaluation_sets import MarkedDraft
from training.fix_suggestions import Suggestion
from training.repairs import Alignment, Repair
from training.scoring import Estimate, Reading, estimate, match, ratio, resamples

NEAR, SHARE_RIGHT, FEWEST = 60.0, 0.5, 5
# No probability reaches it.
NEVER_OFFERED = 2.0
METHOD = (
    "A fix is compared with what stands in the repair at its place, found by a word diff; where the repair changes "
    "more than the place, the words around it are added to both. The places are findings that match a label, and "
    "after them labels that were missed. Exact match folds blanks; BLEU (of all fixes together, of the orders of "
    "n-grams that their lengths allow) and chrF (a mean) are sacrebleu's. Leaving the words as they stand is scored "
    "too: it is what a fix must beat. A fix is right when it "
    f"matches exactly, or when its chrF is at least {NEAR:g} and higher than that of leaving the words. A fix removes "
    "its finding when a second reading of the mended text, under the same thresholds, has no finding of the criterion "
    "at its place."
)
_ORDERS = 4
_BLEU, _CHRF = BLEU(max_ngram_order=_ORDERS, effective_order=True), CHRF()
THRESHOLD_METHOD = (
    f"The fix threshold is the lowest probability from which on at least half of the fixes (of {FEWEST} or more) are "
    "right. It ships only if half are right too where it is cross-fitted, each draft's fixes being shown by a "
    f"threshold that was fitted on other drafts; else {NEVER_OFFERED:g} ships, which no probability reaches, so no "
    "fix is offered."
)


@dataclass(frozen=True)
class Place:
    """Where a fix is asked for, and what stands there in the repair; `found` tells findings from missed labels."""

    draft: MarkedDraft
    finding: Finding
    found: bool
    repair: Repair


@dataclass(frozen=True)
class Fix:
    """A suggestion at a place. `removed` is None where there was no finding to remove or nothing was offered."""

    place: Place
    suggestion: Suggestion
    removed: bool | None

    @property
    def offered(self) -> bool:
        return self.suggestion.fix is not None

    @property
    def reference(self) -> str:
        return _folded(self.place.repair.text)

    @property
    def left(self) -> str:
        """The words as they stand."""
        return _folded(self.place.repair.span.quote(self.place.draft.text))

    @property
    def answer(self) -> str:
        """What would stand there with the fix."""
        text, reach, span = self.place.draft.text, self.place.repair.span, self.place.finding.span
        return _folded(text[reach.start : span.start] + (self.suggestion.fix or "") + text[span.end : reach.end])

    @property
    def exact(self) -> bool:
        return self.answer == self.reference

    @property
    def right(self) -> bool:
        near = chrf(self.answer, self.reference)
        return self.exact or (near >= NEAR and near > chrf(self.left, self.reference))


@dataclass(frozen=True)
class FixFigures:
    """Of the fixes at some places; all but `places` and `offered` are of those that were offered.

    `removed` is the share that removed its finding, of `removable` fixes. BLEU and chrF run from 0 to 100.
    """

    places: int
    offered: int
    exact: Estimate
    right: Estimate
    bleu: Estimate
    bleu_left: Estimate
    chrf: Estimate
    chrf_left: Estimate
    removable: int
    removed: Estimate


@dataclass(frozen=True)
class FixThreshold:
    """`fitted` is None where no probability will do. `held_out` and `right` are how many fixes the cross-fitted
    thresholds show and how many of them are right; `shipped` goes into the card."""

    fitted: float | None
    held_out: int
    right: Estimate
    shipped: float


def places(drafts: Sequence[MarkedDraft], readings: Sequence[Reading], most: int) -> tuple[Place, ...]:
    """Findings that match first, then missed labels, both in an order that the ids alone decide; none that the
    repair left as it stood. A label's own fix goes before the diff."""
    found: list[Place] = []
    for draft, reading in zip(drafts, readings, strict=True):
        if draft.revised is None:
            continue
        alignment = Alignment.of(draft.text, draft.revised)
        taken = match(reading.findings, draft.labels)
        matched = [(reading.findings[i], draft.labels[j], True) for i, j in taken]
        missed = [(label, label, False) for j, label in enumerate(draft.labels) if j not in {k for _, k in taken}]
        for finding, label, hit in (*matched, *missed):
            own = finding.span == label.span and label.fix is not None
            repair = Repair(label.span, label.fix or "") if own else alignment.repair(finding.span)
            if repair is not None:
                found.append(Place(draft, finding, hit, repair))
    return tuple(sorted(found, key=lambda place: (not place.found, _order(place)))[:most])


def fix_figures(fixes: Sequence[Fix], *, times: int = 1000, seed: int = 0) -> FixFigures:
    """Intervals are over drafts."""
    offered = [fix for fix in fixes if fix.offered]
    removable = [fix for fix in offered if fix.removed is not None]

    def share(counted: Sequence[Fix], value: Callable[[Fix], float]) -> Estimate:
        return ratio(_by_draft(counted, lambda fix: (value(fix), 1.0)), times=times, seed=seed)

    return FixFigures(
        len(fixes), len(offered), share(offered, lambda fix: fix.exact), share(offered, lambda fix: fix.right),
        _bleu(offered, lambda fix: fix.answer, times, seed), _bleu(offered, lambda fix: fix.left, times, seed),
        share(offered, lambda fix: chrf(fix.answer, fix.reference)),
        share(offered, lambda fix: chrf(fix.left, fix.reference)),
        len(removable), share(removable, lambda fix: bool(fix.removed)),
    )  # fmt: skip


def fix_threshold(fixes: Sequence[Fix], *, folds: int, times: int = 1000, seed: int = 0) -> FixThreshold | None:
    """None where no fix has a probability."""
    sure = [(fix, fix.suggestion.probability) for fix in fixes if fix.offered]
    known = [(fix, p) for fix, p in sure if p is not None]
    if not known:
        return None
    drafts = sorted({fix.place.draft.id for fix, _ in known})
    fold_of = dict(zip(drafts, np.random.default_rng(seed).permutation(len(drafts)) % folds, strict=True))
    shown: list[Fix] = []
    for fold in sorted({int(fold) for fold in fold_of.values()}):
        level = _lowest([(p, fix.right) for fix, p in known if fold_of[fix.place.draft.id] != fold])
        shown += [fix for fix, p in known if fold_of[fix.place.draft.id] == fold and level is not None and p >= level]
    right = ratio(_by_draft(shown, lambda fix: (float(fix.right), 1.0)), times=times, seed=seed)
    fitted = _lowest([(p, fix.right) for fix, p in known])
    holds = fitted is not None and right.value >= SHARE_RIGHT
    return FixThreshold(fitted, len(shown), right, fitted if fitted is not None and holds else NEVER_OFFERED)


def chrf(answer: str, reference: str) -> float:
    """0 to 100; two empty texts are the same."""
    return 100.0 if answer == reference else float(_CHRF.sentence_score(answer, [reference]).score)


def _lowest(known: Sequence[tuple[float, bool]]) -> float | None:
    """The lowest probability from which on enough fixes are right, rounded down to what a card holds."""
    sure = sorted(known, reverse=True)
    right = np.cumsum([good for _, good in sure])
    will_do = [
        p for n, (p, _) in enumerate(sure, 1)
        # Equal probabilities are shown together.
        if n >= FEWEST and right[n - 1] >= SHARE_RIGHT * n and (n == len(sure) or sure[n][0] < p)
    ]
    return math.floor(will_do[-1] * 10_000) / 10_000 if will_do else None


def _bleu(fixes: Sequence[Fix], answer: Callable[[Fix], str], times: int, seed: int) -> Estimate:
    """Corpus BLEU with an interval over drafts: the counts that it is made of add up."""
    if not fixes:
        return Estimate(0.0, 0.0, 0.0)
    scored = {id(fix): _BLEU.sentence_score(answer(fix), [fix.reference]) for fix in fixes}
    table = _by_draft(fixes, lambda fix: _counts(scored[id(fix)]))
    drawn = resamples(len(table), times, seed) @ table
    return estimate(_of_counts(table.sum(axis=0)), np.asarray([_of_counts(row) for row in drawn]))


def _counts(score: BLEUScore) -> tuple[float, ...]:
    return (*map(float, score.counts), *map(float, score.totals), float(score.sys_len), float(score.ref_len))


def _of_counts(counts: NDArray[np.float64]) -> float:
    whole = [round(count) for count in counts]
    score = BLEU.compute_bleu(whole[:_ORDERS], whole[_ORDERS:-2], whole[-2], whole[-1], "exp", effective_order=True)
    return float(score.score)


def _by_draft(fixes: Sequence[Fix], values: Callable[[Fix], tuple[float, ...]]) -> NDArray[np.float64]:
    """(drafts, values): the values of each draft's fixes added up."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    for fix in fixes:
        rows.setdefault(fix.place.draft.id, []).append(values(fix))
    return np.asarray([np.sum(each, axis=0) for each in rows.values()], dtype=np.float64)


def _folded(text: str) -> str:
    return " ".join(text.split())


def _order(place: Place) -> bytes:
    told = (place.draft.id, place.finding.span.start, place.finding.criterion)
    return hashlib.sha256(repr(told).encode()).digest()
