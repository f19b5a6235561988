"""What a model is taught, token by token, and that the adapter it leaves is one that can be read."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from bwcoach.coach import load_coach
from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.errors import StageError
from bwcoach.rubric import load_rubric
from tests.tiny import tiny
from training.examples import Example, Provenance, write_examples
from training.recipe import GenerateRecipe, Recipe, TrainRecipe
from training.rows import IGNORED, Row, fix_rows, lines_row, refuse_long, shuffled_by_length, tags_row
from training.token_trainer import ROUNDED_TO, Collator
from training.train import is_llama_2, new_card, read_rows, train

TEXT = "The rent is rising due to the fact that stuff happened. Nobody built a house."
WORDY, VAGUE = "due to the fact that", "stuff"


def example(number: int = 0, *, whole: bool = False) -> Example:
    findings = (
        Finding(Span(TEXT.index(WORDY), TEXT.index(WORDY) + len(WORDY)), "wordiness", fix="because"),
        Finding(Span(TEXT.index(VAGUE), TEXT.index(VAGUE) + len(VAGUE)), "vague-language", fix="two mills closed"),
    )
    return Example(f"e{number}", "position-paper", TEXT, findings, Provenance("s", "MIT", "rules"), whole)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    base = str(tiny().base)
    monkeypatch.chdir(tmp_path)
    return Recipe(
        name="t", generate=GenerateRecipe(),
        train=TrainRecipe(
            base=base, rank=8, alpha=16, batch=4, epochs=3, longest=900, warmup_steps=1, learning_rate=0.01
        ),
    )  # fmt: skip


def test_the_decoded_targets_of_a_row_are_the_weak_words(recipe: Recipe, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(recipe.train.base)
    card = new_card(recipe, Path(recipe.train.base), tmp_path, tokenizer)
    row = tags_row(example(), load_rubric("position-paper"), card, tokenizer)
    answer = row.ids[-row.answer :]
    labels = list(card.labels)
    said = {
        criterion: tokenizer.decode([answer[t] for t, c in row.weak if labels[c] == criterion]).strip()
        for criterion in ("wordiness", "vague-language")
    }
    assert said == {"wordiness": WORDY, "vague-language": VAGUE}
    assert tokenizer.decode(answer).strip() == TEXT
    assert tokenizer.decode(row.ids[: -row.answer]).count(TEXT) == 1
    assert row.ids.count(tokenizer.bos_token_id) == 1


def test_what_is_draft_wide_is_asked_of_whole_drafts_only(recipe: Recipe, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(recipe.train.base)
    card = new_card(recipe, Path(recipe.train.base), tmp_path, tokenizer)
    rubric = load_rubric("position-paper")
    labels = list(card.labels)

    def asked(whole: bool) -> set[str]:
        return {labels[n] for n in tags_row(example(whole=whole), rubric, card, tokenizer).asked}

    assert asked(True) == set(rubric.ids)
    assert asked(True) - asked(False) == {"thesis", "counterargument"}


def test_only_the_completion_of_a_fix_and_of_lines_is_learnt(recipe: Recipe, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(recipe.train.base)
    card = new_card(recipe, Path(recipe.train.base), tmp_path, tokenizer)
    rubric = load_rubric("position-paper")
    learnt = set()
    for row in fix_rows(example(), rubric, card, tokenizer, 2, random.Random(0)):
        spoken = [label for label in row.labels if label != IGNORED]
        assert spoken[-1] == tokenizer.eos_token_id
        learnt.add(tokenizer.decode(spoken[:-1]))
    assert {text.strip(" ") for text in learnt} == {"because\n", "two mills closed\n"}
    lines = lines_row(example(), rubric, card, tokenizer)
    answer = tokenizer.decode([label for label in lines.labels if label != IGNORED][:-1])
    assert answer.split("\n")[-1] == "done"
    assert f'"{WORDY}" => "because"' in answer


def test_a_part_of_a_fix_is_the_chance_of_one(recipe: Recipe, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(recipe.train.base)
    card = new_card(recipe, Path(recipe.train.base), tmp_path, tokenizer)
    rubric, rng = load_rubric("position-paper"), random.Random(0)

    def rows(most: float) -> int:
        return sum(len(list(fix_rows(example(n), rubric, card, tokenizer, most, rng))) for n in range(100))

    assert rows(0) == 0
    assert 15 <= rows(0.25) <= 35
    assert rows(1) == 100
    assert 110 <= rows(1.25) <= 140


def test_a_row_that_would_be_cut_is_refused_by_name() -> None:
    rows = [Row("short", (1,) * 10), Row("essay-7 (tags)", (1,) * 30)]
    with pytest.raises(StageError, match=r"1 of 2 rows .*essay-7 \(tags\): 30 tokens"):
        refuse_long(rows, 20)


def test_batches_hold_rows_of_about_one_length_and_every_row_once() -> None:
    rows = [Row(str(n), (1,) * (10 + 37 * n % 900)) for n in range(64)]
    order = shuffled_by_length(rows, 8, 0)
    assert sorted(order) == list(range(64))
    spread = [
        max(lengths) - min(lengths)
        for i in range(0, 64, 8)
        for lengths in [[len(rows[n].ids) for n in order[i : i + 8]]]
    ]
    assert max(spread) < 250


def test_a_batch_keeps_each_row_s_tokens_targets_and_questions() -> None:
    rows = [Row("a", (5, 6, 7), 2, ((0, 1),), (0, 1)), Row("b", (8, 9), labels=(IGNORED, 9))]
    batch = Collator(rows, 2)([{"number": 0}, {"number": 1}])
    padding = [0] * (ROUNDED_TO - 3)
    assert batch["input_ids"].tolist() == [[5, 6, 7, *padding], [8, 9, 0, *padding]]
    assert batch["answer"][:, :3].tolist() == [[False, True, True], [False, False, False]]
    assert not batch["answer"][:, 3:].any()
    assert batch["weak"].tolist() == [[0, 1], [0, 0]]
    assert batch["asked"].tolist() == [[1, 1], [1, 1]]
    assert batch["labels"][:, :3].tolist() == [[IGNORED] * 3, [IGNORED, 9, IGNORED]]
    assert (batch["labels"][:, 3:] == IGNORED).all()


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "loss.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.parametrize("settings", [{}, {"load_in_4bit": True}, {"optimizer": "muon", "compile": True}], ids=str)
def test_an_adapter_learns_its_examples_and_is_read_by_load_coach(recipe: Recipe, settings: dict[str, Any]) -> None:
    write_examples((example(n) for n in range(40)), recipe.folder / "data" / "train.jsonl")
    taught = recipe.model_copy(update={"train": recipe.train.model_copy(update=settings)})
    folder = train(taught)
    curve = losses(folder)
    assert curve[-1] < curve[0] / 2
    coach = load_coach(str(folder))
    assert coach.backend.has_adapter
    assert coach.card.load_in_4bit == settings.get("load_in_4bit", False)
    assert torch.isfinite(torch.tensor(curve)).all()


RUN = """
import sys; sys.path.insert(0, {root!r})
from pathlib import Path
from bwcoach.errors import BwcoachError
from training.recipe import Recipe
from training.train import train
try:
    train(Recipe.model_validate_json(Path("recipe.json").read_text()))
