"""Tokens of a corpus as flat files, a page of which is one step's reading in one genre."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bwcoach.errors import StageError
from training.corpus import Split, read_documents
from training.tokenizer import load_sentencepiece

PAGE = 2048


def write_shards(corpora: dict[str, Path], tokenizer: Path, folder: Path, splits: tuple[Split, ...]) -> None:
    """Write `<split>-<genre>.bin` (uint16; every document as BOS, text, EOS) and beside it what was counted.

    A genre's file is written under another name and renamed when whole, so a killed run leaves nothing half done
    and the next one goes on with the genres that are missing.
    """
    processor = load_sentencepiece(tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    for genre, path in corpora.items():
        if all((folder / f"{split}-{genre}.json").exists() for split in splits):
            continue
        counts = {split: _Count() for split in splits}
        files = {split: (folder / f"{split}-{genre}.part").open("wb") for split in splits}
        for document in read_documents(path):
            if document.split not in files:
                continue
            ids = [processor.bos_id(), *processor.encode(document.text), processor.eos_id()]
            files[document.split].write(np.asarray(ids, dtype=np.uint16).tobytes())
            count = counts[document.split]
            count.documents += 1
            count.tokens += len(ids)
            count.bytes += len(document.text.encode())
            count.works.add(document.work)
        for split, file in files.items():
            file.close()
            (folder / f"{split}-{genre}.part").rename(folder / f"{split}-{genre}.bin")
            told = {**asdict(counts[split]), "works": sorted(counts[split].works)}
            (folder / f"{split}-{genre}.json").write_text(json.dumps(told), encoding="utf-8")


@dataclass
class _Count:
    """What a genre's shard of one split holds."""

    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    works: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Pages:
    """One genre's tokens in pages of PAGE tokens, in an order that is new at each passage over them."""

    tokens: NDArray[np.uint16]
    seed: int

    def __len__(self) -> int:
        return max(1, len(self.tokens) // PAGE)

    def page(self, number: int) -> NDArray[np.int64]:
        """The number-th page read since the beginning: after the last one the order is drawn anew."""
        passage, place = divmod(number, len(self))
        order = _order(len(self), self.seed, passage)
        start = int(order[place]) * PAGE
        # Pages start somewhere else at each passage, so windows are not cut at the same words again.
        shift = int(np.random.default_rng((self.seed, passage, 1)).integers(PAGE)) if passage else 0
        return np.take(self.tokens, np.arange(start + shift, start + shift + PAGE), mode="wrap").astype(np.int64)


@lru_cache(maxsize=16)
def _order(pages: int, seed: int, passage: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, passage)).permutation(pages)


def open_pages(folder: Path, split: Split, seed: int) -> dict[str, Pages]:
    """The pages of each genre, mapped and not read, by name of the genre; a genre without a work in the split is left
    out, as in the dev split of a small corpus."""
    files = sorted(folder.glob(f"{split}-*.bin"))
    if not files:
        raise StageError(f"{folder}: no {split} shards; `python -m training corpus RECIPE` writes them.")
    return {
        file.stem.removeprefix(f"{split}-"): Pages(np.memmap(file, dtype=np.uint16, mode="r"), seed)
        for file in files
        if file.stat().st_size
    }


def bytes_per_token(folder: Path, split: Split) -> float:
    """UTF-8 bytes a token, over all genres: what turns nats a token into bits a byte."""
    counts = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob(f"{split}-*.json"))]
    return float(sum(count["bytes"] for count in counts) / sum(count["tokens"] for count in counts))
