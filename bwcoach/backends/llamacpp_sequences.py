"""What the cache of a context holds, and the answers that grow in it side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bwcoach.backends import Line
from bwcoach.backends.answer import Answer
from bwcoach.backends.llamacpp_context import SEQUENCES, LlamaContext, Token

# A beginning that all prompts of a call share is computed once, unless it is too short to be worth a pass of its own.
WORTH_SHARING = 64


@dataclass(frozen=True, eq=False)
class Call:
    """One call of read or complete: its adapter state, and the beginning that all its prompts share."""

    tuned: bool
    prefix: tuple[int, ...]


def new_call(prompts: Sequence[list[int]], *, tuned: bool) -> Call:
    """The call for these prompts, each of which keeps at least one token of its own."""
    shared = 0
    if len(prompts) > 1:
        most = min(map(len, prompts)) - 1
        while shared < most and len({prompt[shared] for prompt in prompts}) == 1:
            shared += 1
    return Call(tuned, tuple(prompts[0][:shared]) if shared >= WORTH_SHARING else ())


class Cache:
    """A context's sequences: 0 holds the shared beginning of the call that the cache is in the hands of.

    A call that finds the cache in another's hands starts anew, so that what one adapter state computed never
    serves the other.
    """

    def __init__(self, model: LlamaContext) -> None:
        self.model = model
        self._call: Call | None = None

    def forget(self) -> None:
        """Trust nothing that is in it."""
        self._call = None

    def is_of(self, call: Call) -> bool:
        return self._call is call

    def take_over(self, call: Call, stop: threading.Event) -> None:
        """Begin a call: the adapter as it asks, its shared beginning in sequence 0. Stopped, it belongs to nobody."""
        self._call = None
        self.model.start(tuned=call.tuned)
        for _ in self.feed(call.prefix, 0, 0, asks=False, stop=stop):
            pass
        if not stop.is_set():
            self._call = call

    def branch(self, call: Call, sequence: int) -> None:
        """Let a sequence begin with the shared beginning alone."""
        self.model.cut(sequence, 0)
        if call.prefix:
            self.model.copy(0, sequence)

    def feed(
        self, tokens: Sequence[int], start: int, sequence: int, *, asks: bool, stop: threading.Event
    ) -> Iterator[NDArray[np.float32]]:
        """Compute a sequence's tokens from position `start` on, a call at a time, until done or stopped."""
        step = self.model.call_tokens
        for first in range(0, len(tokens), step):
            if stop.is_set():
                return
            part = tokens[first : first + step]
            yield self.model.decode([(t, start + first + i, sequence, asks) for i, t in enumerate(part)])


class Answers:
    """The answers of one call: as many at a time as there are sequences and cells for, the others waiting."""

    def __init__(self, cache: Cache, call: Call, answers: Sequence[Answer]) -> None:
        self._cache = cache
        self._call = call
        self._waiting = deque(answers)
        self._active: list[Answer] = []
        self._free = list(range(1, SEQUENCES + 1))

    @property
    def unfinished(self) -> bool:
        return bool(self._waiting or self._active)

    def cut_short(self) -> list[Line]:
        """End all of them where they are."""
        lines = [answer.cut_short() for answer in (*self._active, *self._waiting)]
        self._active.clear()
        self._waiting.clear()
        return lines

    def go_on(self, stop: threading.Event) -> list[Line]:
        """Compute until at least one line is finished, or all are stopped."""
        if not self._cache.is_of(self._call):
            self._cache.take_over(self._call, stop)
            for answer in self._active:
                self._place(answer)
        lines: list[Line] = []
        while self.unfinished and not lines:
            if stop.is_set():
                return self.cut_short()
            lines += self._admit()
            for answer, logits in self._forward():
                lines += answer.take(logits)
            self._dismiss()
        return lines

    def _admit(self) -> list[Line]:
        """Let those in for whom there is room to the end of their answers; one alone always has it."""
        lines: list[Line] = []
        while self._waiting and self._free:
            shared = len(self._call.prefix)
            needed = shared + sum(len(a.tokens) + a.room - shared for a in (*self._active, self._waiting[0]))
            if self._active and needed > self._cache.model.cells:
                break
            answer = self._waiting.popleft()
            answer.sequence = self._free.pop()
            self._place(answer)
            self._active.append(answer)
            lines += answer.begin()
        return lines

    def _place(self, answer: Answer) -> None:
        self._cache.branch(self._call, answer.sequence)
        answer.fed = len(self._call.prefix)

    def _forward(self) -> list[tuple[Answer, NDArray[np.float32]]]:
        """One forward pass with the next tokens of all; gives those that are up to date, with their last logits.

        Those with the fewest tokens come first, so that a long prompt does not hold up answers that are on their way.
        """
        tokens: list[Token] = []
        asking: list[Answer] = []
        unfinished = [answer for answer in self._active if not answer.ended]
        for answer in sorted(unfinished, key=lambda a: (len(a.tokens) - a.fed, a.prompt)):
            room = self._cache.model.call_tokens - len(tokens)
            part = answer.tokens[answer.fed : answer.fed + room]
            caught_up = bool(part) and answer.fed + len(part) == len(answer.tokens)
            last = len(part) - 1
            tokens += [(t, answer.fed + i, answer.sequence, caught_up and i == last) for i, t in enumerate(part)]
            answer.fed += len(part)
            if caught_up:
                asking.append(answer)
        return list(zip(asking, self._cache.model.decode(tokens), strict=True)) if tokens else []

    def _dismiss(self) -> None:
        for answer in [answer for answer in self._active if answer.ended]:
            self._cache.model.cut(answer.sequence, 0)
            self._free.append(answer.sequence)
            self._active.remove(answer)
