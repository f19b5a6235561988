"""The texts that systems are judged on, and what is known of each."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.errors import ExamplesError
from bwcoach.rubric import Rubric
from training.examples import Example, read_examples
from training.splits import seen


@dataclass(frozen=True)
class MarkedDraft:
    """A text under a rubric with every weakness marked, and, where there is one, the same text repaired.

    In a text that is not `whole`, draft-scope criteria are neither marked nor judged. `writer` says in whose voice it
    is, where that is known. `votes` says of each label how many editors set it, where several were asked. `seen` tells
    our own weak examples whose ways of being weak were taught from the others; None where nothing is weak.
    """

    id: str
    rubric: str
    text: str
    labels: tuple[Finding, ...]
    revised: str | None = None
    whole: bool = True
    writer: str = ""
    votes: tuple[int, ...] = ()
    seen: bool | None = None


@dataclass(frozen=True)
class SentencePair:
    """A sentence and what a person made of it when asked to mend this criterion."""

    id: str
    worse: str
    better: str
    criterion: str


def read_marked_drafts(path: Path) -> tuple[MarkedDraft, ...]:
    """JSONL rows {id, rubric, text, labels: [{start, end, criterion, votes?}], revised?, writer?}, offsets in code
    points."""
    drafts = []
    for place, row in _rows(path, ("id", "rubric", "text")):
        try:
            labels = tuple(
                Finding(Span(int(label["start"]), int(label["end"])), str(label["criterion"]))
                for label in row["labels"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ExamplesError(f"{place}: `labels` must be a list of start, end and criterion ({error!r}).") from None
        for label in labels:
            if not 0 <= label.span.start < label.span.end <= len(row["text"]):
                raise ExamplesError(
                    f"{place}: the label {label.span.start}-{label.span.end} lies outside its text of "
                    f"{len(row['text'])} characters."
                )
        votes = tuple(int(label["votes"]) for label in row["labels"] if "votes" in label)
        drafts.append(MarkedDraft(
            row["id"], row["rubric"], row["text"], labels, row.get("revised"), writer=str(row.get("writer", "")),
            votes=votes if len(votes) == len(labels) else (),
        ))  # fmt: skip
    twice = [id for id, count in Counter(draft.id for draft in drafts).items() if count > 1]
    if twice:
        raise ExamplesError(f"{path}: the id {twice[0]} stands on more than one row; each draft needs its own.")
    return tuple(drafts)


def read_pairs(path: Path) -> tuple[SentencePair, ...]:
    """JSONL rows {id, worse, better, criterion}."""
    keys = ("id", "worse", "better", "criterion")
    return tuple(SentencePair(*(row[key] for key in keys)) for _, row in _rows(path, keys))


def sample_examples(path: Path, most: int) -> tuple[MarkedDraft, ...]:
    """At most so many of our own examples with their repairs: those whose ids have the lowest SHA-256, so that a
    larger data set changes the sample little and its order in the file not at all."""
    examples = sorted(read_examples(path), key=lambda example: hashlib.sha256(example.id.encode()).digest())
    return tuple(
        MarkedDraft(
            e.id, e.rubric, e.text, e.findings, e.repaired() if e.findings else None, e.whole,
            seen=seen(e) if e.findings else None,
        )
        for e in examples[:most]
    )


def under_two_rubrics(path: Path, most: int) -> tuple[tuple[MarkedDraft, ...], ...]:
    """The texts that our own examples show under more than one rubric, with an example for each rubric; at most so
    many texts, those of the lowest SHA-256."""
    by_text: dict[str, dict[str, Example]] = {}
    for example in read_examples(path):
        by_text.setdefault(example.text, {}).setdefault(example.rubric, example)
    shared = [text for text, examples in by_text.items() if len(examples) > 1]
    shared.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
    return tuple(
        tuple(MarkedDraft(e.id, e.rubric, e.text, e.findings, None, e.whole) for e in by_text[text].values())
        for text in shared[:most]
    )


def judged_criteria(rubric: Rubric, whole: bool) -> tuple[str, ...]:
    """Those whose absence from a text's labels says that they are not in it."""
    return tuple(c.id for c in rubric.criteria if whole or c.scope == "passage")


def _rows(path: Path, texts: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, "file:line"; `texts` are the keys that must hold a text."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ExamplesError(f"{path}:{number}: not a JSON object ({error.msg}).") from None
        missing = [key for key in texts if not isinstance(row, dict) or not isinstance(row.get(key), str)]
        if missing:
            raise ExamplesError(f"{path}:{number}: no text under {', '.join(missing)}.")
        yield f"{path}:{number}", row
