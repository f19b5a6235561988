"""Rules: where each fires, what it marks and mends there, and where it stays silent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import builtin_rubrics, load_rubric
from training.examples import Example, Provenance
from training.injectors.edit import Edit, fix_for, weaken
from training.injectors.rules import Rules, rule_names

RUBRIC_OF = {
    criterion.id: (name, criterion)
    for name in builtin_rubrics() for criterion in load_rubric(name).criteria if criterion.injection.rules
}  # fmt: skip
FIRING = [
    ("wordiness", "The plan failed because the town had no money.", "for the reason that", "because"),
    ("wordiness", "Yesterday they decided to leave the old town.", "made the decision to", "decided to"),
    ("hedging", "These results suggest that sleep matters.", "may possibly seem to suggest that", "suggest that"),
    ("vague-language", "He waited five years for an answer.", "quite some", "five"),
    ("informal-tone", "We will not discuss this further.", "won't", "will not"),
    ("informal-tone", "It has many readers in the north.", "loads of", "many"),
    ("overgeneralization", "Cyclists often stop at the lights.", "always stop", "often stop"),
    ("overgeneralization", "There most teachers work on Sundays.", "all teachers without exception", "most teachers"),
    ("loaded-language", "Yesterday critics met in the hall.", "naysayers", "critics"),
    ("cliche", "His face was pale, and he sat down.", "white as a sheet", "pale"),
    ("adverb-overuse", "The nurse whispered to the boy.", "said quietly", "whispered"),
    ("adverb-overuse", "He slammed the drawer.", "shut the drawer loudly", "slammed the drawer"),
    ("telling", "The door shut and Harry blushed.", "Harry was embarrassed", "Harry blushed"),
    ("overclaim", "Our data suggest that bees remember.", "prove beyond doubt that", "suggest that"),
    ("overclaim", "Loss of sleep is associated with age.", "is proven to cause", "is associated with"),
    ("vague-quantity", "In all, 214 patients completed the trial.", "a large number of", "214"),
    ("vague-quantity", "The yield rose by 23% in wet years.", "considerably", "by 23%"),
    ("mechanics", "We had gone home by then.", "had went", "had gone"),
    ("mechanics", "Nobody saw the parade. The rain had emptied our street.", "parade, the rain", "parade. The rain"),
    ("mechanics", "Here the teacher is late.", "teacher are", "teacher is"),
    ("mechanics", "Nobody liked the teacher's voice.", "teachers", "teacher's"),
    ("filter-words", "He stopped. The lamp went out.", "He noticed that the", "The"),
    ("dialogue-tags", "“Come in,” he said, and sat down.", "he opined", "he said"),
    ("dialogue-tags", "“Is it far?” asked Mary.", "quizzed Mary", "asked Mary"),
    ("purple-prose", "They walked under the moon.", "vast, velvet, star-drunk moon", "moon"),
    ("weak-transition", "It rained. However, we went out.", "Therefore", "However"),
    ("weak-transition", "It rained all day. However, the match was played.", "The match was", "However, the match was"),
    ("ambiguous-reference", "Bees remember. This result shows that they learn.", "This shows", "This result shows"),
    ("undefined-acronym", "We used magnetic resonance imaging (MRI).", "MRI", "magnetic resonance imaging (MRI)"),
    ("missing-citation", "Sleep loss slows the heart in mice (Smith et al., 2008).",
     "Sleep loss slows the heart in mice", "Sleep loss slows the heart in mice (Smith et al., 2008)"),
    ("missing-citation", "It is said that sleep loss slows the heart [4, 5].",
     "It is said that sleep loss slows the heart", "It is said that sleep loss slows the heart [4, 5]"),
    ("inconsistent-terms", "We trained a classifier. The classifier was small.", "predictor", "classifier"),
    ("tense-shift", "The night was cold. He lit a lamp. He sat down. She was late, and they ate.", "sits", "sat"),
    ("passive-voice", "We must protect the workers.", "must be protected by us", None),
    ("tense-shift", "The cells were washed. They were dried. They were cut. They were weighed.", "are", "were"),
    ("passive-voice", "She closed the window.", "was closed by her", None),
    ("passive-voice", "He opened the old door and went out.", "was opened by him", None),
    ("passive-voice", "We believe that the plan will work.", "It is believed", "We believe"),
    ("telling", "He stopped. He blushed. Nobody spoke of it.", "He was embarrassed.", ""),
    ("undefined-acronym", "We trained it with reinforcement learning on two games.", "RL", "reinforcement learning"),
    ("missing-citation", "Smith et al. (2008) found that sleep loss slows the heart in mice.",
     "It has been found that sleep loss slows the heart in mice",
     "Smith et al. (2008) found that sleep loss slows the heart in mice"),
    ("unsupported-claim", "The council should close the pool on Mondays this winter.",
     "The gains would be felt within months.", ""),
    ("unsupported-claim", "The new pool should be closed on Mondays, because hardly anybody swims there on that day.",
     "The new pool should be closed on Mondays",
     "The new pool should be closed on Mondays, because hardly anybody swims there on that day"),
    ("unsupported-claim", "The city's trams are full every morning. In 2019 they carried nine million people.",
     "The city's trams are full every morning.",
     "The city's trams are full every morning. In 2019 they carried nine million people."),
    ("repetition", "The house stood on a hill. It was a low dwelling of stone.", "house", "dwelling"),
    ("repetition", "The lamp was old. It was made of brass.", "The lamp", "It"),
    ("repetition", "The owl sat in the old oak by the north gate.",
     "In other words, the owl sat in the old oak by the north gate.", ""),
    ("monotony", "She opened the box and took out a ring. She held it to the light.",
     "She opened the box. She took out a ring. She held it to the light.",
     "She opened the box and took out a ring. She held it to the light."),
    ("monotony", "He lit the lamp. The door creaked open. She came in with a tray.",
     "Then he lit the lamp. Then the door creaked open. Then she came in with a tray.",
     "He lit the lamp. The door creaked open. She came in with a tray."),
]  # fmt: skip

SILENT = [
    ("wordiness", "Did the dog sleep?"),
    ("wordiness", "Did it fail because of rain?"),
    ("wordiness", "Maps were used by Rome."),
    ("hedging", "Rain fell on Rome."),
    ("informal-tone", "Has the court adjourned?"),
    ("overgeneralization", "Two of them left."),
    ("loaded-language", "Rain fell on Rome."),
    ("loaded-language", "Rome met data scientists."),
    ("cliche", "His face was pale under it, and was gone."),
    ("cliche", "“I saw that it was cold,” he said."),
    ("adverb-overuse", "It was only a whisper."),
    ("adverb-overuse", "He whispered the word."),
    ("adverb-overuse", "Such whispering in the hall was new."),
    ("adverb-overuse", "“She whispered,” he said."),
    ("telling", "They blushed."),
    ("telling", "He said that Lord Robert sighed."),
    ("telling", "He had the smile of a cat."),
    ("telling", "“Come in,” he smiled."),
    ("informal-tone", "Could it be so?"),
    ("mechanics", "No. Go on."),
    ("unsupported-claim", "Why not?"),
    ("repetition", "The house stood on a hill."),
    ("repetition", "He ate. She slept."),
    ("monotony", "He rose. The lamp went out."),
    ("monotony", "“He rose and lit the lamp. He went to the door,” she said."),
    ("wordiness", "Is he the best-used of them?"),
    ("vague-language", "Rain fell on Rome."),
    ("overclaim", "We measured it twice."),
    ("overclaim", "The map could be corrected."),
    ("vague-quantity", "Rome had nearly 200 women."),
    ("vague-quantity", "Rome had two women."),
    ("vague-quantity", "It lies at a depth of 0–20 cm in clay."),
    ("filter-words", "The lamp went out."),
    ("filter-words", "He stopped. Was the lamp out?"),
    ("dialogue-tags", "He said nothing."),
    ("purple-prose", "A moon rose."),
    ("weak-transition", "However, we went out."),
    ("ambiguous-reference", "This shows that they learn."),
    ("undefined-acronym", "We used a scanner (MRI) at rest."),
    ("undefined-acronym", "The MRI came first: magnetic resonance imaging (MRI) at rest."),
    ("missing-citation", "Sleep loss slows the heart."),
    ("inconsistent-terms", "We trained a classifier."),
    ("tense-shift", "He sits. She is late."),
    ("passive-voice", "She waited a moment."),
    ("passive-voice", "They became the masters."),
]


def passage(text: str, rubric: str = "position-paper") -> Example:
    return Example("p", rubric, text, (), Provenance("here", "MIT", "rules"), pair="p")


def injections(criterion: str, text: str, tries: int = 2000) -> Iterator[Example]:
    rubric, known = RUBRIC_OF[criterion]
    made = (Rules().inject(passage(text, rubric), known, Random(seed)) for seed in range(tries))
    return (example for example in made if example)


@pytest.mark.parametrize(("criterion", "text", "weak", "fix"), FIRING, ids=lambda value: str(value)[:30])
def test_a_rule_fires_and_marks_the_place(criterion: str, text: str, weak: str, fix: str | None) -> None:
    made = (
        (finding.span.quote(example.text), finding.fix)
        for example in injections(criterion, text) for finding in example.findings
    )  # fmt: skip
    assert any(one == (weak, fix) for one in made)


@pytest.mark.parametrize(("criterion", "text"), SILENT)
def test_a_rule_stays_silent(criterion: str, text: str) -> None:
    assert list(injections(criterion, text, 20)) == []


def test_every_fix_gives_the_good_text_back() -> None:
    for criterion, text, _, _ in FIRING:
        for example in injections(criterion, text, 60):
            (finding,) = example.findings
            assert finding.criterion == criterion
            assert finding.span.quote(example.text).strip() == finding.span.quote(example.text) != ""
            if finding.fix is not None:
                assert "".join(example.repaired().split()) == "".join(text.split())


def test_the_same_seed_gives_the_same_example_with_its_provenance() -> None:
    _, criterion = RUBRIC_OF["wordiness"]
    good = passage("It failed because the town was poor.")
    first, second = (Rules().inject(good, criterion, Random(3)) for _ in "ab")
    assert first == second
    assert first is not None
    assert first.provenance.injectors == ("rules",)
    assert first.provenance.forms[0].startswith("wordiness/")
    assert (first.provenance.source, first.provenance.license) == ("here", "MIT")


def test_injections_stack_without_touching_one_another() -> None:
    example: Example | None = passage("He lit a lamp because the night was cold. They decided to wait for many people.")
    for criterion in ("wordiness", "overgeneralization", "mechanics", "hedging"):
        assert example is not None
        example = Rules().inject(example, RUBRIC_OF[criterion][1], Random(1)) or example
    assert example is not None
    spans = [finding.span for finding in example.findings]
    assert len(spans) >= 3
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert example.repaired() == "He lit a lamp because the night was cold. They decided to wait for many people."


def test_the_rubrics_name_every_rule_and_every_rule_has_examples() -> None:
    named = {rule for _, criterion in RUBRIC_OF.values() for rule in criterion.injection.rules}
    assert set(rule_names()) == named
    assert {criterion for criterion, *_ in FIRING} == named
    assert {criterion for criterion, _ in SILENT} == named


def test_a_fix_exists_only_where_the_texts_differ_inside_the_mark() -> None:
    assert fix_for("He ran home", "He very quickly ran home", Span(3, 15)) == ""
    assert fix_for("He ran home", "He went home", Span(3, 7)) == "ran"
    assert fix_for("He ran home", "She went home", Span(4, 8)) is None


@given(st.text("ab ", max_size=8), st.text("ab ", max_size=8), st.text("ab ", max_size=8), st.text("xy", min_size=1))
def test_weakening_moves_the_findings_that_come_after(before: str, good: str, after: str, worse: str) -> None:
    text = before + good + "|" + after + "Q"
    place = Span(len(text) - 1, len(text))
    original = Example("e", "r", text, (Finding(place, "c"),), Provenance("", "", ""))
    edit = Edit(Span(len(before), len(before) + len(good)), worse, Span(0, len(worse)), "d", good, "f")
    weak = weaken(original, edit, "rules")
    assert {finding.span.quote(weak.text) for finding in weak.findings} == {"Q", worse}
    assert weak.repaired() == text
