"""The marks answer, the rival that tags were compared with: the passage again, with weak places between marks.

A weakness opens with the label piece of its criterion and closes with the piece that stands for nothing. It is read
by forcing a clean copy of the passage and looking at each label's probability before each of its tokens; where one
opens, the copy goes on from there until the closing piece is more probable than not. Only for the comparison of
answer styles: no model that ships is taught it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from bwcoach import tags
from bwcoach.backends.transformers_vocabulary import encode_answer, encode_head
from bwcoach.diagnosis import Finding, in_text_order
from bwcoach.draft import Span
from bwcoach.models import ModelCard
from bwcoach.prompt import build_tags_prompt
from bwcoach.rubric import Rubric
from training.examples import Example
from training.rows import IGNORED, Row
from training.systems import Answer

MOST_OPENED = 24
LEAST_OPENING = 0.01
LONGEST_SPAN = 60


def marks_row(example: Example, rubric: Rubric, card: ModelCard, tokenizer: Any) -> Row:
    """The passage, then the passage with its marks; one that would cross another is left out, the later one."""
    prompt = build_tags_prompt(rubric, example.text, whole=example.whole, style=card.style, labels=card.labels)
    head = encode_head(tokenizer, card.template, prompt)
    ids, spans = encode_answer(tokenizer, prompt.answer)
    label, nothing = _label_ids(tokenizer, card)
    before: dict[int, list[int]] = {}
    end = 0
    for finding in example.findings:
        inside = [n for n, (a, b) in enumerate(spans.tolist()) if a < finding.span.end and b > finding.span.start]
        if inside and inside[0] >= end and finding.criterion in rubric.ids:
            before.setdefault(inside[0], []).append(label[finding.criterion])
            before.setdefault(inside[-1] + 1, []).insert(0, nothing)
            end = inside[-1] + 1
    marked: list[int] = []
    for n in range(len(ids) + 1):
        marked += before.get(n, [])
        marked += ids[n : n + 1]
    whole = (*head, *marked, tokenizer.eos_token_id)
    return Row(f"{example.id} (marks)", whole, labels=(*[IGNORED] * len(head), *marked, tokenizer.eos_token_id))


@dataclass(frozen=True)
class MarksSystem:
    """A model that was taught marks, for `evaluate_systems`."""

    name: str
    model: Any
    tokenizer: Any
    card: ModelCard
    extents: tuple[float, ...] = (0.5,)
    fingerprint: str = "marks"

    def prepare(self) -> None:
        self.model.eval()

    @torch.no_grad()
    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        prompt = build_tags_prompt(rubric, text, whole=True, style=self.card.style, labels=self.card.labels)
        head = encode_head(self.tokenizer, self.card.template, prompt)
        ids, spans = encode_answer(self.tokenizer, prompt.answer)
        label, nothing = _label_ids(self.tokenizer, self.card)
        said = self._probabilities([[*head, *ids]])[0, len(head) - 1 : -1]
        opening = said[:, [label[criterion] for criterion in rubric.ids]]
        places = [(float(p), n // opening.shape[1], n % opening.shape[1]) for n, p in enumerate(opening.flatten())]
        opened = [place for place in sorted(places, reverse=True)[:MOST_OPENED] if place[0] >= LEAST_OPENING]
        found = []
        for probability, start, number in opened:
            follows = ids[start : start + LONGEST_SPAN]
            branch = [*head, *ids[:start], label[rubric.ids[number]], *follows]
            closing = self._probabilities([branch])[0, -len(follows) :, nothing]
            last = next((n for n, p in enumerate(closing.tolist()) if p > extent), len(follows) - 1)
            span = tags.whole_words(text, Span(int(spans[start, 0]), int(spans[start + last, 1])))
            if span is not None:
                found.append(Finding(span, rubric.ids[number], probability))
        return Answer(in_text_order(found))

    def _probabilities(self, rows: list[list[int]]) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=torch.tensor(rows), use_cache=False).logits
        return logits.float().softmax(-1)


def _label_ids(tokenizer: Any, card: ModelCard) -> tuple[dict[str, int], int]:
    pieces = [card.nothing, *card.labels.values()]
    nothing, *labels = tokenizer.convert_tokens_to_ids([piece.replace(" ", "\u2581") for piece in pieces])
    return dict(zip(card.labels, labels, strict=True)), int(nothing)
