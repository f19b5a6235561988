"""How often each criterion is looked for, so that every one gets what is wanted of it without counting on the way."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

MOST_FINDINGS = 5
WORDS_PER_FINDING = 35
_MOST_VERSIONS = 8.0
_MARGIN = 1.1
_ROUNDS = 12


@dataclass(frozen=True)
class Rates:
    """What a sample of the train split's passages can be made to show."""

    passages_per_document: float
    words: tuple[int, ...]
    fired: tuple[tuple[str, ...], ...]
    """Of each tried passage the criteria that could be injected."""


@dataclass(frozen=True)
class Plan:
    """What is done to each passage, whatever the passages before it gave.

    `documents` is the share of the documents that are looked into at all; the rest is about their passages. `taken` is
    how many weak versions a passage gets, as a mean; in each, criteria are tried in an order that their `weights` make
    likely, up to `room` findings. `looked_for` is how many more versions it gets, as a mean, for the sake of a
    criterion that is seldom possible; only passages where it is possible get them.
    """

    documents: float
    taken: float
    weights: Mapping[str, float]
    looked_for: Mapping[str, float]

    def order(self, rng: Random) -> list[str]:
        """The criteria in the order in which a version tries them."""
        return sorted(self.weights, key=lambda criterion: rng.expovariate(self.weights[criterion]))

    def write(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(path)

    @staticmethod
    def read(path: Path) -> Plan:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))


def room(words: int, rng: Random) -> int:
    """How many findings a version of a passage of so many words gets at most."""
    return min(rng.randint(1, MOST_FINDINGS), words // WORDS_PER_FINDING)


def make_plan(rates: Rates, criteria: Sequence[str], documents: int, wanted: int, seed: int) -> Plan:
    """Weights that level the criteria on the sample, and versions in such number that all reach what is wanted.

    A criterion that the sample shows too seldom for that is looked for in passages of its own. Rates are taken a
    standard error low, so that too much comes rather than too little, and no passage gets more than eight versions
    for one reason: a small corpus gives less than is wanted of what it hardly has.
    """
    tried = len(rates.fired)
    passages = documents * rates.passages_per_document
    weights = dict.fromkeys(criteria, 1.0)
    if not tried or not passages:
        return Plan(1.0, 0.0, weights, dict.fromkeys(criteria, 0.0))
    wanted = math.ceil(_MARGIN * wanted)
    for number in range(_ROUNDS):
        made = _simulated(rates, weights, Random(f"{seed}:plan:{number}"))
        versions = wanted * len(criteria) / max(sum(made.values()), 1e-9)
        for criterion in criteria:
            lack = wanted / max(versions * made[criterion], 1e-9)
            weights[criterion] = min(1e4, max(1e-3, weights[criterion] * min(2.0, max(0.5, lack))))
    possible = {criterion: sum(criterion in fired for fired in rates.fired) for criterion in criteria}
    looked_for = dict.fromkeys(criteria, 0.0)
    extra = 0.0
    for criterion in criteria:
        lacking = max(0.0, wanted - versions * made[criterion])
        rate = max(possible[criterion] - math.sqrt(possible[criterion]), 0.5) / tried
        looked_for[criterion] = min(_MOST_VERSIONS, lacking / (passages * rate))
        extra += min(lacking, looked_for[criterion] * passages * rate)
    taken = min(_MOST_VERSIONS, max(0.0, versions - extra) / passages)
    # With little wanted most passages would be read for nothing; four times what is needed keeps them varied.
    share = min(1.0, 4 * max(taken, *looked_for.values()))
    return Plan(share, taken / share, weights, {criterion: much / share for criterion, much in looked_for.items()})


def _simulated(rates: Rates, weights: Mapping[str, float], rng: Random) -> dict[str, float]:
    """How many findings of each criterion a version gets, as a mean over the sample."""
    made = dict.fromkeys(weights, 0)
    for words, fired in zip(rates.words, rates.fired, strict=True):
        order = sorted(fired, key=lambda criterion: rng.expovariate(weights[criterion]))
        for criterion in order[: room(words, rng)]:
            made[criterion] += 1
    return {criterion: count / len(rates.fired) for criterion, count in made.items()}
