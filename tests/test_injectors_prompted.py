"""The prompted injector, against a real server that answers well, badly, or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from bwcoach.backends.llamacpp import LlamaCpp
from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.errors import BackendError, StageError
from bwcoach.rubric import load_rubric
from tests.editing_server import (
    PASSAGE,
    WORDINESS,
    WORSE,
    Editing,
    Reply,
    editing_server,
    many,
    marked,
    passage,
    passage_of,
    worsen,
)  # fmt: skip
from tests.loopback import Handler
from tests.tiny import tiny
from training.examples import Example, Provenance, read_examples, write_examples
from training.injectors import Injector
from training.injectors.completions_cache import FILE
from training.injectors.prompted import QUARANTINE_FILE, Prompted
from training.injectors.prompted_answer import Reason
from training.injectors.prompted_asking import AT_ONCE, MOST_FAILURES
from training.injectors.word_diff import word_count

ROOT = Path(__file__).resolve().parent.parent
def inject(server: Editing, folder: Path, text: str = PASSAGE) -> tuple[Example | None, dict[str, int]]:
    prompted = Prompted(server.model(), folder)
    made = prompted.inject(passage(text), WORDINESS, Random(1))
    return made, dict(prompted.counts)


def quarantined(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / QUARANTINE_FILE).read_text(encoding="ascii").splitlines()]


def test_an_example_knows_its_place_its_fix_and_where_it_comes_from(tmp_path: Path) -> None:
    with editing_server(worsen) as server:
        injector: Injector = Prompted(server.model(), tmp_path)
        made = injector.inject(passage(), WORDINESS, Random(1))
    assert made is not None
    assert made.text == WORSE
    (finding,) = made.findings
    assert (finding.span.quote(made.text), finding.fix) == ("due to the fact that", "because")
    assert finding.criterion == "wordiness"
    assert made.repaired() == PASSAGE
    origin = made.provenance
    assert (origin.source, origin.license, origin.generator) == ("the town", "CC0", "editor")
    assert origin.injectors == ("prompted",)
    assert origin.forms[0].startswith("wordiness/prompt-")
    assert origin.seed == Random(1).getrandbits(32)
    row = json.loads((tmp_path / FILE).read_text(encoding="ascii"))
    assert origin.prompt_hash == row["hash"]
    assert len(origin.prompt_hash) == 64
    file = tmp_path / "rows.jsonl"
    write_examples([made], file)
    assert list(read_examples(file)) == [made]


def test_the_question_holds_the_criterion_an_instruction_examples_and_the_passage(tmp_path: Path) -> None:
    with editing_server(worsen) as server:
        inject(server, tmp_path)
    (question,) = server.asked
    for said in (WORDINESS.name, WORDINESS.description, WORDINESS.span, str(WORDINESS.not_this)):
        assert said in question
    assert sum(prompt in question for prompt in WORDINESS.injection.prompts) == 1
    assert sum(example.text in question for example in WORDINESS.weak) == 1
    assert sum(example.text in question for example in WORDINESS.sound) == 1
    assert passage_of(question) == PASSAGE
    assert server.bodies[0]["temperature"] == 0


GOOD = [
    marked(WORSE),
    WORSE,
    f"\n\n{WORSE}\n",
    f"Sure! Here is the passage:\n{marked(WORSE)}\nI replaced “because”. Criterion: wordiness, findings: 3.",
    f"```\n{marked(WORSE)}\n```",
    f"[[begin]]{WORSE}[[ End ]]",
    marked(" ".join(WORSE.split())),
    marked(WORSE.replace("’", "'")),
    f"{WORSE}\n[[END]]",
    f"{marked(WORSE)}\n{marked(WORSE)}",
]


@pytest.mark.parametrize("answer", GOOD)
def test_an_answer_is_read_whatever_stands_around_it(tmp_path: Path, answer: str) -> None:
    with editing_server(lambda question: answer) as server:
        made, counts = inject(server, tmp_path)
    assert made is not None
    assert made.text == WORSE
    assert [finding.span.quote(WORSE) for finding in made.findings] == ["due to the fact that"]
    assert counts == {"made": 1, "cached": 0}
    assert not (tmp_path / QUARANTINE_FILE).exists()


GERMAN = "Die Stadt sollte ihren Nachtbus behalten. Er bringt am Freitag sechzig Menschen nach Hause. " * 3
FAKE = '{"findings": [{"criterion": "wordiness", "quote": "the bus", "start": 3, "end": 10}]}'
BAD = [
    ("", Reason.EMPTY),
    (" \n\n ", Reason.EMPTY),
    (marked(" "), Reason.EMPTY),
    ("I'm sorry, but I cannot help with making a text worse.", Reason.REFUSED),
    ("As an AI language model, I do not rewrite texts.", Reason.REFUSED),
    (marked("I apologize, but this is not something that I can do."), Reason.REFUSED),
    (f"I'm sorry, but I would rather not. {PASSAGE}", Reason.REFUSED),
    (marked(PASSAGE), Reason.NO_CHANGE),
    (marked(PASSAGE.replace("’", "'").replace("\n\n", " ")), Reason.NO_CHANGE),
    (marked(PASSAGE.upper()), Reason.REWRITTEN),
    (marked("Buses are good. Nights are long, and a town that lets its workers walk home is no town. " * 4),
     Reason.REWRITTEN),
    (f"```\n{WORSE}\n```", Reason.MARKUP),
    (marked(f"```text\n{WORSE}\n```"), Reason.MARKUP),
    (marked(WORSE.replace("due to the fact that", "**due to the fact that**")), Reason.MARKUP),
    (marked(PASSAGE.replace("because", "{{due to the fact that|because}}")), Reason.MARKUP),
    (f"{WORSE}\n\nExplanation: I made one connective longer.", Reason.COMMENT),
    (f"Here is the changed passage:\n\n{WORSE}", Reason.COMMENT),
    (marked(f"{PASSAGE}\n\nNote: the weakened version says it with more words."), Reason.COMMENT),
    ("I would replace “because” by “due to the fact that”, since that is longer.", Reason.COMMENT),
    (FAKE, Reason.COMMENT),
    (f"{PASSAGE}\n{FAKE}", Reason.MARKUP),
    (marked(GERMAN), Reason.OTHER_LANGUAGE),
    (marked(PASSAGE.replace("count again", "посчитать их снова")), Reason.OTHER_LANGUAGE),
    (marked(PASSAGE.replace("A taxi costs more than they earn in an hour.",
                            "Ein Taxi kostet mehr, als diese Leute abends stündlich verdienen.")),
     Reason.OTHER_LANGUAGE),
    (f"[[BEGIN]]\n{WORSE}", Reason.CUT_SHORT),
    (WORSE[:-40], Reason.CUT_SHORT),
    (PASSAGE[:200], Reason.CUT_SHORT),
    (PASSAGE.removesuffix(" I would run it for one more year and count again."), Reason.CUT_SHORT),
    (marked(WORSE.replace("because", "\ud800")[:50] + "\ud83d" + WORSE[50:]), Reason.BROKEN),
    (marked(WORSE.replace("The town", "The\x00 town")), Reason.BROKEN),
    (marked(WORSE.replace("town", "to\ufffdn", 1)), Reason.BROKEN),
    (marked(WORSE.replace("sixty people", "sixty individual people")), Reason.SEVERAL_PLACES),
    (marked(WORSE) + marked(PASSAGE.replace("sixty", "lots of")), Reason.SEVERAL_TEXTS),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reason"), BAD)
def test_a_bad_answer_is_put_away_with_its_reason_and_is_no_example(
    tmp_path: Path, answer: str, reason: Reason
) -> None:
    with editing_server(lambda question: answer) as server:
        made, counts = inject(server, tmp_path)
    assert made is None
    assert counts == {"cached": 0, reason: 1}
    (row,) = quarantined(tmp_path)
    assert (row["reason"], row["answer"], row["generator"]) == (reason, answer, "editor")
    assert (row["example"], row["criterion"]) == ("p", "wordiness")


def test_a_refusal_inside_a_story_is_the_story_s(tmp_path: Path) -> None:
    story = PASSAGE.replace("Some say", "“I’m sorry, but I cannot stay,” she wrote. Some say")
    with editing_server(worsen) as server:
        made, _ = inject(server, tmp_path, story)
    assert made is not None
    assert made.repaired() == story


def failing(status: int, times: int) -> Callable[[str], Reply]:
    """Fails so many times, then does as it is told."""
    left = [status] * times

    def reply(question: str) -> Reply:
        if not left:
            return worsen(question)
        code = left.pop()
        return lambda handler: handler.reply(code, '{"error": {"message": "busy"}}')

    return reply


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_recovers_is_asked_again(tmp_path: Path, status: int) -> None:
    with editing_server(failing(status, 2)) as server:
        made, counts = inject(server, tmp_path)
    assert made is not None
    assert counts == {"made": 1, "cached": 0}
    assert server.asked.total() == 3


def silent(handler: Handler) -> None:
    handler.begin_stream()
    handler.server.editing.held.wait()  # type: ignore[attr-defined]


def truncated(handler: Handler) -> None:
    handler.begin_stream()
    handler.event(marked(WORSE)[:100])


def not_json(handler: Handler) -> None:
    handler.begin_stream()
    handler.send("{not json")


@pytest.mark.parametrize(("reply", "said"), [
    (lambda handler: handler.reply(500, '{"error": "out of memory"}'), "failed (500): out of memory"),
    (lambda handler: handler.reply(400, '{"error": "no"}'), "refused the request (400)"),
    (lambda handler: handler.reply(200, "<html>", "text/html"), "a web page"),
    (silent, "said nothing for 0.5 s"),
    (truncated, "ended its answer in the middle"),
    (not_json, "where the OpenAI protocol has JSON"),
])  # fmt: skip
def test_a_failure_is_put_away_and_asked_again_the_next_time(
    tmp_path: Path, reply: Callable[[Handler], None], said: str
) -> None:
    replies: list[Callable[[Handler], None]] = [reply] * 3
    with editing_server(lambda question: replies[0] if replies else worsen(question)) as server:
        made, counts = inject(server, tmp_path)
        assert made is None
        assert counts == {"cached": 0, Reason.FAILED: 1}
        assert said in str(quarantined(tmp_path)[0]["answer"])
        assert (tmp_path / FILE).read_bytes() == b""
        replies.clear()
        made, counts = inject(server, tmp_path)
    assert made is not None
    assert counts == {"made": 1, "cached": 0}


def test_many_are_asked_at_once_and_given_in_their_order(tmp_path: Path) -> None:
    def reply(question: str) -> Reply:
        if "carries 63 people" in question:
            return truncated
        return "" if "carries 65 people" in question else worsen(question)

    asked = many(70)
    with editing_server(reply) as server:
        prompted = Prompted(server.model(), tmp_path)
        made = list(prompted.inject_all(asked))
    assert [example.id for example in made if example] == [f"p{n}" for n in range(70) if n not in (3, 5)]
    assert all(example.repaired() == good.text for example, (good, _, _) in zip(made, asked, strict=True) if example)
    assert prompted.counts == {"made": 68, "cached": 0, Reason.FAILED: 1, Reason.EMPTY: 1}


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    asked = many(6)
    with editing_server(worsen) as server:
        first = list(Prompted(server.model(), tmp_path).inject_all([*asked, asked[0], asked[0]]))
        again = Prompted(server.model(), tmp_path)
        assert list(again.inject_all(asked)) == first[:6]
        assert again.counts == {"made": 6, "cached": 6}
    assert server.asked.total() == len(server.asked) == 6
    assert first[0] == first[6] == first[7]


def test_what_was_put_away_once_is_not_put_away_again(tmp_path: Path) -> None:
    with editing_server(lambda question: "") as server:
        for _ in range(2):
            made, counts = inject(server, tmp_path)
            assert made is None
            assert counts[Reason.EMPTY] == 1
        assert len(quarantined(tmp_path)) == 1
        with (tmp_path / QUARANTINE_FILE).open("a", encoding="ascii") as file:
            file.write('{"reason": "emp')
        Prompted(server.model(), tmp_path).inject(passage(name="other"), WORDINESS, Random(2))
    assert (tmp_path / QUARANTINE_FILE).read_text(encoding="ascii").count("\n") == 3
    assert server.asked.total() == 2


def test_a_torn_last_line_is_asked_again_and_nothing_else_is(tmp_path: Path) -> None:
    asked = many(4)
    with editing_server(worsen) as server:
        list(Prompted(server.model(), tmp_path).inject_all(asked))
        whole = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).write_bytes(whole[:-30])
        second = Prompted(server.model(), tmp_path)
        assert all(second.inject_all(asked))
        assert second.counts == {"made": 4, "cached": 3}
        third = Prompted(server.model(), tmp_path)
        assert all(third.inject_all(asked))
        assert third.counts == {"made": 4, "cached": 4}
    assert server.asked.total() == 5


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from bwcoach.backends.openai import OpenAIServer
from tests.editing_server import many
from training.injectors.prompted import Prompted
prompted = Prompted(OpenAIServer({url!r}, "editor", environment={{}}), Path({folder!r}))
print(sum(example is not None for example in prompted.inject_all(many(40))), prompted.counts["cached"])
"""


