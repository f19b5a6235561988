"""From what a model answered to the one place that it changed, or to why the answer is of no use."""

from __future__ import annotations

import re
from enum import StrEnum

from training.injectors.word_diff import Change, changes, word_count

# More changed words than this share of a passage are another text, not a worse place of the same.
MOST_CHANGED = 1 / 3
# A refusal is looked for so far into an answer.
_NEAR_START = 300


class Reason(StrEnum):
    """Why there is no example, in the words of quarantine.jsonl and of the counts."""

    TOO_LONG = "longer than the model's context"
    FAILED = "the model failed to answer"
    EMPTY = "empty answer"
    REFUSED = "refusal"
    CUT_SHORT = "cut short"
    BROKEN = "broken characters"
    MARKUP = "markup in the text"
    COMMENT = "comment in the text"
    OTHER_LANGUAGE = "another language"
    SEVERAL_TEXTS = "several texts"
    NO_CHANGE = "nothing changed"
    REWRITTEN = "rewritten"
    SEVERAL_PLACES = "several places changed"
    TOUCHES = "touches an earlier weakness"
    DISAGREES = "second reading disagrees"
    UNCLEAR = "second reading is unclear"


_BEGIN = re.compile(r"\[\[\s*BEGIN\s*\]\]", re.IGNORECASE)
_END = re.compile(r"\[\[\s*END\s*\]\]", re.IGNORECASE)
_BETWEEN = re.compile(rf"{_BEGIN.pattern}((?:(?!{_BEGIN.pattern}).)*?){_END.pattern}", re.IGNORECASE | re.DOTALL)
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]")
_MARKUP = re.compile(r"```|\*\*|__|~~|\[\[|\]\]|[{}]|</?[a-z]+>|#{1,6}\s|=>", re.IGNORECASE)
# What nobody says in a draft, and what only looks like a refusal where the passage is gone.
_REFUSES_TASK = re.compile(
    r"\bas an? (?:AI\b|artificial|(?:large )?language model)"
    r"|\bI(?:['’]m| am) (?:\w+ )?sorry,? (?:but )?I\b"
    r"|\bI (?:cannot|can['’]t|can not|won['’]t) (?:help|assist|comply|fulfil|rewrite)\b"
    r"|\bI (?:cannot|can['’]t) make (?:this|the) (?:text|passage)\b",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    rf"{_REFUSES_TASK.pattern}|\bsorry\b|\bI apologi[sz]e\b"
    r"|\bI(?:['’]m| am) (?:not able|unable|not comfortable|not allowed)\b"
    r"|\bI (?:cannot|can['’]t|can not|won['’]t|will not|must decline|do not feel|don['’]t feel)\b",
    re.IGNORECASE,
)
# What nobody says in a draft, and what only looks like a comment where no marker says where the text ends.
_REMARK = re.compile(
    r"\b(?:here is|here['’]s|below is|this is) (?:the|a|an|your|my)\b[^.\n]*:"
    r"|\b(?:note|explanation|changes?(?: made)?|criterion|weakness|findings?)[\"'*]*\s*:"
    r"|\bthe (?:revised|rewritten|modified|weakened|changed|original|given) (?:passage|text|version)\b",
    re.IGNORECASE,
)
_REMARKS = re.compile(
    rf"{_REMARK.pattern}|^\s*(?:sure|certainly|of course|okay|ok)\b"
    r"|\bI(?:['’]ve| have| would)? (?:change[d]?|replaced?|rewrote|rewritten|rephrased?|inserted|introduced)\b",
    re.IGNORECASE,
)
_STOPS = (".", "!", "?", "”", '"', "’", "'", ")", "…", ":", ";")
# Words that no English prose of some length is without.
_ENGLISH = frozenset(
    {"the", "a", "an", "of", "to", "in", "and", "or", "that", "is", "was", "are", "were", "it", "he", "she",
     "they", "we", "you", "i", "for", "on", "at", "with", "by", "from", "as", "not", "this", "his", "her", "be",
     "have", "has", "had", "but", "there", "their", "its", "one", "would", "if", "so", "no"}
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_NOT_LATIN = re.compile(r"[\u0370-\u1dff\u2c00-\ua6ff\ua900-\ud7ff]")
_LONG_REPLACEMENT = 8


def read_answer(answer: str, passage: str, shown: str) -> Change | Reason:
    """The place of the passage that was changed; `shown` is the passage as the model saw it, of the same length.

    The text is what stands between the prompt's two markers; whatever is said around them is passed over. An
    answer without markers is the text itself, if it holds no word of comment.
    """
    text = _text(answer)
    if isinstance(text, Reason):
        return text
    is_marked = bool(_END.search(answer))
    if _UNREADABLE.search(text) and not _UNREADABLE.search(shown):
        return Reason.BROKEN
    if "```" in text and "```" not in passage:
        return Reason.MARKUP
    found = changes(passage, text, shown)
    if not found:
        return Reason.NO_CHANGE
    if sum(change.words for change in found) > word_count(passage) * MOST_CHANGED:
        return _why_so_different(text, passage, is_marked)
    for change in found:
        if fault := _fault(change, passage, is_marked):
            return fault
    if not is_marked and passage.rstrip().endswith(_STOPS) and not text.endswith(_STOPS):
        return Reason.CUT_SHORT
    return found[0] if len(found) == 1 else Reason.SEVERAL_PLACES


def _text(answer: str) -> str | Reason:
    if not answer.strip():
        return Reason.EMPTY
    texts = {text.strip() for text in _BETWEEN.findall(answer)}
    if len(texts) > 1:
        return Reason.SEVERAL_TEXTS
    if texts:
        text = texts.pop()
    elif _BEGIN.search(answer):
        return Reason.REFUSED if _REFUSES.search(answer[:_NEAR_START]) else Reason.CUT_SHORT
    else:
        text = _END.split(answer)[0].strip()
    return text or Reason.EMPTY


def _why_so_different(text: str, passage: str, is_marked: bool) -> Reason:
    start = text[:_NEAR_START]
    if _REFUSES.search(start) and not _REFUSES.search(passage):
        return Reason.REFUSED
    if _english_share(passage) >= 0.2 and _english_share(text) < 0.08:
        return Reason.OTHER_LANGUAGE
    if not is_marked and _REMARKS.search(text) and not _REMARKS.search(passage):
        return Reason.COMMENT
    if not is_marked and " ".join(passage.split()).startswith(" ".join(text.split())[:-20] or text):
        return Reason.CUT_SHORT
    return Reason.REWRITTEN


def _fault(change: Change, passage: str, is_marked: bool) -> Reason | None:
    old, new = change.span.quote(passage), change.replacement
    if _MARKUP.search(new) and not _MARKUP.search(old):
        return Reason.MARKUP
    if _NOT_LATIN.search(new) and not _NOT_LATIN.search(passage):
        return Reason.OTHER_LANGUAGE
    if len(_WORD.findall(new)) >= _LONG_REPLACEMENT and _english_share(passage) >= 0.2 and not _english_share(new):
        return Reason.OTHER_LANGUAGE
    at_edge = not passage[: change.span.start].strip() or not passage[change.span.end :].strip()
    remark = _REMARK if is_marked else _REMARKS
    if at_edge and _REFUSES_TASK.search(new) and not _REFUSES_TASK.search(old):
        return Reason.REFUSED
    if at_edge and remark.search(new) and not remark.search(old):
        return Reason.COMMENT
    if change.is_cut and not is_marked and not passage[change.span.end :].strip():
        return Reason.CUT_SHORT
    return None


def _english_share(text: str) -> float:
    words = [word.lower() for word in _WORD.findall(text)]
    return sum(word in _ENGLISH for word in words) / max(1, len(words))
