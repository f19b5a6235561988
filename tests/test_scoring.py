"""Matching findings with labels, and what is counted from the matches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import load_rubric
from training.evaluation_sets import MarkedDraft
from training.finding_density import Found, human_lift, lift, per_thousand_words, share_denser, weighted_density
from training.scoring import Reading, compare, macro, match, matches, measures, ratio, score, tally
from training.thresholds import CANDIDATES, Thresholds, fit_thresholds


def finding(start: int, end: int, criterion: str = "wordiness", confidence: float | None = None) -> Finding:
    return Finding(Span(start, end), criterion, confidence)


places = st.builds(
    lambda start, length, criterion: finding(start, start + length, criterion),
    st.integers(0, 60), st.integers(1, 30), st.sampled_from(("wordiness", "hedging")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "label", "expected"),
    [
        ((10, 20), (10, 20), True),
        ((10, 20), (15, 40), True),  # five of the shorter one's ten
        ((10, 20), (16, 40), False),  # four of ten
        ((10, 20), (20, 30), False),  # they only touch
        ((0, 55), (10, 15), True),  # 3 x 5 + 40 characters are as long as a finding may be
        ((0, 56), (10, 15), False),
        ((12, 13), (10, 200), True),  # one word of a long label lies in it whole
    ],
)
def test_the_matching_rule(found: tuple[int, int], label: tuple[int, int], expected: bool) -> None:
    assert matches(finding(*found), finding(*label)) is expected


def test_another_criterion_never_matches() -> None:
    assert not matches(finding(0, 10, "wordiness"), finding(0, 10, "hedging"))


def test_each_label_is_matched_once() -> None:
    assert match([finding(0, 10), finding(0, 9)], [finding(0, 10)]) == ((0, 0),)


def test_the_longest_overlap_is_matched_first() -> None:
    long, short = finding(0, 20), finding(0, 12)
    assert match([short, long], [finding(0, 20)]) == ((1, 0),)


@given(st.lists(places, max_size=8), st.lists(places, max_size=8))
def test_a_match_pairs_what_matches_and_nothing_twice(findings: list[Finding], labels: list[Finding]) -> None:
    pairs = match(findings, labels)
    assert all(matches(findings[i], labels[j]) for i, j in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


@given(st.lists(places, max_size=8), st.lists(places, max_size=8))
def test_no_pair_is_left_that_could_still_be_matched(findings: list[Finding], labels: list[Finding]) -> None:
    pairs = match(findings, labels)
    used_findings, used_labels = {i for i, _ in pairs}, {j for _, j in pairs}
    left = [(i, j) for i in range(len(findings)) for j in range(len(labels)) if matches(findings[i], labels[j])]
    assert all(i in used_findings or j in used_labels for i, j in left)


def test_measures_of_counts_by_hand() -> None:
    precision, recall, f1, f05 = measures(np.asarray([6, 8, 12]))
    assert (precision, recall) == (0.75, 0.5)
    assert f1 == pytest.approx(2 * 0.75 * 0.5 / 1.25)
    assert f05 == pytest.approx(1.25 * 0.75 * 0.5 / (0.25 * 0.75 + 0.5))


def test_a_share_of_nothing_is_nought() -> None:
    assert measures(np.asarray([0, 0, 0])).tolist() == [0, 0, 0, 0]


def test_macro_leaves_out_criteria_without_labels() -> None:
    counts = np.asarray([[1, 1, 1], [0, 5, 0], [0, 0, 1]])
    assert macro(counts)[2] == pytest.approx((1 + 0) / 2)


def readings(*drafts: tuple[list[Finding], list[Finding]]) -> list[Reading]:
    return [Reading(f"d{n}", tuple(labels), tuple(found)) for n, (labels, found) in enumerate(drafts)]


def test_scores_of_a_small_set() -> None:
    scored = score(tally(readings(
        ([finding(0, 10), finding(50, 60, "hedging")], [finding(0, 10), finding(30, 40)]),
        ([finding(0, 10)], [finding(5, 10)]),
    )))  # fmt: skip
    assert (scored.micro.correct, scored.micro.found, scored.micro.labelled) == (2, 3, 3)
    assert scored.micro.f1.value == pytest.approx(2 / 3)
    assert scored.criteria["hedging"].recall.value == 0
    assert scored.macro.f1.value == pytest.approx((2 * 2 / (3 + 2) + 0) / 2)


def mixed(count: int) -> list[Reading]:
    """Every second draft is read without a fault, the others without a hit."""
    hit, miss = ([finding(0, 10)], [finding(0, 10)]), ([finding(0, 10)], [finding(50, 60)])
    return readings(*(hit if n % 2 else miss for n in range(count)))


def test_intervals_hold_the_value_and_narrow_with_more_drafts() -> None:
    few, many = (score(tally(mixed(count))).micro.f1 for count in (8, 200))
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_the_same_seed_gives_the_same_interval_and_another_gives_another() -> None:
    counted = tally(mixed(20))
    assert score(counted, seed=1) == score(counted, seed=1)
    assert score(counted, seed=1).micro.f1 != score(counted, seed=2).micro.f1


def test_a_system_does_not_differ_from_itself() -> None:
    same = compare(tally(mixed(20)), tally(mixed(20)))
    assert (same.difference.value, same.difference.low, same.difference.high, same.p_value) == (0, 0, 0, 1)


def test_a_better_system_is_told_from_a_worse_one_and_the_sign_turns() -> None:
    right = tally(readings(*[([finding(0, 10)], [finding(0, 10)])] * 20))
    ahead, behind = compare(right, tally(mixed(20))), compare(tally(mixed(20)), right)
    assert ahead.difference.low > 0
    assert ahead.p_value < 0.01
    assert behind.difference.value == -ahead.difference.value


def test_a_comparison_wants_the_same_drafts() -> None:
    with pytest.raises(ValueError, match="same drafts"):
        compare(tally(mixed(4)), tally(mixed(5)))


def unsure(drafts: int) -> list[Reading]:
    """`wordiness` is right from 0.6 on, `hedging` from 0.3 on, and below that wrong."""
    return readings(*(
        (
            [finding(0, 10), finding(100, 110, "hedging")],
            [
                finding(0, 10, confidence=0.7), finding(30, 40, confidence=0.5),
                finding(100, 110, "hedging", 0.4), finding(130, 140, "hedging", 0.2),
            ],
        )
        for _ in range(drafts)
    ))  # fmt: skip


def test_fitted_thresholds_part_right_from_wrong_by_criterion() -> None:
    fit = fit_thresholds({0.5: unsure(40)}, shrinkage=1)
    assert 0.5 < fit.final.criteria["wordiness"] <= 0.7
    assert 0.2 < fit.final.criteria["hedging"] <= 0.4
    assert score(tally(fit.cross_fitted({0.5: unsure(40)}))).micro.f1.value == 1


def test_a_criterion_with_few_labels_keeps_to_the_pooled_threshold() -> None:
    fit = fit_thresholds({0.5: unsure(40)}, shrinkage=1e9)
    assert set(fit.final.criteria.values()) == {fit.final.pooled}


def test_no_draft_has_a_say_in_its_own_thresholds() -> None:
    """A draft whose findings are all wrong at a high confidence raises the others' thresholds and not its own."""
    odd = Reading("odd", (), tuple(finding(10 * n, 10 * n + 5, confidence=0.9) for n in range(200)))
    fit = fit_thresholds({0.5: [*unsure(9), odd]}, folds=10, shrinkage=0)
    alone = fit_thresholds({0.5: unsure(9)}, folds=9, shrinkage=0)
    assert fit.by_draft["odd"] == alone.final
    assert fit.by_draft["d0"] != alone.by_draft["d0"]


