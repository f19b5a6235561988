"""A linter that runs in Node.js, as one process that answers line by line."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bwcoach.draft import Span
from bwcoach.errors import StageError
from training.linters.npm_packages import HERE, LOCK, installed, program
from training.linters.rule_table import Complaint

LONGEST_ANSWER_S = 120.0
_ERROR = re.compile(r"\w*Error\b.*:")


@dataclass
class NodeLinter:
    """A script of this folder that `serve.mjs` makes a server of lines; it is started once and answers many texts."""

    name: str
    script: str
    folder: Callable[[], Path] = installed
    longest_answer_s: float = LONGEST_ANSWER_S
    _process: NodeProcess | None = field(default=None, repr=False)

    @property
    def version(self) -> str:
        return LOCK.read_text(encoding="utf-8") + "".join(
            (HERE / script).read_text(encoding="utf-8") for script in ("serve.mjs", self.script)
        )

    def start(self) -> None:
        """Install the packages if need be, start the process, and wait until it is ready."""
        if self._process is None:
            folder = self.folder()
            self._process = NodeProcess([program("node"), self.script], folder, self.longest_answer_s)
            self._answer()

    def complaints(self, text: str) -> tuple[Complaint, ...]:
        self.start()
        answer = self._answer({"text": text})
        if "failure" in answer:
            raise StageError(f"{self.name} could not read a text of {len(text)} characters: {answer['failure']}")
        places = code_points(text)
        spans = [
            (one["rule"], Span(places(one["start"], False), places(one["end"], True))) for one in answer["complaints"]
        ]
        return tuple(Complaint(rule, span) for rule, span in spans if len(span) > 0)

    def _answer(self, request: dict[str, str] | None = None) -> dict[str, Any]:
        """The next line, of the process itself or to a request. One that fails is ended, and a later request
        starts another."""
        assert self._process is not None
        try:
            return self._process.answer(request)
        except (OSError, ValueError) as error:
            said = self._process.end()
            self._process = None
            raise StageError(f"{self.name} stopped in the middle of its work ({said or error}).") from None


class NodeProcess:
    """A process that is asked in lines of JSON and answers in such; it ends with this object at the latest."""

    def __init__(self, command: list[str], folder: Path, longest_answer_s: float) -> None:
        self._longest_answer_s = longest_answer_s
        # A file, since a pipe that nobody reads would stop a process that complains a lot.
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, encoding="utf-8",
        )  # fmt: skip
        self.ended = weakref.finalize(self, _end, self._process, self._errors)

    def answer(self, request: dict[str, str] | None) -> dict[str, Any]:
        """An OSError or a ValueError where no whole answer comes in time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        clock = threading.Timer(self._longest_answer_s, self._process.kill)
        clock.start()
        try:
            if request is not None:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            clock.cancel()
        if not line.endswith("\n"):
            raise ValueError("it ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> str:
        """Stop it; gives the line of its last words that begins with an error's name, or else the last."""
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        self.ended()
        return next((line for line in lines if _ERROR.match(line)), lines[-1] if lines else "")[:300]


def _end(process: subprocess.Popen[str], errors: IO[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, errors):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue


def code_points(text: str) -> Callable[[int, bool], int]:
    """From offsets in UTF-16 code units, as JavaScript counts, to ours; one inside a character goes to its end where
    the second argument says so, else to its beginning. What lies beyond the text is its end."""
    if text.isascii() or max(text) < "\U00010000":
        return lambda offset, _: min(max(offset, 0), len(text))
    starts: list[int] = []
    ends: list[int] = []
    for place, character in enumerate(text):
        starts.append(place)
        ends.append(place)
        if character >= "\U00010000":
            starts.append(place)
            ends.append(place + 1)
    starts.append(len(text))
    ends.append(len(text))
    return lambda offset, end: (ends if end else starts)[min(max(offset, 0), len(starts) - 1)]
