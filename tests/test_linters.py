"""Linters among the systems that are compared: the real ones, on texts whose weaknesses are known."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proselint.checks import __register__

from bwcoach.draft import Span
from bwcoach.errors import StageError
from bwcoach.rubric import Rubric, builtin_rubrics, load_rubric
from tests.test_evaluate import write_drafts
from tests.tiny_coach import tiny_model
from training.__main__ import main
from training.evaluate import evaluate
from training.linters import LinterSystem, linter, linter_systems
from training.linters.language_tool import URL_VARIABLE, LanguageTool
from training.linters.node_linter import NodeLinter, code_points
from training.linters.npm_packages import HERE, installed
from training.linters.rule_table import Complaint, entry, rule_table, table_page
from training.recipe import EvaluateRecipe, LinterName, Recipe

LOCAL = ("proselint", "write-good", "textlint", "harper")
POSITION, SCIENCE, CREATIVE = (load_rubric(n) for n in ("position-paper", "scientific-paper", "creative-writing"))
# A linter, a rubric, a text, the words that are weak in it and what is weak in them.
WEAK = [
    ("proselint", CREATIVE, "Keep an eye on the elephant in the room, said Ann.", "elephant in the room", "cliche"),
    ("proselint", POSITION, "The plan may work to a certain degree.", "to a certain degree", "hedging"),
    ("write-good", POSITION, "The road was closed by the council.", "was closed", "passive-voice"),
    ("write-good", SCIENCE, "We utilize two lamps.", "utilize", "wordiness"),
    ("write-good", SCIENCE, "However, the lamps went out.", "However", "weak-transition"),
    ("textlint", SCIENCE, "Every XRQP was counted twice.", "XRQP", "undefined-acronym"),
    ("textlint", POSITION, "It might possibly rain in the spring.", "might possibly", "hedging"),
    ("textlint", SCIENCE, "We recieve two letters a day.", "recieve", "mechanics"),
    ("harper", CREATIVE, "She has went to the shop.", "went", "mechanics"),
    ("harper", POSITION, "They counted the the ballots.", "the the", "mechanics"),
]
SOUND = "The committee read both letters on Monday, and Ann answered them the same evening."


@pytest.fixture(scope="module")
def systems() -> dict[str, LinterSystem]:
    """Each linter of this machine, started once."""
    started = {system.name: system for system in linter_systems(LOCAL)}
    for system in started.values():
        system.prepare()
    return started


@pytest.mark.parametrize(("name", "rubric", "text", "words", "criterion"), WEAK)
@pytest.mark.parametrize("before", ["", "Ann 😀 laughed.\r\n\r\nShe sat down 🏳️‍🌈.\r\n"])
def test_a_linter_marks_what_its_rules_are_about(
    systems: dict[str, LinterSystem], name: str, rubric: Rubric, text: str, words: str, criterion: str, before: str
) -> None:
    found = systems[name].find(before + text, rubric, 0.5).findings
    places = [(f.span.start, f.span.end) for f in found if f.criterion == criterion]
    start = len(before) + text.index(words)
    assert (start, start + len(words)) in places
    assert {f.confidence for f in found} == {1.0}


@pytest.mark.parametrize("name", LOCAL)
def test_a_linter_leaves_sound_prose_alone(systems: dict[str, LinterSystem], name: str) -> None:
    found = [systems[name].find(SOUND, rubric, 0.5).findings for rubric in (POSITION, SCIENCE, CREATIVE)]
    assert found == [(), (), ()]


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("text", ["", " \r\n", "\ufeffIt was utilized.", "a\ud83d b\x00c \u2028 It was utilized"])
def test_a_linter_takes_any_text(systems: dict[str, LinterSystem], name: str, text: str) -> None:
    for finding in systems[name].find(text, POSITION, 0.5).findings:
        assert 0 <= finding.span.start < finding.span.end <= len(text)
        assert finding.span.quote(text) != "\ufeff"


def test_what_a_rubric_does_not_have_is_not_found_under_it(systems: dict[str, LinterSystem]) -> None:
    text = "The samples were washed."
    assert systems["write-good"].find(text, SCIENCE, 0.5).findings == ()
    assert [f.criterion for f in systems["write-good"].find(text, CREATIVE, 0.5).findings] == ["passive-voice"]


@dataclass
class Told:
    """A linter that says what it was told to."""

    said: tuple[Complaint, ...]
    name: str = "textlint"
    version: str = "1"

    def start(self) -> None:
        """Ready at once."""

    def complaints(self, text: str) -> tuple[Complaint, ...]:
        return self.said


def test_rules_that_say_the_same_of_overlapping_words_are_one_finding() -> None:
    text = "The road was quickly closed."
    rules = {"rousseau/passive": "was quickly closed", "write-good/passive": "closed", "write-good/adverb": "quickly"}
    said = [Complaint(rule, _place(text, words)) for rule, words in rules.items()]
    found = LinterSystem(Told(tuple(said))).find(text, CREATIVE, 0.5).findings
    assert [(f.span.quote(text), f.criterion) for f in found] == [
        ("was quickly closed", "passive-voice"), ("quickly", "adverb-overuse")
    ]  # fmt: skip


def _place(text: str, words: str) -> Span:
    return Span(text.index(words), text.index(words) + len(words))


@given(st.text(), st.text())
def test_utf_16_offsets_become_code_points(before: str, after: str) -> None:
    units = len(before.encode("utf-16-le", "surrogatepass")) // 2
    for end in (False, True):
        assert code_points(before + after)(units, end) == len(before)


def test_an_offset_inside_a_character_takes_the_whole_of_it() -> None:
    places = code_points("a😀b")
    assert [places(n, False) for n in range(6)] == [0, 1, 1, 2, 3, 3]
    assert [places(n, True) for n in range(6)] == [0, 1, 2, 2, 3, 3]


def scripted(folder: Path, answer: str) -> NodeLinter:
    """A linter whose script answers by an expression of `text`."""
    shutil.copy(HERE / "serve.mjs", folder)
    (folder / "own.mjs").write_text(f'import {{ serve }} from "./serve.mjs";\nawait serve((text) => {answer});\n')
    return NodeLinter("own", "own.mjs", lambda: folder, longest_answer_s=60)


def test_a_process_that_crashes_is_named_with_its_last_words_and_another_started(tmp_path: Path) -> None:
    crash = 'text === "crash" ? setImmediate(() => { throw new Error("out of ink"); }) && new Promise(() => {}) : []'
    own = scripted(tmp_path, crash)
    assert own.complaints("fine") == ()
    with pytest.raises(StageError, match=r"own stopped in the middle of its work \(Error: out of ink\)"):
        own.complaints("crash")
    assert own.complaints("fine") == ()


def test_a_text_that_a_linter_refuses_leaves_it_at_work(tmp_path: Path) -> None:
    own = scripted(tmp_path, 'text.startsWith("no") ? text.missing.length : [{ rule: "r", start: 0, end: 4 }]')
    with pytest.raises(StageError, match=r"own could not read a text of 4 characters: TypeError"):
        own.complaints("nope")
    assert [complaint.rule for complaint in own.complaints("fine")] == ["r"]


def test_a_process_that_never_answers_is_stopped(tmp_path: Path) -> None:
    own = scripted(tmp_path, "new Promise(() => setInterval(() => {}, 1000))")
    own.start()
    own._process._longest_answer_s = 0.2  # type: ignore[union-attr]
    with pytest.raises(StageError, match=r"own stopped in the middle of its work"):
        own.complaints("a text")


def test_a_script_that_cannot_start_is_named_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "own.mjs").write_text('import "there-is-no-such-package";\n')
    with pytest.raises(StageError, match=r"own stopped .*there-is-no-such-package"):
        NodeLinter("own", "own.mjs", lambda: tmp_path).start()


def test_without_node_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError, match=r"There is no node here.*apt-get install nodejs npm"):
        installed(tmp_path / "build")


def test_an_npm_that_fails_is_quoted_and_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for _ in range(2):
        with pytest.raises(StageError, match=r"npm ci could not install the linters \(no network\)"):
            installed(tmp_path / "build")


class Server(ThreadingHTTPServer):
    status = 200
    body = b"{}"
    asked: list[dict[str, list[str]]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def do_POST(self) -> None:
        self.server.asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that answers as LanguageTool's does."""
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    monkeypatch.setenv(URL_VARIABLE, f"http://127.0.0.1:{made.server_port}")
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_languagetool_is_asked_over_http_and_counts_utf_16_units(server: Server) -> None:
    text = "😀 It is teh end & more.\r\n"
    rule = {"id": "MORFOLOGIK_RULE_EN_US", "category": {"id": "TYPOS", "name": "Possible Typo"}}
    server.body = json.dumps({"matches": [{"offset": 9, "length": 3, "message": "?", "rule": rule}]}).encode()
    found = LinterSystem(LanguageTool()).find(text, SCIENCE, 0.5).findings
    assert [(f.span.quote(text), f.criterion) for f in found] == [("teh", "mechanics")]
    assert server.asked == [{"language": ["en-US"], "text": [text]}]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(500, b"too busy", "answered 500: too busy"), (200, b"<html>", "does not answer"), (200, b"[1]", "not its own"),
     (200, b'{"matches": [{"offset": 1}]}', "not its own")],
)  # fmt: skip
def test_a_languagetool_that_misbehaves_is_told(server: Server, status: int, body: bytes, said: str) -> None:
    server.status, server.body = status, body
    with pytest.raises(StageError, match=said):
        LanguageTool().start()


