"""The dataset card for people: a page of tables with one picture, from the card for programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

from training.dataset_card import WORDS_PER_BIN

PICTURE = "histograms.png"
_SHOWN_FORMS = 40


def write_page(cards: dict[str, Any], folder: Path) -> Path:
    """README.md and its picture in the folder; gives the page."""
    _draw(cards["splits"], folder / PICTURE)
    page = folder / "README.md"
    page.write_text("\n\n".join(_sections(cards)) + "\n", encoding="utf-8")
    return page


def _sections(cards: dict[str, Any]) -> list[str]:
    splits, train = cards["splits"], cards["splits"]["train"]
    clean = train["clean"] / max(1, train["examples"])
    made = ", ".join(train["generators"]) or "none"
    apart = cards["held_out"]
    sections = [
        f"# Examples of {cards['recipe']}",
        f"Good writing made weak in known places, by `python -m training generate`, seed {cards['seed']}. "
        f"{clean:.0%} of the train split is clean. Whoever made the weaknesses: {made}.",
        _counts("", splits, {what: {s: splits[s][key] for s in splits} for what, key in (
            ("examples", "examples"), ("of these clean", "clean"), ("of these whole drafts", "whole"),
            ("words", "words"), ("findings", "findings"), ("findings with a fix", "findings_with_fix"),
            ("examples of unseen forms or injectors", "unseen"),
        )}),
        f"Never in train: {apart['forms']:.0%} of the listed forms, chosen by their names' hashes, and the injector "
        f"{apart['injector'] or '(none)'}. Works, forms and texts of dev and test are not in train.",
        "## Findings by criterion", _by_split("criterion", splits, "criteria"),
        "## Findings in train by who made them", _by_generator(train),
    ]  # fmt: skip
    if cards["authored"]:
        rows = ((name, f"{n['findings']:,}", f"{n['places']:,}") for name, n in cards["authored"].items())
        sections += [
            "## Authored findings and the places they vary",
            "Any subset of a passage's edits is an example, so one written place stands behind several findings.",
            _table(("criterion", "findings in train", "different places"), rows),
        ]
    for title, key in (("rubric", "rubrics"), ("injector", "injectors"), ("generator", "generators"),
                       ("licence", "licences")):  # fmt: skip
        sections += [f"## Examples by {title}", _by_split(title, splits, key)]
    forms = sorted(train["forms"].items(), key=lambda entry: (-entry[1], entry[0]))
    sections += [
        "## Forms",
        f"{len(forms):,} forms in train, authored edits apart. The most frequent {min(_SHOWN_FORMS, len(forms))}:",
        _table(("form", "examples in train"), ((form, f"{count:,}") for form, count in forms[:_SHOWN_FORMS])),
        "## Length and density", f"![Histograms]({PICTURE})",
        _by_split("words of an example", splits, "lengths", lambda n: f"{n} to {int(n) + WORDS_PER_BIN - 1}"),
        _by_split("findings per 100 words", splits, "densities", lambda n: f"{n} to under {int(n) + 1}"),
    ]  # fmt: skip
    if cards["unused"]:
        reasons = ((reason, f"{count:,}") for reason, count in cards["unused"].items())
        sections += ["## Not used", _table(("what and why", "count"), reasons)]
    return sections


def _by_split(title: str, splits: dict[str, Any], key: str, name: Any = str) -> str:
    kinds = {kind: None for card in splits.values() for kind in card[key]}
    ordered = sorted(kinds, key=lambda kind: (int(kind) if kind.isdigit() else 0, kind))
    return _counts(title, splits, {name(kind): {s: splits[s][key].get(kind, 0) for s in splits} for kind in ordered})


def _by_generator(train: dict[str, Any]) -> str:
    generators = list(train["criteria_by_generator"])
    rows: list[tuple[str, ...]] = []
    for criterion in train["criteria"]:
        counts = [train["criteria_by_generator"][generator].get(criterion, 0) for generator in generators]
        rows.append((criterion, *(f"{count:,}" for count in counts)))
    return _table(("criterion", *generators), rows)


def _counts(title: str, splits: Iterable[str], rows: dict[str, dict[str, int]]) -> str:
    names = list(splits)
    return _table((title, *names), ((row, *(f"{count[s]:,}" for s in names)) for row, count in rows.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _draw(splits: dict[str, Any], picture: Path) -> None:
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axes, key, width, label in (
        (panels[0], "lengths", WORDS_PER_BIN, "words of an example"),
        (panels[1], "densities", 1, "findings per 100 words"),
    ):
        for name, card in splits.items():
            bins = sorted(int(start) for start in card[key])
            total = max(1, sum(card[key].values()))
            shares = [card[key][str(start)] / total for start in bins]
            axes.step([*bins, bins[-1] + width] if bins else [], [*shares, 0] if bins else [], where="post", label=name)
        axes.set(xlabel=label, ylabel="share of the split's examples")
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].legend(frameon=False)
    figure.savefig(picture, dpi=120)
    pyplot.close(figure)
