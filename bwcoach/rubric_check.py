"""Everything that is wrong with a rubric file, found in one go and said with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

import yaml

from bwcoach.marked_example import Fault, sound_fault, weak_fault
from bwcoach.rubric_file import BUILTIN, RUBRICS, Problem, locate, read_nodes

SEVERITIES = ("minor", "major")
SCOPES = ("passage", "draft")
LEVELS = (4, 3, 2, 1)
MOST_CRITERIA = 40
MOST_ENTRIES = 100
MOST_TEXT = 2_000
MOST_EXAMPLE = 6_000

_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_KINDS = {
    "map": "a mapping", "seq": "a list", "int": "a number", "float": "a number", "bool": "true or false",
    "null": "nothing", "timestamp": "a date", "merge": "a merge", "value": "a default",
}  # fmt: skip

Note = Callable[[yaml.Node, str, str, str], None]
"""Takes down a problem: the node it is at, its key path, and the fault."""

Rule = Callable[[yaml.Node, str, Note], None]
"""Says what a node at a key path has to be, by noting whatever it is not."""


def examine(rubric: str | Path) -> tuple[yaml.Node | None, tuple[Problem, ...]]:
    """The root node of a rubric's file, None where it is unreadable, and every problem in it.

    A built-in rubric has more to fulfil than a user's own: levels, sources, injections, three examples a side.
    """
    path, file = locate(rubric)
    builtin = path.stem in BUILTIN and path.resolve().parent == RUBRICS
    root = read_nodes(path, file)
    if isinstance(root, Problem):
        return None, (root,)
    return root, examine_nodes(root, file, builtin=builtin)


def examine_nodes(root: yaml.Node, file: str, *, builtin: bool) -> tuple[Problem, ...]:
    """Every problem of a rubric whose YAML has been read, in the order of their lines."""
    problems: list[Problem] = []

    def note(node: yaml.Node, key: str, what: str, fix: str) -> None:
        problems.append(Problem(file, key, node.start_mark.line + 1, what, fix))

    rubric_rule(builtin)(root, "", note)
    return tuple(sorted(problems, key=lambda problem: problem.line or 0))


def rubric_rule(builtin: bool) -> Rule:
    """What a rubric file has to be."""
    needed: dict[str, Rule] = {"name": word, "title": text(), "description": text()}
    extra: dict[str, Rule] = {
        "sources": each(fields({"title": text()}, {"url": address, "used_for": text()})),
        "levels": fields({str(level): text() for level in LEVELS}),
    }
    criteria = criteria_of(criterion_rule(builtin))
    if builtin:
        return fields({**needed, **extra, "criteria": criteria})
    return fields({**needed, "criteria": criteria}, extra)


def criterion_rule(builtin: bool) -> Rule:
    variants, examples, prompts = (3, 3, 2) if builtin else (1, 1, 1)
    needed: dict[str, Rule] = {
        "id": word, "name": text(), "description": text(), "span": text(), "why": text(),
        "question": one_or_each(text(), variants), "hint": one_or_each(text(), variants),
        "severity": one_of("a severity", SEVERITIES), "scope": one_of("a scope", SCOPES),
        "examples": fields({"weak": each(weak_example, examples), "sound": each(sound_example, examples)}),
    }  # fmt: skip
    extra: dict[str, Rule] = {
        "levels": fields({str(level): text() for level in LEVELS}),
        "injection": fields({}, {"prompts": each(prompt, prompts), "rules": each(word)}),
    }
    if builtin:
        return fields({**needed, **extra}, {"not": text()})
    return fields(needed, {"not": text(), **extra})


def fields(needed: Mapping[str, Rule], extra: Mapping[str, Rule] | None = None) -> Rule:
    """A mapping with all of the needed keys, any of the extra ones, and no others."""
    known = {**needed, **(extra or {})}

    def rule(node: yaml.Node, key: str, note: Note) -> None:
        if not isinstance(node, yaml.MappingNode):
            note(node, key, f"this is {_kind(node)}, not a mapping", f"write the keys {', '.join(known)}")
            return
        lines: dict[str, int] = {}
        for name_node, value in node.value:
            name = name_node.value if isinstance(name_node, yaml.ScalarNode) else None
            path = f"{key}.{_short(name)}".lstrip(".") if name is not None else key
            if name is None:
                note(name_node, path, f"{_kind(name_node)} stands here as a key", "put a text that begins so in quotes")
            elif name in lines:
                note(name_node, path, f"this key stands in line {lines[name]} already", "keep one of the two")
            elif name in known:
                known[name](value, path, note)
            else:
                near = get_close_matches(name[:60], known, 1)
                fix = f"did you mean {near[0]}? The keys are" if near else "the keys are"
                note(name_node, path, f"{_short(name)!r} is not a key here", f"{fix} {', '.join(known)}")
            if name is not None:
                lines.setdefault(name, name_node.start_mark.line + 1)
        for name in needed:
            if name not in lines:
                note(node, f"{key}.{name}".lstrip("."), "this key is missing", f"add a line that begins {name}:")

    return rule


def each(rule_for_one: Rule, least: int = 1, most: int = MOST_ENTRIES) -> Rule:
    """A list with so many entries, each of which keeps the rule."""

    def rule(node: yaml.Node, key: str, note: Note) -> None:
        if not isinstance(node, yaml.SequenceNode):
            note(node, key, f"this is {_kind(node)}, not a list", "begin each entry with '- ' in a line of its own")
            return
        if len(node.value) < least:
            entries = {0: "no entries", 1: "1 entry"}.get(len(node.value), f"{len(node.value)} entries")
            note(node, key, f"the list has {entries}", f"write at least {least}")
        if len(node.value) > most:
            note(node, key, f"the list has {len(node.value)} entries", f"keep to {most} at most")
            return
        for index, entry in enumerate(node.value):
            rule_for_one(entry, f"{key}[{index}]", note)

    return rule


def one_or_each(rule_for_one: Rule, least: int) -> Rule:
    """A list, or where one is enough the bare text."""
    listed = each(rule_for_one, least)

    def rule(node: yaml.Node, key: str, note: Note) -> None:
        (rule_for_one if least == 1 and not isinstance(node, yaml.SequenceNode) else listed)(node, key, note)

    return rule


def criteria_of(criterion: Rule) -> Rule:
    """The list of criteria, whose ids differ."""
    listed = each(criterion, most=MOST_CRITERIA)

    def rule(node: yaml.Node, key: str, note: Note) -> None:
        listed(node, key, note)
        if not isinstance(node, yaml.SequenceNode):
            return
        seen: dict[str, tuple[int, int]] = {}
        for index, entry in enumerate(node.value):
            pairs = entry.value if isinstance(entry, yaml.MappingNode) else []
            for value in [value for name, value in pairs if name.value == "id" and isinstance(value, yaml.ScalarNode)]:
                line = value.start_mark.line + 1
                first, where = seen.setdefault(value.value, (index, line))
                if first != index:
                    what = f"{_short(value.value)!r} is the id of criteria[{first}] in line {where} already"
                    note(value, f"{key}[{index}].id", what, "give each criterion an id of its own")

    return rule


def one_of(what: str, choices: tuple[str, ...]) -> Rule:
    def rule(node: yaml.Node, key: str, note: Note) -> None:
        if not isinstance(node, yaml.ScalarNode):
            note(node, key, f"this is {_kind(node)}, not {what}", f"use {' or '.join(choices)}")
        elif node.value not in choices:
            note(node, key, f"{_short(node.value)!r} is not {what}", f"use {' or '.join(choices)}")

    return rule


def text(most: int = MOST_TEXT, also: Callable[[str], Fault | None] = lambda value: None) -> Rule:
    """A text with something in it, and with no fault that `also` finds.

    What YAML reads as something else (no, 12, 2024-01-01) is refused, since it may not be what was written.
    """

    def fault(node: yaml.Node) -> Fault | None:
        kind, value = _kind(node), node.value
        if not isinstance(node, yaml.ScalarNode):
            return f"this is {kind}, not a text", "write one text, in quotes if it begins with { or ["
        if not value.strip():
            return "this text is empty", "write it, or leave the key out if it is optional"
        if kind != "a text":
            return f"YAML reads {_short(value)} as {kind}, not as a text", f'put it in quotes: "{_short(value)}"'
        if len(value) > most:
            return f"this text has {len(value):,} characters", f"keep to {most:,} at most"
        if bad := _UNSHOWABLE.search(value):
            return f"this text holds the character U+{ord(bad[0]):04X}", "take it out"
        return also(value)

    def rule(node: yaml.Node, key: str, note: Note) -> None:
        if found := fault(node):
            note(node, key, *found)

    return rule


def _not_an_id(value: str) -> Fault | None:
    if _ID.fullmatch(value):
        return None
    return f"{_short(value)!r} is not an id", "use lower-case words joined by hyphens, such as loose-end"


def _not_an_address(value: str) -> Fault | None:
    """The page links to it, so that no other scheme will do."""
    if re.match(r"https?://[^\s/]", value):
        return None
    return f"{_short(value)!r} is not a web address", "begin it with https://"


def _not_a_prompt(value: str) -> Fault | None:
    if not re.search(r"[{}]", value):
        return None
    return "this prompt holds a brace", "say it in words, without { and }"


word = text(also=_not_an_id)
address = text(also=_not_an_address)
prompt = text(also=_not_a_prompt)
weak_example = text(MOST_EXAMPLE, weak_fault)
sound_example = text(MOST_EXAMPLE, sound_fault)


def _kind(node: yaml.Node) -> str:
    return _KINDS.get(node.tag.rpartition(":")[2], "a text")


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:39] + "…"
