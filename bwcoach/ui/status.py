"""The line that says where things stand: calm, and never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from bwcoach.errors import BwcoachError
from bwcoach.models import ModelCard
from bwcoach.ui.highlight import shown


def calm(text: str) -> str:
    return f'<div class="status" role="status"><p>{shown(text)}</p></div>'


def fault(error: Exception) -> str:
    """What a user can mend, in the error's own words. A defect of ours is logged, and said to be one."""
    if isinstance(error, BwcoachError):
        lines = str(error).splitlines()
    else:
        logging.getLogger(__name__).error("the page could not do what it was asked for", exc_info=error)
        lines = ["The coach itself failed, and your draft is as it was. The terminal it runs in says more."]
    return f'<div class="status fault" role="alert">{paragraphs(lines)}</div>'


def paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{shown(line)}</p>" for line in lines)


def reading(words_read: int, words: int, findings: int) -> str:
    """How far a reading has come."""
    done = min(words_read, words)
    return (
        f'<div class="status" role="status"><p>{done:,} of {words:,} words read, {words - done:,} left · '
        f"{count(findings)}</p>"
        f'<progress value="{done}" max="{max(words, 1)}" aria-label="Words read"></progress></div>'
    )


def count(number: int, noun: str = "finding") -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def measured(card: ModelCard) -> str:
    """A model's name with how often it is right, to stand beside its findings."""
    precision = "precision not measured" if card.precision is None else f"measured precision {card.precision:.2f}"
    return f"{card.name}, {precision}"
