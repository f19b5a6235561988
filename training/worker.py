"""Pretraining as a process of its own, which outlives the command that started it, and how far it has come."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bwcoach.errors import StageError
from training.parts import missing_parts
from training.recipe import Recipe

TRANSPORT_FOLDER = "transport"
INBOX = "received"
LOG_FILE, LOCK_FILE, WORKER_FILE = "worker.log", "worker.lock", "worker.json"
LOG_LINES = 12
ROWS_FOR_LOSS = 50


def start(name: str, recipe: Recipe) -> int:
    """Begin pretraining, or go on from its checkpoint, and return at once; gives the worker's process number.

    Refused while another worker of this run is alive, and before all parts have come. The worker has a session of
    its own, so it is not ended with the command's; SIGTERM makes it leave a checkpoint and a base.
    """
    folder = recipe.folder / TRANSPORT_FOLDER
    missing = missing_parts(folder / INBOX)
    if missing:
        raise StageError(
            f"{folder / INBOX}: {', '.join(missing)} have not come; unpack them, or remove the folder of a load that "
            "is no longer wanted."
        )
    if recipe.pretrain is None or not any((recipe.folder / "corpus").glob("train-*.bin")):
        raise StageError(
            f"{recipe.folder}: no shards to read; unpack the parts of `python -m training.transport pack`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a") as lock, (folder / LOG_FILE).open("ab") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"{recipe.folder}: a worker is already reading; see how far with `status`.") from None
        curve = _curve(recipe)
        # The worker inherits the lock and holds it until it ends, however it ends.
        process = subprocess.Popen(
            [sys.executable, "-m", "training", "pretrain", name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        row = {"pid": process.pid, "started": time.time(), "skip": curve.stat().st_size if curve.exists() else 0}
        (folder / WORKER_FILE).write_text(json.dumps(row), encoding="utf-8")
    return process.pid


def is_alive(recipe: Recipe) -> bool:
    path = recipe.folder / TRANSPORT_FOLDER / LOCK_FILE
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@dataclass(frozen=True)
class Reading:
    """How far the newest worker was, and when it wrote that down."""

    tokens: int
    of: int
    seconds: float
    read: int  # by this worker, of all tokens
    loss: float
    dev_bits_per_byte: float | None

    @property
    def is_done(self) -> bool:
        return self.tokens >= self.of

    def describe(self, since: Reading | None = None) -> str:
        """In one line; the speed is that since another reading, or since the worker was started."""
        seconds, read = self.seconds, self.read
        if since is not None and self.seconds > since.seconds and self.read > since.read:
            seconds, read = seconds - since.seconds, read - since.read
        speed = read / max(seconds, 1e-3)
        dev = "" if self.dev_bits_per_byte is None else f", dev {self.dev_bits_per_byte:.3f} bits/byte"
        left = max(0, self.of - self.tokens) / max(speed, 1e-3)
        return (
            f"{self.tokens:,} of {self.of:,} tokens ({self.tokens / self.of:.1%}), {speed:,.0f} tokens/s, "
            f"loss {self.loss:.3f}{dev}, {left / 60:.1f} min left"
        )


def reading(recipe: Recipe) -> Reading | None:
    """From the worker's curve; None before its first step."""
    path, curve = recipe.folder / TRANSPORT_FOLDER / WORKER_FILE, _curve(recipe)
    if recipe.pretrain is None or not path.exists() or not curve.exists():
        return None
    worker = json.loads(path.read_text(encoding="utf-8"))
    written = curve.stat().st_mtime
    with curve.open("rb") as file:
        file.seek(worker["skip"])
        # The last line may be half written.
        rows = [json.loads(line) for line in file.read().rpartition(b"\n")[0].splitlines()]
    if not rows:
        return None
    newest = [row["loss"] for row in rows[-ROWS_FOR_LOSS:]]
    bits = [row["dev_bits_per_byte"] for row in rows if "dev_bits_per_byte" in row]
    return Reading(
        tokens=rows[-1]["tokens"],
        of=recipe.pretrain.tokens,
        seconds=written - worker["started"],
        read=rows[-1]["tokens"] - rows[0]["tokens"] + rows[0]["tokens"] // rows[0]["step"],
        loss=sum(newest) / len(newest),
        dev_bits_per_byte=bits[-1] if bits else None,
    )


def follow(recipe: Recipe, seconds: float, every: float = 20) -> Iterator[str]:
    """A line at once, and one every so many seconds until the time is up or the worker has ended."""
    end, before = time.monotonic() + seconds, None
    while True:
        alive, now = is_alive(recipe), reading(recipe)
        where = "no step taken yet" if now is None else now.describe(before)
        yield f"{_state(recipe, alive, now)}: {where}"
        rest = end - time.monotonic()
        if not alive or rest <= 0:
            break
        before = now
        time.sleep(min(every, rest))
    if not alive and (now is None or not now.is_done):
        log = recipe.folder / TRANSPORT_FOLDER / LOG_FILE
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        yield "\n".join(lines[-LOG_LINES:])


def _state(recipe: Recipe, alive: bool, now: Reading | None) -> str:
    worker = recipe.folder / TRANSPORT_FOLDER / WORKER_FILE
    if not worker.exists():
        return "not started"
    if alive:
        return f"worker {json.loads(worker.read_text(encoding='utf-8'))['pid']} alive"
    return "finished" if now is not None and now.is_done else "ended early"


def _curve(recipe: Recipe) -> Path:
    return recipe.folder / "pretrain" / "curve.jsonl"
