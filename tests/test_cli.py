"""python -m bwcoach, run as a user runs it and as a script reads it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bwcoach.cli import main
from tests.loopback import Handler, Misbehaviour, loopback
from tests.tiny_coach import tiny_model

ROOT = Path(__file__).resolve().parent.parent
DRAFT = (
    "It is important to note that buses matter. Everyone knows that nobody walks any more, and due to the fact that "
    "it rains, things get worse.\n\nTherefore we should perhaps possibly act. The report was written by them.\n"
)
LONG = "\n\n".join(f"Paragraph {n} says that the town was changed by things. {DRAFT.strip()}" for n in range(60))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bwcoach", *arguments]


def checking(*arguments: str) -> list[str]:
    return ["check", *arguments, "--rubric", "position-paper", "--model", str(tiny_model())]


def run(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*arguments), input=given, capture_output=True, check=False, cwd=ROOT)


@pytest.fixture
def essay(tmp_path: Path) -> Path:
    path = tmp_path / "essay.txt"
    path.write_bytes(DRAFT.encode())
    return path


def test_findings_give_1_and_stand_where_they_are_said_to(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(checking(str(essay), "--strictness", "0.1", "--format", "jsonl")) == 1
    row = json.loads(capsys.readouterr().out)
    assert row["path"] == str(essay)
    assert row["model"] == "tiny"
    assert row["findings"]
    assert all(DRAFT[f["start"] : f["end"]] == f["quote"] for f in row["findings"])
    assert [f["start"] for f in row["findings"]] == sorted(f["start"] for f in row["findings"])


def test_nothing_found_gives_0(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(checking(str(essay), "--strictness", "1")) == 0
    assert "nothing found in 38 words" in capsys.readouterr().out


def test_strictness_orders_what_is_shown(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for strictness in ("0.1", "0.5", "0.9"):
        main(checking(str(essay), "--strictness", strictness, "--format", "jsonl"))
        counts.append(len(json.loads(capsys.readouterr().out)["findings"]))
    assert counts[0] >= counts[1] >= counts[2]
    assert counts[0] > counts[2]


def test_base_is_another_reader_than_tuned(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for extra in ((), ("--base",)):
        main(checking(str(essay), "--strictness", "0.1", "--format", "jsonl", *extra))
        rows.append(json.loads(capsys.readouterr().out))
    assert [row["model"] for row in rows] == ["tiny", "tiny (base)"]
    assert rows[0]["findings"] != rows[1]["findings"]


def test_one_bad_file_does_not_lose_the_others(essay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other, latin = tmp_path / "other.txt", tmp_path / "latin.txt"
    other.write_text("The door was opened by him. " * 3, encoding="utf-8")
    latin.write_bytes(b"A line.\nThe caf\xe9 was closed by them.")
    files = [str(essay), str(latin), str(tmp_path / "missing.txt"), str(tmp_path), str(other)]
    assert main(checking(*files, "--strictness", "0.1", "--format", "jsonl")) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["path"] for line in out.splitlines()] == [str(essay), str(other)]
    assert f"{latin}:2: byte 0xe9 (byte 15 of the file) is not UTF-8" in err
    assert f"{tmp_path / 'missing.txt'}: there is no such file" in err
    assert f"{tmp_path}: this is a folder" in err
    assert len(err.splitlines()) == 3


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"%PDF-1.7\n", "PDF"), (b"PK\x03\x04..", "Word"), (b"{\\rtf1 a}", "rich text"), (b"\xff\xfea\x00", "UTF-16")],
)
def test_a_file_that_is_no_text_is_named_for_what_it_is(
    data: bytes, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "draft"
    path.write_bytes(data)
    assert main(checking(str(path))) == 2
    assert f"{path}: this is" in (err := capsys.readouterr().err)
    assert kind in err
    assert ".txt or .md" in err


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_count_as_they_stand(
    ends: str, mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "essay.txt"
    path.write_bytes((mark + DRAFT.replace("\n", ends)).encode())
    text = path.read_bytes().decode("utf-8")
    main(checking(str(path), "--strictness", "0.1", "--format", "jsonl"))
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert findings
    assert all(text[f["start"] : f["end"]] == f["quote"] for f in findings)


ANSWER = ('1 I "It is important to note that" => ""\n', '2 H "things"\n', '9 B "no such sentence"\n', "done")


def saying(text: str) -> Misbehaviour:
    """An answer of its own to one request."""

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.event(text)
        handler.event("", "stop")
        handler.send("[DONE]")

    return answer


def test_a_server_reads_too_and_what_it_says_of_no_place_is_counted(
    essay: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["check", str(essay), "--rubric", "position-paper", "--format", "jsonl"]
    with loopback("ollama", pieces=ANSWER) as told:
        assert main([*arguments, "--model", told.url]) == 1
    row = json.loads(capsys.readouterr().out)
    assert [(f["criterion"], f["quote"], f["fix"]) for f in row["findings"]] == [
        ("wordiness", "It is important to note that", ""), ("vague-language", "things", None)
    ]  # fmt: skip
    assert row["unread"] == 1


def test_a_fix_is_asked_for_where_there_is_none_yet(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", str(essay), "--rubric", "position-paper", "--fix"]
    with loopback("ollama", pieces=ANSWER, misbehaviours=[None, saying("the buses\nand more")]) as told:
        assert main([*arguments, "--model", told.url]) == 1
        assert len(told.bodies) == 2
    text = capsys.readouterr().out
    assert "    Perhaps: leave these words out.\n" in text
    assert "    Perhaps: the buses\n" in text


def test_a_model_that_fails_at_one_file_goes_on_with_the_next(
    essay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse_one(handler: Handler) -> None:
        if "walks alone" in json.dumps(handler.told.bodies[-1]):
            handler.reply(400, '{"error": {"message": "no, not this one"}}')
        else:
            saying("".join(ANSWER))(handler)

    other = tmp_path / "other.txt"
    other.write_text("Everyone knows that the cat walks alone.", encoding="utf-8")
    arguments = ["check", str(essay), str(other), str(essay), "--rubric", "position-paper", "--format", "jsonl"]
    with loopback("ollama", misbehaviours=[refuse_one] * 20) as told:
        status = main([*arguments, "--model", told.url])
    out, err = capsys.readouterr()
    assert (status, [json.loads(line)["path"] for line in out.splitlines()]) == (2, [str(essay)] * 2)
    assert "no, not this one" in err


def test_standard_input_is_called_by_a_dash() -> None:
    done = run(*checking("-", "--strictness", "0.1", "--format", "jsonl"), given=DRAFT.encode())
    row = json.loads(done.stdout)
    assert (done.returncode, row["path"], done.stderr) == (1, "-", b"")
    assert all(DRAFT[f["start"] : f["end"]] == f["quote"] for f in row["findings"])


def test_a_name_that_is_no_text_is_printed_and_found_again(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(path, "wb") as file:  # noqa: PTH123  a Path of bytes there is not
        file.write(DRAFT.encode())
    done = run(*checking(os.fsdecode(path), "--strictness", "0.1", "--format", "jsonl"))
    assert os.fsencode(json.loads(done.stdout)["path"]) == path


def test_a_pipe_that_closes_early_is_no_crash(essay: Path) -> None:
    arguments = command(*checking(*[str(essay)] * 30, "--strictness", "0"))
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_interrupting_prints_what_was_found_so_far(tmp_path: Path, essay: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(LONG * 8, encoding="utf-8")
    screen, keyboard = pty.openpty()
    process = subprocess.Popen(
        command(*checking(str(path), str(essay), "--strictness", "0.1", "--format", "jsonl")), cwd=ROOT,
        stdout=subprocess.PIPE, stderr=keyboard, env={**os.environ, "TERM": "xterm"},
        # Whoever runs the tests in the background may have made ^C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(keyboard)
    seen = b""
    while b" of " not in seen:
        seen += os.read(screen, 4096)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    row = json.loads(out)
    assert row["path"] == str(path)
    assert row["findings"]
    assert b"Traceback" not in seen


def on_a_screen(arguments: Sequence[str], **environment: str) -> str:
    """What the command prints on a terminal."""
    screen, process_end = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        command(*arguments), stdout=process_end, stderr=subprocess.DEVNULL, cwd=ROOT, env={**kept, **environment}
    )
    os.close(process_end)
    seen = b""
    while True:
        try:
            piece = os.read(screen, 65536)
        except OSError:  # the other end is closed: Linux says so by an error
            break
        if not piece:
            break
        seen += piece
    process.wait()
    os.close(screen)
    return seen.decode()


def test_colour_is_for_screens_that_want_it(essay: Path) -> None:
    arguments = checking(str(essay), "--strictness", "0.1")
    assert "\x1b[1;4;33m" in on_a_screen(arguments, TERM="xterm")
    for environment in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = on_a_screen(arguments, **environment)
        assert "\x1b" not in plain
        assert "[" in plain


def test_compare_shows_both_sides(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *checking(str(essay), "--strictness", "0.1")[1:]]) == 1
    table = capsys.readouterr().out
    assert "tiny (base):" in table.splitlines()[0]
    assert "tiny:" in table.splitlines()[0]
    assert "Both: " in table
    assert "Only tuned: " in table


def test_comparing_needs_an_adapter(essay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = str(tiny_model() / "base.gguf")
    assert main(["compare", str(essay), "--rubric", "position-paper", "--model", bare]) == 2
    assert "has no adapter" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["check"], ["check", "a.txt"], ["check", "a.txt", "--rubric", "position-paper", "--strictness", "2"],
     ["check", "a.txt", "--rubric", "position-paper", "--format", "xml"], ["rubric"], ["look"], ["models", "--all"]],
)  # fmt: skip
def test_a_wrong_command_gives_2_and_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m bwcoach" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "a.txt", "--rubric", "essay"], "position-paper, scientific-paper, creative-writing"),
        (["check", "a.txt", "--rubric", "position-paper", "--model", "nosuch"], "nosuch: no such model"),
        (["check", "a.txt", "--rubric", "position-paper", "--model", "a.pkl"], "can run code and are not loaded"),
        (["rubric", "show", "essay"], "there is no rubric of this name"),
    ],
)
def test_what_cannot_run_is_said_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (out, "Traceback" in err) == ("", False)


def test_a_rubric_that_the_model_was_not_taught_is_refused_before_any_file(
    tmp_path: Path, essay: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    text = (ROOT / "rubrics" / "position-paper.yaml").read_text(encoding="utf-8")
    own.write_text(text.replace("name: position-paper", "name: own"), encoding="utf-8")
    assert main(["check", str(essay), str(essay), "--rubric", str(own), "--model", str(tiny_model())]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("was not taught the rubric own")) == ("", 1)


def test_rubrics_are_listed_shown_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rubric", "list"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "position-paper", "scientific-paper", "creative-writing"
    ]  # fmt: skip
    assert main(["rubric", "show", "position-paper"]) == 0
    assert "Wordiness (wordiness; passage, minor)" in capsys.readouterr().out
    assert main(["rubric", "check", "position-paper"]) == 0
    assert "position-paper: sound, 13 criteria" in capsys.readouterr().out
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: broken\ntitel: Broken\n", encoding="utf-8")
    assert main(["rubric", "check", str(broken)]) == 1
    said = capsys.readouterr().out
    assert f"{broken}:2: titel: 'titel' is not a key here; did you mean title?" in said
    assert "criteria: this key is missing" in said
