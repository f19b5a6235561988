"""python -m training {corpus,pretrain,generate,train,export,evaluate,publish,all} RECIPE"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bwcoach.errors import BwcoachError
from training.recipe import LinterName, Recipe, load_recipe

COULD_NOT_RUN, INTERRUPTED = 2, 130
STAGES = {
    "corpus": "learn the vocabulary and cut the corpora into shards",
    "pretrain": "read the shards into a base model",
    "generate": "make good writing weak: the examples",
    "train": "teach the base to find what was made weak: the adapter",
    "export": "write GGUF files and check their logits",
    "evaluate": "measure a model on drafts that it has not seen",
}
PUBLISH = "put what was made into the models folder, with its model card"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        recipe = load_recipe(options.recipe or options.named)
        for stage in stages_of(recipe) if options.stage == "all" else (options.stage,):
            print(f"{stage}: {run(stage, recipe, options)}", flush=True)
    except BwcoachError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def stages_of(recipe: Recipe) -> tuple[str, ...]:
    """What `all` runs: a recipe that names a base needs none read from scratch."""
    return tuple(stage for stage in STAGES if not (recipe.train.base and stage in ("corpus", "pretrain")))


def run(stage: str, recipe: Recipe, options: argparse.Namespace) -> Path:
    """Run one stage and give the folder it wrote to. Only that stage's libraries are imported."""
    match stage:
        case "corpus":
            from training.corpus_stage import corpus

            return corpus(recipe)
        case "pretrain":
            from training.pretrain import pretrain

            return pretrain(recipe, cool=options.cool)
        case "generate":
            from training.generate import generate

            return generate(recipe)
        case "train":
            from training.train import train

            return train(recipe)
        case "export":
            from training.export import export

            return export(recipe)
        case "evaluate":
            from training.evaluate import evaluate

            linters = get_args(LinterName) if "all" in options.against else options.against
            return evaluate(recipe, options.model, linters)
        case "publish":
            from training.publish import publish

            return publish(recipe, options.name or recipe.name)
    raise AssertionError(stage)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Make a model that bwcoach can run.")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    every = f"in this order: {', '.join(STAGES)}; a recipe that names a base goes without the first two"
    for name, what in (*STAGES.items(), ("publish", PUBLISH), ("all", every)):
        stage = stages.add_parser(name, help=what)
        recipe = stage.add_mutually_exclusive_group(required=True)
        recipe.add_argument("named", nargs="?", metavar="RECIPE", help="a name in training/recipes, or a YAML file")
        recipe.add_argument("--recipe", metavar="RECIPE", help="the same")
        stage.set_defaults(cool=0, against=(), model=None, name=None)
        if name == "pretrain":
            stage.add_argument(
                "--cool", type=int, metavar="TOKENS",
                help="leave the run as it is and take a base out of it, its learning rate falling over so many tokens",
            )  # fmt: skip
        if name == "publish":
            stage.add_argument("--name", metavar="NAME", help="what to call it; default: the recipe's name")
        if name == "evaluate":
            stage.add_argument("--model", metavar="NAME|PATH|URL", help="what to measure; default: what was made")
            linters = (*get_args(LinterName), "all")
            stage.add_argument(
                "--against", nargs="+", choices=linters, default=(), metavar="LINTER",
                help=f"linters to compare with: {', '.join(linters)}; default: those of the recipe",
            )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
