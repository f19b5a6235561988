"""How often a system marks what is sound, by who wrote it and by genre."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from training.corpus import read_documents
from training.evaluation_sets import MarkedDraft
from training.finding_density import Found
from training.judgement import Judged
from training.passages import passages
from training.scoring import Estimate, match, ratio

SECOND_LANGUAGE, STUDENTS, OTHERS = "second-language writers", "students", "other writers"
METHOD = (
    "In drafts a false alarm is a finding that matches no label; in repaired drafts and in professional prose it is "
    "any finding. Writers are grouped by the words that describe them in the drafts' file: those with "
    '"second-language" first, then those with "student", "graduate" or "school", then the others. The prose is of the '
    "test split of the corpora, which nothing was taught on: one passage of 60 to 200 words a document, the documents "
    "with the lowest SHA-256 of their ids, under the thresholds fitted on all drafts."
)
_GROUPS = (SECOND_LANGUAGE, STUDENTS, OTHERS)
_STUDENT_WORDS = ("student", "graduate", "school")


@dataclass(frozen=True)
class FalseAlarms:
    """False alarms per 1000 words in one group of texts, with a bootstrap interval over texts."""

    where: str
    group: str
    texts: int
    words: int
    per_1000_words: Estimate


def false_alarms(
    drafts: Sequence[MarkedDraft], judged: Judged, prose: Sequence[Found], *, times: int = 1000, seed: int = 0
) -> tuple[FalseAlarms, ...]:
    """In drafts and in their repairs by writer and by genre, in professional prose by genre."""
    wrong: dict[str, tuple[int, int]] = {}
    for draft, reading in zip(drafts, judged.readings, strict=True):
        right = match(reading.findings, reading.labels)
        wrong[draft.id] = (len(reading.findings) - len(right), len(draft.text.split()))
    mended = {id: (len(found.findings), found.words) for id, found in judged.repairs.items()}
    by_writer = [(group, [d.id for d in drafts if writer_group(d.writer) == group]) for group in _GROUPS]
    by_genre = [(name, [d.id for d in drafts if d.rubric == name]) for name in sorted({d.rubric for d in drafts})]
    counts = [
        (where, group, [counted[id] for id in ids if id in counted])
        for where, counted in (("drafts", wrong), ("repaired drafts", mended))
        for group, ids in (*by_writer, *by_genre)
    ]
    for name in sorted({found.rubric.name for found in prose}):
        of_genre = [(len(found.findings), found.words) for found in prose if found.rubric.name == name]
        counts.append(("professional prose", name, of_genre))
    return tuple(
        FalseAlarms(
            where, group, len(rows), sum(words for _, words in rows),
            ratio(np.asarray(rows) * (1000, 1), times=times, seed=seed),
        )
        for where, group, rows in counts if rows
    )  # fmt: skip


def writer_group(writer: str) -> str:
    """Which of the three groups a description of a writer belongs to."""
    if "second-language" in writer.lower():
        return SECOND_LANGUAGE
    return STUDENTS if any(word in writer.lower() for word in _STUDENT_WORDS) else OTHERS


def professional_prose(corpus: Path, rubric: str, most: int, seed: int) -> tuple[MarkedDraft, ...]:
    """At most so many passages of a corpus's test split, each of another document and without any label."""
    documents = sorted(read_documents(corpus, "test"), key=lambda one: hashlib.sha256(one.id.encode()).digest())
    drawn = (
        MarkedDraft(f"prose/{document.id}", rubric, passage, (), whole=False)
        for document in documents
        for passage in islice(passages(document, Random(f"{seed}:{document.id}")), 1)
    )
    return tuple(islice(drawn, most))
