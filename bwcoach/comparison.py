"""What two diagnoses of one draft have in common."""

from __future__ import annotations

from dataclasses import dataclass

from bwcoach.diagnosis import Diagnosis, Finding


@dataclass(frozen=True)
class Comparison:
    """The findings of base and tuned, each in exactly one of the three groups, each group in text order."""

    base: Diagnosis
    tuned: Diagnosis
    both: tuple[tuple[Finding, Finding], ...]
    only_base: tuple[Finding, ...]
    only_tuned: tuple[Finding, ...]


def compare(base: Diagnosis, tuned: Diagnosis) -> Comparison:
    """Pair the findings of one criterion that overlap, those that share most first; each is paired once."""
    pairs = sorted(
        ((one.span.overlap(other.span), one, other) for one in base.findings for other in tuned.findings
         if one.criterion == other.criterion and one.span.overlap(other.span)),
        key=lambda pair: (-pair[0], pair[1].span, pair[2].span),
    )  # fmt: skip
    partner: dict[Finding, Finding] = {}
    taken: set[Finding] = set()
    for _, one, other in pairs:
        if one not in partner and other not in taken:
            partner[one] = other
            taken.add(other)
    return Comparison(
        base, tuned,
        both=tuple((one, partner[one]) for one in base.findings if one in partner),
        only_base=tuple(one for one in base.findings if one not in partner),
        only_tuned=tuple(other for other in tuned.findings if other not in taken),
    )
