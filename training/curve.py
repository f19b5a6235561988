"""The loss curve of a base, drawn from what pretraining wrote down."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

SMOOTHED = 50


def draw_curve(curve: Path, picture: Path) -> None:
    """Nats a token in training, averaged over SMOOTHED steps, and on the dev split, over the tokens read."""
    rows = [json.loads(line) for line in curve.read_text(encoding="utf-8").splitlines()]
    groups = [rows[i : i + SMOOTHED] for i in range(0, len(rows), SMOOTHED)]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(
        [group[-1]["tokens"] / 1e6 for group in groups],
        [sum(row["loss"] for row in group) / len(group) for group in groups],
        label="train", color="0.3",
    )  # fmt: skip
    measured = [row for row in rows if row.get("dev")]
    for genre in measured[0]["dev"] if measured else ():
        tokens = [row["tokens"] / 1e6 for row in measured]
        axes.plot(tokens, [row["dev"][genre] for row in measured], marker="o", markersize=3, label=f"dev, {genre}")
    axes.set(xlabel="million tokens read", ylabel="nats a token")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)
    pyplot.close(figure)
