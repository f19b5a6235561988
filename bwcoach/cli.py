"""python -m bwcoach check|compare|rubric|models|serve"""

from __future__ import annotations

import argparse
import os
import runpy
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bwcoach import __version__
from bwcoach.backends.load import choose_auto
from bwcoach.coach import Coach, diagnose, diagnosis, load_coach, suggest_fix
from bwcoach.comparison import compare
from bwcoach.diagnosis import Diagnosis, Finding, in_text_order
from bwcoach.documents import read_draft
from bwcoach.draft import Draft
from bwcoach.errors import BwcoachError, ModelError
from bwcoach.models import card_for, installed_models
from bwcoach.report import EXPORTERS, Exporter, as_text, side_by_side
from bwcoach.rubric import Rubric, builtin_rubrics, check_rubric, describe, load_rubric

NOTHING_FOUND, FOUND, COULD_NOT_RUN, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
PAGE = Path(__file__).resolve().parent.parent / "app.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit status: 0 nothing found, 1 findings, 2 could not run, 130 after ^C."""
    for stream in (sys.stdout, sys.stderr):
        # What UTF-8 cannot say, such as a byte of a file's name that is no text, is written as an escape.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.run is not _serve:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
        sys.stdout.flush()
    except BwcoachError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on. What is still buffered must not raise again while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bwcoach", description="Read drafts against a rubric, locally.")
    parser.add_argument("--version", action="version", version=f"bwcoach {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    reading = argparse.ArgumentParser(add_help=False)
    known = ", ".join(builtin_rubrics())
    reading.add_argument("--rubric", required=True, metavar="NAME|PATH", help=f"{known}, or a YAML file")
    reading.add_argument("--model", default="auto", metavar="auto|NAME|PATH|URL", help="default: auto; see `models`")
    reading.add_argument(
        "--strictness", type=_share, default=0.5, metavar="0..1", help="0 shows all that was considered, 1 the surest"
    )

    check = commands.add_parser("check", parents=[reading], help="mark the weaknesses of drafts")
    check.add_argument("files", nargs="+", metavar="FILE", help="text in UTF-8; - is standard input")
    check.add_argument("--base", action="store_true", help="ask the model as it was before tuning")
    check.add_argument("--fix", action="store_true", help="suggest better words where the model is sure enough")
    check.add_argument("--format", choices=tuple(EXPORTERS), default="text")
    check.set_defaults(run=_check)

    side = commands.add_parser("compare", parents=[reading], help="base and tuned on one draft, side by side")
    side.add_argument("file", metavar="FILE", help="text in UTF-8; - is standard input")
    side.set_defaults(run=_compare)

    rubrics = commands.add_parser("rubric", help="look at rubrics").add_subparsers(required=True, metavar="COMMAND")
    rubrics.add_parser("list", help="the built-in ones").set_defaults(run=_list_rubrics)
    show = rubrics.add_parser("show", help="all that a rubric says")
    faults = rubrics.add_parser("check", help="what is wrong with a rubric's file")
    for command, run in ((show, _show_rubric), (faults, _check_rubric)):
        command.add_argument("rubric", metavar="NAME|PATH")
        command.set_defaults(run=run)

    commands.add_parser("models", help="the models that are here").set_defaults(run=_models)
    serve = commands.add_parser("serve", help="start the page; takes the options of app.py", add_help=False)
    serve.set_defaults(run=_serve)
    return parser


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


@dataclass
class _Reading:
    """Files read one after another by one coach, and what the exit status has to say of that."""

    coach: Coach
    rubric: Rubric
    tuned: bool
    strictness: float
    fix: bool
    found: bool = False
    failed: bool = False
    interrupted: bool = False

    @property
    def status(self) -> int:
        if self.interrupted:
            return INTERRUPTED
        return COULD_NOT_RUN if self.failed else FOUND if self.found else NOTHING_FOUND

    def diagnoses(self, files: Sequence[str]) -> Iterator[Diagnosis]:
        """One for each file that could be read, in their order; after ^C what was found so far and no more."""
        for file in files:
            draft = self._read(file)
            result = draft and self._diagnose(draft)
            if result:
                self.found = self.found or bool(result.findings)
                yield result
            if self.interrupted:
                return

    def _read(self, file: str) -> Draft | None:
        try:
            return read_draft(file)
        except BwcoachError as error:
            self._fail(error)
        except KeyboardInterrupt:
            self.interrupted = True
        return None

    def _diagnose(self, draft: Draft) -> Diagnosis | None:
        started = time.perf_counter()
        findings: list[Finding] = []
        unread, complete = 0, False
        try:
            for step in diagnose(draft, self.rubric, self.coach, tuned=self.tuned, strictness=self.strictness):
                findings.extend(step.findings)
                unread += step.unread
                _show_progress(f"{draft.path}: {step.words_read:,} of {step.words:,} words")
            for number, finding in enumerate(findings if self.fix else ()):
                findings[number] = suggest_fix(draft, self.rubric, self.coach, finding, tuned=self.tuned)
                _show_progress(f"{draft.path}: {number + 1} of {len(findings)} fixes")
            complete = True
        except BwcoachError as error:
            self._fail(error)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            _show_progress("")
        if not findings and not complete:
            return None
        name = self.coach.card.name if self.tuned else f"{self.coach.card.name} (base)"
        seconds = time.perf_counter() - started
        return Diagnosis(draft, self.rubric, name, in_text_order(findings), seconds, unread, complete)

    def _fail(self, error: BwcoachError) -> None:
        self.failed = True
        print(error, file=sys.stderr)


def _check(options: argparse.Namespace) -> int:
    rubric = load_rubric(options.rubric)
    coach = _load(options.model, rubric)
    reading = _Reading(coach, rubric, not options.base, options.strictness, options.fix)
    exporter: Exporter = EXPORTERS[options.format]
    if exporter is as_text and _is_screen(sys.stdout) and not os.environ.get("NO_COLOR"):
        exporter = partial(as_text, colour=True)
    for piece in exporter(reading.diagnoses(options.files)):
        sys.stdout.write(piece)
        sys.stdout.flush()
    return reading.status


def _compare(options: argparse.Namespace) -> int:
    rubric = load_rubric(options.rubric)
    draft = read_draft(options.file)
    coach = _load(options.model, rubric)
    if not coach.backend.has_adapter:
        raise ModelError(
            f"The model {coach.card.name} has no adapter, so there is no tuned answer to compare; "
            "`python -m bwcoach models` lists those that have one."
        )
    base, tuned = (
        diagnosis(draft, rubric, coach, tuned=tuned, strictness=options.strictness) for tuned in (False, True)
    )
    width = shutil.get_terminal_size((100, 24)).columns
    sys.stdout.write(side_by_side(compare(base, tuned), width))
    return FOUND if base.findings or tuned.findings else NOTHING_FOUND


def _load(model: str, rubric: Rubric) -> Coach:
    """The model, loaded once; refused before any file is read where it does not know the rubric."""
    if model == "auto":
        model, why = choose_auto()
        print(f"auto takes {model}: {why}", file=sys.stderr)
    coach = load_coach(model)
    coach.card.refuse_unless_taught(rubric.name, rubric.ids)
    return coach


def _list_rubrics(options: argparse.Namespace) -> int:
    for name in builtin_rubrics():
        rubric = load_rubric(name)
        print(f"{name}: {rubric.title}, {len(rubric.criteria)} criteria. {rubric.description}")
    return NOTHING_FOUND


def _show_rubric(options: argparse.Namespace) -> int:
    sys.stdout.write(describe(load_rubric(options.rubric)))
    return NOTHING_FOUND


def _check_rubric(options: argparse.Namespace) -> int:
    problems = check_rubric(options.rubric)
    for problem in problems:
        print(problem)
    if problems:
        return FOUND
    rubric = load_rubric(options.rubric)
    print(f"{options.rubric}: sound, {len(rubric.criteria)} criteria, version {rubric.version}.")
    return NOTHING_FOUND


def _models(options: argparse.Namespace) -> int:
    """The installed models, broken ones with what is wrong, and what `auto` takes."""
    status = NOTHING_FOUND
    for name in installed_models():
        try:
            card = card_for(name)
        except ModelError as error:
            print(f"{name}: cannot be used: {error}")
            status = COULD_NOT_RUN
            continue
        knows = ", ".join(card.rubrics) or "any rubric, by prompting"
        measured = "not measured" if card.precision is None else f"precision {card.precision:.2f}"
        adapter = "base and adapter" if card.adapter else "no adapter"
        print(f"{name}: {card.description} ({card.answer}, {adapter}, {measured}; knows {knows})")
    chosen, why = choose_auto()
    print(f"auto takes {chosen}: {why}")
    return status


def _serve(options: argparse.Namespace) -> int:
    sys.argv = [str(PAGE), *options.rest]
    runpy.run_path(str(PAGE), run_name="__main__")
    return NOTHING_FOUND


def _is_screen(stream: object) -> bool:
    isatty: Callable[[], bool] = getattr(stream, "isatty", lambda: False)
    return isatty() and os.environ.get("TERM", "") != "dumb"


def _show_progress(text: str) -> None:
    """Show one line on the error screen, in the place of the one before; an empty text takes it away."""
    if _is_screen(sys.stderr):
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{text.translate(dict.fromkeys(range(32)))[:width]}", end="", file=sys.stderr, flush=True)
