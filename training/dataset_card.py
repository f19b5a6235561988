"""What stands in a set of examples, counted as it is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from training.examples import Example, write_examples
from training.injectors import authored

WORDS_PER_BIN = 20
_KINDS = ("criteria", "rubrics", "injectors", "licences", "generators", "forms", "lengths", "densities")


class DatasetCard:
    """Counts of some examples: what they teach, who made them, and who may use them.

    Under `lengths` the keys are the least words of a bin of twenty, under `densities` the least findings per 100
    words of a bin of one. `criteria_by_generator` tells rules from authored and prompted findings. An authored edit
    is a form that only its passage has, so it is not among the `forms`.
    """

    def __init__(self) -> None:
        self._totals = Counter(examples=0, clean=0, whole=0, words=0, findings=0, findings_with_fix=0, unseen=0)
        self._counts: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        self._of: dict[str, Counter[str]] = {}

    def add(self, example: Example) -> None:
        origin, words = example.provenance, len(example.text.split())
        criteria = [f"{example.rubric}/{finding.criterion}" for finding in example.findings]
        self._totals.update(
            examples=1, clean=not example.findings, whole=example.whole, words=words, findings=len(example.findings),
            findings_with_fix=sum(finding.fix is not None for finding in example.findings), unseen=origin.unseen,
        )  # fmt: skip
        self._counts["criteria"].update(criteria)
        self._counts["rubrics"][example.rubric] += 1
        self._counts["injectors"].update(origin.injectors or ("none",))
        self._counts["licences"][origin.license] += 1
        self._counts["generators"][origin.generator] += 1
        if authored.Authored.name not in origin.injectors:
            self._counts["forms"].update(origin.forms)
        self._counts["lengths"][str(words // WORDS_PER_BIN * WORDS_PER_BIN)] += 1
        self._counts["densities"][str(100 * len(criteria) // max(1, words))] += 1
        self._of.setdefault(origin.generator, Counter()).update(criteria)

    def to_json(self) -> dict[str, Any]:
        of = {generator: dict(counts) for generator, counts in self._of.items() if counts}
        return {
            **{key: int(count) for key, count in self._totals.items()},
            **{kind: dict(counts) for kind, counts in self._counts.items()}, "criteria_by_generator": of,
        }  # fmt: skip


def write_counted(examples: Iterable[Example], file: Path, unused: Mapping[str, int]) -> None:
    """Write the examples, whole or not at all, and beside them what is counted of them (.json).

    `unused` says how many passages gave no example, by reason; it is looked at when all are written.
    """

    def counted() -> Iterator[Example]:
        card = DatasetCard()
        for example in examples:
            card.add(example)
            yield example
        # Before the examples are whole, so that whole ones always have their counts.
        counts = {"card": card.to_json(), "unused": dict(unused)}
        file.with_suffix(".json").write_text(json.dumps(counts, ensure_ascii=False), encoding="utf-8")

    write_examples(counted(), file)


def read_counts(files: Iterable[Path]) -> tuple[dict[str, Any], dict[str, int]]:
    """The card of several files taken together, and what was not used for them."""
    counts = [json.loads(file.with_suffix(".json").read_text(encoding="utf-8")) for file in files]
    card = added([DatasetCard().to_json(), *(count["card"] for count in counts)])
    return card, added([count["unused"] for count in counts])


def added(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Nested counts added up key by key, the keys in order."""
    total: dict[str, Any] = {}
    for count in counts:
        for key, value in count.items():
            total[key] = added([total.get(key, {}), value]) if isinstance(value, dict) else total.get(key, 0) + value
    return dict(sorted(total.items(), key=lambda entry: (int(entry[0]) if entry[0].isdigit() else 0, entry[0])))
