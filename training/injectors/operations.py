"""What rules do to a passage beyond replacing a phrase from a list: one function an operation.

Each gives every edit that it could make, and the rule injector chooses among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any

import lemminflect
import yaml

from training.injectors.edit import Edit, changed
from training.injectors.forms import FORMS, SMALL, article_clash, is_statement, opened, starts_sentence
from training.injectors.inflection import inflected, is_noun, past_lemma, singular
from training.injectors.slips import SLIPS

Operation = Callable[[str, str, Random], Iterator[Edit]]

_CITATION = re.compile(r" ?(?:\((?:[^()]*[A-Z][^()]*\b(?:19|20)\d\d[a-z]?[^()]*)\)|\[\d+(?:(?:[,–-]| and) ?\d+)*\])")
_ACRONYM = re.compile(r"((?:[A-Za-z][\w-]* ){1,6})\(([A-Z][A-Za-z]*[A-Z])s?\)")
_PRESENT = {"was": "is", "were": "are", "had": "has"}
_OBJECT = {"he": "him", "she": "her", "they": "them", "i": "me", "we": "us"}
_MODALS = "will|should|must|can|could|would|may|might|cannot"
_NO_PASSIVE = frozenset({"be", "have", "become", "seem", "go", "come", "remain", "lack", "resemble"})


@cache
def _words(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((FORMS / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


@cache
def _one_of(name: str, key: str) -> str:
    return "|".join(sorted(map(str, _words(name)[key]), key=len, reverse=True))


def false_connective(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A connective of another kind than the one that stands there, or one where there was none."""
    kinds: dict[str, list[str]] = _words("weak-transition")["kinds"]
    for kind, connectives in kinds.items():
        others = [word for other, words in kinds.items() if other != kind for word in words]
        for match in re.finditer(rf"\b({'|'.join(connectives)})(?=,)", text):
            if match.start() and starts_sentence(text, match.start()):
                worse = rng.choice(others)
                yield changed(match, worse, criterion, f"weak-transition/{kind} to {worse}")
    for match in re.finditer(r"(?<=[.!?] )[A-Z][a-z]+\b", text):
        if match[0] in SMALL and is_statement(text, match.start()):
            worse = rng.choice(kinds["cause"] + kinds["contrast"] + kinds["likeness"])
            worse = f"{worse}," if worse != "It follows that" else worse
            yield opened(match, worse, criterion, "weak-transition/none to ")


