"""Rubrics: the built-in ones say what they promise, and a broken one is refused with its line and a way out."""

import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bwcoach.errors import RubricError
from bwcoach.marked_example import read_marked
from bwcoach.rubric import Criterion, MarkedExample, builtin_rubrics, check_rubric, describe, load_rubric
from bwcoach.rubric_check import examine_nodes
from bwcoach.rubric_file import Problem

CRITERIA = {
    "position-paper": (
        "thesis unsupported-claim counterargument overgeneralization loaded-language weak-transition hedging "
        "vague-language wordiness passive-voice informal-tone repetition mechanics"
    ),
    "scientific-paper": (
        "overclaim missing-citation inconsistent-terms undefined-acronym vague-quantity ambiguous-reference "
        "weak-transition tense-shift hedging wordiness informal-tone mechanics"
    ),
    "creative-writing": (
        "telling cliche filter-words repetition monotony dialogue-tags adverb-overuse purple-prose vague-language "
        "passive-voice tense-shift mechanics"
    ),
}

SMALL = """\
name: letters
title: Letters
description: What a reader of letters looks for.
criteria:
  - id: haste
    name: Haste
    description: The letter was written in a hurry.
    span: The hurried words.
    why: A reader feels it.
    question: Could this wait a day?
    hint: Read it aloud tomorrow.
    severity: minor
    scope: passage
    examples:
      weak:
        - "Thanks {{ in adv |for your help}}, and goodbye."
      sound:
        - "Thank you {{once more}}."
"""


