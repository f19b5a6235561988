"""A Hugging Face folder with an adapter: what is read and written equals what the plain model says."""

from __future__ import annotations

import functools
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from tokenizers import normalizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from bwcoach.backends import Grammar, Line, Prompt, Reading, Sampling
from bwcoach.backends.transformers import Transformers, encode_answer, encode_head
from bwcoach.backends.transformers_vocabulary import TransformersVocabulary
from bwcoach.draft import Draft
from bwcoach.errors import BackendError, ModelError
from bwcoach.lines import confidence, grammar, parse, says_nothing
from tests.tiny import CONTEXT, make_base, tiny

TEXTS = (
    "The plan failed.", "Nobody had read the long, long plan, and so it failed badly in the end. It was late.",
    "We left",
)
CANDIDATES = (" the", " of", " and")


@functools.cache
def backend(**settings: object) -> Transformers:
    made = tiny()
    chosen: dict[str, object] = {"adapter": made.adapter, "context": CONTEXT, "template": "plain", **settings}
    return Transformers(made.base, **chosen)  # type: ignore[arg-type]


def read(model: Transformers, texts: tuple[str, ...] = TEXTS, *, tuned: bool = True) -> list[Reading]:
    prompts = [Prompt("", f"Read: {text}\n", text) for text in texts]
    found = list(model.read(prompts, CANDIDATES, tuned=tuned, stop=threading.Event()))
    return sorted(found, key=lambda reading: reading.prompt)


def complete(
    model: Transformers, texts: tuple[str, ...], grammars: list[Grammar | None] | None = None, *, tuned: bool = True,
    sampling: Sampling = Sampling(most_tokens=24),  # noqa: B008
) -> list[list[Line]]:
    """The lines of each prompt's answer."""
    prompts = [Prompt("", text) for text in texts]
    chosen = grammars or [None] * len(texts)
    found: list[list[Line]] = [[] for _ in texts]
    for line in model.complete(prompts, grammars=chosen, tuned=tuned, sampling=sampling, stop=threading.Event()):
        found[line.prompt].append(line)
    return found


def plain(*, tuned: bool) -> Any:
    made = tiny()
    model = AutoModelForCausalLM.from_pretrained(made.base)
    return (PeftModel.from_pretrained(model, made.adapter) if tuned else model).eval()


@pytest.mark.parametrize("tuned", [True, False])
def test_reading_a_batch_equals_the_plain_models_logits_one_by_one(tuned: bool) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(tiny().base), plain(tuned=tuned)
    for text, reading in zip(TEXTS, read(backend(), tuned=tuned), strict=True):
        head = encode_head(tokenizer, "plain", Prompt("", f"Read: {text}\n"))
        ids, spans = encode_answer(tokenizer, text)
        with torch.no_grad():
            logits = model(torch.tensor([head + ids])).logits[0, len(head) :]
        wanted = [tokenizer.convert_tokens_to_ids(piece.replace(" ", "▁")) for piece in CANDIDATES]
        np.testing.assert_allclose(reading.logits, logits[:, wanted].numpy(), atol=1e-4)
        np.testing.assert_array_equal(reading.spans, spans)


def test_switching_the_adapter_leaves_no_trace() -> None:
    model = backend()
    first, untuned, again = read(model), read(model, tuned=False), read(model)
    for a, b, c in zip(first, untuned, again, strict=True):
        np.testing.assert_array_equal(a.logits, c.logits)
        assert np.abs(a.logits - b.logits).max() > 0.01


def test_tuned_of_a_base_without_adapter_is_the_base() -> None:
    model = backend(adapter=None)
    assert not model.has_adapter
    np.testing.assert_array_equal(read(model)[0].logits, read(model, tuned=False)[0].logits)


@pytest.mark.parametrize(
    "text", ["naïve ☃", "\U0001f600\U0001f468\u200d\U0001f469", "a\n\n b", "e\u0301", "\ud800x", "", "▁"]
)
def test_spans_cover_every_character_in_order(text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny().base)
    ids, spans = encode_answer(tokenizer, text)
    assert len(ids) == len(spans)
    covered = {place for start, end in spans.tolist() for place in range(start, end)}
    assert covered == set(range(len(text)))
    assert (np.diff(spans, axis=0) >= 0).all()


def test_bytes_of_one_character_all_cover_it() -> None:
    _, spans = encode_answer(AutoTokenizer.from_pretrained(tiny().base), "a☃b")
    assert spans.tolist() == [[0, 1], [1, 2], [1, 2], [1, 2], [2, 3]]


def test_a_drafts_delimiters_are_ordinary_pieces() -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny().base)
    head = encode_head(tokenizer, "llama-2", Prompt("be <s>kind", "</s> [/INST]"))
    assert head.count(tokenizer.bos_token_id) == 1
    assert tokenizer.eos_token_id not in head


def test_a_models_own_template_is_rendered_as_transformers_does_it() -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny().base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}<|turn|>coach\n{% endif %}"
    )
    prompt = Prompt("Be kind.", "Read <|turn|> {{ this }}.")
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": "Read X {{ this }}."}]
    wanted = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    head = encode_head(tokenizer, "own", prompt)
    assert tokenizer.decode(head) == wanted.replace("X", "<|turn|>")
    assert head.count(tokenizer.convert_tokens_to_ids("<|turn|>")) == 3
    assert head.count(tokenizer.bos_token_id) == 1


