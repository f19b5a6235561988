"""The stage that makes the data: complete, repeatable by any number of workers, split by work and form, and free of
what is measured on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from bwcoach.draft import Draft
from bwcoach.errors import StageError
from bwcoach.rubric import load_rubric
from tests.editing_server import editing_server, marked, passage_of
from training import rule_parts
from training.__main__ import main
from training.corpus import Document
from training.examples import Example, read_examples
from training.form_matcher import FormMatcher
from training.generate import SPLITS, generate
from training.leaks import HeldOutTexts, KeptApart
from training.passages import is_prose, passages
from training.recipe import GenerateRecipe, Recipe
from training.rule_examples import GENRE_PAIR
from training.rule_parts import RuleText
from training.splits import form_held_out, is_held_out, seen, split_of_example

ROOT = Path(__file__).resolve().parent.parent
AUTHORED = ROOT / "training/data/authored"
PROSE = ROOT / "training/data/tiny"
FILES = ("train.jsonl", "dev.jsonl", "test.jsonl", "card.json", "README.md")
SENTENCES = (
    "The committee decided to close the library because the town had no money for coal.",
    "Many people often walked there in winter, and they will not forget what it gave them.",
    "Critics said that the plan was wrong, but most teachers believe that the books should be kept.",
    "We must protect the readers.",
    "However, the council may be right about the roof, which needs new slates and new gutters this year.",
)
SETTINGS: dict[str, Any] = {
    "authored": AUTHORED, "authored_versions": 3, "rules_per_criterion": 25, "held_out_forms": 0.3,
    "held_out_injector": "weak-transition/cut", "also_read": {"position-paper": ["creative-writing"]},
    "genre_share": 1.0,
}  # fmt: skip


def write_prose(folder: Path, copies: int = 1) -> Path:
    """The prose of the tiny recipe as a corpus; a copy swaps every fifth word with the next, so that no eight words
    in a row stand in two copies, or in the authored passages that the same prose is part of."""
    folder.mkdir(parents=True)
    for file in sorted(PROSE.glob("prose-*.jsonl")):
        for copy in range(1, copies + 1):
            rows = []
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                paragraphs = [swapped(paragraph, copy) for paragraph in row["text"].split("\n\n")]
                names = {key: f"{row[key]}-{copy}" for key in ("id", "source")}
                rows.append(json.dumps({**row, **names, "text": "\n\n".join(paragraphs)}))
            (folder / f"{file.stem}-{copy}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def swapped(paragraph: str, copy: int) -> str:
    words = paragraph.split(" ")
    for place in range(copy, len(words) - 3, 5):
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prose(tmp_path_factory.mktemp("corpus") / "texts", copies=2)


@pytest.fixture(scope="module")
def data(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of authored passages and rules, made by one process without a stop."""
    return made(tmp_path_factory.mktemp("data"), texts={"position-paper": texts}, **SETTINGS)


def made(folder: Path, workers: int = 1, **settings: Any) -> Path:
    return generate(Recipe(name="t", seed=5, generate=GenerateRecipe(**settings)), workers, folder)


def rows(folder: Path, split: str = "train") -> list[Example]:
    return list(read_examples(folder / f"{split}.jsonl"))


