"""The evaluation stage: real systems on drafts made of the rubrics' own examples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from bwcoach.coach import diagnosis, load_coach
from bwcoach.diagnosis import Finding
from bwcoach.draft import Draft, Span
from bwcoach.errors import ExamplesError, StageError
from bwcoach.models import CARD_FILE, card_for
from bwcoach.rubric import Rubric, builtin_rubrics, load_rubric
from tests.tiny import tiny
from tests.tiny_coach import tiny_model
from training.baselines import LinearTagger
from training.corpus import Document, split_of
from training.evaluate import PROMPTED, SHIPPED, TUNED, evaluate, evaluate_systems, systems_of
from training.evaluation_report import drafts_table
from training.evaluation_sets import MarkedDraft, SentencePair, read_marked_drafts, read_pairs, sample_examples
from training.examples import Example, Provenance, write_examples
from training.judgement import Judge
from training.perplexity import perplexity
from training.predictions import Question, predict
from training.recipe import EvaluateRecipe, Recipe
from training.shards import write_shards
from training.systems import Answer, CoachSystem, FormSystem
from training.thresholds import LEAST_CONFIDENCE, Thresholds
from training.tokenizer import SENTENCEPIECE_FILE

RUBRICS = {name: load_rubric(name) for name in builtin_rubrics()}
SCIENCE = RUBRICS["scientific-paper"]


def weak_examples() -> Iterator[Example]:
    """Each weak example of each rubric, and after it the same text mended."""
    origin = Provenance("rubrics", "MIT", "rubrics")
    for rubric in RUBRICS.values():
        for criterion in rubric.criteria:
            for number, weak in enumerate(criterion.weak):
                place = Finding(Span(weak.start, weak.end), criterion.id, fix=weak.better)
                name, whole = f"{rubric.name}/{criterion.id}/{number}", criterion.scope == "draft"
                example = Example(name, rubric.name, weak.text, (place,), origin, whole)
                yield example
                yield replace(example, id=f"{name}/mended", text=example.repaired(), findings=())


def drafts() -> tuple[MarkedDraft, ...]:
    """Two weak examples a draft, a paragraph each, two drafts a rubric, with the repaired version."""
    made = []
    for rubric in RUBRICS.values():
        short = sorted((c for c in rubric.criteria if c.scope == "passage"), key=lambda c: len(c.weak[0].text))
        for number in range(2):
            text, revised, labels = "", "", []
            for criterion in short[number:4:2]:
                weak = criterion.weak[0]
                labels.append(Finding(Span(len(text) + weak.start, len(text) + weak.end), criterion.id))
                text += weak.text + "\n\n"
                revised += weak.text[: weak.start] + (weak.better or "") + weak.text[weak.end :] + "\n\n"
            made.append(MarkedDraft(f"{rubric.name}-{number}", rubric.name, text, tuple(labels), revised))
    return tuple(made)


def write_drafts(path: Path) -> Path:
    rows = [
        {
            "id": draft.id, "rubric": draft.rubric, "text": draft.text, "revised": draft.revised,
            "labels": [{"start": f.span.start, "end": f.span.end, "criterion": f.criterion} for f in draft.labels],
        }
        for draft in drafts()
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe whose run folder holds examples and nothing else, and whose public sets are not there."""
    monkeypatch.chdir(tmp_path)
    made = Recipe(name="test", evaluate=EvaluateRecipe(
        drafts=write_drafts(tmp_path / "drafts.jsonl"), edits=tmp_path / "edits.jsonl", pairs=tmp_path / "pairs.jsonl",
        extents=(0.5,), folds=3, resamples=100, most_examples=5, most_fixes=4, prompted=False,
    ))  # fmt: skip
    write_examples(weak_examples(), made.folder / "data" / "train.jsonl")
    kept = list(weak_examples())[:20]
    held_out = [replace(e, provenance=replace(e.provenance, unseen=True)) for e in kept[:10]]
    elsewhere = replace(kept[0], id="elsewhere", rubric="creative-writing", findings=())
    write_examples([*held_out, *kept[10:], elsewhere], made.folder / "data" / "dev.jsonl")
    return made


@dataclass
class Listed:
    """A system that marks a listed word, and counts how often it is asked."""

    word: str
    fingerprint: str = "one"
    name: str = "listed"
    extents: tuple[float, ...] = (0.5,)
    asked: list[str] = field(default_factory=list)
    prepared: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        self.asked.append(text)
        start = text.find(self.word)
        return Answer((Finding(Span(start, start + len(self.word)), rubric.ids[0], 0.8),) if start >= 0 else (), 1)


