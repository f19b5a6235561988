"""Pretraining goes on from where it was killed exactly as it would have gone on anyway."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bwcoach.errors import StageError
from training.corpus import Document
from training.gguf_files import write_base_gguf
from training.pretrain import STATE_FILE, learning_rate, pretrain
from training.recipe import CorpusRecipe, PretrainRecipe, Recipe, Shape
from training.shards import PAGE, write_shards
from training.tokenizer import train_tokenizer

ROOT = Path(__file__).parent.parent


def recipe(steps: int) -> Recipe:
    return Recipe(
        name="small", corpus=CorpusRecipe(paths={"position": Path("corpus.jsonl")}, vocabulary=400, characters=50_000),
        pretrain=PretrainRecipe(
            shape=Shape(width=32, layers=2, heads=2, kv_heads=1, feed_forward=64), context=PAGE,
            windows={512: 1, 256: 1},
            learning_rate=0.01, muon_learning_rate=0.01, weight_decay=0.01, warmup_steps=2, tokens=steps * PAGE,
            cooldown=0.25, evaluate_steps=4, compile=False,
        ),
    )  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "rubrics" / "position-paper.yaml").read_text(encoding="utf-8")
    rows = [
        {"id": str(n), "genre": "position", "source": f"r:{n}", "license": "MIT", "title": "", "text": text[n * 90 :]}
        for n in range(150)
    ]
    Path("corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    folder = recipe(1).folder / "corpus"
    train_tokenizer(
        {"position": [Document("a", "p", "s:p", "l", "", text)]}, 400, 50_000, 0, folder / "tokenizer.model"
    )
    write_shards({"position": Path("corpus.jsonl")}, folder / "tokenizer.model", folder, ("train", "dev", "test"))
    return tmp_path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / STATE_FILE, weights_only=True)["model"]
    return state


def losses(folder: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (folder / "curve.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["step"]: row["loss"] for row in rows}


RUN = """
import sys; sys.path[:0] = [{root!r}, {tests!r}]
import torch; torch.set_num_threads(1)
import test_pretrain; from training.pretrain import pretrain
pretrain(test_pretrain.recipe({steps}).model_copy(update={{"name": {name!r}}}))
"""


def start(name: str, steps: int) -> "subprocess.Popen[bytes]":
    (Path("runs") / name).mkdir(parents=True, exist_ok=True)
    link = Path("runs") / name / "corpus"
    if not link.exists():
        link.symlink_to((Path("runs") / "small" / "corpus").resolve())
    program = RUN.format(root=str(ROOT), tests=str(ROOT / "tests"), steps=steps, name=name)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)


def test_a_run_stopped_and_resumed_ends_where_an_unbroken_one_does(prepared: Path) -> None:
    assert start("unbroken", 12).wait() == 0
    stopped = start("stopped", 12)
    curve = Path("runs/stopped/pretrain/curve.jsonl")
    while not curve.exists() or len(losses(curve.parent)) < 3:
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait() == 0
    reached = torch.load("runs/stopped/pretrain/" + STATE_FILE, weights_only=True)["step"]
    assert start("stopped", 12).wait() == 0
    one, other = weights(Path("runs/unbroken/pretrain")), weights(Path("runs/stopped/pretrain"))
    assert 3 <= reached <= 12
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=0, atol=0)
    assert losses(Path("runs/unbroken/pretrain")) == losses(Path("runs/stopped/pretrain"))


def test_a_run_killed_outright_leaves_a_whole_checkpoint(prepared: Path) -> None:
    first = pretrain(recipe(4)).parent
    killed = start("small", 400)
    while len(losses(first)) < 6:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert torch.load(first / STATE_FILE, weights_only=True)["step"] == 4
    pretrain(recipe(8))
    assert torch.load(first / STATE_FILE, weights_only=True)["step"] == 8


def test_it_learns(prepared: Path) -> None:
    folder = pretrain(recipe(16)).parent
    curve = losses(folder)
    assert curve[16] < curve[1] - 0.5
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_cooling_branches_off_and_leaves_the_steady_run(prepared: Path) -> None:
    steady = pretrain(recipe(4)).parent
    before = weights(steady)
    cooled = pretrain(recipe(400), cool=3 * PAGE)
    assert cooled == recipe(1).folder / f"pretrain-cooled-{3 * PAGE}" / "base"
    assert torch.load(cooled.parent / STATE_FILE, weights_only=True)["step"] == 7
    assert all(torch.equal(before[name], weight) for name, weight in weights(steady).items())


def test_a_run_may_begin_with_an_exported_base(prepared: Path) -> None:
    folder = pretrain(recipe(16)).parent
    write_base_gguf(folder / "base", Path("base.gguf"), "small", floats="f32")
    reached, curve = weights(folder), folder / "curve.jsonl"
    (folder / STATE_FILE).unlink()
    curve.unlink()
    settings = recipe(1).pretrain
    assert settings is not None
    begun = settings.model_copy(update={"start": Path("base.gguf"), "learning_rate": 0.0, "muon_learning_rate": 0.0})
    pretrain(recipe(1).model_copy(update={"pretrain": begun}))
    for name, weight in weights(folder).items():
        torch.testing.assert_close(weight, reached[name])
    (folder / STATE_FILE).unlink()
    wide = begun.model_copy(update={"shape": settings.shape.model_copy(update={"layers": 3})})
    with pytest.raises(StageError, match="of another shape"):
        pretrain(recipe(1).model_copy(update={"pretrain": wide}))


def test_another_shape_is_refused(prepared: Path) -> None:
    pretrain(recipe(2))
    wide = recipe(2)
    assert wide.pretrain is not None
    shape = wide.pretrain.shape.model_copy(update={"layers": 3})
    other = wide.model_copy(update={"pretrain": wide.pretrain.model_copy(update={"shape": shape})})
    with pytest.raises(StageError, match=r"'layers': 2.*'layers': 3"):
        pretrain(other)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    settings = recipe(100).pretrain
    assert settings is not None
    shares = [learning_rate(settings, step, 100, 20) for step in (0, 1, 50, 80, 90, 99)]
    assert shares == [0.5, 1.0, 1.0, 1.0, 0.5, 0.05]
