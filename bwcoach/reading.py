"""How a model's findings are read out of it: a task a window, under either answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bwcoach import lines, prompt, tags
from bwcoach.backends import Backend, Reader, Sampling
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Passage, Span
from bwcoach.errors import ModelError
from bwcoach.models import ModelCard
from bwcoach.rubric import Criterion, Rubric

SHOT_CHARACTERS = 500


@dataclass(frozen=True)
class Task:
    """A passage to read, for these criteria of the rubric."""

    passage: Passage
    criteria: tuple[Criterion, ...]
    whole: bool


@dataclass(frozen=True)
class Answer:
    """What one task brought; `unread` counts the lines that named no place in its passage."""

    task: Task
    findings: tuple[Finding, ...]
    unread: int = 0


def plan(draft: Draft, rubric: Rubric, card: ModelCard, backend: Backend) -> list[Task]:
    """One reading where the whole draft fits a window; else its windows, and an outline for what is draft-wide."""
    window = card.window
    outline = draft.outline(backend.count, window.tokens)
    if outline.pieces == (Span(draft.sentences[0].start, draft.sentences[-1].end),):
        return [Task(outline, rubric.criteria, whole=True)]
    passage_wide = tuple(c for c in rubric.criteria if c.scope == "passage")
    draft_wide = tuple(c for c in rubric.criteria if c.scope == "draft")
    windows = draft.windows(backend.count, window.tokens, window.context) if passage_wide else ()
    tasks = [Task(passage, passage_wide, whole=False) for passage in windows]
    return [*tasks, *([Task(outline, draft_wide, whole=True)] if draft_wide else [])]


def read_tags(
    draft: Draft,
    rubric: Rubric,
    card: ModelCard,
    backend: Backend,
    tasks: Sequence[Task],
    *,
    tuned: bool,
    strictness: float,
    stop: threading.Event,
) -> Iterator[Answer]:
    """Every window is read twice; the second reading says at each token what is weak there."""
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
        # A criterion that the task does not ask about gets a floor that no probability reaches.
        asked = [floor if c in task.criteria else 2.0 for floor, c in zip(floors, rubric.criteria, strict=True)]
        found = [
            Finding(_in_draft(task.passage, run.span), rubric.criteria[run.criterion].id, run.confidence)
            for run in tags.runs(texts[reading.prompt], reading.spans, probability, asked, card.extent)
        ]
        yield Answer(task, _answered_for(found, task))


def ask_lines(
    draft: Draft,
    rubric: Rubric,
    card: ModelCard,
    backend: Backend,
    tasks: Sequence[Task],
    *,
    tuned: bool,
    strictness: float,
    stop: threading.Event,
) -> Iterator[Answer]:
    """Every window is shown with its sentences numbered; the model answers with a line a finding."""
    texts = [task.passage.text(draft) for task in tasks]
    asked = [replace(rubric, criteria=task.criteria) for task in tasks]
    sentences = [Draft(text).sentences for text in texts]
    letters = [prompt.letters(len(narrowed.criteria)) for narrowed in asked]
    prompts = [
        prompt.build_lines_prompt(
            narrowed, text, places, whole=task.whole, style=card.style, shots=shots(narrowed, card.shots)
        )
        for task, text, narrowed, places in zip(tasks, texts, asked, sentences, strict=True)
    ]
    grammars = [lines.grammar(*parts) for parts in zip(texts, sentences, letters, strict=True)]
    found: list[list[Finding]] = [[] for _ in tasks]
    earlier: list[list[lines.Answer]] = [[] for _ in tasks]
    unread = [0] * len(tasks)
    for line in backend.complete(prompts, grammars=grammars, tuned=tuned, sampling=Sampling(), stop=stop):
        n = line.prompt
        if not lines.says_nothing(line.text):
            answer = lines.parse(line.text, texts[n], sentences[n], letters[n], earlier[n])
            if answer is None:
                unread[n] += 1
            else:
                earlier[n].append(answer)
                criterion, confidence = asked[n].ids[answer.criterion], lines.confidence(line)
                if confidence is None or confidence >= card.threshold(criterion, strictness):
                    place = _in_draft(tasks[n].passage, answer.span)
                    found[n].append(Finding(place, criterion, confidence, answer.fix))
        if line.last:
            yield Answer(tasks[n], _answered_for(found[n], tasks[n]), unread[n])


def shots(rubric: Rubric, count: int) -> list[tuple[str, str]]:
    """Worked examples for a model that was not tuned: the rubric's own weak ones, one a criterion, then a sound one."""
    worked = []
    letters = prompt.letters(len(rubric.criteria))
    short = [(n, c.weak[0]) for n, c in enumerate(rubric.criteria) if len(c.weak[0].text) <= SHOT_CHARACTERS]
    for n, example in short[: max(0, count - 1)]:
        sentences = Draft(example.text).sentences
        answer = lines.render([(Span(example.start, example.end), n, example.better)], example.text, sentences, letters)
        worked.append((prompt.number_sentences(example.text, sentences), answer))
    if count:
        sound = min((example.text for c in rubric.criteria for example in c.sound), key=len)
        worked.append((prompt.number_sentences(sound, Draft(sound).sentences), lines.DONE))
    return worked


def _in_draft(passage: Passage, span: Span) -> Span:
    return Span(passage.locate(span.start), passage.locate(span.end - 1) + 1)


def _answered_for(findings: Sequence[Finding], task: Task) -> tuple[Finding, ...]:
    """Those that begin in the task's core, and of a draft-scope criterion only the surest."""
    kept = [f for f in findings if task.passage.core.start <= f.span.start < task.passage.core.end]
    for criterion in task.criteria:
        if criterion.scope == "draft":
            of_it = sorted((f for f in kept if f.criterion == criterion.id), key=lambda f: -(f.confidence or 0.0))
            kept = [f for f in kept if f not in of_it[1:]]
    return tuple(kept)
