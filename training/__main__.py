"""python -m training {corpus,pretrain,generate,train,export,evaluate,publish,all} RECIPE, and show DATA"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bwcoach.errors import BwcoachError, RecipeError
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
SHOW = "print examples with their weak places and fixes, or write a page of them"
PER_CRITERION = 200


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.stage == "show":
            show(options)
            return 0
        recipe = _recipe(options)
        for stage in stages_of(recipe) if options.stage == "all" else (options.stage,):
            print(f"{stage}: {run(stage, recipe, options)}", flush=True)
    except BwcoachError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def show(options: argparse.Namespace) -> None:
    """Print examples, in colour where a terminal reads them and NO_COLOR is not set, or write them as a page."""
    from training.show import as_text, examples_file, sampled, write_html

    file = examples_file(options.data)
    samples = sampled(file, options.criterion, options.count, options.seed)
    if options.html:
        write_html(samples, options.html, str(file))
        print(options.html)
        return
    for block in as_text(samples, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")):
        print(block)


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe that is named, or the one that a rubric and a corpus make."""
    named = options.recipe or options.named
    if named:
        if options.rubric or options.corpus:
            raise RecipeError("give `generate` a recipe, or --rubric and --corpus, and not both.")
        return load_recipe(named)
    if not (options.rubric and options.corpus):
        raise RecipeError(
            "`generate` needs a recipe (a name in training/recipes, or a YAML file), or --rubric FILE together with "
            "--corpus FOLDER."
        )
    from training.generate import recipe_for

    return recipe_for(
        options.rubric, options.corpus, options.per_criterion, options.seed, options.generator, options.second_reader
    )


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

            return generate(recipe, options.workers, options.out)
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
        recipe = stage.add_mutually_exclusive_group(required=name != "generate")
        recipe.add_argument("named", nargs="?", metavar="RECIPE", help="a name in training/recipes, or a YAML file")
        recipe.add_argument("--recipe", metavar="RECIPE", help="the same")
        stage.set_defaults(cool=0, against=(), model=None, name=None, workers=1, out=None, rubric=None, corpus=None)
        if name in ("generate", "all"):
            stage.add_argument(
                "--workers", type=_count, default=1, metavar="N", help="processes that `generate` uses; default: 1"
            )
        if name == "generate":
            _add_rubric_options(stage)
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
    shown = stages.add_parser("show", help=SHOW)
    shown.add_argument("data", type=Path, metavar="DATA", help="a .jsonl file of examples, or a data set's folder")
    shown.add_argument("--criterion", metavar="ID", help="this one alone; default: all")
    shown.add_argument("--count", type=_count, default=5, metavar="N", help="examples a criterion; default: 5")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write a page instead of printing")
    shown.add_argument("--seed", type=int, default=0, help="another one draws other examples")
    return parser


def _add_rubric_options(stage: argparse.ArgumentParser) -> None:
    """What stands in the place of a recipe for a rubric of one's own."""
    model = "NAME|PATH|URL"
    stage.add_argument("--rubric", metavar="NAME|FILE", help="in place of a recipe: the rubric, by name or YAML file")
    stage.add_argument("--corpus", type=Path, metavar="FOLDER", help="its good texts: .txt, .md, .jsonl, .jsonl.zst")
    stage.add_argument("--generator", metavar=model, help="the model that makes them weak; default: the rules alone")
    stage.add_argument("--second-reader", metavar=model, help="a model that has to see each weakness too")
    stage.add_argument(
        "--per-criterion", type=_count, default=PER_CRITERION, metavar="N",
        help=f"how many injections of each criterion train gets; default: {PER_CRITERION}",
    )  # fmt: skip
    stage.add_argument("--seed", type=int, default=0, help="another one makes other examples (with --rubric)")
    stage.add_argument("--out", type=Path, metavar="FOLDER", help="where to write; default: runs/<name>/data")


def _count(text: str) -> int:
    """A whole number of 1 or more, or what argparse answers to anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
