"""What a coach would put at a place, kept in a file as predictions are."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bwcoach import lines
from bwcoach.backends import Backend, Grammar, Line, Prompt, Sampling
from bwcoach.coach import suggest_fix
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft
from bwcoach.rubric import Rubric
from training.predictions import kept_lines
from training.systems import CoachSystem


@dataclass(frozen=True)
class Suggestion:
    """`fix` is None where nothing is offered, whatever the threshold; `probability` where the backend gives none."""

    fix: str | None
    probability: float | None


@dataclass(frozen=True)
class FixQuestion:
    """A place of a text that a fix is asked for, under the criterion of its finding."""

    text: str
    rubric: Rubric
    finding: Finding

    @property
    def key(self) -> str:
        span = self.finding.span
        told = (self.rubric.name, self.rubric.version, self.text, span.start, span.end, self.finding.criterion)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


class LastLine:
    """A backend that remembers the last line it gave, since a fix comes without its probability."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.line: Line | None = None
        self.name, self.context, self.has_adapter = backend.name, backend.context, backend.has_adapter

    def count(self, text: str) -> int:
        return self._backend.count(text)

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        for line in self._backend.complete(prompts, grammars=grammars, tuned=tuned, sampling=sampling, stop=stop):
            self.line = line
            yield line


def suggestions(
    system: CoachSystem, questions: Sequence[FixQuestion], file: Path | None = None
) -> tuple[Suggestion, ...]:
    """The fix of the very `suggest_fix` that the page calls, for each question, whatever the card's threshold.

    Every answer is in `file` as soon as it is given, and one that is there is not asked for again.
    """
    kept = dict(_from_line(line) for line in kept_lines(file, system)) if file else {}
    for question in questions:
        if question.key not in kept:
            kept[question.key] = _asked(system, question)
            if file:
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps({"key": question.key, **vars(kept[question.key])}) + "\n")
    return tuple(kept[question.key] for question in questions)


def _asked(system: CoachSystem, question: FixQuestion) -> Suggestion:
    backend = LastLine(system.coach.backend)
    coach = replace(system.coach, card=system.card.model_copy(update={"fix_threshold": 0.0}), backend=backend)
    bare = Finding(question.finding.span, question.finding.criterion)
    fix = suggest_fix(Draft(question.text), question.rubric, coach, bare, tuned=system.tuned).fix
    return Suggestion(fix, lines.geometric_mean(backend.line.probabilities) if backend.line else None)


def _from_line(line: str) -> tuple[str, Suggestion]:
    row = json.loads(line)
    return row["key"], Suggestion(row["fix"], row["probability"])
