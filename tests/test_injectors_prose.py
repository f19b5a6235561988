"""Rules and harmless edits on whole passages: what they leave of a text, how long their lists are, what they spare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.rubric import builtin_rubrics, load_rubric
from training.corpus import read_documents
from training.examples import Example, Provenance
from training.injectors.forms import form_lists, load_forms, weak_beginnings, weak_pattern, words_of
from training.injectors.harmless import form_count, harmless
from training.injectors.rules import Rules
from training.injectors.sentences import sentences

TINY = Path(__file__).parent.parent / "training" / "data" / "tiny"
GENRES = {"position-paper": "position", "scientific-paper": "science", "creative-writing": "creative"}
# Lists whose words an operation puts in; in the others every entry is a form with its repair.
PLANTED = {
    "filter-words", "purple-prose", "dialogue-tags", "weak-transition", "ambiguous-reference", "inconsistent-terms",
    "undefined-acronym", "unsupported-claim", "repetition",
}  # fmt: skip


@cache
def prose(rubric: str) -> tuple[Example, ...]:
    origin = Provenance("here", "MIT", "rules")
    documents = list(read_documents(TINY / f"prose-{GENRES[rubric]}.jsonl"))
    return tuple(Example(document.id, rubric, document.text, (), origin, pair=document.id) for document in documents)


def weakened(rubric: str, times: int) -> Iterator[tuple[Example, Example]]:
    """Passages and what injecting criteria one over the other made of them."""
    criteria = [criterion for criterion in load_rubric(rubric).criteria if criterion.injection.rules]
    for number, passage in enumerate(prose(rubric)):
        rng, example = Random(number), passage
        for criterion in rng.sample(criteria, times):
            example = Rules().inject(example, criterion, rng) or example
        yield passage, example


def leaves(data: Any) -> int:
    """How many words and phrases a list holds, at any depth."""
    if isinstance(data, dict):
        return sum(leaves(value) for value in data.values())
    return sum(map(leaves, data)) if isinstance(data, list) else 1


@pytest.mark.parametrize("name", form_lists())
def test_a_list_has_sixty_forms(name: str) -> None:
    forms = load_forms(name)
    written = len({form.worse for form in forms.forms}) + len(forms.openers)
    if name == "missing-citation":
        assert leaves(words_of(name)) >= 20
    elif name in PLANTED:
        assert leaves(words_of(name)) >= 60
    elif name == "telling":
        assert written + leaves([feeling["named"] for feeling in words_of(name)["feelings"]]) >= 60
    else:
        assert written >= 60


@pytest.mark.parametrize("name", form_lists())
def test_weak_sides_find_themselves_and_by_the_word_they_begin_with(name: str) -> None:
    for worse in load_forms(name).weak:
        plain = worse.replace("[", "").replace("]", "")
        if "{" not in plain and "<" not in plain:
            found = weak_pattern(worse).search(f"So {plain} it goes.")
            assert found, worse
            assert re.findall(r"\w+", found[0].lower())[0] in weak_beginnings(worse), worse


@pytest.mark.parametrize("rubric", builtin_rubrics())
def test_fixes_put_the_good_text_back_however_many_weaknesses_there_are(rubric: str) -> None:
    for passage, example in weakened(rubric, 4):
        assert example.pair == passage.pair
        assert len(example.findings) <= len(example.provenance.forms) <= 4
        for finding in example.findings:
            quote = finding.span.quote(example.text)
            assert quote.strip() == quote != ""
        if all(finding.fix is not None for finding in example.findings):
            assert example.repaired().split() == passage.text.split()


@pytest.mark.parametrize("rubric", builtin_rubrics())
def test_each_criterion_fires_on_ordinary_prose(rubric: str) -> None:
    for criterion in load_rubric(rubric).criteria:
        if criterion.injection.rules:
            made = [Rules().inject(passage, criterion, Random(1)) for passage in prose(rubric)]
            assert any(example is not None for example in made), criterion.id


def test_sentences_end_at_stops_and_not_at_abbreviations() -> None:
    text = "Mr. Hale met Smith et al. in 1990. “Is it far?” she asked. He rose.\n\nFig. 2 shows it"
    assert [span.quote(text) for span in sentences(text)] == [
        "Mr. Hale met Smith et al. in 1990.", "“Is it far?” she asked.", "He rose.", "Fig. 2 shows it",
    ]  # fmt: skip


HARMLESS = [
    ("He began to run.", "He started to run.", "<start> to"),
    ("It rained. However, we went.", "It rained. Nevertheless, we went.", "Nevertheless,"),
    ("We use the map.", "We employ the map.", "<employ>"),
    ("This shows that bees learn.", "This suggests that bees learn.", "hedge/suggests that"),
    ("He opened the shop at dawn.", "At dawn, he opened the shop.", "adverbial moved"),
    ("At dawn he opened the shop.", "He opened the shop at dawn.", "adverbial moved"),
    ("The rain had stopped. He took his hat.", "The rain had stopped, and he took his hat.", "sentences joined"),
    ("The rain fell. He sat by the fire and read until noon.",
     "The rain fell. He sat by the fire and read until noon. Still the rain fell.", "refrain"),
]  # fmt: skip


def passage_of(text: str, *findings: Finding) -> Example:
    return Example("p", "creative-writing", text, findings, Provenance("here", "MIT", "rules"), pair="p")


@pytest.mark.parametrize(("text", "edited", "what"), HARMLESS)
def test_a_harmless_edit_changes_words_and_finds_nothing(text: str, edited: str, what: str) -> None:
    made = [harmless(passage_of(text), Random(seed)) for seed in range(40)]
    example = next(example for example in made if example and example.text == edited)
    assert example.findings == ()
    assert example.pair == "p"
    assert example.provenance.forms == (f"harmless:{what}",)


@pytest.mark.parametrize("text", ["Rome fell.", "“He began to run,” she said.", "Why?"])
def test_a_harmless_edit_leaves_some_texts_alone(text: str) -> None:
    marked = passage_of(text, Finding(Span(0, len(text)), "cliche", fix="x")) if "run" in text else passage_of(text)
    assert harmless(marked, Random(1)) is None


def test_there_are_more_than_sixty_harmless_edits() -> None:
    assert form_count() >= 60


@pytest.mark.parametrize("rubric", builtin_rubrics())
def test_a_harmless_edit_keeps_every_finding_and_its_words(rubric: str) -> None:
    edited = 0
    for number, (_, weak) in enumerate(weakened(rubric, 3)):
        example = harmless(weak, Random(number))
        if example is None:
            continue
        edited += 1
        assert example.text != weak.text
        assert [(f.criterion, f.fix, f.span.quote(example.text)) for f in example.findings] == [
            (f.criterion, f.fix, f.span.quote(weak.text)) for f in weak.findings
        ]
        assert example.provenance.forms[:-1] == weak.provenance.forms
        assert example.provenance.forms[-1].startswith("harmless:")
        assert all(before.span.start <= after.span.start for before, after in pairwise(example.findings))
        assert harmless(weak, Random(number)) == example
    assert edited >= 10
