"""The GGUF backend on a real, tiny, random model: its logits, its spans, its adapter, its grammar, its errors."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher
from numpy.typing import NDArray
from peft import PeftModel
from transformers import LlamaForCausalLM

from bwcoach.backends import Grammar, Line, Prompt, Reader, Reading, Sampling
from bwcoach.backends.llamacpp import LlamaCpp
from bwcoach.backends.llamacpp_sequences import WORTH_SHARING, new_call
from bwcoach.backends.llamacpp_vocabulary import Vocabulary
from bwcoach.draft import Draft
from bwcoach.errors import BackendError, ModelError
from bwcoach.lines import grammar, parse
from bwcoach.prompt import disguise, letters
from tests.tiny import CONTEXT, make_adapter, make_base, tiny
from training.gguf_files import llama_config, write_adapter_gguf, write_base_gguf
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece

TEXT = "The report shows that the plan was made by the council. It is very clear, and everyone knows it."
HARD = (
    "naïve café 😀👩‍👩‍👧 \u200bzero\u200dwidth\r\nCRLF\tTab  two blanks \u2581 sign שלום مرحبا 中文 e\u0301 \ufffd "
    "[/INST] <s> </s> <0x0A> {{ 7 * 7 }} <unk>\n\n\nend "
)
CANDIDATES = (" the", " a", "s", " is")
# The cache holds keys and values in 16 bits.
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def model() -> LlamaCpp:
    made = tiny()
    return LlamaCpp(made.base_gguf, made.adapter_gguf, context=CONTEXT, template="plain", threads=1)


@pytest.fixture(scope="module")
def model_like_llama_2() -> LlamaCpp:
    made = tiny(like_llama_2=True)
    return LlamaCpp(made.base_gguf, made.adapter_gguf, context=CONTEXT, template="llama-2", threads=1)


def read(model: LlamaCpp, *prompts: Prompt, tuned: bool = False) -> list[Reading]:
    return list(model.read(prompts, CANDIDATES, tuned=tuned, stop=threading.Event()))


def complete(
    model: LlamaCpp, *prompts: Prompt, grammars: tuple[Grammar | None, ...] | None = None, tuned: bool = False,
    sampling: Sampling | None = None,
) -> list[Line]:
    grammars = grammars or (None,) * len(prompts)
    sampling = sampling or Sampling(most_tokens=60)
    return list(model.complete(prompts, grammars=grammars, tuned=tuned, sampling=sampling, stop=threading.Event()))


def transformers_logits(head: str, answer: str, *, tuned: bool) -> NDArray[np.float32]:
    """The same logits from the same model's Hugging Face folder."""
    made = tiny()
    processor = load_sentencepiece(made.base / SENTENCEPIECE_FILE)
    model = LlamaForCausalLM.from_pretrained(made.base)
    if tuned:
        model = PeftModel.from_pretrained(model, made.adapter)
    first, second = processor.encode(head), processor.encode(answer)
    with torch.no_grad():
        logits = model(torch.tensor([[1, *first, *second]])).logits[0, -len(second) :]
    columns = [processor.piece_to_id(candidate.replace(" ", "\u2581")) for candidate in CANDIDATES]
    return np.asarray(logits[:, columns].numpy())


def test_is_a_reader(model: LlamaCpp) -> None:
    assert isinstance(model, Reader)
    assert model.has_adapter
    assert model.context == CONTEXT
    assert model.count(TEXT) == len(load_sentencepiece(tiny().base / SENTENCEPIECE_FILE).encode(TEXT))


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("text", [TEXT, disguise(HARD), TEXT * 12])
def test_logits_are_those_of_transformers(model: LlamaCpp, text: str, tuned: bool) -> None:
    prompt = Prompt("System.", f"{text}\n\nAgain:\n\n", text)
    (reading,) = read(model, prompt, tuned=tuned)
    expected = transformers_logits(f"System.\n\n{text}\n\nAgain:\n\n", text, tuned=tuned)
    assert reading.logits.dtype == np.float32
    assert reading.logits.shape == expected.shape
    assert np.abs(reading.logits - expected).max() < TOLERANCE