def cut_connective(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """The connective gone; what is marked runs to the first verb of its sentence."""
    every = "|".join(word for words in _words("weak-transition")["kinds"].values() for word in words)
    verbs = _one_of("ambiguous-reference", "verbs")
    for match in re.finditer(rf"\b({every}), ((?:[\w-]+ ){{1,6}}?(?:{verbs}))\b", text):
        if match.start() and starts_sentence(text, match.start()):
            worse = match[2][0].upper() + match[2][1:]
            yield changed(match, worse, criterion, f"weak-transition/cut {match[1]}")


def bare_pronoun(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A demonstrative without its noun ("This result shows" to "This shows"), or a bare pronoun for a noun."""
    verbs = _one_of("ambiguous-reference", "verbs")
    for number, these, pronoun in (("singular", "this|This", "It"), ("plural", "these|These", "They")):
        nouns = _one_of("ambiguous-reference", number)
        for match in re.finditer(rf"\b({these}) ({nouns}) ({verbs})\b", text):
            form = f"ambiguous-reference/{match[1].lower()} {match[2]}"
            yield changed(match, f"{match[1]} {match[3]}", criterion, form)
        for match in re.finditer(rf"\b(The|Our) ({nouns}) ({verbs})\b", text):
            if match.start() and starts_sentence(text, match.start()):
                yield changed(match, f"{pronoun} {match[3]}", criterion, f"ambiguous-reference/{pronoun} {match[2]}")


def bare_acronym(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """An acronym without the words that it stands for."""
    for match in _ACRONYM.finditer(text):
        words = match[1].split()
        long = next((n for n in range(1, len(words) + 1) if _initials(words[-n:]) == match[2].lower()), None)
        if long is None or text.find(match[2]) < match.start(2):
            continue
        start = match.start() + match[1].rindex(" ".join(words[-long:]))
        place = re.compile(re.escape(text[start : match.end()])).match(text, start)
        worse = match[0][match[0].rindex("(") + 1 : -1]
        if place and not article_clash(text, start, place[0], worse):
            yield changed(place, worse, criterion, "undefined-acronym/introduction cut")


def _initials(words: list[str]) -> str:
    return "".join(part[0] for word in words for part in word.split("-") if part).lower()


def cut_citation(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A claim without its reference; the claim is marked, back to the comma or the stop before it."""
    for match in _CITATION.finditer(text):
        before = text[: match.start()]
        clauses = [m.end() for m in re.finditer(r"(?:[.!?;:] |, (?:and |but |which |while |whereas )?|\n)", before)]
        start = next((end for end in [*reversed(clauses), 0] if len(before[end:].split()) >= 5), None)
        if start is not None and len(before[start:].split()) <= 30 and not _CITATION.search(before, start):
            place = re.compile(re.escape(text[start : match.end()])).match(text, start)
            if place:
                yield changed(place, before[start:], criterion, "missing-citation/reference cut")


def renamed_term(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A term under a second name at its last mention."""
    for term, names in _words("inconsistent-terms")["terms"].items():
        places = list(re.finditer(rf"\b{term}\b", text)) if text.count(term) > 1 else []
        name = rng.choice(names)
        if len(places) < 2 or re.search(rf"\b{name}\b", text) or article_clash(text, places[-1].start(), term, name):
            continue
        yield changed(places[-1], name, criterion, f"inconsistent-terms/{term} to {name}")


def attention_seeking_tag(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A tag that draws attention for "said" and its like."""
    said = "said|asked|replied|answered|cried"
    who = r"he|she|I|they|(?:Mr\. |Mrs\. |Miss |Dr\. |the )?(?!(?:Dr|Mrs?|St)\b)[A-Za-z][a-z]+"
    verbs, manner = _words("dialogue-tags")["verbs"], _words("dialogue-tags")["manner"]
    for match in re.finditer(rf"(?<=[,?!.—][”\"] )(?:({who}) ({said})|({said}) ({who}))(?=[,.;:])", text):
        verb = rng.choice(verbs)
        worse = f"{match[1]} {verb}" if match[1] else f"{verb} {match[4]}"
        if rng.random() < 0.25:
            worse += f" {rng.choice(manner)}"
        yield changed(match, worse, criterion, f"dialogue-tags/{verb}")


def ornament(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """Adjectives piled before a plain noun."""
    for match in re.finditer(rf"\b(?<=the )({_one_of('purple-prose', 'nouns')})\b(?! \w+ing)", text):
        pile = rng.choice(_words("purple-prose")["ornaments"])
        yield changed(match, f"{pile} {match[0]}", criterion, f"purple-prose/{pile}")


def filtered(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A perceiver put before a sentence about the scene."""
    counts = {word: len(re.findall(rf"\b(?:{word}|{word.capitalize()})\b", text)) for word in ("he", "she", "I")}
    pronoun = max(counts, key=lambda word: counts[word])
    if not counts[pronoun]:
        return
    subject = pronoun if pronoun == "I" else pronoun.capitalize()
    for match in re.finditer(r"\b(?:The|A|An|There|His|Her|My|Their|Its)\b", text):
        if starts_sentence(text, match.start()) and is_statement(text, match.start()):
            form = rng.choice(_words("filter-words")["perceptions"])
            opener = form.format(P=subject, O=_OBJECT[pronoun.lower()])
            yield opened(match, opener, criterion, "filter-words/")


def present_for_past(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A verb in the present where the passage is in the past."""
    verbs = list(re.finditer(r"\b(he|she|it|they|we|I|He|She|It|They|We)? ?\b(was|were|had|[a-z]+)\b", text))
    past = [match for match in verbs if match[2] in _PRESENT or (match[1] and past_lemma(match[2]))]
    if len(past) < 4:
        return
    for match in past[1:]:
        who = (match[1] or "").lower()
        lemma = past_lemma(match[2])
        if match[2] in _PRESENT:
            now = _PRESENT[match[2]]
            if match[2] == "had" and who not in ("he", "she", "it"):
                continue
            now = "am" if who == "i" else now
        elif lemma:
            now = inflected(lemma, "VBZ" if who in ("he", "she", "it") else "VB")
        else:
            continue
        place = re.compile(match[2]).match(text, match.start(2))
        if place:
            yield changed(place, now, criterion, "tense-shift/past to present")


def passive(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """An active clause turned round, with its agent after "by"."""
    agent = r"[Hh]e|[Ss]he|[Tt]hey|I|[Ww]e|[Tt]he [a-z]+|(?:Mr\. |Mrs\. |Miss )?[A-Z][a-z]+"
    thing = r"(?:the|a|an|his|her|their|its|this|that|our|my) (?:[a-z]+ )?[a-z]+"
    # Nothing else hangs on the subject: no second verb follows in the sentence.
    after = r"(?=[.;]| (?:with|in|at|on|to|for|from|into)(?: (?!and\b)[\w’'-]+)+[.;])"
    pattern = rf"(?:(?<=[.!?] )|(?<=, )|(?<= and )|^)({agent}) (?:({_MODALS}) )?([a-z]+) ({thing}){after}"
    for match in re.finditer(pattern, text, re.MULTILINE):
        subject, modal, verb, what = match.groups()
        head = what.split()[-1]
        several = singular(head) is not None
        plain_subject = "They" if subject.lower() in ("they", "we", "i") else "It"
        lemma, be = _turned(verb, modal, plain_subject, several)
        if lemma is None or lemma in _NO_PASSIVE or not (several or is_noun(head)):
            continue
        if subject.lower() in _OBJECT:
            by = _OBJECT[subject.lower()]
        else:
            by = subject[0].lower() + subject[1:] if subject.lower().startswith("the ") else subject
        phrase = f"{be} {inflected(lemma, 'VBN')} by {by}"
        front = what[0].upper() + what[1:] if starts_sentence(text, match.start()) else what
        yield changed(match, f"{front} {phrase}", criterion, "passive-voice/turned round", phrase)


def _turned(verb: str, modal: str | None, subject: str, several: bool) -> tuple[str | None, str]:
    """The verb's lemma, and the form of "be" that its passive takes after a thing or several things."""
    lemmas = lemminflect.getAllLemmas(verb).get("VERB", ())
    if modal:
        return (verb if verb in lemmas else None), f"{modal} be"
    if (lemma := past_lemma(verb)) is not None:
        return lemma, "were" if several else "was"
    if subject == "They":
        return (verb if verb in lemmas else None), "are" if several else "is"
    lemma = next((lemma for lemma in lemmas if verb == inflected(lemma, "VBZ")), None)
    return lemma, "are" if several else "is"


OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "weak-transition": (false_connective, cut_connective),
    "ambiguous-reference": (bare_pronoun,),
    "undefined-acronym": (bare_acronym,),
    "missing-citation": (cut_citation,),
    "inconsistent-terms": (renamed_term,),
    "dialogue-tags": (attention_seeking_tag,),
    "purple-prose": (ornament,),
    "filter-words": (filtered,),
    "tense-shift": (present_for_past,),
    "passive-voice": (passive,),
    "mechanics": SLIPS,
}
