"""One request to a server that speaks JSON over HTTP, and its answer as it arrives. Failures are BackendErrors."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from bwcoach.backends.cancellation import Alarm, Cancellation, CancelledError
from bwcoach.errors import BackendError

_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_MOST_BYTES = 8_000_000
_LONGEST_WAIT_S = 10.0


@dataclass(frozen=True)
class Limits:
    """Seconds to connect, of silence, and for a whole answer; and how often to try, waiting twice as long each time."""

    connect_s: float = 10.0
    silence_s: float = 120.0
    answer_s: float = 900.0
    attempts: int = 3
    first_wait_s: float = 0.5


class RefusedError(BackendError):
    """The server understood HTTP and said no; `said` is its own message."""

    def __init__(self, sentence: str, status: int, said: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.said = said


class Endpoint:
    """The address that a server's paths hang from. The key is sent to it and shown to nobody."""

    def __init__(self, url: str, key: str | None, limits: Limits) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise BackendError(f"{url}: the port is not a number; write it like http://127.0.0.1:8000/v1.") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BackendError(f"{url}: not a server's address; write it like http://127.0.0.1:8000/v1.")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise BackendError("The key in BWCOACH_API_KEY or OPENAI_API_KEY has characters that no key has; mend it.")
        self.host = f"{parts.hostname}:{port}" if port else parts.hostname
        self._connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._hostname, self._port, self._path = parts.hostname, port, parts.path.rstrip("/")
        self._key, self._limits = key, limits

    def get(self, path: str) -> Any:
        """The JSON that stands there."""
        for event in self._tried("GET", path, None, Cancellation()):
            return event
        raise BackendError(f"{self.host} answered {path} with nothing; is this an OpenAI-compatible server?")

    def stream(self, path: str, body: dict[str, Any], cancellation: Cancellation) -> Iterator[Any]:
        """The JSON of each server-sent event up to `[DONE]`, or the whole answer where the server does not stream.

        Tried again after a lost connection, a 429 or a 5xx, as long as nothing had come.
        """
        return self._tried("POST", path, json.dumps(body).encode(), cancellation)

    def masked(self, text: str) -> str:
        """A server's words in one line, the key left out."""
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:300]

    def _tried(self, method: str, path: str, body: bytes | None, cancellation: Cancellation) -> Iterator[Any]:
        wait = self._limits.first_wait_s
        for attempt in range(1, self._limits.attempts + 1):
            came = False
            try:
                for event in self._once(method, path, body, cancellation):
                    came = True
                    yield event
            except RefusedError as error:
                if error.status not in _TRY_AGAIN or attempt == self._limits.attempts:
                    raise
            except _LostError as error:
                if came or attempt == self._limits.attempts:
                    raise BackendError(str(error)) from error.__cause__
            else:
                return
            if cancellation.wait(min(wait, _LONGEST_WAIT_S)):
                raise CancelledError
            wait *= 2

    def _once(self, method: str, path: str, body: bytes | None, cancellation: Cancellation) -> Iterator[Any]:
        connection = self._connection(self._hostname, self._port, timeout=self._limits.connect_s)
        opened: socket.socket | None = None
        overdue = Alarm(self._limits.answer_s)
        try:
            connection.connect()
            opened = connection.sock
            opened.settimeout(self._limits.silence_s)
            cancellation.watch(opened)
            overdue.set_for(opened)
            connection.request(method, self._path + path, body, self._headers(body))
            with connection.getresponse() as response:
                yield from self._events(response)
            if overdue.rang:
                raise TimeoutError
        except (OSError, HTTPException, ValueError) as error:
            if cancellation.asked:
                raise CancelledError from None
            if isinstance(error, TimeoutError) or overdue.rang:
                raise BackendError(self._late(overdue.rang)) from error
            raise _LostError(self._lost(error, opened is not None)) from error
        finally:
            overdue.switch_off()
            if opened is not None:
                cancellation.forget(opened)
            connection.close()

    def _late(self, answering: bool) -> str:
        if answering:
            return (
                f"{self.host} had not finished after {self._limits.answer_s:g} s; it is overloaded, or the model is "
                "too large for it."
            )
        return f"{self.host} said nothing for {self._limits.silence_s:g} s; see whether the server still runs."

    def _lost(self, error: Exception, connected: bool) -> str:
        if isinstance(error, ConnectionRefusedError):
            return f"Nothing listens at {self.host}; start the server, or mend the address."
        if isinstance(error, socket.gaierror):
            return f"There is no host {self.host}; mend the address."
        if connected:
            return f"{self.host} broke off in the middle of its answer ({type(error).__name__}); see the server's log."
        return f"{self.host} cannot be reached ({self.masked(str(error)) or type(error).__name__})."

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json, text/event-stream", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _events(self, response: HTTPResponse) -> Iterator[Any]:
        kind = response.headers.get_content_type()
        if response.status != 200:
            raise self._refused(response)
        if kind == "text/event-stream":
            yield from self._server_sent(response)
            return
        text = response.read(_MOST_BYTES).decode("utf-8", "replace")
        yield self._json(text)

    def _server_sent(self, response: HTTPResponse) -> Iterator[Any]:
        buffer = b""
        while piece := response.read1(65536):
            *lines, buffer = (buffer + piece).split(b"\n")
            if len(buffer) > _MOST_BYTES:
                raise BackendError(f"{self.host} sent {len(buffer):,} bytes without a line's end; that is no answer.")
            for line in lines:
                name, _, value = line.decode("utf-8", "replace").strip().partition(":")
                if name == "data" and value.strip() == "[DONE]":
                    return
                if name == "data" and value.strip():
                    yield self._json(value)

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            what = "a web page" if text.lstrip()[:1] == "<" else f"{self.masked(text)[:80]!r}"
            raise BackendError(
                f"{self.host} answered with {what} where the OpenAI protocol has JSON; give the address that ends in "
                "/v1."
            ) from None

    def _refused(self, response: HTTPResponse) -> RefusedError:
        text = response.read(65536).decode("utf-8", "replace")
        said = _message(text)
        status, shown = response.status, self.masked(said)
        if status in {401, 403}:
            sentence = (
                f"{self.host} refused the key ({status}); set BWCOACH_API_KEY to one that it knows"
                f"{'' if self._key else ' (none is set)'}."
            )
        elif 300 <= status < 400:
            place = self.masked(response.headers.get("Location", "another address"))
            sentence = f"{self.host} has moved to {place}; give that address."
        elif text.lstrip()[:1] == "<":
            sentence = (
                f"{self.host} answered with a web page ({status}), not in the OpenAI protocol; give the address that "
                "ends in /v1, and see whether a proxy stands between."
            )
        elif status == 429:
            sentence = f"{self.host} takes no more requests now (429): {shown}; wait a little, or raise its limit."
        elif status >= 500:
            sentence = f"{self.host} failed ({status}): {shown}; see the server's log."
        else:
            sentence = f"{self.host} refused the request ({status}): {shown}."
        return RefusedError(sentence, status, said)


class _LostError(Exception):
    """The connection failed; worth another attempt."""


def _message(text: str) -> str:
    """What servers put in an error's body: {"error": {"message": ...}}, {"error": ...}, {"message": ...} or text."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for key in ("error", "message", "detail"):
        if isinstance(said, dict) and key in said:
            said = said[key]
    return said if isinstance(said, str) else json.dumps(said)
