"""A model server on this machine that is asked to make passages worse, and does as a test tells it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from bwcoach.backends.http_stream import Limits
from bwcoach.backends.openai import OpenAIServer
from bwcoach.diagnosis import Finding
from bwcoach.rubric import Criterion, load_rubric
from tests.loopback import Handler
from training.examples import Example, Provenance
from training.injectors.prompted_prompt import BEGIN, END

WORDINESS = load_rubric("position-paper").criterion("wordiness")
PASSAGE = (
    "The town should keep its night bus. It carries sixty people home on a Friday, as the operator’s own count shows, "
    "and many of them work in the kitchens. A taxi costs more than they earn in an hour.\n\n"
    "Some say the bus is empty on other nights. It was, because nobody knew of it; the timetable was printed only in "
    "May. I would run it for one more year and count again."
)
WORSE = PASSAGE.replace("because nobody", "due to the fact that nobody")

QUICK = Limits(connect_s=5, silence_s=0.5, answer_s=30, attempts=3, first_wait_s=0.01)
Reply = str | Callable[[Handler], None]
MODELS = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": 4096} for name in ("editor", "reader")]


@dataclass
class Editing:
    """`reply` gets what the server was asked and gives the answer's text, or answers in a way of its own.

    `asked` counts how often each question came, by the user's turn.
    """

    reply: Callable[[str], Reply]
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    def model(self, name: str = "editor") -> OpenAIServer:
        return OpenAIServer(self.url, name, limits=QUICK, environment={})


class _Editor(Handler):
    server: _Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        self.reply(200, json.dumps({"object": "list", "data": MODELS}))

    def do_POST(self) -> None:
        editing = self.server.editing
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        with self.server.lock:
            editing.bodies.append(body)
            editing.asked[question] += 1
        answer = editing.reply(question)
        try:
            if not isinstance(answer, str):
                answer(self)
                return
            self.begin_stream()
            for piece in answer.splitlines(keepends=True):
                self.event(piece)
            self.event("", "stop")
            self.send("[DONE]")
        except OSError:
            # The client gave up, as some tests mean it to.
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    editing: Editing
    lock: threading.Lock
    daemon_threads = True


@contextmanager
def editing_server(reply: Callable[[str], Reply]) -> Iterator[Editing]:
    server = _Server(("127.0.0.1", 0), _Editor)
    server.lock = threading.Lock()
    server.editing = Editing(reply, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.editing
    finally:
        server.editing.held.set()
        server.shutdown()
        server.server_close()
        thread.join()


def passage_of(question: str) -> str:
    """The passage that a question asks to make worse."""
    return question.rpartition(f"{BEGIN}\n")[2].removesuffix(f"\n{END}")


def marked(text: str) -> str:
    """An answer as it was asked for."""
    return f"{BEGIN}\n{text}\n{END}"


def passage(text: str = PASSAGE, *findings: Finding, whole: bool = False, name: str = "p") -> Example:
    origin = Provenance("the town", "CC0", "rules", seed=3)
    return Example(name, "position-paper", text, findings, origin, whole, pair=name)


def worsen(question: str) -> str:
    """A model that does what it is told."""
    return marked(passage_of(question).replace("because", "due to the fact that", 1))


def many(count: int) -> list[tuple[Example, Criterion, int]]:
    texts = [PASSAGE.replace("sixty", str(60 + n)) for n in range(count)]
    return [(passage(text, name=f"p{n}"), WORDINESS, n) for n, text in enumerate(texts)]
