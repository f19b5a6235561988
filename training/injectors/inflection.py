"""Words and their inflected forms, from a dictionary: no tagger, so context has to say the rest."""

from __future__ import annotations

from functools import cache

import lemminflect

# "am" and "was" differ by person, which no tag of the dictionary tells.
_BE = {"be": "VB", "am": "VBP", "are": "VBP", "is": "VBZ", "was": "VBD", "were": "VBD", "been": "VBN", "being": "VBG"}


_COUNTING = frozenset(
    {"one", "two", "three", "many", "much", "more", "most", "such", "same", "other", "own", "last", "first"}
)


# Small words that the dictionary has as nouns too.
_NO_NOUN = frozenset(
    {"that", "which", "who", "what", "so", "as", "if", "while", "well", "will", "can", "may", "might", "must",
     "no", "he", "she", "it", "we", "they", "i", "in", "on", "at", "by", "up", "down", "out", "off", "then",
     "than", "to", "how", "when", "where", "why", "now", "here", "there", "all", "else", "one", "two", "three",
     "even", "still", "both"}
)


@cache
def verb_forms(lemma: str) -> dict[str, str]:
    """Every form of a verb with its Penn tag; one that serves as past and participle is given as the past."""
    if lemma == "be":
        return dict(_BE)
    forms: dict[str, str] = {}
    for tag in ("VB", "VBP", "VBZ", "VBD", "VBN", "VBG"):
        for form in lemminflect.getInflection(lemma, tag):
            forms.setdefault(form, tag)
    return forms


@cache
def inflected(lemma: str, tag: str) -> str:
    """A verb in the form that the tag names: "make", "VBD" gives "made"."""
    if lemma == "be":
        return {"VB": "be", "VBP": "are", "VBZ": "is", "VBD": "was", "VBN": "been", "VBG": "being"}[tag]
    return "got" if (lemma, tag) == ("get", "VBN") else str(lemminflect.getInflection(lemma, tag)[0])


@cache
def past_lemma(word: str) -> str | None:
    """The verb whose past the word can be, unless its present looks the same ("put"); None for every other word."""
    verbs = lemminflect.getAllLemmas(word).get("VERB", ())
    return next((v for v in verbs if v != word and word in lemminflect.getInflection(v, "VBD")), None)


@cache
def singular(word: str) -> str | None:
    """The singular of a plural noun in -s; None for every other word."""
    lemmas = lemminflect.getAllLemmas(word).get("NOUN", ())
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss") or not lemmas or word in lemmas:
        return None
    return str(lemmas[0])


@cache
def is_adjective(word: str) -> bool:
    """Whether the word can be an adjective and cannot be a verb or an adverb."""
    lemmas = lemminflect.getAllLemmas(word)
    return "ADJ" in lemmas and not {"VERB", "ADV", "AUX"} & set(lemmas) and word not in _COUNTING


@cache
def is_noun(word: str) -> bool:
    """Whether the word can be a singular noun and cannot be an adjective or a participle."""
    lemmas = lemminflect.getAllLemmas(word)
    return (
        word in lemmas.get("NOUN", ()) and "ADJ" not in lemmas and not word.endswith("ing") and word not in _NO_NOUN
    )


@cache
def belongs_to_noun(word: str) -> bool:
    """Whether the word, before a noun, can only be part of its phrase: an adjective, a noun, one no dictionary has."""
    kinds = set(lemminflect.getAllLemmas(word))
    return bool(kinds & {"NOUN", "ADJ"} and not kinds & {"VERB", "AUX", "ADV"}) or (not kinds and len(word) > 4)


def with_article(phrase: str) -> str:
    """"a" or "an" before the phrase, by its first letter and the few words that sound unlike it."""
    first = phrase.split()[0].lower()
    silent = first.startswith(("hour", "honest", "honour", "honor", "heir"))
    glide = first.startswith(("uni", "use", "usu", "eu", "one", "once", "ubi", "uti"))
    return f"an {phrase}" if silent or (first[0] in "aeiou" and not glide) else f"a {phrase}"
