"""What people and programs are told of a diagnosis."""

from __future__ import annotations

import csv
import io
import json
import string
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwcoach.comparison import compare
from bwcoach.diagnosis import Diagnosis, Finding, in_text_order
from bwcoach.draft import Draft, Span
from bwcoach.report import EXPORTERS, as_text, remarks, side_by_side, visible
from bwcoach.rubric import load_rubric

RUBRIC = load_rubric("position-paper")
TEXT = "We met due to the fact that it rained.\r\nWe left due to the fact that it stopped.\n"
KEYS = ["criterion", "start", "end", "quote", "confidence", "severity", "why", "question", "hint", "fix", "comment"]


def place_of(quote: str, text: str = TEXT, nth: int = 0) -> Span:
    start = -1
    for _ in range(nth + 1):
        start = text.index(quote, start + 1)
    return Span(start, start + len(quote))


def diagnosis(findings: Iterable[Finding], text: str = TEXT, path: str = "a.txt", model: str = "m") -> Diagnosis:
    return Diagnosis(Draft(text, path), RUBRIC, model, in_text_order(list(findings)), 1.25)


TWICE = diagnosis(Finding(place_of("due to the fact that", nth=n), "wordiness", 0.75 + n / 8) for n in range(2))


def written(name: str, *diagnoses: Diagnosis) -> str:
    return "".join(EXPORTERS[name](diagnoses))


def test_the_nth_finding_of_a_criterion_gets_its_nth_wording() -> None:
    wordiness = RUBRIC.criterion("wordiness")
    many = diagnosis(Finding(Span(n, n + 1), "wordiness") for n in range(7))
    assert [r.question for r in remarks(many)] == [wordiness.questions[n % 3] for n in range(7)]
    assert [r.hint for r in remarks(many)] == [wordiness.hints[n % 3] for n in range(7)]


def test_jsonl_is_one_line_a_draft_with_exactly_the_promised_keys() -> None:
    lines = written("jsonl", TWICE, diagnosis([], path="b.txt")).splitlines()
    first, second = map(json.loads, lines)
    assert list(first) == ["path", "rubric", "model", "seconds", "findings", "unread"]
    assert (first["path"], first["rubric"], first["model"], first["unread"]) == ("a.txt", "position-paper", "m", 0)
    assert [list(finding) for finding in first["findings"]] == [KEYS, KEYS]
    assert [(f["start"], f["end"]) for f in first["findings"]] == [(7, 27), (48, 68)]
    assert (second["path"], second["findings"]) == ("b.txt", [])


def test_a_line_is_a_line_for_every_reader() -> None:
    text = "one\x85two\u2028three\u2029four\r\nfive"
    one = diagnosis([Finding(Span(0, len(text)), "mechanics")], text)
    lines = written("jsonl", one).splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["findings"][0]["quote"] == text
    assert json.loads(written("json", one))[0]["findings"][0]["quote"] == text


def test_json_is_the_list_of_what_the_lines_say() -> None:
    lines = [json.loads(line) for line in written("jsonl", TWICE, TWICE).splitlines()]
    assert json.loads(written("json", TWICE, TWICE)) == lines
    assert json.loads(written("json")) == []