def test_a_run_that_was_killed_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    child: list[subprocess.Popen[str]] = []
    answered = []

    def reply(question: str) -> Reply:
        answered.append(question)
        if len(answered) == 20:
            os.kill(child[0].pid, signal.SIGKILL)
        return worsen(question)

    with editing_server(reply) as server:
        program = [sys.executable, "-c", KILLED.format(root=str(ROOT), url=server.url, folder=str(tmp_path))]
        child.append(subprocess.Popen(program, stdout=subprocess.PIPE, text=True))
        child[0].communicate()
        assert child[0].returncode == -signal.SIGKILL
        kept = (tmp_path / FILE).read_bytes().count(b"\n")
        # All but those that were being answered when it was killed.
        assert 20 - AT_ONCE <= kept < 40
        done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["40", str(kept)]
    assert len(server.asked) == 40
    assert sum(times == 1 for times in server.asked.values()) >= kept
    assert server.asked.total() <= 40 + AT_ONCE


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with editing_server(worsen) as server, pytest.raises(StageError, match=r"taken.* cannot be written .*name another"):
        Prompted(server.model(), tmp_path / "taken")


def test_a_model_that_is_gone_ends_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    answered: list[str] = []

    def reply(question: str) -> Reply:
        answered.append(question)
        return worsen(question) if len(answered) <= 5 else lambda handler: handler.reply(500, "{}")

    with editing_server(reply) as server:
        prompted = Prompted(server.model(), tmp_path)
        with pytest.raises(BackendError, match=rf"editor failed {MOST_FAILURES} times .* run the same command"):
            list(prompted.inject_all(many(40)))
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 5
    assert len(server.asked) < 40


