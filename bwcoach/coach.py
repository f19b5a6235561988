"""From a draft to its diagnosis, one finding at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bwcoach import lines, prompt, tags
from bwcoach.backends import Backend, Prompt, Reader, Sampling
from bwcoach.backends.load import choose_auto, load_backend
from bwcoach.diagnosis import Diagnosis, Finding, in_text_order
from bwcoach.draft import Draft, Passage, Span
from bwcoach.errors import ModelError
from bwcoach.models import ModelCard, card_for
from bwcoach.rubric import Criterion, Rubric

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


@dataclass(frozen=True)
class _Task:
    """A passage to read, for these criteria of the rubric."""

    passage: Passage
    criteria: tuple[Criterion, ...]
    whole: bool


def load_coach(model: str = "auto") -> Coach:
    """Load a model by name, path or URL; `auto` takes the best that this machine can run."""
    card = card_for(choose_auto()[0] if model == "auto" else model)
    return Coach(card, load_backend(card))


def diagnose(
    draft: Draft, rubric: Rubric, coach: Coach, *, tuned: bool = True, strictness: float = 0.5,
    stop: threading.Event | None = None,
) -> Iterator[Step]:
    """Read the draft window by window; a step is given as soon as its window is read.

    Refuses at once what cannot be read: a draft without text, a rubric the model was not taught. `stop` ends the
    reading within one forward pass; what was found by then has been given.
    """
    draft.check()
    coach.card.refuse_unless_taught(rubric.name, rubric.ids)
    if tuned and not coach.backend.has_adapter and coach.card.adapter is not None:
        raise ModelError(f"The adapter of {coach.card.name} is not loaded, so there is no tuned answer to compare.")
    return _steps(draft, rubric, coach, tuned, strictness, stop or threading.Event())


def diagnosis(
    draft: Draft, rubric: Rubric, coach: Coach, *, tuned: bool = True, strictness: float = 0.5,
    stop: threading.Event | None = None,
) -> Diagnosis:
    """All steps of `diagnose` together."""
    started = time.perf_counter()
    found: list[Finding] = []
    unread, words_read = 0, 0
    for step in diagnose(draft, rubric, coach, tuned=tuned, strictness=strictness, stop=stop):
        found.extend(step.findings)
        unread += step.unread
        words_read = step.words_read
    name = coach.card.name if tuned else f"{coach.card.name} (base)"
    return Diagnosis(
        draft, rubric, name, in_text_order(found), time.perf_counter() - started, unread,
        complete=words_read >= draft.word_count,
    )


def _tasks(draft: Draft, rubric: Rubric, coach: Coach) -> list[_Task]:
    """One reading where the whole draft fits a window; else its windows, and an outline for what is draft-wide."""
    window, count = coach.card.window, coach.backend.count
    outline = draft.outline(count, window.tokens)
    covered = sum(len(piece) for piece in outline.pieces)
    if len(outline.pieces) == 1 and covered == draft.sentences[-1].end - draft.sentences[0].start:
        return [_Task(outline, rubric.criteria, whole=True)]
    passage_wide = tuple(c for c in rubric.criteria if c.scope == "passage")
    draft_wide = tuple(c for c in rubric.criteria if c.scope == "draft")
    tasks = [
        _Task(passage, passage_wide, whole=False)
        for passage in draft.windows(count, window.tokens, window.context)
        if passage_wide
    ]
    return [*tasks, *([_Task(outline, draft_wide, whole=True)] if draft_wide else [])]


def _steps(
    draft: Draft, rubric: Rubric, coach: Coach, tuned: bool, strictness: float, stop: threading.Event
) -> Iterator[Step]:
    tasks = _tasks(draft, rubric, coach)
    reader = _read_tags if coach.card.answer == "tags" else _ask_lines
    words_read = 0
    for task, findings, unread in reader(draft, rubric, coach, tasks, tuned, strictness, stop):
        if any(c.scope == "passage" for c in task.criteria) or len(tasks) == 1:
            words_read += len(task.passage.core.quote(draft.text).split())
        yield Step(in_text_order(findings), words_read, draft.word_count, unread)


_Answers = Iterator[tuple[_Task, list[Finding], int]]


def _read_tags(
    draft: Draft, rubric: Rubric, coach: Coach, tasks: Sequence[_Task], tuned: bool, strictness: float,
    stop: threading.Event,
) -> _Answers:
    card, backend = coach.card, coach.backend
    if not isinstance(backend, Reader):
        raise ModelError(f"{card.name}: tags are read from a model's logits, which {backend.name} does not give.")
    texts = [task.passage.text(draft) for task in tasks]
    prompts = [
        prompt.build_tags_prompt(rubric, text, whole=task.whole, style=card.style, labels=card.labels)
        for task, text in zip(tasks, texts, strict=True)
    ]
    candidates = [card.nothing, *(card.labels[criterion] for criterion in rubric.ids)]
    floors = [card.threshold(criterion, strictness) for criterion in rubric.ids]
    for reading in backend.read(prompts, candidates, tuned=tuned, stop=stop):
        task = tasks[reading.prompt]
        probability = tags.probabilities(reading.logits)
        asked = [floor if c in task.criteria else 2.0 for floor, c in zip(floors, rubric.criteria, strict=True)]
        found = [
            Finding(_in_draft(task.passage, run.span), rubric.criteria[run.criterion].id, run.confidence)
            for run in tags.runs(texts[reading.prompt], reading.spans, probability, asked, card.extent)
        ]
        yield task, _kept(found, task, rubric), 0


def _ask_lines(
    draft: Draft, rubric: Rubric, coach: Coach, tasks: Sequence[_Task], tuned: bool, strictness: float,
    stop: threading.Event,
) -> _Answers:
    card, backend = coach.card, coach.backend
    texts = [task.passage.text(draft) for task in tasks]
    narrowed = [replace(rubric, criteria=task.criteria) for task in tasks]
    sentences = [Draft(text).sentences for text in texts]
    prompts, grammars = [], []
    for task, text, asked, places in zip(tasks, texts, narrowed, sentences, strict=True):
        prompts.append(prompt.build_lines_prompt(asked, text, places, whole=task.whole, style=card.style))
        grammars.append(lines.grammar(text, places, prompt.letters(len(asked.criteria))))
    found: dict[int, list[Finding]] = {number: [] for number in range(len(tasks))}
    unread = dict.fromkeys(found, 0)
    for line in backend.complete(prompts, grammars=grammars, tuned=tuned, sampling=Sampling(), stop=stop):
        task, asked = tasks[line.prompt], narrowed[line.prompt]
        if line.text.strip() not in {"", lines.DONE}:
            answer = lines.parse(
                line.text, texts[line.prompt], sentences[line.prompt], prompt.letters(len(asked.criteria))
            )
            if answer is None:
                unread[line.prompt] += 1
            else:
                span, number, fix = answer
                criterion, confidence = asked.criteria[number].id, lines.confidence(line)
                if confidence is None or confidence >= card.threshold(criterion, strictness):
                    place = _in_draft(task.passage, span)
                    found[line.prompt].append(Finding(place, criterion, confidence, fix))
        if line.last:
            yield task, _kept(found[line.prompt], task, rubric), unread[line.prompt]


def _in_draft(passage: Passage, span: Span) -> Span:
    return Span(passage.locate(span.start), passage.locate(span.end - 1) + 1)


def _kept(findings: list[Finding], task: _Task, rubric: Rubric) -> list[Finding]:
    """Those that the task answers for: they begin in its core, and of a draft-scope criterion only the surest."""
    kept = [f for f in findings if task.passage.core.start <= f.span.start < task.passage.core.end]
    for criterion in task.criteria:
        if criterion.scope == "draft":
            of_it = sorted((f for f in kept if f.criterion == criterion.id), key=lambda f: -(f.confidence or 0.0))
            kept = [f for f in kept if f not in of_it[1:]]
    return kept


def suggest_fix(
    draft: Draft, rubric: Rubric, coach: Coach, finding: Finding, *, tuned: bool = True,
    stop: threading.Event | None = None,
) -> Finding:
    """The finding with what might stand in its place, or unchanged where the model has nothing probable to offer.

    A fix is kept when the geometric mean of its pieces' probabilities reaches the card's `fix_threshold`, or when
    the model gives no probabilities.
    """
    if finding.fix is not None:
        return finding
    around = sentences_around(draft, finding.span)
    inside = Span(finding.span.start - around.start, finding.span.end - around.start)
    asked = prompt.build_fix_prompt(
        rubric, rubric.criterion(finding.criterion), around.quote(draft.text), inside, style=coach.card.style
    )
    return _first_line(coach, asked, finding, tuned, stop or threading.Event())


def sentences_around(draft: Draft, span: Span) -> Span:
    """The sentences that the span touches and as many before and after them as FIX_CONTEXT characters hold."""
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


def _first_line(coach: Coach, asked: Prompt, finding: Finding, tuned: bool, stop: threading.Event) -> Finding:
    sampling = Sampling(most_tokens=FIX_TOKENS)
    for line in coach.backend.complete([asked], grammars=[None], tuned=tuned, sampling=sampling, stop=stop):
        confidence = lines.geometric_mean(line.probabilities)
        probable = confidence is None or confidence >= coach.card.fix_threshold
        return finding.with_fix(line.text.strip()) if probable else finding
    return finding
