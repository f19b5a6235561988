"""What was found in a draft."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bwcoach.draft import Draft, Span
from bwcoach.rubric import Rubric


@dataclass(frozen=True)
class Finding:
    """One weakness at one place: injected, labelled by a person, or read by a model.

    `confidence` is a probability, None where the model gives none. `fix` is what would stand there instead: an
    empty text means that the words should go, None that no fix is known.
    """

    span: Span
    criterion: str
    confidence: float | None = None
    fix: str | None = None
    comment: str | None = None

    def quote(self, draft: Draft) -> str:
        return self.span.quote(draft.text)

    def with_fix(self, fix: str | None) -> Finding:
        return replace(self, fix=fix)


@dataclass(frozen=True)
class Diagnosis:
    """A draft's findings in text order.

    `unread` counts answers of the model that named no place in the draft; they are never shown.
    `complete` is False where the reading was stopped before the end.
    """

    draft: Draft
    rubric: Rubric
    model: str
    findings: tuple[Finding, ...]
    seconds: float
    unread: int = 0
    complete: bool = True

    def count(self, criterion: str) -> int:
        return sum(finding.criterion == criterion for finding in self.findings)


def in_text_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place, the longer first where two begin together; one of equal findings is kept, the surest."""
    kept: dict[tuple[Span, str], Finding] = {}
    for finding in sorted(findings, key=lambda f: -(f.confidence or 0.0)):
        kept.setdefault((finding.span, finding.criterion), finding)
    return tuple(sorted(kept.values(), key=lambda f: (f.span.start, -f.span.end, f.criterion)))
