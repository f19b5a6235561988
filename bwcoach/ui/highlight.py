"""A draft as HTML with its findings marked in it, all of it escaped and overlaps kept visible."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Span
from bwcoach.rubric import Rubric

HUES = 13
STYLES = ("solid", "dashed", "dotted", "double")
_HUE_STEP = 5  # coprime to HUES, so that neighbours in a rubric get colours far apart
_SHOWN_LANES = 4
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Segment:
    """A stretch of a draft that the same findings cover, given by their places in the list of findings."""

    span: Span
    findings: tuple[int, ...]


def segments(length: int, spans: Sequence[Span]) -> tuple[Segment, ...]:
    """A text of that length cut at every begin and end of a span; together the segments are the whole text."""
    cuts = sorted({0, length, *(edge for span in spans for edge in (span.start, span.end))})
    opening: dict[int, list[int]] = {}
    for number, span in enumerate(spans):
        opening.setdefault(span.start, []).append(number)
    inside: list[int] = []
    made = []
    for start, end in pairwise(cuts):
        inside = [number for number in inside if spans[number].end > start] + opening.get(start, [])
        made.append(Segment(Span(start, end), tuple(inside)))
    return tuple(made)


def lanes(spans: Sequence[Span]) -> tuple[int, ...]:
    """For spans in text order, the lowest underline each can have that no span it overlaps has already."""
    free_from: list[int] = []
    taken = []
    for span in spans:
        lane = next((i for i, end in enumerate(free_from) if end <= span.start), len(free_from))
        if lane == len(free_from):
            free_from.append(0)
        free_from[lane] = span.end
        taken.append(lane)
    return tuple(taken)


def finding_key(finding: Finding) -> str:
    """What a finding is called in the page: the same however many others are found before it."""
    return f"{finding.span.start}-{finding.span.end}-{finding.criterion}"


def look(rubric: Rubric, criterion: str) -> tuple[str, str]:
    """The class and the style that give a criterion its colour and underline; 52 pairs before one recurs."""
    number = rubric.ids.index(criterion)
    hue = round(number * _HUE_STEP % HUES * 360 / HUES)
    return f"line-{STYLES[number % len(STYLES)]}", f"--hue:{hue}"


def shown(text: str) -> str:
    """Text as HTML: escaped, and what no page can show put as the replacement character, one for one."""
    return escape(_UNSHOWABLE.sub("\ufffd", text))


def marked_text(draft: Draft, rubric: Rubric, findings: Sequence[Finding], quiet: frozenset[str] = frozenset()) -> str:
    """The draft with its findings, which are in text order, marked and numbered from 1.

    Every character of the draft is there once and in its place; the numbers are drawn by the style sheet. Those
    whose key is in `quiet` are drawn faintly.
    """
    spans = [finding.span for finding in findings]
    lane = lanes(spans)
    parts = []
    for segment in segments(len(draft.text), spans):
        piece = shown(segment.span.quote(draft.text))
        for number in sorted(segment.findings, key=lambda n: -lane[n]):
            kind, style = look(rubric, findings[number].criterion)
            key = finding_key(findings[number])
            faint = " quiet" if key in quiet else ""
            piece = (
                f'<span class="mark {kind}{faint}" data-finding="{escape(key)}" '
                f'style="{style};--lane:{min(lane[number], _SHOWN_LANES - 1)}">{piece}</span>'
            )
        parts.append(piece)
        ending = [n for n in segment.findings if spans[n].end == segment.span.end]
        parts.extend(_number(draft, rubric, findings[n], n + 1) for n in ending)
    return f'<div class="draft-text" dir="auto">{"".join(parts)}</div>'


def _number(draft: Draft, rubric: Rubric, finding: Finding, number: int) -> str:
    """The finding's number behind its words: what is clicked, and where the keyboard goes."""
    _, style = look(rubric, finding.criterion)
    name = f"Finding {number}, {rubric.criterion(finding.criterion).name}: {finding.quote(draft)}"
    return (
        f'<span class="number" role="button" tabindex="0" data-finding="{escape(finding_key(finding))}" '
        f'data-number="{number}" style="{style}" aria-label="{shown(name)}"></span>'
    )
