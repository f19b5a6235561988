"""GGUF files of Llama models, of their LoRA adapters, and of fewer bits."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import sentencepiece
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from transformers import LlamaConfig

from bwcoach.backends.llamacpp_context import quiet_llama_cpp
from bwcoach.errors import StageError
from training.tokenizer import SENTENCEPIECE_FILE, SPACE, load_sentencepiece

Floats = Literal["f16", "f32"]
AdapterType = Literal["f16", "Q8_0"]
Quantization = Literal["Q8_0", "Q5_K_M", "Q4_K_M"]

_FILE_TYPES = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16}
_QUANTIZATIONS = {
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "Q5_K_M": gguf.LlamaFileType.MOSTLY_Q5_K_M,
    "Q4_K_M": gguf.LlamaFileType.MOSTLY_Q4_K_M,
}
_Q8_BLOCK = 32


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A path beside `out` to write to; it becomes `out` if the block ends well and goes away if it does not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def write_base_gguf(folder: Path, out: Path, name: str, *, floats: Floats = "f16") -> None:
    """The Hugging Face folder of a Llama with a SentencePiece vocabulary as one GGUF file, tensor by tensor, so
    that memory holds one tensor at a time. Vectors stay in 32 bits."""
    config = llama_config(folder)
    processor = _sentencepiece(folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tensors: list[_Tensor] = []
    for tensor in _tensors(folder):
        tied = config.tie_word_embeddings and tensor.key == "lm_head.weight"
        if tied or tensor.key.endswith("rotary_emb.inv_freq"):
            continue
        target = names.get_name(tensor.key, try_suffixes=(".weight",))
        if target is None:
            raise StageError(f"{folder}: a Llama has no tensor {tensor.key}; only plain Llama models are exported.")
        tensors.append(_Tensor(target, tensor.shape, tensor.load))
    with replacing(out) as part:
        writer = gguf.GGUFWriter(part, "llama")
        _add_shape(writer, config, name, floats)
        _add_vocabulary(writer, processor, config.vocab_size)
        template = _chat_template(folder)
        if template:
            writer.add_chat_template(template)
        for tensor in tensors:
            dtype = np.dtype(np.float32 if len(tensor.shape) == 1 or floats == "f32" else np.float16)
            writer.add_tensor_info(tensor.key, tensor.shape, dtype, math.prod(tensor.shape) * dtype.itemsize)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            values = _as_llama_cpp_rotates(tensor.key, tensor.load(), config)
            writer.write_tensor_data(values if values.ndim == 1 or floats == "f32" else _half(values, tensor.key))
        writer.close()


def write_adapter_gguf(folder: Path, out: Path, config: LlamaConfig, *, floats: AdapterType = "f16") -> None:
    """A PEFT LoRA adapter's folder as a GGUF that llama.cpp lays over the base of this config.

    llama.cpp scales by alpha / rank. Where the adapter scales otherwise (rank-stabilised, a pattern of ranks or
    alphas), the difference is multiplied into lora_b. Under Q8_0 a matrix whose rows are not whole blocks of 32
    stays in 16 bits.
    """
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    _refuse_unless_plain_lora(folder, settings)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    alpha = float(settings["lora_alpha"])
    with replacing(out) as part:
        writer = gguf.GGUFWriter(part, "llama")
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            for key in sorted(file.keys()):
                module, _, half = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
                target = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
                if half not in ("lora_A", "lora_B") or target is None or not target.startswith("blk."):
                    raise StageError(
                        f"{folder}: {key} cannot be put into a GGUF adapter. Train LoRA on the attention and "
                        "feed-forward matrices alone, without modules_to_save, embed_tokens or lm_head."
                    )
                values = file.get_tensor(key).to(torch.float32).numpy()
                if half == "lora_B":
                    rank = values.shape[1]
                    values = _as_llama_cpp_rotates(target, values, config) * (_scale(settings, module) * rank / alpha)
                _add_adapter_tensor(writer, f"{target}.{half.lower()}", values, floats)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def quantize(source: Path, out: Path, kind: Quantization, *, threads: int = 2) -> None:
    """A GGUF of 16 or 32 bits in fewer. Rows that are no multiple of 256 wide get a wider type than a k-quant's."""
    # Here and not above: llamacpp_context says how its threads wait, which llama.cpp reads once, as it loads.
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = _QUANTIZATIONS[kind]
    settings.nthread = threads
    with replacing(out) as part, quiet_llama_cpp() as said:
        code = llama_cpp.llama_model_quantize(str(source).encode(), str(part).encode(), settings)
        if code != 0 or not part.exists():
            raise StageError(f"{source}: llama.cpp could not make {kind} of it: {' '.join(said) or code}")


def llama_config(folder: Path) -> LlamaConfig:
    """A folder's config, refused where it says something that a GGUF of a plain Llama does not."""
    path = folder / "config.json"
    if not path.is_file():
        raise StageError(f"{folder}: no config.json there, so this is not a Hugging Face model's folder.")
    kinds = json.loads(path.read_text(encoding="utf-8")).get("architectures") or ["LlamaForCausalLM"]
    config = LlamaConfig.from_pretrained(folder)
    rope = config.rope_parameters
    wrong = [
        (kinds != ["LlamaForCausalLM"], f"its architecture is {', '.join(kinds)}"),
        (config.attention_bias or config.mlp_bias, "its linear layers have biases"),
        (config.hidden_act != "silu", f"its activation is {config.hidden_act}"),
        (rope["rope_type"] not in ("default", "linear"), f"its rotary positions are of type {rope['rope_type']}"),
    ]
    for is_wrong, what in wrong:
        if is_wrong:
            raise StageError(f"{folder}: {what}; only plain Llama models (Llama 2, the recipes' own) are exported.")
    return config


