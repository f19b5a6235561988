"""Real parts small enough for a test: a random Llama with a vocabulary learnt from the rubrics, and its files."""

from __future__ import annotations

import atexit
import functools
import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from training.corpus import Document
from training.gguf_files import llama_config, write_adapter_gguf, write_base_gguf
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece, to_transformers, train_tokenizer

# Models this small are slower on more threads, and on a busy machine very much so.
torch.set_num_threads(1)

RUBRICS = Path(__file__).resolve().parent.parent / "rubrics"
CONTEXT = 1024
# Every matrix's rows are whole blocks of 256, so that k-quants apply.
WIDTH, FEED_FORWARD, LAYERS, HEADS, KV_HEADS = 256, 512, 2, 4, 2
PIECES = 1200
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Tiny:
    """One tiny model in all its forms; the GGUFs hold 32 bits (the adapter 16)."""

    base: Path
    adapter: Path
    base_gguf: Path
    adapter_gguf: Path


@functools.cache
def tiny(*, like_llama_2: bool = False) -> Tiny:
    """Made once a test session. `like_llama_2`: a vocabulary that puts a blank before every text."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    base = make_base(folder / "base", like_llama_2=like_llama_2)
    adapter = make_adapter(folder / "adapter", base)
    made = Tiny(base, adapter, folder / "base.gguf", folder / "adapter.gguf")
    write_base_gguf(base, made.base_gguf, "tiny", floats="f32")
    write_adapter_gguf(adapter, made.adapter_gguf, llama_config(base))
    return made


def make_base(folder: Path, *, seed: int = 0, like_llama_2: bool = False, **shape: Any) -> Path:
    """A Hugging Face folder of a random base. Its weights are large enough for attention to matter.

    `shape`: settings of LlamaConfig that are to differ from the usual ones.
    """
    folder.mkdir(parents=True)
    path = folder / SENTENCEPIECE_FILE
    (train_like_llama_2 if like_llama_2 else train_like_ours)(path)
    processor = load_sentencepiece(path)
    torch.manual_seed(seed)
    usual = {
        "hidden_size": WIDTH, "intermediate_size": FEED_FORWARD, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": not like_llama_2, "rms_norm_eps": 1e-5, "initializer_range": 0.1,
    }
    size = processor.get_piece_size()
    config = LlamaConfig(**usual | {"vocab_size": size, "bos_token_id": 1, "eos_token_id": 2} | shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    to_transformers(processor).save_pretrained(folder)
    return folder


def make_adapter(
    folder: Path, base: Path, *, seed: int = 1, rank: int = 8, alpha: int = 16, rslora: bool = False
) -> Path:
    """A PEFT adapter of the base that changes its answers: both halves are random."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM.from_pretrained(base)
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(TARGETS), use_rslora=rslora, task_type="CAUSAL_LM"
    )
    tuned = get_peft_model(model, settings)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    tuned.save_pretrained(folder)
    return folder


def rubric_lines() -> list[str]:
    return [line for path in sorted(RUBRICS.glob("*.yaml")) for line in path.read_text(encoding="utf-8").splitlines()]


def train_like_ours(path: Path) -> None:
    document = Document("rubrics", "rubrics", "rubrics", "MIT", "Rubrics", "\n".join(rubric_lines()))
    train_tokenizer({"rubrics": [document]}, PIECES, 10**6, 0, path)


def train_like_llama_2(path: Path) -> None:
    """As Llama 2's vocabulary was made: BPE, byte fallback, single digits, a blank put before every text."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(rubric_lines()), model_writer=model, model_type="bpe", vocab_size=PIECES,
        byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, minloglevel=2,
    )
    path.write_bytes(model.getvalue())