def test_the_extent_that_matches_best_is_chosen() -> None:
    good = unsure(10)
    bad = [
        Reading(one.draft, one.labels, tuple(finding(300, 310, f.criterion, f.confidence) for f in one.findings))
        for one in good
    ]
    fit = fit_thresholds({0.3: bad, 0.7: good}, shrinkage=1)
    assert {fit.final.extent, *(t.extent for t in fit.by_draft.values())} == {0.7}
    assert score(tally(fit.cross_fitted({0.3: bad, 0.7: good}))).micro.f1.value == 1


def test_a_finding_without_confidence_is_always_shown() -> None:
    assert Thresholds({"wordiness": 0.9}, 0.9, 0.5).shown([finding(0, 1)]) == (finding(0, 1),)


@pytest.mark.parametrize("confidence", CANDIDATES[::12])
def test_a_finding_that_just_reached_its_threshold_reaches_the_number_in_the_card(confidence: float) -> None:
    fit = fit_thresholds({0.5: readings(*[([finding(0, 9)], [finding(0, 9, confidence=float(confidence))])] * 4)})
    assert fit.final.shown([finding(0, 9, confidence=float(confidence))])


SCIENCE = load_rubric("scientific-paper")


def found(text: str, *findings: Finding) -> Found:
    return Found(text, SCIENCE, findings)


