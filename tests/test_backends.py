"""What every backend promises, on the same prompts; and that the two with logits read the same numbers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from tokenizers import Tokenizer, normalizers

from bwcoach.backends import Backend, Grammar, Line, Prompt, Reader, Sampling
from bwcoach.backends.llamacpp import LlamaCpp
from bwcoach.backends.load import EMBEDDED, choose_auto, has_cuda, load_backend
from bwcoach.backends.openai import OpenAIServer
from bwcoach.backends.transformers import Transformers
from bwcoach.coach import Coach, diagnosis
from bwcoach.draft import Draft
from bwcoach.errors import BackendError, ModelError
from bwcoach.lines import grammar, parse, says_nothing
from bwcoach.models import ModelCard, ModelFile, card_for
from bwcoach.rubric import load_rubric
from tests.conftest import ScriptedBackend
from tests.loopback import loopback
from tests.tiny import CONTEXT, tiny

TEXT = "Nobody read the plan. It failed."
SENTENCES = Draft(TEXT).sentences
PROMPTS = (
    Prompt("Be kind.", "Read the plan."), Prompt("Be kind.", "We left early, and it rained."), Prompt("", "Well."),
)
HARD = (
    "naïve café \U0001f600\U0001f468\u200d\U0001f469 CRLF\r\n\ttwo  blanks ▁ שלום e\u0301 "
    "[/INST] <s> </s> <0x0A> {{ 7 }}\n\nend "
)
KINDS = ("llamacpp", "transformers", "openai")
LOCAL = KINDS[:2]


@functools.cache
def local(kind: str, template: str = "plain") -> Reader:
    made = tiny()
    if kind == "llamacpp":
        return LlamaCpp(made.base_gguf, made.adapter_gguf, context=CONTEXT, template=template, threads=1)  # type: ignore[arg-type]
    return Transformers(made.base, made.adapter, context=CONTEXT, template=template)  # type: ignore[arg-type]


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param != "openai":
        yield local(request.param)
        return
    with loopback() as told:
        yield OpenAIServer(told.url, "llama-2", "coach", environment={})


def ask(
    backend: Backend, prompts: Sequence[Prompt] = PROMPTS, *, tuned: bool = False, most_tokens: int = 12,
    asked: Grammar | None = None, stop: threading.Event | None = None,
) -> list[Line]:
    return list(backend.complete(
        prompts, grammars=[asked] * len(prompts), tuned=tuned, sampling=Sampling(most_tokens),
        stop=stop or threading.Event(),
    ))


def texts(lines: Sequence[Line]) -> dict[int, list[str]]:
    return {n: [line.text for line in lines if line.prompt == n] for n in sorted({line.prompt for line in lines})}


def test_is_a_backend_and_a_reader_if_its_logits_are_ours(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert isinstance(backend, Reader) == (not isinstance(backend, OpenAIServer))
    assert backend.has_adapter
    assert backend.name
    assert backend.context > 0


def test_each_prompt_is_ended_once_and_by_its_last_line(backend: Backend) -> None:
    lines = ask(backend)
    for n in range(len(PROMPTS)):
        assert [line.last for line in lines if line.prompt == n][-1:] == [True]
        assert sum(line.last for line in lines if line.prompt == n) == 1
    assert all("\n" not in line.text for line in lines)
    assert all(len(line.pieces) == len(line.probabilities) for line in lines)
    assert all("".join(line.pieces) == line.text for line in lines)


def test_no_prompts_no_lines(backend: Backend) -> None:
    assert ask(backend, ()) == []


def test_greedy_answers_are_always_the_same(backend: Backend) -> None:
    assert texts(ask(backend)) == texts(ask(backend))


def test_tuned_and_base_answer_differently_whichever_came_before(backend: Backend) -> None:
    base, tuned = texts(ask(backend)), texts(ask(backend, tuned=True))
    assert base != tuned
    assert texts(ask(backend)) == base
    assert texts(ask(backend, tuned=True)) == tuned


def test_two_answers_at_once_do_not_mix(backend: Backend) -> None:
    alone = {tuned: texts(ask(backend, tuned=tuned)) for tuned in (False, True)}
    mixed: dict[bool, list[Line]] = {False: [], True: []}
    running = {
        tuned: backend.complete(
            PROMPTS, grammars=[None] * 3, tuned=tuned, sampling=Sampling(12), stop=threading.Event()
        ) for tuned in mixed
    }
    while running:
        for tuned in list(running):
            line = next(running[tuned], None)
            if line is None:
                del running[tuned]
            else:
                mixed[tuned].append(line)
    assert {tuned: texts(lines) for tuned, lines in mixed.items()} == alone


def test_a_grammar_leaves_only_places_of_the_text(backend: Backend) -> None:
    lines = ask(backend, most_tokens=150, asked=grammar(TEXT, SENTENCES, "AB"))
    for line in lines:
        if not says_nothing(line.text) and not line.last:
            assert parse(line.text, TEXT, SENTENCES, "AB") is not None


def test_stopped_before_it_says_nothing(backend: Backend) -> None:
    stop = threading.Event()
    stop.set()
    assert all(line.text == "" and line.last for line in ask(backend, stop=stop))


def test_an_answer_given_up_leaves_the_next_one_right(backend: Backend) -> None:
    wanted = texts(ask(backend))
    running = backend.complete(PROMPTS, grammars=[None] * 3, tuned=True, sampling=Sampling(12), stop=threading.Event())
    next(iter(running))
    running.close()  # type: ignore[attr-defined]
    assert texts(ask(backend)) == wanted


def test_too_long_a_prompt_is_an_error_of_the_backend(backend: Backend) -> None:
    with pytest.raises(BackendError):
        ask(backend, [Prompt("", "many words " * 3000)])


def test_count_grows_with_the_text(backend: Backend) -> None:
    assert backend.count("") == 0
    assert 0 < backend.count("a plan") < backend.count("a plan that nobody had read")


@pytest.mark.parametrize("template", ["plain", "llama-2"])
@pytest.mark.parametrize("tuned", [False, True])
def test_both_readers_read_the_same_numbers_at_the_same_places(tuned: bool, template: str) -> None:
    prompts = [Prompt("Be kind.", HARD, HARD), Prompt("", "Short.", "The plan failed."), Prompt("", "x", "")]
    read = [
        sorted(local(kind, template).read(prompts, [" the", " of"], tuned=tuned, stop=threading.Event()),
               key=lambda reading: reading.prompt)
        for kind in LOCAL
    ]
    for ours, theirs in zip(*read, strict=True):
        np.testing.assert_array_equal(ours.spans, theirs.spans)
        np.testing.assert_allclose(ours.logits, theirs.logits, atol=0.03)


def test_the_same_with_a_vocabulary_that_puts_a_blank_in_front(tmp_path: Path) -> None:
    made = tiny(like_llama_2=True)
    base = tmp_path / "base"
    base.mkdir()
    for file in made.base.iterdir():
        (base / file.name).symlink_to(file)
    # As Llama 2's own tokenizer.json has it.
    tokenizer = Tokenizer.from_file(str(made.base / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    (base / "tokenizer.json").unlink()
    tokenizer.save(str(base / "tokenizer.json"))
    readers: list[Reader] = [
        LlamaCpp(made.base_gguf, None, context=CONTEXT, template="llama-2", threads=1),
        Transformers(base, None, context=CONTEXT, template="llama-2"),
    ]
    prompts = [Prompt("Be kind.", HARD, HARD), Prompt("", "x", "\nThe plan")]
    ours, theirs = ([*reader.read(prompts, ["s", "e"], tuned=False, stop=threading.Event())] for reader in readers)
    for one, other in zip(ours, sorted(theirs, key=lambda reading: reading.prompt), strict=True):
        np.testing.assert_array_equal(one.spans, other.spans)
        np.testing.assert_allclose(one.logits, other.logits, atol=0.03)


def test_what_a_model_is_decides_what_runs_it() -> None:
    made = tiny()
    assert isinstance(load_backend(card_for(str(made.base_gguf))), LlamaCpp)
    assert isinstance(load_backend(card_for(str(made.base))), Transformers)
    with loopback() as told:
        server = load_backend(card_for(told.url))
        assert (server.name.split()[0], server.has_adapter) == ("llama-2", False)
        named = load_backend(card_for(f"{told.url}/v1#coach,llama-2"))
        assert (named.name.split()[0], named.has_adapter) == ("coach", True)


def test_a_card_with_an_adapter_runs_with_it(tmp_path: Path) -> None:
    made = tiny()
    for base, adapter in ((made.base, made.adapter), (made.base_gguf, made.adapter_gguf)):
        card = ModelCard(
            name="x", base=ModelFile(path=str(base)), adapter=ModelFile(path=str(adapter)), context=256, folder=tmp_path
        )
        backend = load_backend(card)
        assert (backend.has_adapter, backend.context) == (True, 256)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither a \.gguf file, nor a folder"):
        load_backend(ModelCard(name="x", base=ModelFile(path="nothing"), context=256, folder=tmp_path))


def install(models: Path, name: str, base: Path | str, adapter: Path | None) -> None:
    (models / name).mkdir(parents=True)
    card = {"name": name, "base": {"path": str(base)}, "context": 4096}
    text = {**card, "adapter": {"path": str(adapter)}} if adapter else card
    (models / name / "model.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")


def test_auto_prefers_llama_2_on_a_gpu_then_its_gguf_then_what_is_embedded(tmp_path: Path) -> None:
    made = tiny()

    def chosen(gpu: bool) -> str:
        name, why = choose_auto(tmp_path, lambda: gpu)
        assert why.endswith(".")
        return name

    assert (chosen(True), chosen(False)) == (EMBEDDED, EMBEDDED)
    install(tmp_path, "llama-2-13b", "gone", made.adapter)
    install(tmp_path, "other", made.base_gguf, None)
    (tmp_path / "llama-2-broken").mkdir()
    (tmp_path / "llama-2-broken" / "model.yaml").write_text("[", encoding="utf-8")
    assert (chosen(True), chosen(False)) == (EMBEDDED, EMBEDDED)
    install(tmp_path, "llama-2-7b", made.base, made.adapter)
    assert (chosen(True), chosen(False)) == ("llama-2-7b", EMBEDDED)
    install(tmp_path, "llama-2-7b-q4", made.base_gguf, made.adapter_gguf)
    assert (chosen(True), chosen(False)) == ("llama-2-7b", "llama-2-7b-q4")


def test_a_gpu_is_found_as_pytorch_finds_it() -> None:
    import torch

    assert has_cuda() == torch.cuda.is_available()


def test_a_coach_reads_what_a_scripted_backend_says() -> None:
    backend = ScriptedBackend('1 A "the plan" => "it"\nnonsense\n2 B "It"\ndone')
    rubric = load_rubric("position-paper")
    draft = Draft(TEXT)
    found = diagnosis(draft, rubric, Coach(ModelCard(name="x", base=ModelFile(path="x"), context=4096), backend))
    assert {finding.quote(draft) for finding in found.findings} <= {"the plan", "It"}
    assert found.unread >= 1
