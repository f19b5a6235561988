"""A made model put where the page and the command line look for it, with its model card."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from bwcoach.backends.load import EMBEDDED
from bwcoach.errors import StageError
from bwcoach.models import CARD_FILE, MODELS, ModelCard, load_card
from training.corpus import read_documents
from training.recipe import CorpusRecipe, Recipe

PAGE_FILE, REPORT_FILE, PICTURE_FILE = "README.md", "report.md", "scores.png"
FIGURES_FILE = "report.json"
FRONT = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- scores: written by `python -m training publish` -->", "<!-- end of scores -->"
_LIMITS = """## Limits

- It was taught the criteria listed in `model.yaml` and refuses other rubrics.
- It reads English prose. The corpora are mostly of 1884 to 1929 for fiction, of the life sciences for papers, and of
  public administration and technical proposals for argument; present-day prose comes from the authored passages.
- The weaknesses that it learnt from were written by a language model following a brief, and so were the development
  drafts that its thresholds were fitted on: figures on them say little about writers who are nothing like these.
- A finding is a question to the writer, not a verdict; a finding's confidence is a probability on such drafts.
- Fixes come from a very small model and are shown only from the card's `fix_threshold` on."""


def publish(recipe: Recipe, name: str, models: Path = MODELS) -> Path:
    """Copy the exported base and adapter to the folder `name` of `models`, with a card, the evaluation's report and a
    page about it.

    The model must have been exported and then evaluated, so that the card holds thresholds and the page figures.
    """
    made, report = recipe.folder / "export", recipe.folder / "evaluate" / REPORT_FILE
    card = load_card(made)
    if not card.thresholds or not report.exists():
        raise StageError(f"{made}: not evaluated yet; run `python -m training evaluate {recipe.name}` first.")
    folder = models / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in (card.base, card.adapter):
        if file is not None:
            shutil.copy(card.path(file), folder / file.path)
    told = card.model_copy(update={"name": name}).model_dump(mode="json", exclude={"folder"}, exclude_defaults=True)
    (folder / CARD_FILE).write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")
    shutil.copy(report.parent / PICTURE_FILE, folder / PICTURE_FILE)
    (folder / PAGE_FILE).write_text(_page(recipe, card, name, report.read_text(encoding="utf-8")), encoding="utf-8")
    if name == EMBEDDED:
        _write_front(json.loads((report.parent / FIGURES_FILE).read_text(encoding="utf-8")))
    return folder


def _write_front(report: dict[str, Any]) -> None:
    """Put the embedded model's scores between the marks in the repository's README."""
    rows = [
        f"| {name} | {_shown(one['scores']['micro']['f1'])} | {_shown(one['scores']['macro']['f1'])} | "
        f"{_shown(one['scores']['micro']['precision'])} | {one['found_in_drafts']['value']:.1f} | "
        f"{one['found_in_repairs']['value']:.1f} |"
        for name, one in report["judgements"].items()
    ]
    read = f"{report['tokens_read']:,}" if report["tokens_read"] else "an unrecorded number of"
    table = "\n".join(
        [
            "| | micro F1 | macro F1 | micro precision | findings per 1000 words: drafts | their repairs |",
            "|---|---|---|---|---:|---:|",
            *rows,
        ]
    )
    told = (
        f"`{report['command']}` on {report['drafts']} development drafts (by a language model, labels checked "
        f"by a blind second reading), thresholds cross-fitted by draft, 95 % intervals. The base had read {read} "
        f"tokens.\n\n{table}"
    )
    front = FRONT.read_text(encoding="utf-8")
    before, _, rest = front.partition(BEGIN)
    _, _, after = rest.partition(END)
    FRONT.write_text(f"{before}{BEGIN}\n{told}\n{END}{after}", encoding="utf-8")


