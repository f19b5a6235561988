"""What a system found in each text, kept in a file so that it is judged again without being read again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import Rubric
from training.systems import System


@dataclass(frozen=True)
class Question:
    """A text to read under a rubric, with spans grown by this extent."""

    id: str
    rubric: Rubric
    text: str
    extent: float

    @property
    def key(self) -> str:
        told = (self.rubric.name, self.rubric.version, self.extent, self.text)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Prediction:
    findings: tuple[Finding, ...]
    unread: int
    seconds: float


def predict(system: System, questions: Sequence[Question], file: Path | None = None) -> tuple[Prediction, ...]:
    """An answer to each question, in their order. Every answer is in `file` as soon as it is given, and one that is
    there is not asked for again, unless the system's fingerprint is another by now."""
    kept = dict(_from_line(line) for line in kept_lines(file, system)) if file else {}
    if any(question.key not in kept for question in questions):
        system.prepare()
    for question in questions:
        if question.key not in kept:
            started = time.perf_counter()
            answer = system.find(question.text, question.rubric, question.extent)
            prediction = Prediction(answer.findings, answer.unread, time.perf_counter() - started)
            kept[question.key] = prediction
            if file:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(_to_line(question, prediction))
    return tuple(kept[question.key] for question in questions)


def kept_lines(file: Path, system: System) -> list[str]:
    """The lines that a file keeps of this state of the system; the file is left with its head and these alone."""
    head = json.dumps({"system": system.name, "fingerprint": system.fingerprint}) + "\n"
    old = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    # A line that was cut short by a kill has no line end.
    good = [line for line in old[1:] if line.endswith("\n")] if old[:1] == [head] else []
    if old != [head, *good]:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text("".join([head, *good]), encoding="utf-8")
        part.replace(file)
    return good


def _to_line(question: Question, prediction: Prediction) -> str:
    row: dict[str, Any] = {
        "key": question.key, "id": question.id, "extent": question.extent,
        "seconds": round(prediction.seconds, 4), "unread": prediction.unread,
        "findings": [
            [f.span.start, f.span.end, f.criterion, None if f.confidence is None else round(f.confidence, 4)]
            for f in prediction.findings
        ],
    }
    return json.dumps(row) + "\n"


def _from_line(line: str) -> tuple[str, Prediction]:
    row = json.loads(line)
    findings = tuple(Finding(Span(start, end), criterion, sure) for start, end, criterion, sure in row["findings"])
    return row["key"], Prediction(findings, row["unread"], row["seconds"])
