"""Measure a model on texts that it has not seen, beside what is simpler: the stage behind every figure we show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import yaml

from bwcoach.coach import load_coach
from bwcoach.errors import BwcoachError, StageError
from bwcoach.models import CARD_FILE, ModelCard, card_for
from bwcoach.rubric import builtin_rubrics, load_rubric
from training.baselines import LinearTagger
from training.evaluation_report import Report, write_report
from training.evaluation_sets import (
    MarkedDraft,
    read_marked_drafts,
    read_pairs,
    sample_examples,
    under_two_rubrics,
)
from training.examples import Example, read_examples
from training.false_alarms import professional_prose
from training.finding_density import Lift, human_lift
from training.fix_quality import FixThreshold
from training.judgement import Judge, Judged, Judgement, PairJudgement
from training.linters import linter_systems
from training.perplexity import Perplexity, perplexity
from training.pretrain import CURVE_FILE
from training.recipe import EvaluateRecipe, Recipe
from training.scoring import compare
from training.scrutiny import Texts, scrutinise
from training.systems import CoachSystem, FormSystem, System
from training.thresholds import Thresholds

TUNED = "tuned"
SHIPPED = "tuned, thresholds of its card"
# What a card says nothing about is shown from here on (ModelCard.threshold).
DEFAULT_THRESHOLD = 0.5
UNTUNED = "base under tags"
PROMPTED = ("base, zero-shot", "base, few-shot")
# Whose calibration, shortcuts and false alarms are looked at.
SCRUTINISED = (TUNED, LinearTagger.name)
HUMAN = "one editor against the others"
T = TypeVar("T")


def evaluate(recipe: Recipe, model: str | None = None, against: Sequence[str] = ()) -> Path:
    """Write report.json, report.md, scores.png and the predictions to runs/<name>/evaluate; gives that folder.

    Without a model named, what the recipe made is measured, and the thresholds, the extent and the precision that
    were fitted go into its card; a model that is named is left as it is. `against` names linters in place of the
    recipe's. What cannot be measured, for want of a file or because the model refuses, is named in the report, and the
    rest is measured.
    """
    folder, settings = recipe.folder / "evaluate", recipe.evaluate
    measured = model or str(made_by(recipe))
    card = card_for(measured)
    missing: list[str] = []
    own = recipe.folder / "data" / f"{settings.examples}.jsonl"
    drafts = _read(settings.drafts, read_marked_drafts, missing)
    examples = _read(own, partial(sample_examples, most=settings.most_examples), missing)
    shared = under_two_rubrics(own, settings.most_shared) if own.exists() else ()
    if examples and not shared:
        missing.append(f"{own}: no text stands there under two rubrics, so no answers were compared by rubric.")
    if examples and all(example.seen is not False for example in examples):
        missing.append(f"{own}: nothing in the sample was kept from training, so only what is seen was measured.")
    prose = _prose(settings, {draft.rubric for draft in drafts}, recipe.seed, missing)
    edits = _read(settings.edits, read_marked_drafts, missing)
    pairs = _read(settings.pairs, read_pairs, missing)
    if not drafts:
        raise StageError(f"{settings.drafts}: no drafts to measure on; name others as evaluate.drafts in the recipe.")
    judge = Judge(settings, folder, recipe.seed)
    systems = systems_of(recipe, measured, card, against or settings.against)
    judged: dict[str, Judged] = {}
    on_examples: dict[str, Judgement] = {}
    at_edits: dict[str, dict[str, Lift]] = {}
    of_pairs: dict[str, dict[str, PairJudgement]] = {}
    forms: dict[str, dict[str, Judgement]] = {}
    for system in systems:
        try:
            judged[system.name] = judge.drafts(system, drafts)
            fitted = judged[system.name].judgement.thresholds
            if system.name == TUNED and card.thresholds:
                shipped = Thresholds(card.thresholds, DEFAULT_THRESHOLD, card.extent)
                judged[SHIPPED] = judge.drafts_under(system, SHIPPED, drafts, shipped)
            # A base is a rival on the drafts; on the other sets it would only cost hours.
            if system.name not in (UNTUNED, *PROMPTED):
                if examples:
                    under = judge.drafts_under(system, system.name, examples, fitted)
                    on_examples[system.name] = under.judgement
                    for which, seen in (("seen", True), ("unseen", False)):
                        of_forms = [example for example in examples if example.seen is seen]
                        if of_forms:
                            under = judge.drafts_under(system, system.name, of_forms, fitted)
                            forms.setdefault(which, {})[system.name] = under.judgement
                if edits:
                    at_edits[system.name] = judge.edits(system, edits, fitted)
                if pairs:
                    of_pairs[system.name] = judge.pairs(system, pairs, fitted)
        except BwcoachError as error:
            missing.append(f"{system.name} could not be measured further: {error}")
    voted = [draft for draft in edits if len(draft.votes) == len(draft.labels)]
    if any(draft.votes for draft in voted):
        at_edits[HUMAN] = {
            which: human_lift(voted, same_criterion=which == "same criterion")
            for which in ("same criterion", "any criterion")
        }
    looked_at = [system for system in systems if system.name in SCRUTINISED and system.name in judged]
    scrutiny = scrutinise(judge, looked_at, judged, Texts(drafts, examples, prose, shared))
    report = Report(
        command=" ".join(
            [f"python -m training evaluate {recipe.name}", *(["--model", model] if model else []),
             *(["--against", *against] if against else [])]
        ),
        model=card.name, tokens_read=tokens_read(recipe), drafts=len(drafts), folds=settings.folds,
        shrinkage=settings.shrinkage, resamples=settings.resamples, seed=recipe.seed,
        judgements={name: one.judgement for name, one in judged.items()},
        comparisons={
            name: compare(judged[TUNED].counted, other.counted, times=settings.resamples, seed=recipe.seed)
            for name, other in judged.items() if TUNED in judged and name not in (TUNED, SHIPPED)
        },
        examples=on_examples, forms=forms, edits=at_edits, pairs=of_pairs, scrutiny=scrutiny,
        perplexity=_perplexity(recipe, missing), missing=(*missing, *scrutiny.missing),
    )  # fmt: skip
    write_report(report, folder)
    if model is None and TUNED in judged:
        _ship(card, judged[TUNED].judgement, scrutiny.fixes.threshold if scrutiny.fixes else None)
    return folder


def evaluate_systems(
    systems: Iterable[System], drafts: Sequence[MarkedDraft], folder: Path | None = None,
    settings: EvaluateRecipe | None = None,
) -> tuple[Judged, ...]:
    """The drafts' figures alone, for a quick look: `print(drafts_table([j.judgement for j in ...]))` shows them."""
    judge = Judge(settings or EvaluateRecipe(), folder)
    return tuple(judge.drafts(system, drafts) for system in systems)


