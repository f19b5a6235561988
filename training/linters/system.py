"""A linter as a system among those that are compared."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from bwcoach.diagnosis import Finding, in_text_order
from bwcoach.rubric import Rubric
from training.linters.rule_table import RULES, Complaint, entry
from training.systems import Answer

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


class Linter(Protocol):
    """`version` changes when the complaints could."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def start(self) -> None:
        """Have it ready to answer, or raise a StageError that says what it wants."""

    def complaints(self, text: str) -> tuple[Complaint, ...]: ...


@dataclass(frozen=True)
class LinterSystem:
    """A linter's complaints as findings with confidence 1: of the criteria that the rule table gives its rules."""

    linter: Linter
    extents: tuple[float, ...] = (0.5,)

    @property
    def name(self) -> str:
        return self.linter.name

    @property
    def fingerprint(self) -> str:
        told = self.linter.version.encode() + RULES.read_bytes()
        return hashlib.sha256(told).hexdigest()[:16]

    def prepare(self) -> None:
        """Start the linter."""
        self.linter.start()

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        """Where several rules say the same of overlapping words, the longest stand for them all."""
        found = []
        # Half a surrogate pair is no text to most linters; another character stands in for it.
        for complaint in self.linter.complaints(_HALF_A_CHARACTER.sub("\ufffd", text)):
            known = entry(self.name, complaint.rule, complaint.span.quote(text))
            criterion = known.criterion(rubric) if known else None
            if criterion:
                found.append(Finding(complaint.span, criterion, 1.0))
        kept: list[Finding] = []
        for finding in sorted(found, key=lambda f: (-len(f.span), f.span)):
            if not any(finding.criterion == k.criterion and finding.span.overlap(k.span) for k in kept):
                kept.append(finding)
        return Answer(in_text_order(kept))
