"""Text that is measured on must not be trained on: shared runs of words, and near-duplicates."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bwcoach.errors import StageError

RUN = 13
SHINGLE = 8
ALIKE = 0.2
"""Where more than this share of a text's runs of eight words stands in others, it is a near-duplicate of them."""

_WORD = re.compile(r"\w+")
_TEXTS = ("text", "revised", "worse", "better")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SAMPLED = np.uint64(4)

_Codes = npt.NDArray[np.uint64]


class KeptApart:
    """The evaluation files: no training text shares 13 words in a row with them or is nearly the same as they are,
    whatever the case and the punctuation between the words."""

    def __init__(self, files: Iterable[Path]) -> None:
        runs, shingles = array("Q"), array("Q")
        for file in files:
            if not file.exists():
                raise StageError(f"{file}: there is no such evaluation file; name those that stay out of training.")
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    for key in _TEXTS:
                        words = _words(row.get(key) or "")
                        runs.frombytes(_runs(words, RUN).tobytes())
                        shingles.frombytes(_runs(words, SHINGLE).tobytes())
        self._runs, self._shingles = _sorted(runs), _sorted(shingles)

    def shared(self, text: str) -> str | None:
        """Words that the text shares with what is kept apart: the first run of 13, or in a near-duplicate of 8."""
        words = _words(text)
        found = np.flatnonzero(_among(_runs(words, RUN), self._runs))
        if found.size:
            return " ".join(words[found[0] : found[0] + RUN])
        common = np.flatnonzero(_among(_runs(words, SHINGLE), self._shingles))
        if common.size > ALIKE * max(1, len(words) - SHINGLE + 1):
            return " ".join(words[common[0] : common[0] + SHINGLE])
        return None


class HeldOutTexts:
    """The texts of the dev and the test split, of which train must hold no near-duplicate.

    Of their runs of eight words every fourth is kept, chosen by its hash, in a file that all processes share:
    two bytes a word, so some 20 MB for a million examples.
    """

    def __init__(self, index: Path) -> None:
        self._shingles = np.load(index, mmap_mode="r")

    @staticmethod
    def write(texts: Iterable[str], index: Path) -> None:
        """The file that the constructor takes, whole or not at all."""
        known, remaining = np.empty(0, np.uint64), iter(texts)
        while batch := list(islice(remaining, 5_000)):
            known = np.union1d(known, np.concatenate([_sample(text) for text in batch]))
        part = index.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, known)
        part.replace(index)

    def holds(self, text: str) -> bool:
        """Whether the text is a near-duplicate of any of them, or of several taken together."""
        sample = _sample(text)
        return bool(_among(sample, self._shingles).sum() > ALIKE * max(1, sample.size))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


@lru_cache(1 << 16)
def _code(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _runs(words: list[str], length: int) -> _Codes:
    """A hash of each run of so many words, by the place of its first: a polynomial over the words' own hashes."""
    codes = np.fromiter((_code(word) for word in words), np.uint64, len(words))
    count = max(0, len(words) - length + 1)
    total = np.zeros(count, np.uint64)
    for offset in range(length):
        total = total * _BASE + codes[offset : offset + count]
    return total


def _sample(text: str) -> _Codes:
    runs = _runs(_words(text), SHINGLE)
    return np.unique(runs[runs % _SAMPLED == 0])


def _sorted(codes: array[int]) -> _Codes:
    return np.unique(np.frombuffer(codes, np.uint64)) if codes else np.empty(0, np.uint64)


def _among(codes: _Codes, known: _Codes) -> npt.NDArray[np.bool_]:
    if not known.size or not codes.size:
        return np.zeros(codes.size, np.bool_)
    places = np.minimum(np.searchsorted(known, codes), known.size - 1)
    return np.asarray(known[places] == codes)
