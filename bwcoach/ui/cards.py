"""Findings as cards, and how many there are of each criterion, as escaped HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from bwcoach.diagnosis import Diagnosis
from bwcoach.report import Remark, remarks
from bwcoach.ui.highlight import finding_key, look, shown


def cards(diagnosis: Diagnosis, asked: frozenset[str]) -> str:
    """A card a finding, in text order; `asked` are the keys of those for which a fix was asked for."""
    made = [
        _card(diagnosis, remark, number, finding_key(remark.finding) in asked)
        for number, remark in enumerate(remarks(diagnosis), start=1)
    ]
    return "".join(made)


def _card(diagnosis: Diagnosis, remark: Remark, number: int, asked: bool) -> str:
    finding, criterion = remark.finding, remark.criterion
    key = escape(finding_key(finding))
    kind, style = look(diagnosis.rubric, criterion.id)
    sure = "" if finding.confidence is None else f'<span class="sure">{finding.confidence:.0%} sure</span>'
    comment = "" if finding.comment is None else f"<p>{shown(finding.comment)}</p>"
    return (
        f'<article class="card" data-finding="{key}" style="{style}" aria-label="Finding {number}">'
        f'<h3><button type="button" class="head" aria-expanded="false">'
        f'<span class="badge">{number}</span><span class="name {kind}">{shown(criterion.name)}</span>'
        f'<span class="severity">{criterion.severity}</span></button></h3>'
        f'<p class="quote"><bdi>{shown(finding.quote(diagnosis.draft))}</bdi></p>'
        f'<p class="question">{shown(remark.question)}</p>'
        f'<div class="more"><p><b>Hint</b> {shown(remark.hint)}</p>'
        f"<p><b>Why it matters</b> {shown(criterion.why)}</p>{comment}"
        f'{_fix(diagnosis, remark, asked)}<p class="foot">{sure}'
        f'<button type="button" class="plain" data-act="place">Show in the text</button></p></div></article>'
    )


def _fix(diagnosis: Diagnosis, remark: Remark, asked: bool) -> str:
    fix = remark.finding.fix
    if fix is None and not asked:
        return '<p class="fix"><button type="button" data-act="fix">Suggest a fix</button></p>'
    if fix is None:
        return (
            '<p class="fix" role="status" tabindex="-1">No fix is probable enough to show; the question may take you '
            "further.</p>"
        )
    instead = f"<ins><bdi>{shown(fix)}</bdi></ins>" if fix else "<i>leave these words out</i>"
    old = shown(remark.finding.quote(diagnosis.draft))
    return f'<p class="fix" role="status" tabindex="-1"><b>One way</b> <del><bdi>{old}</bdi></del> {instead}</p>'


def legend(diagnosis: Diagnosis) -> str:
    """Every criterion of the rubric that was found, with how often; the others are named after them."""
    rubric = diagnosis.rubric
    found = [criterion for criterion in rubric.criteria if diagnosis.count(criterion.id)]
    clear = [shown(criterion.name) for criterion in rubric.criteria if not diagnosis.count(criterion.id)]
    chips = []
    for criterion in found:
        kind, style = look(rubric, criterion.id)
        chips.append(
            f'<li><button type="button" class="chip" aria-pressed="true" data-criterion="{escape(criterion.id)}" '
            f'style="{style}" title="Show or hide {shown(criterion.name)}"><span class="{kind}">{shown(criterion.name)}'
            f'</span> <span class="count">{diagnosis.count(criterion.id)}</span></button></li>'
        )
    rest = f'<p class="clear">Nothing found: {_listed(clear)}.</p>' if clear and diagnosis.complete else ""
    return f'<ul class="legend" aria-label="Findings for each criterion">{"".join(chips)}</ul>{rest}'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name[:1].lower() + name[1:] for name in names)