def test_adapter_changes_the_logits(model: LlamaCpp) -> None:
    prompt = Prompt("", TEXT, TEXT)
    (base,), (tuned,) = read(model, prompt), read(model, prompt, tuned=True)
    assert np.abs(base.logits - tuned.logits).max() > 100 * TOLERANCE


def test_no_state_of_the_adapter_is_left_to_the_other(model: LlamaCpp) -> None:
    prompts = tuple(Prompt(TEXT * 4, f"{n} {TEXT}", TEXT) for n in range(2))
    assert new_call([[*range(WORTH_SHARING + 1), n] for n in range(2)], tuned=False).prefix
    first = read(model, *prompts)
    read(model, *prompts, tuned=True)
    complete(model, *prompts, tuned=True)
    again = read(model, *prompts)
    made = tiny()
    fresh = read(LlamaCpp(made.base_gguf, context=CONTEXT, template="plain", threads=1), *prompts)
    for one, two, three in zip(first, again, fresh, strict=True):
        assert np.array_equal(one.logits, two.logits)
        assert np.array_equal(one.logits, three.logits)


def test_a_shared_beginning_gives_what_each_prompt_alone_gives(model: LlamaCpp) -> None:
    prompts = tuple(Prompt(TEXT * 8, f"{n} {TEXT}", TEXT) for n in range(3))
    together = read(model, *prompts)
    assert [reading.prompt for reading in together] == [0, 1, 2]
    for prompt, reading in zip(prompts, together, strict=True):
        (alone,) = read(model, prompt)
        assert np.abs(alone.logits - reading.logits).max() < TOLERANCE


def test_calls_may_be_nested_in_one_another(model: LlamaCpp) -> None:
    prompts = tuple(Prompt(TEXT * 4, f"{n} {TEXT}", TEXT) for n in range(3))
    expected = [reading.logits for reading in read(model, *prompts)]
    sampling = Sampling(most_tokens=8)
    expected_lines = complete(model, *prompts, sampling=sampling)
    met = []
    for reading in model.read(prompts, CANDIDATES, tuned=False, stop=threading.Event()):
        met.append(reading.logits)
        complete(model, Prompt("", "Something else.", ""), tuned=True, sampling=Sampling(most_tokens=3))
    assert all(np.array_equal(one, two) for one, two in zip(met, expected, strict=True))
    lines = []
    for line in model.complete(prompts, grammars=(None,) * 3, tuned=False, sampling=sampling, stop=threading.Event()):
        lines.append(line)
        read(model, prompts[0], tuned=True)
    assert {(line.prompt, line.text) for line in lines} == {(line.prompt, line.text) for line in expected_lines}


def test_an_abandoned_call_leaves_the_model_free(model: LlamaCpp) -> None:
    unfinished = model.read([Prompt("", TEXT, TEXT)] * 3, CANDIDATES, tuned=True, stop=threading.Event())
    assert isinstance(unfinished, Generator)
    next(unfinished)
    unfinished.close()
    assert len(read(model, Prompt("", TEXT, TEXT))) == 1


