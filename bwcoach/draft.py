"""Text as the writer gave it, and places in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import sentencex

from bwcoach.errors import DraftError

MOST_CHARACTERS = 1_000_000
MOST_WORDS = 120_000
_WORD = re.compile(r"\S+")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, order=True)
class Span:
    """A half-open run of code points of a draft's text."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def overlap(self, other: Span) -> int:
        """How many code points both cover."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def quote(self, text: str) -> str:
        return text[self.start : self.end]


@dataclass(frozen=True)
class Passage:
    """Stretches of a draft that a model reads at once, and the part of them that it answers for.

    The pieces of a window are one run of whole sentences; those of an outline are several, read as paragraphs.
    """

    pieces: tuple[Span, ...]
    core: Span

    SEAM = "\n\n"

    def text(self, draft: Draft) -> str:
        return self.SEAM.join(piece.quote(draft.text) for piece in self.pieces)

    def locate(self, offset: int) -> int:
        """Where in the draft an offset of `text` lies; one inside a seam belongs to the piece before it."""
        for piece in self.pieces:
            if offset <= len(piece):
                return piece.start + offset
            offset = max(0, offset - len(piece) - len(self.SEAM))
        return self.pieces[-1].end


@dataclass(frozen=True)
class Draft:
    """A text exactly as it was given: never trimmed, padded or normalised."""

    text: str
    path: str | None = None

    def check(self) -> None:
        """Refuse what no coach can read: nothing, a single word, far too much, or what is not prose at all."""
        place = self.path or "The draft"
        if not self.text.strip():
            raise DraftError(f"{place} is empty; paste or open at least a sentence.")
        if len(self.text) > MOST_CHARACTERS:
            raise DraftError(
                f"{place} has {len(self.text):,} characters; up to {MOST_CHARACTERS:,} are read at once. "
                "Check it chapter by chapter."
            )
        if self.word_count < 2:
            raise DraftError(f"{place} is a single word; a coach needs at least a sentence.")
        if self.word_count > MOST_WORDS:
            raise DraftError(
                f"{place} has {self.word_count:,} words; up to {MOST_WORDS:,} are read at once. "
                "Check it chapter by chapter."
            )
        if len(_LETTER.findall(self.text)) * 4 < len(self.text.replace(" ", "")):
            raise DraftError(f"{place} is hardly made of letters; the coach reads prose, not data or code.")

    @cached_property
    def word_count(self) -> int:
        return len(self.text.split())

    @cached_property
    def sentences(self) -> tuple[Span, ...]:
        """Sentences in order, blanks at their ends left out; a very long one without any stop stays whole."""
        spans, start = [], 0
        for part in sentencex.segment("en", _one_unit_a_character(self.text)):
            end = start + len(part)
            bare = part.strip()
            if bare:
                first = start + part.index(bare)
                spans.append(Span(first, first + len(bare)))
            start = end
        return tuple(spans)

    @cached_property
    def paragraphs(self) -> tuple[tuple[Span, ...], ...]:
        """Sentences grouped by the blank lines, or in a text without any by the line ends, between them."""
        seam = re.compile(r"\n[^\S\n]*\n" if re.search(r"\n[^\S\n]*\n", self.text.strip()) else r"\n")
        groups: list[list[Span]] = []
        for sentence in self.sentences:
            if groups and not seam.search(self.text, groups[-1][-1].end, sentence.start):
                groups[-1].append(sentence)
            else:
                groups.append([sentence])
        return tuple(tuple(group) for group in groups)

    def windows(self, count: Callable[[str], int], limit: int, context: int) -> tuple[Passage, ...]:
        """Passages of at most `limit` tokens, as `count` counts them, whose cores tile the whole text.

        Each window begins with up to `context` tokens of the sentences before its core, and a core ends at a
        paragraph's end where one lies in its second half. A sentence longer than a core is cut between words.
        """
        units = [
            (unit, count(unit.quote(self.text)))
            for sentence in self.sentences
            for unit in _cut(self.text, sentence, count, limit - context)
        ]
        starts_paragraph = {group[0].start for group in self.paragraphs}
        windows: list[Passage] = []
        first, core_start = 0, 0
        while first < len(units):
            last, used = first, 0
            best = None
            while last < len(units) and used + units[last][1] + 1 <= limit - context:
                used += units[last][1] + 1
                last += 1
                if last < len(units) and units[last][0].start in starts_paragraph and used * 2 >= limit - context:
                    best = last
            last = max(last, first + 1)
            if best is not None and last < len(units):
                last = best
            before, tokens = first, 0
            while before > 0 and tokens + units[before - 1][1] + 1 <= context:
                before -= 1
                tokens += units[before][1] + 1
            core_end = units[last][0].start if last < len(units) else len(self.text)
            piece = Span(units[before][0].start, units[last - 1][0].end)
            windows.append(Passage((piece,), Span(core_start, core_end)))
            first, core_start = last, core_end
        return tuple(windows)

    def outline(self, count: Callable[[str], int], limit: int) -> Passage:
        """The whole draft where `limit` tokens hold it, else what carries its argument: the first and the last
        paragraph and the first sentence of the others, from the ends inwards as far as they fit."""
        whole = Span(self.sentences[0].start, self.sentences[-1].end)
        core = Span(0, len(self.text))
        if count(whole.quote(self.text)) <= limit:
            return Passage((whole,), core)
        groups = self.paragraphs
        chosen: list[Span] = []
        wanted = [*groups[0], *reversed(groups[-1]), *(group[0] for group in groups[1:-1])]
        left = limit
        for sentence in dict.fromkeys(wanted):
            cost = count(sentence.quote(self.text)) + 3
            if cost <= left:
                chosen.append(sentence)
                left -= cost
        if not chosen:
            chosen = [_cut(self.text, groups[0][0], count, limit)[0]]
        pieces: list[Span] = []
        for sentence in sorted(chosen):
            between = self.text[pieces[-1].end : sentence.start] if pieces else "x"
            if not between.strip():
                pieces[-1] = Span(pieces[-1].start, sentence.end)
            else:
                pieces.append(sentence)
        return Passage(tuple(pieces), core)


def _one_unit_a_character(text: str) -> str:
    """The text with what the sentence splitter cannot take put as other characters, one for one."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _cut(text: str, sentence: Span, count: Callable[[str], int], limit: int) -> tuple[Span, ...]:
    """The sentence itself, or, where it is over the limit, runs of its words (or of its characters) that are not."""
    if len(sentence) <= limit or count(sentence.quote(text)) <= limit:
        return (sentence,)
    # A token is at least a byte, so `limit // 4` characters of any script always fit.
    most = max(1, limit // 4)
    parts: list[Span] = []
    start = sentence.start
    for word in _WORD.finditer(text, sentence.start, sentence.end):
        if word.end() - start > most and word.start() > start:
            parts.append(Span(start, word.start()))
            start = word.start()
        while word.end() - start > most:
            parts.append(Span(start, start + most))
            start += most
    if start < sentence.end:
        parts.append(Span(start, sentence.end))
    return tuple(parts)