def refusal(path: Path, text: str | bytes) -> str:
    """The message with which a rubric of this content is refused, without the folder of the file."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    with pytest.raises(RubricError) as caught:
        load_rubric(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).replace(str(path), "x.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.yaml"


# The built-in rubrics


def test_three_rubrics_are_built_in() -> None:
    assert builtin_rubrics() == ("position-paper", "scientific-paper", "creative-writing")


@pytest.mark.parametrize("name", CRITERIA)
def test_a_built_in_rubric_has_its_criteria_in_order(name: str) -> None:
    rubric = load_rubric(name)
    assert rubric.name == name
    assert rubric.ids == tuple(CRITERIA[name].split())
    assert rubric.sources
    assert rubric.level_names == {4: "Strong", 3: "Sound", 2: "Developing", 1: "Weak"}


@pytest.mark.parametrize("name", CRITERIA)
def test_a_built_in_criterion_is_complete(name: str) -> None:
    for criterion in load_rubric(name).criteria:
        assert len(criterion.weak) >= 3
        assert len(criterion.sound) >= 3
        assert len(criterion.questions) >= 3
        assert len(criterion.hints) >= 3
        assert len(criterion.injection.prompts) >= 2
        assert criterion.injection.rules == ((criterion.id,) if criterion.scope == "passage" else ())
        assert list(criterion.levels) == [4, 3, 2, 1]
        assert all(example.better is not None for example in criterion.weak)
        assert all(example.better is None for example in criterion.sound)


@pytest.mark.parametrize("name", CRITERIA)
def test_a_mark_covers_words_and_no_outer_blanks(name: str) -> None:
    for criterion in load_rubric(name).criteria:
        for example in criterion.weak + criterion.sound:
            marked = example.text[example.start : example.end]
            assert marked
            assert marked == marked.strip()
            assert not re.search(r"[{}]{2}", example.text)


def test_only_thesis_and_counterargument_need_the_whole_draft() -> None:
    criteria = [criterion for name in CRITERIA for criterion in load_rubric(name).criteria]
    assert {criterion.id for criterion in criteria if criterion.scope == "draft"} == {"thesis", "counterargument"}


def test_no_five_words_occur_twice_among_questions_and_hints() -> None:
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in CRITERIA:
        for criterion in load_rubric(name).criteria:
            for text in criterion.questions + criterion.hints:
                words = re.findall(r"[\w'’-]+", text.lower())
                for start in range(len(words) - 4):
                    places[tuple(words[start : start + 5])].append(f"{name} {criterion.id}: {text}")
    assert {" ".join(five): texts for five, texts in places.items() if len(texts) > 1} == {}


@pytest.mark.parametrize("name", CRITERIA)
def test_a_built_in_rubric_needs_more_than_a_users_own(name: str) -> None:
    assert check_rubric(name) == ()
    assert len(examine_small(builtin=True)) > 5
    assert examine_small(builtin=False) == ()


def examine_small(*, builtin: bool, text: str = SMALL) -> tuple[Problem, ...]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    return examine_nodes(root, "rubrics/x.yaml", builtin=builtin)


def test_a_built_in_rubric_gives_three_examples_of_each_kind() -> None:
    said = [str(problem) for problem in examine_small(builtin=True)]
    assert "rubrics/x.yaml:16: criteria[0].examples.weak: the list has 1 entry; write at least 3." in said
    assert "rubrics/x.yaml:18: criteria[0].examples.sound: the list has 1 entry; write at least 3." in said
    assert "rubrics/x.yaml:5: criteria[0].injection: this key is missing; add a line that begins injection:." in said
    assert "rubrics/x.yaml:1: sources: this key is missing; add a line that begins sources:." in said


# A rubric of one's own


def test_a_small_rubric_is_read_in_full(path: Path) -> None:
    path.write_text(SMALL, encoding="utf-8")
    rubric = load_rubric(path)
    assert rubric == load_rubric(str(path))
    assert rubric.criterion("haste") == Criterion(
        id="haste",
        name="Haste",
        description="The letter was written in a hurry.",
        span="The hurried words.",
        not_this=None,
        why="A reader feels it.",
        questions=("Could this wait a day?",),
        hints=("Read it aloud tomorrow.",),
        severity="minor",
        scope="passage",
        levels={},
        weak=(MarkedExample("Thanks  in adv , and goodbye.", 8, 14, "for your help"),),
        sound=(MarkedExample("Thank you once more.", 10, 19, None),),
        injection=rubric.criteria[0].injection,
    )
    assert rubric.criteria[0].injection.prompts == ()
    assert rubric.level_names[4] == "Strong"
    assert rubric.sources == ()


def test_an_unknown_criterion_is_named_with_the_known_ones(path: Path) -> None:
    path.write_text(SMALL, encoding="utf-8")
    with pytest.raises(RubricError, match="no criterion hurry; it has haste"):
        load_rubric(path).criterion("hurry")


def test_the_version_follows_what_is_said_and_not_how_it_is_laid_out(path: Path) -> None:
    def version(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        return load_rubric(path).version

    first = version(SMALL)
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert version("# a remark\n" + SMALL.replace("title: Letters", 'title:   "Letters"')) == first
    assert version(SMALL.replace("A reader feels it.", "A reader sees it.")) != first


def test_a_few_aliases_are_welcome(path: Path) -> None:
    path.write_text(SMALL.replace("name: Haste", "name: &name Haste").replace("why: A reader feels it.", "why: *name"))
    assert load_rubric(path).criteria[0].why == "Haste"


def test_a_deleted_phrase_has_an_empty_better_reading() -> None:
    assert read_marked("It {{really|}} works.") == MarkedExample("It really works.", 3, 9, "")


@given(st.text("ab {}|", max_size=20))
def test_a_marked_example_is_read_or_refused(written: str) -> None:
    try:
        example = read_marked(written)
    except ValueError:
        return
    marked = example.text[example.start : example.end]
    assert marked
    assert marked == marked.strip()
    assert written.replace(" ", "").count(marked.replace(" ", "")) >= 1


def test_describe_shows_every_criterion_and_one_mark_of_each_kind() -> None:
    rubric = load_rubric("position-paper")
    shown = describe(rubric)
    assert shown.startswith(f"Position paper (position-paper, version {rubric.version})\n")
    assert shown.count("[[") == shown.count("]]") == 2 * len(rubric.criteria)
    flat = " ".join(shown.split())
    for criterion in rubric.criteria:
        assert f"{criterion.name} ({criterion.id}; {criterion.scope}, {criterion.severity})" in flat
        for said in (criterion.description, criterion.span, criterion.why, *criterion.levels.values()):
            assert said in flat
    places = [flat.index(f"({id};") for id in rubric.ids]
    assert all(before < after for before, after in pairwise(places))
    assert "https://www.aacu.org/value/rubrics/written-communication" in shown


def test_describe_does_without_what_a_rubric_leaves_out(path: Path) -> None:
    path.write_text(SMALL, encoding="utf-8")
    shown = describe(load_rubric(path))
    assert "Thanks [[in adv]] , and goodbye." in " ".join(shown.split())
    assert "Sources" not in shown
    assert "None" not in shown


# What is refused: each line is replaced by another, and the message is the whole answer.

MENDABLE = [
    ("severity: minor", "severity: high", "12: criteria[0].severity: 'high' is not a severity; use minor or major."),
    (
        "severity: minor", "severity: [minor]",
        "12: criteria[0].severity: this is a list, not a severity; use minor or major.",
    ),
    ("scope: passage", "scope: page", "13: criteria[0].scope: 'page' is not a scope; use passage or draft."),
    ("title: Letters", "title: no", '2: title: YAML reads no as true or false, not as a text; put it in quotes: "no".'),
    ("title: Letters", "title: On", '2: title: YAML reads On as true or false, not as a text; put it in quotes: "On".'),
    (
        "title: Letters", "title: 1984",
        '2: title: YAML reads 1984 as a number, not as a text; put it in quotes: "1984".',
    ),
    (
        "title: Letters", "title: 2024-01-01",
        '2: title: YAML reads 2024-01-01 as a date, not as a text; put it in quotes: "2024-01-01".',
    ),
    ("title: Letters", "title:", "2: title: this text is empty; write it, or leave the key out if it is optional."),
    ("title: Letters", 'title: " "', "2: title: this text is empty; write it, or leave the key out if it is optional."),
    (
        "title: Letters", "title: [a]",
        "2: title: this is a list, not a text; write one text, in quotes if it begins with { or [.",
    ),
    ("title: Letters", 'title: "a\\0b"', "2: title: this text holds the character U+0000; take it out."),
    ("title: Letters", 'title: "\\ud800"', "2: title: this text holds the character U+D800; take it out."),
    ("title: Letters\n", "", "1: title: this key is missing; add a line that begins title:."),
    (
        "title: Letters", "title: Letters\ntitle: Notes",
        "3: title: this key stands in line 2 already; keep one of the two.",
    ),
    (
        "name: letters", "name: My Letters",
        "1: name: 'My Letters' is not an id; use lower-case words joined by hyphens, such as loose-end.",
    ),
    (
        "id: haste", "id: Haste_1",
        "5: criteria[0].id: 'Haste_1' is not an id; use lower-case words joined by hyphens, such as loose-end.",
    ),
    (
        "why: A reader feels it.", f"why: {'a' * 2001}",
        "9: criteria[0].why: this text has 2,001 characters; keep to 2,000 at most.",
    ),
    (
        '"Thank you {{once more}}."', f'"{{{{Thank}}}} {"you" * 2000}"',
        "18: criteria[0].examples.sound[0]: this text has 6,010 characters; keep to 6,000 at most.",
    ),
    (
        "question: Could this wait a day?", "question: {a: b}",
        "10: criteria[0].question: this is a mapping, not a text; write one text, in quotes if it begins with { or [.",
    ),
    (
        "question: Could this wait a day?", "question: []",
        "10: criteria[0].question: the list has no entries; write at least 1.",
    ),
    (
        "hint: Read it aloud tomorrow.", "hint: [Read it., yes]",
        '11: criteria[0].hint[1]: YAML reads yes as true or false, not as a text; put it in quotes: "yes".',
    ),
    (
        '"Thank you {{once more}}."', '"Thank you."',
        "18: criteria[0].examples.sound[0]: nothing is marked; put {{ and }} round the words it is about.",
    ),
    (
        '"Thank you {{once more}}."', '"Thank {{you}} {{once more}}."',
        "18: criteria[0].examples.sound[0]: 2 places are marked; mark one, and make another example of each "
        "other place.",
    ),
    (
        '"Thank you {{once more}}."', '"Thank you {{ }}."',
        "18: criteria[0].examples.sound[0]: the mark is empty; put {{ and }} round the words it is about.",
    ),
    (
        '"Thank you {{once more}}."', '"Thank you {{once|}} more."',
        "18: criteria[0].examples.sound[0]: a sound example has nothing to make better; take the bar, and what follows "
        "it, out of the mark.",
    ),
    (
        "{{ in adv |for your help}}", "{{in adv}}",
        "16: criteria[0].examples.weak[0]: the mark has no better reading; write {{worse|better}}, with nothing "
        "after the bar where the words should simply go.",
    ),
    (
        "{{ in adv |for your help}}", "{{in adv|for your help",
        "16: criteria[0].examples.weak[0]: a mark is malformed; begin it with {{ and end it with }}, with no "
        "brace and at most one bar inside.",
    ),
    (
        "{{ in adv |for your help}}", "{{in|adv|for your help}}",
        "16: criteria[0].examples.weak[0]: a mark is malformed; begin it with {{ and end it with }}, with no "
        "brace and at most one bar inside.",
    ),
    (
        "    examples:", "    injection: {prompts: ['Make {it} worse.']}\n    examples:",
        "14: criteria[0].injection.prompts[0]: this prompt holds a brace; say it in words, without { and }.",
    ),
    (
        "criteria:", "sources: [{title: A, url: 'javascript:alert(1)'}]\ncriteria:",
        "4: sources[0].url: 'javascript:alert(1)' is not a web address; begin it with https://.",
    ),
    (
        "criteria:", "levels: {4: Good, 3: Fair, 2: Poor}\ncriteria:",
        "4: levels.1: this key is missing; add a line that begins 1:.",
    ),
    (
        "    examples:", "    why: again\n    examples:",
        "14: criteria[0].why: this key stands in line 9 already; keep one of the two.",
    ),
    (
        "      weak:", "      {a: b}: c\n      weak:",
        "15: criteria[0].examples: a mapping stands here as a key; put a text that begins so in quotes.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "said"), MENDABLE, ids=[said.split(";")[0][:60] for *_, said in MENDABLE])
def test_one_slip_gets_its_line_and_a_way_out(path: Path, right: str, wrong: str, said: str) -> None:
    assert SMALL.count(right) == 1
    assert refusal(path, SMALL.replace(right, wrong)) == f"x.yaml:{said}"


def test_an_unknown_key_gets_the_nearest_known_one(path: Path) -> None:
    said = refusal(path, SMALL.replace("    why: A", "    sevrity: major\n    why: A"))
    assert said.startswith("x.yaml:9: criteria[0].sevrity: 'sevrity' is not a key here; did you mean severity? ")
    said = refusal(path, SMALL + "zzz: 1\n")
    assert said == (
        "x.yaml:19: zzz: 'zzz' is not a key here; the keys are name, title, description, criteria, sources, levels."
    )


def test_all_problems_come_at_once_in_the_order_of_their_lines(path: Path) -> None:
    text = SMALL.replace("minor", "high").replace("name: letters", "name: Letters").replace("{{once more}}", "once")
    assert [line.split(":")[1] for line in refusal(path, text).splitlines()] == ["1", "12", "18"]
    assert [(problem.line, problem.key) for problem in check_rubric(path)] == [
        (1, "name"), (12, "criteria[0].severity"), (18, "criteria[0].examples.sound[0]"),
    ]  # fmt: skip


def test_a_flood_of_problems_is_counted(path: Path) -> None:
    said = refusal(path, SMALL + "".join(f"key{number}: 1\n" for number in range(30)))
    assert len(said.splitlines()) == 21
    assert said.endswith("\n... and 10 problems more.")


CRITERION = SMALL[SMALL.index("  - id") :]


def test_two_criteria_of_one_id_are_refused(path: Path) -> None:
    said = refusal(path, SMALL + CRITERION)
    assert said == (
        "x.yaml:19: criteria[1].id: 'haste' is the id of criteria[0] in line 5 already; give each criterion an "
        "id of its own."
    )


def test_a_rubric_without_criteria_is_refused(path: Path) -> None:
    said = refusal(path, SMALL.replace(CRITERION, "  []\n"))
    assert said == "x.yaml:5: criteria: the list has no entries; write at least 1."


def test_more_than_forty_criteria_are_refused(path: Path) -> None:
    many = "".join(CRITERION.replace("id: haste", f"id: haste-{number}") for number in range(41))
    assert refusal(path, SMALL.replace(CRITERION, many)) == (
        "x.yaml:5: criteria: the list has 41 entries; keep to 40 at most."
    )
    path.write_text(SMALL.replace(CRITERION, many[: many.rindex("  - id")]))
    assert len(load_rubric(path).criteria) == 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "x.yaml: the file is empty; begin it with name, title and criteria"),
        (b"# nothing but a remark\n", "x.yaml: the file is empty; begin it with name, title and criteria"),
        (b"just words", "x.yaml:1: this is a text, not a mapping; write the keys name, title"),
        (b"- a\n- b", "x.yaml:1: this is a list, not a mapping; write the keys name, title"),
        (
            b"name: a\ntitle: b: c",
            "x.yaml:2: not YAML: mapping values are not allowed here; put a text in quotes where",
        ),
        (b"name: a\n\ttitle: b", "x.yaml:2: not YAML: "),
        (b"title: 'open", "x.yaml:1: not YAML: found unexpected end of stream; put a text in quotes"),
        (b"- {{worse|better}} reading", "x.yaml:1: not YAML: expected <block end>"),
        (b'title: "\\UFFFFFFFF"', "x.yaml: not YAML: "),
        (b"name: a\n---\nname: b", "x.yaml:2: not YAML: expected a single document"),
        (b"- &a 1\n- &a 2", "x.yaml:2: not YAML: found duplicate anchor"),
        (b"name: a\nb\x00: c", "x.yaml:2: the character U+0000 stands here; take it out."),
        (b"name: a\n\ntitle: \xe9t\xe9", "x.yaml:3: byte 0xe9 is not UTF-8; save the file as UTF-8 text."),
        (
            b"name: !!python/object/apply:os.system [ls]",
            "x.yaml:1: the tag !!python/object/apply:os.system is refused; use",
        ),
        (b"name: !mine a", "x.yaml:1: the tag !mine is refused; use plain texts, lists and mappings."),
        (b"name: *nobody", "x.yaml:1: *nobody names nothing that ends above it; write the text out."),
        (b"name: &a [*a]", "x.yaml:1: *a names nothing that ends above it; write the text out."),
        (b"name: " + b"[" * 200, "x.yaml:1: lists and mappings lie more than 12 deep; a rubric needs 5."),
        (b"name: &a b\ntitle:\n" + b"  - *a\n" * 65, "x.yaml:67: more than 64 aliases are used; write"),
        (b"# " + b"x" * 600_000, "x.yaml: the file is larger than 512 KB; keep to one rubric a file."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(path: Path, content: bytes, said: str) -> None:
    assert refusal(path, content).startswith(said)


def test_an_alias_bomb_is_refused_before_it_is_built(path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 6)}]\n" for level in range(1, 10)
    )
    assert refusal(path, bomb) == (
        "x.yaml:6: the file holds more than 20,000 values once its aliases are written out; keep one rubric a file, "
        "and use fewer aliases."
    )


def test_nothing_in_a_file_is_run(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    refusal(path, f"name: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{trace}']]")
    assert not trace.exists()


@pytest.mark.parametrize("name", ["letters", "position_paper", "no/such.yaml", ".", "\0", "a" * 5000, ""])
def test_a_rubric_that_is_not_there_names_the_built_in_ones(name: str) -> None:
    with pytest.raises(RubricError, match="position-paper, scientific-paper, creative-writing") as caught:
        load_rubric(name)
    assert [str(problem) for problem in check_rubric(name)] == [str(caught.value)]


def test_a_missing_file_a_folder_and_an_unknown_name_differ(tmp_path: Path) -> None:
    assert str(check_rubric(tmp_path / "x.yaml")[0]).startswith(f"{tmp_path}/x.yaml: there is no such file; the")
    assert str(check_rubric(tmp_path)[0]).startswith(f"{tmp_path}: this is a folder; give the path of a .yaml file")
    assert str(check_rubric("letters")[0]).startswith("letters: there is no rubric of this name; the built-in")


def test_a_byte_order_mark_and_windows_line_ends_are_fine(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load_rubric(path).ids == ("haste",)


@given(st.binary(max_size=400))
def test_random_bytes_are_a_rubric_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_bytes(data)
    with pytest.raises(RubricError):
        load_rubric(path)


yaml_values = st.recursive(
    st.sampled_from(["a", "no", "12", "''", "'{{a|b}}'", "'{{a}}'", "&x a", "*x", "!t a", "~", "'\\'", '"\\ud800"']),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda entries: f"[{', '.join(entries)}]"),
        st.dictionaries(st.sampled_from(["id", "weak", "title", "4", "zz", "? [a]"]), inner, max_size=3).map(
            lambda fields: "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"
        ),
    ),
)
LINES = SMALL.splitlines()


@given(st.integers(0, len(LINES) - 1), yaml_values)
def test_any_value_in_any_place_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, line: int, value: str
) -> None:
    head, colon, _ = LINES[line].partition(":") if ":" in LINES[line] else (LINES[line].partition("-")[0], "-", "")
    path = tmp_path_factory.getbasetemp() / "value.yaml"
    path.write_text("\n".join([*LINES[:line], f"{head}{colon} {value}", *LINES[line + 1 :]]), encoding="utf-8")
    problems = check_rubric(path)
    if problems:
        with pytest.raises(RubricError):
            load_rubric(path)
        assert all(str(problem).endswith(".") and problem.what and problem.fix for problem in problems)
    else:
        assert load_rubric(path).criteria
