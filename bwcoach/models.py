"""A model's card, models/<name>/model.yaml: what it is made of, how it answers, what it was taught."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bwcoach.errors import ModelError

MODELS = Path(__file__).resolve().parent.parent / "models"
CARD_FILE = "model.yaml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(_Part):
    """A file beside the card. The checksum is of the whole file; a card written by hand may leave it out."""

    path: str
    sha256: str | None = None


class Window(_Part):
    """How much of a draft is read at once: the tokens of a passage, and how many of them are left context."""

    tokens: int = 420
    context: int = 90


class ModelCard(_Part):
    """What bwcoach needs to know of a model. A server, a bare GGUF or a folder gets one made up by `card_for`."""

    name: str
    description: str = ""
    base: ModelFile
    adapter: ModelFile | None = None
    context: int = Field(ge=256)
    template: Literal["plain", "llama-2", "own"] = "own"
    answer: Literal["tags", "lines"] = "lines"
    style: Literal["compact", "full"] = "full"
    shots: int = Field(default=0, description="under lines: worked examples shown before the passage")
    rubrics: tuple[str, ...] = Field(default=(), description="rubrics it was taught; empty: any rubric by prompting")
    labels: dict[str, str] = Field(default={}, description="under tags: criterion to label piece")
    nothing: str = Field(default="", description="under tags: the piece that stands for no weakness")
    window: Window = Window()
    thresholds: dict[str, float] = Field(default={}, description="confidence from which a criterion is shown")
    extent: float = Field(default=0.5, description="a span goes on while its words reach this share of its peak")
    fix_threshold: float = Field(default=0.5, description="probability from which a fix is shown")
    precision: float | None = Field(default=None, description="micro span precision as `training evaluate` found it")
    load_in_4bit: bool = False
    folder: Path = Path()

    def path(self, file: ModelFile) -> Path:
        return self.folder / file.path

    def threshold(self, criterion: str, strictness: float) -> float:
        """0 shows everything that was considered, 0.5 from the card's threshold on, 1 only what is certain."""
        fitted = self.thresholds.get(criterion, 0.5)
        if strictness <= 0.5:
            return fitted * strictness * 2
        return fitted + (1 - fitted) * (strictness - 0.5) * 2

    def refuse_unless_taught(self, rubric: str, criteria: tuple[str, ...]) -> None:
        """A model that was taught certain criteria answers for those alone."""
        if self.answer != "tags":
            return
        missing = [criterion for criterion in criteria if criterion not in self.labels]
        if missing or rubric not in self.rubrics:
            what = f"the criteria {', '.join(missing)}" if missing else f"the rubric {rubric}"
            raise ModelError(
                f"The model {self.name} was not taught {what}; it knows the rubrics {', '.join(self.rubrics)}. "
                "Choose one of these, or a model that can be prompted (a Llama 2 chat GGUF or a server's URL), or "
                "tune one on your rubric by a recipe of your own (README, \"Make a model\")."
            )


def load_card(folder: Path) -> ModelCard:
    """The card of a model's folder, its files checked to be there and whole."""
    path = folder / CARD_FILE
    try:
        card = ModelCard.model_validate({**yaml.safe_load(path.read_text(encoding="utf-8")), "folder": folder})
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {CARD_FILE} there, so this is not a model of bwcoach.") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ModelError(f"{path}: not YAML with a model's keys: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ModelError(f"{path}: {wrong}") from None
    for file in (card.base, card.adapter):
        if file is not None:
            _check_file(card.path(file), file.sha256)
    return card


def _check_file(path: Path, sha256: str | None) -> None:
    if not path.exists():
        raise ModelError(f"{path}: this file of the model is missing; fetch it again (git checkout, or copy it).")
    if sha256 is not None and path.is_file():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ModelError(
                f"{path}: its SHA-256 is {found[:12]}…, the card says {sha256[:12]}…: the file was cut short or "
                "changed; fetch it again."
            )


def installed_models() -> tuple[str, ...]:
    """Names of the models in the models folder, those with a card, in alphabetical order."""
    return tuple(sorted(card.parent.name for card in MODELS.glob(f"*/{CARD_FILE}")))


def card_for(model: str) -> ModelCard:
    """The card of a model given by name, folder, GGUF file or URL; the bare ones can be prompted with any rubric."""
    if model.startswith(("http://", "https://")):
        return ModelCard(name=model, base=ModelFile(path=model), context=4096)
    if (MODELS / model / CARD_FILE).exists() and "/" not in model and "\\" not in model:
        return load_card(MODELS / model)
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"{path}: there is no such GGUF file; installed models: {_installed()}.")
        return ModelCard(name=path.stem, base=ModelFile(path=path.name), context=4096, folder=path.parent)
    if path.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}:
        raise ModelError(
            f"{path}: weights in pickle form can run code and are not loaded; convert them to safetensors or GGUF."
        )
    if (path / CARD_FILE).exists():
        return load_card(path)
    if (path / "config.json").exists():
        return ModelCard(name=path.name, base=ModelFile(path="."), context=4096, folder=path)
    raise ModelError(
        f"{model}: no such model; name one of {_installed()}, or give a .gguf file, a folder with {CARD_FILE} or "
        "config.json, or a server's URL."
    )


def _installed() -> str:
    return ", ".join(installed_models()) or "(none)"
