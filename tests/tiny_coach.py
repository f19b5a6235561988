"""A tiny tagging model with its card: random weights, so it finds something at many words and knows nothing."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import yaml

from bwcoach.models import CARD_FILE
from bwcoach.rubric import builtin_rubrics, load_rubric
from bwcoach.tags import label_pieces
from tests.tiny import CONTEXT, tiny


@functools.cache
def tiny_model() -> Path:
    """The folder of the model, which `--model` and `load_coach` take; made once a test session."""
    made = tiny()
    folder = made.base_gguf.parent
    vocabulary = json.loads((made.base / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    criteria = list(dict.fromkeys(c for name in builtin_rubrics() for c in load_rubric(name).ids))
    nothing, *labels = label_pieces(sorted(vocabulary, key=vocabulary.__getitem__), len(criteria) + 1)
    card = {
        "name": "tiny", "description": "Random weights.", "context": CONTEXT,
        "base": {"path": made.base_gguf.name}, "adapter": {"path": made.adapter_gguf.name},
        "template": "plain", "answer": "tags", "style": "compact", "rubrics": list(builtin_rubrics()),
        "labels": dict(zip(criteria, labels, strict=True)), "nothing": nothing,
        "window": {"tokens": 120, "context": 30}, "fix_threshold": 0.0,
    }  # fmt: skip
    (folder / CARD_FILE).write_text(yaml.safe_dump(card), encoding="utf-8")
    return folder
