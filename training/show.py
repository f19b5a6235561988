"""Examples as a person reads them, weak places marked and mended, so that data can be judged before it teaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from random import Random

from bwcoach.draft import Span
from bwcoach.errors import ExamplesError
from training.examples import Example, read_examples

_COLOURS = (31, 32, 33, 34, 35, 36, 91, 92, 94, 95, 96)
_BOLD, _PLAIN = "\033[1m", "\033[0m"
_CONTROLS = {code: "\ufffd" for code in [*range(32), 127, *range(128, 160)] if code not in (9, 10)}
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1b18; --paper: #fbf9f4; --line: #d8d2c4; --quiet: #6b655a;
  --weak: #fbe0d6; --fix: #dcecd9; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece7dc; --paper: #1b1a18; --line: #45413a; --quiet: #a39c8e;
  --weak: #5a2f22; --fix: #26432a; } }
body { margin: 0 auto; padding: 2rem 1.2rem; max-width: 46rem; font: 17px/1.6 Georgia, serif; color: var(--ink);
  background: var(--paper); }
h1, h2, nav, p.of { font-family: system-ui, sans-serif; line-height: 1.25; }
nav { columns: 16rem; font-size: .85rem; }
nav a { display: block; color: inherit; }
article { border-top: 1px solid var(--line); padding: .6rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
p.of { margin: 0 0 .4rem; font-size: .78rem; color: var(--quiet); white-space: normal; }
mark { color: inherit; background: var(--weak); padding: 0 .1em; border-radius: .15em; }
mark.other { background: none; border-bottom: 2px dotted var(--quiet); }
mark sup { font: .65rem system-ui, sans-serif; }
ins { background: var(--fix); text-decoration: none; padding: 0 .15em; margin-left: .2em; border-radius: .15em; }
""".strip()


def examples_file(data: Path) -> Path:
    """The examples that `data` names: a JSONL file, or the train.jsonl of a data set's folder."""
    file = data / "train.jsonl" if data.is_dir() else data
    if not file.is_file():
        raise ExamplesError(f"{file}: no examples there; give a .jsonl file, or the folder that `generate` wrote to.")
    return file


def sampled(file: Path, criterion: str | None, count: int, seed: int) -> dict[str, tuple[Example, ...]]:
    """For each criterion, or for the one that is asked for, up to `count` random examples with a finding of it.

    Reads the file once, and keeps no more of it than it gives. Raises ExamplesError where there is none.
    """
    rngs: dict[str, Random] = {}
    kept: dict[str, list[Example]] = {}
    met: dict[str, int] = {}
    for example in read_examples(file):
        for name in {finding.criterion for finding in example.findings}:
            if criterion not in (None, name):
                continue
            met[name] = met.get(name, 0) + 1
            chosen = kept.setdefault(name, [])
            # A generator a criterion: which examples of one are drawn does not depend on what else is shown.
            place = rngs.setdefault(name, Random(f"{seed}:{name}")).randrange(met[name])
            if len(chosen) < count:
                chosen.append(example)
            elif place < count:
                chosen[place] = example
    if not kept:
        known = sorted({finding.criterion for example in read_examples(file) for finding in example.findings})
        what = f"a finding of {criterion}" if criterion else "a finding"
        raise ExamplesError(f"{file}: no example has {what}; there are {', '.join(known) or 'none at all'}.")
    return {name: tuple(kept[name]) for name in sorted(kept)}


def as_text(samples: dict[str, tuple[Example, ...]], colour: bool) -> Iterator[str]:
    """A block for each example: where it is from, and its text with [[weak words => what stood there]]."""
    for criterion, examples in samples.items():
        for number, example in enumerate(examples, 1):
            title = f"{criterion} {number}/{len(examples)}  {_origin(example)}".translate(_CONTROLS)
            yield (f"{_BOLD}{title}{_PLAIN}" if colour else title) + "\n" + _marked_text(example, colour) + "\n"


def _marked_text(example: Example, colour: bool) -> str:
    names = sorted({finding.criterion for finding in example.findings})
    parts, end = [], 0
    for span, criteria, fix in _places(example):
        weak = span.quote(example.text).translate(_CONTROLS)
        note = f"{'+'.join(criteria)}: {weak}" + ("" if fix is None else f" => {fix.translate(_CONTROLS) or '(cut)'}")
        marked = f"[[{note}]]"
        if colour:
            marked = f"\033[{_COLOURS[names.index(criteria[0]) % len(_COLOURS)]}m{marked}{_PLAIN}"
        parts += [example.text[end : span.start].translate(_CONTROLS), marked]
        end = span.end
    return "".join(parts) + example.text[end:].translate(_CONTROLS)


def write_html(samples: dict[str, tuple[Example, ...]], file: Path, source: str) -> None:
    """One page with a section a criterion, light or dark as the reader's system is; it loads nothing from elsewhere."""
    links = "\n".join(f'<a href="#{escape(name)}">{escape(name)} ({len(es)})</a>' for name, es in samples.items())
    sections = "\n".join(
        f'<section id="{escape(name)}"><h2>{escape(name)}</h2>\n{_articles(name, examples)}\n</section>'
        for name, examples in samples.items()
    )
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Examples: {escape(source)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n'
        f"<h1>Examples of {escape(source)}</h1>\n<p>Shaded: the section's own weakness, with what stood there before "
        f"beside it. Dotted: weaknesses of other criteria.</p>\n<nav>{links}</nav>\n{sections}\n</body></html>\n"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(page, encoding="utf-8", errors="replace")
    part.replace(file)


def _articles(criterion: str, examples: Iterable[Example]) -> str:
    return "\n".join(
        f'<article><p class="of">{_shown(_origin(example))}</p>{_marked_html(example, criterion)}</article>'
        for example in examples
    )


def _marked_html(example: Example, criterion: str) -> str:
    parts, end = [], 0
    for span, criteria, fix in _places(example):
        mine = criterion in criteria
        other = "" if mine else ' class="other"'
        names = _shown("+".join(criteria))
        parts.append(_shown(example.text[end : span.start]))
        parts.append(f"<mark{other}>{_shown(span.quote(example.text))}<sup>{names}</sup></mark>")
        if fix is not None:
            parts.append(f"<ins>{_shown(fix) or '(cut)'}</ins>")
        end = span.end
    return "".join(parts) + _shown(example.text[end:])


def _places(example: Example) -> Iterator[tuple[Span, list[str], str | None]]:
    """The findings in text order, those that overlap as one place; such a place has the fix of its first alone."""
    ordered = sorted(example.findings, key=lambda finding: (finding.span.start, -finding.span.end))
    number = 0
    while number < len(ordered):
        first = ordered[number]
        start, end, criteria = first.span.start, first.span.end, [first.criterion]
        number += 1
        while number < len(ordered) and ordered[number].span.start < end:
            end = max(end, ordered[number].span.end)
            criteria.append(ordered[number].criterion)
            number += 1
        yield Span(start, end), criteria, first.fix if end == first.span.end else None


def _origin(example: Example) -> str:
    origin = example.provenance
    made = ", ".join([origin.generator, *(form for form in origin.forms)])
    return f"{example.id} | {example.rubric} | {origin.source} ({origin.license}) | {made}"


def _shown(text: str) -> str:
    return escape(text.translate(_CONTROLS))
