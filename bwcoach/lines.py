"""The lines answer: a line a finding, in text order, and the word done.

    3 B "the exact words" => "better words"      what should stand there instead may be left out
    3-5 B                                        a run of whole sentences, which quotes nothing
    done

A quote is copied as the prompt shows its sentence: delimiters disguised, blanks folded (prompt.number_sentences).
A span is of the text itself: parse finds the code points that the quoted characters stand for. Where only a JSON
schema can be asked for, an answer line is one object with the same four fields.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bwcoach.backends import Grammar, Line
from bwcoach.draft import Span
from bwcoach.prompt import disguise
from bwcoach.shown_sentence import ShownSentence, shown

DONE = "done"
# A greedy model that is stuck says the same for ever; nobody has more than this to say of a sentence.
MOST_PER_SENTENCE = 6
LONGEST_FIX = 300

_HEAD = re.compile(r"(?P<first>[0-9]{1,6})(?:-(?P<last>[0-9]{1,6}))? (?P<letter>[A-Za-z])(?P<rest>| .*)")
_ARROW = '" => "'


class Answer(NamedTuple):
    """One finding in a model's words: a span of the text, the index of its criterion, what would be better."""

    span: Span
    criterion: int
    fix: str | None


def render(
    answers: Sequence[tuple[Span, int, str | None]], text: str, sentences: Sequence[Span], letters: Sequence[str]
) -> str:
    """The answer that names these places (span, index of the criterion, fix), as a model is taught it.

    Spans are widened to whole words, those that reach over a sentence's end to whole sentences. A quote that would
    be found at an earlier place takes in neighbouring words until it is not. A sentence gets at most
    MOST_PER_SENTENCE lines; a fix is one line of text, and none where it is longer than LONGEST_FIX.
    """
    lines: list[str] = []
    told: dict[int, int] = {}
    earlier: list[Answer] = []
    for answer in sorted(map(Answer._make, answers), key=lambda a: (a.span.start, -a.span.end, a.criterion)):
        touched = [n for n, sentence in enumerate(sentences) if answer.span.overlap(sentence)]
        if not touched or told.get(touched[0], 0) == MOST_PER_SENTENCE:
            continue
        fix = None if answer.fix is None else " ".join(disguise(answer.fix).split())
        fix = None if fix is not None and len(fix) > LONGEST_FIX else fix
        if len(touched) > 1:
            line = f"{touched[0] + 1}-{touched[-1] + 1} {letters[answer.criterion]}"
            line += f' => "{fix}"' if fix is not None else ""
        else:
            seen = shown(text, sentences[touched[0]])
            quote = _quote(seen, answer, earlier)
            if quote is None:
                continue
            rest = f'"{quote}" => "{fix}"'
            # A fix that begins like the text behind the quote would be read as part of the quote.
            if fix is None or _split(rest, seen.text) != (quote, fix):
                rest = f'"{quote}"'
            line = f"{touched[0] + 1} {letters[answer.criterion]} {rest}"
        told[touched[0]] = told.get(touched[0], 0) + 1
        lines.append(line)
        read = parse(line, text, sentences, letters, earlier)
        if read is not None:
            earlier.append(read)
    return "\n".join([*lines, DONE])


def parse(
    line: str, text: str, sentences: Sequence[Span], letters: Sequence[str], earlier: Collection[Answer] = ()
) -> Answer | None:
    """What a line says, or None for one that names no place in the text, `done` included (see `says_nothing`).

    A quote that stands several times in its sentence is the first place that none of the `earlier` answers to the
    same prompt has taken for the same criterion, or the first place if all are taken.
    """
    line = line.strip()
    if line.startswith("{"):
        return parse_json(line, text, sentences, letters, earlier)
    head = _HEAD.fullmatch(line)
    if head is None or head["letter"] not in letters:
        return None
    first, last = int(head["first"]), int(head["last"] or head["first"])
    if not 1 <= first <= last <= len(sentences):
        return None
    criterion, rest = list(letters).index(head["letter"]), head["rest"].strip()
    if head["last"]:
        fix = re.fullmatch(r'=> "(.*)"', rest)
        if rest and fix is None:
            return None
        return Answer(_run(text, sentences[first - 1 : last]), criterion, fix[1] if fix else None)
    seen = shown(text, sentences[first - 1])
    quote, better = _split(rest, seen.text)
    return _find(quote, seen, criterion, better, earlier)


