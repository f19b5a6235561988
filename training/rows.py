"""Examples as the tokens a model is taught on, and which of them the loss is about."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bwcoach import lines, tags
from bwcoach.backends import Prompt
from bwcoach.backends.transformers_vocabulary import encode_answer, encode_head
from bwcoach.coach import sentences_around
from bwcoach.draft import Draft, Span
from bwcoach.errors import StageError
from bwcoach.models import ModelCard
from bwcoach.prompt import build_fix_prompt, build_lines_prompt, build_tags_prompt, letters
from bwcoach.rubric import Rubric
from training.examples import Example

IGNORED = -100


@dataclass(frozen=True)
class Row:
    """One sequence of token ids.

    Under tags the last `answer` tokens are the second reading: `weak` lists (token of the answer, criterion) where
    something is weak, and `asked` the criteria that are judged at all. A completion (a fix, or lines) instead has
    `labels`, the ids with those of the prompt ignored.
    """

    name: str
    ids: tuple[int, ...]
    answer: int = 0
    weak: tuple[tuple[int, int], ...] = ()
    asked: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()


def tags_row(example: Example, rubric: Rubric, card: ModelCard, tokenizer: Any) -> Row:
    """Both readings of the example's text. The criteria's numbers are their places in the card's labels; draft-scope
    ones are asked only of a whole draft."""
    prompt = build_tags_prompt(rubric, example.text, whole=example.whole, style=card.style, labels=card.labels)
    head = encode_head(tokenizer, card.template, prompt)
    answer, spans = encode_answer(tokenizer, prompt.answer)
    number = {criterion: n for n, criterion in enumerate(card.labels)}
    asked = [c for c in rubric.criteria if example.whole or c.scope == "passage"]
    known = {c.id for c in asked}
    weaknesses = [(f.span, number[f.criterion]) for f in example.findings if f.criterion in known]
    weak = tags.targets(spans, weaknesses, len(number)).nonzero()
    return Row(
        f"{example.id} (tags)",
        (*head, *answer),
        len(answer),
        tuple(zip(weak[0].tolist(), weak[1].tolist(), strict=True)),
        tuple(number[c.id] for c in asked),
    )


def fix_rows(
    example: Example, rubric: Rubric, card: ModelCard, tokenizer: Any, most: float, rng: random.Random
) -> Iterator[Row]:
    """Up to `most` of the example's findings that have a fix of one line, each as a prompt and its completion; a part
    of one is the chance of one more."""
    fixable = [f for f in example.findings if f.fix is not None and "\n" not in f.fix and len(f.fix) < 300]
    for finding in rng.sample(fixable, min(int(most + rng.random()), len(fixable))):
        around = sentences_around(Draft(example.text), finding.span)
        inside = Span(finding.span.start - around.start, finding.span.end - around.start)
        prompt = build_fix_prompt(
            rubric, rubric.criterion(finding.criterion), around.quote(example.text), inside, style=card.style
        )
        yield _completion(f"{example.id} (fix {finding.span.start})", prompt, f"{finding.fix}\n", card, tokenizer)


def lines_row(example: Example, rubric: Rubric, card: ModelCard, tokenizer: Any) -> Row:
    """The numbered passage and a line a finding."""
    sentences = Draft(example.text).sentences
    prompt = build_lines_prompt(rubric, example.text, sentences, whole=example.whole, style=card.style)
    number = {criterion: n for n, criterion in enumerate(rubric.ids)}
    answer = lines.render(
        [(f.span, number[f.criterion], f.fix) for f in example.findings], example.text, sentences, letters(len(number))
    )
    return _completion(f"{example.id} (lines)", prompt, answer, card, tokenizer)


def _completion(name: str, prompt: Prompt, answer: str, card: ModelCard, tokenizer: Any) -> Row:
    head = encode_head(tokenizer, card.template, prompt)
    completion, _ = encode_answer(tokenizer, answer)
    ids = (*head, *completion, tokenizer.eos_token_id)
    return Row(name, ids, labels=(*[IGNORED] * len(head), *completion, tokenizer.eos_token_id))


def refuse_long(rows: Iterable[Row], longest: int) -> list[Row]:
    """All rows, or, where any would have to be cut, an error that names them: a cut answer teaches a broken one."""
    kept = list(rows)
    over = [row for row in kept if len(row.ids) > longest]
    if over:
        names = ", ".join(f"{row.name}: {len(row.ids)} tokens" for row in over[:5])
        raise StageError(
            f"{len(over)} of {len(kept)} rows are longer than `longest: {longest}` ({names}); raise it, or generate "
            "shorter passages."
        )
    return kept


def shuffled_by_length(rows: Sequence[Row], size: int, seed: int) -> list[int]:
    """An order in which each batch of `size` rows has rows of about one length, batches being in random order."""
    rng = random.Random(seed)
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids) // 32, rng.random()))
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(batches)
    return [i for batch in batches for i in batch]
