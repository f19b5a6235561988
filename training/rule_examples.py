"""Examples that rules make out of a corpus: passages spread over its documents, weaknesses spread over the criteria."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from bwcoach.errors import StageError
from bwcoach.rubric import Criterion, load_rubric
from training.corpus import Split, read_documents
from training.examples import Example, Provenance, write_examples
from training.injectors.rules import GENERATOR, Rules
from training.leaks import KeptApart
from training.passages import passages
from training.recipe import GenerateRecipe
from training.splits import split_of_example

# How much each split gets of what the recipe wants of every criterion.
_SHARES: dict[Split, float] = {"train": 1.0, "dev": 0.05, "test": 0.05}
_MOST_FINDINGS = 5
_WORDS_PER_FINDING = 35


def write_rule_parts(settings: GenerateRecipe, seed: int, parts: Path, kept_apart: KeptApart) -> None:
    """One file a rubric and split below `parts`; those that are there already are left as they are."""
    if not settings.rules_per_criterion:
        return
    if not settings.texts:
        raise StageError("the recipe wants rules_per_criterion; name good prose for the rules under `texts`.")
    for rubric, corpus in settings.texts.items():
        criteria = [criterion for criterion in load_rubric(rubric).criteria if criterion.injection.rules]
        files = {split: parts / f"rules-{rubric}-{split}.jsonl" for split in _SHARES}
        if all(file.exists() for file in files.values()):
            continue
        documents = Counter(split_of_example(document.work) for document in read_documents(corpus))
        for split, file in files.items():
            if not file.exists():
                wanted = math.ceil(settings.rules_per_criterion * _SHARES[split])
                # Enough for every criterion at two a passage; after that only rare ones would still be looked for.
                most = math.ceil(len(criteria) * wanted / 2)
                good = _good_passages(corpus, rubric, split, 1.5 * most / max(1, documents[split]), seed)
                unseen = (passage for passage in good if not kept_apart.shared(passage.text))
                write_examples(_examples(unseen, criteria, wanted, most, settings.clean_share), file)


def _good_passages(corpus: Path, rubric: str, split: Split, per_document: float, seed: int) -> Iterator[Example]:
    """So many passages of every document of the split, as a mean where that is no whole number."""
    for document in read_documents(corpus):
        if split_of_example(document.work) != split:
            continue
        # A generator of its own: what a document gives does not depend on the documents before it.
        rng = Random(f"{seed}:{document.id}")
        count = int(per_document + rng.random())
        for number, text in enumerate(islice(passages(document, rng), count)):
            name = f"{document.id}@{number}"
            origin = Provenance(document.source, document.license, GENERATOR, seed=seed)
            yield Example(name, rubric, text, (), origin, pair=name)


def _examples(
    good: Iterator[Example], criteria: Sequence[Criterion], wanted: int, most: int, clean_share: float
) -> Iterator[Example]:
    """Weak passages until every criterion has what is wanted or there are `most` of them, and good versions of some.

    A passage gets up to five weaknesses, first of the criteria that lack most, so rare ones are never passed over.
    """
    injector, made = Rules(), Counter({criterion.id: 0 for criterion in criteria})
    clean = weak = 0
    for passage in good:
        lacking = [criterion for criterion in criteria if made[criterion.id] < wanted]
        if not lacking or weak >= most:
            return
        rng = Random(f"{passage.provenance.seed}:{passage.id}")
        room = min(rng.randint(1, _MOST_FINDINGS), len(passage.text.split()) // _WORDS_PER_FINDING)
        example = passage
        for criterion in sorted(lacking, key=lambda c: made[c.id] * rng.uniform(0.8, 1.2)):
            if len(example.findings) < room and (weaker := injector.inject(example, criterion, rng)):
                example = weaker
                made[criterion.id] += 1
        if example.findings:
            weak += 1
            yield example.with_id(f"{passage.id}/weak")
            if clean < clean_share * (clean + weak):
                clean += 1
                yield passage.with_id(f"{passage.id}/good")
