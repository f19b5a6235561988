"""The baseline that knows only phrases: it marks whatever stands in the form lists."""

from __future__ import annotations

import re
from functools import cache

from bwcoach.diagnosis import Finding, in_text_order
from bwcoach.draft import Draft, Span
from bwcoach.rubric import Rubric
from training.injectors.forms import form_lists, load_forms, weak_beginnings, weak_pattern

_WORD = re.compile(r"\w+")


class FormMatcher:
    """Finds the weak phrases of a rubric's rules with confidence 1; of overlapping ones, the longest.

    It reads with the same lists that the rule injector writes with, so on rule-made examples it says how much a
    phrase list alone would get, and on drafts how much of a tutor's work is a matter of phrases.
    """

    def __init__(self, rubric: Rubric) -> None:
        self._rubric = rubric

    def findings(self, draft: Draft) -> tuple[Finding, ...]:
        found: list[Finding] = []
        for criterion in self._rubric.criteria:
            spans = [
                Span(*match.span("mark"))
                for rule in criterion.injection.rules
                for word in _WORD.finditer(draft.text)
                for pattern in (*_patterns(rule).get(word[0].lower(), ()), *_patterns(rule).get("", ()))
                if (match := pattern.match(draft.text, word.start()))
            ]
            found += [Finding(span, criterion.id, 1.0) for span in _longest(spans)]
        return in_text_order(found)


@cache
def _patterns(rule: str) -> dict[str, tuple[re.Pattern[str], ...]]:
    """A rule's patterns by the word that they begin with; under "" those that any word may begin."""
    patterns: dict[str, list[re.Pattern[str]]] = {}
    for worse in load_forms(rule).weak if rule in form_lists() else ():
        for word in weak_beginnings(worse) or ("",):
            patterns.setdefault(word, []).append(weak_pattern(worse))
    return {word: tuple(found) for word, found in patterns.items()}


def _longest(spans: list[Span]) -> list[Span]:
    """Of spans that overlap, the longest, or the first of equals."""
    kept: list[Span] = []
    for span in sorted(set(spans), key=lambda s: (-len(s), s.start)):
        if not any(span.overlap(other) for other in kept):
            kept.append(span)
    return kept
