"""What several test modules share."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from bwcoach.backends import Grammar, Line, Prompt, Sampling


class ScriptedBackend:
    """Says the completions one after another, one a prompt, whatever it is asked."""

    name, context, has_adapter = "scripted", 4096, True

    def __init__(self, *completions: str) -> None:
        self.completions = iter(completions)

    def count(self, text: str) -> int:
        return len(text.split())

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        for number in range(len(prompts)):
            *lines, last = next(self.completions).split("\n")
            yield from [Line(number, line, last=False) for line in lines]
            yield Line(number, last, last=True)