except BwcoachError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_stopped_training_goes_on_from_its_step(recipe: Recipe, optimizer: str) -> None:
    write_examples((example(n) for n in range(40)), recipe.folder / "data" / "train.jsonl")
    long = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": 6, "optimizer": optimizer})})
    Path("recipe.json").write_text(long.model_dump_json(), encoding="utf-8")
    program = [sys.executable, "-c", RUN.format(root=str(Path(__file__).parent.parent))]
    stopped = subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    folder = recipe.folder / "train"
    while stopped.poll() is None and not (folder / "loss.jsonl").exists():
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    _, said = stopped.communicate()
    reached = re.search(r"stopped after step (\d+); run the same command", said)
    assert reached, said[-2000:]
    assert not (folder / "adapter").exists()
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in (folder / "loss.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == sorted(set(steps))
    assert rows[-1]["step"] == 120 > int(reached[1])
    assert (folder / "adapter" / "adapter_model.safetensors").exists()


def made_by(generator: str) -> Example:
    return replace(example(7), provenance=Provenance("s", "MIT", generator, ("prompted",), prompt_hash="ab"))


def test_what_llama_2_wrote_teaches_no_other_family(recipe: Recipe) -> None:
    for generator in ("llama-2-7b-chat", "Llama2:13b", "rules + meta-llama/Llama_2-7b-chat-hf (tuned)"):
        write_examples([example(), made_by(generator)], recipe.folder / "data" / "train.jsonl")
        with pytest.raises(StageError) as raised:
            train(recipe)
        assert "row e7 was made by " + generator in str(raised.value)
        assert "name a Llama 2 base as train.base" in str(raised.value)
    assert not (recipe.folder / "train" / "checkpoints").exists()


def test_other_generators_teach_any_base(recipe: Recipe, tmp_path: Path) -> None:
    others = [made_by(generator) for generator in ("rules", "Llama-3.1-8B", "qwen", "llama-20b")]
    write_examples(others, recipe.folder / "data" / "train.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(recipe.train.base)
    card = new_card(recipe, Path(recipe.train.base), tmp_path, tokenizer)
    assert len(read_rows(recipe, card, tokenizer)) >= len(others)


def test_what_llama_2_wrote_teaches_its_own_family(recipe: Recipe, tmp_path: Path) -> None:
    base = tmp_path / "llama-2-7b-chat"
    base.symlink_to(recipe.train.base)
    write_examples([made_by("llama-2-7b-chat")], recipe.folder / "data" / "train.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert read_rows(recipe, new_card(recipe, base, tmp_path, tokenizer), tokenizer)


@pytest.mark.parametrize(("folder", "came_from", "kind", "is_one"), [
    ("llama-2-7b-chat-hf", "", "llama", True),
    ("base", "meta-llama/Llama-2-7b-chat-hf", "llama", True),
    ("models--meta-llama--Llama-2-7b-hf/snapshots/0f", "", "llama", True),
    ("mini", "", "llama", False),
    ("Llama-3-8B", "", "llama", False),
    ("llama-2-like", "", "mistral", False),
])  # fmt: skip
def test_a_base_of_llama_2_is_known(tmp_path: Path, folder: str, came_from: str, kind: str, is_one: bool) -> None:
    base = tmp_path / folder
    base.mkdir(parents=True)
    (base / "config.json").write_text(json.dumps({"model_type": kind, "_name_or_path": came_from}))
    assert is_llama_2(base) is is_one


def test_no_examples_no_base_no_move(recipe: Recipe, tmp_path: Path) -> None:
    other = Example("x", "another-rubric", TEXT, (), Provenance("s", "MIT", "rules"))
    write_examples([other], recipe.folder / "data" / "train.jsonl")
    with pytest.raises(StageError, match="no example for the rubrics"):
        train(recipe)
    lost = recipe.model_copy(update={"train": recipe.train.model_copy(update={"base": str(tmp_path / "nowhere")})})
    with pytest.raises(StageError, match="no base model there"):
        train(lost)
