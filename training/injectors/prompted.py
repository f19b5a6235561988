"""The injector that asks a language model; a word diff of its answer is what it did."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import MappingProxyType

from bwcoach.backends import Backend
from bwcoach.draft import Span
from bwcoach.rubric import Criterion
from training.examples import Example
from training.injectors.completions_cache import CompletionsCache
from training.injectors.edit import Edit, weaken
from training.injectors.prompted_answer import Reason, read_answer
from training.injectors.prompted_asking import Answer, Asker
from training.injectors.prompted_prompt import InjectionPrompt, injection_prompt, seen
from training.injectors.word_diff import Change
from training.second_reading import ANSWER_TOKENS, agrees, second_reading_prompt

QUARANTINE_FILE = "quarantine.jsonl"
_AT_A_TIME = 64
_ROOM_STEP = 256
_SHOWN = 2_000


@dataclass(frozen=True)
class _Question:
    passage: Example
    criterion: Criterion
    seed: int
    asked: InjectionPrompt
    room: int
    """How many tokens the answer may have; 0 where the context is too short for it."""


@dataclass(frozen=True)
class _Attempt:
    """What became of a question: an example and the place of its weakness, or the reason why there is none."""

    question: _Question
    answer: Answer
    example: Example | None = None
    place: Span | None = None
    reason: Reason | None = None


class Prompted:
    """Asks `backend` to make passages worse, and believes nothing it says of what it did.

    Where the weakness is, and what stood there before, comes from the word diff of passage and answer (word_diff.py).
    Answers are drawn greedily and kept in `folder`, so the same question is asked once, and a run that was killed
    goes on where it was; what varies examples is the prompt that a seed draws. An answer of no use is a line of
    quarantine.jsonl in the same folder and a count, never an example. With a `second_reader`, a weakness counts only
    if that model, shown the place, sees it too.

    Raises BackendError where the model has failed several times in a row.
    """

    name = "prompted"

    def __init__(
        self, backend: Backend, folder: Path, *, tuned: bool = False, seed: int = 0,
        second_reader: Backend | None = None,
    ) -> None:  # fmt: skip
        cache = CompletionsCache(folder)
        self._asker = Asker(backend, cache, tuned=tuned)
        self._second = None if second_reader is None else Asker(second_reader, cache, tuned=False)
        self._seed = seed
        self._counts: Counter[str] = Counter()
        self._quarantine = folder / QUARANTINE_FILE
        self._quarantined = _quarantined(self._quarantine)

    @property
    def counts(self) -> Mapping[str, int]:
        """Of this run: examples `made`, questions `cached` (answered before), and how many failed for each Reason."""
        return MappingProxyType(dict(self._counts))

    def inject(self, passage: Example, criterion: Criterion, rng: Random) -> Example | None:
        return next(self.inject_all([(passage, criterion, rng.getrandbits(32))]))

    def inject_all(self, asked: Sequence[tuple[Example, Criterion, int]]) -> Iterator[Example | None]:
        """An example, or None, for every passage, criterion and seed, in their order; many are asked at once.

        A draft-wide criterion is asked of whole drafts alone.
        """
        for first in range(0, len(asked), _AT_A_TIME):
            yield from self._some(asked[first : first + _AT_A_TIME])

    def _some(self, asked: Sequence[tuple[Example, Criterion, int]]) -> Iterator[Example | None]:
        questions = [self._question(*one) for one in asked if one[1].scope == "passage" or one[0].whole]
        answers = iter(self._asker.ask([(q.asked.prompt, q.room) for q in questions if q.room]))
        attempts = [self._attempt(q, next(answers) if q.room else Answer("", None)) for q in questions]
        attempts = self._read_again(attempts)
        left = iter(attempts)
        for passage, criterion, _ in asked:
            if criterion.scope == "draft" and not passage.whole:
                yield None
                continue
            attempt = next(left)
            self._counts["cached"] += attempt.answer.is_cached
            if attempt.reason is None:
                self._counts["made"] += 1
            else:
                self._put_away(attempt, attempt.reason)
            yield attempt.example if attempt.reason is None else None

    def _question(self, passage: Example, criterion: Criterion, seed: int) -> _Question:
        # By its text and not its name: the same words ask the same thing wherever they came from.
        rng = Random(f"{self._seed}:{seed}:{criterion.id}:{passage.text!a}")
        asked = injection_prompt(seen(passage.text), criterion, rng)
        tokens = self._asker.tokens(passage.text)
        # Rounded up, since what may be equally long can be asked in one batch.
        wanted = math.ceil((tokens * 1.5 + 64) / _ROOM_STEP) * _ROOM_STEP
        room = min(self._asker.room(asked.prompt), wanted)
        return _Question(passage, criterion, seed, asked, room if room > tokens * 5 // 4 + 16 else 0)

    def _attempt(self, question: _Question, answer: Answer) -> _Attempt:
        passage = question.passage
        if answer.text is None:
            reason = Reason.FAILED if question.room else Reason.TOO_LONG
            return _Attempt(question, answer, reason=reason)
        change = read_answer(answer.text, passage.text, seen(passage.text))
        if isinstance(change, Reason):
            return _Attempt(question, answer, reason=change)
        if any(f.span.start <= change.span.end and change.span.start <= f.span.end for f in passage.findings):
            return _Attempt(question, answer, reason=Reason.TOUCHES)
        mark = change.mark
        place = Span(change.span.start + mark.start, change.span.start + mark.end)
        return _Attempt(question, answer, self._example(question, answer, change), place)

    def _example(self, question: _Question, answer: Answer, change: Change) -> Example:
        passage, criterion = question.passage, question.criterion
        edit = Edit(change.span, change.replacement, change.mark, criterion.id, change.fix, question.asked.form)
        example = weaken(passage, edit, self.name)
        origin, earlier = example.provenance, passage.provenance
        return replace(
            example,
            provenance=replace(
                origin,
                # A passage that was weak before has two authors now, and both count for its licence.
                generator=_both(earlier.generator if passage.findings else "", self._asker.model),
                seed=question.seed,
                prompt_hash=_both(earlier.prompt_hash, answer.hash),
            ),
        )

    def _read_again(self, attempts: list[_Attempt]) -> list[_Attempt]:
        """The attempts, with those of which the second reader is not convinced put down."""
        if self._second is None:
            return attempts
        prompts = [
            (second_reading_prompt(attempt.example.text, attempt.place, attempt.question.criterion), ANSWER_TOKENS)
            for attempt in attempts if attempt.example and attempt.place
        ]  # fmt: skip
        opinions = iter(self._second.ask(prompts))
        return [_judged(attempt, next(opinions)) if attempt.example else attempt for attempt in attempts]

    def _put_away(self, attempt: _Attempt, reason: Reason) -> None:
        self._counts[reason] += 1
        question, answer = attempt.question, attempt.answer
        key = (question.passage.id, question.criterion.id, question.seed, reason.value)
        if key in self._quarantined:
            return
        self._quarantined.add(key)
        row = {
            "reason": reason, "example": question.passage.id, "rubric": question.passage.rubric,
            "criterion": question.criterion.id, "form": question.asked.form, "seed": question.seed,
            "generator": self._asker.model, "prompt_hash": answer.hash,
            "answer": (answer.text if answer.text is not None else answer.failure)[:_SHOWN],
        }  # fmt: skip
        with self._quarantine.open("a", encoding="ascii") as file:
            file.write(json.dumps(row) + "\n")


def _judged(attempt: _Attempt, opinion: Answer) -> _Attempt:
    if opinion.text is None:
        return replace(attempt, reason=Reason.FAILED, answer=opinion)
    convinced = agrees(opinion.text)
    if convinced:
        return attempt
    return replace(attempt, reason=Reason.UNCLEAR if convinced is None else Reason.DISAGREES)


def _both(first: str, second: str) -> str:
    return second if first in ("", second) else f"{first} + {second}"


def _quarantined(path: Path) -> set[tuple[str, str, int, str]]:
    """What was put away by earlier runs; a torn last line is ended, and its row counts as not put away."""
    known: set[tuple[str, str, int, str]] = set()
    if not path.exists():
        return known
    with path.open("r+", encoding="ascii", errors="replace") as lines:
        text = lines.read()
        if text and not text.endswith("\n"):
            lines.write("\n")
    for line in text.splitlines():
        try:
            row = json.loads(line)
            known.add((row["example"], row["criterion"], int(row["seed"]), row["reason"]))
        except (ValueError, KeyError, TypeError):
            continue
    return known
