"""Lists of forms: patterns of good words, each with what a weak writer would have put there.

A list is a YAML file of `replace` lines ("now -> at this point in time | at the present moment"), of lines that hold
only before certain words (see `_AFTER`), of `open` lines that are put before a sentence, and of `lookalike` lines
whose weak words are right elsewhere, so that they can be planted but not searched for. In a pattern
    <decide>   is any form of the verb; a verb in < > on the weak side takes the same form
    {w} {adj} {noun} {plural} {number}  is one word of that kind, and the same word on the weak side
    {det} {them} is an article or a possessive, a pronoun as object
    {s} {p}    is a word that a clause begins with, a pronoun that it does; {who} a pronoun or a name
    {singular} on the weak side is the singular of {plural}
    ^          at the front binds the pattern to the beginning of a sentence
    [ ]        on the weak side holds what a coach marks, where that is not all of it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import yaml

from bwcoach.draft import Span
from training.injectors.edit import Edit, fix_for
from training.injectors.inflection import inflected, is_adjective, is_noun, singular, verb_forms, with_article
from training.injectors.places import (
    SMALL,
    SMALL_WORDS,
    can_be_opened,
    fits,
    miscounted,
    out_of_place,
    starts_sentence,
    verb_tag,
)

FORMS = Path(__file__).parent.parent / "data" / "forms"

_TOKEN = re.compile(r"<(\w+)>|\{(\w+)\}|[^\s\w<>{}\[\]]|[^\s<>{}\[\],.;:]+|[\[\]]")
_WORD = re.compile(r"\w+(?:[’'-]\w+)*")
_CLASSES: dict[str, str] = {
    "w": r"(?!not\b)[a-z]+", "adj": r"[a-z]+", "noun": r"[a-z]+", "plural": r"[a-z]+",
    "s": r"(?:it|he|she|they|we|you|I|the|this|these|those|there|a|an|our|their|his|her|its|many|some|most)",
    "p": r"(?:it|he|she|they|we|you|I|there)",
    "det": r"(?:the|a|an|his|her|their|my|its)",
    "them": r"(?:him|it|them|me|us)",
    "who": r"(?:[Hh]e|[Ss]he|(?!They|We|You|The|It|These|Those)[A-Z][a-z]+)",
    "number": r"\d[\d,.]*\d|\d|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
              r"twenty|thirty|forty|fifty|sixty",
}  # fmt: skip
_KINDS: dict[str, Callable[[str], bool]] = {
    "adj": is_adjective,
    "noun": is_noun,
    "plural": lambda word: singular(word) is not None,
}
# What a line's pattern has to stand before, by the part of the list that holds the line.
_AFTER = {
    "replace": "",
    "lookalike": "",
    "at_clause_end": r"(?=[.;:!?]|, (?!and [a-z]+[.,])| and (?:he|she|it|they|we|I|the|a|then|[a-z]+ed)\b"
                     r"| as (?:he|she|they|if)\b| when\b)",
    "at_phrase_end": rf"(?=[.,;:!?—]| (?!(?:of|that|which|who)\b)(?:{SMALL_WORDS})\b)",
    "before_object": rf"(?= (?!(?:{SMALL_WORDS}|using|via|is|are|was|were|be|been|how|why|whether|what|not|only|"
                     r"[a-z]+ly)\b)[A-Za-z])",
    "without_object": rf"(?=[.,;:!?—]| (?:{SMALL_WORDS})\b)(?! [a-z]+ly\b)",
}  # fmt: skip
_PERCEIVERS = frozenset({"he", "she", "i", "we", "they"})
# A modal that a question begins with.
_ASKING = frozenset({"Can", "Should", "Will", "Must", "May", "Would", "Could"})
# A word with a capital, and one of digits, in the place of the word itself.
_NAME, _FIGURE = "A", "0"
_SLOT_KEYS = {
    "who": frozenset({_NAME, "he", "she"}),
    "number": frozenset({_FIGURE, *re.findall("[a-z]+", _CLASSES["number"])}),
}

@dataclass(frozen=True)
class Form:
    """One way of making a place worse; `keys` are what the first word of a match may be."""

    id: str
    worse: str
    better: re.Pattern[str]
    keys: frozenset[str]
    lemma: str | None
    at_start: bool
    kinds: tuple[str, ...]

    def edit(self, text: str, match: re.Match[str], criterion: str) -> Edit | None:
        """The edit at a place where `better` matches; None where the words there do not fit after all."""
        if match[0] in _ASKING or out_of_place(text, match):
            return None
        slots = {name: word for name, word in match.groupdict().items() if word is not None}
        if any(not _KINDS[kind](slots[kind]) for kind in self.kinds):
            return None
        if "number" in slots and miscounted(slots["number"], self.worse):
            return None
        tag = verb_tag(text, match.start("verb"), verb_forms(self.lemma)[match["verb"].lower()]) if self.lemma else ""
        if tag is None:
            return None
        rendered = self._rendered(slots, tag)
        opening, closing = rendered.find("["), rendered.find("]")
        mark = Span(opening, closing - 1) if opening >= 0 else Span(0, len(rendered))
        worse = rendered.replace("[", "").replace("]", "")
        found = match[0]
        if found[0].isupper() and worse[0].islower():
            worse = worse[0].upper() + worse[1:]
        if worse == found or not fits(text, match, worse):
            return None
        return Edit(Span(*match.span()), worse, mark, criterion, fix_for(found, worse, mark), self.id)

    def _rendered(self, slots: dict[str, str], tag: str) -> str:
        if "plural" in slots:
            slots["singular"] = singular(slots["plural"]) or slots["plural"]
        text = re.sub(r"\{(\w+)\}", lambda m: slots[m[1]], self.worse)
        text = re.sub(r"<(\w+)>", lambda m: inflected(m[1], tag), text)
        return re.sub(r"\ba (?=[aeiouh])(\w+)", lambda m: with_article(m[1]), text)


@dataclass(frozen=True)
class FormList:
    """The forms of one rule, found by the first word of what they replace."""

    name: str
    forms: tuple[Form, ...]
    openers: tuple[str, ...]
    weak: tuple[str, ...]
    """The weak sides that are weak wherever they stand, openers among them."""

    @cached_property
    def _index(self) -> dict[str, tuple[Form, ...]]:
        index: dict[str, list[Form]] = {}
        for form in self.forms:
            for key in form.keys:
                index.setdefault(key, []).append(form)
        return {key: tuple(forms) for key, forms in index.items()}

    def edits(self, text: str, criterion: str, rng: Random) -> Iterator[Edit]:
        """Every edit that could be made to the text; an opener before one sentence at most."""
        index, openable = self._index, []
        for word in _WORD.finditer(text):
            starts = word[0][0].isupper() and starts_sentence(text, word.start())
            kind = _NAME if word[0][0].isupper() else _FIGURE if word[0][0].isdigit() else ""
            for form in (*index.get(word[0].lower(), ()), *index.get(kind, ())):
                if form.at_start and not starts:
                    continue
                match = form.better.match(text, word.start())
                if match and (edit := form.edit(text, match, criterion)):
                    yield edit
            if starts and self.openers and word[0] in SMALL:
                openable.append(word)
        if openable:
            word = rng.choice(openable)
            if can_be_opened(text, word.start()):
                yield opened(word, rng.choice(self.openers), criterion, f"{self.name}/")


@cache
def load_forms(name: str) -> FormList:
    """The list of that name in training/data/forms."""
    data = words_of(name)
    parts = {part: tuple(forms_of(name, data.get(part, ()), part)) for part in _AFTER}
    alike = parts.pop("lookalike")
    listed = tuple(chain.from_iterable(parts.values()))
    openers = tuple(data.get("open", ()))
    weak = dict.fromkeys([*(form.worse for form in listed), *openers, *_planted(data)])
    return FormList(name, (*listed, *alike), openers, tuple(weak))


def forms_of(name: str, lines: Iterable[str], part: str = "replace") -> Iterator[Form]:
    """The forms that lines of that part of a list hold."""
    for better, worse in _lines(lines):
        yield _form(name, better, worse, _AFTER[part])


def _planted(data: dict[str, Any]) -> Iterator[str]:
    """The weak words of lists that operations plant."""
    for key in ("seen", "heard", "felt", "thought", "claims", "public"):
        yield from data.get(key, ())
    for feeling in data.get("feelings", ()):
        yield from feeling["named"]
    for kind in data.get("kinds", {}).values():
        yield from (*kind["piles"], *kind["tails"]) if isinstance(kind, dict) else ()


@cache
def words_of(name: str) -> dict[str, Any]:
    """Everything that the list of that name holds, as it stands in its file."""
    data: dict[str, Any] = yaml.safe_load((FORMS / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


@cache
def form_lists() -> tuple[str, ...]:
    """The names of all lists."""
    return tuple(sorted(file.stem for file in FORMS.glob("*.yaml")))


@cache
def weak_pattern(worse: str) -> re.Pattern[str]:
    """What finds the weak words of a form, or of an opener, in any text; the marked part is the group `mark`."""
    text = worse if "[" in worse else f"[{worse.rstrip(',')}]"
    pattern = ""
    for token in _TOKEN.finditer(text):
        piece = token[0]
        if pattern and text[token.start() - 1] == " ":
            pattern += r"\s+"
        if piece == "[":
            pattern += "(?P<mark>"
        elif piece == "]":
            pattern += ")"
        elif token[1]:
            pattern += "(?:" + "|".join(map(re.escape, sorted(verb_forms(token[1]), key=len, reverse=True))) + ")"
        elif token[2]:
            pattern += "[a-z]+s" if token[2] == "plural" else f"(?:{_CLASSES.get(token[2], '[a-z]+')})"
        else:
            pattern += re.escape(piece).replace("'", "['’]")
    return re.compile(rf"\b{pattern}(?!\w)", re.IGNORECASE)


@cache
def weak_beginnings(worse: str) -> frozenset[str]:
    """The words that weak_pattern's matches can begin with, in small letters; empty where any word may."""
    token = _TOKEN.search(worse.replace("[", "").lstrip())
    if token is None or token[2]:
        return _PERCEIVERS if token and token[2] == "P" else frozenset()
    if token[1]:
        return frozenset(verb_forms(token[1]))
    word = _WORD.match(token[0].lower())
    return frozenset({re.split("['’-]", word[0])[0]}) if word else frozenset()


