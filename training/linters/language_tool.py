"""LanguageTool, where a server of it runs: it is a Java program that no registry of Python or Node.js carries."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from bwcoach.draft import Span
from bwcoach.errors import StageError
from training.linters.node_linter import code_points
from training.linters.rule_table import Complaint

URL_VARIABLE = "LANGUAGETOOL_URL"
_SILENCE_S = 120.0


@dataclass(frozen=True)
class LanguageTool:
    """The server whose address stands in LANGUAGETOOL_URL, such as http://127.0.0.1:8081."""

    name: str = "languagetool"
    language: str = "en-US"

    @property
    def version(self) -> str:
        """What the server says of itself, or nothing where none answers."""
        try:
            return json.dumps([self.language, self._asked("GET", "/v2/info").get("software")])
        except StageError:
            return ""

    def start(self) -> None:
        """Have the server read a word, which loads its rules."""
        self.complaints("Hello.")

    def complaints(self, text: str) -> tuple[Complaint, ...]:
        answer = self._asked("POST", "/v2/check", {"language": self.language, "text": text})
        try:
            return tuple(_complaint(match, text) for match in answer["matches"])
        except (TypeError, KeyError, AttributeError) as error:
            raise StageError(f"LanguageTool answered in a form that is not its own ({error!r}).") from None

    def _asked(self, method: str, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        url = os.environ.get(URL_VARIABLE, "")
        if not url:
            raise StageError(
                f"No LanguageTool is named: start its server (java -cp languagetool-server.jar "
                f"org.languagetool.server.HTTPServer --port 8081) and set {URL_VARIABLE}=http://127.0.0.1:8081."
            )
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StageError(f"{URL_VARIABLE}={url}: not an address like http://127.0.0.1:8081.")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc.rpartition("@")[2], timeout=_SILENCE_S)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(form, errors="replace") if form else None
            connection.request(method, parts.path.rstrip("/") + path, body, headers if form else {})
            response = connection.getresponse()
            said = response.read()
            if response.status != 200:
                told = said[:200].decode(errors="replace")
                raise StageError(f"LanguageTool at {url} answered {response.status}: {told}")
            answer = json.loads(said)
        except (OSError, HTTPException, ValueError) as error:
            raise StageError(f"LanguageTool at {url} does not answer ({error}); is its server running?") from None
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}


def _complaint(match: dict[str, Any], text: str) -> Complaint:
    rule, places = match["rule"], code_points(text)
    start, end = places(match["offset"], False), places(match["offset"] + match["length"], True)
    return Complaint(f"{rule['category']['id']}/{rule['id']}", Span(start, end))