def _shown(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _page(recipe: Recipe, card: ModelCard, name: str, report: str) -> str:
    shape = recipe.pretrain.shape if recipe.pretrain else None
    of_shape = (
        f"a Llama of width {shape.width} with {shape.layers} layers, trained from scratch by this repository's pipeline"
        if shape
        else f"`{recipe.train.base}`"
    )
    megabytes = sum(card.path(file).stat().st_size for file in (card.base, card.adapter) if file is not None) / 1e6
    _, cooled, cool_tokens = recipe.train.base.removesuffix("/base").partition("pretrain-cooled-")
    stages = ["corpus", "pretrain", "generate", "train", "export", "evaluate"]
    told = [f"python -m training {stage} {recipe.name}" for stage in stages]
    if cooled:
        told.insert(2, f"python -m training pretrain {recipe.name} --cool {cool_tokens}")
    commands = "\n".join(told)
    return "\n\n".join(
        [
            f"# {name}",
            f"{card.description or 'A writing coach.'} The base is {of_shape}; the adapter on it answers by "
            f"`{card.answer}`. Base and adapter together: {megabytes:.1f} MB.",
            f"## How it came to be\n\nRecipe: `training/recipes/{recipe.name}.yaml`.\n\n```\n{commands}\n"
            f"python -m training publish {recipe.name} --name {name}\n```",
            "## Data\n\n" + "\n\n".join(_data(recipe)),
            _LIMITS,
            report.replace("\n# ", "\n## ").replace("# Evaluation", "## Evaluation", 1).rstrip(),
            f"![Micro F1 and findings per 1000 words, by system]({PICTURE_FILE})",
        ]
    ) + "\n"  # fmt: skip


def _sources(corpus: CorpusRecipe | None) -> str:
    """Where the corpora's documents are had, under which licences, by genre and repository."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for genre, path in corpus.paths.items() if corpus else ():
        for document in read_documents(path, "train"):
            repository = document.source.partition(":")[0].partition("@")[0]
            # A book is a repository of its own there, and there are over a hundred.
            place = "standardebooks" if repository.startswith("standardebooks/") else repository
            where = f"https://github.com/{place}" if "/" in repository else place
            counts.setdefault((genre, where), Counter())[document.license] += 1
    rows = []
    for (genre, where), licences in sorted(counts.items(), key=lambda item: (item[0][0], -item[1].total())):
        told = ", ".join(licence for licence, _ in licences.most_common())
        rows.append(f"| {genre} | {where} | {told} | {licences.total():,} |")
    return "| genre | had from | licences, most frequent first | documents |\n|---|---|---|---:|\n" + "\n".join(rows)


def _data(recipe: Recipe) -> list[str]:
    """What the base read and what the adapter was taught, as the stages counted them."""
    parts = []
    shards = sorted((recipe.folder / "corpus").glob("train-*.json"))
    if shards:
        rows = []
        for shard in shards:
            count: dict[str, Any] = json.loads(shard.read_text(encoding="utf-8"))
            genre = shard.stem.removeprefix("train-")
            rows.append(f"| {genre} | {count['documents']:,} | {len(count['works']):,} | {count['tokens']:,} |")
        head = "| genre | documents | works | tokens |\n|---|---:|---:|---:|\n"
        parts.append(
            "The base's corpora (train split, 98 % of the works): openly licensed or public-domain prose. "
            "Every document's source, licence and authors stand in the corpus files.\n\n" + head + "\n".join(rows)
        )
        parts.append(_sources(recipe.corpus))
    card_file = recipe.folder / "data" / "card.json"
    if card_file.exists():
        train = json.loads(card_file.read_text(encoding="utf-8"))["splits"]["train"]
        licences = "\n".join(f"| {licence} | {count:,} |" for licence, count in sorted(train["licences"].items()))
        parts.append(
            f"The adapter's examples: {train['examples']:,} passages with {train['findings']:,} weaknesses "
            f"({', '.join(sorted(train['generators']))}), {train['clean']:,} of them clean.\n\n"
            f"| licence of the passage | examples |\n|---|---:|\n{licences}"
        )
    return parts