def test_without_languagetool_a_sentence_says_how_to_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    with pytest.raises(StageError, match=rf"org.languagetool.server.HTTPServer.*{URL_VARIABLE}"):
        LanguageTool().start()
    monkeypatch.setenv(URL_VARIABLE, "localhost:8081")
    with pytest.raises(StageError, match="not an address like"):
        LanguageTool().start()
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        monkeypatch.setenv(URL_VARIABLE, f"http://127.0.0.1:{unheard.getsockname()[1]}")
        with pytest.raises(StageError, match="is its server running"):
            LanguageTool().start()


def test_the_table_speaks_of_criteria_that_there_are_and_says_why_others_are_not_mapped() -> None:
    known = {criterion for name in builtin_rubrics() for criterion in load_rubric(name).ids}
    entries = [each for entries in rule_table().values() for each in entries]
    assert {criterion for each in entries for criterion in each.criteria} <= known
    assert [each for each in entries if bool(each.criteria) == bool(each.why)] == []


def test_the_table_knows_every_linter_and_each_of_their_rules() -> None:
    assert set(rule_table()) == set(get_args(LinterName))
    script = (HERE / "textlint.mjs").read_text(encoding="utf-8")
    checks = re.findall(r'"(\w+)"', script.split("const CHECKS = [")[1].split("]")[0])
    packages = re.findall(r'^  "?([\w-]+)"?: "', script.split("const PACKAGES = {")[1].split("}")[0], re.MULTILINE)
    types = (installed() / "node_modules/harper.js/dist/index.d.ts").read_text(encoding="utf-8")
    kinds = re.findall(r"'(\w+)'", types.split("type LintKind =")[1].split(";")[0])
    assert min(len(checks), len(packages), len(kinds)) >= 8
    rules = {
        "proselint": [check.path for check in __register__],
        "write-good": checks,
        "textlint": [f"write-good/{check}" for check in checks]
        + [f"alex/{kind}" for kind in ("he-she", "profane")]
        + [f"rousseau/{kind}" for kind in ("passive", "adverbs", "so", "simplicity", "weasel", "lexical-illusion",
                                           "readibility", "sentence:start", "sentence:end", "sentence:uppercase")]
        + [name for name in packages if name not in ("write-good", "alex", "rousseau")],
        "harper": [f"{kind}/AnyRule" for kind in kinds],
    }  # fmt: skip
    unknown = [(name, rule) for name, all_of in rules.items() for rule in all_of if entry(name, rule, "x") is None]
    assert unknown == []


