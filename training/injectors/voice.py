"""Verbs turned: active clauses made passive, the past made present."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import lemminflect

from training.injectors.edit import Edit, changed
from training.injectors.inflection import inflected, is_noun, past_lemma, singular
from training.injectors.places import SMALL_WORDS, starts_sentence, word_before

_PRESENT = {"was": "is", "were": "are", "had": "has"}
_OBJECT = {"he": "him", "she": "her", "they": "them", "i": "me", "we": "us", "you": "you"}
_SUBJECT = {"him": "he", "her": "she", "them": "they", "us": "we", "it": "it"}
_OWN = {"he": "his", "she": "her", "they": "their", "i": "my", "we": "our", "you": "your"}
_MODALS = "will|should|must|can|could|would|may|might|cannot"
_NO_PASSIVE = frozenset(
    {"be", "have", "become", "seem", "go", "come", "remain", "lack", "resemble", "cost", "weigh", "equal", "spend",
     "wait", "live", "last", "shake", "nod", "turn", "stand", "sit", "lie", "fall", "look", "appear", "want", "wish",
     "let", "get", "suit", "fit", "mean", "like", "fail", "comprise", "contain", "total", "reach", "walk", "feel",
     "sleep", "die", "bear", "bid", "beg", "run", "deserve"}
)
_NO_OBJECT = frozenset(
    {"moment", "minute", "minutes", "hour", "hours", "day", "days", "night", "nights", "year", "years", "time",
     "times", "morning", "while", "way", "mile", "miles", "step", "steps", "week", "weeks", "month", "months",
     "evening", "bit", "lot", "deal", "place", "part", "breath", "home"}
)
_AGENT = (
    r"[Hh]e|[Ss]he|[Tt]hey|I|[Ww]e|[Yy]ou|(?:[Tt]he|[Hh]is|[Hh]er|[Mm]y|[Oo]ur) (?:[a-z]+ )?[a-z]+"
    r"|(?:Mr\. |Mrs\. |Miss )?[A-Z][a-z]+"
)
_OF = r"(?: of (?:(?:the|a|an|his|her|their|its|our|my|this|these) )?(?:[a-z]+ )?[a-z]+)?"
_THING = (
    r"(?:the|a|an|his|her|their|its|this|our|my|your|these|those|every|no|some|any|each|another|several|many|two"
    rf"|three) (?:(?!(?:{SMALL_WORDS})\b)[a-z-]+ ){{0,2}}?[a-z]+{_OF}|him|it|them|us"
)
# A particle without an object of its own belongs to the verb ("put it down").
_NO_TAIL = (
    r"(?!(?:and|or|that|which|who|whom|whose|than|to|as|of|into|like)\b"
    r"|(?:over|up|down|out|off|on|round|about|through|in|by) (?!(?:the|a|an|his|her|their|its|my|this)\b)|away|back)"
)
_CLAUSE_STARTS = (
    "[.!?] ", ", ", " and ", " but ", " that ", " when ", " if ", " because ", " as ", " while ", "[;:] ", "[“‘\n]"
)  # fmt: skip
_VERB_PHRASE = r"[a-z]+ (?:the|a|an|his|her|my|their|its|it|him|them|up|down|out|in|on|at|to|into|back|away|from)\b"
# The clause ends, or goes on with a subject of its own, or with a verb that can be given one.
_CLAUSE = re.compile(
    rf"(?:{'|'.join(f'(?<={before})' for before in _CLAUSE_STARTS)}|^)"
    rf"(?P<agent>{_AGENT}) (?P<adverb>[a-z]+ly )?(?:(?P<modal>{_MODALS}) )?(?P<verb>[a-z]+) (?P<thing>{_THING})"
    rf"(?P<rest>(?: {_NO_TAIL}(?:{SMALL_WORDS})(?: (?!and\b|or\b|that\b|which\b|who\b)[\w’'-]+){{0,9}}?)?)"
    r"(?=[.;:!?]|, (?:and|but|for|so|while|because|when|though|although) (?:he|she|it|they|we|I|you|the|there)\b"
    rf"| (?:and|but) (?:he|she|they|we|I)\b|(?P<goes>,? and) (?P<then>{_VERB_PHRASE}))"
)
_BELIEF = re.compile(
    r"\b(?P<who>We|we|They|they|People|people|I) (?:(?P<modal>must|should|can|may|will|would|could|cannot) )?"
    r"(?P<verb>believe|think|know|say|argue|claim|hope|expect|suggest|feel|propose|recommend|conclude|assume|consider|find"
    r"|found|believed|thought|knew|said|argued|claimed|hoped|expected|suggested|felt|proposed|recommended|concluded|assumed"
    r"|decided|showed|show|note|noted|understand|recognize|recognise|remember|accept|agreed|demand|demanded|ensure|admit"
    r"|realize|realise) that\b"
)


def passive(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """An active clause turned round, with its agent after "by"."""
    for match in _CLAUSE.finditer(text):
        agent, modal, verb, thing = match["agent"], match["modal"], match["verb"], match["thing"]
        head = thing.split(" of ")[0].split()[-1]
        several = thing in ("them", "us") or _many(head)
        person = agent.lower()
        if head in _NO_OBJECT or thing.split()[0] == _OWN.get(person) or not _names_someone(text, match):
            continue
        if thing not in _SUBJECT and not (several or is_noun(head)):
            continue
        plural_agent = person in ("they", "we", "i", "you") or _many(person.split()[-1])
        lemma, be = _turned(verb, modal, plural_agent, several)
        if lemma is None or lemma in _NO_PASSIVE:
            continue
        small = agent.split()[0] in ("The", "His", "Her", "My", "Our") or singular(person) is not None
        by = _OBJECT.get(person) or (agent[0].lower() + agent[1:] if small else agent)
        phrase = f"{be} {match['adverb'] or ''}{inflected(lemma, 'VBN')} by {by}"
        after = ""
        if match["goes"]:
            if person not in _OBJECT or past_lemma(match["then"].split()[0]) is None:
                continue
            after = f", and {agent if agent == 'I' else person} "
        front = _SUBJECT.get(thing, thing)
        front = front[0].upper() + front[1:] if starts_sentence(text, match.start()) else front
        place = match
        if match["goes"]:
            place = re.compile(re.escape(match[0] + match["goes"]) + " ").match(text, match.start()) or match
        yield changed(place, f"{front} {phrase}{match['rest']}{after}", criterion, "passive-voice/turned round", phrase)


def _many(noun: str) -> bool:
    return singular(noun) is not None or (
        noun.endswith("s") and not noun.endswith(("ss", "us", "is", "series", "news"))
    )


def _names_someone(text: str, match: re.Match[str]) -> bool:
    """Whether the agent is a noun or a name, and not another word with the capital of a sentence's beginning."""
    agent = match["agent"]
    if agent.lower() in _OBJECT or agent.startswith(("Mr. ", "Mrs. ", "Miss ")):
        return True
    head = agent.split()[-1].lower()
    if head in ("which", "that", "who", "whose", "what"):
        return False
    if " " in agent:
        return is_noun(head) or singular(head) is not None
    if not starts_sentence(text, match.start()):
        return True
    known = lemminflect.getAllLemmas(head)
    return singular(head) is not None if known else head not in ("this", "that", "when", "then", "yet", "if")


