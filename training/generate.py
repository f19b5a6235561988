"""From good texts and a rubric to examples of its weaknesses: the stage that makes the training data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import get_args

from bwcoach.errors import StageError
from training.corpus import Split
from training.dataset_card import DatasetCard
from training.examples import Example, read_examples, write_examples
from training.injectors.authored import AuthoredPassage, read_authored
from training.injectors.forms import FORMS
from training.leaks import KeptApart
from training.recipe import GenerateRecipe, Recipe
from training.rule_examples import write_rule_parts
from training.splits import split_of_example

CARD_FILE = "card.json"
SPLITS: tuple[Split, ...] = get_args(Split)


def generate(recipe: Recipe) -> Path:
    """Write train.jsonl, dev.jsonl, test.jsonl and card.json of the recipe's data; gives their folder.

    Work is done in parts that are written whole or not at all, so a run that was stopped goes on with the next part,
    and one whose recipe and inputs are unchanged does nothing. The same recipe gives the same bytes. Raises
    StageError where an example shares 13 words in a row with an evaluation file.
    """
    settings = recipe.generate
    if settings is None:
        raise StageError(f"recipe {recipe.name} has no `generate` part, so there is nothing to make examples from.")
    folder = recipe.folder / "data"
    fingerprint = _fingerprint(settings, recipe.seed)
    card_file = folder / CARD_FILE
    if card_file.exists() and json.loads(card_file.read_text(encoding="utf-8"))["fingerprint"] == fingerprint:
        return folder
    card_file.unlink(missing_ok=True)
    kept_apart = KeptApart(settings.kept_apart)
    parts = folder / "parts" / fingerprint
    unused = _write_authored(settings, recipe.seed, parts)
    write_rule_parts(settings, recipe.seed, parts, kept_apart)
    splits = {}
    for split in SPLITS:
        card = DatasetCard()
        files = sorted(parts.glob(f"*-{split}.jsonl"))
        examples = chain.from_iterable(read_examples(file) for file in files)
        write_examples(_checked(examples, kept_apart, card), folder / f"{split}.jsonl")
        splits[split] = card.to_json()
    cards = {"recipe": recipe.name, "seed": recipe.seed, "fingerprint": fingerprint, "splits": splits, "unused": unused}
    part = card_file.with_suffix(".part")
    part.write_text(json.dumps(cards, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(card_file)
    return folder


def _write_authored(settings: GenerateRecipe, seed: int, parts: Path) -> dict[str, int]:
    if settings.authored is None:
        return {}
    passages, unused = read_authored(settings.authored, seed)
    for split in SPLITS:
        file = parts / f"authored-{split}.jsonl"
        if not file.exists():
            mine = [passage for passage in passages if split_of_example(passage.work) == split]
            write_examples(_versions(mine, settings, seed), file)
    return dict(unused)


def _versions(passages: list[AuthoredPassage], settings: GenerateRecipe, seed: int) -> Iterator[Example]:
    for passage in passages:
        if passage.good.rubric in settings.rubrics:
            # A generator of its own: a passage's versions do not depend on the passages before it.
            yield from passage.versions(settings.authored_versions, Random(f"{seed}:{passage.good.id}"))


def _checked(examples: Iterator[Example], kept_apart: KeptApart, card: DatasetCard) -> Iterator[Example]:
    for example in examples:
        if run := kept_apart.shared(example.text):
            raise StageError(
                f"example {example.id} shares “{run}” with an evaluation file; leave its source "
                f"({example.provenance.source}) out of the texts to train on."
            )
        card.add(example)
        yield example


def _fingerprint(settings: GenerateRecipe, seed: int) -> str:
    """Twelve hex digits of everything that decides the rows."""
    digest = hashlib.sha256(f"{seed}:{settings.model_dump_json()}".encode())
    authored = sorted(settings.authored.glob("*.jsonl")) if settings.authored else []
    for file in [*authored, *sorted(FORMS.glob("*.yaml"))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
