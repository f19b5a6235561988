"""Figures in the tables of a Markdown report."""

from __future__ import annotations

from collections.abc import Iterable

from training.scoring import Estimate


def or_dash(value: Estimate | float | None) -> str:
    """A figure with its interval where it has one."""
    return "–" if value is None else str(value) if isinstance(value, Estimate) else f"{value:.3f}"


def short(value: Estimate | None) -> str:
    """As `or_dash`, with one digit."""
    return "–" if value is None else f"{value.value:.1f} ({value.low:.1f} to {value.high:.1f})"


def among(value: Estimate, count: int) -> str:
    """A share, and of how many it is one; a dash where it is one of none."""
    return f"{value} of {count}" if count else "–"


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *(tuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
