"""The tree that README shows is the tree there is, in the order of imports, and heavy libraries keep to their homes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests.tiny_coach import tiny_model

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bwcoach", "training")
# What starts things may import all of them.
STARTERS = {"app", "bwcoach.__main__", "training.__main__", "training.linters.__main__"}
HOMES = {
    "torch": ("bwcoach.backends.transformers", "training"),
    "transformers": ("bwcoach.backends.transformers", "training"),
    "peft": ("bwcoach.backends.transformers", "training"),
    "bitsandbytes": ("bwcoach.backends.transformers", "training"),
    "accelerate": ("bwcoach.backends.transformers", "training"),
    "llama_cpp": ("bwcoach.backends.llamacpp", "training"),
    "llguidance": ("bwcoach.backends", "training"),
    "jinja2": ("bwcoach.backends.templates",),
    "gradio": ("bwcoach.ui",),
    "sentencex": ("bwcoach.draft",),
    "lemminflect": ("training.injectors",),
    **dict.fromkeys(("trl", "datasets", "gguf", "sentencepiece", "zstandard"), ("training",)),
    **dict.fromkeys(("sklearn", "scipy", "matplotlib"), ("training",)),
}


def tree() -> Iterator[PurePosixPath]:
    """The paths of README's tree from top to bottom; a folder's own line stands for its `__init__.py`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## The tree")[1]
    above: list[tuple[int, PurePosixPath]] = []
    for line in text.split("```")[1].strip("\n").splitlines():
        depth, name = len(line) - len(line.lstrip()), line.split()[0]
        above = [(d, folder) for d, folder in above if d < depth]
        path = above[-1][1] / name if above else PurePosixPath(name)
        yield path
        above.append((depth, path))


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    files = [ROOT / "app.py", *(file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))]
    return {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def imports(file: Path) -> Iterator[str]:
    """What a module imports, anywhere in it, by dotted name; `from a import b` is a.b where that is a module."""
    known = modules()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module


def listed() -> list[str]:
    """The modules of README's tree, in its order."""
    names = []
    for path in tree():
        if path.parts[0] in (*PACKAGES, "app.py") and ((ROOT / path).is_dir() or path.suffix == ".py"):
            names.append(".".join(path.with_suffix("").parts))
    return names


def test_the_readmes_tree_lists_every_module_once() -> None:
    have = {name for name, file in modules().items() if file.name != "__init__.py" or file.parent == ROOT}
    folders = {name for name, file in modules().items() if file.name == "__init__.py"}
    names = listed()
    assert len(names) == len(set(names))
    assert have - set(names) == set(), "in the tree on the disk, not in README's"
    assert set(names) - have - folders - plain_folders() == set(), "in README's tree, not on the disk"


def plain_folders() -> set[str]:
    """Folders inside the packages that hold no modules."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_dir())
    return {".".join(path.relative_to(ROOT).parts) for path in found if not (path / "__init__.py").exists()}


def test_whatever_the_readmes_tree_names_is_there() -> None:
    missing = [path for path in tree() if "<" not in str(path) and not any(ROOT.glob(str(path)))]
    assert missing == []


def test_a_module_imports_only_what_stands_above_it() -> None:
    place = {name: number for number, name in enumerate(listed())}
    wrong = [
        f"{name} imports {other}"
        for name, file in modules().items() if name not in STARTERS
        for other in imports(file)
        # A package's own file gathers what stands in it.
        if other in place and name in place and place[other] >= place[name] and not other.startswith(f"{name}.")
    ]  # fmt: skip
    assert wrong == []


def test_bwcoach_knows_nothing_of_training() -> None:
    knowing = [name for name, file in modules().items() if name.startswith(("bwcoach", "app"))
               for other in imports(file) if other.split(".")[0] in ("training", "tests", "benchmarks")]  # fmt: skip
    assert knowing == []


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_is_imported_only_in_its_homes(library: str) -> None:
    strays = [
        name for name, file in modules().items()
        if any(other.split(".")[0] == library for other in imports(file)) and not name.startswith(HOMES[library])
    ]  # fmt: skip
    assert strays == []


def imported_by(code: str) -> set[str]:
    """The top-level names in `sys.modules` after the code has run in a Python of its own."""
    code += "\nimport sys; print('modules', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_command_line_with_a_gguf_never_imports_torch(tmp_path: Path) -> None:
    draft = tmp_path / "draft.txt"
    draft.write_text("The plan was changed by them. Everyone knows that things got worse.", encoding="utf-8")
    arguments = ["check", str(draft), "--rubric", "position-paper", "--model", str(tiny_model()), "--fix"]
    names = imported_by(f"from bwcoach.cli import main; assert main({arguments!r}) in (0, 1)")
    assert "llama_cpp" in names
    assert not names & {"torch", "transformers", "peft", "gradio"}


def test_the_page_never_imports_torch() -> None:
    names = imported_by("import app")
    assert "gradio" in names
    assert not names & {"torch", "transformers", "peft"}


def test_naming_a_stage_imports_none_of_the_others() -> None:
    assert not imported_by("import training.__main__") & {"torch", "transformers", "trl", "gguf"}


def test_the_apps_requirements_leave_torch_out_and_pin_everything() -> None:
    for name in ("requirements.txt", "requirements-gpu.txt", "training/requirements.txt", "tests/requirements.txt"):
        lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert [line for line in lines if "==" not in line and not line.startswith("-r ")] == []
        has_torch = any(line.startswith("torch==") for line in lines)
        assert has_torch == (name in ("requirements-gpu.txt", "training/requirements.txt"))
