"""A diagnosis as text for people, and as JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bwcoach.comparison import Comparison
from bwcoach.diagnosis import Diagnosis, Finding
from bwcoach.draft import Draft
from bwcoach.rubric import Criterion

Exporter = Callable[[Iterable[Diagnosis]], Iterator[str]]
"""Diagnoses, as they are finished, to pieces of a text in UTF-8 that are written one after another."""

_CONTEXT = 70
_UNDERLINED, _PLAIN = "\x1b[1;4;33m", "\x1b[0m"
_BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
_VISIBLE = {
    **{code: 0x2400 + code for code in range(0x20)}, 0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), *map(ord, _BIDIRECTIONAL)], 0xFFFD),
}  # fmt: skip


@dataclass(frozen=True)
class Remark:
    """A finding with what its rubric says of it: the n-th of a criterion gets that criterion's n-th wording."""

    finding: Finding
    criterion: Criterion
    question: str
    hint: str


def remarks(diagnosis: Diagnosis) -> tuple[Remark, ...]:
    seen: Counter[str] = Counter()
    made = []
    for finding in diagnosis.findings:
        criterion, number = diagnosis.rubric.criterion(finding.criterion), seen[finding.criterion]
        questions, hints = criterion.questions, criterion.hints
        made.append(Remark(finding, criterion, questions[number % len(questions)], hints[number % len(hints)]))
        seen[finding.criterion] += 1
    return tuple(made)


def as_row(diagnosis: Diagnosis) -> dict[str, Any]:
    """What JSON says of a diagnosis. `start` and `end` are half-open code points of the file's decoded text."""
    return {
        "path": diagnosis.draft.path,
        "rubric": diagnosis.rubric.name,
        "model": diagnosis.model,
        "seconds": round(diagnosis.seconds, 3),
        "findings": [_finding_row(remark, diagnosis.draft) for remark in remarks(diagnosis)],
        "unread": diagnosis.unread,
    }


def _finding_row(remark: Remark, draft: Draft) -> dict[str, Any]:
    finding, criterion = remark.finding, remark.criterion
    return {
        "criterion": finding.criterion, "start": finding.span.start, "end": finding.span.end,
        "quote": finding.quote(draft),
        "confidence": None if finding.confidence is None else round(finding.confidence, 4),
        "severity": criterion.severity, "why": criterion.why, "question": remark.question, "hint": remark.hint,
        "fix": finding.fix, "comment": finding.comment,
    }  # fmt: skip


