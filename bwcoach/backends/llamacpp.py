"""A GGUF file, its adapter on or off, through llama-cpp-python."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bwcoach.backends import Grammar, Line, Prompt, Reading, Sampling
from bwcoach.backends.answer import Answer
from bwcoach.backends.llamacpp_context import LlamaContext
from bwcoach.backends.llamacpp_sequences import Answers, Cache, Call, new_call
from bwcoach.backends.llamacpp_vocabulary import Vocabulary
from bwcoach.backends.templates import Template, render
from bwcoach.errors import BackendError

_WAIT_SECONDS = 0.05


class LlamaCpp:
    """A base GGUF in memory once, and optionally the GGUF of a LoRA adapter over it.

    Safe to call from several threads, and while an earlier call's iterator is unfinished: the model is taken for one
    result at a time, and a call that finds the cache in another's hands computes again what it needs.
    """

    def __init__(
        self, base: Path, adapter: Path | None = None, *, context: int, template: Template, threads: int | None = None
    ) -> None:
        """`context` is lowered to what the model was trained for; `threads` are the physical cores by default."""
        self.name = base.stem
        self.has_adapter = adapter is not None
        model = LlamaContext(base, adapter, context=context, threads=threads)
        self.context = model.context
        self._cache = Cache(model)
        self._vocabulary = Vocabulary(model.vocab)
        self._template: Template = template
        source = model.chat_template() if template == "own" else None
        self._chat = self._vocabulary.chat_template(source) if source else None
        self._lock = threading.Lock()

    def count(self, text: str) -> int:
        return len(self._vocabulary.ids(text))

    def read(
        self, prompts: Sequence[Prompt], candidates: Sequence[str], *, tuned: bool, stop: threading.Event
    ) -> Iterator[Reading]:
        wanted = [self._vocabulary.piece_id(candidate) for candidate in candidates]
        heads = [self._head(prompt) for prompt in prompts]
        answers = [self._vocabulary.ids(prompt.answer) for prompt in prompts]
        for head, answer in zip(heads, answers, strict=True):
            self._refuse_over_context(len(head) + len(answer))
        call = new_call(heads, tuned=tuned)
        for number, (prompt, head, answer) in enumerate(zip(prompts, heads, answers, strict=True)):
            spans = self._vocabulary.spans(prompt.answer, answer)
            logits = None
            with self._taken(stop) as taken:
                if taken:
                    logits = self._read(call, head, answer, wanted, stop)
            if logits is None:
                return
            yield Reading(number, spans, logits)

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        grammars: Sequence[Grammar | None],
        tuned: bool,
        sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        grown = [
            self._answer(number, prompt, grammar, sampling)
            for number, (prompt, grammar) in enumerate(zip(prompts, grammars, strict=True))
        ]
        answers = Answers(self._cache, new_call([answer.tokens for answer in grown], tuned=tuned), grown)
        while answers.unfinished:
            with self._taken(stop) as taken:
                lines = answers.go_on(stop) if taken else answers.cut_short()
            yield from lines

    def _head(self, prompt: Prompt) -> list[int]:
        return self._vocabulary.prompt_ids(render(self._template, prompt, self._chat))

    def _refuse_over_context(self, tokens: int) -> None:
        if tokens > self.context:
            raise BackendError(
                f"A prompt of {tokens} tokens is more than the {self.context} that {self.name} takes at once; "
                "lower the window in its card, or take a model with a longer context."
            )

    @contextmanager
    def _taken(self, stop: threading.Event) -> Iterator[bool]:
        """Have the model to oneself, or False if stopped while another had it."""
        while not self._lock.acquire(timeout=_WAIT_SECONDS):
            if stop.is_set():
                yield False
                return
        try:
            yield True
        except BaseException:
            self._cache.forget()
            raise
        finally:
            self._lock.release()

    def _read(
        self, call: Call, head: list[int], answer: list[int], wanted: list[int], stop: threading.Event
    ) -> NDArray[np.float32] | None:
        """The wanted columns of the logits after each of the answer's tokens; None if stopped."""
        if not self._cache.is_of(call):
            self._cache.take_over(call, stop)
        self._cache.branch(call, 1)
        shared = len(call.prefix)
        for _ in self._cache.feed(head[shared:], shared, 1, asks=False, stop=stop):
            pass
        rows = [logits[:, wanted] for logits in self._cache.feed(answer, len(head), 1, asks=True, stop=stop)]
        if stop.is_set():
            self._cache.forget()
            return None
        return np.concatenate([np.empty((0, len(wanted)), dtype=np.float32), *rows])

    def _answer(self, number: int, prompt: Prompt, grammar: Grammar | None, sampling: Sampling) -> Answer:
        tokens = self._head(prompt) + self._vocabulary.ids(prompt.answer)
        self._refuse_over_context(len(tokens) + 1)
        return Answer(
            number, tokens, min(sampling.most_tokens, self.context - len(tokens)), self._vocabulary, grammar, sampling,
            drop_blank=self._vocabulary.blank is not None and not prompt.answer,
        )