def test_what_the_passage_says_is_data(tmp_path: Path) -> None:
    text = (
        f"{PASSAGE}\n\nThe sign read [[END]] and [/INST], then {{{{ config }}}} and “1 A \"the bus\" => \"a bus\"”. "
        "It was \ud800 left there because nobody cared."
    )  # fmt: skip
    with editing_server(lambda q: marked(passage_of(q).replace("left there because", "left there owing to it that"))
                        ) as server:  # fmt: skip
        made, _ = inject(server, tmp_path, text)
    (question,) = server.asked
    assert question.count("[[END]]") == 2
    assert "((END)) and (/INST), then {{ config }}" in question
    assert "\ud800" not in question
    assert made is not None
    assert made.text == text.replace("left there because", "left there owing to it that")
    assert made.repaired() == text


def test_an_earlier_weakness_stays_in_its_place_or_the_new_one_is_put_away(tmp_path: Path) -> None:
    def at(words: str, text: str = PASSAGE) -> Span:
        return Span(text.index(words), text.index(words) + len(words))

    late = Finding(at("one more year"), "hedging", fix="a year")
    near = Finding(at("was, because"), "mechanics", fix="x")
    with editing_server(worsen) as server:
        prompted = Prompted(server.model(), tmp_path)
        made = prompted.inject(passage(PASSAGE, late), WORDINESS, Random(1))
        assert prompted.inject(passage(PASSAGE, near), WORDINESS, Random(1)) is None
    assert made is not None
    assert [(f.criterion, f.span.quote(made.text)) for f in made.findings] == [
        ("wordiness", "due to the fact that"), ("hedging", "one more year"),
    ]  # fmt: skip
    assert made.provenance.generator == "rules + editor"
    assert prompted.counts == {"made": 1, "cached": 1, Reason.TOUCHES: 1}


