"""A rubric file: where it lies, and its YAML as nodes that know their lines, refused before it can do harm."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

RUBRICS = Path(__file__).resolve().parent.parent / "rubrics"
BUILTIN = ("position-paper", "scientific-paper", "creative-writing")
MOST_BYTES = 512 * 1024
MOST_ALIASES = 64
MOST_DEPTH = 12
MOST_NODES = 20_000

_YAML = "tag:yaml.org,2002:"
_PLAIN = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
_TAGS = frozenset(_YAML + kind for kind in _PLAIN)
_NAMES = f"the built-in rubrics are {', '.join(BUILTIN)}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a rubric file. `key` is a path such as criteria[2].severity, "" for the whole file."""

    file: str
    key: str
    line: int | None
    what: str
    fix: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.what}; {self.fix}." if self.key else f"{place}: {self.what}; {self.fix}."


class _Refused(Exception):
    """Stops the reading of a file at its first harmful place."""

    def __init__(self, line: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.line, self.what, self.fix = line, what, fix


class _BoundedLoader(yaml.SafeLoader):
    """Composes nodes and counts them as if every alias were written out, so that an alias bomb is never built."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._aliases = self._depth = self._count = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else 0
        before = self._count
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > MOST_ALIASES:
                raise _Refused(line, f"more than {MOST_ALIASES} aliases are used", "write the repeated parts out")
            if event.anchor not in self._sizes:
                raise _Refused(line, f"*{event.anchor} names nothing that ends above it", "write the text out")
            self._count += self._sizes[event.anchor]
        else:
            self._count += 1
            self._depth += 1
        if self._depth > MOST_DEPTH + 1:
            raise _Refused(line, f"lists and mappings lie more than {MOST_DEPTH} deep", "a rubric needs 5")
        if self._count > MOST_NODES:
            what = f"the file holds more than {MOST_NODES:,} values once its aliases are written out"
            raise _Refused(line, what, "keep one rubric a file, and use fewer aliases")
        node = super().compose_node(parent, index)
        if not isinstance(event, yaml.AliasEvent):
            self._depth -= 1
            if isinstance(event, yaml.NodeEvent) and event.anchor:
                self._sizes[event.anchor] = self._count - before
        if node is not None and node.tag not in _TAGS:
            tag = node.tag.replace(_YAML, "!!")
            raise _Refused(line, f"the tag {tag[:40]} is refused", "use plain texts, lists and mappings")
        return node


def locate(rubric: str | Path) -> tuple[Path, str]:
    """The path of a rubric, and the name to show for it. Whatever is not the name of a built-in one is a path."""
    text = str(rubric)
    if text in BUILTIN and isinstance(rubric, str):
        return RUBRICS / f"{text}.yaml", f"rubrics/{text}.yaml"
    return Path(rubric), text


def read_nodes(path: Path, file: str) -> yaml.Node | Problem:
    """The root node of a YAML file, or what keeps it from being read; never more than MOST_BYTES are read."""
    try:
        if path.is_dir():
            return Problem(file, "", None, "this is a folder", f"give the path of a .yaml file; {_NAMES}")
        if not path.exists():
            known = "give one of these or the path of a .yaml file"
            separators = tuple(filter(None, (os.sep, os.altsep)))
            if file.endswith((".yaml", ".yml")) or any(separator in file for separator in separators):
                return Problem(file, "", None, "there is no such file", f"{_NAMES}; {known}")
            return Problem(file, "", None, "there is no rubric of this name", f"{_NAMES}; {known}")
        if not path.is_file():
            return Problem(file, "", None, "this is not a regular file", f"give the path of a .yaml file; {_NAMES}")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = f"give the path of a readable .yaml file; {_NAMES}"
        return Problem(file, "", None, f"the file cannot be read ({reason})", fix)
    return _compose(data, file)


def _compose(data: bytes, file: str) -> yaml.Node | Problem:
    if len(data) > MOST_BYTES:
        return Problem(file, "", None, f"the file is larger than {MOST_BYTES // 1024} KB", "keep to one rubric a file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Problem(file, "", line, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8 text")
    try:
        node = yaml.compose(text, Loader=_BoundedLoader)
    except _Refused as refused:
        return Problem(file, "", refused.line, refused.what, refused.fix)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        return Problem(file, "", line, f"the character U+{ord(text[error.position]):04X} stands here", "take it out")
    except yaml.composer.ComposerError as error:
        what = f"not YAML: {error.context}, {error.problem}"
        return Problem(file, "", _line(error), what, "keep one rubric a file, and each &name once")
    except yaml.MarkedYAMLError as error:
        return Problem(
            file, "", _line(error), f"not YAML: {error.problem or error.context}",
            "put a text in quotes where it holds ': ' or ' #' or begins with a sign such as {, [, * or &",
        )
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        return Problem(file, "", None, f"not YAML: {error}", "put a backslash in single quotes or outside quotes")
    return node or Problem(file, "", None, "the file is empty", f"begin it with name, title and criteria; {_NAMES}")


def _line(error: yaml.MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else None
