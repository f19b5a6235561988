"""What stands around a place of a text, and whether weak words would fit in there."""

from __future__ import annotations

import re

from training.injectors.inflection import belongs_to_noun, is_adjective, with_article

SMALL_WORDS = (
    "about|across|after|against|along|among|and|around|as|at|because|before|behind|beside|between|beyond|but|by|down|"
    "during|for|from|if|in|inside|into|near|of|off|on|onto|or|out|outside|over|past|round|since|so|than|that|through|"
    "till|to|toward|towards|under|until|up|upon|when|where|while|who|which|with|within|without"
)
# Words that a sentence begins with and that are small inside one.
SMALL = frozenset(
    {"The", "This", "These", "That", "Those", "It", "In", "On", "At", "We", "You", "They", "He", "She", "There", "A",
     "An", "Our", "Their", "His", "Her", "My", "Your", "Its", "When", "If", "While", "Since", "By", "From", "With",
     "After", "Before", "All", "Some", "Many", "Most", "No", "Each", "Every", "What", "How", "Both"}
)
_WORD = re.compile(r"\w+(?:[’'-]\w+)*")
_LAST_WORD = re.compile(r"([\w’']+) $")
_STOP = re.compile(r"[.?!:;](?=[\s”\"’)]|$)")
_SENTENCE_BEFORE = re.compile(r"(?:[.!?][)”\"]? |\n)$")
_TITLE_BEFORE = re.compile(r"\b[A-Z][a-z]+ $")
_TAG_BEFORE = re.compile(r"[,?!—-][”\"’'] $")
# Sentences that have an opener, or no claim of their own to put one before.
_OPENED = re.compile(
    r"It \w+ (?:\w+ )?(?:\w+ )?that\b|(?:This|That) is (?:because|why)|There is no|The fact|In (?:addition|short|fact)"
)
_MUCH = re.compile(
    r"great|large|lots|many|numerous|plenty|size?able|considerable|fair|substantial|very|wide|big|long"
)
_FIGURE = re.compile(r"\d+(?:\.\d+)?")
_FEW = {"two": 2.0, "three": 3.0, "four": 4.0}
# What stands before a word that is a verb in that form and not a noun or an adjective.
_BEFORE_VERB = frozenset(
    {"to", "will", "would", "can", "could", "may", "might", "must", "should", "not", "we", "they", "i", "you", "who",
     "also", "cannot", "did", "do", "does"}
)
_BEFORE_THIRD_PERSON = frozenset({"he", "she", "it", "this", "that", "which", "who", "also"})
_NOT_BEFORE_VERB = frozenset(
    {"the", "a", "an", "his", "her", "its", "their", "my", "our", "your", "this", "these", "those", "of"}
)
_HAVE = frozenset({"have", "has", "had", "having"})
# A past after one of these is a participle: part of a passive, or of a shortened clause, or an adjective.
_BEFORE_PARTICIPLE = frozenset(
    {"be", "is", "are", "was", "were", "been", "being", "am", "get", "gets", "got", "when", "if", "as", "than",
     "once", "not", "through", "with", "for", "by", "in", "on", "at", "from", "into", "of", "to", "without", "about",
     "between", "under", "and", "or", "more", "most", "less", "very", "new", "any", "no", "some", "all", "other",
     "such"}
)
_ADVERBS = frozenset(
    {"also", "then", "now", "only", "just", "never", "always", "still", "not", "often", "already", "first", "further"}
)
_DEGREES = frozenset(
    {"very", "more", "most", "so", "too", "as", "less", "rather", "quite", "how", "equally", "least", "almost", "not"}
)
_NO_DEGREE = frozenset({"a", "an", "the", "in", "at", "on", "no", "every", "all", "always", "invariably", "everyone"})
# After these "if" and "when" belong to what comes before them.
_BEFORE_OTHER_IF = frozenset(
    {"as", "even", "only", "see", "know", "wonder", "ask", "asked", "wondered", "tell", "what", "sure", "or", "and"}
)
_BESIDE_NUMBER = frozenset(
    {"nearly", "almost", "over", "under", "about", "perhaps", "exactly", "just", "only", "to", "than", "another",
     "next", "last", "past", "first", "all", "the", "these", "those", "his", "her", "their", "our", "its", "or",
     "between", "and", "approximately", "around", "some", "hundred", "thousand", "least", "most", "every", "aged",
     "age"}
)
_AFTER_NUMBER = re.compile(r",? (?:\d|and \d|or |old\b|of age|late)")
_INSIDE_A_FIGURE = frozenset("–—-−/.,^×∼~≥≤<>±$£€#§=")
# Words that weak phrases begin with and that no determiner, adjective or noun may stand before.
_HEADS = frozenset(
    {"the", "a", "an", "some", "certain", "various", "all", "every", "each", "many", "something", "no", "several",
     "positive", "numerous", "lots", "plenty", "quite", "few", "very", "repeatedly", "what", "people", "places",
     "drink", "stuff", "issues", "difficulties", "flowers", "trees", "bloated", "corporate", "petty", "self-serving",
     "greedy", "jumped-up", "armchair", "professional", "so-called", "self-appointed", "careerist", "crooks",
     "everyone", "everybody", "nobody", "eggheads", "parasites", "gamblers", "screeching",
     "starry-eyed", "desk-bound"}
)
_NOT_BEFORE_HEAD = _NOT_BEFORE_VERB | frozenset(
    {"all", "about", "than", "only", "at", "approximately", "first", "last", "past", "next", "very"}
)
_LINKS = frozenset(SMALL_WORDS.split("|")) - {"all", "about", "than", "at", "past"}


