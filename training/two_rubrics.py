"""The same passage under two rubrics: the answers must differ where the rubrics do, and agree where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from bwcoach.diagnosis import Finding
from training.evaluation_sets import MarkedDraft
from training.finding_density import Found
from training.scoring import Estimate, matches, ratio

METHOD = (
    "Each text is read under two rubrics. A label that the other rubric's labels do not have at its place is *told "
    "apart* when it is found under its own rubric and nothing is marked there under the other that is not labelled "
    "there. A label that both have is *answered alike* when both readings find it or neither does. *Agreement* looks "
    "at findings alone: of those whose criterion both rubrics have, the share that overlaps one of the same criterion "
    "in the other reading."
)


@dataclass(frozen=True)
class TwoRubrics:
    """`differing` and `shared` count labels, `common` findings of criteria that both rubrics have."""

    texts: int
    differing: int
    told_apart: Estimate
    shared: int
    alike: Estimate
    found_in_both: Estimate
    common: int
    agreement: Estimate


def two_rubrics(
    texts: Sequence[Sequence[tuple[MarkedDraft, Found]]], *, times: int = 1000, seed: int = 0
) -> TwoRubrics:
    """For each text what is labelled and what was found under each of its rubrics; intervals are over texts."""
    # (texts, 7): differing, told apart, shared, alike, found in both, common, agreeing.
    table = np.zeros((len(texts), 7))
    for row, readings in enumerate(texts):
        for (draft, found), (other, also) in permutations(readings, 2):
            for label in draft.labels:
                hit = any(matches(finding, label) for finding in found.findings)
                there = _at(label, other.labels)
                twin = next((each for each in there if each.criterion == label.criterion), None)
                if twin is None:
                    allowed = {each.criterion for each in there}
                    stray = any(each.criterion not in allowed for each in _at(label, also.findings))
                    table[row, :2] += (1, hit and not stray)
                else:
                    found_there = any(matches(finding, twin) for finding in also.findings)
                    table[row, 2:5] += (1, hit == found_there, hit and found_there)
            for finding in found.findings:
                if finding.criterion in also.rubric.ids:
                    agreed = any(each.criterion == finding.criterion for each in _at(finding, also.findings))
                    table[row, 5:] += (1, agreed)

    def share(of: int, among: int) -> Estimate:
        return ratio(table[:, [of, among]], times=times, seed=seed)

    differing, _, shared, _, _, common, _ = (int(count) for count in table.sum(axis=0))
    return TwoRubrics(
        len(texts), differing, share(1, 0), shared, share(3, 2), share(4, 2), common, share(6, 5)
    )  # fmt: skip


def _at(place: Finding, findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.span.overlap(place.span)]