def made_by(recipe: Recipe) -> Path:
    """The folder of the model that the recipe made: the exported one, or else the adapter as it was trained."""
    for folder in (recipe.folder / "export", recipe.folder / "train"):
        if (folder / CARD_FILE).exists():
            return folder
    raise StageError(f"{recipe.folder}: no model there; run `train` and `export` first, or name one with --model.")


def systems_of(recipe: Recipe, model: str, card: ModelCard, against: Sequence[str] = ()) -> tuple[System, ...]:
    """The model in its own answer style, its base in the same and prompted, what needs no language model, and the
    linters that are named."""
    settings = recipe.evaluate
    load = cache(lambda: load_coach(model))
    extents = tuple(sorted({*settings.extents, card.extent})) if card.answer == "tags" else (card.extent,)
    systems: list[System] = []
    if card.adapter is not None or card.answer == "tags":
        systems.append(CoachSystem(TUNED, card, load, True, extents))
    if card.adapter is not None and card.answer == "tags":
        systems.append(CoachSystem(UNTUNED, card, load, False, extents))
    for name, shots in zip(PROMPTED, (0, settings.shots), strict=True) if settings.prompted else ():
        prompted = card.model_copy(update={"answer": "lines", "style": "full", "rubrics": (), "shots": shots})
        systems.append(CoachSystem(name, prompted, load, False, (card.extent,)))
    systems.append(FormSystem())
    train = recipe.folder / "data" / "train.jsonl"
    if train.exists():
        rubrics = {name: load_rubric(name) for name in dict.fromkeys((*builtin_rubrics(), *card.rubrics))}
        systems.append(LinearTagger(partial(_rows, train, settings.tagger_examples), rubrics, recipe.seed))
    return (*systems, *linter_systems(against))


def _rows(train: Path, most: int) -> list[Example]:
    """The rows themselves, or where there are more than `most` every n-th of them."""
    with train.open(encoding="utf-8") as lines:
        step = -(-sum(1 for _ in lines) // most)
    return [example for number, example in enumerate(read_examples(train)) if number % step == 0]


def tokens_read(recipe: Recipe) -> int | None:
    """How many tokens the base had read, as its own curve tells it; None where none was kept."""
    curve = _base(recipe).parent / CURVE_FILE
    if not curve.exists():
        return None
    return int(json.loads(curve.read_text(encoding="utf-8").splitlines()[-1])["tokens"])


def _base(recipe: Recipe) -> Path:
    return Path(recipe.train.base) if recipe.train.base else recipe.folder / "pretrain" / "base"


def _read(path: Path, reader: Callable[[Path], tuple[T, ...]], missing: list[str]) -> tuple[T, ...]:
    if not path.exists():
        missing.append(f"{path} is not there, so nothing was measured on it.")
        return ()
    return reader(path)


def _perplexity(recipe: Recipe, missing: list[str]) -> dict[str, dict[str, Perplexity]]:
    """Of the base and of the base under its adapter, by genre, where their folders and the shards are there."""
    base, adapter, shards = _base(recipe), recipe.folder / "train" / "adapter", recipe.folder / "corpus"
    wanted = {"base": (base, None), "tuned": (base, adapter)}
    measured = {}
    for name, (folder, tuning) in wanted.items():
        absent = [str(path) for path in (folder, tuning, shards) if path is not None and not path.exists()]
        if absent:
            missing.append(f"No perplexity of the {name} model: {', '.join(absent)} is not there.")
        else:
            measured[name] = perplexity(folder, tuning, shards)
    return measured


def _prose(
    settings: EvaluateRecipe, rubrics: set[str], seed: int, missing: list[str]
) -> tuple[MarkedDraft, ...]:
    """Professional prose for the rubrics that there are drafts of."""
    reader = partial(professional_prose, most=settings.most_prose, seed=seed)
    return tuple(
        passage
        for name, corpus in settings.prose.items() if name in rubrics
        for passage in _read(corpus, partial(reader, rubric=name), missing)
    )


def _ship(card: ModelCard, judgement: Judgement, fixes: FixThreshold | None) -> None:
    """Write what was fitted on all drafts, the cross-fitted precision, and from which probability on fixes are
    offered into the model's card."""
    path = card.folder / CARD_FILE
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    fitted = judgement.thresholds
    told["thresholds"] = {
        criterion: fitted.criteria.get(criterion, fitted.pooled) for criterion in card.labels or fitted.criteria
    }
    told["extent"], told["precision"] = fitted.extent, round(judgement.scores.micro.precision.value, 3)
    if fixes is not None:
        told["fix_threshold"] = fixes.shipped
    part = path.with_suffix(".part")
    part.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")
    part.replace(path)