def card(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return read


def same(first: Path, second: Path) -> list[bool]:
    return [(first / name).read_bytes() == (second / name).read_bytes() for name in FILES]


def test_authored_only(tmp_path: Path) -> None:
    folder = made(tmp_path, authored=AUTHORED, authored_versions=3, authored_whole_versions=9)
    for split in SPLITS:
        examples = rows(folder, split)
        assert card(folder)["splits"][split]["examples"] == len(examples) > 0
        assert card(folder)["splits"][split]["clean"] == sum(not example.findings for example in examples)
        assert {example.provenance.generator for example in examples} == {"authored-llm"}
        assert len({example.id for example in examples}) == len(examples)
        assert all(seen(example) for example in examples)
    assert card(folder)["splits"]["train"]["criteria"]["position-paper/thesis"] >= 4
    assert card(folder)["unused"] == {}
    versions = Counter((example.pair, example.whole) for example in rows(folder))
    assert {count for (_, whole), count in versions.items() if not whole} == {1, 3}, "one without edits has one"
    assert max(versions.values()) == 9
    thesis = card(folder)["authored"]["position-paper/thesis"]
    assert thesis["findings"] > thesis["places"] >= 1


def test_every_criterion_with_a_rule_gets_about_what_is_wanted(data: Path) -> None:
    counts = card(data)["splits"]["train"]["criteria_by_generator"]["rules"]
    wanted = {f"position-paper/{c.id}" for c in load_rubric("position-paper").criteria if c.injection.rules}
    # Passives need their sentence whole, and the copies of these texts have words out of place.
    rare = {"position-paper/passive-voice": 8}
    assert {criterion for criterion in wanted if counts.get(criterion, 0) < rare.get(criterion, 15)} == set()


def test_about_the_wanted_share_is_clean_and_a_pair_stands_together(data: Path) -> None:
    examples = [e for e in rows(data) if e.provenance.generator == "rules" and GENRE_PAIR not in e.provenance.forms]
    clean = sum(not example.findings for example in examples)
    assert clean == pytest.approx(0.4 * len(examples), rel=0.15)
    pairs = 0
    for before, example in pairwise(examples):
        if not example.findings:
            assert before.findings
            assert before.pair == example.pair
            pairs += 1
            if all(finding.fix is not None for finding in before.findings):
                assert "".join(before.repaired().split()) == "".join(example.text.split())
    assert pairs == clean > 50
    edited = [example for example in examples if any(f.startswith("harmless:") for f in example.provenance.forms)]
    assert {bool(example.findings) for example in edited} == {True, False}


@pytest.mark.parametrize("split", SPLITS)
def test_a_text_under_two_rubrics_is_weak_as_each_sees_it(data: Path, split: str) -> None:
    examples = [example for example in rows(data, split) if GENRE_PAIR in example.provenance.forms]
    assert examples
    for mine, other in zip(examples[::2], examples[1::2], strict=True):
        assert mine.text == other.text
        assert mine.pair == other.pair
        assert (mine.rubric, other.rubric) == ("position-paper", "creative-writing")
        assert set(mine.findings) != set(other.findings)
        for example in (mine, other):
            assert {finding.criterion for finding in example.findings} <= set(load_rubric(example.rubric).ids)


def test_train_has_no_work_no_form_and_no_injector_of_those_held_out(data: Path) -> None:
    train, rest = rows(data), [*rows(data, "dev"), *rows(data, "test")]
    assert {e.provenance.source for e in train}.isdisjoint(e.provenance.source for e in rest)
    assert not any(is_held_out(example, 0.3, "weak-transition/cut") for example in train)
    assert all(seen(example) for example in train)
    unseen = [example for example in rest if not seen(example)]
    assert unseen == [example for example in rest if is_held_out(example, 0.3, "weak-transition/cut")]
    assert len(unseen) > 3
    taught = {form for example in train for form in example.provenance.forms}
    assert not any(form_held_out(form, 0.3) for form in taught)
    splits = card(data)["splits"]
    assert splits["dev"]["unseen"] + splits["test"]["unseen"] == len(unseen)
    assert splits["train"]["unseen"] == 0


def test_forms_are_held_out_by_name_and_only_those_of_a_list() -> None:
    forms = [f"wordiness/{form}" for form in ("due to the fact that", "in order to", "at this point in time")]
    listed = {form for rule in ("wordiness", "hedging", "cliche") for form in listed_forms(rule)}
    held_out = {form for form in listed if form_held_out(form, 0.1)}
    assert 0.04 < len(held_out) / len(listed) < 0.16
    assert held_out <= {form for form in listed if form_held_out(form, 0.2)}
    assert not any(form_held_out(form, 0.999999) for form in ("mpos-1#3", "undefined-acronym/x", "made up/in order to"))
    assert not any(form_held_out(form, 0.0) for form in forms)


def listed_forms(rule: str) -> set[str]:
    from training.injectors.forms import load_forms

    return {form.id for form in load_forms(rule).forms}


def test_a_whole_injector_can_be_held_out(tmp_path: Path) -> None:
    folder = made(tmp_path, authored=AUTHORED, held_out_injector="authored")
    assert rows(folder) == []
    held_out = [*rows(folder, "dev"), *rows(folder, "test")]
    assert any(example.provenance.injectors for example in held_out)
    assert all(seen(example) != bool(example.provenance.injectors) for example in held_out)
    assert "Never in train: 10% of the listed forms" in (folder / "README.md").read_text(encoding="utf-8")


def test_three_processes_write_the_same_bytes_as_one(data: Path, texts: Path, tmp_path: Path) -> None:
    folder = made(tmp_path, workers=3, texts={"position-paper": texts}, **SETTINGS)
    assert same(folder, data) == [True] * len(FILES)


def test_killed_and_begun_again_it_writes_the_same_bytes(data: Path, texts: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "t.yaml"
    settings = GenerateRecipe(texts={"position-paper": texts}, **SETTINGS).model_dump(mode="json")
    recipe.write_text(yaml.safe_dump({"name": "t", "seed": 5, "generate": settings}), encoding="utf-8")
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "training", "generate", str(recipe), "--workers", "2", "--out", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    while len(whole := list(folder.glob("parts/*/rules-*-train.jsonl"))) < 3:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    stamps = {file: file.stat().st_mtime_ns for file in whole}
    # Its workers see that it is gone and go too.
    while alive(process.pid):
        time.sleep(0.01)
    assert not (folder / "card.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in stamps}
    assert kept == stamps
    assert made(folder, texts={"position-paper": texts}, **SETTINGS) == folder
    assert same(folder, data) == [True] * len(FILES)
    assert not (folder / "parts").exists()


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_unchanged_recipe_is_not_worked_on_again(tmp_path: Path) -> None:
    folder = made(tmp_path, authored=AUTHORED)
    stamp = (folder / "train.jsonl").stat().st_mtime_ns
    made(tmp_path, authored=AUTHORED)
    assert (folder / "train.jsonl").stat().st_mtime_ns == stamp
    made(tmp_path, authored=AUTHORED, authored_versions=2)
    assert (folder / "train.jsonl").stat().st_mtime_ns != stamp


def test_memory_does_not_grow_with_the_examples(tmp_path: Path) -> None:
    def work(name: str, copies: int) -> tuple[int, int]:
        """Bytes of memory at the peak, and of examples."""
        settings = GenerateRecipe(rules_per_criterion=20 * copies)
        text = RuleText("position-paper", write_prose(tmp_path / f"texts-{name}", copies), settings, 1, tmp_path / name)
        tracemalloc.start()
        rule_parts.prepare(text)
        for part in text.missing("dev"):
            rule_parts.write(part)
        files = sorted((tmp_path / name).glob("*-dev.jsonl"))
        index = rule_parts.held_out_index(tmp_path / name)
        HeldOutTexts.write((e.text for f in files for e in read_examples(f)), index)
        for part in text.missing("train"):
            rule_parts.write(part)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, sum(file.stat().st_size for file in (tmp_path / name).glob("*.jsonl"))

    work("once, so that dictionaries are in memory", 6)
    few, few_bytes = work("few", 2)
    many, many_bytes = work("many", 6)
    assert many_bytes > 2 * few_bytes > 200_000
    assert many - few < 0.3 * (many_bytes - few_bytes)


def test_text_that_is_measured_on_stops_the_stage(tmp_path: Path) -> None:
    row = json.loads(next(AUTHORED.glob("*.jsonl")).read_text(encoding="utf-8").splitlines()[4])
    words = row["marked"].split("{{")[0].upper()
    evaluation = tmp_path / "drafts.jsonl"
    evaluation.write_text(json.dumps({"text": words}) + "\n", encoding="utf-8")
    assert len(words.split()) >= 13
    with pytest.raises(StageError, match="with an evaluation file"):
        made(tmp_path, authored=AUTHORED, kept_apart=(evaluation,))
    assert not (tmp_path / "card.json").exists()


def test_one_text_on_both_sides_of_a_split_stops_the_stage(tmp_path: Path) -> None:
    lines = [json.loads(line) for file in AUTHORED.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    train = next(row for row in lines if split_of_example(f"topic:{row['topic']}") == "train")
    topic = next(f"t{n}" for n in range(999) if split_of_example(f"topic:t{n}") == "dev")
    copied = {**train, "id": "copied", "topic": topic}
    (tmp_path / "marked-1.jsonl").write_text(f"{json.dumps(train)}\n{json.dumps(copied)}\n", encoding="utf-8")
    with pytest.raises(StageError, match="of train is nearly the same as one of dev or test"):
        made(tmp_path / "out", authored=tmp_path)


def test_passages_that_are_measured_on_or_stand_on_both_sides_are_passed_over(texts: Path, tmp_path: Path) -> None:
    documents = [json.loads(line) for line in (texts / "prose-position-1.jsonl").read_text("utf-8").splitlines()]
    measured, copied = [row for row in documents if split_of_example(row["source"]) == "train"][:2]
    source = next(f"s{n}" for n in range(999) if split_of_example(f":s{n}") == "test")
    corpus = tmp_path / "corpus.jsonl"
    copy = {**copied, "id": "copy", "source": source}
    corpus.write_text("".join(json.dumps(row) + "\n" for row in [*documents, copy]), encoding="utf-8")
    evaluation = tmp_path / "drafts.jsonl"
    evaluation.write_text(json.dumps({"text": measured["text"]}) + "\n", encoding="utf-8")
    folder = made(
        tmp_path / "out", texts={"position-paper": corpus}, rules_per_criterion=30, kept_apart=(evaluation,)
    )
    sources = {example.provenance.source for example in rows(folder)}
    assert sources
    assert not sources & {measured["source"], copied["source"]}
    assert any(example.provenance.source == source for example in rows(folder, "test"))
    unused = card(folder)["unused"]
    assert unused["passage: shares words with an evaluation file"] >= 1
    assert unused["passage: stands in dev or test as well"] >= 1


def test_near_duplicates_are_known_by_their_runs_of_words(tmp_path: Path) -> None:
    text = " ".join(SENTENCES)
    evaluation = tmp_path / "e.jsonl"
    evaluation.write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    apart = KeptApart([evaluation])
    # Every twelfth word another: no run of thirteen is left, but the texts are still nearly the same.
    changed = " ".join("other" if n % 12 == 11 else word for n, word in enumerate(text.split()))
    assert apart.shared(changed)
    assert apart.shared(text.upper().replace(",", ";")) == " ".join(text.lower().split()[:13]).rstrip(".,")
    assert apart.shared("The committee decided to close the school because it rained all that year.") is None
    index = tmp_path / "index.npy"
    HeldOutTexts.write([text, "Another text of a few words that stands beside it here."], index)
    assert HeldOutTexts(index).holds(changed)
    assert not HeldOutTexts(index).holds("Nothing here is like what stands in the other two texts of this one test.")


def test_a_rubric_of_ones_own_and_a_folder_of_texts(texts: Path, tmp_path: Path) -> None:
    rubric = own_rubric(tmp_path)
    out = tmp_path / "out"
    command = ["generate", "--rubric", str(rubric), "--corpus", str(texts), "--out", str(out), "--per-criterion", "10"]
    assert main(command) == 0
    made_of = Counter(finding.criterion for example in rows(out) for finding in example.findings)
    assert set(made_of) == {"wordiness", "hedging"}
    assert {example.rubric for example in rows(out)} == {"own"}


def test_a_generator_makes_examples_of_every_criterion(texts: Path, tmp_path: Path) -> None:
    def weaken(question: str) -> str:
        passage = passage_of(question)
        word = next((w for w in (" the ", " a ", " of ") if w in passage), " ")
        return marked(passage.replace(word, f"{word}very particular ", 1))

    rubric, out = own_rubric(tmp_path), tmp_path / "out"
    with editing_server(weaken) as server:
        command = ["generate", "--rubric", str(rubric), "--corpus", str(texts), "--out", str(out)]
        command += ["--per-criterion", "6", "--generator", f"{server.url}#editor"]
        assert main(command) == 0
        first = [(out / name).read_bytes() for name in FILES]
        asked = server.asked.total()
        (out / "card.json").unlink()
        assert main(command) == 0
        assert server.asked.total() == asked, "answers are kept"
    assert [(out / name).read_bytes() for name in FILES] == first
    made_of = Counter(finding.criterion for example in rows(out) for finding in example.findings)
    assert set(made_of) == {"wordiness", "hedging"}
    assert min(made_of.values()) >= 6
    weak = [example for example in rows(out) if example.findings]
    assert {example.provenance.generator for example in weak} == {"editor"}
    assert all(example.pair for example in weak)


def own_rubric(folder: Path) -> Path:
    """Two criteria of the position paper's as a rubric of another name."""
    data = yaml.safe_load((ROOT / "rubrics/position-paper.yaml").read_text(encoding="utf-8"))
    data["name"] = "own"
    data["criteria"] = [criterion for criterion in data["criteria"] if criterion["id"] in ("wordiness", "hedging")]
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`generate` needs a recipe"),
        (["--rubric", "position-paper"], "--corpus FOLDER"),
        (["tiny", "--rubric", "position-paper"], "not both"),
        (["--rubric", "none.yaml", "--corpus", "."], "none.yaml"),
        (["--rubric", "position-paper", "--corpus", "nowhere"], "nowhere: there is no such corpus"),
        (["--rubric", "position-paper", "--corpus", ".", "--second-reader", "x"], "name a `generator`"),
    ],
)
def test_the_command_says_what_it_needs(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["generate", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_rule_that_is_not_there_is_named(tmp_path: Path, texts: Path) -> None:
    rubric = own_rubric(tmp_path)
    rubric.write_text(rubric.read_text(encoding="utf-8").replace("- hedging\n", "- hedgign\n"), encoding="utf-8")
    with pytest.raises(StageError, match="hedging names the rule hedgign, which does not exist; there are"):
        made(tmp_path / "out", texts={str(rubric): texts}, rubrics=(str(rubric),), rules_per_criterion=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules_per_criterion": 3}, "name good prose"),
        ({"prompted_per_criterion": 3, "texts": {"position-paper": PROSE}}, "as `generator`"),
        ({"authored": AUTHORED, "kept_apart": ("none.jsonl",)}, "no such evaluation file"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StageError, match=message):
        made(tmp_path, **settings)


def test_the_card_counts_what_is_there_and_the_page_shows_it(data: Path) -> None:
    for split in SPLITS:
        counts, examples = card(data)["splits"][split], rows(data, split)
        assert counts["examples"] == len(examples) == sum(counts["lengths"].values())
        assert counts["findings"] == sum(len(e.findings) for e in examples) == sum(counts["criteria"].values())
        assert counts["generators"] == Counter(example.provenance.generator for example in examples)
        assert counts["licences"] == Counter(example.provenance.license for example in examples)
    page = (data / "README.md").read_text(encoding="utf-8")
    for heading in ("Findings by criterion", "Examples by licence", "Forms", "Length and density"):
        assert f"## {heading}" in page
    wordiness = card(data)["splits"]["train"]["criteria"]["position-paper/wordiness"]
    assert f"| position-paper/wordiness | {wordiness:,} |" in page
    assert (data / "histograms.png").read_bytes().startswith(b"\x89PNG")


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
