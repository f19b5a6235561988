"""One place of a passage made worse, and what a coach would mark and mend there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from training.examples import Example


@dataclass(frozen=True)
class Edit:
    """`replacement` stands in the place of `span` of the better text; `mark` is a place inside the replacement.

    `fix` stands in the place of the mark, not of the whole replacement. `form` names what was done, so that whole
    forms can be held out.
    """

    span: Span
    replacement: str
    mark: Span
    criterion: str
    fix: str | None
    form: str


def trimmed(text: str, span: Span) -> Span:
    """The span without the blanks at its ends; empty where it holds nothing else."""
    quote = span.quote(text)
    start = span.start + len(quote) - len(quote.lstrip())
    return Span(start, start + len(quote.strip()))


def fix_for(better: str, worse: str, mark: Span) -> str | None:
    """What in the place of `mark` turns `worse` into `better`; None where they differ outside the mark as well.

    Where the marked words should simply go, one of the blanks beside them goes with them.
    """
    head, tail = worse[: mark.start], worse[mark.end :]
    if len(better) >= len(head) + len(tail) and better.startswith(head) and better.endswith(tail):
        return better[len(head) : len(better) - len(tail)]
    return "" if better in (head.rstrip() + tail, head + tail.lstrip()) else None


def changed(match: re.Match[str], worse: str, criterion: str, form: str, mark: str | None = None) -> Edit:
    """The match replaced by `worse`; the mark is all of it, or the first place of the words of `mark` in it."""
    start = 0 if mark is None else worse.index(mark)
    span = Span(start, start + len(worse if mark is None else mark))
    return Edit(Span(*match.span()), worse, span, criterion, fix_for(match[0], worse, span), form)


def planted(at: int, sentence: str, criterion: str, form: str) -> Edit:
    """A sentence put in after the one that ends at `at`; its fix is to go."""
    return Edit(Span(at, at), f" {sentence}", Span(1, len(sentence) + 1), criterion, "", form)


def weaken(passage: Example, edit: Edit, injector: str) -> Example:
    """The passage with the edit made and its finding added to those that it had (see moved_findings)."""
    mark = Finding(_moved(edit.mark, edit.span.start), edit.criterion, fix=edit.fix)
    origin = passage.provenance
    if injector not in origin.injectors:
        origin = replace(origin, injectors=(*origin.injectors, injector))
    return replace(
        passage,
        text=passage.text[: edit.span.start] + edit.replacement + passage.text[edit.span.end :],
        findings=_in_order((mark, *moved_findings(passage, edit))),
        provenance=replace(origin, forms=(*origin.forms, edit.form)),
    )


def moved_findings(passage: Example, edit: Edit) -> tuple[Finding, ...]:
    """The passage's findings where they are after the edit.

    Those after it move with their words. One that the edit cuts into is found again inside the replacement, or goes
    where its words are no longer there exactly once.
    """
    shift = len(edit.replacement) - len(edit.span)
    findings = []
    for finding in passage.findings:
        if finding.span.end <= edit.span.start:
            findings.append(finding)
        elif finding.span.start >= edit.span.end:
            findings.append(replace(finding, span=_moved(finding.span, shift)))
        else:
            quote = finding.span.quote(passage.text)
            if edit.replacement.count(quote) == 1:
                start = edit.span.start + edit.replacement.index(quote)
                findings.append(replace(finding, span=Span(start, start + len(quote))))
    return _in_order(findings)


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (f.span.start, -f.span.end, f.criterion)))


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
