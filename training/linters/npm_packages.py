"""The linters from npm, installed where git does not look, at the versions of package-lock.json."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from bwcoach.errors import StageError

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build"
LOCK = HERE / "package-lock.json"
# Peers are the whole of textlint and more, which its kernel does without; scripts of packages are not run.
_INSTALL = ("ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error")


def program(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name)
    if found is None:
        raise StageError(
            f"There is no {name} here, which the linters from npm need; install Node.js 18 or later with npm "
            "(on Debian: apt-get install nodejs npm)."
        )
    return found


def installed(build: Path = BUILD) -> Path:
    """The folder with the packages and our scripts beside them; at the first use it is made by `npm ci`."""
    folder = build / f"linters-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        program("node")
        _install(folder)
    for script in HERE.glob("*.mjs"):
        if not (folder / script.name).exists() or (folder / script.name).read_bytes() != script.read_bytes():
            shutil.copy(script, folder)
    return folder


def _install(folder: Path) -> None:
    """Into a folder of another name first, so that one of this name is whole."""
    print(f"Installing write-good, textlint and Harper from npm into {folder}: 150 MB, about a minute.", flush=True)
    npm = program("npm")
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in (HERE / "package.json", LOCK):
        shutil.copy(file, part)
    done = subprocess.run([npm, *_INSTALL], cwd=part, capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:300]
        raise StageError(f"npm ci could not install the linters ({said}); is npm's registry reachable from here?")
    part.rename(folder)