@dataclass(frozen=True)
class _Tensor:
    key: str
    shape: tuple[int, ...]
    load: Callable[[], NDArray[np.float32]]


def _tensors(folder: Path) -> Iterator[_Tensor]:
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise StageError(f"{folder}: no model.safetensors there; weights in pickle form are not read.")
    for path in files:
        with safe_open(path, "pt") as file:
            for key in sorted(file.keys()):
                yield _Tensor(key, tuple(file.get_slice(key).get_shape()), _loader(path, key))


def _loader(path: Path, key: str) -> Callable[[], NDArray[np.float32]]:
    def load() -> NDArray[np.float32]:
        with safe_open(path, "pt") as file:
            return np.asarray(file.get_tensor(key).to(torch.float32).numpy())

    return load


def _add_shape(writer: Any, config: LlamaConfig, name: str, floats: Floats) -> None:
    head = config.head_dim or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_file_type(_FILE_TYPES[floats])
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if config.rope_parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])


def _sentencepiece(folder: Path) -> sentencepiece.SentencePieceProcessor:
    path = folder / SENTENCEPIECE_FILE
    if not path.is_file():
        raise StageError(
            f"{folder}: no {SENTENCEPIECE_FILE} there. Only SentencePiece vocabularies (Llama 2's, or what the corpus "
            "stage makes) are exported; a model with only a tokenizer.json can be served by vLLM and used by its URL."
        )
    return load_sentencepiece(path)


def _add_vocabulary(writer: Any, processor: sentencepiece.SentencePieceProcessor, size: int) -> None:
    """The pieces with their scores and kinds; rows of the embedding past the last piece get an unused name."""
    known = processor.get_piece_size()
    if known > size:
        raise StageError(f"the vocabulary has {known} pieces, the model {size} embeddings; they are not of one model.")
    kinds = []
    for index in range(known):
        kinds.append(
            gguf.TokenType.BYTE if processor.is_byte(index)
            else gguf.TokenType.CONTROL if processor.is_control(index)
            else gguf.TokenType.UNKNOWN if processor.is_unknown(index)
            else gguf.TokenType.UNUSED if processor.is_unused(index)
            else gguf.TokenType.NORMAL
        )
    spare = range(known, size)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*(processor.id_to_piece(i) for i in range(known)), *(f"[unused {i}]" for i in spare)])
    writer.add_token_scores([*(processor.get_score(i) for i in range(known)), *(-1000.0 for _ in spare)])
    writer.add_token_types([*kinds, *(gguf.TokenType.UNUSED for _ in spare)])
    writer.add_bos_token_id(processor.bos_id())
    writer.add_eos_token_id(processor.eos_id())
    writer.add_unk_token_id(processor.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    # What the model's own normaliser does, seen in what it makes of a text.
    writer.add_add_space_prefix(processor.encode("a", out_type=str)[0].startswith(SPACE))
    writer.add_remove_extra_whitespaces(processor.encode("a  b") == processor.encode("a b"))


def _chat_template(folder: Path) -> str | None:
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    if not settings.is_file():
        return None
    template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
    return template if isinstance(template, str) else None


def _as_llama_cpp_rotates(name: str, values: NDArray[np.float32], config: LlamaConfig) -> NDArray[np.float32]:
    """Rows of the query and key matrices in the order that llama.cpp's rotary positions pair them: neighbours,
    where transformers pairs the first half of a head with its second half."""
    heads = config.num_attention_heads if ".attn_q" in name else config.num_key_value_heads if ".attn_k." in name else 0
    if not heads:
        return values
    rows, columns = values.shape
    paired = values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2)
    return np.ascontiguousarray(paired.reshape(rows, columns))


def _half(values: NDArray[np.float32], name: str) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise StageError(f"{name}: a weight is not finite or too large for 16 bits; export it with 32.")
    return half


def _refuse_unless_plain_lora(folder: Path, settings: dict[str, Any]) -> None:
    refused = {
        "peft_type": settings.get("peft_type") != "LORA",
        "use_dora": settings.get("use_dora"),
        "modules_to_save": settings.get("modules_to_save"),
        "trainable_token_indices": settings.get("trainable_token_indices"),
        "bias": settings.get("bias", "none") != "none",
        "lora_bias": settings.get("lora_bias"),
        "fan_in_fan_out": settings.get("fan_in_fan_out"),
    }
    wrong = [f"{key}: {settings.get(key)!r}" for key, is_wrong in refused.items() if is_wrong]
    if wrong:
        raise StageError(
            f"{folder}: a GGUF adapter holds LoRA matrices alone, this one says {', '.join(wrong)}; train without."
        )


def _scale(settings: dict[str, Any], module: str) -> float:
    """What PEFT multiplies B·A of this module with."""

    def own(pattern: dict[str, float], default: float) -> float:
        return next((v for key, v in pattern.items() if module == key or module.endswith(f".{key}")), default)

    rank = own(settings.get("rank_pattern") or {}, settings["r"])
    alpha = own(settings.get("alpha_pattern") or {}, settings["lora_alpha"])
    return float(alpha / math.sqrt(rank) if settings.get("use_rslora") else alpha / rank)


def _add_adapter_tensor(writer: Any, name: str, values: NDArray[np.float32], floats: AdapterType) -> None:
    kind = gguf.GGMLQuantizationType.Q8_0
    if floats == "Q8_0" and values.shape[1] % _Q8_BLOCK == 0:
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, _half(values, name))
