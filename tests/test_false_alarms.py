"""What is marked in sound text, by writer and by genre."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import Rubric
from training.corpus import split_of
from training.evaluation_sets import MarkedDraft
from training.false_alarms import OTHERS, SECOND_LANGUAGE, STUDENTS, false_alarms, professional_prose, writer_group
from training.finding_density import Found
from training.judgement import Judge, rubric
from training.recipe import EvaluateRecipe
from training.systems import Answer


@pytest.mark.parametrize(
    ("writer", "group"),
    [
        ("second-language writer, trainee teacher from Poland", SECOND_LANGUAGE),
        ("PhD student in geophysics, second-language writer (Japanese)", SECOND_LANGUAGE),
        ("first-year physics undergraduate, lab report", STUDENTS),
        ("high-school science team", STUDENTS),
        ("retired bookkeeper", OTHERS),
        ("", OTHERS),
    ],
)
def test_groups_of_writers(writer: str, group: str) -> None:
    assert writer_group(writer) == group


class MarksEvery:
    """A system that marks one word wherever it stands."""

    name, fingerprint, extents = "marks every", "one", (0.5,)

    def prepare(self) -> None:
        """Nothing to load."""

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        starts = [n for n in range(len(text)) if text.startswith("very", n)]
        return Answer(tuple(Finding(Span(n, n + 4), "wordiness", 0.9) for n in starts))


def drafts() -> list[MarkedDraft]:
    """Ten words each with "very" twice, once rightly marked; the repair keeps one."""
    text, revised = "very a b c d very e f g h", "a b c d very e f g h i"
    right = (Finding(Span(0, 4), "wordiness"),)
    writers = ("second-language writer", "student", "electrician", "second-language student")
    return [MarkedDraft(str(n), "scientific-paper", text, right, revised, writer=w) for n, w in enumerate(writers)]


def test_a_finding_that_matches_is_no_false_alarm() -> None:
    judged = Judge(EvaluateRecipe(resamples=100)).drafts(MarksEvery(), drafts())
    text = "very good and very long words indeed are here now"
    prose = [Found(text, rubric("position-paper"), judged.readings[0].findings)]
    rows = {(one.where, one.group): one for one in false_alarms(drafts(), judged, prose, times=100)}
    assert rows[("drafts", SECOND_LANGUAGE)].texts == 2
    assert {rows[("drafts", group)].per_1000_words.value for group in (SECOND_LANGUAGE, STUDENTS, OTHERS)} == {100}
    assert rows[("repaired drafts", "scientific-paper")].per_1000_words.value == 100
    assert rows[("professional prose", "position-paper")].per_1000_words.value == 200
    assert next(iter(rows)) == ("drafts", SECOND_LANGUAGE)


def test_prose_is_of_the_test_split_a_passage_a_document(tmp_path: Path) -> None:
    paragraph = " ".join(["These are plain words of quiet prose that goes on for a while."] * 8)
    works = {f"work:{n}": split_of(f"work:{n}") for n in range(3000)}
    held_out = [work for work, split in works.items() if split == "test"]
    assert 5 < len(held_out) < 60
    rows = [
        {"id": work, "genre": "science", "source": work, "license": "MIT", "text": f"{paragraph}\n\n{paragraph}"}
        for work in works
    ]
    corpus = tmp_path / "science.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sample = professional_prose(corpus, "scientific-paper", 1000, 0)
    assert sorted(one.id for one in sample) == sorted(f"prose/{work}" for work in held_out)
    assert all(60 <= len(one.text.split()) <= 200 and not one.labels and not one.whole for one in sample)
    assert professional_prose(corpus, "scientific-paper", 2, 0) == sample[:2]
