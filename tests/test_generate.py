"""The stage that makes the data: complete, repeatable, split by work, and free of what is measured on."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bwcoach.draft import Draft
from bwcoach.errors import StageError
from bwcoach.rubric import load_rubric
from training.corpus import Document
from training.examples import read_examples
from training.form_matcher import FormMatcher
from training.generate import SPLITS, generate
from training.passages import is_prose, passages
from training.recipe import GenerateRecipe, Recipe
from training.splits import split_of_example

AUTHORED = Path("training/data/authored").resolve()
SENTENCES = (
    "The committee decided to close the library because the town had no money for coal.",
    "Many people often walked there in winter, and they will not forget what it gave them.",
    "Critics said that the plan was wrong, but most teachers believe that the books should be kept.",
    "We must protect the readers.",
    "However, the council may be right about the roof, which needs new slates and new gutters this year.",
)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(60):
        rng = Random(number)
        paragraphs = [" ".join(rng.sample(SENTENCES, 5)) for _ in range(3)]
        (folder / f"paper-{number}.txt").write_text("A heading\n\n" + "\n\n".join(paragraphs), encoding="utf-8")
    return folder


def made(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: Any) -> Path:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    return generate(Recipe(name="t", seed=5, generate=GenerateRecipe(**settings))).resolve()


def test_authored_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = made(monkeypatch, tmp_path, authored=AUTHORED, authored_versions=3)
    card = json.loads((folder / "card.json").read_text())
    for split in SPLITS:
        examples = list(read_examples(folder / f"{split}.jsonl"))
        assert card["splits"][split]["examples"] == len(examples) > 0
        assert card["splits"][split]["clean"] == sum(not example.findings for example in examples)
        assert {example.provenance.generator for example in examples} == {"authored-llm"}
        assert len({example.id for example in examples}) == len(examples)
    assert card["splits"]["train"]["criteria"]["position-paper/thesis"] >= 4
    assert card["unused"] == {}


def test_rules_from_a_folder_of_texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, texts: Path) -> None:
    folder = made(monkeypatch, tmp_path / "a", texts={"position-paper": texts}, rules_per_criterion=8)
    examples = list(read_examples(folder / "train.jsonl"))
    card = json.loads((folder / "card.json").read_text())["splits"]["train"]
    assert card["criteria"]["position-paper/wordiness"] == 8
    assert card["clean"] == pytest.approx(0.4 * len(examples), abs=1)
    assert card["licences"] == {"unstated": len(examples)}
    good = {example.pair: example.text for example in examples if not example.findings}
    for example in examples:
        assert split_of_example(example.provenance.source) == "train"
        if example.findings and example.pair in good and all(f.fix is not None for f in example.findings):
            assert "".join(example.repaired().split()) == "".join(good[example.pair].split())


def test_the_same_recipe_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, texts: Path) -> None:
    settings = {"authored": AUTHORED, "texts": {"position-paper": texts}, "rules_per_criterion": 4}
    first, second = (made(monkeypatch, tmp_path / name, **settings) for name in "ab")
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl", "card.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_stopped_run_goes_on_with_the_parts_that_are_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, texts: Path
) -> None:
    settings = {"authored": AUTHORED, "texts": {"position-paper": texts}, "rules_per_criterion": 4}
    folder = made(monkeypatch, tmp_path, **settings)
    before = (folder / "train.jsonl").read_bytes()
    kept = next(folder.glob("parts/*/authored-train.jsonl"))
    (folder / "card.json").unlink()
    (folder / "train.jsonl").unlink()
    next(folder.glob("parts/*/rules-position-paper-train.jsonl")).unlink()
    stamp = kept.stat().st_mtime_ns
    made(monkeypatch, tmp_path, **settings)
    assert (folder / "train.jsonl").read_bytes() == before
    assert kept.stat().st_mtime_ns == stamp


def test_text_that_is_measured_on_stops_the_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = json.loads(next(AUTHORED.glob("*.jsonl")).read_text(encoding="utf-8").splitlines()[4])
    words = row["marked"].split("{{")[0].upper()
    evaluation = tmp_path / "drafts.jsonl"
    evaluation.write_text(json.dumps({"text": words}) + "\n", encoding="utf-8")
    assert len(words.split()) >= 13
    with pytest.raises(StageError, match="with an evaluation file"):
        made(monkeypatch, tmp_path, authored=AUTHORED, kept_apart=(evaluation,))
    assert not (tmp_path / "runs/t/data/card.json").exists()


def test_passages_that_are_measured_on_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, texts: Path
) -> None:
    evaluation = tmp_path / "drafts.jsonl"
    evaluation.write_text(json.dumps({"text": SENTENCES[0]}) + "\n", encoding="utf-8")
    folder = made(
        monkeypatch, tmp_path / "a", texts={"position-paper": texts}, rules_per_criterion=4, kept_apart=(evaluation,)
    )
    assert all(SENTENCES[0] not in example.text for example in read_examples(folder / "train.jsonl"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules_per_criterion": 3}, "name good prose"),
        ({"authored": AUTHORED, "kept_apart": ("none.jsonl",)}, "no such evaluation file"),
    ],
)
def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageError, match=message):
        made(monkeypatch, tmp_path, **settings)


def test_a_book_is_on_one_side() -> None:
    works = [f"standardebooks/a_{number}" for number in range(4000)]
    shares = {split: sum(split_of_example(work) == split for work in works) / len(works) for split in SPLITS}
    assert shares["train"] == pytest.approx(0.90, abs=0.02)
    assert shares["dev"] == pytest.approx(0.05, abs=0.015)


def test_passages_are_whole_paragraphs_of_prose() -> None:
    prose = " ".join(SENTENCES)
    text = "\n\n".join(["Introduction", prose, "O moon\nO sea", "- first item of a list of things.", prose, prose])
    drawn = list(passages(Document("d", "g", "s:d", "MIT", "", text), Random(0)))
    assert drawn
    for passage in drawn:
        assert set(passage.split("\n\n")) == {prose}
        assert 60 <= len(passage.split()) <= 200
    assert not is_prose("Results of the second experiment in the northern valley and beyond")
    assert not is_prose("12.4 13.5 14.6 15.7 16.8 17.9 18.0 19.1 20.2 21.3 22.4.")


def test_the_form_matcher_marks_phrases_and_nothing_else() -> None:
    matcher = FormMatcher(load_rubric("position-paper"))
    draft = Draft("It is important to note that it failed due to the fact that it rained. It recieved help.")
    assert [(f.criterion, f.quote(draft), f.confidence) for f in matcher.findings(draft)] == [
        ("wordiness", "It is important to note that", 1.0),
        ("wordiness", "due to the fact that", 1.0),
        ("mechanics", "recieved", 1.0),
    ]
    assert matcher.findings(Draft("Rain fell on Rome. They stayed in.")) == ()
