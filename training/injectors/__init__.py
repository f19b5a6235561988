"""Making good prose weak in one known place."""

from __future__ import annotations

from random import Random
from typing import Protocol

from bwcoach.rubric import Criterion
from training.examples import Example


class Injector(Protocol):
    """What makes a passage worse for one criterion, and knows exactly where."""

    name: str

    def inject(self, passage: Example, criterion: Criterion, rng: Random) -> Example | None:
        """The passage with one weakness more, its findings in place; None where nothing here can be made so weak.

        A passage may already have findings, so weaknesses are stacked by calling again. The same passage and the
        same state of `rng` give the same example.
        """
        ...
