"""What one system reaches on one set of drafts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bwcoach.diagnosis import Finding
from bwcoach.rubric import load_rubric
from training.evaluation_sets import MarkedDraft, SentencePair, judged_criteria
from training.finding_density import Found, Lift, density, lift, per_thousand_words, share_denser, weighted_density
from training.predictions import Prediction, Question, predict
from training.recipe import EvaluateRecipe
from training.scoring import Estimate, Reading, Scores, Tally, micro, score, tally
from training.systems import System
from training.thresholds import Fit, Thresholds, fit_thresholds

# So many labels weigh less than the pooled threshold that it alone decides.
ONE_THRESHOLD = 1e9


@dataclass(frozen=True)
class Judgement:
    """Figures of one system on drafts.

    `fitted` tells thresholds that were cross-fitted here from those of the model's card. `one_threshold` is micro F1
    with a single cross-fitted threshold for all criteria. `found_in_*` are findings per 1000 words.
    `worse_than_repair` is the share of drafts whose weighted findings are denser than their own repair's.
    """

    system: str
    fitted: bool
    scores: Scores
    one_threshold: float | None
    rubrics: Mapping[str, Scores]
    found_in_drafts: Estimate
    found_in_repairs: Estimate | None
    worse_than_repair: Estimate | None
    unread: int
    seconds_per_1000_words: float
    thresholds: Thresholds


@dataclass(frozen=True)
class Judged:
    """A judgement with what further measures need.

    `readings` are the drafts' findings under the thresholds of `fit` that never saw them, `repairs` (by the draft's
    id) those in its repaired version under the same thresholds.
    """

    judgement: Judgement
    counted: Tally
    fit: Fit
    readings: tuple[Reading, ...]
    repairs: Mapping[str, Found]


@dataclass(frozen=True)
class PairJudgement:
    """Findings per 100 words of sentences and of what people made of them, and how often the first are denser."""

    in_worse: Estimate
    in_better: Estimate
    denser: Estimate


@dataclass(frozen=True)
class Judge:
    """Asks systems about texts; what they answer is kept in `folder`, where there is one."""

    settings: EvaluateRecipe
    folder: Path | None = None
    seed: int = 0

    def drafts(self, system: System, drafts: Sequence[MarkedDraft]) -> Judged:
        """With thresholds, and the extent, fitted on the other folds of these drafts."""
        runs = self._runs(system, drafts)
        fit = fit_thresholds(runs, folds=self.settings.folds, shrinkage=self.settings.shrinkage, seed=self.seed)
        single = fit_thresholds(runs, folds=self.settings.folds, shrinkage=ONE_THRESHOLD, seed=self.seed)
        one = micro(tally(single.cross_fitted(runs)).counts.sum(axis=0))[2]
        return self._judged(system, system.name, drafts, fit, float(one))

    def drafts_under(self, system: System, name: str, drafts: Sequence[MarkedDraft], fixed: Thresholds) -> Judged:
        """With thresholds that were settled before."""
        return self._judged(system, name, drafts, Fit(fixed, {draft.id: fixed for draft in drafts}), None)

    def edits(self, system: System, drafts: Sequence[MarkedDraft], fixed: Thresholds) -> dict[str, Lift]:
        """Lift over random places at edits of the finding's own criterion, and at edits of any."""
        found = self.shown(system, drafts, [fixed] * len(drafts))
        labels = [draft.labels for draft in drafts]
        return {
            "same criterion": lift(found, labels, same_criterion=True),
            "any criterion": lift(found, labels, same_criterion=False),
        }

    def pairs(self, system: System, pairs: Sequence[SentencePair], fixed: Thresholds) -> dict[str, PairJudgement]:
        """For findings of the pair's criterion alone, and for all findings."""
        name = self.settings.pairs_rubric
        worse, better = (
            self._ask(system, [MarkedDraft(pair.id, name, text, ()) for pair, text in texts], [fixed.extent])
            for texts in ([(p, p.worse) for p in pairs], [(p, p.better) for p in pairs])
        )
        judged = {}
        for which in ("same criterion", "any criterion"):
            weak: list[Found] = []
            sound: list[Found] = []
            for pair, of_worse, of_better in zip(pairs, worse[fixed.extent], better[fixed.extent], strict=True):
                for side, text, answer in ((weak, pair.worse, of_worse), (sound, pair.better, of_better)):
                    shown = fixed.shown(answer.findings)
                    if which == "same criterion":
                        shown = tuple(f for f in shown if f.criterion == pair.criterion)
                    side.append(Found(text, rubric(name), shown))
            judged[which] = PairJudgement(
                _tenth(self._density(weak)), _tenth(self._density(sound)),
                share_denser(
                    list(zip(weak, sound, strict=True)), density, times=self.settings.resamples, seed=self.seed
                ),
            )  # fmt: skip
        return judged

    def _judged(
        self, system: System, name: str, drafts: Sequence[MarkedDraft], fit: Fit, one_threshold: float | None
    ) -> Judged:
        times, seed = self.settings.resamples, self.seed
        readings = fit.cross_fitted(self._runs(system, drafts, fit))
        found = _found(drafts, readings)
        repairs = [replace(d, text=d.revised, labels=(), revised=None) for d in drafts if d.revised is not None]
        mended = _found(repairs, fit.cross_fitted(self._runs(system, repairs, fit)))
        with_repairs = [(found[id], sound) for id, sound in mended.items()]
        by_extent = self._ask(system, drafts, system.extents if one_threshold is not None else [fit.final.extent])
        answers = by_extent[fit.final.extent]
        # Of one text's extents all but the first to be asked for were quick: the text had been read.
        seconds = sum(max(each.seconds for each in same) for same in zip(*by_extent.values(), strict=True))
        counted = tally(readings)
        judgement = Judgement(
            name, one_threshold is not None, score(counted, times=times, seed=seed), one_threshold,
            {
                genre: score(
                    tally([r for d, r in zip(drafts, readings, strict=True) if d.rubric == genre]),
                    times=times, seed=seed,
                )
                for genre in sorted({draft.rubric for draft in drafts})
            },
            self._density(list(found.values())),
            self._density(list(mended.values())) if repairs else None,
            share_denser(with_repairs, weighted_density, times=times, seed=seed) if repairs else None,
            sum(answer.unread for answer in answers),
            1000 * seconds / sum(one.words for one in found.values()),
            fit.final,
        )  # fmt: skip
        return Judged(judgement, counted, fit, readings, mended)

    def considered(self, system: System, drafts: Sequence[MarkedDraft], fit: Fit) -> tuple[Reading, ...]:
        """All that was considered in each draft, its spans grown by the extent that was fitted without it."""
        runs = self._runs(system, drafts, fit)
        return tuple(runs[fit.by_draft[draft.id].extent][row] for row, draft in enumerate(drafts))

    def shown(
        self, system: System, drafts: Sequence[MarkedDraft], fixed: Sequence[Thresholds]
    ) -> tuple[Found, ...]:
        """What is shown in each text under thresholds that were settled before, one set a text."""
        by_extent = self._ask(system, drafts, sorted({thresholds.extent for thresholds in fixed}))
        return tuple(
            Found(draft.text, rubric(draft.rubric), thresholds.shown(by_extent[thresholds.extent][row].findings))
            for row, (draft, thresholds) in enumerate(zip(drafts, fixed, strict=True))
        )

    def _runs(
        self, system: System, drafts: Sequence[MarkedDraft], fit: Fit | None = None
    ) -> dict[float, tuple[Reading, ...]]:
        """All that was considered, by extent: by every one the system names, or by those that were fitted."""
        extents = sorted({t.extent for t in (fit.final, *fit.by_draft.values())}) if fit else system.extents
        return {
            extent: tuple(
                Reading(draft.id, draft.labels, answer.findings) for draft, answer in zip(drafts, answers, strict=True)
            )
            for extent, answers in self._ask(system, drafts, extents).items()
        }

    def _ask(
        self, system: System, drafts: Sequence[MarkedDraft], extents: Sequence[float]
    ) -> dict[float, tuple[Prediction, ...]]:
        """Predictions by extent. Draft-scope findings in a text that is not a whole draft are nobody's mistake and
        are left out."""
        name = re.sub(r"[^a-z0-9]+", "-", system.name.lower()).strip("-")
        file = self.folder / f"predictions-{name}.jsonl" if self.folder else None
        asked = [(draft, extent) for draft in drafts for extent in extents]
        questions = [Question(draft.id, rubric(draft.rubric), draft.text, extent) for draft, extent in asked]
        answers = [
            replace(answer, findings=_judged_findings(answer.findings, draft))
            for (draft, _), answer in zip(asked, predict(system, questions, file), strict=True)
        ]
        return {extent: tuple(answers[n :: len(extents)]) for n, extent in enumerate(extents)}

    def _density(self, found: Sequence[Found]) -> Estimate:
        return per_thousand_words(found, times=self.settings.resamples, seed=self.seed)


def _judged_findings(findings: Sequence[Finding], draft: MarkedDraft) -> tuple[Finding, ...]:
    judged = judged_criteria(rubric(draft.rubric), draft.whole)
    return tuple(f for f in findings if f.criterion in judged)


def _found(drafts: Sequence[MarkedDraft], readings: Sequence[Reading]) -> dict[str, Found]:
    return {
        draft.id: Found(draft.text, rubric(draft.rubric), reading.findings)
        for draft, reading in zip(drafts, readings, strict=True)
    }


def _tenth(per_thousand: Estimate) -> Estimate:
    """Per 100 words."""
    return Estimate(per_thousand.value / 10, per_thousand.low / 10, per_thousand.high / 10)


rubric = cache(load_rubric)
