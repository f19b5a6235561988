"""The shortcuts a model could take, and what is left of a text for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Span
from training.evaluation_sets import MarkedDraft
from training.shortcuts import by_place_alone, shuffled

TEXT = "The rate, it seems, rose quickly. Nobody knows why it rose (or fell). So be it."


def marked(text: str, *spans: tuple[int, int], id: str = "a") -> MarkedDraft:
    return MarkedDraft(id, "scientific-paper", text, tuple(Finding(Span(*span), "hedging") for span in spans), text)


def test_words_change_places_within_their_sentence_and_nothing_else_does() -> None:
    mixed = shuffled(marked(TEXT), 0)
    assert mixed.text != TEXT
    assert mixed.revised is None
    sentences = zip(Draft(TEXT).sentences, Draft(mixed.text).sentences, strict=True)
    for before, after in sentences:
        assert before == after
        old, new = before.quote(TEXT), after.quote(mixed.text)
        assert sorted(old) == sorted(new)
        assert [c for c in old if not c.isalpha() and c != " "] == [c for c in new if not c.isalpha() and c != " "]


def test_a_label_follows_its_words() -> None:
    start = TEXT.index("quickly")
    mixed = shuffled(marked(TEXT, (start, start + 7)), 3)
    assert mixed.labels[0].span.quote(mixed.text) == "quickly"


def test_a_label_goes_where_most_of_its_words_are_and_keeps_their_number() -> None:
    """Six of the second sentence's seven words are labelled, so any six neighbours hold five of them at least."""
    start = TEXT.index("knows")
    mixed = shuffled(marked(TEXT, (start, TEXT.index(").") + 2)), 3)
    words = set(mixed.labels[0].span.quote(mixed.text).replace("(", "").replace(")", "").split())
    assert len(words) == 6
    assert words <= {"Nobody", "knows", "why", "it", "rose", "or", "fell"}


def test_a_label_of_a_stop_stays_with_it() -> None:
    stop = (TEXT.index(","), TEXT.index(",") + 1)
    assert shuffled(marked(TEXT, stop), 3).labels[0].span == Span(*stop)


@given(st.text(max_size=80), st.integers(0, 5))
def test_any_text_keeps_its_length_and_its_letters(text: str, seed: int) -> None:
    mixed = shuffled(marked(text), seed).text
    assert len(mixed) == len(text)
    assert sorted(mixed) == sorted(text)


def test_the_same_seed_gives_the_same_order() -> None:
    assert shuffled(marked(TEXT), 1) == shuffled(marked(TEXT), 1)
    assert shuffled(marked(TEXT), 1) != shuffled(marked(TEXT), 2)


def always_first(count: int) -> list[MarkedDraft]:
    """Drafts whose first sentence alone is weak, at its beginning."""
    text = "Perhaps this is so. " + "Another sentence stands here. " * 9
    return [marked(text, (0, 7), id=str(n)) for n in range(count)]


def test_a_weakness_that_always_stands_at_one_place_is_found_by_it() -> None:
    readings = by_place_alone(always_first(10), folds=5, seed=0)
    for reading in readings:
        surest = max(reading.findings, key=lambda finding: finding.confidence or 0)
        assert surest.span == Span(0, 7)
        assert (surest.confidence or 0) > 0.5


def test_no_draft_tells_of_its_own_labels() -> None:
    """One draft alone is weak at its end: that is known of all others and not of itself."""
    odd = marked(always_first(1)[0].text, (20, 29), id="odd")
    readings = {one.draft: one for one in by_place_alone([*always_first(5), odd], folds=6, seed=0)}
    unlike = [f.span.start for f in readings["odd"].findings if (f.confidence or 0) > 0.3]
    assert unlike == [0]


def test_one_draft_alone_gives_nothing_to_go_by() -> None:
    assert by_place_alone(always_first(1), folds=10, seed=0)[0].findings == ()
