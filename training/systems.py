"""What is compared: anything that reads a text under a rubric and gives findings."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from bwcoach.backends import Grammar, Line, Prompt, Reader, Reading, Sampling
from bwcoach.coach import Coach, diagnosis
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft
from bwcoach.models import ModelCard, ModelFile
from bwcoach.rubric import Rubric
from training.form_matcher import FormMatcher
from training.thresholds import LEAST_CONFIDENCE


@dataclass(frozen=True)
class Answer:
    """Findings from LEAST_CONFIDENCE on, and how many answers named no place in the text."""

    findings: tuple[Finding, ...]
    unread: int = 0


class System(Protocol):
    """`extents` are the ways of growing spans from their peaks that are worth trying; a system whose spans do not
    grow names one. `fingerprint` changes when the answers could."""

    @property
    def name(self) -> str: ...

    @property
    def extents(self) -> tuple[float, ...]: ...

    @property
    def fingerprint(self) -> str: ...

    def prepare(self) -> None:
        """Load or learn what answering needs; the time that is measured begins after it."""

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        """Everything that was considered, with its confidence where there is one."""


@dataclass(frozen=True)
class CoachSystem:
    """A coach, read by the very `diagnose` that the page and the command line call.

    Only its card's thresholds and extent are put aside, since they are what is fitted here. `load` is called when
    a text is to be read, so that predictions that were kept need no model.
    """

    name: str
    card: ModelCard
    load: Callable[[], Coach]
    tuned: bool
    extents: tuple[float, ...]

    @cached_property
    def fingerprint(self) -> str:
        told = self.card.model_dump_json(
            exclude={"description", "thresholds", "extent", "precision", "fix_threshold", "folder"}
        )
        files = [_state(self.card, file) for file in (self.card.base, self.card.adapter) if file is not None]
        return hashlib.sha256(repr((told, files, self.tuned)).encode()).hexdigest()[:16]

    @cached_property
    def coach(self) -> Coach:
        coach = self.load()
        return replace(coach, backend=LastReading(coach.backend)) if isinstance(coach.backend, Reader) else coach

    def prepare(self) -> None:
        """Load the model."""
        self.coach  # noqa: B018

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        shown = dict.fromkeys(rubric.ids, LEAST_CONFIDENCE)
        card = self.card.model_copy(update={"thresholds": shown, "extent": extent})
        coach = replace(self.coach, card=card)
        found = diagnosis(Draft(text), rubric, coach, tuned=self.tuned)
        return Answer(found.findings, found.unread)


class LastReading:
    """A reader that remembers its last answers: another extent of the same text needs no other forward pass."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked: tuple[Sequence[Prompt], Sequence[str], bool] | None = None
        self._readings: list[Reading] = []
        self.name, self.context, self.has_adapter = reader.name, reader.context, reader.has_adapter

    def count(self, text: str) -> int:
        return self._reader.count(text)

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        return self._reader.complete(prompts, grammars=grammars, tuned=tuned, sampling=sampling, stop=stop)

    def read(
        self, prompts: Sequence[Prompt], candidates: Sequence[str], *, tuned: bool, stop: threading.Event
    ) -> Iterator[Reading]:
        if self._asked != (prompts, candidates, tuned):
            self._asked = None
            self._readings = list(self._reader.read(prompts, candidates, tuned=tuned, stop=stop))
            self._asked = (prompts, candidates, tuned)
        return iter(self._readings)


def _state(card: ModelCard, file: ModelFile) -> str:
    """What tells one state of a model's file or folder from another without reading it."""
    path = card.path(file)
    if file.sha256 is not None or not path.exists():
        return file.sha256 or file.path
    files = sorted(path.rglob("*")) if path.is_dir() else [Path(path)]
    return repr([(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in files if each.is_file()])


@dataclass(frozen=True)
class FormSystem:
    """Lists of forms, matched where they stand: what needs no model at all."""

    name: str = "form matcher"
    extents: tuple[float, ...] = (0.5,)

    @property
    def fingerprint(self) -> str:
        """New in every run: its lists are quicker to match than to compare."""
        return uuid.uuid4().hex

    def prepare(self) -> None:
        """Nothing to load."""

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        return Answer(FormMatcher(rubric).findings(Draft(text)))