def as_jsonl(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """One line a draft."""
    for diagnosis in diagnoses:
        yield _dumped(as_row(diagnosis)) + "\n"


def as_json(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """One list of the objects that `as_jsonl` writes, indented."""
    before = "[\n"
    for diagnosis in diagnoses:
        yield before + "  " + _dumped(as_row(diagnosis), indent=2).replace("\n", "\n  ")
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _dumped(row: dict[str, Any], indent: int | None = None) -> str:
    """JSON whose only line ends are its own: what some readers of lines also take for one is escaped."""
    return json.dumps(row, ensure_ascii=False, indent=indent).translate(_LINE_ENDS)


def as_csv(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """One row a finding. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    columns = ("path", "rubric", "model", "criterion", "start", "end", "quote", "confidence", "severity", "why",
               "question", "hint", "fix", "comment")  # fmt: skip
    yield _csv_line(columns)
    for diagnosis in diagnoses:
        row = as_row(diagnosis)
        for finding in row["findings"]:
            yield _csv_line([_no_formula({**row, **finding}[column]) for column in columns])


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    # Every text in quotes: a lone carriage return would else end a row for some readers.
    csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return line.getvalue()


def _no_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def as_text(diagnoses: Iterable[Diagnosis], *, colour: bool = False) -> Iterator[str]:
    """For a terminal: place, criterion, the marked words in context, why, a question. Without colour the marked
    words stand in square brackets, so that the mark survives a pipe."""
    for diagnosis in diagnoses:
        for remark in remarks(diagnosis):
            yield _remark_text(remark, diagnosis.draft, colour) + "\n\n"
        yield summary(diagnosis) + "\n"


def _remark_text(remark: Remark, draft: Draft, colour: bool) -> str:
    finding, criterion = remark.finding, remark.criterion
    sure = "" if finding.confidence is None else f", {finding.confidence:.2f}"
    place = f"{visible(draft.path or 'draft')}:{_line_and_column(draft.text, finding.span.start)}"
    lines = [
        f"{place}: {criterion.name} ({criterion.severity}{sure})",
        f"    {_in_context(finding, draft.text, colour)}",
        f"    Why: {criterion.why}",
        f"    Ask yourself: {remark.question}",
    ]
    if finding.fix is not None:
        lines.append(f"    Perhaps: {visible(finding.fix)}" if finding.fix else "    Perhaps: leave these words out.")
    return "\n".join(lines)


def _line_and_column(text: str, offset: int) -> str:
    """Both from 1 on, the column in code points; CRLF ends one line, not two."""
    return f"{text.count(chr(10), 0, offset) + 1}:{offset - (text.rfind(chr(10), 0, offset) + 1) + 1}"


def _in_context(finding: Finding, text: str, colour: bool) -> str:
    """The marked words with what stands beside them in their lines."""
    start, end = finding.span.start, finding.span.end
    before = text[max(0, start - _CONTEXT) : start].splitlines()[-1:] or [""]
    after = text[end : end + _CONTEXT].splitlines()[:1] or [""]
    if start > _CONTEXT and len(before[0]) == _CONTEXT:
        before = ["…" + re.sub(r"^\S*\s", "", before[0], count=1)]
    if end + _CONTEXT < len(text) and len(after[0]) == _CONTEXT:
        after = [re.sub(r"\s\S*$", "", after[0], count=1) + "…"]
    opening, closing = (_UNDERLINED, _PLAIN) if colour else ("[", "]")
    return f"{visible(before[0])}{opening}{visible(finding.span.quote(text))}{closing}{visible(after[0])}".strip()


def visible(text: str) -> str:
    """On one line, and with nothing in it that a terminal would obey instead of showing."""
    return re.sub(r"[\t\r\n\x0b\f\x85\u2028\u2029]+", " ", text).translate(_VISIBLE)


def summary(diagnosis: Diagnosis) -> str:
    """How much of what was found, in one line; what was not read is said, never passed over."""
    counts = Counter(finding.criterion for finding in diagnosis.findings)
    kinds = ", ".join(f"{count} {criterion}" for criterion, count in counts.most_common())
    total = len(diagnosis.findings)
    found = f"{total} finding{'' if total == 1 else 's'} ({kinds})" if total else "nothing found"
    parts = [f"{found} in {diagnosis.draft.word_count:,} words", f"{diagnosis.model}, {diagnosis.seconds:.1f} s"]
    if diagnosis.unread:
        answers = "1 answer" if diagnosis.unread == 1 else f"{diagnosis.unread} answers"
        parts.append(f"left out: {answers} of the model that named no place in the draft")
    if not diagnosis.complete:
        parts.append("stopped before the end")
    return f"{visible(diagnosis.draft.path or 'draft')}: {'; '.join(parts)}."


EXPORTERS: dict[str, Exporter] = {"text": as_text, "json": as_json, "jsonl": as_jsonl, "csv": as_csv}


def side_by_side(comparison: Comparison, width: int) -> str:
    """Base on the left and tuned on the right, a row a place, in text order, in a table of `width` columns."""
    half = max(20, (width - 3) // 2)
    base, tuned = comparison.base, comparison.tuned
    rows: list[tuple[Finding | None, Finding | None]] = [
        *comparison.both,
        *((one, None) for one in comparison.only_base),
        *((None, other) for other in comparison.only_tuned),
    ]
    rows.sort(key=lambda row: min(finding.span for finding in row if finding is not None))
    heads = [f"{d.model}: {len(d.findings)} found, {d.seconds:.1f} s" for d in (base, tuned)]
    lines = [_columns(heads[0], heads[1], half), f"{'-' * half}-+-{'-' * half}"]
    for one, other in rows:
        lines += [_columns(_cell(one, base.draft), _cell(other, base.draft), half)]
    lines += ["", f"Both: {len(comparison.both)}. Only base: {len(comparison.only_base)}. "
                  f"Only tuned: {len(comparison.only_tuned)}."]  # fmt: skip
    for diagnosis in (base, tuned):
        if diagnosis.unread or not diagnosis.complete:
            lines.append(summary(diagnosis))
    return "\n".join(lines) + "\n"


def _cell(finding: Finding | None, draft: Draft) -> str:
    if finding is None:
        return ""
    sure = "" if finding.confidence is None else f" {finding.confidence:.2f}"
    place = _line_and_column(draft.text, finding.span.start)
    quote = textwrap.shorten(visible(finding.quote(draft)), 120, placeholder=" …")
    return f"{place} {finding.criterion}{sure}: {quote}"


def _columns(left: str, right: str, width: int) -> str:
    """Two cells beside each other, each wrapped to `width` columns."""
    sides = [textwrap.wrap(text, width) or [""] for text in (left, right)]
    height = max(map(len, sides))
    padded = [[*lines, *[""] * (height - len(lines))] for lines in sides]
    return "\n".join(f"{_pad(one, width)} | {other}".rstrip() for one, other in zip(*padded, strict=True))


def _pad(text: str, width: int) -> str:
    """Blanks behind a text up to `width` columns of a terminal, where wide characters take two and marks none."""
    columns = sum(
        0 if unicodedata.combining(c) or unicodedata.category(c) in {"Cf", "Mn", "Me"}
        else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )  # fmt: skip
    return text + " " * (width - columns)
