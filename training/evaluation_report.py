"""The evaluation's report: JSON for programs, Markdown for people, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from training.evaluation_pictures import pictures
from training.finding_density import SEVERITY_WEIGHTS, Lift
from training.judgement import Judgement, PairJudgement
from training.markdown_tables import or_dash, short, table
from training.perplexity import Perplexity
from training.scoring import MATCHING_RULE, Comparison, Measures
from training.scrutiny import Scrutiny
from training.scrutiny_report import sections
from training.thresholds import METHOD

ORIGIN = (
    "The drafts were written for this project by a language model in the voices of varied writers, each with every "
    "weakness that a careful tutor would mark and with a repaired version; the labels were checked by a blind second "
    "reading (F1 0.97)."
)
_EDITS = (
    "Abstracts and introductions whose edits by three professional editors are typed (TETRA, CC BY 4.0). Editors agree "
    "little, so the figure is lift: the share of findings that lie at an edit, divided by what that share is on "
    "average when each finding, with its number of words, begins at any word of its text. A finding lies at an edit "
    "when the two overlap by at least half of the shorter one. The human line is one editor judged against the other "
    "two; how many of the three made an edit is known and not who, so it is an expectation over who it was. A model is "
    "judged against all three, which asks less of it at random places too."
)
_FORMS = (
    "Our own examples that are weak. All that was done to the *seen* ones was also done to examples that were taught; "
    "in the *unseen* ones a form, or a whole injector, was kept out of training. Thresholds are those fitted on all "
    "drafts."
)
_PAIRS = (
    "Wikipedia sentences and what people made of them when asked to be concise (wiki-conciseness-dataset, CC BY 4.0): "
    "findings per 100 words of each, and the share of pairs whose first sentence has more findings a word, ties "
    "counting half."
)


@dataclass(frozen=True)
class Report:
    """All figures of one evaluation, by system; `missing` has a sentence for each that could not be measured."""

    command: str
    model: str
    tokens_read: int | None
    drafts: int
    folds: int
    shrinkage: float
    resamples: int
    seed: int
    judgements: Mapping[str, Judgement]
    comparisons: Mapping[str, Comparison]
    examples: Mapping[str, Judgement]
    edits: Mapping[str, Mapping[str, Lift]]
    pairs: Mapping[str, Mapping[str, PairJudgement]]
    perplexity: Mapping[str, Mapping[str, Perplexity]]
    forms: Mapping[str, Mapping[str, Judgement]]
    scrutiny: Scrutiny
    missing: tuple[str, ...]


def write_report(report: Report, folder: Path) -> None:
    """Write report.json, report.md and the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"matching_rule": MATCHING_RULE, "thresholds": _method(report), "drafts_origin": ORIGIN, **asdict(report)}
    (folder / "report.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")
    for name, picture in pictures(tuple(report.judgements.values()), report.scrutiny).items():
        picture.savefig(folder / name, dpi=120)


def markdown(report: Report) -> str:
    """The report as a page; every figure on it comes from the command that it names."""
    read = f"{report.tokens_read:,} tokens" if report.tokens_read else "an unrecorded number of tokens"
    parts = [
        f"# Evaluation of {report.model}",
        f"Every figure here comes from `{report.command}`. The base had read {read} when it was tuned.",
        f"## {report.drafts} drafts\n\n{ORIGIN}\n\n{MATCHING_RULE}\n\n{_method(report)} Intervals hold 95 % of "
        f"{report.resamples:,} resamples of the drafts (seed {report.seed}).",
        drafts_table(tuple(report.judgements.values())),
        "Macro F1 is the mean over criteria with labels. Findings are per 1000 words. A draft is worse than its repair "
        f"when its findings a word weigh more (a major criterion {SEVERITY_WEIGHTS['major']:g}, a minor one "
        f"{SEVERITY_WEIGHTS['minor']:g}); ties count half. Unread answers named no place in the draft. Thresholds are "
        "cross-fitted for all systems alike, but for the row under the thresholds of a card, which may have been "
        "fitted on these very drafts.",
    ]
    if report.comparisons:
        parts.append(_comparisons(report.comparisons))
    parts += [_genres(report.judgements), _criteria(report.judgements)] if report.judgements else []
    if report.examples:
        parts.append(
            "## Our own examples\n\nPassages kept out of training, under the thresholds fitted on all drafts.\n\n"
            + drafts_table(tuple(report.examples.values()))
        )
    if report.forms:
        parts.append(_forms(report.forms))
    parts += sections(report.scrutiny)
    if report.edits:
        parts.append(_edits(report.edits))
    if report.pairs:
        parts.append(_pairs(report.pairs))
    if report.perplexity:
        parts.append(_perplexity(report.perplexity))
    if report.missing:
        parts.append("## Not measured\n\n" + "\n".join(f"- {sentence}" for sentence in report.missing))
    return "\n\n".join(parts) + "\n"


