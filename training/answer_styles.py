"""Tags, marks and lines on the same data, base and minutes: `python -m training.answer_styles RECIPE`.

Writes docs/answer-styles.md. Each style teaches a fresh adapter for so many minutes of processor time and is then
measured on the development drafts, thresholds cross-fitted by draft.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoTokenizer

from bwcoach.coach import load_coach
from bwcoach.models import CARD_FILE, ModelCard
from bwcoach.rubric import load_rubric
from training.evaluate import evaluate_systems, tokens_read
from training.evaluation_sets import read_marked_drafts
from training.examples import read_examples
from training.marks import MarksSystem, marks_row
from training.optimizers import adapter_optimizer
from training.recipe import Recipe, load_recipe
from training.rows import Row, lines_row, shuffled_by_length, tags_row
from training.systems import CoachSystem, System
from training.token_trainer import Collator, token_loss
from training.train import ADAPTER_FOLDER, adapted, new_card

ROWS = {"tags": tags_row, "marks": marks_row, "lines": lines_row}
PAGE = Path("docs") / "answer-styles.md"


def teach(recipe: Recipe, style: str, folder: Path, minutes: float) -> tuple[Any, ModelCard, Any, int]:
    """A fresh adapter taught in this style for so many minutes of processor time, saved as a model of its own; gives
    the model, its card, the tokenizer and how many tokens were read."""
    base = Path(recipe.train.base) if recipe.train.base else recipe.folder / "pretrain" / "base"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    card = new_card(recipe, base, folder, tokenizer)
    if style == "lines":
        card = card.model_copy(update={"answer": "lines"})
    rubrics = {name: load_rubric(name) for name in card.rubrics}
    examples = read_examples(recipe.folder / "data" / "train.jsonl")
    rows: list[Row] = [ROWS[style](e, rubrics[e.rubric], card, tokenizer) for e in examples if e.rubric in rubrics]
    rows = [row for row in rows if len(row.ids) <= recipe.train.longest]
    settings = recipe.train.model_copy(update={"fix_weight": 1.0})
    torch.manual_seed(recipe.seed)
    model = adapted(base, recipe.train)
    optimizer = adapter_optimizer(model, recipe.train) or torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=recipe.train.learning_rate
    )
    causal = model.get_base_model()
    read_all = torch.compile(causal.model, dynamic=True) if recipe.train.compile else causal.model
    collate, size = Collator(rows, len(card.labels)), recipe.train.batch
    pieces = [card.nothing, *card.labels.values()]
    labels = tokenizer.convert_tokens_to_ids([piece.replace(" ", "\u2581") for piece in pieces])
    order = shuffled_by_length(rows, size, recipe.seed)
    read, begun = 0, time.process_time()
    while (spent := (time.process_time() - begun) / 60 / minutes) < 1:
        start = read_batches(order, size, read)
        batch = collate([{"number": n} for n in order[start : start + size]])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = read_all(input_ids=batch["input_ids"], use_cache=False).last_hidden_state
            loss = token_loss(hidden, causal.lm_head.weight, batch, labels, settings)
        torch.autograd.backward(loss)
        for group in optimizer.param_groups:
            group["lr"] = recipe.train.learning_rate * min(1.0, 2 * (1 - spent))
        optimizer.step()
        optimizer.zero_grad()
        read += size
    model.save_pretrained(folder / ADAPTER_FOLDER)
    tokenizer.save_pretrained(folder / ADAPTER_FOLDER)
    text = yaml.safe_dump(card.model_dump(mode="json", exclude={"folder"}, exclude_defaults=True), sort_keys=False)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    tokens = sum(len(rows[n].ids) for n in (order * (1 + read // len(order)))[:read])
    return model, card, tokenizer, tokens


def read_batches(order: list[int], size: int, read: int) -> int:
    """Where the next batch begins after so many rows, from the front again where the order ends."""
    return read % (len(order) - len(order) % size)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.answer_styles", description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--minutes", type=float, default=8.0, help="of processor time for each style")
    options = parser.parse_args()
    recipe = load_recipe(options.recipe)
    # Without their repairs, which would double the reading and say nothing about F1.
    drafts = [replace(draft, revised=None) for draft in read_marked_drafts(recipe.evaluate.drafts)]
    table = ["| answer | tokens taught | micro F1 | precision | recall | macro F1 |", "|---|---:|---:|---:|---:|---:|"]
    for style in ROWS:
        folder = recipe.folder / "answer-styles" / style
        model, card, tokenizer, tokens = teach(recipe, style, folder, options.minutes)
        system: System = MarksSystem(style, model, tokenizer, card)
        if style != "marks":
            system = CoachSystem(style, card, lambda folder=folder: load_coach(str(folder)), True, (0.5,))  # type: ignore[misc]
        [judged] = evaluate_systems([system], drafts, settings=recipe.evaluate.model_copy(update={"extents": (0.5,)}))
        micro, macro = judged.judgement.scores.micro, judged.judgement.scores.macro
        figures = " | ".join(f"{e.value:.3f}" for e in (micro.f1, micro.precision, micro.recall, macro.f1))
        table.append(f"| {style} | {tokens:,} | {figures} |")
        print(table[-1], flush=True)
    text = (
        "# Which answer to teach: tags, marks or lines\n\n"
        f"`python -m training.answer_styles {recipe.name} --minutes {options.minutes:g}`: the same base "
        f"({tokens_read(recipe):,} tokens read), the same rows, {options.minutes:g} minutes of processor time each, "
        "measured on the development drafts with thresholds cross-fitted by draft.\n\n" + "\n".join(table) + "\n"
    )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
