"""From good texts and a rubric to examples of its weaknesses: the stage that makes the training data."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from bwcoach.backends import Backend
from bwcoach.backends.load import load_backend
from bwcoach.errors import StageError
from bwcoach.models import card_for
from bwcoach.rubric import load_rubric
from training import rule_parts
from training.authored_examples import AuthoredExamples
from training.corpus import Split
from training.dataset_card import read_counts, write_counted
from training.dataset_page import write_page
from training.examples import Example, read_examples
from training.injectors import authored, prompted
from training.injectors.forms import FORMS
from training.injectors.rules import rule_names
from training.leaks import HeldOutTexts
from training.pool import Pool
from training.prompted_examples import PromptedExamples
from training.recipe import GenerateRecipe, Recipe
from training.rule_examples import criteria_with_rules
from training.rule_parts import RuleText
from training.splits import marked_if_unseen

CARD_FILE = "card.json"
SPLITS: tuple[Split, ...] = get_args(Split)
_HELD_OUT_SPLITS: tuple[Split, ...] = ("dev", "test")
_HERE = Path(__file__).parent


def generate(recipe: Recipe, workers: int = 1, folder: Path | None = None) -> Path:
    """Write train.jsonl, dev.jsonl, test.jsonl, card.json and README.md of the recipe's data; gives their folder.

    Work is done in parts that are written whole or not at all, so a run that was stopped goes on with the next part,
    and one whose recipe and inputs are unchanged does nothing. The same recipe gives the same bytes, by however many
    workers. Memory grows neither with the texts nor, but for two bytes a word of dev and test, with the examples.

    Passages of `texts` that share 13 words in a row with an evaluation file, or are near-duplicates of it or of what
    stands on the other side of a split, are passed over and counted; at an authored example StageError is raised.
    """
    settings = recipe.generate
    if settings is None:
        raise StageError(f"recipe {recipe.name} has no `generate` part, so there is nothing to make examples from.")
    _refuse_impossible(settings)
    folder = folder or recipe.folder / "data"
    fingerprint = _fingerprint(settings, recipe.seed)
    card_file = folder / CARD_FILE
    if card_file.exists() and json.loads(card_file.read_text(encoding="utf-8"))["fingerprint"] == fingerprint:
        return folder
    work = _Work(settings, recipe.seed, folder, folder / "parts" / fingerprint)
    card_file.unlink(missing_ok=True)
    with Pool(workers) as pool:
        work.write_parts(pool)
    cards = {"recipe": recipe.name, "seed": recipe.seed, "fingerprint": fingerprint, **work.join()}
    write_page(cards, folder)
    part = card_file.with_suffix(".part")
    part.write_text(json.dumps(cards, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(card_file)
    shutil.rmtree(folder / "parts")
    return folder


def recipe_for(
    rubric: str, corpus: Path, per_criterion: int, seed: int, generator: str | None, second_reader: str | None
) -> Recipe:
    """A recipe that makes examples of one rubric from a folder of texts: with a generator by its prompts for every
    criterion, without one by the rules that the rubric names."""
    settings = GenerateRecipe(
        rubrics=(rubric,),
        texts={rubric: corpus},
        rules_per_criterion=0 if generator else per_criterion,
        generator=generator,
        second_reader=second_reader,
        prompted_per_criterion=per_criterion if generator else 0,
    )
    return Recipe(name=load_rubric(rubric).name, seed=seed, generate=settings)


class _Work:
    """The files in `parts` from which the data set is put together."""

    def __init__(self, settings: GenerateRecipe, seed: int, folder: Path, parts: Path) -> None:
        self._settings, self._seed, self._folder, self._parts = settings, seed, folder, parts
        self._authored = AuthoredExamples(settings, seed)
        self._kept_apart = rule_parts.kept_apart(settings.kept_apart)
        self._texts = [RuleText(rubric, path, settings, seed, parts) for rubric, path in settings.texts.items()]
        self._backends: dict[str, Backend] = {}

    def write_parts(self, pool: Pool) -> None:
        """All that are not there yet, dev and test first: what they hold must not be in train."""
        by_rules = self._texts if self._settings.rules_per_criterion else []
        pool.run(rule_parts.prepare, by_rules)
        for splits in (_HELD_OUT_SPLITS, ("train",)):
            for split in splits:
                self._write_authored(split)
                self._write_prompted(split)
            pool.run(rule_parts.write, [part for s in splits for text in by_rules for part in text.missing(s)])
            self._note_held_out()

    def _write_authored(self, split: Split) -> None:
        file = self._parts / f"authored-{split}.jsonl"
        if self._settings.authored and not file.exists() and not self._is_held_out(authored.Authored.name, split):
            rows = self._authored.rows(split, self._kept_apart, self._held_out(split))
            write_counted(map(self._marked, rows), file, {})

    def _write_prompted(self, split: Split) -> None:
        settings = self._settings
        if not settings.generator or not settings.prompted_per_criterion:
            return
        for text in self._texts:
            file = self._parts / f"prompted-{text.name}-{split}.jsonl"
            if file.exists() or self._is_held_out(prompted.Prompted.name, split):
                continue
            maker = PromptedExamples(
                self._backend(settings.generator),
                self._backend(settings.second_reader) if settings.second_reader else None,
                # Outside the parts: answers cost more than anything else here, and serve later recipes too.
                self._folder / "prompted",
                settings.prompted_per_criterion, settings.clean_share, self._seed,
                self._kept_apart, self._held_out(split),
            )  # fmt: skip
            rows = maker.rows(load_rubric(text.rubric), text.cut(), split)
            write_counted(map(self._marked, rows), file, maker.unused)

    def _marked(self, example: Example) -> Example:
        return marked_if_unseen(example, self._settings.held_out_forms, self._settings.held_out_injector)

    def _backend(self, model: str) -> Backend:
        if model not in self._backends:
            self._backends[model] = load_backend(card_for(model))
        return self._backends[model]

    def _is_held_out(self, injector: str, split: Split) -> bool:
        return split == "train" and self._settings.held_out_injector == injector

    def _held_out(self, split: Split) -> HeldOutTexts | None:
        return rule_parts.held_out_texts(self._parts) if split == "train" else None

    def _note_held_out(self) -> None:
        index = rule_parts.held_out_index(self._parts)
        if not index.exists():
            files = (file for split in _HELD_OUT_SPLITS for file in self._files(split))
            HeldOutTexts.write((example.text for file in files for example in read_examples(file)), index)

    def _files(self, split: Split) -> list[Path]:
        return sorted(self._parts.glob(f"*-{split}.jsonl"))

    def join(self) -> dict[str, Any]:
        """Put the parts of each split together; gives what the card says of them."""
        splits: dict[str, Any] = {}
        unused = Counter(self._authored.unused)
        for split in SPLITS:
            files = self._files(split)
            whole = self._folder / f"{split}.jsonl"
            part = whole.with_suffix(".part")
            with part.open("wb") as joined:
                for file in files:
                    with file.open("rb") as rows:
                        shutil.copyfileobj(rows, joined)
            part.replace(whole)
            splits[split], passed_over = read_counts(files)
            unused.update(passed_over)
        found = splits["train"]["criteria_by_generator"].get(authored.GENERATOR, {})
        places = self._authored.places()
        return {
            "splits": splits,
            "held_out": {"forms": self._settings.held_out_forms, "injector": self._settings.held_out_injector},
            "authored": {id: {"findings": found.get(id, 0), "places": count} for id, count in places.items()},
            "unused": dict(sorted(unused.items())),
        }


def _refuse_impossible(settings: GenerateRecipe) -> None:
    for key in ("rules_per_criterion", "prompted_per_criterion"):
        if getattr(settings, key) and not settings.texts:
            raise StageError(f"the recipe wants {key}; name good prose for it under `texts`.")
    if settings.prompted_per_criterion and not settings.generator:
        raise StageError("the recipe wants prompted_per_criterion; name a model or a server's URL as `generator`.")
    if settings.second_reader and not settings.generator:
        raise StageError("a second reader reads what a generator wrote; name a `generator` too.")
    for name in settings.texts if settings.rules_per_criterion else ():
        rubric = load_rubric(name)
        criteria = criteria_with_rules(rubric)
        if not criteria and not settings.prompted_per_criterion:
            raise StageError(
                f"no criterion of {rubric.name} names a rule (`injection: rules`), so rules make no examples of it; "
                "name a generator, which needs none."
            )
        for criterion in criteria:
            if unknown := sorted(set(criterion.injection.rules) - set(rule_names())):
                raise StageError(
                    f"{rubric.name}: {criterion.id} names the rule {unknown[0]}, which does not exist; there are "
                    f"{', '.join(rule_names())}."
                )


def _fingerprint(settings: GenerateRecipe, seed: int) -> str:
    """Twelve hex digits of everything that decides the rows: the recipe, its inputs, the lists and our own code."""
    digest = hashlib.sha256(f"{seed}:{settings.model_dump_json()}".encode())
    also = chain.from_iterable(settings.also_read.values())
    for rubric in dict.fromkeys([*settings.rubrics, *settings.texts, *also]):
        digest.update(load_rubric(rubric).version.encode())
    inputs = sorted(settings.authored.glob("*.jsonl")) if settings.authored else []
    for path in settings.texts.values():
        inputs += sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    code = [*_HERE.glob("*_examples.py"), *(_HERE / "injectors").glob("*.py")]
    code += [_HERE / name for name in ("passages.py", "rule_plan.py", "splits.py", "leaks.py", "text_shards.py")]
    for file in [*inputs, *settings.kept_apart, *sorted(FORMS.glob("*.yaml")), *sorted(code)]:
        if file.is_file():
            with file.open("rb") as stream:
                for piece in iter(partial(stream.read, 1 << 20), b""):
                    digest.update(piece)
    return digest.hexdigest()[:12]
