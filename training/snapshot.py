"""The newest checkpoint of a run of pretraining as a base in 16 bits, while the run goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from bwcoach.errors import StageError
from training.pretrain import CURVE_FILE, STATE_FILE, new_model
from training.recipe import Recipe
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece, to_transformers


def take_snapshot(recipe: Recipe, folder: Path, *, with_state: bool) -> dict[str, Path]:
    """Write the base into `folder` and give its files by their paths below the run's folder, the curve among them.

    `with_state`: the checkpoint as well, weights and optimizers in fp32, which a machine without a GPU can load and
    go on from. It is about four times as much.
    """
    checkpoint, curve = recipe.folder / "pretrain" / STATE_FILE, recipe.folder / "pretrain" / CURVE_FILE
    if recipe.pretrain is None or not checkpoint.exists():
        raise StageError(f"{checkpoint}: no checkpoint yet; the first comes after the recipe's checkpoint_minutes.")
    shutil.rmtree(folder, ignore_errors=True)
    # Mapped: a checkpoint that replaces this one while it is read leaves it whole.
    state = torch.load(checkpoint, weights_only=True, mmap=True, map_location="cpu")
    vocabulary = recipe.folder / "corpus" / SENTENCEPIECE_FILE
    processor = load_sentencepiece(vocabulary)
    model = new_model(recipe.pretrain, processor.get_piece_size())
    model.load_state_dict(state["model"])
    base = folder / "base"
    model.to(torch.bfloat16).save_pretrained(base)
    to_transformers(processor).save_pretrained(base)
    shutil.copyfile(vocabulary, base / SENTENCEPIECE_FILE)
    # Copied, since the run goes on writing it.
    shutil.copyfile(curve, folder / CURVE_FILE)
    files = {f"pretrain/base/{path.name}": path for path in base.iterdir()}
    if with_state:
        torch.save(state, folder / STATE_FILE)
        files[f"pretrain/{STATE_FILE}"] = folder / STATE_FILE
    return {**files, f"pretrain/{CURVE_FILE}": folder / CURVE_FILE}
