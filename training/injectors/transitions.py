"""Links between sentences that are false, or gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from random import Random

from training.injectors.edit import Edit, changed
from training.injectors.forms import opened, words_of
from training.injectors.places import SMALL, is_statement, starts_sentence
from training.injectors.sentences import same_paragraph, sentences

# Signs of a turn inside the sentence itself: a false contrast before it would be half true.
_TURN = re.compile(
    r"\b(?:but|however|although|though|despite|yet|unlike|whereas|while|not|no|only|never)\b", re.IGNORECASE
)
_LINKED = re.compile(
    r"(?:It is|This is|That is|In addition|In contrast|In fact|In other|In short|As|In this|In that|In order"
    r"|At this point|At that|For this|For these|If|Since|While|When|By)\b"
)


@cache
def _connective(kind: str) -> re.Pattern[str]:
    words = words_of("weak-transition")["kinds"][kind]
    return re.compile(rf"\b({'|'.join(sorted(words, key=len, reverse=True))})(?=, )")


@cache
def _any_connective_to_verb() -> re.Pattern[str]:
    every = sorted((word for words in words_of("weak-transition")["kinds"].values() for word in words), key=len)
    verbs = "|".join(sorted(words_of("ambiguous-reference")["verbs"], key=len, reverse=True))
    subject = r"(?!(?:as|if|when|while|since|although|because|in|on|at|by|for|after|with)\b)(?:[\w-]+ ){1,6}?"
    return re.compile(rf"\b({'|'.join(reversed(every))}), ({subject}(?:{verbs}))\b")


def false_connective(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """A connective of another kind than the true one that stands there, or one where there was none."""
    words = words_of("weak-transition")
    kinds, false, planted = words["kinds"], words["untrue"], words["planted"]
    for kind in kinds:
        for match in _connective(kind).finditer(text):
            if match.start() and starts_sentence(text, match.start()):
                worse = rng.choice(kinds[rng.choice(false[kind])])
                yield changed(match, worse, criterion, f"weak-transition/{kind} to {worse}")
    pairs = [
        (before, after) for before, after in zip(sentences(text), sentences(text)[1:], strict=False)
        if same_paragraph(text, before, after) and not _LINKED.match(after.quote(text))
        and is_statement(text, after.start) and len(after) > 40
    ]  # fmt: skip
    for _, after in rng.sample(pairs, min(2, len(pairs))):
        word = re.compile(r"[A-Z][a-z]*\b").match(text, after.start)
        if word and word[0] in SMALL:
            turns = bool(_TURN.search(after.quote(text)))
            worse = rng.choice(planted["other"] if turns else [*planted["contrast"], *planted["other"]])
            yield opened(word, f"{worse},", criterion, "weak-transition/none to ")


def cut_connective(text: str, criterion: str, rng: Random) -> Iterator[Edit]:
    """The connective gone; what is marked runs to the first verb of its sentence."""
    for match in _any_connective_to_verb().finditer(text):
        opens_paragraph = "\n" in text[max(0, match.start() - 2) : match.start()]
        if match.start() and starts_sentence(text, match.start()) and not opens_paragraph:
            worse = match[2][0].upper() + match[2][1:]
            yield changed(match, worse, criterion, f"weak-transition/cut {match[1]}")