@given(st.text(max_size=40), st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_every_format_for_programs_gives_the_quote_back_as_it_was(before: str, quote: str, after: str) -> None:
    text = before + quote + after
    one = diagnosis([Finding(Span(len(before), len(before + quote)), "mechanics", fix=quote)], text)
    row = json.loads(written("jsonl", one))["findings"][0]
    assert text[row["start"] : row["end"]] == row["quote"] == row["fix"] == quote
    cell = list(csv.reader(io.StringIO(written("csv", one), newline="")))[1][6]
    assert cell in (quote, f"'{quote}")


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    text = '=HYPERLINK("http://x","y") +1 -1 @a'
    one = diagnosis([Finding(Span(0, 26), "mechanics", fix="@SUM(A1)")], text, path="=a.txt")
    header, row = csv.reader(io.StringIO(written("csv", one)))
    cells = dict(zip(header, row, strict=True))
    assert (cells["quote"], cells["fix"], cells["path"]) == ("'" + text[:26], "'@SUM(A1)", "'=a.txt")
    assert cells["start"] == "0"


def test_text_gives_place_mark_reason_and_question() -> None:
    text = written("text", TWICE)
    wordiness = RUBRIC.criterion("wordiness")
    assert "a.txt:1:8: Wordiness" in text
    assert "a.txt:2:9: Wordiness" in text, "CRLF ends one line"
    assert "We left [due to the fact that] it stopped." in text
    assert wordiness.why in text
    assert wordiness.questions[1] in text
    assert text.endswith("a.txt: 2 findings (2 wordiness) in 18 words; m, 1.2 s.\n")


def test_colour_is_underlined_too_and_takes_the_place_of_the_brackets() -> None:
    text = "".join(as_text([TWICE], colour=True))
    assert "\x1b[1;4;33mdue to the fact that\x1b[0m" in text
    assert "[due" not in text


def test_what_was_not_read_is_said() -> None:
    text = written("text", Diagnosis(Draft(TEXT, "a.txt"), RUBRIC, "m", (), 0.5, unread=2, complete=False))
    assert "nothing found" in text
    assert "left out: 2 answers of the model that named no place in the draft" in text
    assert "stopped before the end" in text


@given(st.text())
def test_nothing_shown_can_steer_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not set(shown) & {*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0)), *"\u202a\u202e\u2066\u2069"}


def test_an_escape_sequence_of_a_draft_is_shown_and_not_obeyed() -> None:
    draft = "It was \x1b[2J\x1b[31mred and\u202e odd."
    one = diagnosis([Finding(Span(7, 23), "mechanics", fix="\x1b[0m")], draft, path="\x1b[31m.txt")
    assert "\x1b" not in written("text", one)
    assert "\u202e" not in written("text", one)


@pytest.mark.parametrize("width", [20, 50, 83, 200])
def test_a_long_line_is_shown_around_its_mark(width: int) -> None:
    words = ("word " * width) + "due to the fact that" + (" word" * width)
    shown = next(line for line in written("text", diagnosis(
        [Finding(place_of("due to the fact that", words), "wordiness")], words)).splitlines() if "[" in line)
    assert "word [due to the fact that] word" in shown
    assert len(shown) < 180


def test_comparing_pairs_what_overlaps_under_one_criterion_and_nothing_twice() -> None:
    text = string.ascii_lowercase
    base = diagnosis([Finding(Span(0, 9), "wordiness"), Finding(Span(12, 15), "hedging")], text)
    tuned = diagnosis(
        [Finding(Span(0, 3), "wordiness"), Finding(Span(4, 9), "wordiness"), Finding(Span(12, 15), "mechanics")], text
    )
    found = compare(base, tuned)
    assert [(one.span, other.span) for one, other in found.both] == [(Span(0, 9), Span(4, 9))]
    assert [one.criterion for one in found.only_base] == ["hedging"]
    assert [one.span for one in found.only_tuned] == [Span(0, 3), Span(12, 15)]


def test_side_by_side_shows_each_finding_on_its_side() -> None:
    base = diagnosis([Finding(place_of("due to the fact that"), "wordiness", 0.5)], model="m (base)")
    table = side_by_side(compare(base, TWICE), 100)
    lines = table.splitlines()
    assert lines[0].split(" | ")[0].strip() == "m (base): 1 found, 1.2 s"
    assert lines[0].split(" | ")[1] == "m: 2 found, 1.2 s"
    both, alone = (line.split(" | ") for line in lines[2:4])
    assert both[0].strip() == "1:8 wordiness 0.50: due to the fact that"
    assert both[1] == "1:8 wordiness 0.75: due to the fact that"
    assert (alone[0].strip(), alone[1]) == ("", "2:9 wordiness 0.88: due to the fact that")
    assert "Both: 1. Only base: 0. Only tuned: 1." in table
    assert all(len(line) <= 100 for line in lines)