def _lines(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        betters, _, worse = line.partition(" -> ")
        for better in betters.split(" | "):
            for one in worse.split(" | "):
                yield better.strip(), one.strip()


def _form(name: str, better: str, worse: str, after: str = "") -> Form:
    lemma, kinds, keys = None, [], frozenset[str]()
    pattern = ""
    bare = better.removeprefix("^").strip()
    for number, token in enumerate(_TOKEN.finditer(bare)):
        piece = token[0]
        if number and bare[token.start() - 1] == " ":
            pattern += " "
        if token[1]:
            lemma = token[1]
            forms = sorted(verb_forms(lemma), key=len, reverse=True)
            pattern += "(?P<verb>" + "|".join(forms) + ")"
            keys = frozenset(forms) if number == 0 else keys
        elif token[2]:
            pattern += f"(?P<{token[2]}>{_CLASSES[token[2]]})"
            kinds += [token[2]] if token[2] in _KINDS else []
            keys = _SLOT_KEYS[token[2]] if number == 0 else keys
        else:
            escaped = re.escape(piece)
            pattern += f"(?i:{escaped})" if number == 0 else escaped
            if number == 0:
                keys = frozenset({_WORD.match(piece.lower())[0]})  # type: ignore[index]
    compiled = re.compile(rf"{pattern}(?![\w/-]|[.,]\d|[’']\w){after}")
    return Form(f"{name}/{worse}", worse, compiled, keys, lemma, better.startswith("^"), tuple(kinds))


def opened(word: re.Match[str], opener: str, criterion: str, rule: str) -> Edit:
    """The first word of a sentence with the opener before it. It is marked as well, since its capital goes too."""
    worse = f"{opener} {word[0] if word[0] == 'I' else word[0][0].lower() + word[0][1:]}"
    return Edit(Span(*word.span()), worse, Span(0, len(worse)), criterion, word[0], rule + opener)
