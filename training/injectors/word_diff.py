"""What changed between two versions of a text, word by word, as one place with exact offsets in both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from bwcoach.draft import Draft, Span
from training.injectors.edit import fix_for

# A word with its inner apostrophes and hyphens, a number with its inner stops, a run of one stop, or another sign.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)+|\w+(?:[’'‐‑-]\w+)*|([.!?-])\1*|\S")
_WORD = re.compile(r"\w")
# Typographic variants that models put for one another without being asked.
_FOLDED = str.maketrans(
    {**dict.fromkeys("’‘", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("–—‐‑", "-"), "…": "..."}
)
# Two changes with at most so many unchanged words between them are one place, and so are those that lie in a stretch
# of which, for one word that changed, no more than so many did not.
_NEAR = 3
_MOST_KEPT = 1.5
_DASHES = re.compile("^-+$")
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Change:
    """`replacement` in the place of `span` of the old text gives the new one; `mark` lies in the replacement.

    `fix` in the place of the mark gives the old text again (where it is empty, up to one blank). `words` is how many
    words the change touches: those that went or those that came, whichever are more. `is_cut` tells words that only
    went: the mark then covers the words beside the gap.
    """

    span: Span
    replacement: str
    mark: Span
    fix: str
    words: int
    is_cut: bool


@dataclass(frozen=True)
class _Token:
    span: Span
    word: bool
    folded: str

    @property
    def stop(self) -> bool:
        return self.folded[0] in ".!?"


@dataclass(frozen=True)
class _Hunk:
    """Old tokens first:last that give way to the new tokens new_first:new_last."""

    first: int
    last: int
    new_first: int
    new_last: int


def word_count(text: str) -> int:
    """Words as this module counts them."""
    return sum(token.word for token in _tokens(text))


def changes(old: str, new: str, shown: str | None = None) -> tuple[Change, ...]:
    """The separate places, in text order, in which the words or stops of `new` differ from those of `old`.

    Blanks alone, and another style of quotes or dashes, are no difference: the old text's stay. Places join when
    at most three unchanged words lie between them, or when at least two fifths of the words of the joint place changed.
    A mark is what a coach would point at: the new words, and old ones between them; where only stops changed, the
    words on both sides. Where words went and none came, it is the words beside the gap within their sentence: on
    both sides, or before it alone where a stop follows; of something in brackets, such as a reference, the clause
    before it; of a whole sentence, the sentence before it in its paragraph (after it, where it was the first).
    `shown`: the old text as the writer of the new one saw it, of the same length; by default the old text.
    """
    return _Comparison(old, new, old if shown is None else shown).changes()


class _Comparison:
    def __init__(self, old: str, new: str, shown: str) -> None:
        self.old, self.new = old, new
        self.olds, self.news = _tokens(shown), _tokens(new)

    def changes(self) -> tuple[Change, ...]:
        matcher = SequenceMatcher(
            None, [token.folded for token in self.olds], [token.folded for token in self.news], autojunk=False
        )
        codes = matcher.get_opcodes()
        # How many unchanged tokens stand before and after each change.
        equal = [0, *(code[2] - code[1] if code[0] == "equal" else 0 for code in codes), 0]
        hunks = [
            self._slid(_Hunk(*code[1:]), equal[number], equal[number + 2])
            for number, code in enumerate(codes) if code[0] != "equal"
        ]  # fmt: skip
        groups = [[hunk] for hunk in hunks]
        number = 0
        while number + 1 < len(groups):
            if self._are_one(groups[number] + groups[number + 1]):
                groups[number : number + 2] = [groups[number] + groups[number + 1]]
                number = max(0, number - 1)
            else:
                number += 1
        return tuple(self._change(group) for group in groups)

    def _slid(self, hunk: _Hunk, before: int, after: int) -> _Hunk:
        """The same insertion or deletion where a person would see it.

        "It rained[. It poured]." and "It rained. [It poured.]" are one text; the second is a sentence.
        """
        tokens, start, end = self.olds, hunk.first, hunk.last
        if hunk.first == hunk.last:
            tokens, start, end = self.news, hunk.new_first, hunk.new_last
        elif hunk.new_first != hunk.new_last:
            return hunk
        steps = [0]
        while -steps[-1] < before and tokens[start + steps[-1] - 1].folded == tokens[end + steps[-1] - 1].folded:
            steps.append(steps[-1] - 1)
        steps.append(0)
        while steps[-1] < after and tokens[start + steps[-1]].folded == tokens[end + steps[-1]].folded:
            steps.append(steps[-1] + 1)

        def unlikely(step: int) -> tuple[bool, bool, int]:
            opens, closes = tokens[start + step], tokens[end + step - 1]
            whole = closes.stop and (start + step == 0 or tokens[start + step - 1].stop)
            return not whole, not opens.word, abs(step)

        best = min(steps, key=unlikely)
        return _Hunk(hunk.first + best, hunk.last + best, hunk.new_first + best, hunk.new_last + best)

    def _are_one(self, hunks: list[_Hunk]) -> bool:
        gaps = [sum(token.word for token in self.olds[a.last : b.first]) for a, b in pairwise(hunks)]
        return max(gaps) <= _NEAR or sum(gaps) <= _MOST_KEPT * sum(self._words(hunk) for hunk in hunks)

    def _words(self, hunk: _Hunk) -> int:
        went = sum(token.word for token in self.olds[hunk.first : hunk.last])
        return max(went, sum(token.word for token in self.news[hunk.new_first : hunk.new_last]), 1)

    def _change(self, group: list[_Hunk]) -> Change:
        pieces = [self._piece(hunk) for hunk in group]
        start, end = pieces[0][0].start, pieces[-1][0].end
        text, at = "", start
        for span, piece in pieces:
            text += self.old[at : span.start] + piece
            at = span.end
        came = any(token.word for token in self.news[group[0].new_first : group[-1].new_last])
        went = any(token.word for hunk in group for token in self.olds[hunk.first : hunk.last])
        first, last = group[0].first, group[-1].last
        if not came:
            first, last = self._beside(first, last, sentence_went=went)
        wide, worse = self._widened(Span(start, end), text, first, last)
        if (fix := fix_for(wide.quote(self.old), worse, _bare(worse))) is None:
            # Other blanks stand around the new words than around the old ones.
            wide, worse = self._widened(Span(start, end), text, *self._with_neighbours(first, last))
            fix = fix_for(wide.quote(self.old), worse, _bare(worse))
        words, is_cut = sum(self._words(hunk) for hunk in group), went and not came
        if fix is None:
            return Change(wide, worse, Span(0, len(worse)), wide.quote(self.old), words, is_cut)
        return Change(wide, worse, _bare(worse), fix, words, is_cut)

    def _widened(self, span: Span, text: str, first: int, last: int) -> tuple[Span, str]:
        """The place grown to the old tokens first:last, and its new text with them."""
        start = min(span.start, self.olds[first].span.start) if first < len(self.olds) else span.start
        end = max(span.end, self.olds[last - 1].span.end) if last else span.end
        return Span(start, end), self.old[start : span.start] + text + self.old[span.end : end]

    def _piece(self, hunk: _Hunk) -> tuple[Span, str]:
        """The characters between the tokens on both sides of the hunk, and what stands there in the new text."""
        span = Span(self.olds[hunk.first - 1].span.end if hunk.first else 0,
                    self.olds[hunk.last].span.start if hunk.last < len(self.olds) else len(self.old))
        inside = Span(self.news[hunk.new_first - 1].span.end if hunk.new_first else 0,
                      self.news[hunk.new_last].span.start if hunk.new_last < len(self.news) else len(self.new))
        old, new = span.quote(self.old), inside.quote(self.new)
        old_left, old_right = _blanks(old)
        new_left, new_right = _blanks(new)
        core = new.strip() if "\n" in old.strip() else " ".join(new.split())
        if not old.strip() and "\n" in old:
            # Words that come between two paragraphs join the one that they joined in the new text.
            joins_next = "\n" in new_left
            return span, f"{old if joins_next else _even(new_left)}{core}{_even(new_right) if joins_next else old}"
        if not core:
            blank = next((side for side in (old_left, old_right) if "\n" in side), old_left or old_right or " ")
            return span, blank if new else ""
        left = old_left if bool(old_left) == bool(new_left) else _even(new_left)
        right = old_right if bool(old_right) == bool(new_right) else _even(new_right)
        return span, f"{left}{core}{right}"

    def _beside(self, first: int, last: int, *, sentence_went: bool) -> tuple[int, int]:
        """Which old tokens a mark covers where those from first to last went."""
        if not sentence_went:
            return self._with_neighbours(first, last)
        gap = Span(self.olds[first].span.start, self.olds[last - 1].span.end)
        sentences = Draft(self.old).sentences
        within = next((s for s in sentences if s.start <= gap.start and gap.end <= s.end), gap)
        if within == gap:
            return self._next_sentence(sentences, gap, first, last)
        wide = self._with_neighbours(first, last, within)
        if wide[0] < first and last < len(self.olds) and not self.olds[last].word:
            if self.olds[first].folded in "([":
                inside = [n for n in range(first) if self.olds[n].span.start >= within.start]
                clause = [n for n in inside if self.olds[n].folded in ";:"]
                return (clause[-1] + 1 if clause else inside[0]), last
            return wide[0], last
        return wide

    def _next_sentence(self, sentences: tuple[Span, ...], gap: Span, first: int, last: int) -> tuple[int, int]:
        before = [s for s in sentences if s.end <= gap.start and not _PARAGRAPH.search(self.old, s.end, gap.start)]
        if before:
            return next(n for n, token in enumerate(self.olds) if token.span.end > before[-1].start), last
        after = [s for s in sentences if s.start >= gap.end]
        if after:
            return first, max(n for n, token in enumerate(self.olds) if token.span.start < after[0].end) + 1
        return self._with_neighbours(first, last)

    def _with_neighbours(self, first: int, last: int, within: Span | None = None) -> tuple[int, int]:
        """From the last word before the tokens to the first one after them, or to the end of the text."""
        bounds = within or Span(0, len(self.old))
        before = [n for n in range(first) if self.olds[n].word and self.olds[n].span.start >= bounds.start]
        after = [n for n in range(last, len(self.olds)) if self.olds[n].word and self.olds[n].span.end <= bounds.end]
        none_before, none_after = (first, last) if within else (0, len(self.olds))
        return (before[-1] if before else none_before), (after[0] + 1 if after else none_after)


def _tokens(text: str) -> tuple[_Token, ...]:
    return tuple(
        _Token(Span(*match.span()), bool(_WORD.search(match[0])), _DASHES.sub("-", match[0].translate(_FOLDED)))
        for match in _TOKEN.finditer(text)
    )


def _blanks(text: str) -> tuple[str, str]:
    """The blanks before and behind; of nothing but blanks, all are behind."""
    bare = text.strip()
    if not bare:
        return text, text
    return text[: text.index(bare)], text[text.index(bare) + len(bare) :]


def _even(blank: str) -> str:
    return " " if blank else ""


def _bare(text: str) -> Span:
    bare = text.strip()
    start = text.index(bare)
    return Span(start, start + len(bare))
