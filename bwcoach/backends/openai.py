"""A server that speaks the OpenAI protocol: vLLM, llama-server, Ollama, and the like."""

from __future__ import annotations

import json
import math
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bwcoach.backends import Grammar, Line, Prompt, Sampling
from bwcoach.backends.cancellation import Cancellation, CancelledError
from bwcoach.backends.http_stream import Endpoint, Limits, RefusedError
from bwcoach.backends.streamed_lines import StreamedLines
from bwcoach.errors import BackendError

AT_ONCE = 4
_KEYS = ("BWCOACH_API_KEY", "OPENAI_API_KEY")
_TOO_LONG = ("context length", "context size", "context window", "context_length", "too long", "max_model_len")
_STUCK_GRAMMAR = ("grammar", "structured", "guided", "schema", "response_format", "lark", "ebnf")


class OpenAIServer:
    """Prompts go as chat messages, AT_ONCE at a time, and lines come as they are streamed.

    vLLM takes the grammar itself (`structured_outputs`); the others get the JSON schema as `response_format`, and
    with it the schema's description as a last word of the prompt, so their lines are JSON objects. llama-server knows
    `%llguidance` only if it was built with it, cannot be asked, and aborts if it was not: it counts among the others.
    What a server refuses (grammar, schema, log-probabilities) is not asked of it again.
    """

    def __init__(
        self, url: str, model: str | None = None, tuned_model: str | None = None, *, context: int = 4096,
        limits: Limits | None = None, environment: Mapping[str, str] = os.environ,
    ) -> None:
        address = url.rstrip("/").removesuffix("/chat/completions").removesuffix("/models")
        address = address if address.endswith("/v1") else f"{address}/v1"
        key = next((environment[name] for name in _KEYS if environment.get(name)), None)
        self._server = Endpoint(address, key, limits or Limits())
        offered = self._offered()
        self._base = model or next(iter(offered), "")
        self._tuned = tuned_model or self._base
        for wanted in (self._base, self._tuned):
            if not wanted or wanted not in offered:
                raise BackendError(
                    f"{self._server.host} has no model {wanted or 'at all'}; it offers: {', '.join(offered) or 'none'}."
                )
        self.name = f"{self._base} at {self._server.host}"
        self.context = _context(offered[self._base]) or context
        self.has_adapter = tuned_model is not None
        self._takes_lark = offered[self._base].get("owned_by") == "vllm"
        self._takes_schema = self._gives_probabilities = True

    def count(self, text: str) -> int:
        """An estimate, for want of the server's tokenizer: a token for three characters, which English stays under."""
        return math.ceil(len(text) / 3)

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        if any(prompt.answer for prompt in prompts):
            raise BackendError(
                f"{self.name} cannot be read under tags: a server gives no logits of a text that it did not write. "
                "Use a model whose card says `answer: lines`, or run this one from its GGUF or folder."
            )
        work = queue.SimpleQueue[int]()
        for index in range(len(prompts)):
            work.put(index)
        done: queue.SimpleQueue[Line | Exception | None] = queue.SimpleQueue()
        cancellation = Cancellation()

        def answer_some() -> None:
            try:
                while not cancellation.asked:
                    index = work.get_nowait()
                    for line in self._answer(index, prompts[index], grammars[index], tuned, sampling, cancellation):
                        done.put(line)
            except (queue.Empty, CancelledError):
                pass
            # A defect in a thread is raised where the answer is waited for, like everything else.
            except Exception as error:
                done.put(error)
            done.put(None)

        threads = [threading.Thread(target=answer_some, daemon=True) for _ in range(min(AT_ONCE, len(prompts)))]
        try:
            for thread in threads:
                thread.start()
            yield from _until_all_have_ended(done, len(threads), stop)
        finally:
            cancellation.ask()

    def _offered(self) -> dict[str, dict[str, Any]]:
        answer = self._server.get("/models")
        try:
            return {str(model["id"]): dict(model) for model in answer["data"] or []}
        except (TypeError, KeyError, ValueError):
            raise BackendError(
                f"{self._server.host} lists no models under /v1/models; is it an OpenAI-compatible server?"
            ) from None

    def _answer(
        self, index: int, prompt: Prompt, grammar: Grammar | None, tuned: bool, sampling: Sampling,
        cancellation: Cancellation,
    ) -> Iterator[Line]:
        while True:
            body = self._body(prompt, grammar, tuned, sampling)
            try:
                yield from self._streamed(index, body, grammar is not None, cancellation)
                return
            except RefusedError as error:
                if not self._asks_less(body, error):
                    raise self._explained(error, body["model"]) from error

    def _body(self, prompt: Prompt, grammar: Grammar | None, tuned: bool, sampling: Sampling) -> dict[str, Any]:
        user = prompt.user
        body: dict[str, Any] = {
            "model": self._tuned if tuned else self._base, "stream": True, "max_tokens": sampling.most_tokens,
            "temperature": sampling.temperature, "seed": sampling.seed,
        }
        if self._gives_probabilities:
            body["logprobs"] = True
        if grammar is not None and self._takes_lark:
            body["structured_outputs"] = {"grammar": grammar.lark}
        elif grammar is not None and self._takes_schema:
            schema = json.loads(grammar.json_schema)
            user = f"{user}\n\n{schema['description']}"
            body["response_format"] = {"type": "json_schema", "json_schema": {
                "name": "findings", "strict": True, "schema": schema,
            }}
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        body["messages"] = [*system, {"role": "user", "content": user}]
        return body

    def _streamed(
        self, index: int, body: dict[str, Any], may_be_json: bool, cancellation: Cancellation
    ) -> Iterator[Line]:
        lines = StreamedLines(index, may_be_json)
        finished = False
        for event in self._server.stream("/chat/completions", body, cancellation):
            if isinstance(event, dict) and event.get("error"):
                said = event["error"]["message"] if isinstance(event["error"], dict) else event["error"]
                raise self._explained(RefusedError("", 0, str(said)), body["model"])
            try:
                for choice in event["choices"][:1]:
                    said = (choice.get("delta") or choice.get("message") or {}).get("content") or ""
                    finished = finished or choice.get("finish_reason") is not None
                    given = (choice.get("logprobs") or {}).get("content") or ()
                    probabilities = [(str(one["token"]), math.exp(min(0.0, one["logprob"]))) for one in given]
                    yield from lines.add(said, probabilities)
            except (AttributeError, KeyError, TypeError):
                raise BackendError(
                    f"{self._server.host} sent an event without the OpenAI protocol's fields: "
                    f"{self._server.masked(json.dumps(event))[:120]}"
                ) from None
        if cancellation.asked:
            raise CancelledError
        if not finished:
            raise BackendError(f"{self._server.host} ended its answer in the middle; see the server's log.")
        yield lines.end()

    def _asks_less(self, body: dict[str, Any], error: RefusedError) -> bool:
        """Whether the refusal is about something that can be left out; if so it is from now on."""
        said = error.said.lower()
        if any(words in said for words in _TOO_LONG) or error.status not in {400, 422, 500, 501}:
            return False
        if "logprobs" in body and "logprob" in said:
            self._gives_probabilities = False
        elif "structured_outputs" in body and any(words in said for words in _STUCK_GRAMMAR):
            self._takes_lark = False
        elif "response_format" in body and any(words in said for words in _STUCK_GRAMMAR):
            self._takes_schema = False
        else:
            return False
        return True

    def _explained(self, error: RefusedError, model: str) -> BackendError:
        said = self._server.masked(error.said)
        if any(words in error.said.lower() for words in _TOO_LONG):
            return BackendError(
                f"The prompt is longer than {model} at {self._server.host} can read ({said}); start the server with a "
                "longer context, or read the draft in smaller windows."
            )
        if error.status == 404:
            return BackendError(
                f"{self._server.host} does not find the model {model}; it offers: {', '.join(self._offered())}."
            )
        return error if error.status else BackendError(f"{self._server.host} failed while it answered: {said}")


def _until_all_have_ended(
    done: queue.SimpleQueue[Line | Exception | None], running: int, stop: threading.Event
) -> Iterator[Line]:
    while running and not stop.is_set():
        try:
            item = done.get(timeout=0.05)
        except queue.Empty:
            continue
        if isinstance(item, Exception):
            raise item
        if item is None:
            running -= 1
        elif not stop.is_set():
            yield item


def _context(model: Mapping[str, Any]) -> int | None:
    """The context that vLLM (max_model_len) or llama-server (meta.n_ctx) says a model was started with."""
    meta = model.get("meta")
    told = model.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return told if isinstance(told, int) and told > 0 else None
