"""From a draft to its findings: windows, criteria, strictness, stop, with a reader that marks what it is told to."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from bwcoach.backends import Grammar, Line, Prompt, Reading, Sampling
from bwcoach.coach import Coach, diagnose, diagnosis, sentences_around, suggest_fix
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Span
from bwcoach.errors import DraftError, ModelError
from bwcoach.models import ModelCard, ModelFile, Window
from bwcoach.rubric import load_rubric

POSITION = load_rubric("position-paper")
CREATIVE = load_rubric("creative-writing")


@dataclass
class WordReader:
    """A Reader whose tokens are words: a word with an entry in `weak` has that logit for that label's piece."""

    weak: dict[str, tuple[str, float]]
    lines: list[Line] = field(default_factory=list)
    seen: list[Prompt] = field(default_factory=list)
    name: str = "words"
    context: int = 2048
    has_adapter: bool = True

    def count(self, text: str) -> int:
        return len(text.split())

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:  # fmt: skip
        self.seen += prompts
        yield from self.lines

    def read(
        self, prompts: Sequence[Prompt], candidates: Sequence[str], *, tuned: bool, stop: threading.Event
    ) -> Iterator[Reading]:
        for number, prompt in enumerate(prompts):
            if stop.is_set():
                return
            self.seen.append(prompt)
            words = Draft(prompt.answer).text.split()
            spans, logits, end = [], [], 0
            for word in words:
                start = prompt.answer.index(word, end)
                end = start + len(word)
                spans.append((start, end))
                label, logit = self.weak.get(word.strip(".,"), ("", 0.0))
                logits.append([0.0, *(logit if c == label else -9.0 for c in candidates[1:])])
            yield Reading(number, np.array(spans), np.array(logits, dtype=np.float32))


def coach(reader: WordReader, **changes: object) -> Coach:
    criteria = dict.fromkeys([*POSITION.ids, *CREATIVE.ids])
    card = ModelCard(
        name="words", base=ModelFile(path="."), adapter=ModelFile(path="."), context=2048, answer="tags",
        style="compact",
        rubrics=("position-paper", "creative-writing"), labels={c: f" {c}" for c in criteria}, nothing=" nothing",
        window=Window(tokens=40, context=10),
    )  # fmt: skip
    return Coach(card.model_copy(update=changes), reader)


def quotes(draft: Draft, findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.quote(draft), finding.criterion) for finding in findings]


def test_every_marked_word_of_a_long_draft_is_found_once() -> None:
    text = "\n\n".join(f"Paragraph {n} says that stuff{n} is here. It ends with a plain sentence." for n in range(30))
    reader = WordReader({f"stuff{n}": (" vague-language", 2.0) for n in range(30)})
    draft = Draft(text)
    found = diagnosis(draft, POSITION, coach(reader))
    assert quotes(draft, found.findings) == [(f"stuff{n}", "vague-language") for n in range(30)]
    assert found.complete
    assert found.findings[0].confidence == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_findings_come_window_by_window_with_the_words_read() -> None:
    draft = Draft(" ".join(f"Sentence {n} is about as long as this one is here." for n in range(20)))
    steps = list(diagnose(draft, CREATIVE, coach(WordReader({}))))
    counts = [step.words_read for step in steps]
    assert len(steps) > 3
    assert counts == sorted(counts)
    assert counts[-1] == draft.word_count == steps[-1].words


def test_only_the_rubrics_own_criteria_are_asked_about() -> None:
    reader = WordReader({"cold": (" cliche", 3.0), "stuff": (" vague-language", 3.0)})
    draft = Draft("The cold stuff stood there.")
    assert quotes(draft, diagnosis(draft, POSITION, coach(reader)).findings) == [("stuff", "vague-language")]
    assert len(diagnosis(draft, CREATIVE, coach(reader)).findings) == 2


def test_a_short_draft_is_read_once_as_a_whole_and_a_thesis_is_marked_at_most_once() -> None:
    reader = WordReader({"maybe": (" thesis", 1.0), "perhaps": (" thesis", 2.0)})
    draft = Draft("We should maybe act. Or perhaps we should wait.")
    assert quotes(draft, diagnosis(draft, POSITION, coach(reader)).findings) == [("perhaps", "thesis")]
    assert [prompt.user.split(":")[0] for prompt in reader.seen] == ["Position paper, draft"]


