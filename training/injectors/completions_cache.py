"""What models have answered, kept by the hash of what they were asked, so that nothing is asked twice."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from pathlib import Path

from bwcoach.backends import Prompt, Sampling
from bwcoach.errors import StageError

FILE = "completions.jsonl"


def prompt_hash(model: str, prompt: Prompt, sampling: Sampling) -> str:
    """64 hex digits of who is asked, what, and how its answer is drawn."""
    asked = [model, prompt.system, prompt.user, prompt.answer]
    drawn = [sampling.most_tokens, sampling.temperature, sampling.seed]
    return hashlib.sha256(json.dumps([*asked, *drawn]).encode("ascii")).hexdigest()


class CompletionsCache:
    """Whole answers, a JSON line each, appended as they come and never changed.

    A line is handed to the operating system in one piece before `put` returns, so a process that is killed loses
    only what was not answered yet. A line that was torn all the same is skipped. Memory holds places, not answers.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._places: dict[bytes, int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            raise self._unwritable(error) from error
        self._read_places()

    def __contains__(self, hash: str) -> bool:
        return bytes.fromhex(hash) in self._places

    def get(self, hash: str) -> str | None:
        """The whole answer to the prompt of that hash; None where it was not asked yet."""
        place = self._places.get(bytes.fromhex(hash))
        if place is None:
            return None
        with self._path.open("rb") as lines:
            lines.seek(place)
            return str(json.loads(lines.readline())["answer"])

    def put(self, hash: str, model: str, answer: str) -> None:
        # Escaped, so that whatever a model said, lone surrogates too, is a line of ASCII.
        line = json.dumps({"hash": hash, "model": model, "answer": answer}).encode("ascii") + b"\n"
        with self._lock:
            place = self._append(line)
            self._places[bytes.fromhex(hash)] = place

    def _append(self, line: bytes) -> int:
        """Where the line begins. Other processes may append to the same file between two lines of this one."""
        try:
            with self._path.open("ab", buffering=0) as file:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return file.tell() - len(line)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StageError:
        return StageError(
            f"{self._path} cannot be written ({error.strerror}); make room there, or name another folder. Run the same "
            "command to go on: answers that are kept are not asked for again."
        )

    def _read_places(self) -> None:
        place, torn = 0, False
        with self._path.open("rb") as lines:
            for line in lines:
                torn = not line.endswith(b"\n")
                if (hash := _hash(line)) is not None and not torn:
                    self._places[hash] = place
                place += len(line)
        if torn:
            self._append(b"\n")


def _hash(line: bytes) -> bytes | None:
    """The hash of a whole line; None for one that is not."""
    try:
        row = json.loads(line)
        return bytes.fromhex(row["hash"]) if isinstance(row["answer"], str) else None
    except (ValueError, KeyError, TypeError):
        return None
