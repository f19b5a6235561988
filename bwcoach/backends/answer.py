"""One prompt's answer while it grows: which token comes next, and the lines that are finished."""

from __future__ import annotations

import codecs
from typing import Protocol

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from bwcoach.backends import Grammar, Line, Sampling
from bwcoach.errors import BackendError


class AnswerVocabulary(Protocol):
    """What growing an answer asks of a backend's vocabulary."""

    size: int

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """What each piece stands for; nothing for control tokens."""

    @property
    def grammar_tokenizer(self) -> LLTokenizer: ...

    def ends_answer(self, token: int) -> bool: ...


class Answer:
    """`tokens` are the prompt's and what was chosen so far; the first `fed` of them are in the model's cache."""

    def __init__(
        self, prompt: int, tokens: list[int], room: int, vocabulary: AnswerVocabulary, grammar: Grammar | None,
        sampling: Sampling, *, drop_blank: bool,
    ) -> None:
        """`room`: how many tokens it may have. `drop_blank`: its first text begins with a blank that is the
        vocabulary's, not the answer's."""
        self.prompt = prompt
        self.tokens = tokens
        self.room = room
        self.fed = 0
        self.sequence = 0
        self.ended = False
        self._vocabulary = vocabulary
        self._temperature = sampling.temperature
        self._rng = np.random.default_rng((sampling.seed, prompt))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._drop_blank = drop_blank
        self._pieces: list[str] = []
        self._probabilities: list[float] = []
        self._matcher = None if grammar is None else _matcher(vocabulary, grammar)

    def begin(self) -> list[Line]:
        """Take what the grammar forces before the model is asked anything."""
        return self._forced()

    def take(self, logits: NDArray[np.float32]) -> list[Line]:
        """Choose the next token from the logits after the last one, and take what then is forced."""
        allowed = self._allowed()
        values = logits if allowed is None else logits[allowed]
        index, probability = self._choose(values.astype(np.float64))
        token = int(index if allowed is None else allowed[index])
        if self._vocabulary.ends_answer(token):
            # An empty line is as probable as its end; without that it would seem to come with no probability at all.
            if not self._pieces:
                self._note("", probability)
            return [self._end()]
        if self._matcher is not None and not self._matcher.consume_token(token):
            raise BackendError(f"The grammar refused a token that it had allowed: {self._matcher.get_error()}")
        return self._add(token, probability) + self._forced()

    def cut_short(self) -> Line:
        """End it without the line that is not finished."""
        self._pieces, self._probabilities, self.ended = [], [], True
        return Line(self.prompt, "", last=True)

    def _allowed(self) -> NDArray[np.int64] | None:
        if self._matcher is None:
            return None
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.flatnonzero(np.unpackbits(mask, bitorder="little")[: self._vocabulary.size])
        if not len(allowed):
            raise BackendError(f"The grammar allows nothing more here: {self._matcher.get_error()}")
        return allowed

    def _choose(self, values: NDArray[np.float64]) -> tuple[int, float]:
        """An index into the values, and its probability among them at temperature 1."""
        shares = np.exp(values - values.max())
        if self._temperature == 0:
            index = int(values.argmax())
        else:
            warm = np.exp((values - values.max()) / self._temperature).cumsum()
            index = min(int(np.searchsorted(warm, self._rng.random() * warm[-1], side="right")), len(warm) - 1)
        return index, float(shares[index] / shares.sum())

    def _forced(self) -> list[Line]:
        lines: list[Line] = []
        while self._matcher is not None and not self.ended:
            forced = [] if self._matcher.is_stopped() else self._matcher.compute_ff_tokens()
            if forced and not self._matcher.consume_tokens(forced):
                raise BackendError(f"The grammar refused what it forces: {self._matcher.get_error()}")
            for token in forced:
                if not self.ended:
                    lines += self._add(token, 1.0)
            if self._matcher.is_error():
                raise BackendError(f"The grammar could not go on: {self._matcher.get_error()}")
            if self._matcher.is_stopped() and not self.ended:
                lines.append(self._end())
            if not forced:
                break
        return lines

    def _add(self, token: int, probability: float) -> list[Line]:
        self.tokens.append(token)
        self.room -= 1
        text = self._decoder.decode(self._vocabulary.pieces[token])
        if self._drop_blank and text:
            text, self._drop_blank = text.removeprefix(" "), False
        lines = []
        *finished, rest = text.split("\n")
        for part in finished:
            self._note(part, probability)
            lines.append(self._line(last=False))
        if rest or not finished:
            self._note(rest, probability)
        if self.room <= 0:
            lines.append(self._end())
        return lines

    def _note(self, piece: str, probability: float) -> None:
        self._pieces.append(piece)
        self._probabilities.append(probability)

    def _end(self) -> Line:
        self.ended = True
        return self._line(last=True)

    def _line(self, *, last: bool) -> Line:
        line = Line(self.prompt, "".join(self._pieces), last, tuple(self._pieces), tuple(self._probabilities))
        self._pieces, self._probabilities = [], []
        return line


def _matcher(vocabulary: AnswerVocabulary, grammar: Grammar) -> LLMatcher:
    matcher = LLMatcher(vocabulary.grammar_tokenizer, LLMatcher.grammar_from_lark(grammar.lark), log_level=0)
    if matcher.is_error():
        raise BackendError(f"The answer's grammar is not one that llguidance takes: {matcher.get_error()}")
    return matcher
