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
from training.injectors.inflection import inflected, is_adjective, is_noun, is_verb_only, singular, verb_forms, with_article

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
SMALL_WORDS = (
    "about|across|after|against|along|among|and|around|as|at|because|before|behind|beside|between|beyond|but|by|down|"
    "during|for|from|if|in|inside|into|near|of|off|on|onto|or|out|outside|over|past|round|since|so|than|that|through|"
    "till|to|toward|towards|under|until|up|upon|when|where|while|who|which|with|within|without"
)
_SMALL_WORD_SET = frozenset(SMALL_WORDS.split("|"))
# What a line's pattern has to stand before, by the part of the list that holds the line.
_AFTER = {
    "replace": "",
    "lookalike": "",
    "at_clause_end": r"(?=[.;:!?]|, (?!and [a-z]+[.,])| and (?:he|she|it|they|we|I|the|a|then|[a-z]+ed)\b| as (?:he|she|they|if)\b| when\b)",
    "at_phrase_end": rf"(?=[.,;:!?—]| (?!(?:of|that|which|who)\b)(?:{SMALL_WORDS})\b)",
    "before_object": rf"(?= (?!(?:{SMALL_WORDS}|using|via|is|are|was|were|be|been|how|why|whether|what|not|only|[a-z]+ly)\b)"
                     r"[A-Za-z])",
    "without_object": rf"(?=[.,;:!?—]| (?:{SMALL_WORDS})\b)(?! [a-z]+ly\b)",
}  # fmt: skip
# What stands before a word that is a verb in that form and not a noun or an adjective.
_BEFORE_VERB = frozenset(
    {"to", "will", "would", "can", "could", "may", "might", "must", "should", "not", "we", "they", "i", "you", "who",
     "also", "cannot", "did", "do", "does"}
)
_BEFORE_THIRD_PERSON = frozenset(
    {"he", "she", "it", "this", "that", "which", "who", "also"}
)
_NOT_BEFORE_VERB = frozenset(
    {"the", "a", "an", "his", "her", "its", "their", "my", "our", "your", "this", "these", "those", "of"}
)
_BEFORE_ADVERB = frozenset(
    {"be", "is", "are", "was", "were", "been", "being", "am", "get", "gets", "got", "when", "if", "as", "than", "once"}
)
_ADVERBS = frozenset(
    {"also", "then", "now", "only", "just", "never", "always", "still", "not", "often", "already", "first", "further"}
)
_PREPOSITIONS = frozenset(
    {"through", "with", "for", "by", "in", "on", "at", "from", "into", "of", "to", "without", "about", "between", "under",
     "and", "or", "more", "most", "less", "very", "new", "highly", "any", "no", "some", "all", "other", "such"}
)
_DEGREES = frozenset(
    {"very", "more", "most", "so", "too", "as", "less", "rather", "quite", "how", "equally", "least", "almost"}
)
# After these "if" and "when" belong to what comes before them.
_BEFORE_OTHER_IF = frozenset(
    {"as", "even", "only", "see", "know", "wonder", "ask", "asked", "wondered", "tell", "what", "sure", "or", "and"}
)
_BESIDE_NUMBER = frozenset(
    {"nearly", "almost", "over", "under", "about", "perhaps", "exactly", "just", "only", "to", "than", "another", "next",
     "last", "past", "first", "all", "the", "these", "those", "his", "her", "their", "our", "its", "or", "between", "and",
     "approximately", "around", "some", "hundred", "thousand", "least", "most", "every", "aged", "age"}
)
_INSIDE_A_FIGURE = frozenset("–—-−/.,^×∼~≥≤<>±$£€#§=")
_DETERMINERS = frozenset(
    {"the", "a", "an", "some", "certain", "various", "all", "every", "each", "many", "something", "no", "several",
     "positive", "numerous", "lots", "plenty", "quite", "few", "very", "repeatedly", "what", "people", "places", "drink",
     "stuff", "issues", "difficulties", "flowers", "trees", "bloated", "corporate", "petty", "self-serving", "greedy",
     "jumped-up", "armchair", "professional", "so-called", "self-appointed", "careerist", "crooks", "desk-bound"}
)
_NOT_BEFORE_DETERMINER = frozenset(
    {"all", "about", "than", "only", "to", "at", "approximately", "first", "last", "past"}
)
_BEFORE_PARTICIPLE = frozenset(
    {"have", "has", "had", "having", "be", "is", "are", "was", "were", "been", "being", "not"}
)
# A word with a capital, and one of digits, in the place of the word itself.
_NAME, _FIGURE = "A", "0"
_SLOT_KEYS = {
    "who": frozenset({_NAME, "he", "she"}),
    "number": frozenset({_FIGURE, *re.findall("[a-z]+", _CLASSES["number"])}),
}
# Sentences that have an opener, or no claim of their own to put one before.
_OPENED = re.compile(r"It \w+ (?:\w+ )?(?:\w+ )?that\b|(?:This|That) is (?:because|why)|There is no|The fact|In (?:addition|short|fact)")
_MUCH = re.compile(r"great|large|lots|many|numerous|plenty|sizeable|sizable|considerable|fair|substantial|very|wide|big|long")
# Words that a sentence begins with and that are small inside one.
SMALL = frozenset(
    {"The", "This", "These", "That", "Those", "It", "In", "On", "At", "We", "You", "They", "He", "She", "There", "A",
     "An", "Our", "Their", "His", "Her", "My", "Your", "Its", "When", "If", "While", "Since", "By", "From",
     "With", "After", "Before", "All", "Some", "Many", "Most", "No", "Each", "Every", "What", "How",
     "Both"}
)


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
        if _out_of_place(text, match):
            return None
        if found_twice(text, match.end(), self.worse) or _asks(match[0]):
            return None
        slots = {name: word for name, word in match.groupdict().items() if word is not None}
        if "number" in slots and _miscounted(slots["number"], self.worse):
            return None
        if any(not _KINDS[kind](slots[kind]) for kind in self.kinds):
            return None
        tag = self._tag(text, match) if self.lemma else ""
        if tag is None:
            return None
        rendered = self._rendered(slots, tag)
        opening, closing = rendered.find("["), rendered.find("]")
        mark = Span(opening, closing - 1) if opening >= 0 else Span(0, len(rendered))
        worse = rendered.replace("[", "").replace("]", "")
        found = match[0]
        if found[0].isupper() and worse[0].islower():
            worse = worse[0].upper() + worse[1:]
        if worse == found or article_clash(text, match.start(), found, worse) or _piled(text, match.start(), worse):
            return None
        if _graded(text, match.start(), found, worse):
            return None
        return Edit(Span(*match.span()), worse, mark, criterion, fix_for(found, worse, mark), self.id)

    def _tag(self, text: str, match: re.Match[str]) -> str | None:
        """The form in which the verb stands at the place; None where it does not look like a verb there."""
        tag = verb_forms(self.lemma or "")[match["verb"].lower()]
        before = word_before(text, match.start("verb"))
        wanted = {"VB": _BEFORE_VERB, "VBZ": _BEFORE_THIRD_PERSON}.get(tag)
        if before in _NOT_BEFORE_VERB or (wanted is not None and before not in wanted):
            return None
        if tag in ("VBD", "VBN"):
            before = word_before(text, match.start("verb"), over_adverbs=True)
            if before in _PREPOSITIONS or before.endswith("ly") or before in _BEFORE_ADVERB - _BEFORE_PARTICIPLE:
                return None
            return self._participle(before) if before in _BEFORE_PARTICIPLE else tag
        return tag

    @staticmethod
    def _participle(before: str) -> str | None:
        """A participle after "have"; after "be" it is a passive, which no other verb takes over."""
        return "VBN" if before in ("have", "has", "had", "having") else None

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
            if is_statement(text, word.start()) and not _OPENED.match(text, word.start()):
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
    for key in ("seen", "heard", "felt", "thought", "claims"):
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


