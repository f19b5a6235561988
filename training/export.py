"""GGUF files of the base, of the adapter and of both merged, each compared with transformers before it counts."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from peft import PeftModel
from transformers import LlamaForCausalLM

from bwcoach.backends.llamacpp_context import physical_cores
from bwcoach.errors import StageError
from bwcoach.models import CARD_FILE, ModelFile, load_card
from training.gguf_files import llama_config, quantize, write_adapter_gguf, write_base_gguf
from training.parity import LARGEST_KL, LARGEST_SHARE, PROBES, difference, gguf_logits, reference_logits
from training.recipe import ExportRecipe, Recipe

PARITY_FILE = "parity.json"
MERGED_FOLDER = "merged"


def export(recipe: Recipe) -> Path:
    """Write runs/<name>/export: base, adapter and merged model in 16 bits and in what the recipe asks for, the
    merged model's Hugging Face folder, how far each is from transformers, and a card that `load_coach` takes.

    Nothing appears there unless all 16-bit files agree with transformers (StageError otherwise); an earlier export
    stays until then. A recipe that trained no adapter gets its base alone.
    """
    base = Path(recipe.train.base) if recipe.train.base else recipe.folder / "pretrain" / "base"
    adapter = recipe.folder / "train" / "adapter"
    out, part = recipe.folder / "export", recipe.folder / "export.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        if (adapter / "adapter_config.json").exists():
            _write(recipe.export, recipe.name, base, adapter, part)
            _write_card(recipe, part)
        else:
            _write(recipe.export, recipe.name, base, None, part)
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def merged(base: Path, adapter: Path, out: Path) -> Path:
    """The folder `out` with the adapter added into the base's 16-bit weights, and the base's tokenizer."""
    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float16, local_files_only=True, use_safetensors=True)
    PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(out)
    for path in base.iterdir():
        if path.name.startswith(("tokenizer", "special_tokens", "chat_template")):
            shutil.copy(path, out / path.name)
    return out


def _write(settings: ExportRecipe, name: str, base: Path, adapter: Path | None, out: Path) -> None:
    plain = reference_logits(base)
    report = _write_model("base", settings, name, base, None, plain, out)
    if adapter is not None:
        tuned = reference_logits(base, adapter)
        for floats in dict.fromkeys(("f16", settings.adapter)):
            file = out / f"adapter-{floats}.gguf"
            write_adapter_gguf(adapter, file, llama_config(base), floats=floats)
            for kind in ("f16", *settings.quantizations):
                row = f"base-{kind} with {file.stem}"
                report[row] = _compare(out / f"base-{kind}.gguf", file, tuned, base, exact=kind == floats == "f16")
        merged(base, adapter, out / MERGED_FOLDER)
        report |= _write_model("merged", settings, name, out / MERGED_FOLDER, base, tuned, out)
    text = json.dumps(
        {
            "tokens": len(plain), "texts": len(PROBES),
            "largest_allowed_at_16_bits": {"share": LARGEST_SHARE, "mean_kl": LARGEST_KL},
            "against_transformers": report,
        },
        indent=2,
    )
    (out / PARITY_FILE).write_text(text + "\n", encoding="utf-8")


def _write_model(
    kind: str, settings: ExportRecipe, name: str, folder: Path, vocabulary: Path | None,
    reference: NDArray[np.float32], out: Path,
) -> dict[str, dict[str, float]]:
    """A folder's GGUF in 16 bits and each quantisation of it; gives how far each is from the reference."""
    exact = out / f"{kind}-f16.gguf"
    write_base_gguf(folder, exact, name)
    report = {exact.stem: _compare(exact, None, reference, vocabulary or folder, exact=True)}
    for quantization in settings.quantizations:
        file = out / f"{kind}-{quantization}.gguf"
        quantize(exact, file, quantization, threads=physical_cores())
        report[file.stem] = _compare(file, None, reference, vocabulary or folder, exact=False)
    return report


def _compare(
    file: Path, adapter: Path | None, reference: NDArray[np.float32], vocabulary: Path, *, exact: bool
) -> dict[str, float]:
    found = difference(reference, gguf_logits(file, adapter, vocabulary))
    if exact and not found.within_16_bits:
        what = f"{file.name} with {adapter.name}" if adapter else file.name
        raise StageError(
            f"{what} does not answer as transformers does: a logit is off by {found.share:.2g} standard deviations "
            f"(up to {LARGEST_SHARE}), the divergence is {found.mean_kl:.2g} nats a token (up to {LARGEST_KL}). "
            "Nothing was exported."
        )
    return found.as_dict()


def _write_card(recipe: Recipe, out: Path) -> None:
    """The trained model's card, naming the exported files."""
    card = load_card(recipe.folder / "train")
    shipped = (*recipe.export.quantizations, "f16")[0]
    files = [out / f"base-{shipped}.gguf", out / f"adapter-{recipe.export.adapter}.gguf"]
    base, adapter = (ModelFile(path=file.name, sha256=_sha256(file)) for file in files)
    exported = card.model_copy(update={"base": base, "adapter": adapter, "load_in_4bit": False})
    content = exported.model_dump(mode="json", exclude={"folder"}, exclude_defaults=True)
    (out / CARD_FILE).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
