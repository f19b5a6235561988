"""A small Llama read into being from token shards: the base that adapters are taught on.

The step number decides everything a step does (which pages, how long the windows, the learning rate), so a run
that was killed goes on from its last checkpoint exactly as it would have gone on anyway.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from bwcoach.errors import StageError
from training.curve import draw_curve
from training.optimizers import Optimizers
from training.recipe import PretrainRecipe, Recipe
from training.shards import PAGE, Pages, bytes_per_token, open_pages
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece, to_transformers

CURVE_FILE = "curve.jsonl"
STATE_FILE = "state.pt"
DEV_PAGES = 12
Loss = Callable[[LlamaForCausalLM, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Place:
    """Where a run of pretraining lives, and whether it is the steady run or a cooled branch of it."""

    folder: Path
    first_step: int = 0
    cool_steps: int = 0


def pretrain(recipe: Recipe, *, cool: int = 0) -> Path:
    """Read on until the recipe's tokens are read, from the newest checkpoint if there is one; gives the base's folder.

    `cool`: instead branch off the newest checkpoint and let the learning rate fall to nothing over so many tokens,
    into a folder of its own, which leaves the steady run as it was. That is how an early base is taken out.
    """
    settings = recipe.pretrain
    if settings is None or recipe.corpus is None:
        raise StageError(
            f"recipe {recipe.name} has no `corpus` and `pretrain` parts: its base is {recipe.train.base!r}."
        )
    steady = recipe.folder / "pretrain"
    if not cool:
        return _run(recipe, settings, Place(steady))
    if not (steady / STATE_FILE).exists():
        raise StageError(f"{steady}: no checkpoint to cool; run `python -m training pretrain` first.")
    step = int(torch.load(steady / STATE_FILE, weights_only=True, map_location="cpu", mmap=True)["step"])
    steps = math.ceil(cool / tokens_per_step(recipe, settings))
    branch = Place(recipe.folder / f"pretrain-cooled-{cool}", step, steps)
    started = sorted(recipe.folder.glob(f"pretrain-cooled-{cool}/branch.json"))
    if started:
        kept = json.loads(started[0].read_text(encoding="utf-8"))
        branch = Place(branch.folder, kept["first_step"], kept["cool_steps"])
    else:
        branch.folder.mkdir(parents=True, exist_ok=True)
        (branch.folder / STATE_FILE).write_bytes((steady / STATE_FILE).read_bytes())
        text = json.dumps({"first_step": step, "cool_steps": steps})
        (branch.folder / "branch.json").write_text(text, encoding="utf-8")
    return _run(recipe, settings, branch)


def tokens_per_step(recipe: Recipe, settings: PretrainRecipe) -> int:
    genres = len(recipe.corpus.paths) if recipe.corpus else 0
    return genres * settings.pages_per_genre * PAGE


def learning_rate(settings: PretrainRecipe, step: int, last_step: int, cool_steps: int) -> float:
    """As a share of the peak: rises over the warm-up, stays, falls in a straight line over the last cool_steps."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    cooled = min(1.0, (last_step - step) / cool_steps) if cool_steps else 1.0
    return warm * cooled


def new_model(settings: PretrainRecipe, vocabulary: int) -> LlamaForCausalLM:
    shape = settings.shape
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    # Writers into the residual stream start smaller the deeper the model is (GPT-2's report, section 2.3).
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.normal_(weight, std=0.02 / math.sqrt(2 * shape.layers))
    return model


def batch(pages: dict[str, Pages], settings: PretrainRecipe, step: int, seed: int) -> torch.Tensor:
    """What step number `step` reads: (windows, length), as many pages of each genre, windows of one length."""
    lengths = sorted(settings.windows)
    weights = np.asarray([settings.windows[length] for length in lengths])
    length = int(np.random.default_rng((seed, step)).choice(lengths, p=weights / weights.sum()))
    count = settings.pages_per_genre
    rows = [pages[genre].page(step * count + i) for genre in sorted(pages) for i in range(count)]
    return torch.from_numpy(np.concatenate(rows)).view(-1, length)


