"""Where the sentences of a passage begin and end."""

from __future__ import annotations

import re
from functools import lru_cache

from bwcoach.draft import Span

_STOP = re.compile(r"[.!?][)”\"’']*(?=\s)|\n+")
_NO_STOP = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|Rev|Capt|Col|Gen|Lt|Sgt|Hon|Jr|Sr|vs|cf|al|e\.g|i\.e|Fig|Figs|Eq|No|ca|approx|Inc|Ltd"
    r"|Co|U\.S|p|pp|Vol|resp|spp|sp|Ref|Refs|Sec|etc))\.$"
)


@lru_cache(maxsize=64)
def sentences(text: str) -> tuple[Span, ...]:
    """The sentences in order, without the blanks around them; a paragraph's end is a sentence's end."""
    found, start = [], 0
    for stop in _STOP.finditer(text):
        if not stop[0].startswith("\n") and _NO_STOP.search(text, max(start, stop.start() - 8), stop.end()):
            continue
        if not stop[0].startswith("\n") and text[stop.end() : stop.end() + 2].strip()[:1].islower():
            continue
        found.append(Span(start, stop.end()))
        start = stop.end()
    found.append(Span(start, len(text)))
    return tuple(span for span in (_trimmed(text, span) for span in found) if len(span))


def _trimmed(text: str, span: Span) -> Span:
    quote = span.quote(text)
    start = span.start + len(quote) - len(quote.lstrip())
    return Span(start, start + len(quote.strip()))


def same_paragraph(text: str, first: Span, second: Span) -> bool:
    return "\n" not in text[first.end : second.start]
