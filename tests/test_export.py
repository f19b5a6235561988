"""GGUF files against the transformers models that they were made from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from bwcoach.errors import StageError
from bwcoach.models import CARD_FILE, load_card
from tests.tiny import make_adapter, make_base, tiny
from training.export import MERGED_FOLDER, PARITY_FILE, export, merged
from training.gguf_files import llama_config, quantize, write_adapter_gguf, write_base_gguf
from training.parity import difference, gguf_logits, reference_logits
from training.recipe import ExportRecipe, Recipe, TrainRecipe
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece

MODEL, ADAPTER = "model.safetensors", "adapter_model.safetensors"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A run folder whose stages before the export have run."""
    made = tiny()
    monkeypatch.chdir(tmp_path)
    made_recipe = Recipe(
        name="tiny", train=TrainRecipe(base=str(made.base)),
        export=ExportRecipe(quantizations=("Q4_K_M", "Q5_K_M", "Q8_0"), adapter="Q8_0"),
    )
    shutil.copytree(made.adapter, made_recipe.folder / "train" / "adapter")
    card = {"name": "tiny", "base": {"path": str(made.base)}, "adapter": {"path": "adapter"}, "context": 1024}
    (made_recipe.folder / "train" / CARD_FILE).write_text(yaml.safe_dump(card), encoding="utf-8")
    return made_recipe


def copy_of(folder: Path, out: Path) -> Path:
    shutil.copytree(folder, out)
    return out


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


@pytest.mark.parametrize("like_llama_2", [False, True])
@pytest.mark.parametrize("adapted", [False, True])
def test_gguf_answers_as_transformers(like_llama_2: bool, adapted: bool) -> None:
    made = tiny(like_llama_2=like_llama_2)
    reference = reference_logits(made.base, made.adapter if adapted else None)
    other = gguf_logits(made.base_gguf, made.adapter_gguf if adapted else None, made.base)
    found = difference(reference, other)
    assert found.within_16_bits
    assert found.largest < 0.02


