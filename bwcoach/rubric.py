"""What a reader looks for, written down as YAML: the criteria of a genre, loaded and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import fill, indent
from typing import Any, Literal

import yaml

from bwcoach.errors import RubricError
from bwcoach.marked_example import MarkedExample, read_marked
from bwcoach.rubric_check import LEVELS, examine
from bwcoach.rubric_file import BUILTIN, Problem

__all__ = [
    "LEVEL_NAMES", "Criterion", "Injection", "Level", "MarkedExample", "Problem", "Rubric", "Scope", "Severity",
    "Source", "builtin_rubrics", "check_rubric", "describe", "load_rubric",
]  # fmt: skip

Level = Literal[4, 3, 2, 1]
Severity = Literal["minor", "major"]
Scope = Literal["passage", "draft"]

LEVEL_NAMES: Mapping[int, str] = {4: "Strong", 3: "Sound", 2: "Developing", 1: "Weak"}
_SHOWN_PROBLEMS = 20
_SHOWN_WIDTH = 96
_fill = partial(fill, break_on_hyphens=False, break_long_words=False)


@dataclass(frozen=True)
class Injection:
    """How a good passage is made weak: instructions to a language model, and names of rule injectors."""

    prompts: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A published rubric or handbook, and what was taken from it."""

    title: str
    url: str | None
    used_for: str | None


@dataclass(frozen=True)
class Criterion:
    """One weakness a reader looks for. `levels`, empty where a user's rubric has none, says what a draft is like."""

    id: str
    name: str
    description: str
    span: str
    not_this: str | None
    why: str
    questions: tuple[str, ...]
    hints: tuple[str, ...]
    severity: Severity
    scope: Scope
    levels: Mapping[int, str] = field(hash=False)
    weak: tuple[MarkedExample, ...]
    sound: tuple[MarkedExample, ...]
    injection: Injection


@dataclass(frozen=True)
class Rubric:
    """The criteria of a genre, in the order in which a reader meets them."""

    name: str
    title: str
    description: str
    sources: tuple[Source, ...]
    level_names: Mapping[int, str] = field(hash=False)
    criteria: tuple[Criterion, ...]

    def criterion(self, id: str) -> Criterion:
        for criterion in self.criteria:
            if criterion.id == id:
                return criterion
        raise RubricError(f"The rubric {self.name} has no criterion {id}; it has {', '.join(self.ids)}.")

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(criterion.id for criterion in self.criteria)

    @property
    def version(self) -> str:
        """Twelve hex digits of what the rubric says, whatever its layout, its comments and its file's name."""
        content = json.dumps(self, default=vars, sort_keys=True)
        return hashlib.sha256(content.encode("ascii")).hexdigest()[:12]


def builtin_rubrics() -> tuple[str, ...]:
    """The names that `load_rubric` takes without a path."""
    return BUILTIN


def load_rubric(name_or_path: str | Path) -> Rubric:
    """A built-in rubric by its name, or a user's own by the path of its YAML file.

    Raises RubricError, with a line for each problem, where the file cannot be used.
    """
    root, problems = examine(name_or_path)
    if root is None or problems:
        lines = [str(problem) for problem in problems[:_SHOWN_PROBLEMS]]
        if len(problems) > _SHOWN_PROBLEMS:
            lines.append(f"... and {len(problems) - _SHOWN_PROBLEMS} problems more.")
        raise RubricError("\n".join(lines))
    return _rubric(_plain(root))


def check_rubric(path: str | Path) -> tuple[Problem, ...]:
    """Every problem of a rubric file, by line; none where `load_rubric` takes it."""
    return examine(path)[1]


def describe(rubric: Rubric) -> str:
    """A rubric as plain text for people, with one example of each kind and its mark in [[ ]]."""
    parts = [f"{rubric.title} ({rubric.name}, version {rubric.version})", _fill(rubric.description, _SHOWN_WIDTH)]
    if rubric.sources:
        parts.append("Sources\n" + "\n".join(_item(_cited(source), "  - ") for source in rubric.sources))
    return "\n\n".join([*parts, *(_described(c, rubric.level_names) for c in rubric.criteria)]) + "\n"


def _described(criterion: Criterion, level_names: Mapping[int, str]) -> str:
    lines = [f"{criterion.name} ({criterion.id}; {criterion.scope}, {criterion.severity})"]
    lines.append(_item(criterion.description))
    lines.append(_item(f"What is marked: {criterion.span}"))
    if criterion.not_this:
        lines.append(_item(f"What is not: {criterion.not_this}"))
    lines.append(_item(f"Why: {criterion.why}"))
    lines += [_item(f"{level} {level_names[level]}: {criterion.levels[level]}") for level in criterion.levels]
    for label, example in (("Weak", criterion.weak[0]), ("Sound", criterion.sound[0])):
        lines.append(f"  {label}:\n" + indent(_wrapped(_shown(example)), "    "))
    return "\n".join(lines)


def _cited(source: Source) -> str:
    return ". ".join(part.rstrip(".") for part in (source.title, source.used_for, source.url) if part)


def _item(text: str, bullet: str = "  ") -> str:
    return _fill(text, _SHOWN_WIDTH, initial_indent=bullet, subsequent_indent="    ")


def _wrapped(text: str) -> str:
    return "\n".join(_fill(line, _SHOWN_WIDTH - 4) for line in text.split("\n"))


def _shown(example: MarkedExample) -> str:
    text, start, end = example.text, example.start, example.end
    return f"{text[:start]}[[{text[start:end]}]]{text[end:]}"


def _plain(node: yaml.Node) -> Any:
    """Mappings, lists and trimmed texts; numbers stay as they were written."""
    if isinstance(node, yaml.MappingNode):
        return {name.value: _plain(value) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(entry) for entry in node.value]
    return node.value.strip()


def _rubric(data: dict[str, Any]) -> Rubric:
    return Rubric(
        name=data["name"],
        title=data["title"],
        description=data["description"],
        sources=tuple(Source(s["title"], s.get("url"), s.get("used_for")) for s in data.get("sources", ())),
        level_names=_levels(data) or LEVEL_NAMES,
        criteria=tuple(_criterion(entry) for entry in data["criteria"]),
    )


def _criterion(data: dict[str, Any]) -> Criterion:
    injection = data.get("injection", {})
    return Criterion(
        id=data["id"],
        name=data["name"],
        description=data["description"],
        span=data["span"],
        not_this=data.get("not"),
        why=data["why"],
        questions=_variants(data["question"]),
        hints=_variants(data["hint"]),
        severity=data["severity"],
        scope=data["scope"],
        levels=_levels(data),
        weak=tuple(read_marked(text) for text in data["examples"]["weak"]),
        sound=tuple(read_marked(text) for text in data["examples"]["sound"]),
        injection=Injection(tuple(injection.get("prompts", ())), tuple(injection.get("rules", ()))),
    )


def _variants(data: str | list[str]) -> tuple[str, ...]:
    return (data,) if isinstance(data, str) else tuple(data)


def _levels(data: dict[str, Any]) -> dict[int, str]:
    named = data.get("levels")
    return {level: named[str(level)] for level in LEVELS} if named else {}
