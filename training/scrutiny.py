"""What is asked of the tuned model, and of the linear tagger beside it, beyond their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bwcoach.draft import Draft, Span
from bwcoach.errors import BwcoachError, DraftError
from training.calibration import Calibration, calibration
from training.evaluation_sets import MarkedDraft
from training.false_alarms import FalseAlarms, false_alarms
from training.fix_quality import Fix, FixFigures, FixThreshold, Place, fix_figures, fix_threshold, places
from training.fix_suggestions import FixQuestion, suggestions
from training.judgement import Judge, Judged, rubric
from training.scoring import compare, score, tally
from training.shortcuts import Shortcut, by_place_alone, shuffled
from training.systems import CoachSystem, System
from training.thresholds import Thresholds, fit_thresholds
from training.two_rubrics import TwoRubrics, two_rubrics

SHUFFLED, PLACE_ALONE = "shuffled words", "place alone"
SHOWN, CONSIDERED = "shown", "considered"
# Below lie thousands that no threshold shows and that would be all the calibration there is.
CONSIDERED_FROM = 0.1
T = TypeVar("T")


@dataclass(frozen=True)
class Texts:
    """`shared` holds the texts that stand under two rubrics, an entry a rubric."""

    drafts: tuple[MarkedDraft, ...]
    examples: tuple[MarkedDraft, ...] = ()
    prose: tuple[MarkedDraft, ...] = ()
    shared: tuple[tuple[MarkedDraft, ...], ...] = ()


@dataclass(frozen=True)
class Fixes:
    """Figures by where a fix was asked for; `by_probability` has for each fix its probability and whether it is
    right, the surest first."""

    figures: Mapping[str, FixFigures]
    threshold: FixThreshold | None
    by_probability: tuple[tuple[float, bool], ...]


@dataclass(frozen=True)
class Scrutiny:
    """By system. Calibration is of the findings shown and of those considered; `missing` says what could not be had."""

    calibration: Mapping[str, Mapping[str, Calibration]] = field(default_factory=dict)
    shortcuts: Mapping[str, Mapping[str, Shortcut]] = field(default_factory=dict)
    false_alarms: Mapping[str, tuple[FalseAlarms, ...]] = field(default_factory=dict)
    two_rubrics: Mapping[str, TwoRubrics] = field(default_factory=dict)
    fixes: Fixes | None = None
    missing: tuple[str, ...] = ()


def scrutinise(judge: Judge, systems: Sequence[System], judged: Mapping[str, Judged], texts: Texts) -> Scrutiny:
    """All of it for each system that was judged on these drafts; fixes of a tuned coach alone."""
    missing: list[str] = []

    def measured(what: str, measure: Callable[[System], T | None]) -> dict[str, T]:
        figures = {}
        for system in systems:
            try:
                figure = measure(system)
            except BwcoachError as error:
                missing.append(f"No {what} of {system.name}: {error}")
                continue
            if figure is not None:
                figures[system.name] = figure
        return figures

    fixes = measured("fixes", lambda system: _fixes(judge, system, judged[system.name], texts))
    return Scrutiny(
        measured("calibration", lambda system: _calibration(judge, system, judged[system.name], texts.drafts)),
        measured("shortcuts", lambda system: _shortcuts(judge, system, judged[system.name], texts.drafts)),
        measured("false alarms", lambda system: _false_alarms(judge, system, judged[system.name], texts)),
        measured("answers under two rubrics", lambda system: _two_rubrics(judge, system, judged[system.name], texts)),
        next(iter(fixes.values()), None),
        tuple(missing),
    )  # fmt: skip


def _calibration(
    judge: Judge, system: System, judged: Judged, drafts: Sequence[MarkedDraft]
) -> dict[str, Calibration] | None:
    considered = [
        replace(reading, findings=tuple(f for f in reading.findings if (f.confidence or 0.0) >= CONSIDERED_FROM))
        for reading in judge.considered(system, drafts, judged.fit)
    ]
    sets = {SHOWN: judged.readings, CONSIDERED: considered}
    figures = {
        which: figure
        for which, readings in sets.items()
        for figure in [calibration(readings, times=judge.settings.resamples, seed=judge.seed)] if figure
    }
    return figures or None


def _shortcuts(judge: Judge, system: System, judged: Judged, drafts: Sequence[MarkedDraft]) -> dict[str, Shortcut]:
    settings, seed = judge.settings, judge.seed
    blind = judge.drafts(system, [shuffled(draft, seed) for draft in drafts])
    run = {judged.fit.final.extent: by_place_alone(drafts, settings.folds, seed)}
    placed = fit_thresholds(run, folds=settings.folds, shrinkage=settings.shrinkage, seed=seed).cross_fitted(run)
    return {
        name: Shortcut(
            score(counted, times=settings.resamples, seed=seed).micro,
            compare(judged.counted, counted, times=settings.resamples, seed=seed),
        )
        for name, counted in ((SHUFFLED, blind.counted), (PLACE_ALONE, tally(placed)))
    }


def _false_alarms(judge: Judge, system: System, judged: Judged, texts: Texts) -> tuple[FalseAlarms, ...]:
    prose = judge.shown(system, texts.prose, [judged.fit.final] * len(texts.prose))
    return false_alarms(texts.drafts, judged, prose, times=judge.settings.resamples, seed=judge.seed)


def _two_rubrics(judge: Judge, system: System, judged: Judged, texts: Texts) -> TwoRubrics | None:
    if not texts.shared:
        return None
    asked = [draft for same in texts.shared for draft in same]
    found = iter(judge.shown(system, asked, [judged.fit.final] * len(asked)))
    pairs = [[(draft, next(found)) for draft in same] for same in texts.shared]
    return two_rubrics(pairs, times=judge.settings.resamples, seed=judge.seed)


def _fixes(judge: Judge, system: System, judged: Judged, texts: Texts) -> Fixes | None:
    if not isinstance(system, CoachSystem):
        return None
    settings, final = judge.settings, judged.fit.final
    under = judge.drafts_under(system, system.name, texts.examples, final).readings if texts.examples else ()
    of_examples = places(texts.examples, under, settings.most_fixes // 2)
    of_drafts = places(texts.drafts, judged.readings, settings.most_fixes - len(of_examples))
    asked = [
        *((place, judged.fit.by_draft[place.draft.id]) for place in of_drafts),
        *((place, final) for place in of_examples),
    ]
    if not asked:
        return None
    fixes = _asked(judge, system, asked)
    sets = {"drafts": fixes[: len(of_drafts)], "our own examples": fixes[len(of_drafts) :]}
    groups = {
        f"{where}, {what}": [fix for fix in of if fix.place.found == found]
        for where, of in sets.items()
        for what, found in (("findings that match", True), ("labels that were missed", False))
    }
    sure = [(fix.suggestion.probability, fix.right) for fix in fixes if fix.offered]
    return Fixes(
        {
            name: fix_figures(group, times=settings.resamples, seed=judge.seed)
            for name, group in {**groups, "all": fixes}.items() if group
        },
        fix_threshold(fixes, folds=settings.folds, times=settings.resamples, seed=judge.seed),
        tuple(sorted(((p, right) for p, right in sure if p is not None), reverse=True)),
    )  # fmt: skip


def _asked(judge: Judge, system: CoachSystem, asked: Sequence[tuple[Place, Thresholds]]) -> list[Fix]:
    """The fixes at these places, and for each place that was a finding whether it is gone after the fix."""
    questions = [FixQuestion(place.draft.text, rubric(place.draft.rubric), place.finding) for place, _ in asked]
    file = judge.folder / "fixes.jsonl" if judge.folder else None
    suggested = suggestions(system, questions, file)
    again: dict[int, tuple[MarkedDraft, Thresholds, Span]] = {}
    for number, ((place, thresholds), suggestion) in enumerate(zip(asked, suggested, strict=True)):
        if place.found and suggestion.fix is not None:
            span, text = place.finding.span, place.draft.text
            mended = text[: span.start] + suggestion.fix + text[span.end :]
            if _readable(mended):
                # A fix that took the words away is looked for where the words beside it meet.
                reach = Span(max(0, span.start - 1), span.start + len(suggestion.fix) + 1)
                again[number] = (replace(place.draft, text=mended, labels=(), revised=None), thresholds, reach)
    found = judge.shown(system, [draft for draft, _, _ in again.values()], [each for _, each, _ in again.values()])
    removed = {
        number: not any(
            finding.criterion == asked[number][0].finding.criterion and finding.span.overlap(reach)
            for finding in one.findings
        )
        for (number, (_, _, reach)), one in zip(again.items(), found, strict=True)
    }
    return [
        Fix(place, suggestion, removed.get(number))
        for number, ((place, _), suggestion) in enumerate(zip(asked, suggested, strict=True))
    ]


def _readable(text: str) -> bool:
    try:
        Draft(text).check()
    except DraftError:
        return False
    return True
