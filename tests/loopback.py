"""A server on this machine that speaks the OpenAI protocol as a real one of its kind does, or misbehaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS: dict[str, dict[str, Any]] = {
    "vllm": {"id": "llama-2", "object": "model", "owned_by": "vllm", "max_model_len": 2048},
    "llama-server": {"id": "llama-2", "object": "model", "owned_by": "llamacpp", "meta": {"n_ctx": 2048}},
    "ollama": {"id": "llama-2", "object": "model", "owned_by": "library"},
}
Misbehaviour = Callable[["Handler"], None]


@dataclass
class Loopback:
    """What the server is to say, what it was asked, and how it misbehaves when asked to chat, attempt by attempt.

    `pieces` are streamed one an event, each with the probability 0.5; the model `coach` says `tuned_pieces`. More
    than `longest` characters are over its context.
    """

    url: str
    kind: str = "vllm"
    pieces: tuple[str, ...] = ('1 A "the', ' plan"', "\ndo", "ne")
    tuned_pieces: tuple[str, ...] = ("done",)
    longest: int = 10_000
    misbehaviours: list[Misbehaviour | None] = field(default_factory=list)
    models: Misbehaviour | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    broken_off: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    server: _Server

    @property
    def told(self) -> Loopback:
        return self.server.told

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def reply(self, status: int, text: str, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()

    def event(self, text: str, finish: str | None = None, *, logprobs: bool = False) -> None:
        choice: dict[str, Any] = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        if logprobs and text:
            choice["logprobs"] = {"content": [{"token": text, "logprob": -0.6931471805599453}]}
        self.send(json.dumps({"object": "chat.completion.chunk", "choices": [choice]}))

    def send(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def do_GET(self) -> None:
        if self.told.models is not None:
            self.told.models(self)
            return
        one = MODELS[self.told.kind]
        self.reply(200, json.dumps({"object": "list", "data": [one, {**one, "id": "coach"}]}))

    def do_POST(self) -> None:
        told = self.told
        told.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        told.keys.append(self.headers["Authorization"])
        attempt = len(told.bodies) - 1
        misbehave = told.misbehaviours[attempt] if attempt < len(told.misbehaviours) else None
        try:
            if misbehave is not None:
                misbehave(self)
                return
            body = told.bodies[attempt]
            if sum(len(message["content"]) for message in body["messages"]) > told.longest:
                self.reply(400, '{"error": {"message": "This model\'s maximum context length is 2048 tokens."}}')
                return
            self.begin_stream()
            for piece in told.tuned_pieces if body["model"] == "coach" else told.pieces:
                self.event(piece, logprobs=bool(body.get("logprobs")))
            self.event("", "stop")
            self.send("[DONE]")
        except OSError:
            told.broken_off.set()


class _Server(ThreadingHTTPServer):
    told: Loopback
    daemon_threads = True


@contextmanager
def loopback(kind: str = "vllm", **settings: Any) -> Iterator[Loopback]:
    server = _Server(("127.0.0.1", 0), Handler)
    server.told = Loopback(f"http://127.0.0.1:{server.server_address[1]}", kind, **settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.told
    finally:
        server.told.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
