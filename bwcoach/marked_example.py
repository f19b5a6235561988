"""An example of a weakness, or of what only looks like one, as a text with one marked place."""

from __future__ import annotations

import re
from dataclasses import dataclass

Fault = tuple[str, str]
"""What is wrong, and what would be right."""

_MARK = re.compile(r"\{\{([^{}|]*)(?:\|([^{}|]*))?\}\}")


@dataclass(frozen=True)
class MarkedExample:
    """A text with its mark taken out; `start` and `end` are half-open code points of `text`, with no outer blanks.

    A weak example reads worse, and `better` is what would stand at the place instead ("" where the words simply
    go); in a sound example, where only a hasty reader would mark the place, `better` is None.
    """

    text: str
    start: int
    end: int
    better: str | None


def read_marked(written: str) -> MarkedExample:
    """The example written as "... {{worse|better}} ..." or "... {{place}} ..."; ValueError where it is not one."""
    mark, fault = _MARK.search(written), _fault(written)
    if mark is None or fault:
        raise ValueError(fault)
    worse, better = mark[1], mark[2]
    start = mark.start() + len(worse) - len(worse.lstrip())
    text = written[: mark.start()] + worse + written[mark.end() :]
    return MarkedExample(text, start, start + len(worse.strip()), better if better is None else better.strip())


def weak_fault(written: str) -> Fault | None:
    """What keeps a text from being a weak example: one {{worse|better}}."""
    if (fault := _fault(written)) or read_marked(written).better is not None:
        return fault
    fix = "write {{worse|better}}, with nothing after the bar where the words should simply go"
    return "the mark has no better reading", fix


def sound_fault(written: str) -> Fault | None:
    """What keeps a text from being a sound example: one {{place}} that a hasty reader would mark."""
    if (fault := _fault(written)) or read_marked(written).better is None:
        return fault
    return "a sound example has nothing to make better", "take the bar, and what follows it, out of the mark"


def _fault(written: str) -> Fault | None:
    """What keeps a text from having exactly one mark with something in it."""
    marks = list(_MARK.finditer(written))
    rest = _MARK.sub("", written)
    if "{{" in rest or "}}" in rest:
        return "a mark is malformed", "begin it with {{ and end it with }}, with no brace and at most one bar inside"
    if len(marks) > 1:
        return f"{len(marks)} places are marked", "mark one, and make another example of each other place"
    if not marks or not marks[0][1].strip():
        return "the mark is empty" if marks else "nothing is marked", "put {{ and }} round the words it is about"
    return None
