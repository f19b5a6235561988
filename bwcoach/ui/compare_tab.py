"""The Compare tab: what a model found in the draft before it was tuned, and what after."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from bwcoach.coach import Coach
from bwcoach.comparison import Comparison, compare
from bwcoach.diagnosis import Diagnosis, Finding
from bwcoach.draft import Draft
from bwcoach.errors import ModelError
from bwcoach.rubric import Rubric
from bwcoach.ui.coach_tab import AT_ONCE, ON_MODEL, PAGE_JS
from bwcoach.ui.desk import Desk
from bwcoach.ui.highlight import finding_key, look, marked_text, shown
from bwcoach.ui.review import Review, reviews
from bwcoach.ui.settings import Settings, chosen_rubric
from bwcoach.ui.status import calm, count, fault, reading

_COMPARE = "compare"
_Pair = tuple[Review, Review | None]


def build_compare_tab(settings: Settings, draft: gr.Textbox, desk: Desk) -> None:
    """Build the tab where the page stands; it reads the draft of the Coach tab with the settings above both."""
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Compare base and tuned", variant="primary", elem_id="compare", scale=0, min_width=220)
        stop = gr.Button("Stop", interactive=False, elem_id="compare-stop", scale=0, min_width=80)
        status = gr.HTML(
            calm("Reads the draft of the Coach tab twice: with the model as it was, and as tuned to mark weaknesses."),
            apply_default_css=False, elem_id="compare-status", elem_classes="status-line",
        )  # fmt: skip
    page = gr.HTML("", js_on_load=PAGE_JS, apply_default_css=False, elem_id="comparison")

    def begin(request: gr.Request) -> tuple[str, object, object]:
        desk.begin(str(request.session_hash), _COMPARE)
        return calm("Waiting for the model …"), gr.update(interactive=False), gr.update(interactive=True)

    def read(
        text: str | None, rubric: str, rubric_file: str | None, model: str, strictness: float, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        halt = desk.begun(str(request.session_hash), _COMPARE)
        done = {start: gr.update(interactive=True), stop: gr.update(interactive=False)}
        latest: _Pair | None = None
        try:
            given, by = Draft(text or ""), chosen_rubric(rubric, rubric_file)
            for latest in desk.lend(model, halt, lambda coach: _both(given, by, coach, model, strictness, halt)):
                base, tuned = latest
                now = tuned or base
                yield {status: reading(now.words_read, given.word_count, len(now.at(strictness).findings))}
        except Exception as error:
            yield {status: fault(error), **done}
            return
        if latest is None or latest[1] is None:
            yield {status: calm("Stopped before both had read the draft; there is nothing to compare yet."), **done}
            return
        comparison = compare(latest[0].at(strictness), latest[1].at(strictness))
        yield {page: _page(comparison), status: calm(_outcome(comparison)), **done}

    def halt(request: gr.Request) -> tuple[object, object]:
        desk.stop(str(request.session_hash))
        return gr.update(interactive=True), gr.update(interactive=False)

    begun = start.click(begin, None, [status, start, stop], **AT_ONCE)
    begun.then(read, [draft, *settings.inputs], [page, status, start, stop], **ON_MODEL)
    stop.click(halt, None, [start, stop], **AT_ONCE)


def _both(
    draft: Draft, rubric: Rubric, coach: Coach, model: str, strictness: float, stop: threading.Event
) -> Iterator[_Pair]:
    """The base's review as it grows, then beside it the tuned model's; one loaded model gives both."""
    if not coach.backend.has_adapter:
        raise ModelError(
            f"The model {coach.card.name} has no adapter, so base and tuned are the same; choose a model that was "
            "tuned, such as the embedded one."
        )
    base: Review | None = None
    for base in reviews(draft, rubric, coach, model, strictness=strictness, stop=stop, tuned=False):
        yield base, None
    if base is None or stop.is_set():
        return
    for tuned in reviews(draft, rubric, coach, model, strictness=strictness, stop=stop):
        yield base, tuned


def _outcome(comparison: Comparison) -> str:
    stopped = "" if comparison.base.complete and comparison.tuned.complete else "Stopped before the end. "
    return (
        f"{stopped}Both found {len(comparison.both)} · only base {len(comparison.only_base)} · "
        f"only tuned {len(comparison.only_tuned)}"
    )


def _page(comparison: Comparison) -> str:
    both_base, both_tuned = zip(*comparison.both, strict=True) if comparison.both else ((), ())
    base = _side("Base", "as it was before tuning", comparison.base, both_base, comparison.only_base)
    tuned = _side("Tuned", "with its adapter", comparison.tuned, both_tuned, comparison.only_tuned)
    return f'<div class="comparison">{base}{tuned}</div>'


def _side(title: str, state: str, diagnosis: Diagnosis, both: Sequence[Finding], alone: Sequence[Finding]) -> str:
    faint = frozenset(finding_key(finding) for finding in both)
    text = marked_text(diagnosis.draft, diagnosis.rubric, diagnosis.findings, faint)
    return (
        f'<section class="side" aria-label="{title}"><h2>{title}</h2><p class="sub">{shown(diagnosis.model)} {state}: '
        f'{count(len(diagnosis.findings))} in {diagnosis.seconds:.2f} s</p><div class="sheet">{text}</div>'
        f"{_list(f'Only {title.lower()} found', alone, diagnosis)}{_list('Both found', both, diagnosis)}</section>"
    )


def _list(title: str, findings: Sequence[Finding], diagnosis: Diagnosis) -> str:
    number = {finding: place for place, finding in enumerate(diagnosis.findings, start=1)}
    entries = "".join(_entry(finding, number[finding], diagnosis) for finding in findings)
    return f'<h3>{title} <span class="count">{len(findings)}</span></h3><ul class="entries">{entries}</ul>'


def _entry(finding: Finding, number: int, diagnosis: Diagnosis) -> str:
    kind, style = look(diagnosis.rubric, finding.criterion)
    name = shown(diagnosis.rubric.criterion(finding.criterion).name)
    return (
        f'<li><button type="button" class="entry" data-finding="{escape(finding_key(finding))}" style="{style}">'
        f'<span class="badge">{number}</span><span class="name {kind}">{name}</span>'
        f'<bdi class="quote">{shown(finding.quote(diagnosis.draft))}</bdi></button></li>'
    )