def is_statement(text: str, start: int) -> bool:
    """Whether the sentence that begins there ends in a full stop."""
    end = re.compile(r"[.?!:;](?=[\s”\"’)]|$)").search(text, start)
    return end is not None and end[0] == "."


def starts_sentence(text: str, start: int) -> bool:
    return start == 0 or bool(re.search(r"(?:[.!?][)”\"]? |\n)$", text[max(0, start - 4) : start]))


def word_before(text: str, start: int, *, over_adverbs: bool = False) -> str:
    """The last word before the place, in small letters; `over_adverbs`: what such words between it and a verb hide."""
    words = [word.lower() for word in _WORD.findall(text[max(0, start - 40) : start])]
    while over_adverbs and words and words[-1] in _ADVERBS:
        words.pop()
    return words[-1] if words else ""


def _out_of_place(text: str, match: re.Match[str]) -> bool:
    """Whether what stands before the match makes it part of a figure, of a tag after speech or of another phrase."""
    start, found = match.start(), match[0]
    before = re.search(r"([\w’']+) $", text[max(0, start - 20) : start])
    word = before[1].lower() if before else ""
    if text[start - 1 : start] in _INSIDE_A_FIGURE or text[max(0, start - 2) : start - 1] in _INSIDE_A_FIGURE - {".", ","}:
        return True
    if match.groupdict().get("number") == found.split()[0].split("%")[0].split("-")[0]:
        following = text[match.end() : match.end() + 10]
        if word in _BESIDE_NUMBER or word.isdigit() or re.match(r",? (?:\d|and \d|or |old\b|of age|late)", following):
            return True
    if found[0].isupper() and found.split()[0] != "I" and not (match.groupdict().get("who") or starts_sentence(text, start)):
        return True
    if found.startswith(("if ", "when ")) and word in _BEFORE_OTHER_IF:
        return True
    return found.isupper() and len(found) > 1 or bool(re.search(r"[,?!—-][”\"’'] $", text[max(0, start - 3) : start]))


