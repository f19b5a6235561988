"""What a repair put at a place."""

from __future__ import annotations

import pytest

from bwcoach.draft import Span
from training.repairs import Alignment

TEXT = "We made use of nets. It rained. Due to the fact that it rained, we performed a count of eels."
REVISED = "We used fine nets. It rained. Because it rained hard, we counted eels."


@pytest.mark.parametrize(
    ("place", "reach", "repaired"),
    [
        ("made use of", "made use of", "used fine"),
        ("Due to the fact that", "Due to the fact that", "Because"),
        ("the fact", "Due to the fact that", "Because"),  # widened to the whole change
        ("performed a count of eels", "performed a count of eels", "counted eels"),
        ("we performed a count of", "we performed a count of", "we counted"),
    ],
)
def test_a_place_is_found_again_in_the_repair(place: str, reach: str, repaired: str) -> None:
    repair = Alignment.of(TEXT, REVISED).repair(Span(TEXT.index(place), TEXT.index(place) + len(place)))
    assert repair is not None
    assert (repair.span.quote(TEXT), repair.text) == (reach, repaired)


def test_what_was_put_in_beside_a_place_is_its_own() -> None:
    repair = Alignment.of(TEXT, REVISED).repair(Span(TEXT.rindex("rained"), TEXT.rindex("rained") + len("rained")))
    assert repair is not None
    assert repair.text == "rained hard"


def test_a_place_that_was_taken_away_leaves_nothing() -> None:
    text = "It was late. Needless to say. It rained."
    place = Span(text.index("Needless"), text.index(" It rained"))
    repair = Alignment.of(text, "It was late. It rained.").repair(place)
    assert repair is not None
    assert (repair.span, repair.text) == (place, "")


@pytest.mark.parametrize("place", ["It rained.", " ", "eels"])
def test_a_place_that_was_left_as_it_stood_has_no_repair(place: str) -> None:
    start = TEXT.index(place)
    assert Alignment.of(TEXT, REVISED).repair(Span(start, start + len(place))) is None
