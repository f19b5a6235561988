"""proselint, a library of this Python."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from proselint.checks import __register__
from proselint.registry import CheckRegistry
from proselint.tools import LintFile
from proselint.version import __version__

from bwcoach.draft import Span
from training.linters.rule_table import Complaint


@dataclass(frozen=True)
class Proselint:
    name: str = "proselint"
    version: str = __version__

    def start(self) -> None:
        """Fill its registry."""
        _registered()

    def complaints(self, text: str) -> tuple[Complaint, ...]:
        _registered()
        if not text:
            return ()
        results = (found.check_result for found in LintFile("draft", text).lint())
        # It reads the text with a line end put before it and one behind.
        places = [(one.check_path, max(0, one.span[0] - 1), min(len(text), one.span[1] - 1)) for one in results]
        return tuple(Complaint(path, Span(start, end)) for path, start, end in places if start < end)


@cache
def _registered() -> None:
    CheckRegistry().register_many(__register__)
