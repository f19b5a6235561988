"""The engine against the plain way of asking the same model, and against what llama.cpp alone reaches.

The plain way is what one would write first: llama-cpp-python's chat completion with a JSON schema, one call a
window. Speeds in words and tokens a second depend on the machine; the ratios hardly do.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import llama_cpp

from bwcoach.coach import Coach, diagnose, load_coach
from bwcoach.draft import Draft
from bwcoach.prompt import build_tags_prompt
from bwcoach.rubric import Rubric, load_rubric

EXAMPLES = Path(__file__).resolve().parent.parent / "bwcoach" / "ui" / "examples"
LENGTHS = (300, 1_000, 3_000, 10_000)
REPEATS = 3
PLAIN_ANSWER_TOKENS = 256
LONGEST_QUOTE = 60


def draft_of(words: int) -> Draft:
    """The example drafts one after another, again from the first where they end, up to so many words."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.md")) if path.stem != "README"]
    paragraphs = [paragraph for text in texts for paragraph in text.split("\n\n")]
    chosen: list[str] = []
    count = 0
    while count < words:
        paragraph = paragraphs[len(chosen) % len(paragraphs)]
        chosen.append(paragraph)
        count += len(paragraph.split())
    return Draft("\n\n".join(chosen))


def median_seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Of so many runs after one that is not counted."""
    run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def engine_seconds(draft: Draft, rubric: Rubric, coach: Coach) -> float:
    return median_seconds(lambda: list(diagnose(draft, rubric, coach)))


def first_finding_seconds(draft: Draft, rubric: Rubric, coach: Coach) -> float:
    """Until the first window that brought a finding was read."""

    def run() -> object:
        return next((step for step in diagnose(draft, rubric, coach) if step.findings), None)

    return median_seconds(run)


def tokens_read(draft: Draft, rubric: Rubric, coach: Coach) -> int:
    """What the engine decodes for a draft: the prompt and both readings of every window."""
    window, count = coach.card.window, coach.backend.count
    total = 0
    for passage in draft.windows(count, window.tokens, window.context):
        asked = build_tags_prompt(
            rubric, passage.text(draft), whole=False, style=coach.card.style, labels=coach.card.labels
        )
        total += count(asked.system) + count(asked.user) + count(asked.answer)
    return total


def findings_schema(rubric: Rubric, fewest: int) -> dict[str, object]:
    """A list of at least so many findings, each a criterion and a quote of at most LONGEST_QUOTE characters."""
    finding = {
        "type": "object",
        "properties": {
            "quote": {"type": "string", "maxLength": LONGEST_QUOTE},
            "criterion": {"enum": list(rubric.ids)},
        },
        "required": ["quote", "criterion"],
    }
    return {"type": "array", "items": finding, "minItems": fewest}


def plain_seconds(draft: Draft, rubric: Rubric, coach: Coach, fewest: int) -> float:
    """Chat completions with a JSON schema over the same windows, each answer up to PLAIN_ANSWER_TOKENS long and of at
    least `fewest` findings."""
    model = llama_cpp.Llama(
        str(coach.card.path(coach.card.base)), n_ctx=coach.card.context, verbose=False, n_threads=2, n_threads_batch=2
    )
    window = coach.card.window
    passages = [p.text(draft) for p in draft.windows(coach.backend.count, window.tokens, window.context)]
    criteria = ", ".join(rubric.ids)
    started = time.perf_counter()
    for passage in passages:
        model.create_chat_completion(
            [
                {"role": "system", "content": f"Mark the weaknesses of this {rubric.title}: {criteria}."},
                {"role": "user", "content": passage},
            ],
            response_format={"type": "json_object", "schema": findings_schema(rubric, fewest)},
            max_tokens=PLAIN_ANSWER_TOKENS,
            temperature=0.0,
        )
    return time.perf_counter() - started


def llama_cpp_tokens_per_second(coach: Coach) -> float:
    """What llama.cpp reaches reading 512 tokens at once, without an adapter and with the last token's logits only."""
    model = llama_cpp.Llama(
        str(coach.card.path(coach.card.base)), n_ctx=512, n_batch=512, verbose=False, n_threads=2, n_threads_batch=2
    )
    tokens = [7] * 512

    def run() -> None:
        model.reset()
        model.eval(tokens)

    return 512 / median_seconds(run, 10)


def main() -> None:
    coach = load_coach("mini")
    rubric = load_rubric("position-paper")
    thousand = draft_of(1_000)
    print(f"model {coach.card.name}, rubric {rubric.name}, medians of {REPEATS} runs")
    print("words   seconds   seconds per 1000 words   first finding (s)")
    for words in LENGTHS:
        draft = draft_of(words)
        seconds = engine_seconds(draft, rubric, coach)
        first = first_finding_seconds(draft, rubric, coach)
        print(f"{draft.word_count:5d}   {seconds:7.3f}   {1000 * seconds / draft.word_count:22.3f}   {first:17.3f}")
    engine = engine_seconds(thousand, rubric, coach)
    windows = len(list(thousand.windows(coach.backend.count, coach.card.window.tokens, coach.card.window.context)))
    found = len([finding for step in diagnose(thousand, rubric, coach) for finding in step.findings])
    # A base that was never taught may well say at once that there is nothing, which takes no time and helps nobody.
    for fewest, how in ((0, "as it likes"), (math.ceil(found / windows), "as many findings a window as the engine")):
        plain = plain_seconds(thousand, rubric, coach, fewest)
        print(f"plain way (chat completion, JSON schema), {how}: {plain / engine:.1f} times the seconds of the engine")
    speed = tokens_read(thousand, rubric, coach) / engine
    alone = llama_cpp_tokens_per_second(coach)
    print(f"engine / llama.cpp alone: {speed:.0f} / {alone:.0f} tokens a second = {speed / alone:.2f}")
