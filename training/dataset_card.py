"""What stands in a set of examples, counted as it is written."""

from __future__ import annotations

from collections import Counter
from typing import Any

from training.examples import Example


class DatasetCard:
    """Counts of one split: what it teaches, who made it, and who may use it."""

    def __init__(self) -> None:
        self._examples = self._clean = self._whole = self._words = 0
        self._findings = self._with_fix = 0
        self._counts: dict[str, Counter[str]] = {
            key: Counter() for key in ("criteria", "rubrics", "injectors", "licences", "generators")
        }

    def add(self, example: Example) -> None:
        origin = example.provenance
        self._examples += 1
        self._clean += not example.findings
        self._whole += example.whole
        self._words += len(example.text.split())
        self._findings += len(example.findings)
        self._with_fix += sum(finding.fix is not None for finding in example.findings)
        self._counts["criteria"].update(f"{example.rubric}/{finding.criterion}" for finding in example.findings)
        self._counts["rubrics"][example.rubric] += 1
        self._counts["injectors"].update(origin.injectors or ("none",))
        self._counts["licences"][origin.license] += 1
        self._counts["generators"][origin.generator] += 1

    def to_json(self) -> dict[str, Any]:
        return {
            "examples": self._examples, "clean": self._clean, "whole": self._whole, "words": self._words,
            "findings": self._findings, "findings_with_fix": self._with_fix,
            **{key: dict(sorted(counts.items())) for key, counts in self._counts.items()},
        }  # fmt: skip