def test_a_long_draft_s_thesis_is_looked_for_in_its_outline() -> None:
    opening = "We should maybe act on housing now."
    rest = "\n\n".join(f"Point {n} is made here at some length. It has a second sentence too." for n in range(20))
    reader = WordReader({"maybe": (" thesis", 2.0), "Point": (" thesis", 1.0)})
    draft = Draft(f"{opening}\n\n{rest}")
    assert quotes(draft, diagnosis(draft, POSITION, coach(reader)).findings) == [("maybe", "thesis")]
    assert sum(prompt.user.startswith("Position paper, draft") for prompt in reader.seen) == 1


def test_strictness_runs_from_all_that_was_considered_to_only_the_surest() -> None:
    reader = WordReader({"stuff": (" vague-language", 0.0), "things": (" vague-language", 4.0)})
    draft = Draft("Some stuff and many things stood there.")
    strict = coach(reader, thresholds={"vague-language": 0.6})

    def at(strictness: float) -> list[str]:
        return [q for q, _ in quotes(draft, diagnosis(draft, POSITION, strict, strictness=strictness).findings)]

    assert at(0.5) == ["things"]
    assert at(0.4) == ["stuff", "things"]
    assert at(1.0) == []


def test_stop_keeps_what_is_there() -> None:
    draft = Draft(" ".join(f"Sentence {n} has stuff in it as ever." for n in range(40)))
    stop = threading.Event()
    kept = []
    for step in diagnose(draft, CREATIVE, coach(WordReader({"stuff": (" vague-language", 2.0)})), stop=stop):
        kept.append(step)
        stop.set()
    assert len(kept) == 1
    assert kept[0].findings
    assert kept[0].words_read < draft.word_count


def test_a_rubric_the_model_was_not_taught_is_refused_with_what_would_work() -> None:
    with pytest.raises(ModelError, match=r"was not taught .*Make a model"):
        diagnose(Draft("Two words."), load_rubric("scientific-paper"), coach(WordReader({})))


def test_a_draft_is_refused_before_anything_is_read() -> None:
    with pytest.raises(DraftError, match="empty"):
        diagnose(Draft(" "), POSITION, coach(WordReader({})))


def test_lines_become_findings_and_a_foreign_quote_is_counted_and_not_shown() -> None:
    draft = Draft("Some stuff stood there. It was due to the fact that it rained.")
    letter = dict(zip(POSITION.ids, "ABCDEFGHIJKLM", strict=True))
    answers = [
        f'1 {letter["vague-language"]} "stuff" => "boxes"',
        f'2 {letter["wordiness"]} "owing to the rain"',
        f'2 {letter["wordiness"]} "due to the fact that" => "because"',
    ]
    reader = WordReader({}, [*(Line(0, text, False) for text in answers), Line(0, "done", True)])
    found = diagnosis(draft, POSITION, coach(reader, answer="lines"))
    said = [(f.quote(draft), f.fix) for f in found.findings]
    assert said == [("stuff", "boxes"), ("due to the fact that", "because")]
    assert found.unread == 1
    assert found.findings[0].confidence is None


def test_worked_examples_stand_before_the_passage_when_asked_for() -> None:
    reader = WordReader({}, [Line(0, "done", True)])
    diagnosis(Draft("A plain sentence stands here."), POSITION, coach(reader, answer="lines", style="full", shots=3))
    assert reader.seen[0].user.count("Findings:") == 4
    assert reader.seen[0].user.count("\ndone\n") == 3


def test_a_fix_is_offered_only_where_it_is_probable_and_new() -> None:
    draft = Draft("It was due to the fact that it rained.")
    finding = Finding(Span(7, 27), "wordiness", 0.9)

    def fix(text: str, probability: float) -> str | None:
        reader = WordReader({}, [Line(0, text, True, (text,), (probability,))])
        return suggest_fix(draft, POSITION, coach(reader), finding).fix

    assert finding.quote(draft) == "due to the fact that"
    assert fix("because", 0.9) == "because"
    assert fix("because", 0.1) is None
    assert fix("due to the fact that", 0.9) is None
    assert fix("", 0.9) == ""


def test_a_fix_is_thought_of_with_the_sentences_around_it() -> None:
    text = "First one here. Second with stuff in it. Third one here."
    place = text.index("stuff")
    assert sentences_around(Draft(text), Span(place, place + 5)) == Span(0, len(text))
