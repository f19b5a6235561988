"""Which backend runs a model, and which model this machine runs best."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml
from pydantic import ValidationError

from bwcoach.backends import Backend
from bwcoach.errors import ModelError
from bwcoach.models import CARD_FILE, MODELS, ModelCard

EMBEDDED = "mini"
# Installed models whose names begin so are what `auto` looks for; others are taken only by name.
PREFERRED = "llama-2"
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


def load_backend(card: ModelCard) -> Backend:
    """A server for a URL, llama.cpp for a .gguf, transformers for a folder; each brings its library only when asked.

    Behind a server's URL may stand `#model` or `#model,tuned model`; without, the first that it lists is taken.
    """
    base = card.path(card.base)
    adapter = card.path(card.adapter) if card.adapter else None
    try:
        if card.base.path.startswith(("http://", "https://")):
            from bwcoach.backends.openai import OpenAIServer

            url, _, names = card.base.path.partition("#")
            model, _, tuned = names.partition(",")
            return OpenAIServer(url, model or None, tuned or None, context=card.context)
        if base.suffix == ".gguf":
            from bwcoach.backends.llamacpp import LlamaCpp

            return LlamaCpp(base, adapter, context=card.context, template=card.template)
        if (base / "config.json").is_file():
            from bwcoach.backends.transformers import Transformers

            return Transformers(
                base, adapter, context=card.context, template=card.template, load_in_4bit=card.load_in_4bit
            )
    except ModuleNotFoundError as error:
        raise ModelError(
            f"The model {card.name} needs the package {error.name}; `pip install -r requirements.txt` brings what GGUF "
            "models need, `-r requirements-gpu.txt` what folders need."
        ) from error
    raise ModelError(f"{base}: neither a .gguf file, nor a folder with config.json, nor a server's URL.")


def choose_auto(models: Path = MODELS, gpu_is_ready: Callable[[], bool] | None = None) -> tuple[str, str]:
    """The name of the model that `auto` stands for, and why, in a sentence.

    Llama 2 in 4 bits with its adapter on a GPU, else a GGUF of it, else the embedded model. Imports no torch.
    """
    cards = [card for card in map(_card, sorted(models.glob(f"{PREFERRED}*/{CARD_FILE}"))) if card is not None]
    folders = [card for card in cards if (card.path(card.base) / "config.json").is_file() and card.adapter is not None]
    ggufs = [card for card in cards if card.path(card.base).suffix == ".gguf"]
    if folders and (gpu_is_ready or has_cuda)():
        return folders[0].folder.name, "Llama 2 with its adapter is installed, and this machine has a CUDA GPU."
    if ggufs:
        return ggufs[0].folder.name, "A GGUF of Llama 2 is installed, which runs on any CPU, if slowly."
    if folders:
        return EMBEDDED, "Llama 2 is installed, but there is no CUDA GPU that PyTorch could run it on."
    return EMBEDDED, "It comes with bwcoach and runs on any CPU; no Llama 2 is installed."


def has_cuda() -> bool:
    """Whether a CUDA device is there and a PyTorch that could use it; asks the driver, since torch loads slowly."""
    try:
        if version("torch").endswith("+cpu"):
            return False
        for package in ("transformers", "peft", "bitsandbytes"):
            version(package)
    except PackageNotFoundError:
        return False
    return any(_devices(driver) > 0 for driver in _DRIVERS)


def _devices(driver: str) -> int:
    count = ctypes.c_int(0)
    try:
        cuda = ctypes.CDLL(driver)
        if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def _card(path: Path) -> ModelCard | None:
    """A card whose files are there, their checksums left for when it is loaded; None for one that cannot be used."""
    try:
        card = ModelCard.model_validate({**yaml.safe_load(path.read_text(encoding="utf-8")), "folder": path.parent})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValidationError):
        return None
    files = [card.base] if card.adapter is None else [card.base, card.adapter]
    return card if all(card.path(file).exists() for file in files) else None
