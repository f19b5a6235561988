"""Places in a draft stay exact, whatever the writer pasted."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bwcoach.draft import MOST_WORDS, Draft, Passage, Span
from bwcoach.errors import DraftError

ESSAY = (
    "Dr. Ames kept bees. She sold honey, e.g. at fairs.\r\n\r\n"
    'Her hives stood on the roof 🐝 of a school. "Come up," she said. Nobody did.\n\n'
    "In May they swarmed."
)


def words(text: str) -> int:
    return len(text.split())


def test_sentences_are_verbatim_and_in_order() -> None:
    draft = Draft(ESSAY)
    quotes = [sentence.quote(ESSAY) for sentence in draft.sentences]
    assert quotes[0] == "Dr. Ames kept bees."
    assert quotes[-1] == "In May they swarmed."
    assert [s.start for s in draft.sentences] == sorted(s.start for s in draft.sentences)


def test_paragraphs_end_at_blank_lines_with_either_line_end() -> None:
    assert len(Draft(ESSAY).paragraphs) == 3
    assert len(Draft("One line here.\nAnother line here.").paragraphs) == 2


@given(st.text(alphabet=st.characters(codec=None), min_size=1, max_size=400), st.integers(12, 60), st.integers(0, 6))
@settings(max_examples=200)
def test_cores_tile_any_text(text: str, limit: int, context: int) -> None:
    draft = Draft(text)
    if not draft.sentences:
        return
    windows = draft.windows(len, limit, context)
    assert windows[0].core.start == 0
    assert windows[-1].core.end == len(text)
    assert all(a.core.end == b.core.start for a, b in pairwise(windows))
    for window in windows:
        piece = window.pieces[0]
        inside = text[window.core.start : window.core.end].strip()
        assert piece.start <= window.core.start + len(text[window.core.start : window.core.end]) - len(inside)


@given(st.lists(st.sampled_from(["short one.", "a rather longer sentence of eight words here.", "\n\n"]), min_size=1))
def test_windows_keep_to_their_limit(parts: list[str]) -> None:
    draft = Draft(" ".join(parts))
    if draft.sentences:
        for window in draft.windows(words, 24, 8):
            assert words(window.text(draft)) <= 24


def test_neighbouring_windows_share_context() -> None:
    draft = Draft(" ".join(f"Sentence number {n} stands here." for n in range(20)))
    first, second = draft.windows(words, 30, 10)[:2]
    assert second.pieces[0].start < first.core.end
    assert second.core.start == first.core.end


def test_a_line_of_a_megabyte_is_cut_between_words() -> None:
    draft = Draft("word " * 199_999 + "word")
    windows = draft.windows(lambda text: len(text) // 3, 400, 80)
    assert windows[-1].core.end == len(draft.text)
    assert all(window.text(draft).split()[0] in {"word"} for window in windows[:50])


def test_an_outline_keeps_the_ends_and_finds_its_way_back() -> None:
    paragraphs = [f"Paragraph {n} opens here. It goes on for a while." for n in range(30)]
    draft = Draft("\n\n".join(paragraphs))
    outline = draft.outline(words, 80)
    text = outline.text(draft)
    assert text.startswith("Paragraph 0 opens here.")
    assert text.endswith("It goes on for a while.")
    assert words(text) <= 80
    place = text.index("Paragraph 2 opens")
    start = outline.locate(place)
    assert draft.text[start:].startswith("Paragraph 2 opens")


def test_a_short_draft_is_its_own_outline() -> None:
    draft = Draft("  One sentence. Two sentences.  ")
    assert draft.outline(words, 100).text(draft) == "One sentence. Two sentences."


def test_locate_inside_a_seam_belongs_to_the_piece_before() -> None:
    passage = Passage((Span(0, 3), Span(10, 13)), Span(0, 20))
    assert [passage.locate(n) for n in (0, 3, 5, 6)] == [0, 3, 10, 11]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("Word", "single word"),
        ("a " * (MOST_WORDS + 1), "words; up to"),
        ("x" * 1_000_001, "characters; up to"),
        ("1 2 3 4 + 5 = {} [] 77 88 99", "hardly made of letters"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(DraftError, match=sentence):
        Draft(text).check()
