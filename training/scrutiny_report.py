"""What was asked beyond scores, as sections of a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping

from training import calibration, false_alarms, fix_quality, shortcuts, two_rubrics
from training.calibration import Calibration
from training.false_alarms import FalseAlarms
from training.fix_quality import NEVER_OFFERED, FixThreshold
from training.markdown_tables import among, short, table
from training.scrutiny import CONSIDERED_FROM, Fixes, Scrutiny
from training.shortcuts import Shortcut
from training.two_rubrics import TwoRubrics


def sections(scrutiny: Scrutiny) -> list[str]:
    """A section for each measure that there are figures of."""
    told = []
    if scrutiny.calibration:
        told.append(_calibration(scrutiny.calibration))
    if scrutiny.fixes:
        told.append(_fixes(scrutiny.fixes))
    if scrutiny.shortcuts:
        told.append(_shortcuts(scrutiny.shortcuts))
    if scrutiny.false_alarms:
        told.append(_false_alarms(scrutiny.false_alarms))
    if scrutiny.two_rubrics:
        told.append(_two_rubrics(scrutiny.two_rubrics))
    return told


def _calibration(systems: Mapping[str, Mapping[str, Calibration]]) -> str:
    rows = [
        (name, which, f"{one.findings:,}", f"{one.confidence:.3f}", one.right, one.error)
        for name, sets in systems.items() for which, one in sets.items()
    ]  # fmt: skip
    head = ("system", "findings", "number", "mean confidence", "share right", "ECE")
    return (
        f"## Calibration\n\n{calibration.METHOD} *Shown* are the findings under cross-fitted thresholds, *considered* "
        f"all from a confidence of {CONSIDERED_FROM:g} on.\n\n{table(head, rows)}\n\n![Reliability](reliability.png)"
    )


def _fixes(fixes: Fixes) -> str:
    rows = [
        (
            where, one.places, among(one.exact, one.offered), among(one.right, one.offered),
            *(short(value if one.offered else None) for value in (one.bleu, one.bleu_left, one.chrf, one.chrf_left)),
            among(one.removed, one.removable),
        )
        for where, one in fixes.figures.items()
    ]  # fmt: skip
    head = (
        "fixes at", "places", "exact match of those offered", "right", "BLEU", "BLEU of leaving it", "chrF",
        "chrF of leaving it", "removes its finding",
    )
    return (
        f"## Fixes of the tuned model\n\n{fix_quality.METHOD}\n\n{table(head, rows)}\n\n"
        f"{fix_quality.THRESHOLD_METHOD} {_threshold(fixes.threshold)}"
        + ("\n\n![Fixes by probability](fixes.png)" if fixes.by_probability else "")
    )


def _threshold(fitted: FixThreshold | None) -> str:
    if fitted is None:
        return "No fix came with a probability, so no threshold was fitted."
    level = "no probability will do" if fitted.fitted is None else f"it is {fitted.fitted:g}"
    held_out = f"{fitted.held_out} fixes are shown, of which {fitted.right} are right" if fitted.held_out else "none is"
    shipped = "no fix is ever offered" if fitted.shipped >= NEVER_OFFERED else f"{fitted.shipped:g} ships"
    return f"Fitted on all, {level}; cross-fitted, {held_out}. So {shipped}."


def _shortcuts(systems: Mapping[str, Mapping[str, Shortcut]]) -> str:
    rows = [
        (name, which, one.scores.precision, one.scores.recall, one.scores.f1, one.drop.difference,
         f"{one.drop.p_value:.4f}")
        for name, both in systems.items() for which, one in both.items()
    ]  # fmt: skip
    head = ("system", "shortcut", "micro precision", "recall", "F1", "drop in F1", "p")
    return (
        f"## Shortcuts\n\n{shortcuts.METHOD} The drop is the system's own F1 less that of the shortcut, paired by "
        f"draft.\n\n{table(head, rows)}\n\n![Shortcuts](shortcuts.png)"
    )


def _false_alarms(systems: Mapping[str, tuple[FalseAlarms, ...]]) -> str:
    groups = dict.fromkeys((one.where, one.group, one.texts, one.words) for rows in systems.values() for one in rows)
    of = {(name, one.where, one.group): one.per_1000_words for name, rows in systems.items() for one in rows}
    rows = [
        (where, group, texts, f"{words:,}", *(short(of.get((name, where, group))) for name in systems))
        for where, group, texts, words in groups
    ]
    head = ("in", "group", "texts", "words", *(f"{name}: per 1000 words" for name in systems))
    return f"## False alarms\n\n{false_alarms.METHOD}\n\n{table(head, rows)}\n\n![False alarms](false-alarms.png)"


def _two_rubrics(systems: Mapping[str, TwoRubrics]) -> str:
    rows = [
        (
            name, one.texts, among(one.told_apart, one.differing), among(one.alike, one.shared),
            among(one.found_in_both, one.shared), among(one.agreement, one.common),
        )
        for name, one in systems.items()
    ]  # fmt: skip
    head = ("system", "texts", "told apart", "answered alike", "found in both", "agreement")
    return f"## The same passage under two rubrics\n\n{two_rubrics.METHOD}\n\n{table(head, rows)}"
