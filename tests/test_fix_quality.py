"""Fixes against what a repair put at their place, and the probability from which on they are worth offering."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from bwcoach.backends import Sampling
from bwcoach.backends.answer import Answer
from bwcoach.backends.transformers_vocabulary import TransformersVocabulary
from bwcoach.coach import load_coach, suggest_fix
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Span
from bwcoach.rubric import load_rubric
from tests.tiny import tiny
from tests.tiny_coach import tiny_model
from training.evaluation_sets import MarkedDraft
from training.fix_quality import NEVER_OFFERED, Fix, Place, fix_figures, fix_threshold, places
from training.fix_suggestions import FixQuestion, Suggestion, suggestions
from training.repairs import Repair
from training.scoring import Reading
from training.systems import CoachSystem

TEXT = "They went home due to the fact that it rained on the roads."
REVISED = "They went home because it rained on the roads."
WORDY = Finding(Span(15, 35), "wordiness")
SCIENCE = load_rubric("scientific-paper")


def fix(answer: str | None, probability: float | None = 0.5, draft: str = "a", removed: bool | None = None) -> Fix:
    marked = MarkedDraft(draft, "scientific-paper", TEXT, (WORDY,), REVISED)
    place = Place(marked, WORDY, True, Repair(WORDY.span, "because"))
    return Fix(place, Suggestion(answer, probability), removed)


def test_an_exact_fix_is_right_and_scores_full_marks() -> None:
    figures = fix_figures([fix("because")])
    assert (figures.exact.value, figures.right.value, figures.chrf.value) == (1, 1, 100)
    assert figures.chrf_left.value < 50


def test_a_fix_that_hardly_touches_the_words_is_not_right_however_alike() -> None:
    """Most words of a long place stay in its repair, so leaving them would score well too."""
    long = "the eels that were in the river were counted by the two of us"
    marked = MarkedDraft("a", "scientific-paper", long, (), None)
    place = Place(marked, Finding(Span(0, len(long)), "wordiness"), True, Repair(
        Span(0, len(long)), "the eels that were in the river we counted"
    ))  # fmt: skip
    near = "the eels that were in the river we two counted"
    left, mended = (Fix(place, Suggestion(answer, 0.5), None) for answer in (long, near))
    assert fix_figures([left]).chrf.value > 60
    assert (left.right, mended.right) == (False, True)


def test_words_that_are_to_go_and_go_are_an_exact_fix() -> None:
    gone = replace(fix(""), place=replace(fix("").place, repair=Repair(WORDY.span, "")))
    assert gone.exact
    assert fix_figures([gone]).chrf.value == 100


def test_a_repair_that_changed_more_than_the_place_is_compared_whole() -> None:
    wider = Repair(Span(10, 35), "in because")
    assert replace(fix("because"), place=replace(fix("because").place, repair=wider)).answer == "home because"


def test_fixes_that_were_not_offered_are_counted_and_not_scored() -> None:
    figures = fix_figures([fix(None), fix("because", removed=True), fix("so", draft="b", removed=False)])
    assert (figures.places, figures.offered, figures.exact.value) == (3, 2, 0.5)
    assert (figures.removable, figures.removed.value) == (2, 0.5)


def test_corpus_bleu_is_that_of_all_fixes_together() -> None:
    answers = ["because", "because of the rain that fell"]
    both = [fix(answer, draft=str(n)) for n, answer in enumerate(answers)]
    assert fix_figures([fix(answers[0])] * 4).bleu.value == pytest.approx(100)
    assert 0 < fix_figures(both).bleu.value < 50


def graded(right_from: float) -> list[Fix]:
    """Twenty drafts with a fix of each probability, right from this one on."""
    return [
        fix("because" if p >= right_from else "nothing like it", p, draft=str(n))
        for n in range(20) for p in (0.2, 0.4, 0.6, 0.8)
    ]


def test_the_threshold_is_the_lowest_from_which_half_are_right() -> None:
    fitted = fix_threshold(graded(0.6), folds=5)
    assert fitted is not None
    # At 0.2 still two of four are right; with a fifth kind that is wrong, no more.
    assert fitted.fitted == 0.2
    more = [*graded(0.6), *(fix("wrong", 0.1, draft=str(n)) for n in range(20))]
    fitted = fix_threshold(more, folds=5)
    assert fitted is not None
    assert (fitted.fitted, fitted.shipped, fitted.held_out, fitted.right.value) == (0.2, 0.2, 80, 0.5)


def test_where_no_probability_will_do_nothing_is_ever_offered() -> None:
    fitted = fix_threshold(graded(0.9), folds=5)
    assert fitted is not None
    assert (fitted.fitted, fitted.held_out, fitted.shipped) == (None, 0, NEVER_OFFERED)
    coach = load_coach(str(tiny_model()))
    never = replace(coach, card=coach.card.model_copy(update={"fix_threshold": NEVER_OFFERED}))
    assert suggest_fix(Draft(TEXT), SCIENCE, never, WORDY).fix is None


def test_a_threshold_that_does_not_hold_on_other_drafts_is_not_shipped() -> None:
    """Every fold's own fixes are wrong where the others' are right: what fits all drafts holds on none kept out."""
    right = [fix("because", 0.5 + 0.001 * n, draft="lucky") for n in range(6)]
    wrong = [fix("nothing like it", 0.5, draft=str(n)) for n in range(6)]
    fitted = fix_threshold([*right, *wrong], folds=7)
    assert fitted is not None
    assert fitted.fitted is not None
    assert fitted.right.value < 0.5
    assert fitted.shipped == NEVER_OFFERED


def test_a_few_lucky_fixes_are_no_threshold() -> None:
    assert fix_threshold([fix("because", 0.9, draft=str(n)) for n in range(4)], folds=4).fitted is None  # type: ignore[union-attr]
    assert fix_threshold([fix("because", None)], folds=2) is None


def test_findings_that_match_come_first_and_unrepaired_places_never() -> None:
    missed = Finding(Span(41, 47), "vague-quantity")
    marked = MarkedDraft("a", "scientific-paper", TEXT, (WORDY, missed), REVISED)
    found = (Finding(Span(15, 30), "wordiness", 0.7), Finding(Span(0, 4), "hedging", 0.6))
    reading = Reading("a", marked.labels, found)
    chosen = places([marked], [reading], 10)
    assert [(place.finding.span, place.found) for place in chosen] == [(Span(15, 30), True)]
    assert (chosen[0].repair.span.quote(TEXT), chosen[0].repair.text) == ("due to the fact that", "because")
    kept = replace(marked, labels=(WORDY, replace(missed, fix="poured")))
    assert [place.repair.text for place in places([kept], [reading], 10)] == ["because", "poured"]
    assert len(places([kept], [reading], 1)) == 1


def test_a_fix_that_takes_the_words_away_has_a_probability() -> None:
    """Where the model ends its answer at once, how sure it was of ending is what a threshold can judge."""
    tokenizer = AutoTokenizer.from_pretrained(tiny().base)
    vocabulary = TransformersVocabulary(tokenizer, len(tokenizer), frozenset({tokenizer.eos_token_id}))
    answer = Answer(0, [tokenizer.bos_token_id], 5, vocabulary, None, Sampling(), drop_blank=False)
    logits = np.zeros(len(tokenizer), dtype=np.float32)
    logits[tokenizer.eos_token_id] = np.log(len(tokenizer) - 1)
    (line,) = answer.take(logits)
    assert (line.text, line.last) == ("", True)
    assert line.probabilities == pytest.approx((0.5,))


def test_suggestions_are_those_of_the_page_and_are_kept(tmp_path: Path) -> None:
    coach = load_coach(str(tiny_model()))
    card = coach.card.model_copy(update={"fix_threshold": 0.9})
    system = CoachSystem("tuned", card, lambda: coach, True, (0.5,))
    questions = [FixQuestion(TEXT, SCIENCE, Finding(Span(start, start + 9), "wordiness")) for start in (0, 15)]
    answers = suggestions(system, questions, tmp_path / "fixes.jsonl")
    for question, answer in zip(questions, answers, strict=True):
        shown = replace(coach, card=card.model_copy(update={"fix_threshold": 0.0}))
        assert answer.fix == suggest_fix(Draft(TEXT), SCIENCE, shown, question.finding).fix
        assert answer.probability is not None
        assert 0 < answer.probability <= 1
    unloadable = replace(system, load=lambda: pytest.fail("a kept fix was asked for again"))
    assert suggestions(unloadable, questions, tmp_path / "fixes.jsonl") == answers
