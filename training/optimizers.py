"""What moves the weights of a base while it is pretrained, and of an adapter."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaForCausalLM

from training.recipe import PretrainRecipe, TrainRecipe


def adapter_optimizer(model: Any, settings: TrainRecipe) -> torch.optim.Optimizer | None:
    """Muon over an adapter's matrices where the recipe wants it; None leaves the choice to the trainer."""
    if settings.optimizer != "muon":
        return None
    matrices = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.Muon(
        matrices, lr=settings.learning_rate, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )


class Optimizers:
    """Muon for the matrices between the embeddings and AdamW for the rest, or AdamW for all."""

    def __init__(self, model: LlamaForCausalLM, settings: PretrainRecipe) -> None:
        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed_tokens" not in n]
        rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed_tokens" in n]
        betas = (0.9, 0.95)
        adamw = torch.optim.AdamW
        if settings.optimizer == "muon":
            muon = torch.optim.Muon(
                matrices,
                lr=settings.muon_learning_rate,
                weight_decay=settings.weight_decay,
                momentum=0.95,
                adjust_lr_fn="match_rms_adamw",
            )
            self.parts: list[torch.optim.Optimizer] = [
                muon,
                adamw(rest, lr=settings.learning_rate, betas=betas, weight_decay=0.0),
            ]
        else:
            groups = [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": rest, "weight_decay": 0.0},
            ]
            self.parts = [adamw(groups, lr=settings.learning_rate, betas=betas)]
        self.peaks = [[group["lr"] for group in part.param_groups] for part in self.parts]

    def step(self, share: float) -> None:
        for part, peaks in zip(self.parts, self.peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def restore(self, states: list[dict[str, Any]]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
