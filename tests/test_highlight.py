"""A marked draft is the draft: every character once, in its place, as text; and every finding can be seen in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwcoach.diagnosis import Diagnosis, Finding, in_text_order
from bwcoach.draft import Draft, Span
from bwcoach.rubric import builtin_rubrics, load_rubric
from bwcoach.ui.cards import cards, legend
from bwcoach.ui.highlight import finding_key, lanes, look, marked_text, segments

RUBRIC = load_rubric("position-paper")


class Reader(HTMLParser):
    """The text of a page, the tags in it, and which findings each character is marked with."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: list[str] = []
        self.marks: list[frozenset[str]] = []
        self.open: list[str | None] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.open.append(given.get("data-finding") if "mark" in (given.get("class") or "").split() else None)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        self.marks += [frozenset(key for key in self.open if key)] * len(data)


@st.composite
def drafts(draw: st.DrawFn) -> tuple[Draft, tuple[Finding, ...]]:
    text = draw(st.text(st.characters(exclude_characters="\r"), min_size=1, max_size=60))
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 12), st.sampled_from(RUBRIC.ids))
    made = [Finding(Span(a, min(a + n, len(text))), c) for a, n, c in draw(st.lists(places, max_size=8))]
    return Draft(text), in_text_order(made)


@given(drafts())
def test_every_character_is_there_once_with_the_marks_that_cover_it(given: tuple[Draft, tuple[Finding, ...]]) -> None:
    draft, findings = given
    page = Reader(marked_text(draft, RUBRIC, findings))
    shown = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", draft.text)
    assert page.text == shown
    for place, marks in enumerate(page.marks):
        assert marks == {finding_key(f) for f in findings if f.span.start <= place < f.span.end}


@given(drafts())
def test_the_segments_tile_the_draft(given: tuple[Draft, tuple[Finding, ...]]) -> None:
    draft, findings = given
    cut = segments(len(draft.text), [finding.span for finding in findings])
    assert [s.span.start for s in cut] == [0, *(s.span.end for s in cut[:-1])]
    assert cut[-1].span.end == len(draft.text)


@given(drafts())
def test_findings_that_overlap_have_underlines_of_their_own(given: tuple[Draft, tuple[Finding, ...]]) -> None:
    spans = [finding.span for finding in given[1]]
    lane = lanes(spans)
    for one in range(len(spans)):
        for other in range(one):
            assert not spans[one].overlap(spans[other]) or lane[one] != lane[other]


def test_an_overlap_shows_both_numbers_behind_their_words() -> None:
    draft = Draft("In terms of the cost side of it, no.")
    findings = (Finding(Span(0, 31), "wordiness"), Finding(Span(12, 21), "vague-language"))
    html = marked_text(draft, RUBRIC, findings)
    assert re.findall(r'data-number="(\d)"', html) == ["2", "1"]
    assert html.index('data-number="2"') < html.index("side of it") < html.index('data-number="1"')


HOSTILE = "<img src=x onerror=hit()></script><script>hit()</script> &lt;b&gt; \"'` ${hit()} {{hit}} <svg/onload=hit()>"


def test_markup_in_a_draft_is_text_in_the_draft_the_cards_and_the_names_of_the_marks() -> None:
    draft = Draft(f"He said: {HOSTILE} and left.")
    start = draft.text.index("<img")
    finding = Finding(Span(start, start + len(HOSTILE)), "mechanics", 0.9, fix=HOSTILE, comment=HOSTILE)
    diagnosis = Diagnosis(draft, RUBRIC, "model", (finding,), 0.1)
    text = Reader(marked_text(draft, RUBRIC, (finding,)))
    assert text.text == draft.text
    assert set(text.tags) == {"div", "span"}
    card = Reader(cards(diagnosis, frozenset()))
    assert card.text.count(HOSTILE) == 4  # quote, comment, and the fix beside what it replaces
    assert not set(card.tags) & {"img", "script", "svg"}


@pytest.mark.parametrize("name", builtin_rubrics())
def test_no_two_criteria_of_a_rubric_look_the_same_and_neighbours_differ_in_the_line_too(name: str) -> None:
    rubric = load_rubric(name)
    looks = [look(rubric, criterion) for criterion in rubric.ids]
    assert len(set(looks)) == len(looks)
    assert all(one[0] != other[0] for one, other in pairwise(looks))


def test_the_legend_counts_what_was_found_and_names_what_was_not() -> None:
    draft = Draft("One two three four.")
    found = (Finding(Span(0, 3), "hedging"), Finding(Span(4, 7), "hedging"), Finding(Span(8, 13), "thesis"))
    html = legend(Diagnosis(draft, RUBRIC, "model", found, 0.1))
    assert re.findall(r'data-criterion="([\w-]+)".*?class="count">(\d+)', html) == [("thesis", "1"), ("hedging", "2")]
    assert "loaded language" in html.split("Nothing found:")[1]
    unfinished = legend(Diagnosis(draft, RUBRIC, "model", found, 0.1, complete=False))
    assert "Nothing found" not in unfinished
