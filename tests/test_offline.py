"""Nothing leaves the machine: a diagnosis with every way out shut, by the kernel and by Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bwcoach.models import MODELS, installed_models
from tests.tiny_coach import tiny_model

ROOT = Path(__file__).resolve().parent.parent
DRAFT = "The plan was changed by them. It is important to note that things got worse, and everyone knows why.\n" * 3
# Runs the command line in a Python where looking a name up and connecting anywhere end the process with status 86.
SHUT = """
import os, socket, sys

def shut(*_, **__):
    os.write(2, b"a way out was tried\\n")
    os._exit(86)

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = shut
socket.getaddrinfo = socket.create_connection = socket.gethostbyname = shut

from bwcoach.cli import main
sys.exit(main())
"""


def shut_in(*arguments: str, given: str = DRAFT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SHUT, *arguments]
    if alone := namespace():
        command = [*alone, *command]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=ROOT)


def namespace() -> list[str]:
    """The command before a command that leaves it a machine without any network; none where that is not allowed."""
    unshare = shutil.which("unshare")
    for way in (["-n"], ["-rn"]):
        if unshare and subprocess.run([unshare, *way, "true"], capture_output=True, check=False).returncode == 0:
            return [unshare, *way]
    return []


@pytest.mark.parametrize("model", ["tiny", *(name for name in installed_models() if name == "mini")])
def test_a_diagnosis_needs_no_network(model: str) -> None:
    folder = tiny_model() if model == "tiny" else MODELS / model
    arguments = ["check", "-", "--rubric", "position-paper", "--model", str(folder), "--format", "jsonl"]
    done = shut_in(*arguments, "--strictness", "0.3")
    assert (done.returncode, done.stderr) == (1, "")
    row = json.loads(done.stdout)
    assert row["findings"]
    assert all(DRAFT[f["start"] : f["end"]] == f["quote"] for f in row["findings"])


def test_the_door_is_shut() -> None:
    """The same preamble stops a model that is a server, so the test above means something."""
    done = shut_in("check", "-", "--rubric", "position-paper", "--model", "http://127.0.0.1:9/v1")
    assert (done.returncode, done.stderr) == (86, "a way out was tried\n")


@pytest.mark.parametrize("package", ["bwcoach", "training", "app"])
def test_no_library_is_let_report_its_use(package: str) -> None:
    """Gradio, TRL and the hub's client ask these variables, when they are imported, whether they may."""
    code = (
        f"import {package}, os, huggingface_hub.constants as hub\n"
        "print(hub.HF_HUB_DISABLE_TELEMETRY, hub.HF_HUB_OFFLINE, os.environ['GRADIO_ANALYTICS_ENABLED'])"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "HF_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=kept)
    assert done.stdout.split() == ["True", "True", "False"]