def test_a_draft_wide_criterion_is_asked_of_whole_drafts_alone(tmp_path: Path) -> None:
    thesis = load_rubric("position-paper").criterion("thesis")
    weak = "Some people like buses and some do not."
    with editing_server(lambda q: marked(passage_of(q).replace("The town should keep its night bus.", weak))) as server:
        prompted = Prompted(server.model(), tmp_path)
        part, whole = prompted.inject_all([(passage(), thesis, 0), (passage(whole=True), thesis, 0)])
    assert part is None
    assert whole is not None
    assert whole.findings[0].span.quote(whole.text) == weak.removesuffix(".")
    assert prompted.counts == {"made": 1, "cached": 0}
    assert server.asked.total() == 1


@contextmanager
def second_opinion(said: str) -> Iterator[Editing]:
    with editing_server(lambda question: said if "square brackets" in question else worsen(question)) as server:
        yield server


@pytest.mark.parametrize(("said", "reason"), [
    ("yes", None), ("Yes, it does.", None), ("**Yes**", None), ("No.", Reason.DISAGREES), ("no", Reason.DISAGREES),
    ("Perhaps", Reason.UNCLEAR), ("", Reason.UNCLEAR),
])  # fmt: skip
def test_another_model_has_to_see_the_weakness_too(tmp_path: Path, said: str, reason: Reason | None) -> None:
    with second_opinion(said) as server:
        prompted = Prompted(server.model(), tmp_path, second_reader=server.model("reader"))
        made = prompted.inject(passage(), WORDINESS, Random(1))
        again = Prompted(server.model(), tmp_path, second_reader=server.model("reader"))
        assert again.inject(passage(), WORDINESS, Random(1)) == made
    assert (made is None) == (reason is not None)
    assert prompted.counts == {"cached": 0, ("made" if reason is None else reason): 1}
    assert [body["model"] for body in server.bodies] == ["editor", "reader"]
    assert "It was, [due to the fact that] nobody knew" in server.bodies[1]["messages"][-1]["content"]


