"""The rules' work as tasks that any process can do: a plan a rubric, then a file a shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bwcoach.rubric import load_rubric
from training.corpus import Split, read_documents
from training.dataset_card import write_counted
from training.examples import Example
from training.leaks import HeldOutTexts, KeptApart
from training.recipe import GenerateRecipe
from training.rule_examples import RuleExamples, criteria_with_rules, good_passages, measure_rates
from training.rule_plan import Plan, make_plan
from training.text_shards import SHARDS, TextShards, cut_texts


@dataclass(frozen=True)
class RuleText:
    """One rubric's texts, and where all that is made of them goes."""

    rubric: str
    texts: Path
    settings: GenerateRecipe
    seed: int
    parts: Path

    @property
    def name(self) -> str:
        return _rubric(self.rubric).name

    @property
    def plan_file(self) -> Path:
        return self.parts / f"plan-{self.name}.json"

    def cut(self) -> TextShards:
        return cut_texts(self.texts, self.parts / "texts" / self.name)

    def missing(self, split: Split) -> Iterator[RulePart]:
        """The parts of a split that are not there yet."""
        parts = (RulePart(self, split, number) for number in range(SHARDS[split]))
        return (part for part in parts if not part.file.exists())


@dataclass(frozen=True)
class RulePart:
    """One shard of them; what it gives is decided by the seed and the documents in it."""

    text: RuleText
    split: Split
    number: int

    @property
    def file(self) -> Path:
        # By number first, so that the first rows of a data set are of all rubrics.
        return self.text.parts / f"rules-{self.number:02}-{self.text.name}-{self.split}.jsonl"


def prepare(text: RuleText) -> None:
    """Cut the texts into shards, and plan how often each criterion is looked for in them."""
    shards = text.cut()
    if text.plan_file.exists():
        return
    rubric = _rubric(text.rubric)
    rates = measure_rates(shards.sample, rubric, text.settings, text.seed)
    criteria = [criterion.id for criterion in criteria_with_rules(rubric)]
    wanted = text.settings.rules_per_criterion
    make_plan(rates, criteria, shards.documents["train"], wanted, text.seed).write(text.plan_file)


def write(part: RulePart) -> None:
    """What a shard gives, and what is counted of it."""
    text, settings = part.text, part.text.settings
    held_out = held_out_texts(text.parts) if part.split == "train" else None
    plan = Plan.read(text.plan_file)
    maker = RuleExamples(
        _rubric(text.rubric), plan, settings, text.seed, part.split,
        kept_apart(settings.kept_apart), held_out,
    )  # fmt: skip
    documents = read_documents(text.cut().path(part.split, part.number))

    def rows() -> Iterator[Example]:
        for passage in good_passages(documents, text.name, text.seed, plan.documents):
            yield from maker.rows(passage)

    write_counted(rows(), part.file, maker.passed_over)


def held_out_index(parts: Path) -> Path:
    """Where the texts of dev and test are noted once they are all written."""
    return parts / "held-out-texts.npy"


def held_out_texts(parts: Path) -> HeldOutTexts:
    return _held_out_texts(held_out_index(parts).resolve())


def kept_apart(files: tuple[Path, ...]) -> KeptApart:
    return _kept_apart(tuple((file.resolve(), file.stat().st_mtime_ns if file.exists() else 0) for file in files))


# Read once a process.
_rubric = lru_cache(8)(load_rubric)


@lru_cache(1)
def _held_out_texts(index: Path) -> HeldOutTexts:
    return HeldOutTexts(index)


@lru_cache(1)
def _kept_apart(files: tuple[tuple[Path, int], ...]) -> KeptApart:
    return KeptApart(file for file, _ in files)
