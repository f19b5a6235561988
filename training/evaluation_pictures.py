"""The evaluation's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from training.calibration import Calibration
from training.false_alarms import FalseAlarms
from training.fix_quality import NEVER_OFFERED
from training.judgement import Judgement
from training.scoring import Estimate
from training.scrutiny import CONSIDERED_FROM, SHOWN, Fixes, Scrutiny
from training.shortcuts import Shortcut

matplotlib.use("Agg")

INK, SOUND, WEAK = "#37474f", "#90a4ae", "#c26a3d"


def pictures(judgements: Sequence[Judgement], scrutiny: Scrutiny) -> dict[str, Figure]:
    """Each picture there are figures for, by the name of its file."""
    drawn = {}
    if judgements:
        drawn["scores.png"] = scores_picture(judgements)
    if scrutiny.calibration:
        drawn["reliability.png"] = reliability_picture(scrutiny.calibration)
    if scrutiny.shortcuts:
        of = {judgement.system: judgement.scores.micro.f1 for judgement in judgements}
        drawn["shortcuts.png"] = shortcuts_picture({name: of[name] for name in scrutiny.shortcuts}, scrutiny.shortcuts)
    if scrutiny.false_alarms:
        drawn["false-alarms.png"] = false_alarms_picture(scrutiny.false_alarms)
    if scrutiny.fixes and scrutiny.fixes.by_probability:
        drawn["fixes.png"] = fixes_picture(scrutiny.fixes)
    return drawn


def scores_picture(judgements: Sequence[Judgement]) -> Figure:
    """Micro F1 with its interval, and findings per 1000 words of drafts and of their repairs, by system."""
    figure = Figure(figsize=(11, 1.6 + 0.5 * len(judgements)), layout="constrained")
    scores, densities = figure.subplots(1, 2, sharey=True)
    names = [one.system for one in judgements]
    places = range(len(judgements))
    values = [one.scores.micro.f1 for one in judgements]
    reach = [[max(0.0, v.value - v.low) for v in values], [max(0.0, v.high - v.value) for v in values]]
    scores.barh(places, [v.value for v in values], xerr=reach, color=SOUND, ecolor=INK, capsize=3)
    scores.set(xlabel="micro F1 (95 % interval)", xlim=(0, None))
    scores.set_yticks(places, names)
    scores.invert_yaxis()
    drafts = [one.found_in_drafts.value for one in judgements]
    repairs = [one.found_in_repairs.value if one.found_in_repairs else 0.0 for one in judgements]
    densities.barh([p - 0.2 for p in places], drafts, height=0.38, color=WEAK, label="drafts")
    densities.barh([p + 0.2 for p in places], repairs, height=0.38, color=SOUND, hatch="//", label="their repairs")
    densities.set(xlabel="findings per 1000 words")
    densities.legend(frameon=False)
    for axes in (scores, densities):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def reliability_picture(systems: Mapping[str, Mapping[str, Calibration]]) -> Figure:
    """The share of findings that is right against their confidence: a row a system, the shown and all considered."""
    kinds = list(dict.fromkeys(which for sets in systems.values() for which in sets))
    figure = Figure(figsize=(5 * len(kinds), 4.4 * len(systems)), layout="constrained")
    grid = figure.subplots(len(systems), len(kinds), squeeze=False)
    for row, (name, sets) in zip(grid, systems.items(), strict=True):
        for axes, which in zip(row, kinds, strict=True):
            axes.spines[["top", "right"]].set_visible(False)
            if which not in sets:
                axes.set_axis_off()
                continue
            one = sets[which]
            axes.plot([0, 1], [0, 1], color=SOUND, linestyle="--", linewidth=1, label="as often as it says")
            sure, right = [b.confidence for b in one.bins], [b.right for b in one.bins]
            axes.errorbar(
                sure, [r.value for r in right], yerr=_reach(right), color=WEAK, ecolor=INK, marker="o", capsize=3,
                linewidth=1, label="bins of equal numbers", clip_on=False,
            )
            told = "shown under its thresholds" if which == SHOWN else f"all from {CONSIDERED_FROM:g} on"
            axes.set(
                title=f"{name}: {told}\n{one.findings:,} findings, ECE {one.error.value:.3f}",
                xlabel="mean confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1), aspect="equal",
            )
            axes.legend(frameon=False, loc="upper left")
    return figure


def shortcuts_picture(real: Mapping[str, Estimate], shortcuts: Mapping[str, Mapping[str, Shortcut]]) -> Figure:
    """Micro F1 as it is, and by each shortcut."""
    figure = Figure(figsize=(4.2 * len(real), 3.6), layout="constrained")
    panels = figure.subplots(1, len(real), squeeze=False, sharey=True)[0]
    for axes, (name, value) in zip(panels, real.items(), strict=True):
        bars = {"as it is": value, **{which: one.scores.f1 for which, one in shortcuts[name].items()}}
        values = list(bars.values())
        axes.bar(
            list(bars), [v.value for v in values], yerr=_reach(values), color=[WEAK] + [SOUND] * (len(bars) - 1),
            ecolor=INK, capsize=3,
        )
        axes.set(title=name)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="micro F1 (95 % interval)", ylim=(0, None))
    return figure


def false_alarms_picture(systems: Mapping[str, tuple[FalseAlarms, ...]]) -> Figure:
    """False alarms per 1000 words by group, side by side for the systems."""
    groups = list(dict.fromkeys((one.where, one.group, one.texts) for rows in systems.values() for one in rows))
    figure = Figure(figsize=(9, 1.4 + 0.5 * len(groups)), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(systems)
    for number, (name, rows) in enumerate(systems.items()):
        of = {(one.where, one.group, one.texts): one.per_1000_words for one in rows}
        values = [of[group] for group in groups if group in of]
        heights = [place + (number - (len(systems) - 1) / 2) * width for place, g in enumerate(groups) if g in of]
        axes.barh(
            heights, [v.value for v in values], height=width, xerr=_reach(values), ecolor=INK, capsize=2, label=name,
            color=(WEAK, SOUND, INK)[number % 3],
        )
    axes.set_yticks(range(len(groups)), [f"{where}: {group} ({texts})" for where, group, texts in groups])
    axes.invert_yaxis()
    axes.set(xlabel="false alarms per 1000 words (95 % interval); in brackets the number of texts", xlim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def fixes_picture(fixes: Fixes) -> Figure:
    """How many fixes would be offered from each probability on, and the share of them that is right."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    sure = [probability for probability, _ in fixes.by_probability]
    right = [sum(good for _, good in fixes.by_probability[: n + 1]) / (n + 1) for n in range(len(sure))]
    axes.step(sure, right, where="post", color=WEAK, label="share of them right")
    axes.step(sure, [(n + 1) / len(sure) for n in range(len(sure))], where="post", color=SOUND, label="share offered")
    axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    if fixes.threshold and fixes.threshold.shipped < NEVER_OFFERED:
        axes.axvline(fixes.threshold.shipped, color=INK, linewidth=0.8, linestyle="--", label="threshold")
    axes.set(xlabel="offered from this probability on", xlim=(0, 1), ylim=(-0.03, 1.03), title=f"Of {len(sure)} fixes")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _reach(values: Sequence[Estimate]) -> list[list[float]]:
    """How far intervals go below and above."""
    return [[max(0.0, v.value - v.low) for v in values], [max(0.0, v.high - v.value) for v in values]]
