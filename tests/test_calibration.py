"""Whether a confidence means what it says, on findings that are made to be right a known number of times."""

from __future__ import annotations

import pytest

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from training.calibration import BINS, FEWEST_IN_A_BIN, calibration
from training.scoring import Reading


def finding(start: int, confidence: float | None = None) -> Finding:
    return Finding(Span(start, start + 10), "wordiness", confidence)


def drafts(confidence: float, right: int, wrong: int, count: int = 10) -> list[Reading]:
    """In each draft so many findings of this confidence are right and so many wrong."""
    labels = tuple(finding(20 * n) for n in range(right))
    found = tuple(finding(20 * n, confidence) for n in range(right + wrong))
    return [Reading(f"{confidence}-{n}", labels, found) for n in range(count)]


def test_findings_that_are_right_as_often_as_they_say_have_no_error() -> None:
    figure = calibration(drafts(0.75, right=6, wrong=2))
    assert figure is not None
    assert figure.error.value == pytest.approx(0)
    assert (figure.findings, figure.confidence, figure.right.value) == (80, 0.75, 0.75)


def test_the_error_is_the_distance_between_confidence_and_share() -> None:
    """Half of the findings say 0.9 and are right half the time, half say 0.3 and are: (0.4 + 0) / 2."""
    figure = calibration([*drafts(0.9, right=5, wrong=5), *drafts(0.3, right=3, wrong=7)])
    assert figure is not None
    assert figure.error.value == pytest.approx(0.2)
    assert figure.bins[0].confidence == pytest.approx(0.3)
    assert figure.bins[-1].confidence == pytest.approx(0.9)


def spread(count: int) -> list[Reading]:
    """A finding a draft, each of another confidence."""
    return [Reading(str(n), (), (finding(0, (n + 1) / (count + 1)),)) for n in range(count)]


def test_bins_hold_equal_numbers_and_never_too_few() -> None:
    many, few = calibration(spread(800)), calibration(spread(25))
    assert many is not None
    assert few is not None
    assert [one.findings for one in many.bins] == [800 // BINS] * BINS
    assert [one.findings for one in few.bins] == [12, 13]
    assert few.bins[0].findings >= FEWEST_IN_A_BIN


def test_two_findings_of_one_label_are_not_both_right() -> None:
    twice = (Finding(Span(0, 6), "wordiness", 0.5), Finding(Span(4, 10), "wordiness", 0.5))
    figure = calibration([Reading("a", (finding(0),), twice)])
    assert figure is not None
    assert figure.right.value == 0.5


def test_findings_without_a_confidence_say_nothing() -> None:
    assert calibration([Reading("a", (), (finding(0),))]) is None
