"""The injector that follows rules: phrases from the form lists, and operations on the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from bwcoach.draft import Span
from bwcoach.rubric import Criterion
from training.examples import Example
from training.injectors.edit import Edit, weaken
from training.injectors.forms import form_lists, load_forms
from training.injectors.operations import OPERATIONS

GENERATOR = "rules"
# Weaknesses of the telling, which a person in the story may well speak with.
_NARRATIVE = frozenset(
    {"adverb-overuse", "cliche", "filter-words", "monotony", "passive-voice", "purple-prose", "repetition", "telling",
     "tense-shift", "vague-language"}
)
_SPEECH = re.compile(r"“[^”\n]*”?|\"[^\"\n]*\"?")


def rule_names() -> tuple[str, ...]:
    """What a criterion may name under `injection.rules`."""
    return tuple(sorted({*form_lists(), *OPERATIONS}))


class Rules:
    """Injects by the rules that a criterion names; a form is drawn first and then one of its places."""

    name = "rules"

    def inject(self, passage: Example, criterion: Criterion, rng: Random) -> Example | None:
        by_form: dict[str, list[Edit]] = {}
        for rule in criterion.injection.rules:
            for edit in self._edits(rule, passage, criterion.id, rng):
                by_form.setdefault(edit.form, []).append(edit)
        if not by_form:
            return None
        return weaken(passage, rng.choice(by_form[rng.choice(sorted(by_form))]), self.name)

    def _edits(self, rule: str, passage: Example, criterion: str, rng: Random) -> Iterator[Edit]:
        text = passage.text
        taken = [finding.span for finding in passage.findings]
        if rule in _NARRATIVE:
            taken += [Span(*match.span()) for match in _SPEECH.finditer(text)]
        listed = load_forms(rule).edits(text, criterion, rng) if rule in form_lists() else ()
        for edit in listed:
            if not _touches(edit.span, taken):
                yield edit
        for operation in OPERATIONS.get(rule, ()):
            for edit in operation(text, criterion, rng):
                if not _touches(edit.span, taken):
                    yield edit


def _touches(span: Span, others: list[Span]) -> bool:
    return any(span.start <= other.end and other.start <= span.end for other in others)