def is_statement(text: str, start: int) -> bool:
    """Whether the sentence that begins there ends in a full stop."""
    end = _STOP.search(text, start)
    return end is not None and end[0] == "."


def starts_sentence(text: str, start: int) -> bool:
    return start == 0 or bool(_SENTENCE_BEFORE.search(text[max(0, start - 4) : start]))


def can_be_opened(text: str, start: int) -> bool:
    """Whether a phrase can be put before the sentence that begins there."""
    return is_statement(text, start) and not _OPENED.match(text, start)


def word_before(text: str, start: int, *, over_adverbs: bool = False) -> str:
    """The last word before the place, in small letters; `over_adverbs`: what such words between it and a verb hide."""
    words = [word.lower() for word in _WORD.findall(text[max(0, start - 40) : start])]
    while over_adverbs and words and words[-1] in _ADVERBS:
        words.pop()
    return words[-1] if words else ""


def verb_tag(text: str, start: int, tag: str) -> str | None:
    """The Penn tag of a verb's form at the place, given what it may be; None where it does not look like a verb."""
    before = word_before(text, start)
    wanted = {"VB": _BEFORE_VERB, "VBZ": _BEFORE_THIRD_PERSON}.get(tag)
    if before in _NOT_BEFORE_VERB or (wanted is not None and before not in wanted):
        return None
    if tag == "VBG" and (before == "such" or is_adjective(before)):
        return None
    if tag in ("VBD", "VBN"):
        before = word_before(text, start, over_adverbs=True)
        if before in _HAVE:
            return "VBN"
        return None if before in _BEFORE_PARTICIPLE or before.endswith("ly") else tag
    return tag


def out_of_place(text: str, match: re.Match[str]) -> bool:
    """Whether what stands before the match makes it part of a figure, of a tag after speech or of another phrase."""
    start, found = match.start(), match[0]
    two_before = text[max(0, start - 2) : start - 1]
    if text[start - 1 : start] in _INSIDE_A_FIGURE or two_before in _INSIDE_A_FIGURE - {".", ","}:
        return True
    word, slots = _last_word(text, start), match.groupdict()
    if slots.get("number") == found.split()[0].split("%")[0].split("-")[0]:
        after = _AFTER_NUMBER.match(text, match.end())
        if after or word in _BESIDE_NUMBER or word.isdigit():
            return True
    if slots.get("who") and _TITLE_BEFORE.search(text[max(0, start - 15) : start]):
        return True
    if found[0].isupper() and found.split()[0] != "I" and not slots.get("who") and not starts_sentence(text, start):
        return True
    if found.startswith(("if ", "when ")) and word in _BEFORE_OTHER_IF:
        return True
    return (found.isupper() and len(found) > 1) or bool(_TAG_BEFORE.search(text[max(0, start - 3) : start]))


def fits(text: str, match: re.Match[str], worse: str) -> bool:
    """Whether the weak words can stand in the place of the match, as far as the words beside it tell."""
    start, found = match.start(), match[0]
    return not (
        (worse.endswith(",") and text[match.end() : match.end() + 1] in set(",.;:!?"))
        or article_clash(text, start, found, worse)
        or _piled(text, start, worse)
        or _graded(text, start, found, worse)
    )


def miscounted(number: str, worse: str) -> bool:
    """Whether so small a number would never be called so much."""
    figure = _FIGURE.match(number.replace(",", ""))
    count = _FEW.get(number) or (float(figure[0]) if figure else 9.0)
    return count < 2 or (count < 5 and bool(_MUCH.search(worse)))


def article_clash(text: str, start: int, found: str, worse: str) -> bool:
    """Whether an article that stands before the place would no longer fit."""
    before = re.search(r"\b(an?) $", text[max(0, start - 4) : start], re.IGNORECASE)
    return before is not None and with_article(worse).split()[0] != before[1].lower()


def _last_word(text: str, start: int) -> str:
    """The word right before the place in small letters; empty where a stop or nothing stands there."""
    before = _LAST_WORD.search(text[max(0, start - 25) : start])
    return before[1].lower() if before else ""


def _graded(text: str, start: int, found: str, worse: str) -> bool:
    """Whether a word of degree that stands before the place no longer fits what follows it."""
    word, first = _last_word(text, start), worse.split()[0].lower()
    if word not in _DEGREES and not word.endswith("ly"):
        return False
    if found.endswith("ly") and word in _DEGREES:
        return True
    return is_adjective(found.lower()) or first.endswith("ly") or first in _NO_DEGREE


def _piled(text: str, start: int, worse: str) -> bool:
    """Whether the weak words begin like a phrase of their own behind a word that wants a single noun."""
    word = _last_word(text, start)
    if not word or word in _LINKS or worse.split()[0].lower() not in _HEADS:
        return False
    return word in _NOT_BEFORE_HEAD or belongs_to_noun(word)