def test_findings_per_thousand_words() -> None:
    assert per_thousand_words([found("w " * 500, finding(0, 1)), found("w " * 1500)]).value == 0.5


def test_a_major_finding_weighs_twice_a_minor_one() -> None:
    by_severity = {c.severity: c.id for c in SCIENCE.criteria}
    major, minor = (found("a b", finding(0, 1, by_severity[severity])) for severity in ("major", "minor"))
    assert weighted_density(major) == 2 * weighted_density(minor)


def test_a_tie_counts_half() -> None:
    weak, sound = found("a b", finding(0, 1)), found("a b")
    assert share_denser([(weak, sound), (sound, sound), (sound, weak), (weak, sound)], weighted_density).value == 0.625


def test_findings_at_the_edits_are_lifted_and_findings_at_random_places_are_not() -> None:
    words = 400
    text = "word " * words
    marked = [finding(5 * n, 5 * n + 4) for n in range(0, words, 10)]
    at_places = lift([found(text, *marked)], [marked], same_criterion=True)
    assert at_places.at_places == 1
    assert at_places.lift is not None
    assert 8 < at_places.lift < 12
    rng = np.random.default_rng(0)
    anywhere = [finding(5 * int(n), 5 * int(n) + 4) for n in rng.integers(0, words, 400)]
    random = lift([found(text, *anywhere)], [marked], same_criterion=True)
    assert random.lift is not None
    assert 0.6 < random.lift < 1.5


def test_an_edit_of_another_criterion_counts_only_where_any_will_do() -> None:
    text, edit, ours = "one two three four", finding(4, 7, "hedging"), finding(4, 7, "wordiness")
    assert lift([found(text, ours)], [[edit]], same_criterion=True).at_places == 0
    assert lift([found(text, ours)], [[edit]], same_criterion=False).at_places == 1


def test_nothing_found_has_no_lift() -> None:
    assert lift([found("one two")], [[finding(0, 3)]], same_criterion=False).lift is None


def test_a_ratio_is_of_sums_and_a_ratio_to_nothing_is_nought() -> None:
    figure = ratio(np.asarray([[1, 2], [3, 8], [0, 0]]))
    assert figure.value == 0.4
    assert figure.low <= 0.4 <= figure.high
    assert ratio(np.zeros((3, 2))).value == ratio(np.zeros((0, 2))).value == 0


def voted(*votes: int) -> MarkedDraft:
    """Ten words apart each, in a text of a thousand words."""
    text = "word " * 1000
    marks = tuple(finding(50 * n, 50 * n + 4) for n in range(len(votes)))
    return MarkedDraft("a", "scientific-paper", text, marks, votes=votes)


def test_editors_who_all_agree_have_the_lift_of_a_perfect_reader() -> None:
    agreed = voted(*[3] * 20)
    human = human_lift([agreed], same_criterion=True)
    perfect = lift([found(agreed.text, *agreed.labels)], [agreed.labels], same_criterion=True)
    assert (human.findings, human.at_places) == (60, 1)
    assert human.lift == pytest.approx(perfect.lift, rel=0.05)


def test_editors_who_never_agree_have_no_lift_and_pairs_have_their_share() -> None:
    assert human_lift([voted(*[1] * 20)], same_criterion=True).at_places == 0
    mixed = human_lift([voted(*[1] * 10, *[2] * 10)], same_criterion=True)
    assert mixed.at_places == pytest.approx(20 / 30)
