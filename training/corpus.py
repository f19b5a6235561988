"""Good prose to start from, with its licence and source, split by source document."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zstandard

from bwcoach.errors import CorpusError

Split = Literal["train", "dev", "test"]
TEXT_SUFFIXES = (".txt", ".md")
DOCUMENT_SUFFIXES = (".jsonl", ".jsonl.zst")


@dataclass(frozen=True)
class Document:
    """One text of a corpus: a paper, a chapter, a proposal."""

    id: str
    genre: str
    source: str
    license: str
    title: str
    text: str
    attribution: str | None = None

    @property
    def work(self) -> str:
        """What is split as a whole: all chapters of a book share one work, a paper is its own."""
        repository, _, path = self.source.partition(":")
        return repository if repository.startswith("standardebooks/") else f"{repository}:{path}"

    @property
    def split(self) -> Split:
        return split_of(self.work)


def split_of(work: str) -> Split:
    """98 % train, 1 % dev, 1 % test, decided by the SHA-256 of the work's name alone."""
    bucket = int.from_bytes(hashlib.sha256(work.encode()).digest()[:8], "big") % 100
    return "dev" if bucket == 0 else "test" if bucket == 1 else "train"


def read_documents(path: Path, split: Split | None = None) -> Iterator[Document]:
    """The documents below `path` (a corpus file, or a folder of .jsonl, .jsonl.zst, .txt, .md), in file order.

    Streams: memory does not grow with the corpus. A folder of plain texts is a corpus too: each file is a
    document whose licence is "unstated" and whose genre is the name of the folder that holds it.
    """
    if not path.exists():
        raise CorpusError(f"{path}: there is no such corpus; name a .jsonl or .jsonl.zst file, or a folder of texts.")
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    known = [f for f in files if f.name.endswith(DOCUMENT_SUFFIXES + TEXT_SUFFIXES) and f.name != "README.md"]
    if not known:
        raise CorpusError(f"{path}: no text found; a corpus is made of .jsonl, .jsonl.zst, .txt or .md files.")
    for file in known:
        for document in _read_file(file, path):
            if split is None or document.split == split:
                yield document


def _read_file(file: Path, root: Path) -> Iterator[Document]:
    if file.name.endswith(TEXT_SUFFIXES):
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
            ) from None
        name = file.name if file == root else file.relative_to(root).as_posix()
        yield Document(name, file.parent.name, f"file:{name}", "unstated", file.stem, text)
        return
    with file.open("rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw) if file.suffix == ".zst" else raw
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8"), 1):
            yield _document(line, f"{file}:{number}")


def _document(line: str, place: str) -> Document:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{place}: not a JSON object ({error.msg}).") from None
    missing = [key for key in ("id", "genre", "source", "license", "text") if not isinstance(row.get(key), str)]
    if missing:
        raise CorpusError(f"{place}: no text under {', '.join(missing)}; every document states them.")
    return Document(
        row["id"],
        row["genre"],
        row["source"],
        row["license"],
        row.get("title", ""),
        row["text"],
        row.get("attribution"),
    )
