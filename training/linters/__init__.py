"""What people use to check their prose, as systems that are compared with ours on the same drafts."""

from __future__ import annotations

from collections.abc import Iterable

from training.linters.language_tool import LanguageTool
from training.linters.node_linter import NodeLinter
from training.linters.proselint import Proselint
from training.linters.system import Linter, LinterSystem

__all__ = ["LinterSystem", "linter", "linter_systems"]


def linter(name: str) -> Linter:
    """One of the names that the recipe's `evaluate.against` may hold."""
    match name:
        case "proselint":
            return Proselint()
        case "write-good":
            return NodeLinter(name, "write_good.mjs")
        case "textlint" | "harper":
            return NodeLinter(name, f"{name}.mjs")
        case "languagetool":
            return LanguageTool()
    raise ValueError(name)


def linter_systems(names: Iterable[str]) -> tuple[LinterSystem, ...]:
    return tuple(LinterSystem(linter(name)) for name in dict.fromkeys(names))
