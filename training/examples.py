"""A passage and what a good coach would find in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.errors import ExamplesError


@dataclass(frozen=True)
class Provenance:
    """Where an example comes from: who may use it, and what made it weak."""

    source: str
    license: str
    generator: str
    """Who wrote the weakness: `rules`, `authored-llm`, or the name of the model that was prompted."""
    injectors: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    seed: int = 0
    unseen: bool = False
    """Whether a form or an injector here is kept from training, so that the example measures what was not taught."""
    prompt_hash: str = ""
    """Of a prompted weakness: what was asked, as the injector's completions.jsonl has it."""


@dataclass(frozen=True)
class Example:
    """A passage under one rubric with its findings; each finding's `fix` is what stood there before.

    `whole` tells a whole draft from a passage of one: only a whole draft has draft-scope findings, and only
    there does their absence say anything. `pair` is shared by the weak and the good version of one text.
    """

    id: str
    rubric: str
    text: str
    findings: tuple[Finding, ...]
    provenance: Provenance
    whole: bool = False
    pair: str | None = None

    def repaired(self) -> str:
        """The text with every finding's fix in its place (overlapping ones: the first wins)."""
        text, end = "", 0
        for finding in sorted(self.findings, key=lambda f: (f.span.start, f.span.end)):
            if finding.fix is not None and finding.span.start >= end:
                text += self.text[end : finding.span.start] + finding.fix
                end = finding.span.end
        return text + self.text[end:]

    def with_id(self, id: str) -> Example:
        return replace(self, id=id)

    def to_json(self) -> str:
        row: dict[str, Any] = {
            "id": self.id,
            "rubric": self.rubric,
            "text": self.text,
            "whole": self.whole,
            "pair": self.pair,
            "findings": [
                {"start": f.span.start, "end": f.span.end, "criterion": f.criterion, "fix": f.fix}
                for f in self.findings
            ],
            "provenance": {
                "source": self.provenance.source,
                "license": self.provenance.license,
                "generator": self.provenance.generator,
                "injectors": list(self.provenance.injectors),
                "forms": list(self.provenance.forms),
                "seed": self.provenance.seed,
                **({"unseen": True} if self.provenance.unseen else {}),
                **({"prompt_hash": self.provenance.prompt_hash} if self.provenance.prompt_hash else {}),
            },
        }
        return json.dumps(row, ensure_ascii=False)


def parse_example(line: str, place: str) -> Example:
    """One JSONL row; `place` ("file:line") opens the error's sentence."""
    try:
        row = json.loads(line)
        findings = tuple(
            Finding(Span(int(f["start"]), int(f["end"])), str(f["criterion"]), fix=f.get("fix"))
            for f in row["findings"]
        )
        origin = row["provenance"]
        provenance = Provenance(
            origin["source"],
            origin["license"],
            origin["generator"],
            tuple(origin["injectors"]),
            tuple(origin["forms"]),
            int(origin["seed"]),
            bool(origin.get("unseen", False)),
            str(origin.get("prompt_hash", "")),
        )
        example = Example(
            row["id"], row["rubric"], row["text"], findings, provenance, bool(row["whole"]), row.get("pair")
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ExamplesError(
            f"{place}: not an example ({error!r}); `python -m training generate` writes them."
        ) from None
    for finding in example.findings:
        if not 0 <= finding.span.start < finding.span.end <= len(example.text):
            raise ExamplesError(
                f"{place}: the finding {finding.span.start}-{finding.span.end} lies outside its text of "
                f"{len(example.text)} characters."
            )
    return example


def read_examples(path: Path) -> Iterator[Example]:
    """The examples of a JSONL file, one at a time."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield parse_example(line, f"{path}:{number}")
    except FileNotFoundError:
        raise ExamplesError(f"{path}: there is no such file; `python -m training generate` writes it.") from None


def write_examples(examples: Iterable[Example], path: Path) -> int:
    """Write all to `path`, whole or not at all; gives how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    count = 0
    with part.open("w", encoding="utf-8") as file:
        for example in examples:
            file.write(example.to_json() + "\n")
            count += 1
    part.replace(path)
    return count
