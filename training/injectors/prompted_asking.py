"""Asking a model many things at once, each once: what was answered before is read back."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bwcoach.backends import Backend, Prompt, Reader, Sampling
from bwcoach.errors import BackendError
from training.injectors.completions_cache import CompletionsCache, prompt_hash

AT_ONCE = 8
MOST_FAILURES = 8


@dataclass(frozen=True)
class Answer:
    """`text` is the whole answer, None where the model failed; `failure` is then its sentence."""

    hash: str
    text: str | None
    failure: str = ""
    is_cached: bool = False


class Asker:
    """A model and what it has answered. Answers are kept as they come; failures are not, so they are asked again."""

    def __init__(self, backend: Backend, cache: CompletionsCache, *, tuned: bool) -> None:
        self._backend = backend
        self._cache = cache
        self._tuned = tuned and backend.has_adapter
        # Where a server listens is no part of what its model would say.
        self.model = backend.name.partition(" at ")[0] + (" (tuned)" if self._tuned else "")
        self._failures = 0
        self._lock = threading.Lock()

    def room(self, prompt: Prompt) -> int:
        """How many tokens of answer the context leaves, its template's own generously reckoned."""
        return self._backend.context - self._backend.count(f"{prompt.system}\n{prompt.user}") - 64

    def tokens(self, text: str) -> int:
        return self._backend.count(text)

    def ask(self, questions: Sequence[tuple[Prompt, int]]) -> list[Answer]:
        """The answers to prompts, each with how many tokens its answer may have, greedily drawn, in their order.

        Raises BackendError after MOST_FAILURES failures with no answer between them, since then the model is not
        there any more; what was answered by then is kept.
        """
        asked = [(prompt, Sampling(most_tokens)) for prompt, most_tokens in questions]
        hashes = [prompt_hash(self.model, prompt, sampling) for prompt, sampling in asked]
        known = {hash for hash in hashes if hash in self._cache}
        new = {hash: one for hash, one in zip(hashes, asked, strict=True) if hash not in known}
        together = self._in_batches if isinstance(self._backend, Reader) else self._in_threads
        try:
            failures = together(new)
        except BackendError:
            self._failures = 0
            raise
        return [
            Answer(hash, None, failures[hash])
            if hash in failures
            else Answer(hash, self._cache.get(hash), is_cached=hash in known)
            for hash in hashes
        ]

    def _in_threads(self, new: dict[str, tuple[Prompt, Sampling]]) -> dict[str, str]:
        """A server: a request each, so that one that fails takes no other with it."""
        stop = threading.Event()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                failures = list(pool.map(lambda one: self._alone(one, *new[one], stop), new))
            finally:
                stop.set()
        return dict(filter(None, failures))

    def _in_batches(self, new: dict[str, tuple[Prompt, Sampling]]) -> dict[str, str]:
        """A model of our own: all that share a sampling at once, and those that a failure left over one by one."""
        groups: dict[Sampling, list[str]] = defaultdict(list)
        for hash, (_, sampling) in new.items():
            groups[sampling].append(hash)
        stop, left = threading.Event(), []
        for sampling, hashes in groups.items():
            try:
                left += self._together([(hash, new[hash][0]) for hash in hashes], sampling, stop)
            except BackendError:
                left += [hash for hash in hashes if hash not in self._cache]
        return dict(filter(None, [self._alone(hash, *new[hash], stop) for hash in left]))

    def _alone(self, hash: str, prompt: Prompt, sampling: Sampling, stop: threading.Event) -> tuple[str, str] | None:
        """The hash and why there is no answer; None where there is one."""
        if self._failures >= MOST_FAILURES:
            return hash, "not asked"
        try:
            if not self._together([(hash, prompt)], sampling, stop):
                return None
            failure = f"{self.model} ended without an answer."
        except BackendError as error:
            failure = str(error)
        with self._lock:
            self._failures += 1
        if self._failures >= MOST_FAILURES:
            stop.set()
            raise BackendError(
                f"{self.model} failed {MOST_FAILURES} times with no answer between. {failure} What was answered is "
                "kept; run the same command to go on."
            )
        return hash, failure

    def _together(
        self, asked: Sequence[tuple[str, Prompt]], sampling: Sampling, stop: threading.Event
    ) -> list[str]:
        """Ask all in one call and keep each answer as it ends; gives the hashes that were left without one."""
        lines: dict[int, list[str]] = defaultdict(list)
        left = {number: hash for number, (hash, _) in enumerate(asked)}
        answers = self._backend.complete(
            [prompt for _, prompt in asked], grammars=[None] * len(asked), tuned=self._tuned, sampling=sampling,
            stop=stop,
        )  # fmt: skip
        for line in answers:
            lines[line.prompt].append(line.text)
            if line.last and not stop.is_set():
                self._cache.put(left.pop(line.prompt), self.model, "\n".join(lines.pop(line.prompt)))
                with self._lock:
                    self._failures = 0
        return list(left.values())
