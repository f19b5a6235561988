"""From a draft to its diagnosis, one finding at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bwcoach import lines, prompt
from bwcoach.backends import Backend, Sampling
from bwcoach.backends.load import choose_auto, load_backend
from bwcoach.diagnosis import Diagnosis, Finding, in_text_order
from bwcoach.draft import Draft, Span
from bwcoach.errors import ModelError
from bwcoach.models import ModelCard, card_for
from bwcoach.reading import ask_lines, plan, read_tags
from bwcoach.rubric import Rubric

FIX_TOKENS = 96
FIX_CONTEXT = 400


@dataclass(frozen=True)
class Coach:
    """A model that is loaded, and its card."""

    card: ModelCard
    backend: Backend


@dataclass(frozen=True)
class Step:
    """What one window brought: its findings, and how much of the draft has been read by then."""

    findings: tuple[Finding, ...]
    words_read: int
    words: int
    unread: int = 0


def load_coach(model: str = "auto") -> Coach:
    """Load a model by name, path or URL; `auto` takes the best that this machine can run."""
    card = card_for(choose_auto()[0] if model == "auto" else model)
    return Coach(card, load_backend(card))


def diagnose(
    draft: Draft,
    rubric: Rubric,
    coach: Coach,
    *,
    tuned: bool = True,
    strictness: float = 0.5,
    stop: threading.Event | None = None,
) -> Iterator[Step]:
    """Read the draft window by window; a step is given as soon as its window is read.

    Refuses at once what cannot be read: a draft without text, a rubric the model was not taught. `stop` ends the
    reading within one forward pass; what was found by then has been given.
    """
    draft.check()
    coach.card.refuse_unless_taught(rubric.name, rubric.ids)
    if tuned and coach.card.adapter is not None and not coach.backend.has_adapter:
        raise ModelError(f"The adapter of {coach.card.name} is not loaded, so there is no tuned answer to give.")
    return _steps(draft, rubric, coach, tuned, strictness, stop or threading.Event())


def _steps(
    draft: Draft, rubric: Rubric, coach: Coach, tuned: bool, strictness: float, stop: threading.Event
) -> Iterator[Step]:
    tasks = plan(draft, rubric, coach.card, coach.backend)
    read = read_tags if coach.card.answer == "tags" else ask_lines
    answers = read(draft, rubric, coach.card, coach.backend, tasks, tuned=tuned, strictness=strictness, stop=stop)
    left = len(tasks)
    words_read = 0
    for answer in answers:
        left -= 1
        if len(answer.task.passage.pieces) == 1:
            words_read += len(answer.task.passage.core.quote(draft.text).split())
        # Words that a window's edge cuts in two are counted on both sides of it.
        words_read = draft.word_count if not left else min(words_read, draft.word_count - 1)
        yield Step(in_text_order(answer.findings), words_read, draft.word_count, answer.unread)


def diagnosis(
    draft: Draft,
    rubric: Rubric,
    coach: Coach,
    *,
    tuned: bool = True,
    strictness: float = 0.5,
    stop: threading.Event | None = None,
) -> Diagnosis:
    """All steps of `diagnose` together."""
    started = time.perf_counter()
    steps = list(diagnose(draft, rubric, coach, tuned=tuned, strictness=strictness, stop=stop))
    return Diagnosis(
        draft, rubric,
        coach.card.name if tuned else f"{coach.card.name} (base)",
        in_text_order([finding for step in steps for finding in step.findings]),
        time.perf_counter() - started,
        sum(step.unread for step in steps),
        complete=bool(steps) and steps[-1].words_read == draft.word_count,
    )  # fmt: skip


def suggest_fix(
    draft: Draft,
    rubric: Rubric,
    coach: Coach,
    finding: Finding,
    *,
    tuned: bool = True,
    stop: threading.Event | None = None,
) -> Finding:
    """The finding with what might stand in its place, or unchanged where the model has nothing probable to offer.

    A fix is kept when the geometric mean of its pieces' probabilities reaches the card's `fix_threshold`, or when
    the model gives no probabilities; never when it is what stands there already.
    """
    if finding.fix is not None:
        return finding
    around = sentences_around(draft, finding.span)
    inside = Span(finding.span.start - around.start, finding.span.end - around.start)
    asked = prompt.build_fix_prompt(
        rubric, rubric.criterion(finding.criterion), around.quote(draft.text), inside, style=coach.card.style
    )
    sampling, event = Sampling(most_tokens=FIX_TOKENS), stop or threading.Event()
    answer = coach.backend.complete([asked], grammars=[None], tuned=tuned, sampling=sampling, stop=event)
    line = next(answer, None)
    if line is None or len(line.pieces) >= FIX_TOKENS or line.text.strip() == finding.quote(draft).strip():
        return finding
    confidence = lines.geometric_mean(line.probabilities)
    probable = confidence is None or confidence >= coach.card.fix_threshold
    return finding.with_fix(line.text.strip()) if probable else finding


def sentences_around(draft: Draft, span: Span) -> Span:
    """The sentences that the span touches, with one before and one after where FIX_CONTEXT characters hold them."""
    touched = [i for i, s in enumerate(draft.sentences) if s.overlap(span)]
    if not touched:
        return span
    first, last = touched[0], touched[-1]
    start, end = min(span.start, draft.sentences[first].start), max(span.end, draft.sentences[last].end)
    if first > 0 and end - draft.sentences[first - 1].start <= FIX_CONTEXT:
        start = draft.sentences[first - 1].start
    if last + 1 < len(draft.sentences) and draft.sentences[last + 1].end - start <= FIX_CONTEXT:
        end = draft.sentences[last + 1].end
    if end - start > 4 * FIX_CONTEXT:
        start, end = max(start, span.start - FIX_CONTEXT), min(end, max(span.end, span.start + FIX_CONTEXT))
    return Span(start, end)
