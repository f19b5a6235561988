"""Every stage in turn by the tiny recipe, as a newcomer runs them: they meet only through files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bwcoach.cli import main as check
from bwcoach.coach import Coach, diagnosis, load_coach
from bwcoach.draft import Draft
from bwcoach.errors import ModelError
from bwcoach.rubric import load_rubric
from training.__main__ import STAGES, stages_of
from training.__main__ import main as stage
from training.evaluation_sets import read_marked_drafts
from training.publish import publish
from training.recipe import RECIPES, load_recipe

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own in which `python -m training all tiny` has been run."""
    folder = tmp_path_factory.mktemp("pipeline")
    for package in ("bwcoach", "training"):
        (folder / package).symlink_to(ROOT / package)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "training", "all", "tiny"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ended = [line.partition(": ")[::2] for line in done.stdout.splitlines() if line.partition(": ")[0] in STAGES]
    assert [name for name, _ in ended] == list(STAGES)
    assert all((folder / path).exists() for _, path in ended)
    return folder


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.yaml")))
def test_every_recipe_says_what_its_stages_need(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    needed = {"corpus": recipe.corpus, "pretrain": recipe.pretrain, "generate": recipe.generate}
    stages = stages_of(recipe)
    assert all(needed[stage] is not None for stage in stages if stage in needed)
    assert ("pretrain" in stages) == (recipe.train.base == "")


def files_of(folder: Path) -> dict[str, int]:
    """When each file of a run was last written."""
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_what_was_exported_reads_a_draft(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = place / "runs" / "tiny" / "export"
    draft = place / "draft.txt"
    draft.write_text("The plan was changed by them. Everyone knows that things got worse.", encoding="utf-8")
    arguments = ["--rubric", "position-paper", "--model", str(exported), "--format", "jsonl", "--strictness", "0"]
    assert check(["check", str(draft), *arguments]) in (0, 1)
    row = json.loads(capsys.readouterr().out)
    text = draft.read_text(encoding="utf-8")
    assert all(text[f["start"] : f["end"]] == f["quote"] for f in row["findings"])


def test_the_adapter_and_its_export_find_the_same(place: Path) -> None:
    """What is measured is what is shipped: the PEFT folder in torch and the GGUF in llama.cpp are one coach."""
    draft = read_marked_drafts(ROOT / "training" / "data" / "tiny" / "drafts.jsonl")[0]
    rubric = load_rubric(draft.rubric)
    coaches = [load_coach(str(place / "runs" / "tiny" / folder)) for folder in ("train", "export")]
    # Evaluating fitted the exported card's thresholds, so that card is used for both.
    asked = [Coach(coaches[1].card, coach.backend) for coach in coaches]
    results = [diagnosis(Draft(draft.text), rubric, coach, strictness=0.02) for coach in asked]
    trained, exported = ({(f.span, f.criterion): f.confidence or 0.0 for f in r.findings} for r in results)
    assert trained
    shared = trained.keys() & exported.keys()
    assert len(shared) >= 0.8 * max(len(trained), len(exported))
    assert all(abs(trained[key] - exported[key]) < 0.03 for key in shared)


def test_the_report_says_what_was_measured(place: Path) -> None:
    folder = place / "runs" / "tiny" / "evaluate"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report
    assert "micro" in (folder / "report.md").read_text(encoding="utf-8").lower()


def test_what_was_made_is_published_with_its_card_and_its_figures(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    folder = publish(load_recipe("tiny"), "published", tmp_path)
    coach = load_coach(str(folder))
    assert coach.card.name == "published"
    assert coach.card.thresholds
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "python -m training publish tiny --name published" in page
    report = (place / "runs" / "tiny" / "evaluate" / "report.md").read_text(encoding="utf-8")
    [tuned] = [line for line in report.splitlines() if line.startswith("| tuned |")][:1]
    assert tuned in page
    assert "| science | authored | written for this project | 24 |" in page


def test_what_was_not_evaluated_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="not a model of bwcoach"):
        publish(load_recipe("tiny"), "published", tmp_path)


@pytest.mark.parametrize("name", ["corpus", "pretrain", "generate"])
def test_a_stage_that_is_done_is_not_done_again(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    large = {".bin", ".jsonl", ".pt"}
    before = {file: when for file, when in files_of(place / "runs").items() if Path(file).suffix in large}
    assert stage([name, "tiny"]) == 0
    after = {file: when for file, when in files_of(place / "runs").items() if Path(file).suffix in large}
    assert after == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["corpus", "nosuch"], "there is no such recipe"),
        (["generate", "bare.yaml"], "has no `generate` part"),
        (["corpus", "bare.yaml"], "has no `corpus` part"),
        (["pretrain", "--recipe", "wrong.yaml"], "extra inputs are not permitted"),
        (["train", "bare.yaml"], "no base model there"),
    ],
)
def test_a_stage_that_cannot_run_says_why_in_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bare.yaml").write_text("name: bare\n", encoding="utf-8")
    Path("wrong.yaml").write_text("name: wrong\npretrain: {speed: high}\n", encoding="utf-8")
    assert stage(arguments) == 2
    out, err = capsys.readouterr()
    assert said.lower() in err.lower()
    assert (out, "Traceback" in err) == ("", False)


def test_a_vocabulary_of_another_size_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    recipe = (ROOT / "training" / "recipes" / "tiny.yaml").read_text(encoding="utf-8")
    Path("larger.yaml").write_text(recipe.replace("vocabulary: 1200", "vocabulary: 1300"), encoding="utf-8")
    assert stage(["corpus", "larger.yaml"]) == 2
    assert "has 1200 pieces, the recipe says 1300" in capsys.readouterr().err
