"""Examples that a prompted model makes out of good passages, for a rubric's every criterion."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from bwcoach.backends import Backend
from bwcoach.rubric import Criterion, Rubric
from training.corpus import Document, Split, read_documents
from training.examples import Example, Provenance
from training.injectors.prompted import Prompted
from training.leaks import HeldOutTexts, KeptApart
from training.passages import is_prose
from training.rule_examples import good_passages
from training.text_shards import SHARDS, TextShards

# How much each split gets of what the recipe wants of every criterion.
_SHARES: dict[Split, float] = {"train": 1.0, "dev": 0.05, "test": 0.05}
_MOST_ASKED = 3
_AT_A_TIME = 64
_FEWEST_WHOLE, _MOST_WHOLE = 120, 500


class PromptedExamples:
    """A split's passages, each weak in one to three ways, and as often as is wanted the good one beside it.

    A criterion is asked for until there is what is wanted of it, at most three times as often; one that draws on the
    whole draft is asked of documents that are short enough to be read whole. `unused` counts answers of no use, by
    reason, and passages that were passed over.
    """

    def __init__(
        self, backend: Backend, second_reader: Backend | None, cache: Path, wanted: int, clean_share: float, seed: int,
        kept_apart: KeptApart, held_out: HeldOutTexts | None,
    ) -> None:  # fmt: skip
        self._prompted = Prompted(backend, cache, seed=seed, second_reader=second_reader)
        self._wanted, self._clean_share, self._seed = wanted, clean_share, seed
        self._kept_apart, self._held_out = kept_apart, held_out
        self._passed_over: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()

    def rows(self, rubric: Rubric, shards: TextShards, split: Split) -> Iterator[Example]:
        wanted = math.ceil(self._wanted * _SHARES[split])
        made = Counter({criterion.id: 0 for criterion in rubric.criteria})
        asked = Counter(made)
        good = self._good(shards, split, rubric, math.ceil(_MOST_ASKED * wanted * len(made)))
        while batch := list(islice(good, _AT_A_TIME)):
            lacking = [c for c in rubric.criteria if made[c.id] < wanted and asked[c.id] < _MOST_ASKED * wanted]
            if not lacking:
                break
            for passage, weak in zip(batch, self._weakened(batch, lacking, asked), strict=True):
                rng = Random(f"{self._seed}:{passage.id}:prompted")
                if not weak.findings or self._kept_apart.shared(weak.text):
                    continue
                made.update(finding.criterion for finding in weak.findings)
                pair = f"{passage.id}/prompted"
                yield replace(weak, id=f"{pair}/weak", pair=pair)
                if rng.random() < self._clean_share / (1 - self._clean_share):
                    yield replace(passage, id=f"{pair}/good", pair=pair)
        of_no_use = {f"prompted: {reason}": count for reason, count in self._prompted.counts.items()
                     if reason not in ("made", "cached")}  # fmt: skip
        self.unused.update(self._passed_over + Counter(of_no_use))

    def _weakened(self, batch: Sequence[Example], lacking: Sequence[Criterion], asked: Counter[str]) -> list[Example]:
        """Each passage with as many weaknesses as were drawn for it and could be made, one after another."""
        drawn: list[list[Criterion]] = []
        for passage in batch:
            rng = Random(f"{self._seed}:{passage.id}:criteria")
            can = [c for c in lacking if passage.whole or c.scope == "passage"]
            can.sort(key=lambda c: asked[c.id] * rng.uniform(0.8, 1.2))
            drawn.append(can[: rng.randint(1, 3)])
            asked.update(criterion.id for criterion in drawn[-1])
        weak = list(batch)
        for step in range(3):
            numbers = [number for number, criteria in enumerate(drawn) if len(criteria) > step]
            questions = [(weak[number], drawn[number][step], self._seed) for number in numbers]
            for number, example in zip(numbers, self._prompted.inject_all(questions), strict=True):
                weak[number] = example or weak[number]
        return weak

    def _good(self, shards: TextShards, split: Split, rubric: Rubric, most: int) -> Iterator[Example]:
        """At most so many passages and whole drafts, taken from as many documents as there are."""
        each = max(1, math.ceil(most / max(1, shards.documents[split])))
        wholes = any(criterion.scope == "draft" for criterion in rubric.criteria)
        for number in range(SHARDS[split]):
            for document in read_documents(shards.path(split, number)):
                whole = self._whole(document, rubric.name) if wholes else None
                found = [whole] if whole else islice(good_passages([document], rubric.name, self._seed), each)
                for passage in found:
                    if self._kept_apart.shared(passage.text):
                        self._passed_over["passage: shares words with an evaluation file"] += 1
                    elif self._held_out is not None and self._held_out.holds(passage.text):
                        self._passed_over["passage: stands in dev or test as well"] += 1
                    else:
                        yield passage

    def _whole(self, document: Document, rubric: str) -> Example | None:
        """A short document as a whole draft; None where it is long, or holds more than prose and headings."""
        paragraphs = [paragraph for paragraph in document.text.split("\n\n") if len(paragraph.split()) >= 8]
        if not _FEWEST_WHOLE <= len(document.text.split()) <= _MOST_WHOLE or not all(map(is_prose, paragraphs)):
            return None
        origin = Provenance(document.source, document.license, "none", seed=self._seed)
        return Example(f"{document.id}@whole", rubric, document.text, (), origin, whole=True)