def test_threads_take_turns(model: LlamaCpp) -> None:
    prompts = tuple(Prompt("", f"{n} {TEXT}", TEXT) for n in range(4))
    expected = {tuned: [r.logits for r in read(model, *prompts, tuned=tuned)] for tuned in (False, True)}
    got: dict[bool, list[NDArray[np.float32]]] = {}

    def run(tuned: bool) -> None:
        got[tuned] = [r.logits for r in read(model, *prompts, tuned=tuned)]

    threads = [threading.Thread(target=run, args=(tuned,)) for tuned in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tuned in (False, True):
        assert all(np.array_equal(a, b) for a, b in zip(got[tuned], expected[tuned], strict=True))


class _StopsAfter(threading.Event):
    """Is set once it has been asked so many times."""

    def __init__(self, asked: int) -> None:
        super().__init__()
        self.left = asked

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_stop_ends_a_reading_between_passes(model: LlamaCpp) -> None:
    prompts = [Prompt("", TEXT, TEXT)] * 4
    assert [r.prompt for r in model.read(prompts, CANDIDATES, tuned=False, stop=_StopsAfter(0))] == []
    some = len(list(model.read(prompts, CANDIDATES, tuned=False, stop=_StopsAfter(9))))
    assert 0 < some < 4
    assert len(read(model, *prompts)) == 4


@pytest.mark.parametrize("asked", [0, 1, 5])
def test_stop_ends_every_answer(model: LlamaCpp, asked: int) -> None:
    prompts = [Prompt("", f"{n}", "") for n in range(6)]
    lines = list(model.complete(
        prompts, grammars=[None] * 6, tuned=False, sampling=Sampling(most_tokens=500), stop=_StopsAfter(asked)
    ))
    assert {line.prompt for line in lines if line.last} == set(range(6))
    assert len(complete(model, prompts[0])) >= 1


@pytest.mark.parametrize("text", [TEXT, HARD, "", "\n", "a", "\ud800lone\udfff", "x\x00y", "\u2581\u2581", "  lead"])
def test_spans_tile_the_answer(model: LlamaCpp, model_like_llama_2: LlamaCpp, text: str) -> None:
    for one in (model, model_like_llama_2):
        check_spans(one, text)


@given(st.text(max_size=60))
def test_spans_tile_any_answer(text: str) -> None:
    made = tiny()
    check_spans(LlamaCpp(made.base_gguf, context=256, template="plain", threads=1), text)


def check_spans(model: LlamaCpp, text: str) -> None:
    (reading,) = read(model, Prompt("", "x", text))
    spans = reading.spans
    assert len(spans) == len(reading.logits)
    covered = np.zeros(len(text), dtype=int)
    for start, end in spans:
        covered[start:end] += 1
    assert (covered >= 1).all()
    assert (np.diff(spans[:, 0]) >= 0).all()
    assert (np.diff(spans[:, 1]) >= 0).all()
    # A character is in two tokens only where it had to be put as bytes.
    assert all(len(text[i].encode("utf-8", "replace")) > 1 for i in np.flatnonzero(covered > 1))


def test_spans_are_the_words_of_their_pieces(model: LlamaCpp) -> None:
    (reading,) = read(model, Prompt("", "x", "the café 😀 is"))
    quotes = ["the café 😀 is"[start:end] for start, end in reading.spans]
    assert quotes[0] == "the"
    assert quotes[-1] == " is"
    assert quotes.count("😀") == 4


def test_delimiters_in_a_draft_are_ordinary_pieces(model: LlamaCpp, model_like_llama_2: LlamaCpp) -> None:
    for one in (model, model_like_llama_2):
        vocabulary: Vocabulary = one._vocabulary
        ids = vocabulary.ids("<s>[INST] </s><unk><0x0A>")
        assert not {0, 1, 2} & set(ids)
        assert b"".join(vocabulary.pieces[i] for i in ids).strip() == b"<s>[INST] </s><unk><0x0A>"


PUBLISHED_LLAMA_2 = "[INST] <<SYS>>\nYou are a coach.\n<</SYS>>\n\nWhat is weak? [/INST]"


def test_llama_2_prompt_is_the_published_one_token_for_token(model_like_llama_2: LlamaCpp) -> None:
    processor = load_sentencepiece(tiny(like_llama_2=True).base / SENTENCEPIECE_FILE)
    ids = model_like_llama_2._head(Prompt("You are a coach.", "What is weak? "))
    assert ids == [processor.bos_id(), *processor.encode(PUBLISHED_LLAMA_2)]
    bare = model_like_llama_2._head(Prompt("", "What is weak?"))
    assert bare == [processor.bos_id(), *processor.encode("[INST] What is weak? [/INST]")]


def test_a_models_own_template_is_spliced(tmp_path: Path) -> None:
    made = tiny(like_llama_2=True)
    (tmp_path / "base").mkdir()
    for path in made.base.iterdir():
        (tmp_path / "base" / path.name).write_bytes(path.read_bytes())
    source = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | trim }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}coach: {% endif %}"
    )
    (tmp_path / "base" / "chat_template.jinja").write_text(source, encoding="utf-8")
    write_base_gguf(tmp_path / "base", tmp_path / "own.gguf", "own")
    model = LlamaCpp(tmp_path / "own.gguf", context=CONTEXT, template="own", threads=1)
    encode = load_sentencepiece(made.base / SENTENCEPIECE_FILE).encode
    draft = "A {{ bos_token }} draft </s> <s> [INST]"
    assert model._head(Prompt("Rules.", draft)) == [
        1, *encode("system: Rules."), 2, *encode(f"user: {draft}"), 2, *encode("coach: ")
    ]


