"""One passage under two rubrics: what differs, what is shared."""

from __future__ import annotations

from pathlib import Path

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import load_rubric
from training.evaluation_sets import MarkedDraft, under_two_rubrics
from training.examples import Example, Provenance, write_examples
from training.finding_density import Found
from training.two_rubrics import TwoRubrics, two_rubrics

POSITION, CREATIVE = load_rubric("position-paper"), load_rubric("creative-writing")
TEXT = "It was was done by someone, like a bolt from the blue, some time ago."
MECHANICS, CLICHE = Finding(Span(3, 10), "mechanics"), Finding(Span(27, 53), "cliche")


def reading(name: str, labels: tuple[Finding, ...], found: tuple[Finding, ...]) -> tuple[MarkedDraft, Found]:
    return MarkedDraft(name, name, TEXT, labels), Found(TEXT, load_rubric(name), found)


def compared(position: tuple[Finding, ...], creative: tuple[Finding, ...]) -> TwoRubrics:
    """The slip is a label under both rubrics, the cliché under one."""
    return two_rubrics([[
        reading("position-paper", (MECHANICS,), position),
        reading("creative-writing", (MECHANICS, CLICHE), creative),
    ]])  # fmt: skip


def test_answers_that_follow_both_rubrics() -> None:
    one = compared((MECHANICS,), (MECHANICS, CLICHE))
    assert (one.texts, one.differing, one.shared, one.common) == (1, 1, 2, 2)
    assert (one.told_apart.value, one.alike.value, one.found_in_both.value, one.agreement.value) == (1, 1, 1, 1)


def test_a_genre_that_makes_no_difference_is_told() -> None:
    """What is a cliché in a story is marked in the essay as well, under another name."""
    one = compared((MECHANICS, Finding(CLICHE.span, "vague-language")), (MECHANICS, CLICHE))
    assert one.told_apart.value == 0
    assert one.alike.value == 1


def test_answers_that_miss_alike_agree_and_find_nothing() -> None:
    one = compared((), ())
    assert (one.told_apart.value, one.alike.value, one.found_in_both.value, one.common) == (0, 1, 0, 0)


def test_a_shared_weakness_found_under_one_rubric_alone_is_a_disagreement() -> None:
    one = compared((MECHANICS,), (CLICHE,))
    assert (one.told_apart.value, one.alike.value, one.agreement.value) == (1, 0, 0)


def test_only_texts_under_two_rubrics_are_taken(tmp_path: Path) -> None:
    origin = Provenance("s", "MIT", "rules")
    rows = [
        Example(f"{rubric}/{text}", rubric, text, (), origin)
        for text, rubrics in (("One.", ("a", "b")), ("Two.", ("a",)), ("Three.", ("a", "b", "c")))
        for rubric in rubrics
    ]
    write_examples(rows, tmp_path / "dev.jsonl")
    taken = under_two_rubrics(tmp_path / "dev.jsonl", 10)
    rubrics = {same[0].text: [one.rubric for one in same] for same in taken}
    assert rubrics == {"One.": ["a", "b"], "Three.": ["a", "b", "c"]}
    assert len(under_two_rubrics(tmp_path / "dev.jsonl", 1)) == 1
