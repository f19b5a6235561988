"""Drafts to try the page with, from examples/, each named <rubric>.<what-it-is-about>.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bwcoach.rubric import builtin_rubrics

EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class ExampleDraft:
    title: str
    rubric: str
    text: str


def example_drafts() -> tuple[ExampleDraft, ...]:
    """In the order of the built-in rubrics, then by name."""
    order = builtin_rubrics()
    drafts = []
    for path in sorted(EXAMPLES.glob("*.*.md")):
        rubric, about = path.stem.split(".", 1)
        title = about[:1].upper() + about[1:].replace("-", " ")
        # Bytes and not text mode, so that line ends stay as they are.
        drafts.append(ExampleDraft(title, rubric, path.read_bytes().decode("utf-8")))
    return tuple(sorted(drafts, key=lambda draft: order.index(draft.rubric)))
