"""Examples that rules make out of good passages, each decided by the seed and the passage alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from bwcoach.draft import Draft
from bwcoach.rubric import Criterion, Rubric, load_rubric
from training.corpus import Document, Split, read_documents
from training.examples import Example, Provenance
from training.form_matcher import FormMatcher
from training.injectors.harmless import harmless
from training.injectors.rules import GENERATOR, Rules
from training.leaks import HeldOutTexts, KeptApart
from training.passages import passages
from training.recipe import GenerateRecipe
from training.rule_plan import Plan, Rates, room
from training.splits import is_held_out, marked_if_unseen

GENRE_PAIR = "genre-pair"
MOST_PASSAGES = 64
_SAMPLED_PASSAGES = 16
_TRIES = 4
_SPEECH_MARKS = ("“", '"')


def good_passages(documents: Iterable[Document], rubric: str, seed: int, share: float = 1.0) -> Iterator[Example]:
    """The passages of such a share of the documents, each with no finding, named after its document and its number
    there."""
    for document in documents:
        # A generator of its own: what a document gives does not depend on the documents before it.
        rng = Random(f"{seed}:{document.id}")
        if rng.random() >= share:
            continue
        for number, text in enumerate(islice(passages(document, rng), MOST_PASSAGES)):
            name = f"{document.id}@{number}"
            origin = Provenance(document.source, document.license, GENERATOR, seed=seed)
            yield Example(name, rubric, text, (), origin, pair=name)


def measure_rates(sample: Path, rubric: Rubric, settings: GenerateRecipe, seed: int) -> Rates:
    """Which criteria can be injected into the passages of a sample of documents, one at a time."""
    weakener = Weakener(settings, "train")
    criteria = criteria_with_rules(rubric)
    documents = count = 0
    words: list[int] = []
    fired: list[tuple[str, ...]] = []
    for document in read_documents(sample):
        documents += 1
        for number, passage in enumerate(good_passages([document], rubric.name, seed)):
            count += 1
            if number < _SAMPLED_PASSAGES:
                rng = Random(f"{seed}:{passage.id}:rates")
                words.append(len(passage.text.split()))
                fired.append(tuple(c.id for c in criteria if weakener.inject(passage, c, rng)))
    return Rates(count / max(1, documents), tuple(words), tuple(fired))


def criteria_with_rules(rubric: Rubric) -> tuple[Criterion, ...]:
    return tuple(criterion for criterion in rubric.criteria if criterion.injection.rules)


class Weakener:
    """The rules, kept from the forms and the operation that this split must not have."""

    def __init__(self, settings: GenerateRecipe, split: Split) -> None:
        self._rules = Rules()
        self._held_out = (settings.held_out_forms, settings.held_out_injector)
        self._split = split

    def inject(self, passage: Example, criterion: Criterion, rng: Random) -> Example | None:
        for _ in range(_TRIES):
            weaker = self._rules.inject(passage, criterion, rng)
            if weaker is None or self._split != "train" or not is_held_out(weaker, *self._held_out):
                return weaker
        return None

    def marked(self, example: Example) -> Example:
        """With the mark of what is not trained on, where it is."""
        return marked_if_unseen(example, *self._held_out)


class RuleExamples:
    """What the passages of one rubric give in one split.

    A weak version and the good one it was made from share `pair` and follow each other. The same text under a second
    rubric follows it too, and both then have the form `genre-pair`. `passed_over` counts passages by reason.
    """

    def __init__(
        self, rubric: Rubric, plan: Plan, settings: GenerateRecipe, seed: int, split: Split,
        kept_apart: KeptApart, held_out: HeldOutTexts | None,
    ) -> None:  # fmt: skip
        self.passed_over: Counter[str] = Counter()
        self._rubric, self._plan, self._settings, self._seed, self._split = rubric, plan, settings, seed, split
        self._kept_apart, self._held_out = kept_apart, held_out
        self._weakener = Weakener(settings, split)
        self._criteria = {criterion.id: criterion for criterion in criteria_with_rules(rubric)}
        also = [load_rubric(other) for other in settings.also_read.get(rubric.name, ())]
        self._also = [(other, FormMatcher(other)) for other in also]

    def rows(self, passage: Example) -> Iterator[Example]:
        """The passage's versions, or nothing where it was not drawn, shows nothing, or must be kept out."""
        rng = Random(f"{self._seed}:{passage.id}:versions")
        firsts: list[str | None] = [None] * int(self._plan.taken + rng.random())
        drawn = {c: int(much + rng.random()) for c, much in self._plan.looked_for.items()}
        for criterion, count in drawn.items():
            if count and self._weakener.inject(passage, self._criteria[criterion], rng):
                firsts += [criterion] * count
        if not firsts or self._must_stay_out(passage.text):
            return
        texts: set[str] = set()
        for number, first in enumerate(firsts):
            for example in self._version(passage, number, first, rng):
                if example.text not in texts:
                    texts.add(example.text)
                    yield self._weakener.marked(example)
        if self._also and rng.random() < self._settings.genre_share:
            for example in self._genre_pair(passage, rng):
                yield self._weakener.marked(example)

    def _must_stay_out(self, text: str) -> bool:
        if self._kept_apart.shared(text):
            self.passed_over["passage: shares words with an evaluation file"] += 1
            return True
        if self._held_out is not None and self._held_out.holds(text):
            self.passed_over["passage: stands in dev or test as well"] += 1
            return True
        return False

    def _version(self, passage: Example, number: int, first: str | None, rng: Random) -> Iterator[Example]:
        """One weak version, and its good one as often as makes the share of clean rows that is wanted."""
        better = None
        if number or rng.random() < self._settings.harmless_share:
            better = harmless(passage, rng)
        good = replace(better or passage, pair=f"{passage.id}/{number}")
        order = self._plan.order(rng)
        if first is not None:
            order = [first, *(criterion for criterion in order if criterion != first)]
        weak = self._weakened(good, [self._criteria[criterion] for criterion in order], rng)
        if weak.findings:
            share = self._settings.clean_share
            yield weak.with_id(f"{good.pair}/weak")
            if rng.random() < share / (1 - share):
                yield good.with_id(f"{good.pair}/good")

    def _weakened(self, good: Example, criteria: Sequence[Criterion], rng: Random) -> Example:
        most = room(len(good.text.split()), rng)
        example = good
        for criterion in criteria:
            if len(example.findings) >= most:
                break
            example = self._weakener.inject(example, criterion, rng) or example
        return example

    def _genre_pair(self, passage: Example, rng: Random) -> Iterator[Example]:
        """One text under both rubrics, made weak in what only one of them has, in what only the other has, or both.

        Only passages without speech, and without a phrase from the other rubric's lists, are taken: what the other
        rubric would mind in them unasked is then little.
        """
        other, matcher = rng.choice(self._also)
        if any(mark in passage.text for mark in _SPEECH_MARKS) or matcher.findings(Draft(passage.text)):
            return
        mine, its = self._rubric, {criterion.id: criterion for criterion in criteria_with_rules(other)}
        pool = list((its | self._criteria).values())
        rng.shuffle(pool)
        weak = self._weakened(passage, pool, rng)
        if all((f.criterion in mine.ids) == (f.criterion in other.ids) for f in weak.findings):
            return
        origin = replace(weak.provenance, forms=(*weak.provenance.forms, GENRE_PAIR))
        for rubric in (mine, other):
            yield replace(
                weak,
                id=f"{passage.id}/{GENRE_PAIR}/{rubric.name}",
                rubric=rubric.name,
                findings=tuple(f for f in weak.findings if f.criterion in rubric.ids),
                provenance=origin,
                pair=f"{passage.id}/{GENRE_PAIR}",
            )