def parse_json(
    line: str, text: str, sentences: Sequence[Span], letters: Sequence[str], earlier: Collection[Answer] = ()
) -> Answer | None:
    """The same for an object of the JSON form; an empty quote names the whole sentence or run of sentences."""
    try:
        fields = json.loads(line)
        number, letter, quote, fix = (fields.get(key) for key in ("sentence", "criterion", "quote", "fix"))
    except (ValueError, AttributeError, RecursionError):
        return None
    place = re.fullmatch(r"\s*([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?\s*", str(number))
    if place is None or letter not in letters or not isinstance(quote, str) or not isinstance(fix, str | None):
        return None
    first, last = int(place[1]), int(place[2] or place[1])
    if not 1 <= first <= last <= len(sentences):
        return None
    criterion = list(letters).index(letter)
    if last > first or not quote.strip():
        return Answer(_run(text, sentences[first - 1 : last]), criterion, fix)
    return _find(" ".join(quote.split()), shown(text, sentences[first - 1]), criterion, fix, earlier)


def says_nothing(line: str) -> bool:
    """Whether a line is the end of an answer rather than a finding that could not be read."""
    return line.strip() in ("", DONE)


def grammar(text: str, sentences: Sequence[Span], letters: Sequence[str]) -> Grammar:
    """What an answer about this text may be: findings in the order of the sentences, any of them or none, then done.

    A quote is a run of its sentence's words, blanks and marks that begins and ends with no blank. A line is one
    terminal, so that a quotation mark inside a sentence cannot be mistaken for the end of the quote.
    """
    letter = f"/[{''.join(letters)}]/"
    rules = [f'FIX: " => \\"" /[^\\n]{{0,{LONGEST_FIX}}}/ "\\""']
    steps: list[str] = []
    for n, sentence in enumerate(sentences, 1):
        seen = shown(text, sentence)
        chunks = [seen.text[start:end] for start, end in seen.chunks]
        # Servers take a grammar with this sign in it for one in another notation.
        listed = json.dumps({"substring_chunks": chunks}).replace("::=", "\\u003a:=")
        rules.append(f'L{n}: "{n} " {letter} " \\"" (%regex {listed} & /\\S(.*\\S)?/) "\\"" FIX? "\\n"')
        kinds = f"L{n}"
        if n < len(sentences):
            lasts = " | ".join(f'"{last}"' for last in range(n + 1, len(sentences) + 1))
            rules.append(f'R{n}: "{n}-" ({lasts}) " " {letter} FIX? "\\n"')
            kinds = f"(L{n} | R{n})"
        steps.append(f"{kinds}{{0,{MOST_PER_SENTENCE}}}")
    # A vocabulary that puts a blank before every text has taught the model to begin with it.
    return Grammar(f'start: " "? {" ".join(steps)} "{DONE}"\n' + "\n".join(rules) + "\n", _json_schema(letters))


def confidence(line: Line) -> float | None:
    """p(letter) x (p(q1) ... p(qn))^(1/n): the probability of the criterion's letter, times the geometric mean over
    the n pieces of the quote. A run of sentences has the letter's alone. None where the server gave none."""
    parts = _parts(line.text)
    if not line.pieces or parts is None or "".join(line.pieces).strip() != line.text.strip():
        return None
    shift = _blanks("".join(line.pieces)) - _blanks(line.text)
    label, quote = parts
    of_quote: list[float] = []
    start, of_label = -shift, 1.0
    for piece, probability in zip(line.pieces, line.probabilities, strict=True):
        end = start + len(piece)
        if start <= label < end:
            of_label = probability
        elif start < quote.end and end > quote.start:
            of_quote.append(probability)
        start = end
    return of_label * (geometric_mean(of_quote) or 1.0)