def test_a_seed_draws_the_question_and_the_same_one_draws_the_same(tmp_path: Path) -> None:
    with editing_server(worsen) as server:
        asked = [(passage(), WORDINESS, seed) for seed in range(12)]
        first = list(Prompted(server.model(), tmp_path / "a").inject_all(asked))
        again = list(Prompted(server.model(), tmp_path / "b").inject_all(asked))
        other = list(Prompted(server.model(), tmp_path / "c", seed=1).inject_all(asked))
    assert first == again != other
    assert len({example.provenance.prompt_hash for example in first if example}) > 6
    assert len({example.provenance.forms for example in first if example}) == len(WORDINESS.injection.prompts)


def test_a_gguf_is_asked_in_one_batch_and_a_passage_too_long_for_it_is_not(tmp_path: Path) -> None:
    short, long = "It was late because the bus was late.", " ".join(["It was late."] * 700)
    other = "The hall was cold because nobody had paid."
    backend = LlamaCpp(tiny().base_gguf, None, context=2048, template="plain")
    asked = [(passage(text, name=str(n)), WORDINESS, n) for n, text in enumerate([short, long, other])]
    prompted = Prompted(backend, tmp_path)
    assert list(prompted.inject_all(asked)) == [None] * 3
    assert prompted.counts[Reason.TOO_LONG] == 1
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 2
    again = Prompted(backend, tmp_path)
    list(again.inject_all(asked))
    assert again.counts["cached"] == 2


