"""The whole journey to a far machine and back, with two folders and the commands that one would type."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from bwcoach.errors import StageError
from tests.test_layout import imports, modules
from tests.test_pretrain import prepared, recipe, weights  # noqa: F401
from training.parts import MANIFEST_FILE, cut_into_parts, put_together, receive_parts
from training.pretrain import pretrain
from training.recipe import Recipe, load_recipe
from training.transport import main, receive
from training.worker import is_alive

ROOT = Path(__file__).parent.parent
RUN = Path("runs/small")
TRANSPORT = RUN / "transport"
PART_MIB = 0.01


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A machine of its own: a fresh copy of the two packages, and nothing else."""
    folder = tmp_path / "far"
    for package in ("bwcoach", "training"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "data"))
    yield folder
    worker = folder / TRANSPORT / "worker.json"
    if worker.exists():
        with suppress(ProcessLookupError):
            os.kill(json.loads(worker.read_text())["pid"], signal.SIGKILL)


def over_there(far: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training.transport", *words], cwd=far, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
    )  # fmt: skip


def write_recipe(steps: int) -> str:
    settings = recipe(steps).pretrain
    assert settings is not None
    # A checkpoint after every step.
    every = recipe(steps).model_copy(update={"pretrain": settings.model_copy(update={"checkpoint_minutes": 0.0})})
    Path("small.yaml").write_text(yaml.safe_dump(every.model_dump(mode="json", exclude_defaults=True)))
    return "small.yaml"


def trips(folder: Path) -> list[Path]:
    return sorted(folder.glob("trip-*"))


def rows(far: Path) -> list[dict[str, float]]:
    curve = far / RUN / "pretrain" / "curve.jsonl"
    return [json.loads(line) for line in curve.read_text().splitlines()] if curve.exists() else []


def wait_until_read(far: Path, count: int, small: Recipe) -> None:
    while len(rows(far)) < count:
        time.sleep(0.05)
        log = far / TRANSPORT / "worker.log"
        assert worker_is_alive(far, small), log.read_text()


def worker_is_alive(far: Path, small: Recipe) -> bool:
    here = Path.cwd()
    os.chdir(far)
    try:
        return is_alive(small)
    finally:
        os.chdir(here)


def end_worker(far: Path, small: Recipe, how: signal.Signals) -> None:
    os.kill(json.loads((far / TRANSPORT / "worker.json").read_text())["pid"], how)
    while worker_is_alive(far, small):
        time.sleep(0.05)


