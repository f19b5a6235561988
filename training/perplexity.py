"""How well a model foretells text that it never read, in bits a byte, so that vocabularies can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from training.shards import open_pages
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece

_WINDOW = 512


@dataclass(frozen=True)
class Perplexity:
    """`per_token` is the exponential of the mean nats a token; it depends on the vocabulary, bits a byte do not."""

    bits_per_byte: float
    per_token: float
    tokens: int


def perplexity(base: Path, adapter: Path | None, shards: Path, *, pages: int = 12) -> dict[str, Perplexity]:
    """By genre and over `all`, on the first pages of the dev split, in windows of 512 tokens whose first is given.

    `base` is a Hugging Face folder, `adapter` a PEFT folder or None, `shards` what the corpus stage wrote for this
    base's vocabulary.
    """
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    processor = load_sentencepiece(shards / SENTENCEPIECE_FILE)
    sums: dict[str, tuple[float, int, int]] = {}
    for genre, tokens in sorted(open_pages(shards, "dev", 0).items()):
        rows = np.concatenate([tokens.page(i) for i in range(min(pages, len(tokens)))]).reshape(-1, _WINDOW)
        length = sum(len(processor.decode(row[1:].tolist()).encode()) for row in rows)
        sums[genre] = (sum(_nats(model, rows)), rows[:, 1:].size, length)
    nats, count, length = (sum(column) for column in zip(*sums.values(), strict=True))
    sums["all"] = (nats, int(count), int(length))
    return {
        genre: Perplexity(nats / math.log(2) / length, math.exp(nats / count), count)
        for genre, (nats, count, length) in sums.items()
    }


def _nats(model: PreTrainedModel, rows: NDArray[np.int64]) -> Iterator[float]:
    with torch.no_grad():
        for start in range(0, len(rows), 4):
            ids = torch.from_numpy(rows[start : start + 4])
            logits = model(input_ids=ids).logits[:, :-1].float()
            yield torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="sum"
            ).item()