def found_twice(text: str, end: int, worse: str) -> bool:
    """Whether the comma that the weak words end in would stand before another stop."""
    return worse.endswith(",") and text[end : end + 1] in set(",.;:!?")


def _asks(found: str) -> bool:
    return found in ("Can", "Should", "Will", "Must", "May", "Would", "Could")


def _miscounted(number: str, worse: str) -> bool:
    """Whether so small a number would never be called so much."""
    few = {"two": 2.0, "three": 3.0, "four": 4.0}.get(number)
    count = few or float(re.sub(r"[^\d.]", "", number) or 9) if few or number[0].isdigit() else 9.0
    return count < 2 or (count < 5 and bool(_MUCH.search(worse)))


def _graded(text: str, start: int, found: str, worse: str) -> bool:
    """Whether a word of degree that stands before the place no longer fits what follows it."""
    before = re.search(r"([\w’']+) $", text[max(0, start - 20) : start])
    if not before or not (before[1].lower() in _DEGREES | {"not"} or before[1].endswith("ly")):
        return False
    first = worse.split()[0].lower()
    if found.endswith("ly") and (before[1].lower() in _DEGREES or before[1] == "not"):
        return True
    return is_adjective(found.lower()) or first.endswith("ly") or first in ("a", "an", "the", "in", "at", "on", "no")


def article_clash(text: str, start: int, found: str, worse: str) -> bool:
    """Whether an article that stands before the place would no longer fit."""
    before = re.search(r"\b(an?) $", text[max(0, start - 4) : start], re.IGNORECASE)
    return bool(before) and with_article(worse).split()[0] != before[1].lower()  # type: ignore[index]


def _piled(text: str, start: int, worse: str) -> bool:
    """Whether the weak words begin with a determiner of their own after another one, or after an adjective."""
    if worse.split()[0].lower() not in _DETERMINERS:
        return False
    before = re.search(r"([A-Za-z]+) $", text[max(0, start - 30) : start])
    if before:
        small = before[1].lower()
        return (
            small in _NOT_BEFORE_VERB | _NOT_BEFORE_DETERMINER - {"to"} and small != "of"
        ) or not (small in _SMALL_WORD_SET or is_verb_only(small))
    return False