QUESTIONS = [Question(str(n), SCIENCE, text, 0.5) for n, text in enumerate(("a word here", "none", "another word"))]


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    first, again = Listed("word"), Listed("word")
    answers = predict(first, QUESTIONS, tmp_path / "kept.jsonl")
    assert predict(again, QUESTIONS, tmp_path / "kept.jsonl") == tuple(
        replace(answer, seconds=round(answer.seconds, 4)) for answer in answers
    )
    assert (len(first.asked), again.asked, again.prepared) == (3, [], 0)


def test_another_state_of_the_system_is_asked_anew(tmp_path: Path) -> None:
    predict(Listed("word"), QUESTIONS, tmp_path / "kept.jsonl")
    changed = Listed("none", fingerprint="two")
    assert [len(answer.findings) for answer in predict(changed, QUESTIONS, tmp_path / "kept.jsonl")] == [0, 1, 0]


def test_a_run_that_was_killed_in_a_line_asks_for_that_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    whole = predict(Listed("word"), QUESTIONS, file)
    file.write_text(file.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    again = Listed("word")
    assert [a.findings for a in predict(again, QUESTIONS, file)] == [a.findings for a in whole]
    assert again.asked == ["another word"]
    assert predict(Listed("word"), QUESTIONS, file)[2].findings == whole[2].findings


def test_scored_and_shipped_are_one_path() -> None:
    """What the evaluation shows under thresholds is what a card with these thresholds shows."""
    coach = load_coach(str(tiny_model()))
    system = CoachSystem(TUNED, coach.card, lambda: coach, True, (0.5,))
    for draft in drafts():
        rubric = RUBRICS[draft.rubric]
        considered = system.find(draft.text, rubric, 0.6).findings
        sure = sorted(f.confidence or 0.0 for f in considered)
        levels = {c: sure[len(sure) * (n % 5) // 5] for n, c in enumerate(rubric.ids)}
        shown = Thresholds(levels, 0.5, 0.6).shown(considered)
        card = coach.card.model_copy(update={"thresholds": levels, "extent": 0.6})
        assert 0 < len(shown) < len(considered)
        assert shown == diagnosis(Draft(draft.text), rubric, replace(coach, card=card)).findings
        assert min(sure) >= LEAST_CONFIDENCE


def test_another_extent_of_the_same_text_is_grown_from_the_same_reading() -> None:
    """And another text, or the base instead of the tuned model, is read anew."""
    coach = load_coach(str(tiny_model()))
    tuned, base = (CoachSystem("x", coach.card, lambda: coach, on, (0.2, 0.9)) for on in (True, False))
    one, other = drafts()[:2]
    assert one.rubric == other.rubric
    rubric = RUBRICS[one.rubric]
    for system, draft, extent in ((tuned, one, 0.2), (tuned, one, 0.9), (tuned, other, 0.9), (base, other, 0.9)):
        card = coach.card.model_copy(
            update={"extent": extent, "thresholds": dict.fromkeys(rubric.ids, LEAST_CONFIDENCE)}
        )
        fresh = diagnosis(Draft(draft.text), rubric, replace(coach, card=card), tuned=system.tuned)
        assert system.find(draft.text, rubric, extent).findings == fresh.findings


def test_the_fingerprint_tells_base_from_tuned_and_ignores_thresholds() -> None:
    card = card_for(str(tiny_model()))
    tuned, base = (CoachSystem("x", card, lambda: load_coach(str(tiny_model())), on, (0.5,)) for on in (True, False))
    fitted = card.model_copy(update={"thresholds": {"mechanics": 0.9}, "precision": 0.5})
    assert tuned.fingerprint != base.fingerprint
    assert tuned.fingerprint == replace(tuned, card=fitted).fingerprint


def test_a_linear_tagger_finds_again_what_it_was_taught() -> None:
    taught = [example for example in weak_examples() if example.rubric == "scientific-paper"]
    tagger = LinearTagger(lambda: taught, RUBRICS, extents=(0.5,))
    marked = [
        MarkedDraft(e.id, e.rubric, e.text, e.findings, e.repaired(), e.whole) for e in taught if e.findings
    ]
    judged = evaluate_systems([tagger], marked)[0].judgement
    assert judged.scores.micro.f1.value > 0.8
    assert judged.found_in_repairs is not None
    assert judged.found_in_repairs.value < judged.found_in_drafts.value / 2


def test_a_linear_tagger_knows_nothing_of_a_criterion_without_examples() -> None:
    taught = [e for e in weak_examples() if {f.criterion for f in e.findings} <= {"wordiness"}]
    tagger = LinearTagger(lambda: taught, RUBRICS)
    texts = [(one.text, one.rubric) for one in taught] + [(one.text, one.rubric) for one in drafts()]
    found = [finding for text, rubric in texts for finding in tagger.find(text, RUBRICS[rubric], 0.5).findings]
    assert {finding.criterion for finding in found} == {"wordiness"}


def test_a_passage_is_not_judged_by_what_only_a_whole_draft_shows(recipe: Recipe) -> None:
    draft = next(d for d in drafts() if d.rubric == "position-paper")
    word = draft.text.split()[0]
    assert RUBRICS["position-paper"].criteria[0].scope == "draft"
    judge = Judge(recipe.evaluate)
    for whole, expected in ((True, 1), (False, 0)):
        marked = replace(draft, whole=whole, labels=(), revised=None)
        assert judge.drafts(Listed(word), [marked]).judgement.scores.micro.found == expected


def test_the_whole_stage(recipe: Recipe) -> None:
    folder = evaluate(recipe, str(tiny_model()))
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert {TUNED, "base under tags", "form matcher", "linear tagger"} <= set(told["judgements"])
    assert set(told["comparisons"]) == set(told["judgements"]) - {TUNED}
    assert told["matching_rule"] in page
    assert told["drafts_origin"] in page
    assert f"`python -m training evaluate test --model {tiny_model()}`" in page
    assert all(str(path) in " ".join(told["missing"]) for path in (recipe.evaluate.edits, recipe.evaluate.pairs))
    assert set(told["examples"]) == {TUNED, "form matcher", "linear tagger"}
    scrutiny = told["scrutiny"]
    assert all(set(scrutiny[key]) == {TUNED, "linear tagger"} for key in ("calibration", "shortcuts", "false_alarms"))
    assert set(scrutiny["shortcuts"][TUNED]) == {"shuffled words", "place alone"}
    assert scrutiny["fixes"]["figures"]["all"]["places"] == recipe.evaluate.most_fixes
    assert set(told["forms"]) == {"seen", "unseen"}
    assert sum(told["forms"][which][TUNED]["scores"]["micro"]["labelled"] for which in ("seen", "unseen")) == sum(
        len(example.labels) for example in sample_examples(recipe.folder / "data" / "dev.jsonl", 5)
    )
    assert set(scrutiny["two_rubrics"]) == {TUNED, "linear tagger"}
    for name in ("scores", "reliability", "shortcuts", "false-alarms", "fixes"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert name == "scores" or f"({name}.png)" in page
    for name in told["judgements"]:
        assert f"| {name} |" in page


def test_a_base_is_prompted_without_and_with_examples() -> None:
    """Both go the page's way; the few-shot one is told more."""
    card = card_for(str(tiny_model()))
    made = Recipe(name="test", evaluate=EvaluateRecipe(shots=2))
    zero, few = (s for s in systems_of(made, str(tiny_model()), card) if s.name in PROMPTED)
    assert isinstance(zero, CoachSystem)
    assert isinstance(few, CoachSystem)
    assert (zero.card.answer, zero.card.shots, few.card.shots) == ("lines", 0, 2)
    assert not zero.tuned
    assert not few.tuned
    criteria = SCIENCE.criteria[:2]
    answer = zero.find("The rate rose. It fell again.", replace(SCIENCE, criteria=criteria), 0.5)
    assert {finding.criterion for finding in answer.findings} <= {criterion.id for criterion in criteria}


def test_edits_and_pairs_are_judged_by_lift_and_by_density(tmp_path: Path) -> None:
    judge, shown = Judge(EvaluateRecipe(), tmp_path), Thresholds({}, 0.5, 0.5)
    draft = MarkedDraft("a", "scientific-paper", "one two three four", (finding_of("two", "one two three"),))
    judged = judge.edits(Listed("two"), [draft], shown)
    assert judged["any criterion"].lift == 4
    assert judged["same criterion"].lift is None
    worse, better = "It was late due to the fact that it rained.", "It was late because it rained."
    pair = SentencePair("p", worse, better, "wordiness")
    concise = judge.pairs(FormSystem(), [pair], shown)["same criterion"]
    assert concise.in_worse.value == pytest.approx(100 / 10)
    assert concise.in_better.value == 0
    assert concise.denser.value == 1


def finding_of(quote: str, text: str) -> Finding:
    return Finding(Span(text.index(quote), text.index(quote) + len(quote)), "wordiness")


def test_only_the_card_of_what_the_recipe_made_gets_its_thresholds(recipe: Recipe) -> None:
    made = recipe.folder / "export"
    shutil.copytree(tiny_model(), made)
    evaluate(recipe, str(made))
    assert card_for(str(made)).thresholds == {}
    folder = evaluate(recipe)
    card = card_for(str(made))
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    fitted = told["judgements"][TUNED]
    assert card.fix_threshold == told["scrutiny"]["fixes"]["threshold"]["shipped"]
    assert set(card.thresholds) == set(card.labels)
    assert card.precision == round(fitted["scores"]["micro"]["precision"]["value"], 3)
    assert yaml.safe_load((made / CARD_FILE).read_text(encoding="utf-8"))["labels"] == card.labels
    again = json.loads((evaluate(recipe, str(made)) / "report.json").read_text(encoding="utf-8"))
    assert not again["judgements"][SHIPPED]["fitted"]


def test_a_recipe_that_made_nothing_says_what_to_run(recipe: Recipe) -> None:
    with pytest.raises(StageError, match="run `train` and `export` first, or name one with --model"):
        evaluate(recipe)


def test_no_drafts_at_all_is_said(recipe: Recipe) -> None:
    recipe.evaluate.drafts.unlink()
    with pytest.raises(StageError, match=r"drafts\.jsonl: no drafts to measure on"):
        evaluate(recipe, str(tiny_model()))


def test_a_quick_look_needs_no_folder() -> None:
    table = drafts_table([one.judgement for one in evaluate_systems([FormSystem()], drafts())])
    assert table.splitlines()[2].startswith("| form matcher |")


def test_the_drafts_in_the_repository_hold_what_their_labels_say() -> None:
    kept = read_marked_drafts(Path(__file__).resolve().parent.parent / EvaluateRecipe().drafts)
    assert len(kept) == 30
    assert all(draft.revised for draft in kept)
    for draft in kept:
        assert {label.criterion for label in draft.labels} <= set(RUBRICS[draft.rubric].ids)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{", "drafts.jsonl:1: not a JSON object"),
        ('{"id": "a", "rubric": "r"}', "drafts.jsonl:1: no text under text"),
        ('{"id": "a", "rubric": "r", "text": "abc", "labels": [{"start": 1}]}', "jsonl:1: `labels` must be a list"),
        (
            '{"id": "a", "rubric": "r", "text": "abc", "labels": [{"start": 1, "end": 9, "criterion": "c"}]}',
            "drafts.jsonl:1: the label 1-9 lies outside its text of 3 characters",
        ),
        (
            '{"id": "a", "rubric": "r", "text": "abc", "labels": []}\n' * 2,
            "drafts.jsonl: the id a stands on more than one row",
        ),
    ],
)
def test_drafts_that_cannot_be_used_are_refused_by_place(row: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "drafts.jsonl").write_text(row, encoding="utf-8")
    with pytest.raises(ExamplesError) as raised:
        read_marked_drafts(tmp_path / "drafts.jsonl")
    assert sentence in str(raised.value)


def test_a_pair_without_its_better_sentence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"id": "a", "worse": "b", "criterion": "c"}\n', encoding="utf-8")
    with pytest.raises(ExamplesError, match=r"pairs\.jsonl:1: no text under better"):
        read_pairs(tmp_path / "pairs.jsonl")


def test_a_sample_does_not_depend_on_the_order_of_the_file(tmp_path: Path) -> None:
    examples = list(weak_examples())
    write_examples(examples, tmp_path / "one.jsonl")
    write_examples(examples[::-1], tmp_path / "other.jsonl")
    sample = sample_examples(tmp_path / "one.jsonl", 12)
    assert len(sample) == 12
    assert sample == sample_examples(tmp_path / "other.jsonl", 12)


def test_perplexity_of_base_and_tuned(tmp_path: Path) -> None:
    """Random weights foretell little, the adapter changes what they foretell, and the two figures agree."""
    made = tiny()
    dev = next(f"work-{n}" for n in range(1000) if split_of(f"work:{n}") == "dev")
    assert dev
    number = dev.removeprefix("work-")
    prose = "\n\n".join(draft.text for draft in drafts())
    document = Document("a", "science", f"work:{number}", "MIT", "", prose)
    corpus = tmp_path / "science.jsonl"
    corpus.write_text(json.dumps({k: v for k, v in vars(document).items() if v is not None}) + "\n", encoding="utf-8")
    write_shards({"science": corpus}, made.base / SENTENCEPIECE_FILE, tmp_path / "shards", ("dev",))
    shutil.copy(made.base / SENTENCEPIECE_FILE, tmp_path / "shards" / SENTENCEPIECE_FILE)
    base, tuned = (perplexity(made.base, adapter, tmp_path / "shards", pages=1) for adapter in (None, made.adapter))
    assert set(base) == {"science", "all"}
    assert base["all"] == base["science"]
    assert base["all"].bits_per_byte != tuned["all"].bits_per_byte
    assert base["all"].bits_per_byte > 1
    assert base["all"].per_token > 100