def drafts_table(judgements: Sequence[Judgement]) -> str:
    """One line a system."""
    head = (
        "system", "micro precision", "recall", "F1", "F0.5", "macro F1", "one threshold: F1", "findings in drafts",
        "in repairs", "worse than its repair", "unread", "seconds per 1000 words",
    )
    rows = [
        (
            one.system, one.scores.micro.precision, one.scores.micro.recall, one.scores.micro.f1, one.scores.micro.f05,
            one.scores.macro.f1, or_dash(one.one_threshold), short(one.found_in_drafts), short(one.found_in_repairs),
            or_dash(one.worse_than_repair), one.unread, f"{one.seconds_per_1000_words:.2f}",
        )
        for one in judgements
    ]  # fmt: skip
    return table(head, rows)


def _method(report: Report) -> str:
    return METHOD.format(shrinkage=report.shrinkage) + f" There are {report.folds} folds."


def _comparisons(comparisons: Mapping[str, Comparison]) -> str:
    rows = [(name, one.difference, f"{one.p_value:.4f}") for name, one in comparisons.items()]
    told = (
        "## Tuned against the others\n\nMicro F1 of the tuned model less that of the other on the same drafts: paired "
        "bootstrap interval, and two-sided p of approximate randomisation over drafts."
    )
    return f"{told}\n\n{table(('against', 'difference', 'p'), rows)}"


def _forms(forms: Mapping[str, Mapping[str, Judgement]]) -> str:
    rows = [
        (
            name, which, one.scores.micro.labelled, one.scores.micro.precision, one.scores.micro.recall,
            one.scores.micro.f1, short(one.found_in_repairs),
        )
        for which, systems in forms.items() for name, one in systems.items()
    ]  # fmt: skip
    head = ("system", "forms", "labels", "micro precision", "recall", "F1", "findings in repairs")
    return f"## Seen and unseen forms\n\n{_FORMS}\n\n{table(head, rows)}"


def _edits(edits: Mapping[str, Mapping[str, Lift]]) -> str:
    rows = [
        (name, which, one.findings, f"{one.at_places:.3f}", f"{one.at_random:.3f}", or_dash(one.lift))
        for name, both in edits.items() for which, one in both.items()
    ]  # fmt: skip
    head = ("system", "edits of", "findings", "at an edit", "at random", "lift")
    return f"## Professional editors\n\n{_EDITS}\n\n{table(head, rows)}"


def _pairs(pairs: Mapping[str, Mapping[str, PairJudgement]]) -> str:
    rows = [
        (name, which, one.in_worse, one.in_better, one.denser)
        for name, both in pairs.items() for which, one in both.items()
    ]  # fmt: skip
    head = ("system", "findings of", "original", "concise", "original denser")
    return f"## Concise sentences\n\n{_PAIRS}\n\n{table(head, rows)}"


def _perplexity(models: Mapping[str, Mapping[str, Perplexity]]) -> str:
    rows = [
        (name, genre, f"{one.bits_per_byte:.3f}", f"{one.per_token:.1f}", f"{one.tokens:,}")
        for name, genres in models.items() for genre, one in genres.items()
    ]  # fmt: skip
    head = ("model", "genre", "bits a byte", "perplexity a token", "tokens")
    return f"## Perplexity on the corpus's dev split\n\n{table(head, rows)}"


def _genres(judgements: Mapping[str, Judgement]) -> str:
    genres = sorted({genre for one in judgements.values() for genre in one.rubrics})
    rows = [
        (name, *(one.rubrics[genre].micro.f1 if genre in one.rubrics else "–" for genre in genres))
        for name, one in judgements.items()
    ]
    return f"## Micro F1 by rubric\n\n{table(('system', *genres), rows)}"


def _criteria(judgements: Mapping[str, Judgement]) -> str:
    """Precision and recall of the first system, and F1 of all, by criterion."""
    first = next(iter(judgements.values()))
    criteria = sorted({c for one in judgements.values() for c, m in one.scores.criteria.items() if m.labelled})
    rows = []
    for criterion in criteria:
        own = first.scores.criteria.get(criterion)
        others = [_f1(one.scores.criteria.get(criterion)) for one in judgements.values()]
        detail = (own.labelled, own.found, own.precision, own.recall) if own else ("–", "–", "–", "–")
        rows.append((criterion, *detail, *others))
    head = ("criterion", "labels", "findings", "precision", "recall", *(f"F1: {name}" for name in judgements))
    return f"## By criterion\n\nLabels, findings, precision and recall are of {first.system}.\n\n{table(head, rows)}"


def _f1(measures: Measures | None) -> str:
    return f"{measures.f1.value:.2f}" if measures else "–"
