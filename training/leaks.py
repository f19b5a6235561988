"""Runs of words that evaluation texts and training texts must not share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bwcoach.errors import StageError

RUN = 13
_WORD = re.compile(r"\w+")
_TEXTS = ("text", "revised", "worse", "better")


class KeptApart:
    """Every run of 13 words of some evaluation files, whatever the case and the punctuation between them."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._runs: set[str] = set()
        for file in files:
            if not file.exists():
                raise StageError(f"{file}: there is no such evaluation file; name those that stay out of training.")
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    for key in _TEXTS:
                        self._runs.update(_runs(row.get(key, "")))

    def shared(self, text: str) -> str | None:
        """The first run of words that the text shares with what is kept apart."""
        return next((run for run in _runs(text) if run in self._runs), None) if self._runs else None


def _runs(text: str) -> Iterator[str]:
    words = _WORD.findall(text.lower())
    for start in range(len(words) - RUN + 1):
        yield " ".join(words[start : start + RUN])
