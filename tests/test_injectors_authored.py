"""The two authored formats: exact spans, fixes, subsets, and what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bwcoach.errors import ExamplesError
from bwcoach.rubric import load_rubric
from training.injectors.authored import Authored, AuthoredPassage, read_authored

SAMPLE = Path("training/data/authored")
EDITS: dict[str, Any] = {
    "id": "e1", "rubric": "scientific-paper", "source": "standardebooks/a_b:src/chapter-2.xhtml", "license": "CC0-1.0",
    "text": "Bees learn fast (Roe, 2010). This result shows care. We used MRI and then MRI again. It may matter.",
    "edits": [
        {"criterion": "missing-citation", "find": "learn fast (Roe, 2010).", "replace": "learn fast.",
         "mark": "learn fast"},
        {"criterion": "ambiguous-reference", "find": "This result shows", "replace": "This shows",
         "mark": "This shows"},
        {"criterion": "overclaim", "find": "It may matter.", "replace": "Nothing else matters, and it is proven.",
         "mark": "it is proven"},
    ],
    "also": [{"criterion": "undefined-acronym", "quote": "MRI"}],
}  # fmt: skip
MARKED = {
    "id": "m1", "rubric": "position-paper", "kind": "passage", "topic": "trams", "writer": "driver", "marked":
    "{{informal-tone|Trams rock|Trams help}}.{{repetition| They help.|}} We {{wordiness|make use of|use}} them.",
}  # fmt: skip


def write(folder: Path, name: str, *rows: dict[str, Any]) -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def only(folder: Path) -> AuthoredPassage:
    (one,), unused = read_authored(folder, 0)
    assert not unused
    return one


def test_edits_have_exact_marks_and_fixes(tmp_path: Path) -> None:
    one = only(write(tmp_path, "edits-x.jsonl", EDITS))
    weak = one.version([0, 1, 2])
    assert weak.text == (
        "Bees learn fast. This shows care. We used MRI and then MRI again. Nothing else matters, and it is proven."
    )
    assert [(f.criterion, f.span.quote(weak.text), f.fix) for f in weak.findings] == [
        ("missing-citation", "learn fast", "learn fast (Roe, 2010)"),
        ("ambiguous-reference", "This shows", "This result shows"),
        ("undefined-acronym", "MRI", None),
        ("overclaim", "it is proven", None),
    ]
    assert weak.findings[2].span.start == weak.text.index("MRI")
    assert weak.provenance.license == "CC0-1.0"
    assert weak.provenance.forms == ("e1#2", "e1#1", "e1#0")
    assert one.work == "standardebooks/a_b"


def test_what_the_good_version_lacks_already_stays(tmp_path: Path) -> None:
    good = only(write(tmp_path, "edits-x.jsonl", EDITS)).version([])
    assert good.text == EDITS["text"]
    assert [finding.criterion for finding in good.findings] == ["undefined-acronym"]


def test_marked_reads_both_texts(tmp_path: Path) -> None:
    one = only(write(tmp_path, "marked-x.jsonl", MARKED))
    weak = one.version(range(3))
    assert one.good.text == "Trams help. We use them."
    assert weak.text == "Trams rock. They help. We make use of them."
    assert [(f.span.quote(weak.text), f.fix) for f in weak.findings] == [
        ("Trams rock", "Trams help"), ("They help.", ""), ("make use of", "use"),
    ]  # fmt: skip
    assert not one.good.whole


def test_versions_are_different_subsets_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one = only(write(tmp_path, "marked-x.jsonl", MARKED))
    versions = one.versions(4, Random(1))
    assert versions == one.versions(4, Random(1))
    assert len({version.text for version in versions}) == 4
    assert {version.pair for version in versions} == {"m1"}
    assert [len(version.findings) for version in versions[:2]] == [3, 0]
    assert len(one.versions(50, Random(1))) == 8


def test_the_injector_adds_one_edit_of_the_criterion_at_a_time(tmp_path: Path) -> None:
    passages, _ = read_authored(write(tmp_path, "marked-x.jsonl", MARKED), 0)
    rubric, injector = load_rubric("position-paper"), Authored(passages)
    once = injector.inject(passages[0].good, rubric.criterion("wordiness"), Random(0))
    assert once is not None
    twice = injector.inject(once, rubric.criterion("informal-tone"), Random(0))
    assert twice is not None
    assert twice.text == "Trams rock. We make use of them."
    assert injector.inject(twice, rubric.criterion("wordiness"), Random(0)) is None
    assert injector.inject(passages[0].good, rubric.criterion("hedging"), Random(0)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"find": "nowhere"}, "edit: its place or its mark does not occur exactly once"),
        ({"mark": "This"}, None),
        ({"mark": "s"}, "edit: its place or its mark does not occur exactly once"),
        ({"mark": " "}, "edit: nothing to mark"),
        ({"criterion": "cliche"}, "edit: its criterion is not in the rubric"),
        ({"find": "2010). This result shows"}, "edit: overlaps the one before"),
    ],
)
def test_edits_that_cannot_be_used_are_counted(tmp_path: Path, change: dict[str, str], reason: str | None) -> None:
    row = {**EDITS, "edits": [EDITS["edits"][0], {**EDITS["edits"][1], **change}]}
    (one,), unused = read_authored(write(tmp_path, "edits-x.jsonl", row), 0)
    assert dict(unused) == ({reason: 1} if reason else {})
    assert len(one.edits) == (1 if reason else 2)


def test_a_drafts_weakness_needs_a_whole_draft(tmp_path: Path) -> None:
    row = {**MARKED, "marked": "Trams. {{thesis|Trams are a topic.|Trams should run at night.}}"}
    (_,), unused = read_authored(write(tmp_path, "marked-x.jsonl", row), 0)
    assert dict(unused) == {"edit: a draft's weakness in a mere passage": 1}
    (one,), unused = read_authored(write(tmp_path, "marked-x.jsonl", {**row, "kind": "essay"}), 0)
    assert not unused
    assert one.version([0]).whole


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', json.dumps({**MARKED, "marked": "{{a|b}}"})])
def test_a_broken_row_says_where_it_is(tmp_path: Path, line: str) -> None:
    (tmp_path / "marked-x.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ExamplesError, match=r"marked-x\.jsonl:1: not an authored row"):
        read_authored(tmp_path, 0)


def test_a_folder_without_authored_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match="no authored files"):
        read_authored(tmp_path, 0)


def test_the_sample_is_usable_as_it_is() -> None:
    passages, unused = read_authored(SAMPLE, 0)
    assert not unused
    assert {passage.good.rubric for passage in passages} == {"position-paper", "scientific-paper", "creative-writing"}
    for one in passages:
        for number, edit in enumerate(one.edits):
            weak = one.version([number])
            (finding,) = weak.findings
            assert finding.criterion == edit.criterion
            assert "".join(weak.repaired().split()) == "".join(one.good.text.split())
