"""OpenAI-compatible servers: a real HTTP server that behaves as each kind does, and one that misbehaves."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Sequence

import pytest

from bwcoach.backends import Grammar, Line, Prompt, Sampling
from bwcoach.backends.http_stream import Limits
from bwcoach.backends.openai import OpenAIServer
from bwcoach.draft import Draft
from bwcoach.errors import BackendError
from bwcoach.lines import confidence, grammar, parse
from tests.loopback import Handler, Loopback, Misbehaviour, loopback

TEXT = "Nobody read the plan. It failed."
SENTENCES = Draft(TEXT).sentences
GRAMMAR = grammar(TEXT, SENTENCES, "AB")
PROMPT = Prompt("You are a coach.", "1. Nobody read the plan.\n2. It failed.")
KEY = "sk-very-secret"
QUICK = Limits(connect_s=5, silence_s=0.3, answer_s=30, attempts=3, first_wait_s=0.01)
JSON_ANSWER = ('{"findings": [{"sentence": "1", "crit', 'erion": "', "A", '", "quote": "', "the plan",
               '", "fix": "it"}, {"sentence":\n"2", "criterion": "B", "quote": "It", "fix": null}', "]}")


def server(told: Loopback, **settings: object) -> OpenAIServer:
    return OpenAIServer(told.url, environment={"OPENAI_API_KEY": KEY}, limits=QUICK, **settings)  # type: ignore[arg-type]


def ask(
    backend: OpenAIServer, prompts: Sequence[Prompt] = (PROMPT,), with_grammar: bool = True, tuned: bool = False
) -> list[Line]:
    grammars: list[Grammar | None] = [GRAMMAR if with_grammar else None] * len(prompts)
    return list(backend.complete(
        prompts, grammars=grammars, tuned=tuned, sampling=Sampling(most_tokens=64), stop=threading.Event()
    ))


def test_vllm_takes_the_grammar_and_streams_lines_with_probabilities() -> None:
    with loopback("vllm") as told:
        backend = server(told)
        lines = ask(backend)
    assert [line.text for line in lines] == ['1 A "the plan"', "done"]
    assert [line.last for line in lines] == [False, True]
    assert lines[0].pieces == ('1 A "the', ' plan"')
    assert lines[1].pieces == ("do", "ne")
    assert confidence(lines[0]) == pytest.approx(0.25)
    assert told.bodies[0]["structured_outputs"] == {"grammar": GRAMMAR.lark}
    assert told.bodies[0]["messages"] == [
        {"role": "system", "content": PROMPT.system}, {"role": "user", "content": PROMPT.user}
    ]
    assert told.keys == [f"Bearer {KEY}"]
    assert (backend.context, backend.has_adapter) == (2048, False)


@pytest.mark.parametrize("kind", ["llama-server", "ollama"])
def test_others_take_the_schema_and_each_object_is_a_line(kind: str) -> None:
    with loopback(kind, pieces=JSON_ANSWER) as told:
        lines = ask(server(told))
    assert told.bodies[0]["response_format"]["json_schema"]["schema"] == json.loads(GRAMMAR.json_schema)
    assert "structured_outputs" not in told.bodies[0]
    assert "JSON" in told.bodies[0]["messages"][-1]["content"]
    found = [parse(line.text, TEXT, SENTENCES, "AB") for line in lines[:-1]]
    assert [(a.span.quote(TEXT), a.criterion, a.fix) for a in found if a] == [("the plan", 0, "it"), ("It", 1, None)]
    assert confidence(lines[0]) == pytest.approx(0.25)
    assert lines[-1] == Line(0, "", True)


def test_a_server_that_ignores_the_schema_is_read_by_the_line() -> None:
    with loopback("ollama") as told:
        assert [line.text for line in ask(server(told))] == ['1 A "the plan"', "done"]


def test_a_fix_that_looks_like_json_is_a_line_of_text() -> None:
    with loopback("ollama", pieces=('{"a": [{"b', '": 1}]}\nmore',)) as told:
        lines = ask(server(told), with_grammar=False)
    assert [line.text for line in lines] == ['{"a": [{"b": 1}]}', "more"]
    assert "response_format" not in told.bodies[0]


def test_an_answer_that_is_not_streamed_is_read() -> None:
    message = {"choices": [{"message": {"content": '1 A "the plan"\ndone'}, "finish_reason": "stop"}]}
    with loopback(misbehaviours=[lambda handler: handler.reply(200, json.dumps(message))]) as told:
        assert [line.text for line in ask(server(told))] == ['1 A "the plan"', "done"]


def test_the_tuned_model_is_the_second_name() -> None:
    with loopback() as told:
        backend = server(told, model="llama-2", tuned_model="coach")
        assert backend.has_adapter
        ask(backend, tuned=True)
        ask(backend, tuned=False)
    assert [body["model"] for body in told.bodies] == ["coach", "llama-2"]


def test_every_prompt_is_answered_once() -> None:
    with loopback() as told:
        lines = ask(server(told), [PROMPT] * 11)
    assert sorted(line.prompt for line in lines if line.last) == list(range(11))
    assert len(lines) == 22


def test_multibyte_characters_and_crlf_survive_being_cut_anywhere() -> None:
    def drip(handler: Handler) -> None:
        handler.begin_stream()
        choice = {"delta": {"content": "naïve ☃"}, "finish_reason": "stop"}
        event = json.dumps({"choices": [choice]}, ensure_ascii=False)
        for byte in f": hello\r\n\r\nevent: chunk\r\ndata:{event}\r\n\r\ndata: [DONE]\r\n\r\n".encode():
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()

    with loopback(misbehaviours=[drip]) as told:
        assert ask(server(told)) == [Line(0, "naïve ☃", True)]


def refuse(status: int, message: str, **headers: str) -> Misbehaviour:
    return lambda handler: handler.reply(status, json.dumps({"error": {"message": message}}), **headers)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    with loopback(misbehaviours=[refuse(status, "busy")] * 2) as told:
        assert [line.text for line in ask(server(told))] == ['1 A "the plan"', "done"]
    assert len(told.bodies) == 3


def test_but_not_for_ever() -> None:
    with loopback(misbehaviours=[refuse(429, "busy")] * 9) as told:
        backend = server(told)
        with pytest.raises(BackendError, match="no more requests"):
            ask(backend)
    assert len(told.bodies) == QUICK.attempts


def test_what_a_server_refuses_is_left_out_from_then_on() -> None:
    refusals = [
        refuse(400, "logprobs is not supported"), refuse(400, "Failed to compile the grammar"),
        refuse(400, "response_format json_schema is not implemented"),
    ]
    with loopback("vllm", misbehaviours=refusals) as told:
        backend = server(told)
        ask(backend)
        ask(backend)
    asked = [{"logprobs", "structured_outputs", "response_format"} & body.keys() for body in told.bodies]
    assert asked == [{"logprobs", "structured_outputs"}, {"structured_outputs"}, {"response_format"}, set(), set()]


def hang_up(handler: Handler) -> None:
    handler.begin_stream()
    handler.event('1 A "the pl')


def no_answer(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_chunk(handler: Handler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"40\r\ndata: {}")


def garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x00\x01 nonsense\r\n\r\n")


def silence(handler: Handler) -> None:
    handler.begin_stream()
    handler.told.held.wait()


def events(*texts: str) -> Misbehaviour:
    def send(handler: Handler) -> None:
        handler.begin_stream()
        for text in texts:
            handler.send(text)

    return send


@pytest.mark.parametrize(("misbehaviour", "sentence"), [
    (refuse(401, f"bad key {KEY}"), "refused the key"),
    (refuse(403, "no"), "refused the key"),
    (refuse(404, "The model `llama-2` does not exist."), "does not find the model llama-2; it offers: llama-2, coach"),
    (refuse(400, "This model's maximum context length is 2048 tokens."), "longer than llama-2 .* can read"),
    (refuse(400, "the request exceeds the available context size"), "longer than llama-2 .* can read"),
    (refuse(400, f"do not like {KEY}"), r"refused the request \(400\): do not like \*\*\*"),
    (refuse(302, "", Location="http://elsewhere/v1"), "moved to http://elsewhere/v1"),
    (lambda handler: handler.reply(502, "<html>Bad Gateway</html>", "text/html"), "a web page"),
    (lambda handler: handler.reply(200, "<!doctype html><p>Hello", "text/html"), "a web page"),
    (lambda handler: handler.reply(200, "hello", "text/plain"), "'hello' where the OpenAI protocol has JSON"),
    (lambda handler: handler.reply(200, "[" * 100_000), "where the OpenAI protocol has JSON"),
    (events("not json"), "where the OpenAI protocol has JSON"),
    (events('"text"'), "without the OpenAI protocol's fields"),
    (events("[]"), "without the OpenAI protocol's fields"),
    (events('{"choices": 3}'), "without the OpenAI protocol's fields"),
    (events('{"choices": [{"delta": {"content": 7}}]}'), "without the OpenAI protocol's fields"),
    (events('{"choices": [{"logprobs": {"content": [1]}}]}'), "without the OpenAI protocol's fields"),
    (events('{"error": {"message": "out of memory"}}'), "failed while it answered: out of memory"),
    (events('{"error": "out of memory"}'), "failed while it answered: out of memory"),
    (events('{"error": {"message": "exceeds the context window"}}'), "longer than llama-2"),
    (events('{"choices": []}', "[DONE]"), "ended its answer in the middle"),
    (hang_up, "ended its answer in the middle"),
    (no_answer, "broke off"),
    (cut_chunk, "broke off"),
    (garbage, "broke off"),
    (silence, "said nothing for 0.3 s"),
])
def test_misbehaviour_is_a_sentence_without_the_key(misbehaviour: Misbehaviour, sentence: str) -> None:
    with loopback(misbehaviours=[misbehaviour] * QUICK.attempts) as told:
        backend = server(told)
        with pytest.raises(BackendError, match=sentence) as raised:
            ask(backend)
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_slow_drip_is_ended_by_the_time_for_a_whole_answer() -> None:
    def drip(handler: Handler) -> None:
        handler.begin_stream()
        while not handler.told.held.wait(0.02):
            handler.event("x")

    with loopback(misbehaviours=[drip]) as told:
        patience = Limits(silence_s=5, answer_s=0.2, attempts=1)
        backend = OpenAIServer(told.url, environment={}, limits=patience)
        with pytest.raises(BackendError, match=r"had not finished after 0.2 s"):
            ask(backend)
        assert told.broken_off.wait(5)


def test_a_line_without_end_is_no_answer() -> None:
    def flood(handler: Handler) -> None:
        handler.begin_stream()
        while True:
            handler.wfile.write(b"x" * 1_000_000)

    with loopback(misbehaviours=[flood]) as told, pytest.raises(BackendError, match="without a line's end"):
        ask(server(told))


def test_stop_ends_it_and_hangs_up_even_on_a_silent_server() -> None:
    def one_line(handler: Handler) -> None:
        handler.begin_stream()
        handler.event('1 A "the plan"\n')
        handler.told.held.wait(20)
        for _ in range(1000):
            handler.event("more\n")

    with loopback(misbehaviours=[one_line] * 8) as told:
        backend = OpenAIServer(told.url, environment={}, limits=Limits())
        stop = threading.Event()
        lines = []
        for line in backend.complete([PROMPT] * 8, grammars=[None] * 8, tuned=False, sampling=Sampling(), stop=stop):
            lines.append(line)
            stop.set()
        told.held.set()
        assert told.broken_off.wait(5)
    assert [line.text for line in lines] == ['1 A "the plan"']
    assert len(told.bodies) <= 4


def test_a_generator_that_is_given_up_hangs_up() -> None:
    def endless(handler: Handler) -> None:
        handler.begin_stream()
        while True:
            handler.event("more\n")

    with loopback(misbehaviours=[endless]) as told:
        answer = server(told).complete(
            [PROMPT], grammars=[None], tuned=False, sampling=Sampling(), stop=threading.Event()
        )
        assert next(iter(answer)).text == "more"
        answer.close()  # type: ignore[attr-defined]
        assert told.broken_off.wait(5)


def test_a_stop_that_is_already_set_asks_nothing_more() -> None:
    with loopback() as told:
        stop = threading.Event()
        stop.set()
        answer = server(told).complete([PROMPT], grammars=[None], tuned=False, sampling=Sampling(), stop=stop)
        assert list(answer) == []


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(BackendError, match=r"Nothing listens at 127\.0\.0\.1"):
        OpenAIServer(url, environment={}, limits=QUICK)


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port/v1", "host:8000"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(BackendError, match=r"write it like http://127\.0\.0\.1:8000/v1"):
        OpenAIServer(url, environment={}, limits=QUICK)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/models"])
def test_any_part_of_the_address_will_do(suffix: str) -> None:
    with loopback() as told:
        assert OpenAIServer(told.url + suffix, environment={}, limits=QUICK).name.startswith("llama-2 at 127.0.0.1:")


@pytest.mark.parametrize(("models", "sentence"), [
    (lambda handler: handler.reply(200, "[]"), "lists no models"),
    (lambda handler: handler.reply(200, '{"data": [1]}'), "lists no models"),
    (lambda handler: handler.reply(200, '{"data": null}'), "has no model at all"),
    (lambda handler: handler.reply(200, "<html>", "text/html"), "a web page"),
    (refuse(404, "not found"), "refused the request"),
])
def test_what_is_no_openai_server(models: Misbehaviour, sentence: str) -> None:
    with loopback(models=models) as told, pytest.raises(BackendError, match=sentence):
        server(told)


def test_a_model_that_is_not_there_is_refused_with_those_that_are() -> None:
    with loopback() as told, pytest.raises(BackendError, match="has no model gpt; it offers: llama-2, coach"):
        server(told, model="gpt")


def test_a_broken_key_is_not_repeated() -> None:
    with pytest.raises(BackendError, match="BWCOACH_API_KEY") as raised:
        OpenAIServer("http://127.0.0.1:1", environment={"BWCOACH_API_KEY": f"{KEY}\nX: y"}, limits=QUICK)
    assert KEY not in str(raised.value)


def test_tags_cannot_be_read_from_a_server() -> None:
    with loopback() as told, pytest.raises(BackendError, match="gives no logits"):
        ask(server(told), [Prompt("", "text", "text")])


def test_count_is_an_estimate_from_the_length() -> None:
    with loopback() as told:
        assert [server(told).count(text) for text in ("", "a", "four")] == [0, 1, 2]
