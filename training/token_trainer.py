"""TRL's trainer with a decision at every token of a second reading, and what feeds and watches it."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from bwcoach.errors import StageError
from bwcoach.models import ModelCard
from training.recipe import TrainRecipe
from training.rows import IGNORED, Row

# Batches of few different lengths: a matrix product is prepared anew for each.
ROUNDED_TO = 64


class Collator:
    """Rows of a batch, picked by number, side by side and padded on the right with a masked id.

    `weak` and `asked` are (tokens, criteria) for all second readings of the batch one after another, `answer` the
    mask that picks their tokens.
    """

    def __init__(self, rows: Sequence[Row], criteria: int) -> None:
        self.rows, self.criteria = rows, criteria

    def __call__(self, items: Sequence[Mapping[str, int]]) -> dict[str, torch.Tensor]:
        rows = [self.rows[item["number"]] for item in items]
        length = math.ceil(max(len(row.ids) for row in rows) / ROUNDED_TO) * ROUNDED_TO
        shape = (len(rows), length)
        ids, mask = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        answer, labels = torch.zeros(shape, dtype=torch.bool), torch.full(shape, IGNORED)
        weak, asked = [], []
        for i, row in enumerate(rows):
            ids[i, : len(row.ids)] = torch.tensor(row.ids)
            mask[i, : len(row.ids)] = 1
            if row.labels:
                labels[i, : len(row.ids)] = torch.tensor(row.labels)
            if row.answer:
                answer[i, len(row.ids) - row.answer : len(row.ids)] = True
                target, judged = torch.zeros(row.answer, self.criteria), torch.zeros(row.answer, self.criteria)
                if row.weak:
                    target[tuple(torch.tensor(row.weak).T)] = 1.0
                judged[:, list(row.asked)] = 1.0
                weak.append(target)
                asked.append(judged)
        none = torch.zeros(0, self.criteria)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": labels,
            "answer": answer,
            "weak": torch.cat([*weak, none]),
            "asked": torch.cat([*asked, none]),
        }


class TokenTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with a decision at every token of a second reading beside the loss on completions."""

    def ask_about(self, tokenizer: Any, card: ModelCard, settings: TrainRecipe) -> None:
        """Which pieces' logits are the labels, and how the recipe weighs the parts of the loss."""
        pieces = [card.nothing, *card.labels.values()]
        self.label_ids = tokenizer.convert_tokens_to_ids([piece.replace(" ", "\u2581") for piece in pieces])
        self.settings = settings
        causal = self.accelerator.unwrap_model(self.model).get_base_model()
        self.read = torch.compile(causal.model, dynamic=True) if settings.compile else causal.model

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        causal = self.accelerator.unwrap_model(model).get_base_model()
        # The trainer's own mixed precision hangs on the model's forward, which is not what is called here.
        with self.accelerator.autocast():
            hidden = self.read(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state
            return token_loss(hidden, causal.lm_head.weight, inputs, self.label_ids, self.settings)


def token_loss(
    hidden: torch.Tensor,
    head: torch.Tensor,
    inputs: Mapping[str, torch.Tensor],
    label_ids: Sequence[int],
    settings: TrainRecipe,
) -> torch.Tensor:
    """Binary cross-entropy of every criterion at every token of a second reading, and cross-entropy of completions.

    `hidden` is (rows, tokens, width), what the model read the inputs' ids into, `head` (vocabulary, width). Padding is
    on the right, where causal attention does not look, so `hidden` needs no mask (and without one it is faster).
    """
    loss: torch.Tensor = hidden.new_zeros((), dtype=torch.float32)
    if inputs["answer"].any():
        logits = (hidden[inputs["answer"]] @ head[label_ids].T.to(hidden.dtype)).float()
        losses = binary_cross_entropy_with_logits(
            logits[:, 1:] - logits[:, :1],
            inputs["weak"],
            reduction="none",
            pos_weight=logits.new_tensor(settings.positive_weight),
        )
        # Summed over criteria: a token's loss does not shrink when a rubric has more of them.
        loss = loss + (losses * inputs["asked"]).sum(1).mean()
    wanted = inputs["labels"][:, 1:]
    spoken = wanted != IGNORED
    if spoken.any():
        logits = (hidden[:, :-1][spoken] @ head.T.to(hidden.dtype)).float()
        loss = loss + settings.fix_weight * cross_entropy(logits, wanted[spoken])
    return loss


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """A checkpoint every so many minutes and at SIGTERM, the loss curve as data, an end where it makes no sense."""

    def __init__(self, minutes: float, curve: Path) -> None:
        self.minutes, self.curve, self.saved, self.stop = minutes, curve, time.monotonic(), False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        if self.stop or time.monotonic() - self.saved > 60 * self.minutes:
            control.should_save, self.saved = True, time.monotonic()
            control.should_training_stop = control.should_training_stop or self.stop

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **rest: Any
    ) -> None:
        if "loss" in logs and (not math.isfinite(logs["loss"]) or logs["loss"] == 0.0):
            raise StageError(f"The loss became {logs['loss']} at step {state.global_step}; lower the learning rate.")
        with self.curve.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **logs}) + "\n")
