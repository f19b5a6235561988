"""How many examples a second `generate` makes, and how that grows with worker processes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from training.generate import SPLITS, generate
from training.recipe import GenerateRecipe, Recipe

PROSE = Path(__file__).resolve().parent.parent / "training" / "data" / "tiny"
TEXTS = {
    "position-paper": PROSE / "prose-position.jsonl",
    "scientific-paper": PROSE / "prose-science.jsonl",
    "creative-writing": PROSE / "prose-creative.jsonl",
}
PER_CRITERION = 60


def examples_per_second(workers: int) -> float:
    """Of a small data set made anew by the rules of all three rubrics, the start of the processes included."""
    settings = GenerateRecipe(texts=TEXTS, rules_per_criterion=PER_CRITERION)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        made = generate(Recipe(name="benchmark", generate=settings), workers, Path(folder))
        seconds = time.perf_counter() - started
        return sum(len((made / f"{split}.jsonl").read_bytes().splitlines()) for split in SPLITS) / seconds


def main() -> None:
    # The first run of a process reads dictionaries and compiles the lists; a worker does so each time.
    examples_per_second(1)
    one, two = examples_per_second(1), examples_per_second(2)
    print(f"generate: {one:.0f} examples a second with one worker, {two:.0f} with two = {two / one:.2f} times as many")
