"""Everything that decides a run, in one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bwcoach.errors import RecipeError
from bwcoach.models import Window

RECIPES = Path(__file__).parent / "recipes"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusRecipe(_Part):
    paths: dict[str, Path] = Field(min_length=1)
    vocabulary: int = Field(ge=300, le=65_000)
    characters: int = Field(gt=0, description="how much of each genre the vocabulary is learnt from")


class Shape(_Part):
    width: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int


class PretrainRecipe(_Part):
    shape: Shape
    context: int
    windows: dict[int, float] = Field(
        description="lengths of windows, divisors of a page of 2048 tokens, and how often each is drawn"
    )
    pages_per_genre: int = 1
    optimizer: Literal["muon", "adamw"] = "muon"
    learning_rate: float
    muon_learning_rate: float = 0.0
    weight_decay: float = 0.0
    warmup_steps: int
    tokens: int
    cooldown: float = Field(ge=0, le=1, description="the share of all steps over which the learning rate falls")
    checkpoint_minutes: float = Field(default=10, le=15)
    evaluate_steps: int = 200
    compile: bool = True
    start: Path | None = Field(default=None, description="a base GGUF of this shape to begin a new run with")


class GenerateRecipe(_Part):
    rubrics: tuple[str, ...] = ("position-paper", "scientific-paper", "creative-writing")
    authored: Path | None = Field(default=None, description="the folder of the authored edits-* and marked-* files")
    authored_versions: int = Field(default=4, ge=1, description="how many versions of each authored passage")
    authored_whole_versions: int | None = Field(
        default=None, ge=1, description="the same for whole essays and scenes, which alone show a draft's weaknesses"
    )
    texts: dict[str, Path] = Field(default={}, description="good prose for rules and a prompted model, by rubric")
    rules_per_criterion: int = Field(
        default=0, ge=0, description="about how many injections by rules train gets of each rubric's criterion"
    )
    generator: str | None = Field(default=None, description="the model that follows the rubrics' injection prompts")
    second_reader: str | None = Field(default=None, description="a model that has to find what the generator planted")
    prompted_per_criterion: int = Field(default=0, ge=0, description="the same number for the generator")
    clean_share: float = Field(default=0.4, ge=0, le=0.5, description="of the rows from `texts`, how many are good")
    harmless_share: float = Field(default=0.3, ge=0, le=1, description="of the rules' rows, the harmlessly edited ones")
    also_read: dict[str, tuple[str, ...]] = Field(
        default={}, description="rubrics under which some texts of a rubric are read as well"
    )
    genre_share: float = Field(default=0.1, ge=0, le=1, description="of the passages made weak, how many are so read")
    held_out_forms: float = Field(default=0.1, ge=0, lt=1, description="of the listed forms, how many train never has")
    held_out_injector: str | None = Field(
        default=None, description="the one that train never has: authored, prompted, or an operation as its forms begin"
    )
    kept_apart: tuple[Path, ...] = Field(default=(), description="evaluation files that no example shares text with")


class TrainRecipe(_Part):
    base: str = Field(default="", description="folder of the base; empty: the one that this recipe pretrains")
    answer: Literal["tags", "lines"] = "tags"
    style: Literal["compact", "full"] = "compact"
    template: Literal["plain", "llama-2", "own"] = "plain"
    rubrics: tuple[str, ...] = ("position-paper", "scientific-paper", "creative-writing")
    context: int = 2048
    window: Window = Window()
    load_in_4bit: bool = False
    rank: int = 64
    alpha: int = 64
    dropout: float = 0.0
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw", description="muon: for a small base taught from far away; its learning rate is about 4 times"
    )
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    compile: bool = Field(default=False, description="fuse the forward and backward pass; not for 4-bit bases")
    epochs: float = 1.0
    batch: int = 16
    accumulate: int = 1
    longest: int = Field(default=1024, description="a row of more tokens stops the stage, which names it")
    positive_weight: float = Field(default=1.0, description="under tags: a weak token's weight against a sound one's")
    fixes: float = Field(
        default=1, ge=0, description="how many of an example's fixes are rows of their own; 0.25: of every fourth"
    )
    fix_weight: float = Field(default=1.0, ge=0, description="a fix's loss against a second reading's")
    checkpoint_minutes: float = 10


LinterName = Literal["proselint", "write-good", "textlint", "harper", "languagetool"]


class EvaluateRecipe(_Part):
    drafts: Path = Field(default=Path("training/data/drafts-dev.jsonl"), description="drafts, labels and repairs")
    edits: Path = Field(default=Path("../shared/eval/tetra-dev.jsonl"), description="drafts with the places edited")
    pairs: Path = Field(default=Path("../shared/eval/wiki-concise-dev.jsonl"), description="sentences made concise")
    pairs_rubric: str = "scientific-paper"
    examples: Literal["dev", "test"] = Field(default="dev", description="which split of our own examples")
    most_examples: int = Field(default=120, ge=1)
    tagger_examples: int = Field(default=12_000, ge=1, description="how many rows at most the linear tagger learns")
    extents: tuple[float, ...] = Field(default=(0.3, 0.5, 0.7), description="ways of growing spans to choose from")
    prompted: bool = Field(default=True, description="compare with the base under a prompt, without and with examples")
    shots: int = Field(default=4, ge=1, description="worked examples that the few-shot base is shown")
    prose: dict[str, Path] = Field(
        default={
            "position-paper": Path("../shared/corpora/position.jsonl.zst"),
            "scientific-paper": Path("../shared/corpora/science.jsonl.zst"),
            "creative-writing": Path("../shared/corpora/creative.jsonl.zst"),
        },
        description="corpora by rubric; in passages of their test split every finding is a false alarm",
    )
    most_prose: int = Field(default=40, ge=1, description="passages of each of these corpora")
    most_shared: int = Field(default=40, ge=1, description="texts of our own that stand under two rubrics")
    most_fixes: int = Field(default=60, ge=1, description="fixes that are asked for; each is generated")
    against: tuple[LinterName, ...] = Field(default=(), description="linters that read the same drafts")
    folds: int = Field(default=10, ge=2)
    shrinkage: float = Field(default=40.0, ge=0, description="labels that the pooled threshold counts for")
    resamples: int = Field(default=1000, ge=100)


class ExportRecipe(_Part):
    quantizations: tuple[Literal["Q8_0", "Q5_K_M", "Q4_K_M"], ...] = Field(
        default=("Q8_0",), description="of base and merged model, beside 16 bits; the card names the first, or f16"
    )
    adapter: Literal["f16", "Q8_0"] = "f16"


class Recipe(_Part):
    name: str
    description: str = Field(default="", description="what the model's card says of it")
    seed: int = 0
    corpus: CorpusRecipe | None = None
    pretrain: PretrainRecipe | None = None
    generate: GenerateRecipe | None = None
    train: TrainRecipe = TrainRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()
    export: ExportRecipe = ExportRecipe()

    @property
    def folder(self) -> Path:
        """Where the stages of this recipe leave their files for one another."""
        return Path("runs") / self.name


def load_recipe(name: str) -> Recipe:
    """A recipe by its name in training/recipes, or by the path of a YAML file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.yaml")))
        raise RecipeError(f"{path}: there is no such recipe; there are {known}, or give a .yaml file.") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not YAML: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"{path}: {wrong}") from None
