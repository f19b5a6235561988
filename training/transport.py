"""python -m training.transport {pack,unpack,start,status,cut,join}: pretrain on a machine that is far away.

For a GPU machine that is reached by short commands and a small folder both ways. docs/gpu.md has the journey.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bwcoach.errors import BwcoachError, StageError
from training.parts import MIB, Manifest, cut_into_parts, missing_parts, put_together, read_manifest, receive_parts
from training.recipe import Recipe, load_recipe
from training.worker import INBOX, TRANSPORT_FOLDER, follow, start

COULD_NOT_RUN, INTERRUPTED = 2, 130
PACK_MIB, CUT_MIB, PARTS_A_TRIP = 40.0, 15.0, 4
# Shards are compressed once, at home; weights while the machine with the GPU waits.
THOROUGH, QUICK = 10, 3


def pack(recipe: Recipe, part_mib: float = PACK_MIB) -> Manifest:
    """Cut what pretraining reads into runs/<name>/transport/pack/trip-NN, a part a trip.

    A checkpoint that is here goes along, so that it is gone on with there.
    """
    corpus, state = recipe.folder / "corpus", recipe.folder / "pretrain" / "state.pt"
    shards = [*corpus.glob("train-*.bin"), *corpus.glob("dev-*.bin"), *corpus.glob("dev-*.json")]
    if not shards:
        raise StageError(f"{corpus}: no shards to send; `python -m training corpus RECIPE` writes them.")
    text = recipe.folder / TRANSPORT_FOLDER / "recipe.yaml"
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text(yaml.safe_dump(recipe.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")
    files = {f"corpus/{path.name}": path for path in [*shards, corpus / "tokenizer.model"]}
    if state.exists():
        files |= {f"pretrain/{path.name}": path for path in (state, state.with_name("curve.jsonl"))}
    return cut_into_parts(
        recipe.name, {**files, "recipe.yaml": text}, recipe.folder / TRANSPORT_FOLDER / "pack",
        part_mib=part_mib, parts_a_trip=1, level=THOROUGH,
    )  # fmt: skip


def cut(recipe: Recipe, part_mib: float = CUT_MIB, parts_a_trip: int = PARTS_A_TRIP, state: bool = False) -> Manifest:
    """Cut the newest base into runs/<name>/transport/cut/trip-NN; the worker goes on meanwhile."""
    # torch is imported only where it is needed, so that the other commands answer at once.
    from training.snapshot import take_snapshot

    folder = recipe.folder / TRANSPORT_FOLDER
    files = take_snapshot(recipe, folder / "snapshot", with_state=state)
    return cut_into_parts(
        recipe.name, files, folder / "cut", part_mib=part_mib, parts_a_trip=parts_a_trip, level=QUICK
    )  # fmt: skip


def receive(trips: Sequence[Path]) -> str:
    """Take over what these folders hold and, once nothing is missing, put the files of the run in their places.

    The same at both ends, and as often as one likes. Gives what is there now and what is still to come.
    """
    said: dict[str, str] = {}
    broken = []
    for trip in trips:
        try:
            run = Path("runs") / read_manifest(trip).run
            manifest = receive_parts(trip, run / TRANSPORT_FOLDER / INBOX)
        except StageError as error:
            broken.append(str(error))
            continue
        said[manifest.id] = _put(manifest, run)
    if broken:
        raise StageError("\n".join([*said.values(), *broken]))
    return "\n".join(said.values())


def _put(manifest: Manifest, run: Path) -> str:
    inbox, load = run / TRANSPORT_FOLDER / INBOX, f"{manifest.run}, load {manifest.id}"
    written = put_together(manifest, inbox, run)
    if written:
        return f"{load}: all {len(manifest.parts)} parts have come; {len(written)} files are in {run}"
    missing = [part for part in missing_parts(inbox) if part.startswith(manifest.id)]
    if not missing:
        return f"{load}: all parts had come before"
    return f"{load}: still to come, of {len(manifest.parts)}: {', '.join(missing)}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command in ("unpack", "join"):
            print(receive(options.folders))
            return 0
        recipe = load_recipe(options.recipe)
        if options.command == "start":
            print(f"worker {start(options.recipe, recipe)} started")
        elif options.command == "status":
            for line in follow(recipe, options.wait):
                print(line, flush=True)
        elif options.command == "pack":
            print(_describe(pack(recipe, options.part_mib), recipe.folder / TRANSPORT_FOLDER / "pack"))
        else:
            manifest = cut(recipe, options.part_mib, options.parts_a_trip, options.state)
            print(_describe(manifest, recipe.folder / TRANSPORT_FOLDER / "cut"))
    except BwcoachError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _describe(manifest: Manifest, folder: Path) -> str:
    size = sum(part.bytes for part in manifest.parts) / MIB
    trips = [str(path) for path in sorted(folder.iterdir())]
    return f"load {manifest.id}: {size:,.1f} MiB in {len(manifest.parts)} parts, trips: {', '.join(trips)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.transport", description="Pretrain on a machine that is far away."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str, **reads: Any) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=what)
        if reads:
            one.add_argument("folders", **reads)
        else:
            one.add_argument("recipe", metavar="RECIPE", help="a name in training/recipes, or a YAML file")
        return one

    folders = {"nargs": "+", "type": Path, "metavar": "FOLDER", "help": "a trip's folder"}
    packing = command("pack", "cut shards, vocabulary and recipe into parts")
    packing.add_argument("--part-mib", type=float, default=PACK_MIB, help="of a part, at most (default: %(default)s)")
    command("unpack", "take over the parts that have come", **folders)
    command("start", "begin pretraining, or go on, and return at once")
    status = command("status", "how far the worker is")
    status.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="go on saying so, at most so long")
    cutting = command("cut", "cut the newest base into parts")
    cutting.add_argument("--part-mib", type=float, default=CUT_MIB, help="of a part, at most (default: %(default)s)")
    cutting.add_argument("--parts-a-trip", type=int, default=PARTS_A_TRIP, help="(default: %(default)s)")
    cutting.add_argument("--state", action="store_true", help="the checkpoint too, to go on from elsewhere")
    command("join", "put the parts of a base together again", **folders)
    return parser


if __name__ == "__main__":
    sys.exit(main())
