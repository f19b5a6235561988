"""The lines answer: what is rendered is read back, and the grammar lets exactly that through."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from bwcoach.backends import Line
from bwcoach.draft import Draft, Span
from bwcoach.lines import DONE, MOST_PER_SENTENCE, Answer, confidence, grammar, parse, render, says_nothing
from bwcoach.prompt import disguise, number_sentences

LETTERS = ("A", "B", "C")
TEXT = 'The  plan failed,\nvery badly. He said "no" very, very often. It was <s>late</s>. We left.'
SENTENCES = Draft(TEXT).sentences


class _Bytes:
    """A vocabulary of the 256 bytes and an end."""

    tokens = (*(bytes([byte]) for byte in range(256)), b"</s>")
    special_token_ids = (256,)
    bos_token_id = eos_token_id = 256

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


TOKENIZER = LLTokenizer(TokenizerWrapper(_Bytes()))


def accepts(lark: str, answer: str) -> bool:
    matcher = LLMatcher(TOKENIZER, LLMatcher.grammar_from_lark(lark), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    ids = list(answer.encode())
    return bool(matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting())


def read(answer: str, text: str, sentences: tuple[Span, ...]) -> list[Answer | None]:
    """Line by line, as a coach reads it."""
    found: list[Answer | None] = []
    for line in answer.split("\n"):
        if not says_nothing(line):
            found.append(parse(line, text, sentences, LETTERS, [f for f in found if f]))
    return found


def place(words: str, nth: int = 0) -> Span:
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(words, start + 1)
    return Span(start, start + len(words))


def test_sentences_of_the_example() -> None:
    assert number_sentences(TEXT, SENTENCES).splitlines()[0] == "1. The plan failed, very badly."
    assert len(SENTENCES) == 4


def test_render_names_sentence_letter_quote_and_fix() -> None:
    answers = [
        Answer(place("very badly"), 1, "badly"), Answer(place("very", 2), 0, None), Answer(place("We left"), 2, "")
    ]
    assert render(answers, TEXT, SENTENCES, LETTERS) == (
        '1 B "very badly" => "badly"\n2 A "very often"\n4 C "We left" => ""\ndone'
    )


def test_a_quote_is_read_across_the_blanks_that_the_model_did_not_see() -> None:
    answer = parse('1 B "The plan failed, very" => "It"', TEXT, SENTENCES, LETTERS)
    assert answer is not None
    assert answer.span.quote(TEXT) == "The  plan failed,\nvery"
    assert answer == Answer(answer.span, 1, "It")


def test_a_disguised_quote_is_read_where_the_delimiter_stood() -> None:
    answer = parse('3 A "‹s›late‹/s›"', TEXT, SENTENCES, LETTERS)
    assert answer is not None
    assert answer.span.quote(TEXT) == "<s>late</s>"


def test_quotation_marks_need_no_escape() -> None:
    assert read('2 A "said "no""\n2 B ""no"" => ""never""\ndone', TEXT, SENTENCES) == [
        Answer(place('said "no"'), 0, None), Answer(place('"no"'), 1, '"never"')
    ]


def test_a_repeated_quote_takes_the_next_free_place_of_its_criterion() -> None:
    assert read('2 A "very"\n2 A "very"\n2 B "very"\n2 A "very"', TEXT, SENTENCES) == [
        Answer(place("very", 1), 0, None), Answer(place("very", 2), 0, None),
        Answer(place("very", 1), 1, None), Answer(place("very", 1), 0, None),
    ]


def test_a_run_of_sentences_goes_from_its_first_word_to_its_last() -> None:
    run = Answer(Span(SENTENCES[1].start, SENTENCES[2].end), 2, None)
    assert render([run], TEXT, SENTENCES, LETTERS) == "2-3 C\ndone"
    assert read("2-3 C", TEXT, SENTENCES) == [run]
    assert read('2-3 C => "Late."', TEXT, SENTENCES) == [run._replace(fix="Late.")]


def test_a_place_over_a_sentence_end_becomes_whole_sentences() -> None:
    across = Answer(Span(place("badly").start, place("He said").end), 0, None)
    assert read(render([across], TEXT, SENTENCES, LETTERS), TEXT, SENTENCES) == [
        Answer(Span(SENTENCES[0].start, SENTENCES[1].end), 0, None)
    ]


def test_a_long_fix_is_left_out() -> None:
    assert render([(place("plan"), 0, "x" * 301)], TEXT, SENTENCES, LETTERS) == '1 A "plan"\ndone'
    kept = render([(place("plan"), 0, "é" * 300)], TEXT, SENTENCES, LETTERS)
    assert kept.endswith('é"\ndone')
    assert accepts(grammar(TEXT, SENTENCES, LETTERS).lark, kept)


def test_no_more_lines_of_a_sentence_than_the_grammar_allows() -> None:
    answers = [Answer(Span(start, end), c, None) for start, end in ((0, 3), (5, 9), (10, 16)) for c in range(3)]
    answer = render(answers, TEXT, SENTENCES, LETTERS)
    assert answer.count("\n") == MOST_PER_SENTENCE
    assert accepts(grammar(TEXT, SENTENCES, LETTERS).lark, answer)


@pytest.mark.parametrize("line", [
    DONE, "", '1 D "plan"', '9 A "plan"', '0 A "plan"', '1 A "pla"', '1 A "Plan"', '1 A ""', "1 A", "1 A plan",
    '2 A "The plan"', "3-2 A", "1-9 A", "1-2 A because", '1 A "plan" => better', "no weaknesses found",
    '{"sentence": "1"}', '{"sentence": "1", "criterion": "A", "quote": 3, "fix": null}', "{", "[" * 5000,
    '{"sentence": "x", "criterion": "A", "quote": "plan", "fix": null}', "{" + '"a":[' * 3000,
])
def test_what_names_no_place_is_none(line: str) -> None:
    assert parse(line, TEXT, SENTENCES, LETTERS) is None


def test_the_json_form_says_the_same() -> None:
    def item(sentence: object, quote: str, fix: str | None) -> str:
        return json.dumps({"sentence": sentence, "criterion": "B", "quote": quote, "fix": fix})

    assert read("\n".join([item("1", "plan  failed", "sank"), item(2, "very", None), item("2-3", "", None)]),
                TEXT, SENTENCES) == [
        Answer(place("plan failed"), 1, "sank"), Answer(place("very", 1), 1, None),
        Answer(Span(SENTENCES[1].start, SENTENCES[2].end), 1, None),
    ]


@pytest.mark.parametrize(("answer", "allowed"), [
    ("done", True),
    (" done", True),
    ("  done", False),
    ('1 A "plan"\n1 B "plan failed" => "x"\n4 C "left"\ndone', True),
    ("1-4 A\ndone", True),
    ('2 A "no"\n2 A ""no""\ndone', True),
    ('4 A "left"\n1 A "plan"\ndone', False),
    ('1 A ""\ndone', False),
    ('1 A " "\ndone', False),
    ('1 A "pla"\ndone', False),
    ('1 A "left"\ndone', False),
    ('1 D "plan"\ndone', False),
    ("2-2 A\ndone", False),
    ("4-5 A\ndone", False),
    ('1 A "plan"\n', False),
    ("", False),
])
def test_the_grammar_lets_through(answer: str, allowed: bool) -> None:
    assert accepts(grammar(TEXT, SENTENCES, LETTERS).lark, answer) is allowed


def test_a_letter_that_json_and_grammars_quote_is_ordinary_in_a_sentence() -> None:
    text = 'a ::= "b\\n" /c/ {d} => "e" %f \U0001f600 ☃.'
    sentences = (Span(0, len(text)),)
    made = grammar(text, sentences, LETTERS)
    assert "::=" not in made.lark
    assert accepts(made.lark, f'1 A "{text}" => "{text}"\ndone')


words = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["very", '"', '" => "', "[INST]", "<s>", "\n", " ", "::=", "\\", "a", "\ud800", "\x00", "e\u0301"]),
)


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, tuple[Span, ...], list[Answer]]:
    """A text of random words, cut anywhere into sentences, with findings that each lie in one of them or in several."""
    text, sentences = "", []
    for _ in range(draw(st.integers(1, 4))):
        sentence = draw(st.lists(words, min_size=1, max_size=6).map(" ".join)).strip() or "x"
        sentences.append(Span(len(text), len(text) + len(sentence)))
        text += sentence + draw(st.sampled_from([" ", "\n\n"]))
    answers = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        fix = draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
        answers.append(Answer(Span(start, end), draw(st.integers(0, 2)), fix))
    return text, tuple(sentences), answers


def as_shown(fix: str | None) -> str | None:
    return None if fix is None else " ".join(disguise(fix).split())


@settings(max_examples=150, deadline=None)
@given(marked())
def test_what_is_rendered_is_read_back_at_its_place(case: tuple[str, tuple[Span, ...], list[Answer]]) -> None:
    text, sentences, answers = case
    answer = render(answers, text, sentences, LETTERS)
    found = read(answer, text, sentences)
    assert None not in found
    assert answer.endswith(DONE)
    for one in found:
        assert one is not None
        assert any(one.criterion == a.criterion and one.span.overlap(a.span) for a in answers)
        assert one.fix is None or any(one.fix == as_shown(a.fix) for a in answers)


@settings(max_examples=60, deadline=None)
@given(marked())
def test_the_grammar_takes_every_rendered_answer(case: tuple[str, tuple[Span, ...], list[Answer]]) -> None:
    text, sentences, answers = case
    assert accepts(grammar(text, sentences, LETTERS).lark, render(answers, text, sentences, LETTERS))


@settings(max_examples=60, deadline=None)
@given(marked(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\n"'), min_size=1, max_size=6))
def test_what_the_grammar_takes_is_read(case: tuple[str, tuple[Span, ...], list[Answer]], quote: str) -> None:
    text, sentences, _ = case
    line = f'1 A "{quote}"'
    taken = accepts(grammar(text, sentences, LETTERS).lark, f"{line}\n{DONE}")
    assert taken == (parse(line, text, sentences, LETTERS) is not None)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["one", "two", "three", "four", "five"]), unique=True, min_size=2, max_size=5),
       st.data())
def test_whole_words_that_stand_once_come_back_exactly(words: list[str], data: st.DataObject) -> None:
    text = "  ".join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    answer = Answer(Span(text.index(words[first]), text.index(words[last]) + len(words[last])), 1, "x")
    sentences = (Span(0, len(text)),)
    assert read(render([answer], text, sentences, LETTERS), text, sentences) == [answer]


def test_confidence_is_the_letters_probability_times_the_geometric_mean_of_the_quotes() -> None:
    line = Line(0, '1 B "plan failed" => "x"', False, ("1", " B", ' "', "plan", " failed", '"', ' => "x"'),
                (0.9, 0.5, 1.0, 0.8, 0.2, 1.0, 0.1))
    assert confidence(line) == pytest.approx(0.5 * math.sqrt(0.8 * 0.2))


def test_confidence_of_a_run_is_its_letters() -> None:
    assert confidence(Line(0, "2-3 B", False, ("2", "-", "3", " B", "\n"), (0.1, 0.2, 0.3, 0.4, 1.0))) == 0.4


def test_confidence_of_the_json_form() -> None:
    line = Line(0, '{"criterion":"B","quote":"no"}', False, ('{"criterion":"', "B", '","quote":"', "no", '"}'),
                (1.0, 0.5, 1.0, 0.25, 1.0))
    assert confidence(line) == pytest.approx(0.125)


def test_no_confidence_without_probabilities() -> None:
    assert confidence(Line(0, '1 B "plan"', False)) is None
