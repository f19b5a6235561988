"""Language models behind one method, and a second where their logits are ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prompt:
    """What is said to a model. The backend puts its own chat template around it.

    `system` is the same for all windows of a draft, so it is computed once. `answer` is the beginning of the
    model's turn, forced and not generated: under tags it is the second reading. All three are data: pieces that
    look like a template's delimiters in them are ordinary text.
    """

    system: str
    user: str
    answer: str = ""


@dataclass(frozen=True)
class Grammar:
    """What an answer may look like: in llguidance's Lark for models whose logits we have (and for servers that
    take it), as a JSON schema for servers that take only that."""

    lark: str
    json_schema: str


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 is greedy and always gives the same answer."""

    most_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Line:
    """One finished line of the answer to the prompt-th prompt, without its line end.

    `pieces` and `probabilities` are the line's tokens and how probable each was among those the grammar allowed;
    both are empty where the server gives none. `last` ends that prompt's answer (its text may be empty).
    """

    prompt: int
    text: str
    last: bool
    pieces: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class Reading:
    """The logits of the candidate pieces after each token of the prompt-th prompt's `answer`.

    `spans` is (tokens, 2): which code points of the answer each token covers, half-open (a token that holds only
    part of a character covers that character). `logits` is (tokens, candidates), float32.
    """

    prompt: int
    spans: NDArray[np.int64]
    logits: NDArray[np.float32]


@runtime_checkable
class Backend(Protocol):
    """A language model. Fails by raising BackendError; answers come as they are finished, in any order."""

    name: str
    context: int
    has_adapter: bool

    def count(self, text: str) -> int:
        """Tokens of a text, without any that a template adds."""

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        grammars: Sequence[Grammar | None],
        tuned: bool,
        sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        """Answer every prompt; `stop`, once set, ends it within one forward pass or token, without an error."""


@runtime_checkable
class Reader(Backend, Protocol):
    """A backend whose logits are ours."""

    def read(
        self, prompts: Sequence[Prompt], candidates: Sequence[str], *, tuned: bool, stop: threading.Event
    ) -> Iterator[Reading]:
        """Read every prompt's `answer` in one forward pass each, batched where that pays.

        A candidate is a text that is a single piece of the vocabulary; another raises BackendError.
        """
