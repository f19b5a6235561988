"""A draft as it is being read and once it has been: what the page keeps for its visitor, and shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bwcoach.coach import Coach, diagnose
from bwcoach.diagnosis import Diagnosis, Finding, in_text_order
from bwcoach.draft import Draft
from bwcoach.models import ModelCard
from bwcoach.rubric import Rubric
from bwcoach.ui.highlight import finding_key

LOOSEST = 0.1
"""Drafts are read at this strictness, or a lower one that was asked for. A span does not depend on strictness, only
whether it is shown does, so every stricter setting can be shown from the same reading."""

MOST_SHOWN = 400


@dataclass(frozen=True)
class Review:
    """What a reading at strictness `read_at` has found so far, and for which findings a fix has been asked for."""

    diagnosis: Diagnosis
    card: ModelCard
    model: str
    read_at: float
    words_read: int
    asked: frozenset[str] = frozenset()

    def at(self, strictness: float) -> Diagnosis:
        """The diagnosis as a reading at this strictness, not below `read_at`, would have given it, as far as a person
        can use it: of more than MOST_SHOWN findings the surest."""
        kept = self._at(strictness)
        if len(kept) > MOST_SHOWN:
            kept = in_text_order(sorted(kept, key=lambda finding: -(finding.confidence or 0.0))[:MOST_SHOWN])
        return replace(self.diagnosis, findings=kept)

    def left_out(self, strictness: float) -> int:
        """How many findings `at` leaves out because there are too many to show."""
        return max(0, len(self._at(strictness)) - MOST_SHOWN)

    def _at(self, strictness: float) -> tuple[Finding, ...]:
        return tuple(
            finding
            for finding in self.diagnosis.findings
            if finding.confidence is None or finding.confidence >= self.card.threshold(finding.criterion, strictness)
        )

    def finding(self, key: str) -> Finding | None:
        return next((finding for finding in self.diagnosis.findings if finding_key(finding) == key), None)

    def with_fix_of(self, finding: Finding) -> Review:
        """The review once a fix was asked for; `finding` carries it, or none where none was probable enough."""
        key = finding_key(finding)
        findings = tuple(finding if finding_key(old) == key else old for old in self.diagnosis.findings)
        return replace(self, diagnosis=replace(self.diagnosis, findings=findings), asked=self.asked | {key})


def reviews(
    draft: Draft, rubric: Rubric, coach: Coach, model: str, *, strictness: float, stop: threading.Event,
    tuned: bool = True,
) -> Iterator[Review]:
    """The review after each window; a first one without findings as soon as it is clear that the draft can be read."""
    read_at = min(strictness, LOOSEST)
    started = time.perf_counter()
    found: list[Finding] = []
    unread = words_read = 0

    def review(*, complete: bool) -> Review:
        seconds = time.perf_counter() - started
        diagnosis = Diagnosis(draft, rubric, coach.card.name, in_text_order(found), seconds, unread, complete)
        return Review(diagnosis, coach.card, model, read_at, words_read)

    steps = diagnose(draft, rubric, coach, tuned=tuned, strictness=read_at, stop=stop)
    yield review(complete=False)
    for step in steps:
        found.extend(step.findings)
        unread += step.unread
        words_read = step.words_read
        yield review(complete=False)
    if not stop.is_set():
        yield review(complete=True)