def test_own_template_without_one_is_plain() -> None:
    made = tiny()
    model = LlamaCpp(made.base_gguf, context=CONTEXT, template="own", threads=1)
    encode = load_sentencepiece(made.base / SENTENCEPIECE_FILE).encode
    assert model._head(Prompt("System.", "User.")) == [1, *encode("System.\n\nUser.")]


DRAFT = Draft(
    "Everyone knows that the plan is bad. It was made by the council. The council \"met\" — twice. 😀 Things happen."
)


def draft_grammar() -> Grammar:
    return grammar(DRAFT.text, DRAFT.sentences, letters(5))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("like_llama_2", [False, True])
def test_every_line_obeys_the_grammar(
    model: LlamaCpp, model_like_llama_2: LlamaCpp, like_llama_2: bool, temperature: float
) -> None:
    one = model_like_llama_2 if like_llama_2 else model
    prompts = [Prompt("System.", f"{n} {DRAFT.text}\n\nFindings:\n") for n in range(6)]
    sampling = Sampling(most_tokens=400, temperature=temperature, seed=3)
    lines = complete(one, *prompts, grammars=(draft_grammar(),) * 6, sampling=sampling)
    for n in range(6):
        *full, last = [line for line in lines if line.prompt == n]
        assert last.last
        assert not any(line.last for line in full)
        for line in full:
            answer = parse(line.text, DRAFT.text, DRAFT.sentences, letters(5))
            assert answer is not None, line.text
    for line in lines:
        assert "".join(line.pieces) == line.text
        assert len(line.pieces) == len(line.probabilities)
        assert all(0 < p <= 1 for p in line.probabilities)


def test_an_answer_may_say_nothing(model: LlamaCpp) -> None:
    only_done = grammar("", (), letters(5))
    (line,) = complete(model, Prompt("", "Findings:\n"), grammars=(only_done,))
    assert (line.text, line.last) == ("done", True)
    for before in ("", '1 A "the plan"\n', '2-3 B => "x"\n'):
        tokenizer = model._vocabulary.grammar_tokenizer
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(draft_grammar().lark))
        assert matcher.consume_tokens(model._vocabulary.ids(f"{before}done"))
        assert matcher.is_stopped()


def test_a_forced_token_has_probability_one(model: LlamaCpp) -> None:
    forced = Grammar('start: "the council was made" ("." | "!")\n', "{}")
    (line,) = complete(model, Prompt("", "Say:"), grammars=(forced,))
    assert line.text in ("the council was made.", "the council was made!")
    assert line.last
    assert line.probabilities[0] == 1.0
    assert line.probabilities[-1] < 1.0