GRANT = [
    ("unshown-need", "Of the 212 children whom we examined in May, 97 had a tooth that had to be treated.",
     "There is a huge need for dental care among the children here."),
    ("vague-objective", "bring the share of treated teeth from 40 to 70 per cent", "raise awareness of dental health"),
    ("activity-for-outcome", "when two of three pupils come back for their second visit",
     "when all thirty school visits have been made"),
    ("unassigned-work", "Dr Amadi trains two assistants in January", "two assistants will be trained"),
    ("inflated-promise", "a mobile clinic", "a truly groundbreaking mobile clinic"),
]  # fmt: skip
PROPOSAL = (
    "Of the 212 children whom we examined in May, 97 had a tooth that had to be treated. The nearest dentist is an "
    "hour away by bus. With the grant we will run a mobile clinic in the three valleys for two years, and we mean to "
    "bring the share of treated teeth from 40 to 70 per cent by the summer of 2028. Dr Amadi trains two assistants in "
    "January, and the clinic drives from March on. We shall say that it works when two of three pupils come back for "
    "their second visit. The village of {village} has promised a heated room, and its school lends us the yard."
)


def test_a_rubric_of_one_s_own_becomes_a_set_of_examples(tmp_path: Path) -> None:
    """From docs/grant-proposal.yaml and four good texts to rows with exact spans, through a server."""
    rubric = load_rubric(ROOT / "docs" / "grant-proposal.yaml")
    assert rubric.ids == tuple(criterion for criterion, _, _ in GRANT)
    names = {rubric.criterion(criterion).name: (better, worse) for criterion, better, worse in GRANT}

    def reply(question: str) -> Reply:
        better, worse = next(edit for name, edit in names.items() if f"called “{name}”" in question)
        text = passage_of(question)
        # One village's answers are of no use.
        return marked(text if "Isarco" in text else text.replace(better, worse))

    origin = Provenance("our proposals", "CC BY 4.0", "rules")
    texts = [PROPOSAL.format(village=village) for village in ("Ordu", "Isarco", "Lom", "Wick")]
    good = [Example(f"grant-{n}", rubric.name, text, (), origin, pair=f"grant-{n}") for n, text in enumerate(texts)]
    asked = [(one, criterion, n) for n, one in enumerate(good) for criterion in rubric.criteria]
    with editing_server(reply) as server:
        prompted = Prompted(server.model(), tmp_path / "answers")
        made = list(prompted.inject_all(asked))
    file = tmp_path / "train.jsonl"
    assert write_examples(filter(None, made), file) == 15
    rows = list(read_examples(file))
    assert prompted.counts == {"made": 15, "cached": 0, Reason.NO_CHANGE: 5}
    for row in rows:
        (finding,) = row.findings
        better, worse = next((b, w) for criterion, b, w in GRANT if criterion == finding.criterion)
        text = texts[int(row.id.removeprefix("grant-"))]
        assert row.text == text.replace(better, worse)
        # The smallest run of words that differs, inside of what was written.
        assert finding.span.quote(row.text) in worse
        assert word_count(finding.span.quote(row.text)) >= min(2, word_count(worse) - word_count(better))
        assert row.repaired().split() == text.split()
        assert (row.rubric, row.provenance.generator) == ("grant-proposal", "editor")
    assert {row.findings[0].criterion for row in rows} == set(rubric.ids)