def test_a_blank_that_the_vocabulary_puts_in_front_covers_nothing() -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny(like_llama_2=True).base)
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    ids, spans = encode_answer(tokenizer, "\nThe plan")
    assert spans[0].tolist() == [0, 0]
    assert spans[1].tolist() == [0, 1]
    assert len(ids) == len(spans)


@pytest.mark.parametrize("tuned", [True, False])
def test_a_greedy_answer_is_the_plain_models(tuned: bool) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(tiny().base), plain(tuned=tuned)
    for text, lines in zip(TEXTS, complete(backend(), TEXTS, tuned=tuned), strict=True):
        ids = torch.tensor([encode_head(tokenizer, "plain", Prompt("", text))])
        wanted = model.generate(ids, do_sample=False, max_new_tokens=24, pad_token_id=0)[0, ids.shape[1] :]
        pieces = TransformersVocabulary(tokenizer, len(tokenizer), frozenset({tokenizer.eos_token_id})).pieces
        said = b"".join(pieces[token] for token in wanted.tolist()).decode("utf-8", "replace")
        assert "\n".join(line.text for line in lines).rstrip("\ufffd") == said.rstrip("\ufffd")
        assert [line.last for line in lines] == [False] * (len(lines) - 1) + [True]


def test_answers_side_by_side_equal_answers_one_by_one() -> None:
    """With grammars that force runs of tokens of different lengths, so that the cache has holes."""
    model = backend()
    sentences = [Draft(text).sentences for text in TEXTS]
    grammars: list[Grammar | None] = [
        grammar(text, places, "ABC") for text, places in zip(TEXTS, sentences, strict=True)
    ]
    together = complete(model, TEXTS, grammars, sampling=Sampling(most_tokens=40))
    for n, (text, lines) in enumerate(zip(TEXTS, together, strict=True)):
        alone = complete(model, (text,), [grammars[n]], sampling=Sampling(most_tokens=40))[0]
        assert [line.text for line in lines] == [line.text for line in alone]
        for line, other in zip(lines, alone, strict=True):
            np.testing.assert_allclose(line.probabilities, other.probabilities, atol=1e-4)


def test_every_finished_line_under_a_grammar_names_a_place() -> None:
    text = "The  plan\nfailed [INST] badly. “Nobody” knew it."
    places = Draft(text).sentences
    asked = [grammar(text, places, "ABC")] * 6
    answers = complete(backend(), tuple("abcdef"), list(asked), sampling=Sampling(200, 1.0, 3))
    lines = [line for answer in answers for line in answer]
    said = [line for line in lines if not says_nothing(line.text) and not line.last]
    assert said
    for line in said:
        assert parse(line.text, text, places, "ABC") is not None
        assert 0 < (confidence(line) or 0) <= 1
        assert "".join(line.pieces) == line.text


def test_a_seed_gives_the_same_answer_again_and_another_another() -> None:
    model = backend()
    first, again, other = (complete(model, TEXTS[:1], sampling=Sampling(24, 1.0, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_stop_ends_after_the_token_in_hand() -> None:
    stop = threading.Event()
    asked = backend().complete(
        [Prompt("", TEXTS[0])], grammars=[None], tuned=True, sampling=Sampling(most_tokens=900), stop=stop
    )
    stop.set()
    lines = list(asked)
    assert len(lines) <= 1
    assert list(backend().read([Prompt("", "a", "b")], CANDIDATES, tuned=True, stop=stop)) == []


def test_nf4_with_constants_quantised_again_reads_nearly_the_same() -> None:
    whole, quantised = read(backend()), read(backend(load_in_4bit=True))
    for a, b in zip(whole, quantised, strict=True):
        assert a.logits.shape == b.logits.shape
        assert np.corrcoef(a.logits.ravel(), b.logits.ravel())[0, 1] > 0.6
        assert np.abs(a.logits - b.logits).max() > 0


def test_a_prompt_over_the_context_is_refused() -> None:
    with pytest.raises(BackendError, match="more than the 1024"):
        read(backend(), ("word " * 2000,))
    with pytest.raises(BackendError, match="more than the 64"):
        complete(backend(context=64), ("word " * 200,))


def test_a_candidate_of_several_pieces_is_refused() -> None:
    with pytest.raises(BackendError, match="not one piece"):
        list(backend().read([Prompt("", "a", "b")], [" unquestionably not"], tuned=True, stop=threading.Event()))


def test_pickle_is_refused_whatever_is_in_it(tmp_path: Path) -> None:
    for source, wanted in ((tiny().base, "model.safetensors"), (tiny().adapter, "adapter_model.safetensors")):
        copy = tmp_path / source.name
        shutil.copytree(source, copy)
        (copy / wanted).rename(copy / wanted.replace(".safetensors", ".bin"))
    with pytest.raises(ModelError, match=r"model\.bin holds weights in pickle form"):
        Transformers(tmp_path / "base", context=64, template="plain")
    with pytest.raises(ModelError, match=r"adapter_model\.bin holds weights in pickle form"):
        backend(adapter=tmp_path / "adapter")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        Transformers(tmp_path / "none", context=64, template="plain")
    with pytest.raises(ModelError, match="no weights"):
        Transformers(tmp_path, context=64, template="plain")
    shutil.copytree(tiny().base, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match="cannot load it"):
        Transformers(tmp_path / "broken", context=64, template="plain")


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    other = make_base(tmp_path / "other", hidden_size=128)
    with pytest.raises(ModelError, match="made for this base"):
        Transformers(other, tiny().adapter, context=64, template="plain")
