"""What stands in a repaired text at a place of the text before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from bwcoach.draft import Span

_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Repair:
    """`span` holds the place asked about, widened to whole changes; `text` is what stands there in the repair."""

    span: Span
    text: str


@dataclass(frozen=True)
class Alignment:
    """The words and stops of a text and of its repair, paired by a word diff.

    `changes` are runs of them by index, from a to b in the text and from c to d in the repair, that are not the same.
    """

    text: str
    revised: str
    before: tuple[Span, ...]
    after: tuple[Span, ...]
    changes: tuple[tuple[int, int, int, int], ...]

    @staticmethod
    def of(text: str, revised: str) -> Alignment:
        before, after = _words(text), _words(revised)
        matcher = SequenceMatcher(
            None, [w.quote(text) for w in before], [w.quote(revised) for w in after], autojunk=False
        )
        changes = tuple((a, b, c, d) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal")
        return Alignment(text, revised, before, after, changes)

    def repair(self, span: Span) -> Repair | None:
        """What became of the place; None where it was left as it stood.

        Words that were put in right before or right after the place count as its own.
        """
        inside = [i for i, word in enumerate(self.before) if word.overlap(span)]
        if not inside:
            return None
        first, last = inside[0], inside[-1] + 1
        touched = [
            (a, b, c, d) for a, b, c, d in self.changes
            if (first <= a <= last if a == b else a < last and first < b)
        ]
        if not touched:
            return None
        (a, _, c, _), (_, b, _, d) = touched[0], touched[-1]
        # Between the edges of the place and those of the changes in it all words are the same.
        new = self.after[min(c, c + first - a) : max(d, d + last - b)]
        old = self.before[min(first, a) : max(last, b)]
        reach = Span(min(span.start, old[0].start), max(span.end, old[-1].end))
        return Repair(reach, self.revised[new[0].start : new[-1].end] if new else "")


def _words(text: str) -> tuple[Span, ...]:
    return tuple(Span(*found.span()) for found in _WORD.finditer(text))
