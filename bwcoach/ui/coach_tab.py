"""The Coach tab: a draft goes in, and its findings come into its text as they are found."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import gradio as gr

from bwcoach.coach import Coach, suggest_fix
from bwcoach.diagnosis import Diagnosis, Finding
from bwcoach.draft import Draft
from bwcoach.rubric import load_rubric
from bwcoach.ui.cards import cards, legend
from bwcoach.ui.desk import Desk
from bwcoach.ui.example_drafts import ExampleDraft, example_drafts
from bwcoach.ui.highlight import marked_text
from bwcoach.ui.review import Review, reviews
from bwcoach.ui.settings import Settings, chosen_rubric
from bwcoach.ui.status import calm, count, fault, measured, reading

PAGE_JS = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
ON_MODEL: dict[str, Any] = {**QUIET, "concurrency_id": "model", "concurrency_limit": 1}

_READ, _FIX = "coach", "fix"
_LEAST_PAUSE = 0.1
_CHARACTERS_A_SECOND = 2_000_000
_HOW = (
    "<h2>How it works</h2><ol><li>Paste a draft, or open an example.</li><li>Choose the rubric it should meet.</li>"
    "<li>Press Diagnose. Every mark in the text has a number, and its card asks a question about that place.</li></ol>"
)


def build_coach_tab(settings: Settings, desk: Desk) -> gr.Textbox:
    """Build the tab where the page stands; gives the draft's box, which other tabs read too."""
    kept_review = gr.State(None)
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Diagnose", variant="primary", elem_id="diagnose", scale=0, min_width=130)
        stop = gr.Button("Stop", interactive=False, elem_id="stop", scale=0, min_width=80)
        edit = gr.Button("Edit the draft", visible=False, elem_id="edit", scale=0, min_width=150)
        status = gr.HTML(
            calm("Ready when you are."), apply_default_css=False, elem_id="status", elem_classes="status-line"
        )
    with gr.Row(elem_classes="write") as write:
        with gr.Column(scale=3, min_width=300):
            draft = gr.Textbox(
                label="Your draft", placeholder="Paste or type it here.", lines=18, max_lines=18, elem_id="draft"
            )
        with gr.Column(scale=1, min_width=260, elem_classes="aside"):
            gr.HTML(f"{_HOW}<h2>Example drafts</h2>", apply_default_css=False, elem_classes="how")
            for rubric, examples in groupby(example_drafts(), key=lambda example: example.rubric):
                gr.HTML(f"<h3>{load_rubric(rubric).title}</h3>", apply_default_css=False, elem_classes="how")
                for example in examples:
                    _example_button(example, settings, draft, status)
    page = gr.HTML("", visible=False, js_on_load=PAGE_JS, apply_default_css=False, elem_id="review")

    def begin(request: gr.Request) -> tuple[None, str, object, object]:
        desk.begin(_visitor(request), _READ)
        return None, calm("Waiting for the model …"), gr.update(interactive=False), gr.update(interactive=True)

    def read(
        text: str | None, rubric: str, rubric_file: str | None, model: str, strictness: float, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        halt = desk.begun(_visitor(request), _READ)
        done = {start: gr.update(interactive=True), stop: gr.update(interactive=False)}
        latest: Review | None = None
        try:
            given, by = Draft(text or ""), chosen_rubric(rubric, rubric_file)

            def work(coach: Coach) -> Iterator[Review]:
                return reviews(given, by, coach, model, strictness=strictness, stop=halt)

            for latest in desk.lend(model, halt, work):
                html = _page(latest, strictness)
                yield {page: gr.update(value=html, visible=True), write: gr.update(visible=False),
                       edit: gr.update(visible=True), status: _so_far(latest, strictness)}  # fmt: skip
                # A large page is sent less often; the reading goes on meanwhile, and the newest state comes next.
                halt.wait(_LEAST_PAUSE + len(html) / _CHARACTERS_A_SECOND)
        except Exception as error:
            yield {status: fault(error), **done}
            return
        if latest is None:
            yield {status: calm("Stopped before anything was read."), **done}
            return
        yield {page: _page(latest, strictness), kept_review: latest, status: _outcome(latest, strictness), **done}

    def halt(request: gr.Request) -> tuple[object, object]:
        desk.stop(_visitor(request))
        return gr.update(interactive=True), gr.update(interactive=False)

    def sort_anew(kept: Review | None, strictness: float) -> tuple[object, object]:
        if kept is None:
            return gr.skip(), gr.skip()
        if strictness < kept.read_at:
            return gr.skip(), calm("This is looser than the draft was read. Press Diagnose to read it so.")
        return _page(kept, strictness), _outcome(kept, strictness)

    def suggest(
        kept: Review | None, strictness: float, event: gr.EventData, request: gr.Request
    ) -> tuple[object, object, object]:
        finding = kept.finding(str(event._data.get("finding"))) if kept else None
        if kept is None or finding is None:
            return gr.skip(), gr.skip(), gr.skip()
        halt = desk.begin(_visitor(request), _FIX)
        work = partial(_fixed, kept.diagnosis, finding)
        try:
            for fixed in desk.lend(kept.model, halt, work):
                kept = kept.with_fix_of(fixed)
        except Exception as error:
            return kept, _page(kept, strictness), fault(error)
        return kept, _page(kept, strictness), gr.skip()

    def write_again() -> tuple[object, object, object, str]:
        hidden = gr.update(visible=False)
        return gr.update(visible=True), hidden, hidden, calm("Ready when you are.")

    begun = start.click(begin, None, [kept_review, status, start, stop], **AT_ONCE)
    begun.then(read, [draft, *settings.inputs], [kept_review, page, write, edit, status, start, stop], **ON_MODEL)
    # Stop sets an event that the reading itself heeds: cancelling the listener would lose its last message.
    stop.click(halt, None, [start, stop], **AT_ONCE)
    settings.strictness.change(sort_anew, [kept_review, settings.strictness], [page, status], **AT_ONCE)
    page.fix(suggest, [kept_review, settings.strictness], [kept_review, page, status], **ON_MODEL)
    edit.click(write_again, None, [write, page, edit, status], **AT_ONCE)
    return draft


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _example_button(example: ExampleDraft, settings: Settings, draft: gr.Textbox, status: gr.HTML) -> None:
    gr.Button(example.title, size="sm", elem_classes="example").click(
        lambda: (example.text, example.rubric, calm(f"“{example.title}” is open. Press Diagnose.")),
        None, [draft, settings.rubric, status], **AT_ONCE,
    )  # fmt: skip


def _fixed(diagnosis: Diagnosis, finding: Finding, coach: Coach) -> Iterator[Finding]:
    yield suggest_fix(diagnosis.draft, diagnosis.rubric, coach, finding)


def _page(review: Review, strictness: float) -> str:
    diagnosis = review.at(strictness)
    text = marked_text(diagnosis.draft, diagnosis.rubric, diagnosis.findings)
    return (
        f'<div class="review"><div class="overview">{legend(diagnosis)}</div>'
        f'<section class="sheet" aria-label="Your draft with the findings marked">{text}</section>'
        f'<section class="cards" aria-label="Findings">{cards(diagnosis, review.asked) or _nothing(diagnosis)}'
        "</section></div>"
    )


def _nothing(diagnosis: Diagnosis) -> str:
    if not diagnosis.complete:
        return '<p class="nothing">Nothing found so far.</p>'
    return (
        '<p class="nothing">Nothing found at this strictness. Move the slider to the left to see what the model was '
        "less sure of.</p>"
    )


def _so_far(review: Review, strictness: float) -> str:
    return reading(review.words_read, review.diagnosis.draft.word_count, len(review.at(strictness).findings))


def _outcome(review: Review, strictness: float) -> str:
    diagnosis = review.at(strictness)
    words = diagnosis.draft.word_count
    if diagnosis.complete:
        extent = f"{words:,} words read in {diagnosis.seconds:.1f} s"
    else:
        extent = f"stopped after {min(review.words_read, words):,} of {words:,} words"
    found = count(len(diagnosis.findings))
    if more := review.left_out(strictness):
        found = f"The {found} it is surest of, {more:,} more at this strictness"
    left_out = f" · {count(diagnosis.unread, 'answer')} named no place and were left out" if diagnosis.unread else ""
    return calm(f"{found} · {extent} · {measured(review.card)}{left_out}")
