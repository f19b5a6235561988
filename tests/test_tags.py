"""What a second reading is taught to say, and how spans are read out of what it says."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bwcoach import tags
from bwcoach.draft import Span

TEXT = "It was due to the fact that she, being tired, left."


def token_spans(text: str) -> np.ndarray:
    """Words with their blank before them, which is how pieces of a vocabulary lie."""
    starts = [0, *(i for i, c in enumerate(text) if c == " ")]
    return np.array(list(zip(starts, [*starts[1:], len(text)], strict=True)), dtype=np.int64)


def spoken(spans: np.ndarray, span: Span, high: float = 0.9, low: float = 0.01) -> np.ndarray:
    inside = (spans[:, 0] < span.end) & (spans[:, 1] > span.start)
    return np.where(inside, high, low)[:, None]


def test_a_token_is_weak_where_it_meets_the_span() -> None:
    spans = token_spans(TEXT)
    start = TEXT.index("due")
    wanted = tags.targets(spans, [(Span(start, start + len("due to the fact that")), 1)], 3)
    assert wanted[:, 1].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert wanted[:, [0, 2]].sum() == 0


def test_what_was_taught_is_read_back() -> None:
    spans = token_spans(TEXT)
    span = Span(TEXT.index("due"), TEXT.index(" she"))
    found = tags.runs(TEXT, spans, spoken(spans, span), [0.5], 0.5)
    assert [(run.span.quote(TEXT), run.criterion, run.confidence) for run in found] == [
        ("due to the fact that", 0, 0.9)
    ]


def test_a_comma_at_the_end_is_left_out_and_words_are_whole() -> None:
    assert tags.whole_words(TEXT, Span(TEXT.index(" she,"), TEXT.index("she,") + 4)) == Span(28, 31)
    assert tags.whole_words("unhappiness", Span(2, 7)) == Span(0, 11)
    assert tags.whole_words("a -- , b", Span(5, 6)) is None


def test_below_the_floor_nothing_is_found() -> None:
    spans = token_spans(TEXT)
    assert tags.runs(TEXT, spans, spoken(spans, Span(0, 6), 0.49), [0.5], 0.5) == ()


def test_criteria_may_overlap() -> None:
    spans = token_spans(TEXT)
    both = np.hstack([spoken(spans, Span(0, 10)), spoken(spans, Span(4, 20))])
    assert {run.criterion for run in tags.runs(TEXT, spans, both, [0.5, 0.5], 0.5)} == {0, 1}


@given(st.lists(st.floats(0, 1), min_size=11, max_size=11), st.floats(0.01, 1), st.floats(0.1, 1))
def test_runs_are_whole_words_of_the_text_and_do_not_overlap(column: list[float], floor: float, extent: float) -> None:
    found = tags.runs(TEXT, token_spans(TEXT), np.array(column)[:, None], [floor], extent)
    for run in found:
        assert run.confidence >= floor
        assert run.span.quote(TEXT).strip() == run.span.quote(TEXT) != ""
    ordered = sorted(run.span for run in found)
    assert all(a.end <= b.start for a, b in pairwise(ordered))


def test_probability_is_the_sigmoid_of_the_difference() -> None:
    p = tags.probabilities(np.array([[1.0, 1.0, 3.0]], dtype=np.float32))
    assert p[0, 0] == 0.5
    assert round(float(p[0, 1]), 4) == round(1 / (1 + np.exp(-2.0)), 4)


def test_labels_are_the_first_frequent_words() -> None:
    vocabulary = ["<unk>", "\u2581the", "ing", "\u2581that", "\u2581The", "\u2581with", "\u2581x1zz", "\u2581from"]
    assert tags.label_pieces(vocabulary, 3) == (" that", " with", " from")