def next_token_loss(model: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Mean nats a token over (windows, length). Compiled as a whole: the softmax over the vocabulary, unfused,
    costs as much as the matrix products of a small model."""
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.lm_head(hidden.reshape(-1, hidden.shape[-1]))
    return cross_entropy(logits.float(), ids[:, 1:].reshape(-1))


def _dev_loss(model: LlamaForCausalLM, pages: dict[str, Pages], device: str) -> dict[str, float]:
    """Nats a token by genre on the first pages of the dev split, in windows of 512."""
    with torch.no_grad():
        return {
            genre: sum(
                next_token_loss(model, torch.from_numpy(dev.page(i)).view(-1, 512).to(device)).item()
                for i in range(min(DEV_PAGES, len(dev)))
            )
            / min(DEV_PAGES, len(dev))
            for genre, dev in sorted(pages.items())
        }


class _Stop:
    """SIGTERM and SIGINT ask for a checkpoint and a clean end after the step in hand."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def _run(recipe: Recipe, settings: PretrainRecipe, place: Place) -> Path:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.seed)
    shards = recipe.folder / "corpus"
    pages, dev = (open_pages(shards, split, recipe.seed) for split in ("train", "dev"))
    processor = load_sentencepiece(shards / SENTENCEPIECE_FILE)
    model = new_model(settings, processor.get_piece_size()).to(device)
    optimizers = Optimizers(model, settings)
    place.folder.mkdir(parents=True, exist_ok=True)
    begun = _restore(place.folder / STATE_FILE, model, optimizers, settings)
    each = tokens_per_step(recipe, settings)
    last_step = place.first_step + place.cool_steps or math.ceil(settings.tokens / each)
    cool_steps = place.cool_steps or int(last_step * settings.cooldown)
    loss_of: Loss = torch.compile(next_token_loss, dynamic=False) if settings.compile else next_token_loss
    stop, saved, started = _Stop(), time.monotonic(), time.monotonic()
    steps = _steps(model, loss_of, optimizers, pages, settings, recipe.seed, device, begun, last_step, cool_steps)
    for step, loss in steps:
        if not math.isfinite(loss):
            raise StageError(f"{place.folder}: the loss became {loss} at step {step}; lower the learning rate.")
        row: dict[str, Any] = {"step": step, "tokens": step * each, "loss": round(loss, 4)}
        ended = stop.asked or step == last_step
        if step % settings.evaluate_steps == 0 or step == last_step:
            # Not compiled: the dev pages come in a shape of their own, seldom.
            row["dev"] = {genre: round(value, 4) for genre, value in _dev_loss(model, dev, device).items()}
            if dev:
                mean = sum(row["dev"].values()) / len(row["dev"])
                row["dev_bits_per_byte"] = round(mean / math.log(2) / bytes_per_token(shards, "dev"), 4)
            row["tokens_per_second"] = round((step - begun) * each / (time.monotonic() - started))
            print(json.dumps(row), flush=True)
        with (place.folder / CURVE_FILE).open("a", encoding="utf-8") as curve:
            curve.write(json.dumps(row) + "\n")
        if ended or time.monotonic() - saved > 60 * settings.checkpoint_minutes:
            _save(place.folder, model, optimizers, step, settings)
            saved = time.monotonic()
        if ended:
            break
    model.save_pretrained(place.folder / "base")
    to_transformers(processor).save_pretrained(place.folder / "base")
    (place.folder / "base" / SENTENCEPIECE_FILE).write_bytes((shards / SENTENCEPIECE_FILE).read_bytes())
    draw_curve(place.folder / CURVE_FILE, place.folder / "curve.png")
    return place.folder / "base"


def _steps(
    model: LlamaForCausalLM,
    loss_of: Loss,
    optimizers: Optimizers,
    pages: dict[str, Pages],
    settings: PretrainRecipe,
    seed: int,
    device: str,
    first: int,
    last: int,
    cool_steps: int,
) -> Iterator[tuple[int, float]]:
    """Take the steps, giving after each the number of steps taken so far and its loss."""
    for step in range(first, last):
        ids = batch(pages, settings, step, seed).to(device)
        loss = loss_of(model, ids)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(learning_rate(settings, step, last, cool_steps))
        yield step + 1, loss.item()


def _save(folder: Path, model: LlamaForCausalLM, optimizers: Optimizers, step: int, settings: PretrainRecipe) -> None:
    shape = settings.shape.model_dump()
    state = {"model": model.state_dict(), "optimizers": optimizers.state(), "step": step, "shape": shape}
    torch.save(state, folder / f"{STATE_FILE}.part")
    (folder / f"{STATE_FILE}.part").replace(folder / STATE_FILE)


def _restore(path: Path, model: LlamaForCausalLM, optimizers: Optimizers, settings: PretrainRecipe) -> int:
    if not path.exists():
        if settings.start is not None:
            _begin_with(settings.start, model)
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["shape"] != settings.shape.model_dump():
        raise StageError(f"{path}: a base of shape {state['shape']}, the recipe says {settings.shape.model_dump()}.")
    model.load_state_dict(state["model"])
    optimizers.restore(state["optimizers"])
    return int(state["step"])


def _begin_with(gguf: Path, model: LlamaForCausalLM) -> None:
    """Take over the weights of a base that was exported, as its quantisation left them."""
    if not gguf.exists():
        raise StageError(f"{gguf}: no base there to begin with; leave `pretrain.start` out to begin from nothing.")
    known = LlamaForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).state_dict()
    own = {name: weight.shape for name, weight in model.state_dict().items()}
    if {name: weight.shape for name, weight in known.items()} != own:
        raise StageError(f"{gguf}: a base of another shape or vocabulary than the recipe's; it cannot be begun with.")
    model.load_state_dict(known)
