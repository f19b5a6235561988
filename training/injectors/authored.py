"""Weaknesses that were written passage by passage, read from the two formats of the authored files.

`*edits*.jsonl` holds good passages with separate edits; in `*marked*.jsonl` the good and the weak reading of each
place stand inline as `{{criterion|worse|better}}`. Any subset of a passage's edits makes an example.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.errors import ExamplesError, RubricError
from bwcoach.rubric import Criterion, Rubric, load_rubric
from training.corpus import Document
from training.examples import Example, Provenance
from training.injectors.edit import Edit, fix_for, trimmed, weaken

GENERATOR = "authored-llm"
WHOLE_KINDS = frozenset({"essay", "scene"})
_MARK = re.compile(r"\{\{([^{}|]*)\|([^{}|]*)\|([^{}|]*)\}\}")


@dataclass(frozen=True)
class AuthoredPassage:
    """A good passage and the separate ways in which it can be made worse.

    `work` is what has to stay on one side of a split: the source document, or the topic written about.
    """

    good: Example
    edits: tuple[Edit, ...]
    work: str

    def version(self, chosen: Iterable[int]) -> Example:
        """The passage with the edits of these numbers made."""
        example = self.good
        # From the last to the first, so that the places of those still to come stay where they are.
        for number in sorted(chosen, key=lambda n: (self.edits[n].span, n), reverse=True):
            example = weaken(example, self.edits[number], Authored.name)
        return example

    def versions(self, count: int, rng: Random) -> tuple[Example, ...]:
        """Up to `count` different versions: all edits, then none, then random subsets of them."""
        everything = frozenset(range(len(self.edits)))
        chosen = list(dict.fromkeys([everything, frozenset[int]()]))[:count]
        subsets = 2 ** len(self.edits)
        while len(chosen) < min(count, subsets):
            subset = frozenset(rng.sample(sorted(everything), rng.randint(1, len(everything) - 1)))
            if subset not in chosen:
                chosen.append(subset)
        return tuple(self.version(subset).with_id(f"{self.good.id}/{n}") for n, subset in enumerate(chosen))


class Authored:
    """The injector over authored passages; it knows a passage by its `pair`."""

    name = "authored"

    def __init__(self, passages: Iterable[AuthoredPassage]) -> None:
        self._passages = {passage.good.pair: passage for passage in passages}

    def inject(self, passage: Example, criterion: Criterion, rng: Random) -> Example | None:
        known = self._passages.get(passage.pair)
        if known is None:
            return None
        made = [n for n, edit in enumerate(known.edits) if edit.form in passage.provenance.forms]
        left = [n for n, edit in enumerate(known.edits) if n not in made and edit.criterion == criterion.id]
        return known.version([*made, rng.choice(left)]) if left else None


def read_authored(folder: Path, seed: int) -> tuple[tuple[AuthoredPassage, ...], Counter[str]]:
    """All passages of a folder's authored files, and how many of their parts could not be used, by reason.

    Raises ExamplesError where there is no such file or a line is not a row of either format.
    """
    files = sorted([*folder.glob("*edits*.jsonl"), *folder.glob("*marked*.jsonl")])
    if not files:
        raise ExamplesError(f"{folder}: no authored files; their names hold `edits` or `marked`, as in edits-1.jsonl.")
    unused: Counter[str] = Counter()
    return tuple(passage for file in files for passage in _read_file(file, seed, unused)), unused


_rubric = cache(load_rubric)


def _read_file(file: Path, seed: int, unused: Counter[str]) -> Iterator[AuthoredPassage]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rubric = _rubric(row["rubric"])
            read = _from_marked if "marked" in row else _from_edits
            passage = read(row, seed, unused)
        except (json.JSONDecodeError, KeyError, TypeError, RubricError) as error:
            raise ExamplesError(f"{file}:{number}: not an authored row ({error!r}).") from None
        yield replace(passage, edits=tuple(_usable(passage, rubric, unused)))


def _from_edits(row: dict[str, Any], seed: int, unused: Counter[str]) -> AuthoredPassage:
    text = row["text"]
    also = []
    for weakness in row["also"]:
        count = text.count(weakness["quote"])
        # An acronym is marked where it is first used, so its first occurrence is the one that is meant.
        if count == 1 or (count and weakness["criterion"] == "undefined-acronym"):
            start = text.index(weakness["quote"])
            also.append(Finding(Span(start, start + len(weakness["quote"])), weakness["criterion"]))
        else:
            unused["also: its quote is not in the text exactly once"] += 1
    edits = []
    for number, part in enumerate(row["edits"]):
        find, worse, quote = part["find"], part["replace"], part["mark"]
        if text.count(find) != 1 or worse.count(quote) != 1:
            unused["edit: its place or its mark does not occur exactly once"] += 1
            continue
        start, mark = text.index(find), worse.index(quote)
        place = trimmed(worse, Span(mark, mark + len(quote)))
        form = f"{row['id']}#{number}"
        edits.append(
            Edit(Span(start, start + len(find)), worse, place, part["criterion"], fix_for(find, worse, place), form)
        )
    document = Document(row["id"], "", row["source"], row["license"], "", text)
    return AuthoredPassage(_good(row, text, tuple(also), seed), tuple(edits), document.work)


def _from_marked(row: dict[str, Any], seed: int, unused: Counter[str]) -> AuthoredPassage:
    marked = row["marked"]
    if "{{" in _MARK.sub("", marked):
        raise KeyError("a mark is not {{criterion|worse|better}}")
    text, end, edits = "", 0, []
    for number, match in enumerate(_MARK.finditer(marked)):
        text += marked[end : match.start()]
        criterion, worse, better = match.groups()
        place = trimmed(worse, Span(0, len(worse)))
        # Blanks that a mark leaves outside stand in both readings, or go with the words that should go.
        fix = fix_for(better, worse, place)
        edits.append(
            Edit(Span(len(text), len(text) + len(better)), worse, place, criterion,
                 better if fix is None else fix, f"{row['id']}#{number}")
        )  # fmt: skip
        text += better
        end = match.end()
    text += marked[end:]
    return AuthoredPassage(_good(row, text, (), seed), tuple(edits), f"topic:{row['topic']}")


def _good(row: dict[str, Any], text: str, findings: tuple[Finding, ...], seed: int) -> Example:
    origin = Provenance(
        row.get("source", f"authored:{row['id']}"), row.get("license", "written for this project"), GENERATOR, seed=seed
    )
    whole = row.get("kind") in WHOLE_KINDS
    return Example(row["id"], row["rubric"], text, findings, origin, whole, pair=row["id"])


def _usable(passage: AuthoredPassage, rubric: Rubric, unused: Counter[str]) -> Iterator[Edit]:
    """The edits that any subset may be made of."""
    end = 0
    for edit in sorted(passage.edits, key=lambda e: e.span):
        if edit.criterion not in rubric.ids:
            unused["edit: its criterion is not in the rubric"] += 1
        elif rubric.criterion(edit.criterion).scope == "draft" and not passage.good.whole:
            unused["edit: a draft's weakness in a mere passage"] += 1
        elif not edit.mark:
            unused["edit: nothing to mark"] += 1
        elif edit.span.start < end:
            unused["edit: overlaps the one before"] += 1
        else:
            end = edit.span.end
            yield edit