def test_greedy_answers_do_not_depend_on_their_neighbours(model: LlamaCpp) -> None:
    prompts = [Prompt("", f"{n}. {TEXT * (n % 3)}") for n in range(7)]
    together = complete(model, *prompts)
    for n, prompt in enumerate(prompts):
        alone = [pair for line in complete(model, prompt) for pair in zip(line.pieces, line.probabilities, strict=True)]
        lines = [line for line in together if line.prompt == n]
        beside = [pair for line in lines for pair in zip(line.pieces, line.probabilities, strict=True)]
        for (one, p), (other, q) in zip(alone, beside, strict=True):
            assert p == pytest.approx(q, rel=TOLERANCE)
            if one != other:
                break  # Both were as probable, so 16 bits decide, and what follows is another answer.
        assert [piece for piece, _ in alone[:3]] == [piece for piece, _ in beside[:3]]


def test_the_same_seed_gives_the_same_answer(model: LlamaCpp) -> None:
    def answer(seed: int) -> list[str]:
        lines = complete(model, Prompt("", TEXT), sampling=Sampling(most_tokens=20, temperature=1.0, seed=seed))
        return [line.text for line in lines]

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)


def test_most_tokens_ends_an_answer(model: LlamaCpp) -> None:
    lines = complete(model, Prompt("", TEXT), sampling=Sampling(most_tokens=7))
    assert sum(len(line.pieces) for line in lines) <= 7
    assert lines[-1].last


def test_a_forced_beginning_is_not_part_of_the_answer(model: LlamaCpp) -> None:
    forced = Grammar('start: "ncil"\n', "{}")
    (line,) = complete(model, Prompt("", "Say:", "the cou"), grammars=(forced,))
    assert line.text == "ncil"


def test_no_prompts_give_nothing(model: LlamaCpp) -> None:
    assert read(model) == []
    assert complete(model) == []


def test_a_prompt_over_the_context_is_refused(model: LlamaCpp) -> None:
    long = Prompt("", TEXT * 60, TEXT)
    with pytest.raises(BackendError, match="more than the 1024 that"):
        read(model, long)
    with pytest.raises(BackendError, match="more than the 1024 that"):
        complete(model, long)


def test_a_candidate_of_several_pieces_is_refused(model: LlamaCpp) -> None:
    with pytest.raises(BackendError, match="not one piece"):
        list(model.read([Prompt("", "x", "y")], ["unheardofly"], tuned=False, stop=threading.Event()))


def test_a_grammar_that_is_none_is_refused(model: LlamaCpp) -> None:
    with pytest.raises(BackendError, match="grammar"):
        complete(model, Prompt("", "x"), grammars=(Grammar("start: nothing here(", "{}"),))


def spoilt(folder: Path) -> Iterator[tuple[str, Path, Path | None, str]]:
    made = tiny()
    base, adapter = made.base_gguf.read_bytes(), made.adapter_gguf.read_bytes()

    def put(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    yield "missing base", folder / "none.gguf", None, "no such GGUF"
    yield "missing adapter", made.base_gguf, folder / "none.gguf", "no such GGUF"
    for cut in (0, 3, 4, 20, 3000, len(base) // 2, len(base) - 1):
        yield f"base of {cut} bytes", put(f"cut-{cut}.gguf", base[:cut]), None, "cut short|not a GGUF"
    for cut in (0, 20, 3000, len(adapter) - 1):
        yield f"adapter of {cut} bytes", made.base_gguf, put(f"a-{cut}.gguf", adapter[:cut]), "cut short|not a GGUF"
    yield "a pickle", put("pickle.gguf", b"\x80\x04\x95junk"), None, "not a GGUF"
    yield "an adapter as the base", made.adapter_gguf, None, "cannot load it"
    yield "a base as the adapter", made.base_gguf, made.base_gguf, "does not go with"
    other = make_base(folder / "other", hidden_size=512)
    write_adapter_gguf(make_adapter(folder / "other-adapter", other), folder / "other.gguf", llama_config(other))
    yield "an adapter of another base", made.base_gguf, folder / "other.gguf", "another base"


def test_spoilt_files_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for what, base, adapter, sentence in spoilt(tmp_path):
        capfd.readouterr()
        with pytest.raises(ModelError, match=sentence):
            LlamaCpp(base, adapter, context=512, template="plain", threads=1)
        assert "llama" not in capfd.readouterr().err, what
