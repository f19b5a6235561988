"""Corpora are read as they are, and a work is on one side of the split for ever."""

import json
from pathlib import Path

import numpy as np
import pytest
import zstandard

from bwcoach.errors import CorpusError, StageError
from training.corpus import Document, read_documents, split_of
from training.shards import PAGE, Pages, open_pages, write_shards
from training.tokenizer import load_sentencepiece, to_transformers, train_tokenizer

ROW = {"id": "a", "genre": "science", "source": "x/y:p.md", "license": "CC0-1.0", "title": "T", "text": "One. Two."}
TEXTS = [
    "We measured the yield of wheat in 12 fields.\n\nIt rose by 3.5 %, we think; the café “Æther” agreed 🐝.",
    "  The night was cold, and nobody   came.\tShe waited.\n\n\n“No,” he said.",
]


def test_chapters_of_a_book_are_one_work_and_papers_their_own() -> None:
    def of(source: str) -> str:
        return Document("i", "g", source, "l", "t", "x").work

    assert of("standardebooks/a_b:src/1.xhtml") == of("standardebooks/a_b:src/2.xhtml")
    assert of("python/peps:pep-1.rst") != of("python/peps:pep-2.rst")


def test_about_one_in_a_hundred_works_is_dev_and_one_test() -> None:
    sides = [split_of(f"repository:{n}") for n in range(20_000)]
    assert 150 < sides.count("dev") < 250
    assert 150 < sides.count("test") < 250
    assert split_of("repository:7") == split_of("repository:7")


def test_jsonl_zst_and_folders_of_texts_are_corpora(tmp_path: Path) -> None:
    packed = zstandard.ZstdCompressor().compress((json.dumps(ROW) + "\n").encode())
    (tmp_path / "c.jsonl.zst").write_bytes(packed)
    assert [d.text for d in read_documents(tmp_path / "c.jsonl.zst")] == ["One. Two."]
    folder = tmp_path / "essays"
    folder.mkdir()
    (folder / "one.txt").write_text("My essay.\r\nIt ends.", encoding="utf-8", newline="")
    [document] = read_documents(folder)
    assert (document.text, document.genre, document.license) == ("My essay.\nIt ends.", "essays", "unstated")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("c.jsonl", b"{", "c.jsonl:1: not a JSON object"),
        ("c.jsonl", b'{"id": "a"}', "c.jsonl:1: no text under genre, source, license, text"),
        ("c.txt", b"\xff\xfe", "c.txt: not UTF-8 text"),
        ("c.csv", b"a,b", "no text found"),
    ],
)
def test_a_broken_corpus_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        list(read_documents(tmp_path))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.model"
    rubrics = Path(__file__).parent.parent / "rubrics"
    documents = [Document(f.name, "g", "s:p", "l", "t", f.read_text(encoding="utf-8")) for f in rubrics.glob("*.yaml")]
    train_tokenizer({"g": documents}, 600, 200_000, 0, path)
    return path


@pytest.mark.parametrize("text", [*TEXTS, "", " ", "\n", "a\n b", "<s> [INST] </s>"])
def test_text_comes_back_from_its_pieces_and_both_tokenizers_agree(tokenizer: Path, text: str) -> None:
    processor = load_sentencepiece(tokenizer)
    ids = processor.encode(text)
    assert processor.decode(ids) == text
    assert to_transformers(processor)(text, add_special_tokens=False)["input_ids"] == ids


def test_shards_hold_every_document_of_their_split(tokenizer: Path, tmp_path: Path) -> None:
    rows = [{**ROW, "id": str(n), "source": f"r:{n}", "text": f"Text number {n}."} for n in range(300)]
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    write_shards({"science": corpus}, tokenizer, tmp_path / "shards", ("train", "dev", "test"))
    processor = load_sentencepiece(tokenizer)
    read: list[str] = []
    for split in ("train", "dev", "test"):
        tokens = np.fromfile(tmp_path / "shards" / f"{split}-science.bin", dtype=np.uint16)
        ends = np.flatnonzero(tokens == processor.eos_id())
        starts = [0, *(ends[:-1] + 1)]
        texts = [processor.decode(tokens[a + 1 : b].tolist()) for a, b in zip(starts, ends, strict=True)]
        assert all(split_of(f"r:{text.split()[-1][:-1]}") == split for text in texts)
        read += texts
    assert sorted(read) == sorted(row["text"] for row in rows)


def test_a_passage_over_the_pages_reads_each_once() -> None:
    tokens = np.arange(5 * PAGE, dtype=np.uint16)
    pages = Pages(tokens, seed=3)
    first = [int(pages.page(n)[0]) // PAGE for n in range(5)]
    assert sorted(first) == [0, 1, 2, 3, 4]
    assert pages.page(7).tolist() == Pages(tokens, seed=3).page(7).tolist()


def test_missing_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no train shards"):
        open_pages(tmp_path, "train", 0)
