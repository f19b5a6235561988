"""python -m training.linters {install,table,measure}"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bwcoach.errors import BwcoachError
from training.linters.npm_packages import installed
from training.linters.rule_table import table_page
from training.recipe import EvaluateRecipe, LinterName

COULD_NOT_RUN = 2
COMMANDS = {
    "install": "install the linters from npm, at the versions of package-lock.json",
    "table": "print which criterion each of their rules is about",
    "measure": "print what they reach on drafts, without a model",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.linters", description="Linters to compare with.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if name == "measure":
            command.add_argument("linters", nargs="+", choices=get_args(LinterName), metavar="LINTER")
            command.add_argument("--drafts", type=Path, default=EvaluateRecipe().drafts, help="default: %(default)s")
    options = parser.parse_args()
    try:
        match options.command:
            case "install":
                print(installed())
            case "table":
                print(table_page(), end="")
            case "measure":
                return _measure(options.linters, options.drafts)
    except BwcoachError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN
    return 0


def _measure(names: Sequence[str], path: Path) -> int:
    """Those that can be had are measured, and the others said to be missing. Only this imports what measures."""
    from training.evaluate import evaluate_systems
    from training.evaluation_report import drafts_table
    from training.evaluation_sets import read_marked_drafts
    from training.judgement import Judged
    from training.linters import linter_systems

    drafts, status = read_marked_drafts(path), 0
    judged: list[Judged] = []
    for system in linter_systems(names):
        try:
            judged += evaluate_systems([system], drafts)
        except BwcoachError as error:
            print(f"{system.name}: {error}", file=sys.stderr)
            status = COULD_NOT_RUN
    print(drafts_table([one.judgement for one in judged]))
    return status


if __name__ == "__main__":
    sys.exit(main())