def test_the_documented_table_is_the_one_that_is_used() -> None:
    page = (HERE.parent.parent / "docs" / "against.md").read_text(encoding="utf-8")
    assert table_page() in page


def test_the_report_has_linters_beside_the_model_and_says_which_were_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    recipe = Recipe(name="test", evaluate=EvaluateRecipe(
        drafts=write_drafts(tmp_path / "drafts.jsonl"), edits=tmp_path / "edits.jsonl", pairs=tmp_path / "pairs.jsonl",
        extents=(0.5,), folds=3, resamples=100, prompted=False,
    ))  # fmt: skip
    folder = evaluate(recipe, str(tiny_model()), ("proselint", "write-good", "languagetool"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert {"proselint", "write-good"} <= set(report["judgements"])
    assert report["judgements"]["write-good"]["seconds_per_1000_words"] > 0
    assert report["judgements"]["write-good"]["scores"]["micro"]["found"] > 0
    assert any("languagetool" in sentence and URL_VARIABLE in sentence for sentence in report["missing"])
    assert "--against proselint write-good languagetool" in report["command"]
    assert "| write-good |" in (folder / "report.md").read_text(encoding="utf-8")


def test_the_command_line_takes_the_linters_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert [linter(name).name for name in get_args(LinterName)] == list(get_args(LinterName))
    with pytest.raises(SystemExit):
        main(["evaluate", "tiny", "--against", "grammarly"])
    assert "harper" in capsys.readouterr().err
