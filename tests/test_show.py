"""What a person sees of the data before it teaches: the right places, everything escaped, no colour where none goes."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bwcoach.diagnosis import Finding
from bwcoach.draft import Span
from bwcoach.errors import ExamplesError
from training.__main__ import main
from training.examples import Example, Provenance, write_examples
from training.show import as_text, sampled, write_html

ORIGIN = Provenance("paper <1>", "CC0", "rules", ("rules",), ("wordiness/due to the fact that",))


def example(number: int, text: str, *findings: tuple[str, str, str | None]) -> Example:
    placed = tuple(
        Finding(Span(text.index(quote), text.index(quote) + len(quote)), criterion, fix=fix)
        for criterion, quote, fix in findings
    )
    return Example(f"e{number}", "position-paper", text, placed, ORIGIN)


WORDY = example(0, "It failed due to the fact that <b>it</b> rained.", ("wordiness", "due to the fact that", "because"))
BOTH = example(
    1, "They kinda tried very hard, due to the fact that they cared.",
    ("informal-tone", "kinda", ""), ("wordiness", "due to the fact that", None),
)  # fmt: skip
GOOD = example(2, "Rain fell on Rome.")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    many = [example(10 + n, f"{n} fell due to the fact that it rained.", ("wordiness", "due to the fact that", "as"))
            for n in range(40)]  # fmt: skip
    write_examples([WORDY, BOTH, GOOD, *many], tmp_path / "train.jsonl")
    return tmp_path


def test_weak_words_stand_beside_what_stood_there(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(data), "--criterion", "informal-tone"]) == 0
    out = capsys.readouterr().out
    assert "They [[informal-tone: kinda => (cut)]] tried very hard, [[wordiness: due to the fact that]] they" in out
    assert "e1 | position-paper | paper <1> (CC0)" in out
    assert "\033" not in out, "no colour where nobody's terminal reads"


def test_the_sample_is_random_of_the_size_asked_for_and_repeatable(data: Path) -> None:
    file = data / "train.jsonl"
    first, again, other = (sampled(file, "wordiness", 4, seed)["wordiness"] for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == len({e.id for e in first}) == 4
    assert sampled(file, None, 4, 1)["wordiness"] == first
    assert [len(found) for found in sampled(file, None, 100, 1).values()] == [1, 42]


def test_colour_goes_round_the_marks_alone() -> None:
    (block,) = as_text({"wordiness": (WORDY,)}, colour=True)
    (plain,) = as_text({"wordiness": (WORDY,)}, colour=False)
    assert re.sub(r"\033\[\d+m", "", block) == plain
    assert re.search(r"failed \033\[\d+m\[\[wordiness: due to the fact that => because\]\]\033\[0m <b>", block)


def test_a_text_cannot_steer_the_terminal() -> None:
    nasty = example(3, "A \033[2J\x9b due\x07 to it.", ("wordiness", "due\x07 to", "by"))
    (block,) = as_text({"wordiness": (nasty,)}, False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", block)


def test_findings_that_overlap_are_one_place() -> None:
    both = example(4, "It is very very wordy.", ("wordiness", "very very", "so"), ("repetition", "very wordy", None))
    (block,) = as_text({"wordiness": (both,)}, False)
    assert "It is [[wordiness+repetition: very very wordy]]." in block


class Page(HTMLParser):
    """The sections, and the text and the marked words in each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sections: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "onclick", "onload"}
        if tag == "section":
            self.sections.append(str(dict(attrs)["id"]))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_a_section_a_criterion_and_escapes_all_text(data: Path) -> None:
    nasty = example(5, "He <script>alert(1)</script> & \"went\" due to it.", ("wordiness", "due to", "<i>by</i>"))
    write_html({"informal-tone": (BOTH,), "wordiness": (nasty, WORDY)}, data / "pages" / "show.html", "<data>")
    page = Page((data / "pages" / "show.html").read_text(encoding="utf-8"))
    assert page.sections == ["informal-tone", "wordiness"]
    assert not {"script", "i", "b", "link", "img"} & set(page.tags)
    assert '<script>alert(1)</script> & "went" due to' in page.text
    assert "<i>by</i>" in page.text
    assert page.tags.count("mark") == 4
    assert page.tags.count("ins") == 3


def test_the_page_is_written_by_the_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = data / "page.html"
    assert main(["show", str(data / "train.jsonl"), "--html", str(file), "--count", "3"]) == 0
    assert capsys.readouterr().out.strip() == str(file)
    page = file.read_text(encoding="utf-8")
    assert page.count("<article>") == 1 + 3
    assert "prefers-color-scheme: dark" in page


def test_what_is_missing_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match="no example has a finding of cliche; there are informal-tone, wordiness"):
        sampled(data / "train.jsonl", "cliche", 3, 0)
    assert main(["show", str(tmp_path / "nowhere")]) == 2
