"""A corpus cut into shards that can be worked on apart: each document is in the one that its name's hash says."""

from __future__ import annotations

import hashlib
import heapq
import io
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import zstandard

from training.corpus import Document, Split, read_documents
from training.splits import split_of_example

SHARDS: dict[Split, int] = {"train": 32, "dev": 2, "test": 2}
SAMPLED_DOCUMENTS = 150


@dataclass(frozen=True)
class TextShards:
    """The folder of a corpus that has been cut, and how many documents each split has."""

    folder: Path
    documents: dict[str, int]

    def path(self, split: Split, number: int) -> Path:
        """The documents of one shard, in the corpus's order."""
        return self.folder / f"{split}-{number:02}.jsonl.zst"

    @property
    def sample(self) -> Path:
        """Some of the train split's documents, picked by their names' hashes."""
        return self.folder / "sample.jsonl.zst"


def cut_texts(corpus: Path, folder: Path) -> TextShards:
    """Read the corpus once and write its shards; what is there whole already is left as it is.

    Memory holds the sampled documents and no others.
    """
    done = folder / "documents.json"
    shards = TextShards(folder, dict.fromkeys(SHARDS, 0))
    if done.exists():
        return TextShards(folder, json.loads(done.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    sample: list[tuple[int, str, str]] = []
    with ExitStack() as stack:
        writers = {
            (split, number): stack.enter_context(_writer(shards.path(split, number)))
            for split, count in SHARDS.items()
            for number in range(count)
        }
        for document in read_documents(corpus):
            split = split_of_example(document.work)
            name = int.from_bytes(hashlib.sha256(f"shard:{document.id}".encode()).digest()[:8], "big")
            row = _row(document)
            writers[split, name % SHARDS[split]].write(row)
            shards.documents[split] += 1
            if split == "train":
                entry = (-(name // SHARDS["train"]), document.id, row)
                (heapq.heappush if len(sample) < SAMPLED_DOCUMENTS else heapq.heappushpop)(sample, entry)
        writer = stack.enter_context(_writer(shards.sample))
        writer.writelines(row for _, _, row in sorted(sample, reverse=True))
    part = done.with_suffix(".part")
    part.write_text(json.dumps(shards.documents), encoding="utf-8")
    part.replace(done)
    return shards


def _writer(path: Path) -> io.TextIOWrapper:
    stream = zstandard.ZstdCompressor(level=1).stream_writer(path.open("wb"))
    return io.TextIOWrapper(stream, encoding="utf-8")


def _row(document: Document) -> str:
    return json.dumps(asdict(document), ensure_ascii=False) + "\n"