def spoil(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_there_and_back(prepared: Path, far: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    name = write_recipe(10_000)
    small = load_recipe(name)

    # Packed here, carried over a folder at a time.
    assert main(["pack", name, "--part-mib", str(PART_MIB)]) == 0
    packed = trips(TRANSPORT / "pack")
    assert len(packed) >= 3
    assert all(file.stat().st_size <= PART_MIB * 2**20 for trip in packed for file in trip.glob("*.bin"))
    carried = [far / trip for trip in packed]
    for trip, copy in zip(packed, carried, strict=True):
        shutil.copytree(trip, copy)
    sent = f"{RUN}/recipe.yaml"

    # The first part twice; the second spoilt, named, and sent again; no start before all have come.
    assert over_there(far, "unpack", str(packed[0])).returncode == 0
    again = over_there(far, "unpack", str(packed[0]))
    assert again.returncode == 0
    assert "part-02.bin" in again.stdout
    assert "part-01.bin" not in again.stdout
    spoil(carried[1] / "part-02.bin")
    refused = over_there(far, "unpack", *map(str, packed[1:]))
    assert refused.returncode == 2
    assert f"{packed[1]}/part-02.bin" in refused.stderr
    assert "part-03.bin" not in refused.stderr
    (far / RUN).mkdir(exist_ok=True)
    shutil.copy(name, far / sent)
    early = over_there(far, "start", sent)
    assert early.returncode == 2
    assert "/part-02.bin have not come" in early.stderr
    shutil.copy(packed[1] / "part-02.bin", carried[1])
    last = over_there(far, "unpack", str(packed[1]))
    assert last.returncode == 0, last.stderr
    for shard in [*(RUN / "corpus").glob("train-*.bin"), RUN / "corpus" / "tokenizer.model"]:
        assert (far / shard).read_bytes() == shard.read_bytes()
    assert load_recipe(str(far / sent)) == small

    # A worker that outlives its command, is killed outright, and goes on from its checkpoint.
    assert over_there(far, "start", sent).returncode == 0
    second = over_there(far, "start", sent)
    assert second.returncode == 2
    assert "already reading" in second.stderr
    wait_until_read(far, 4, small)
    status = over_there(far, "status", sent).stdout
    assert "alive" in status
    assert "of 20,480,000 tokens" in status
    assert "min left" in status
    end_worker(far, small, signal.SIGKILL)
    assert "ended early" in over_there(far, "status", sent).stdout
    read = rows(far)
    reached = torch.load(far / RUN / "pretrain" / "state.pt", weights_only=True)["step"]
    assert over_there(far, "start", sent).returncode == 0
    wait_until_read(far, len(read) + 3, small)
    assert rows(far)[len(read)]["step"] == reached + 1 > 1

    # Cut while it reads; then the newest once more, the checkpoint with it, and home.
    assert over_there(far, "cut", sent).returncode == 0
    end_worker(far, small, signal.SIGTERM)
    done = over_there(far, "cut", sent, "--part-mib", "0.05", "--parts-a-trip", "3", "--state")
    assert done.returncode == 0, done.stderr
    home = trips(far / TRANSPORT / "cut")
    assert len(home) >= 2
    assert all(1 <= len(list(trip.glob("*.bin"))) <= 3 for trip in home)
    assert main(["join", *map(str, home[:1])]) == 0
    assert "still to come" in capsys.readouterr().out
    assert not (RUN / "pretrain" / "base").exists()
    assert main(["join", *map(str, home)]) == 0
    assert "all" in capsys.readouterr().out

    # What came home is what was over there: the base in 16 bits, and the checkpoint exactly.
    there, here = weights(far / RUN / "pretrain"), weights(RUN / "pretrain")
    assert there.keys() == here.keys()
    assert all(torch.equal(there[key], here[key]) for key in there)
    model = AutoModelForCausalLM.from_pretrained(RUN / "pretrain" / "base", local_files_only=True)
    for key, weight in model.state_dict().items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, there[key].bfloat16())
    tokenizer = AutoTokenizer.from_pretrained(RUN / "pretrain" / "base", local_files_only=True)
    assert tokenizer.decode(tokenizer.encode("a plan, changed by 2 of them")) == "a plan, changed by 2 of them"
    assert [json.loads(row) for row in (RUN / "pretrain" / "curve.jsonl").read_text().splitlines()] == rows(far)
    step = torch.load(RUN / "pretrain" / "state.pt", weights_only=True)["step"]
    assert small.pretrain is not None
    two_more = small.pretrain.model_copy(update={"tokens": (step + 2) * 2048})
    pretrain(small.model_copy(update={"pretrain": two_more}))
    assert torch.load(RUN / "pretrain" / "state.pt", weights_only=True)["step"] == step + 2


@pytest.mark.parametrize("limit", [5, 100, 4096])
def test_any_cut_is_put_together_again(tmp_path: Path, limit: int) -> None:
    files = {}
    for name, text in (("a/empty", b""), ("a/words", b"one two three " * 40), ("b", bytes(range(256)))):
        files[name] = tmp_path / name.replace("/", "-")
        files[name].write_bytes(text)
    manifest = cut_into_parts("run", files, tmp_path / "out", part_mib=limit / 2**20, parts_a_trip=4, level=3)
    assert all(part.bytes <= limit for part in manifest.parts)
    for trip in reversed(trips(tmp_path / "out")):
        assert put_together(manifest, tmp_path / "in", tmp_path / "there") == ()
        assert receive_parts(trip, tmp_path / "in") == manifest
    assert len(put_together(manifest, tmp_path / "in", tmp_path / "there")) == 3
    for name, path in files.items():
        assert (tmp_path / "there" / name).read_bytes() == path.read_bytes()
    assert put_together(manifest, tmp_path / "in", tmp_path / "there") == ()


def test_the_same_files_give_the_same_parts(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"words " * 99)
    one = cut_into_parts("run", {"f": file}, tmp_path / "out", part_mib=1, parts_a_trip=1, level=3)
    os.utime(file, (1, 1))
    assert cut_into_parts("run", {"f": file}, tmp_path / "out", part_mib=1, parts_a_trip=1, level=3) == one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "these are no parts"),
        ('{"run": "x", "par', "send this trip again"),
        ('{"run": "../x", "parts": []}', "plain names"),
        ('{"run": "x", "parts": [{"name": "../../y", "bytes": 1, "sha256": ""}]}', "plain names"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(MANIFEST_FILE).write_text(text)
    with pytest.raises(StageError, match=message):
        receive([Path()])


def test_the_recipe_for_a_gpu_is_what_it_says() -> None:
    settings, small = load_recipe("mini-gpu").pretrain, load_recipe("mini-cpu")
    assert settings is not None
    assert load_recipe("mini-gpu").corpus == small.corpus
    shape = settings.shape
    width, heads = shape.width, shape.kv_heads * shape.width // shape.heads
    assert [size % 256 for size in (width, heads, shape.feed_forward)] == [0, 0, 0]
    layer = 2 * width * width + 2 * width * heads + 3 * width * shape.feed_forward
    assert 48e6 < shape.layers * layer + 8192 * width < 53e6


def test_the_how_to_names_every_package_that_the_far_side_needs() -> None:
    known, seen = modules(), set[str]()
    waiting = ["training", "bwcoach", "training.transport", "training.snapshot", "training.pretrain"]
    outside = set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        found = set(imports(known[name]))
        waiting += sorted(found & known.keys() - seen)
        outside |= {other.split(".")[0] for other in found} - {"bwcoach", "training"} - sys.stdlib_module_names
    text = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert outside == set(text.split("Pretraining imports\n")[1].split("\nand ")[0].split())