@pytest.mark.parametrize(
    "shape",
    [
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}},
        {"head_dim": 32},
        {"num_key_value_heads": 4, "tie_word_embeddings": False, "rms_norm_eps": 0.1},
        {"vocab_size": 1216},
    ],
)
def test_other_shapes_answer_alike_too(shape: dict[str, Any], tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", **shape)
    write_base_gguf(base, tmp_path / "base.gguf", "base")
    assert difference(reference_logits(base), gguf_logits(tmp_path / "base.gguf", None, base)).within_16_bits
    write_adapter_gguf(make_adapter(tmp_path / "a", base), tmp_path / "a.gguf", llama_config(base))
    reference = reference_logits(base, tmp_path / "a")
    assert difference(reference, gguf_logits(tmp_path / "base.gguf", tmp_path / "a.gguf", base)).within_16_bits


def test_heads_in_another_order_would_be_noticed(tmp_path: Path) -> None:
    """The check of parity can fail: query rows in transformers' order are far out of tolerance."""
    base = copy_of(tiny().base, tmp_path / "base")
    weights = load_file(base / MODEL)
    name = "model.layers.0.self_attn.q_proj.weight"
    weights[name] = np.ascontiguousarray(weights[name].reshape(4, 2, 32, 256).swapaxes(1, 2).reshape(256, 256))
    save_file(weights, base / MODEL, {"format": "pt"})
    write_base_gguf(base, tmp_path / "wrong.gguf", "wrong")
    found = difference(reference_logits(tiny().base), gguf_logits(tmp_path / "wrong.gguf", None, base))
    assert not found.within_16_bits


def test_vocabulary_is_sentencepieces() -> None:
    for like_llama_2 in (False, True):
        made = tiny(like_llama_2=like_llama_2)
        fields = gguf.GGUFReader(made.base_gguf).fields
        processor = load_sentencepiece(made.base / SENTENCEPIECE_FILE)
        size = processor.get_piece_size()
        tokens = fields["tokenizer.ggml.tokens"].contents()
        assert tokens == [processor.id_to_piece(i) for i in range(size)]
        scores = [processor.get_score(i) for i in range(size)]
        assert fields["tokenizer.ggml.scores"].contents() == pytest.approx(scores)
        assert fields["tokenizer.ggml.token_type"].contents()[:4] == [2, 3, 3, 6]
        assert fields["tokenizer.ggml.add_space_prefix"].contents() is like_llama_2
        assert fields["tokenizer.ggml.remove_extra_whitespaces"].contents() is False
        assert fields["tokenizer.ggml.add_bos_token"].contents() is True


def test_tied_embeddings_have_no_output_tensor() -> None:
    for like_llama_2 in (False, True):
        tensors = gguf.GGUFReader(tiny(like_llama_2=like_llama_2).base_gguf).tensors
        assert ("output.weight" in {tensor.name for tensor in tensors}) is like_llama_2


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_K_M", "Q4_K_M"])
def test_fewer_bits_are_fewer_and_near(kind: str, tmp_path: Path) -> None:
    made = tiny()
    quantize(made.base_gguf, tmp_path / "q.gguf", kind)  # type: ignore[arg-type]
    assert (tmp_path / "q.gguf").stat().st_size < made.base_gguf.stat().st_size * 0.5
    assert difference(reference_logits(made.base), gguf_logits(tmp_path / "q.gguf", None, made.base)).mean_kl < 0.5


@pytest.mark.parametrize("rank", [8, 32])
@pytest.mark.parametrize("rslora", [False, True])
def test_adapters_scale_as_peft_scales_them(rank: int, rslora: bool, tmp_path: Path) -> None:
    made = tiny()
    adapter = make_adapter(tmp_path / "adapter", made.base, rank=rank, alpha=5, rslora=rslora)
    rewrite(adapter / "adapter_config.json", alpha_pattern={"v_proj": 20}, use_rslora=rslora)
    reference = reference_logits(made.base, adapter)
    for floats, most in (("f16", 1e-4), ("Q8_0", 1e-2)):
        file = tmp_path / f"{floats}.gguf"
        write_adapter_gguf(adapter, file, llama_config(made.base), floats=floats)  # type: ignore[arg-type]
        assert difference(reference, gguf_logits(made.base_gguf, file, made.base)).mean_kl < most
    sizes = [(tmp_path / f"{floats}.gguf").stat().st_size for floats in ("f16", "Q8_0")]
    assert sizes[1] < sizes[0] * (0.6 if rank == 32 else 0.9)


def test_merged_model_is_base_and_adapter(tmp_path: Path) -> None:
    made = tiny(like_llama_2=True)
    folder = merged(made.base, made.adapter, tmp_path / "merged")
    write_base_gguf(folder, tmp_path / "merged.gguf", "merged")
    reference = reference_logits(made.base, made.adapter)
    assert difference(reference, gguf_logits(tmp_path / "merged.gguf", None, made.base)).within_16_bits
    assert difference(reference, reference_logits(folder)).within_16_bits


def test_export_writes_everything_and_a_card(recipe: Recipe) -> None:
    out = export(recipe)
    kinds = ("f16", "Q4_K_M", "Q5_K_M", "Q8_0")
    expected = {f"{part}-{kind}.gguf" for part in ("base", "merged") for kind in kinds}
    expected |= {"adapter-f16.gguf", "adapter-Q8_0.gguf", PARITY_FILE, CARD_FILE, MERGED_FOLDER}
    assert {path.name for path in out.iterdir()} == expected
    rows = json.loads((out / PARITY_FILE).read_text(encoding="utf-8"))["against_transformers"]
    assert len(rows) == 4 + 2 * 4 + 4
    assert rows["base-f16"]["mean_kl"] < rows["base-Q8_0"]["mean_kl"] < rows["base-Q4_K_M"]["mean_kl"]
    card = load_card(out)
    assert card.base.path == "base-Q4_K_M.gguf"
    assert card.adapter is not None
    assert card.adapter.path == "adapter-Q8_0.gguf"
    assert not recipe.folder.joinpath("export.part").exists()


def test_export_without_an_adapter_is_the_base_alone(recipe: Recipe) -> None:
    shutil.rmtree(recipe.folder / "train")
    bare = recipe.model_copy(update={"export": ExportRecipe(quantizations=())})
    assert {path.name for path in export(bare).iterdir()} == {"base-f16.gguf", PARITY_FILE}


def test_a_failed_export_leaves_the_earlier_one(recipe: Recipe) -> None:
    small = recipe.model_copy(update={"export": ExportRecipe(quantizations=())})
    before = {path.name: path.stat().st_mtime_ns for path in export(small).iterdir()}
    adapter = recipe.folder / "train" / "adapter"
    weights = load_file(adapter / ADAPTER)
    weights["base_model.model.lm_head.lora_A.weight"] = np.zeros((8, 256), dtype=np.float32)
    save_file(weights, adapter / ADAPTER)
    with pytest.raises(StageError, match="without modules_to_save, embed_tokens or lm_head"):
        export(small)
    assert {path.name: path.stat().st_mtime_ns for path in (recipe.folder / "export").iterdir()} == before
    assert not recipe.folder.joinpath("export.part").exists()


def test_pieces_unlike_sentencepieces_stop_the_export() -> None:
    """A base whose vocabulary another tokenizer was put beside."""
    made = tiny()
    with pytest.raises(StageError, match="other pieces"):
        gguf_logits(made.base_gguf, None, tiny(like_llama_2=True).base)


REFUSED_ADAPTERS = {
    "peft_type": "IA3", "use_dora": True, "modules_to_save": ["lm_head"], "bias": "all", "fan_in_fan_out": True,
    "trainable_token_indices": [1],
}


@pytest.mark.parametrize("key", REFUSED_ADAPTERS)
def test_adapters_that_a_gguf_cannot_hold_are_refused(key: str, tmp_path: Path) -> None:
    made = tiny()
    adapter = copy_of(made.adapter, tmp_path / "adapter")
    rewrite(adapter / "adapter_config.json", **{key: REFUSED_ADAPTERS[key]})
    with pytest.raises(StageError, match=key):
        write_adapter_gguf(adapter, tmp_path / "a.gguf", llama_config(made.base))
    assert not list(tmp_path.glob("a.gguf*"))


def test_bases_that_are_not_plain_llamas_are_refused(tmp_path: Path) -> None:
    wrong: dict[str, dict[str, object]] = {
        "architecture": {"architectures": ["MistralForCausalLM"]},
        "biases": {"attention_bias": True},
        "rotary": {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}},
        "activation": {"hidden_act": "gelu"},
    }
    for what, changes in wrong.items():
        base = copy_of(tiny().base, tmp_path / what)
        rewrite(base / "config.json", **changes)
        with pytest.raises(StageError, match=what):
            write_base_gguf(base, tmp_path / "x.gguf", "x")
    without = copy_of(tiny().base, tmp_path / "bpe")
    (without / SENTENCEPIECE_FILE).unlink()
    with pytest.raises(StageError, match=r"no tokenizer\.model there.*served by vLLM"):
        write_base_gguf(without, tmp_path / "x.gguf", "x")
    (without / MODEL).unlink()
    shutil.copy(tiny().base / SENTENCEPIECE_FILE, without)
    with pytest.raises(StageError, match="pickle"):
        write_base_gguf(without, tmp_path / "x.gguf", "x")
    with pytest.raises(StageError, match=r"no config\.json"):
        write_base_gguf(tmp_path, tmp_path / "x.gguf", "x")
    assert not list(tmp_path.glob("x.gguf*"))


def test_weights_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    weights = load_file(base / MODEL)
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, base / MODEL, {"format": "pt"})
    with pytest.raises(StageError, match="too large for 16 bits"):
        write_base_gguf(base, tmp_path / "x.gguf", "x")
    write_base_gguf(base, tmp_path / "x.gguf", "x", floats="f32")
    assert [path.name for path in tmp_path.glob("x.gguf*")] == ["x.gguf"]


def test_what_is_not_a_gguf_is_not_quantised(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"junk")
    with pytest.raises(StageError, match="could not make Q8_0"):
        quantize(tmp_path / "x.gguf", tmp_path / "y.gguf", "Q8_0")
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]
