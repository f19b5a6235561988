"""Which criterion each rule of each linter is about: rules.yaml, read and shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from bwcoach.draft import Span
from bwcoach.rubric import Rubric, builtin_rubrics, load_rubric

RULES = Path(__file__).parent / "rules.yaml"
NOT_MAPPED = "–"


@dataclass(frozen=True)
class Complaint:
    """What a linter says of a place: the rule by its own name, in code points of the text it was given."""

    rule: str
    span: Span


class Entry(BaseModel):
    """Rules that are about the same thing, and of the criteria that they are about the order of preference.

    A rule's name, and what it complains of in lower case, are matched by shell patterns. The first criterion that a
    rubric has is meant in it; where it has none, and where there are no criteria, the rule is not mapped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[str, ...] = Field(min_length=1)
    words: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    why: str = Field(default="", description="why rules are not mapped")

    def covers(self, rule: str, words: str) -> bool:
        return any(fnmatchcase(rule, pattern) for pattern in self.rules) and (
            not self.words or any(fnmatchcase(words, pattern) for pattern in self.words)
        )

    def criterion(self, rubric: Rubric) -> str | None:
        return next((criterion for criterion in self.criteria if criterion in rubric.ids), None)


@cache
def rule_table() -> dict[str, tuple[Entry, ...]]:
    """The entries of each linter in the order in which they are tried."""
    table: dict[str, tuple[Entry, ...]] = {}
    for linters, entries in yaml.safe_load(RULES.read_text(encoding="utf-8")).items():
        for linter in linters.split():
            table[linter] = table.get(linter, ()) + tuple(Entry.model_validate(entry) for entry in entries)
    return table


def entry(linter: str, rule: str, words: str) -> Entry | None:
    """The first that covers a rule's complaint about these words; None where the table does not know the rule."""
    plain = " ".join(words.lower().split())
    return next((each for each in rule_table()[linter] if each.covers(rule, plain)), None)


def table_page() -> str:
    """The table as Markdown, a section a linter, a column a built-in rubric."""
    rubrics = [load_rubric(name) for name in builtin_rubrics()]
    return "\n\n".join("\n".join(_lines(linter, rubrics)) for linter in rule_table()) + "\n"


def _lines(linter: str, rubrics: list[Rubric]) -> Iterator[str]:
    yield f"### {linter}"
    yield ""
    yield f"| rules | of the words | {' | '.join(rubric.name for rubric in rubrics)} | |"
    yield "|---|---|" + "---|" * len(rubrics) + "---|"
    for each in rule_table()[linter]:
        meant = (each.criterion(rubric) or NOT_MAPPED for rubric in rubrics)
        rules, words = (", ".join(f"`{one}`" for one in some) for some in (each.rules, each.words))
        yield f"| {rules} | {words or 'any'} | {' | '.join(meant)} | {each.why} |"
