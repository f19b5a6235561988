"""A coach that finds what a test tells it to, in the real engine: only the model behind it is a double."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bwcoach.backends import Grammar, Line, Prompt, Reading, Sampling
from bwcoach.coach import Coach
from bwcoach.models import ModelCard, ModelFile, Window
from bwcoach.rubric import builtin_rubrics, load_rubric

SURE, UNSURE = 2.0, -1.0
"""Logits of a criterion that is found: a probability of 0.88, and of 0.27, which only a loose reading shows."""


@dataclass
class ScriptedReader:
    """Finds each criterion at the words its pattern matches; the base sees the criteria of `base` alone.

    A passage with the word "slowly" in it takes until `go_on` is set, or until it is stopped.
    """

    patterns: Mapping[str, str]
    base: frozenset[str] = frozenset()
    fix: tuple[str, float] = ("", 0.0)
    go_on: threading.Event = field(default_factory=threading.Event)
    name: str = "scripted"
    context: int = 2048
    has_adapter: bool = True

    def count(self, text: str) -> int:
        return len(text.split())

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        text, probability = self.fix
        for number in range(len(prompts)):
            yield Line(number, text, True, (text,), (probability,))

    def read(
        self, prompts: Sequence[Prompt], candidates: Sequence[str], *, tuned: bool, stop: threading.Event
    ) -> Iterator[Reading]:
        for number, prompt in enumerate(prompts):
            while "slowly" in prompt.answer and not self.go_on.wait(0.02):
                if stop.is_set():
                    return
            spans = np.array([m.span() for m in re.finditer(r"\s*\S+", prompt.answer)], dtype=np.int64)
            logits = np.full((len(spans), len(candidates)), -5.0, dtype=np.float32)
            logits[:, 0] = 0.0
            for column, criterion in enumerate(candidates[1:], start=1):
                if criterion in self.patterns and (tuned or criterion in self.base):
                    for match in re.finditer(self.patterns[criterion], prompt.answer):
                        inside = (spans[:, 0] < match.end()) & (spans[:, 1] > match.start())
                        logits[inside, column] = UNSURE if match.group().startswith("perhaps") else SURE
            yield Reading(number, spans, logits)


def scripted_card(window: int = 120) -> ModelCard:
    """The card of a model that was taught every built-in rubric and right in 41 of 100 of its findings."""
    ids = dict.fromkeys(c for name in builtin_rubrics() for c in load_rubric(name).ids)
    return ModelCard(
        name="scripted", description="Finds what it is told to.", base=ModelFile(path="base.gguf"),
        adapter=ModelFile(path="adapter.gguf"), context=2048, answer="tags", style="compact",
        rubrics=builtin_rubrics(), labels={criterion: criterion for criterion in ids}, nothing="nothing",
        window=Window(tokens=window, context=0), precision=0.41,
    )  # fmt: skip


def scripted_coach(reader: ScriptedReader) -> Coach:
    return Coach(scripted_card(), reader)