def _turned(verb: str, modal: str | None, plural_agent: bool, several: bool) -> tuple[str | None, str]:
    """The verb's lemma, and the form of "be" that its passive takes after a thing or several things."""
    lemmas = lemminflect.getAllLemmas(verb).get("VERB", ())
    if modal:
        return (verb if verb in lemmas else None), f"{modal} be"
    if (lemma := past_lemma(verb)) is not None:
        return lemma, "were" if several else "was"
    if plural_agent:
        return (verb if verb in lemmas else None), "are" if several else "is"
    lemma = next((lemma for lemma in lemmas if verb == inflected(lemma, "VBZ")), None)
    return lemma, "are" if several else "is"


def hidden_agent(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A belief or a finding that nobody holds any more ("It is believed that")."""
    for match in _BELIEF.finditer(text):
        if word_before(text, match.start()) in ("do", "did", "does"):
            continue
        lemma = past_lemma(match["verb"])
        be = f"{match['modal']} be" if match["modal"] else "was" if lemma else "is"
        lemma = lemma or lemminflect.getAllLemmas(match["verb"])["VERB"][0]
        it = "It" if match["who"][0].isupper() and starts_sentence(text, match.start()) else "it"
        phrase = f"{it} {be} {inflected(lemma, 'VBN')}"
        yield changed(match, f"{phrase} that", criterion, f"passive-voice/{lemma}", phrase)


_VERB = re.compile(r"\b(he|she|it|they|we|I|He|She|It|They|We)? ?\b(was|were|had|[a-z]+)\b")
_MODAL_PAST = frozenset({"could", "would", "might", "should"})
_UNREAL = frozenset({"if", "as", "though", "wish", "wished", "there", "unless", "would"})


def present_for_past(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A verb in the present where the passage is in the past."""
    past = [
        match for match in _VERB.finditer(text)
        if match[2] in _PRESENT or (match[1] and match[2] not in _MODAL_PAST and past_lemma(match[2]))
    ]  # fmt: skip
    if len(past) < 4:
        return
    for match in past[1:]:
        who, lemma = (match[1] or "").lower(), past_lemma(match[2])
        if word_before(text, match.start()) in _UNREAL or (not who and word_before(text, match.start(2)) in _UNREAL):
            continue
        if match[2] in _PRESENT:
            if match[2] == "had" and who not in ("he", "she", "it"):
                continue
            now = "am" if who == "i" else _PRESENT[match[2]]
            now = "are" if who in ("we", "they", "you") and now == "is" else now
        elif lemma:
            now = inflected(lemma, "VBZ" if who in ("he", "she", "it") else "VB")
        else:
            continue
        place = re.compile(match[2]).match(text, match.start(2))
        if place:
            yield changed(place, now, criterion, "tense-shift/past to present")