def geometric_mean(probabilities: Sequence[float]) -> float | None:
    """(p1 ... pn)^(1/n), None of none."""
    if not probabilities:
        return None
    return math.exp(sum(math.log(max(p, 1e-30)) for p in probabilities) / len(probabilities))


def _parts(line: str) -> tuple[int, Span] | None:
    """Where a line has its letter and its quote."""
    if line.lstrip().startswith("{"):
        label = re.search(r'"criterion"\s*:\s*"(?=.)', line)
        quote = re.search(r'"quote"\s*:\s*"((?:[^"\\]|\\.)*)"', line)
        return (label.end(), Span(*quote.span(1))) if label and quote else None
    head = _HEAD.match(line.rstrip(), _blanks(line))
    if head is None:
        return None
    start = head.start("rest") + 2
    if head["last"]:
        return head.start("letter"), Span(start, start)
    end = line.find(_ARROW, start)
    return head.start("letter"), Span(start, max(start, end if end >= 0 else len(line.rstrip()) - 1))


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip())


def _run(text: str, sentences: Sequence[Span]) -> Span:
    return Span(shown(text, sentences[0]).whole.start, shown(text, sentences[-1]).whole.end)


def _find(
    quote: str, seen: ShownSentence, criterion: int, fix: str | None, earlier: Collection[Answer]
) -> Answer | None:
    """The first place of the quote that is not taken."""
    spans = list(seen.find(quote)) if quote.strip() else []
    taken = {answer.span for answer in earlier if answer.criterion == criterion}
    free = [span for span in spans if span not in taken]
    return Answer((free or spans)[0], criterion, fix) if spans else None


def _quote(seen: ShownSentence, answer: Answer, earlier: Collection[Answer]) -> str | None:
    """The whole words that the span touches, and as many neighbours as point out the right place; None where it
    touches none or an earlier answer says the same."""
    chunks = seen.chunks
    touched = [
        n for n in range(len(chunks)) if not seen.is_blank(n) and seen.span(*chunks[n]).overlap(answer.span)
    ]
    if not touched:
        return None
    first, last = touched[0], touched[-1]
    taken = {told.span for told in earlier if told.criterion == answer.criterion}
    if seen.span(chunks[first][0], chunks[last][1]) in taken:
        return None
    while True:
        start, end = chunks[first][0], chunks[last][1]
        quote = seen.text[start:end]
        found = _find(quote, seen, answer.criterion, None, earlier)
        if (found is not None and found.span == seen.span(start, end)) or (first, last) == (0, len(chunks) - 1):
            return quote
        if last < len(chunks) - 1:
            last += 2 if seen.is_blank(last + 1) else 1
        else:
            first -= 2 if seen.is_blank(first - 1) else 1


def _split(rest: str, sentence: str) -> tuple[str, str | None]:
    """Quote and fix of `"quote" => "fix"`; either may hold quotation marks, so the longest quote that the sentence
    holds is meant."""
    if len(rest) < 2 or not (rest.startswith('"') and rest.endswith('"')):
        return "", None
    bare = rest[1:-1]
    if bare in sentence:
        return bare, None
    end = bare.rfind(_ARROW)
    while end >= 0:
        if bare[:end] in sentence:
            return bare[:end], bare[end + len(_ARROW) :]
        end = bare.rfind(_ARROW, 0, end)
    return bare, None


def _json_schema(letters: Sequence[str]) -> str:
    """The root is an object because some servers take no other; its description is what the model is told."""
    fields = {
        "sentence": {"type": "string", "description": "the number of the sentence, or 3-5 for a run of sentences"},
        "criterion": {"type": "string", "enum": list(letters)},
        "quote": {"type": "string", "description": "the exact words; empty for a run of sentences"},
        "fix": {"type": ["string", "null"], "description": "what should stand there instead, or null"},
    }
    finding = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return json.dumps({
        "description": 'Instead of lines, answer with JSON: {"findings": [{"sentence": "3", "criterion": "B", "quote": '
        '"the exact words", "fix": "better words"}]}, with an empty list when there is nothing to say.',
        "type": "object",
        "properties": {"findings": {"type": "array", "items": finding}},
        "required": ["findings"],
        "additionalProperties": False,
    })
