"""What both tabs ask for first: the rubric, the model, how strict to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from bwcoach.errors import BwcoachError, RubricError
from bwcoach.models import ModelCard
from bwcoach.rubric import Rubric, builtin_rubrics, load_rubric
from bwcoach.ui.desk import Desk
from bwcoach.ui.highlight import shown
from bwcoach.ui.status import paragraphs

OWN_RUBRIC = "own"


@dataclass(frozen=True)
class Settings:
    """The components that say how a draft is read."""

    rubric: gr.Dropdown
    rubric_file: gr.File
    model: gr.Dropdown
    strictness: gr.Slider

    @property
    def inputs(self) -> list[gr.components.Component]:
        return [self.rubric, self.rubric_file, self.model, self.strictness]


def build_settings(models: Sequence[str], default: str, why: str, desk: Desk) -> Settings:
    """The row of settings; `why` says why `default` was chosen, where the page chose it."""

    def rubric_note(name: str, file: str | None) -> tuple[str, object]:
        return _rubric_note(name, file), gr.update(visible=name == OWN_RUBRIC)

    def model_note(model: str) -> str:
        return _model_note(model, why if model == default else "", desk)

    first = builtin_rubrics()[0]
    with gr.Row(elem_classes="settings"):
        with gr.Column(scale=1, min_width=220):
            titles = [(load_rubric(name).title, name) for name in builtin_rubrics()]
            rubric = gr.Dropdown(
                [*titles, ("My own (a YAML file)", OWN_RUBRIC)], value=first, label="Rubric", filterable=False,
                elem_id="rubric",
            )
            rubric_file = gr.File(
                label="Your rubric", file_types=[".yaml", ".yml"], visible=False, height=110, elem_id="rubric-file"
            )
            about_rubric = _note(_rubric_note(first, None))
        with gr.Column(scale=2, min_width=220):
            model = gr.Dropdown(list(models), value=default, label="Model", filterable=False, elem_id="model")
            about_model = _note(_model_note(default, why, desk), "model-note")
        with gr.Column(scale=1, min_width=220):
            strictness = gr.Slider(0, 1, value=0.5, step=0.05, label="Strictness", elem_id="strictness", buttons=[])
            _note("<p>Left shows every doubt, right only what the model is surest of.</p>")
    for event in (rubric.change, rubric_file.change):
        event(
            rubric_note, [rubric, rubric_file], [about_rubric, rubric_file], queue=False, show_progress="hidden",
            api_visibility="private",
        )
    model.change(model_note, model, about_model, queue=False, show_progress="hidden", api_visibility="private")
    return Settings(rubric, rubric_file, model, strictness)


def chosen_rubric(name: str, file: str | None) -> Rubric:
    """The built-in rubric of that name, or the uploaded one."""
    if name != OWN_RUBRIC:
        return load_rubric(name)
    if file is None:
        raise RubricError("Choose the YAML file of your rubric first; those in the folder rubrics show the form.")
    try:
        return load_rubric(file)
    except RubricError as error:
        # An upload lies in a folder of the page's own, which means nothing to the person who sent it.
        raise RubricError(str(error).replace(file, Path(file).name)) from None


def _note(html: str, elem_id: str | None = None) -> gr.HTML:
    return gr.HTML(html, apply_default_css=False, elem_classes="note", elem_id=elem_id)


def _rubric_note(name: str, file: str | None) -> str:
    if name == OWN_RUBRIC and file is None:
        return "<p>Any rubric in our YAML form; what is wrong in it is shown here, line by line.</p>"
    try:
        rubric = chosen_rubric(name, file)
    except BwcoachError as error:
        return f'<div class="fault" role="alert">{paragraphs(str(error).splitlines())}</div>'
    names = ", ".join(criterion.name for criterion in rubric.criteria)
    return _details(f"{len(rubric.criteria)} criteria", rubric.description, f"{names}.")


def _model_note(model: str, why: str, desk: Desk) -> str:
    try:
        card = desk.card(model)
    except BwcoachError as error:
        return f'<div class="fault" role="alert">{paragraphs(str(error).splitlines())}</div>'
    if card.precision is None:
        measured = "<b>Precision not measured.</b>"
    else:
        tenths = round(card.precision * 10)
        measured = f"<b>Measured precision {card.precision:.2f}</b>: about {tenths} marks in 10 are right."
    chosen = f"Chosen for you. {shown(why)} " if why else ""
    about = _details("About this model", card.description) if card.description else ""
    return f"<p>{measured}</p><p>{chosen}{_privacy(card)}</p>{about}"


def _privacy(card: ModelCard) -> str:
    if card.base.path.startswith(("http://", "https://")):
        return f"Your draft is sent to {shown(card.base.path)}."
    return "Your draft stays on this computer."


def _details(summary: str, *texts: str) -> str:
    return f"<details><summary>{summary}</summary>{paragraphs(texts)}</details>"
