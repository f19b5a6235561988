"""A linear token tagger: what a language model has to beat when both are taught on the same rows."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from bwcoach import tags
from bwcoach.diagnosis import Finding, in_text_order
from bwcoach.draft import Draft
from bwcoach.rubric import Rubric
from training.evaluation_sets import judged_criteria
from training.examples import Example
from training.systems import Answer
from training.thresholds import LEAST_CONFIDENCE

_TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
_CITATION = re.compile(r"\((?:[^()]*\b(?:19|20)\d\d[a-z]?[^()]*)\)|\[\d+(?:[,;–-]\s*\d+)*\]")
_HASH = FeatureHasher(n_features=2**21, input_type="string", alternate_sign=False)
_NEAR = 40
_BAG = 5
# However many rows there are, so that more of them are not learnt by heart: they are versions of one another.
_TOKENS_SEEN, _MOST_EPOCHS = 3_000_000, 20


@dataclass(frozen=True)
class Tokens:
    """A text's words and stops, where they stand, and which sentence each is in."""

    text: str
    words: tuple[str, ...]
    spans: NDArray[np.int64]
    sentence: NDArray[np.int64]

    @staticmethod
    def of(text: str) -> Tokens:
        found = list(_TOKEN.finditer(text))
        spans = np.asarray([match.span() for match in found], dtype=np.int64).reshape(-1, 2)
        starts = np.asarray([sentence.start for sentence in Draft(text).sentences], dtype=np.int64)
        sentence = np.maximum(np.searchsorted(starts, spans[:, 0], side="right") - 1, 0)
        return Tokens(text, tuple(match.group() for match in found), spans, sentence)


@dataclass(frozen=True)
class LinearTagger:
    """One logistic regression a criterion over hashed features of each word and its neighbours.

    It is taught when it is first asked. A token's probability is grown into a span as the tags answer's are.
    """

    examples: Callable[[], Iterable[Example]]
    rubrics: Mapping[str, Rubric]
    seed: int = 0
    name: str = "linear tagger"
    extents: tuple[float, ...] = (0.3, 0.5, 0.7)

    @cached_property
    def fingerprint(self) -> str:
        """Of the rows it is taught on."""
        digest = hashlib.sha256(str(self.seed).encode())
        for example in self.examples():
            digest.update(example.to_json().encode())
        return digest.hexdigest()[:16]

    @cached_property
    def weights(self) -> dict[str, tuple[NDArray[np.float32], float]]:
        """For each criterion that has examples, a weight a feature and the intercept."""
        rows, spans, places = [], [], []
        first = 0
        for example in self.examples():
            tokens = Tokens.of(example.text)
            rows.append(_HASH.transform(features(tokens, example.rubric)))
            spans.append(tokens.spans)
            places.append((example, first))
            first += len(tokens.words)
        table = _stacked(rows)
        taught: dict[str, tuple[NDArray[np.float32], float]] = {}
        for criterion in sorted({f.criterion for example, _ in places for f in example.findings}):
            wanted, judged = np.zeros(first, dtype=np.int8), np.zeros(first, dtype=bool)
            for (example, start), inside in zip(places, spans, strict=True):
                if criterion in judged_criteria(self.rubrics[example.rubric], example.whole):
                    marked = [(f.span, 0) for f in example.findings if f.criterion == criterion]
                    judged[start : start + len(inside)] = True
                    wanted[start : start + len(inside)] = tags.targets(inside, marked, 1)[:, 0]
            if wanted.any():
                taught[criterion] = _fitted(table if judged.all() else table[judged], wanted[judged], self.seed)
        return taught

    def prepare(self) -> None:
        self.weights  # noqa: B018

    def probabilities(self, tokens: Tokens, rubric: Rubric) -> NDArray[np.float64]:
        """(tokens, criteria of the rubric); 0 for a criterion that had no examples."""
        table = _HASH.transform(features(tokens, rubric.name))
        columns = np.zeros((len(tokens.words), len(rubric.ids)))
        for column, criterion in enumerate(rubric.ids):
            if criterion in self.weights:
                weight, intercept = self.weights[criterion]
                columns[:, column] = 1 / (1 + np.exp(-np.clip(table @ weight + intercept, -60, 60)))
        return columns

    def find(self, text: str, rubric: Rubric, extent: float) -> Answer:
        tokens = Tokens.of(text)
        floors = [LEAST_CONFIDENCE] * len(rubric.ids)
        runs = tags.runs(text, tokens.spans, self.probabilities(tokens, rubric), floors, extent)
        return Answer(in_text_order([Finding(run.span, rubric.ids[run.criterion], run.confidence) for run in runs]))


def features(tokens: Tokens, rubric: str) -> Iterator[list[str]]:
    """For each token the names of what is true of it: its neighbours, its form, and what it repeats."""
    words = [word.lower() for word in tokens.words]
    padded = ["<", "<", *words, ">", ">"]
    kinds = [_kind(word) for word in tokens.words]
    sentences = _sentence_features(tokens, words)
    last_seen: dict[str, int] = {}
    counts = Counter(_stem(word) for word in words)
    for i, word in enumerate(words):
        a, b, c, d, e = padded[i : i + 5]
        named = [
            f"0{c}", f"-1{b}", f"+1{d}", f"-2{a}", f"+2{e}", f"-10{b} {c}", f"01{c} {d}", f"-21{a} {b}", f"12{d} {e}",
            f"-101{b} {c} {d}", f"012{c} {d} {e}", f"-210{a} {b} {c}", f"r{rubric} {c}", f"r{rubric}",
            f"k{kinds[i]}", f"k-{kinds[i - 1] if i else ''}", f"k-0{kinds[i - 1] if i else ''} {kinds[i]}",
        ]
        named += [f"p{n}{word[:n]}" for n in (3, 4, 5)] + [f"s{n}{word[-n:]}" for n in (2, 3, 4)]
        named += [f"s-{b[-3:]} {c[-3:]}", f"s+{c[-3:]} {d[-3:]}", f"s3-{b[-3:]}", f"s3+{d[-3:]}"]
        named += [f"b{w}" for w in words[max(0, i - _BAG) : i] if len(w) > 2]
        named += [f"a{w}" for w in words[i + 1 : i + 1 + _BAG] if len(w) > 2]
        named += sentences[tokens.sentence[i]]
        stem = _stem(word)
        if len(word) > 3:
            distance = i - last_seen[stem] if stem in last_seen else None
            echo = "new" if distance is None else "near" if distance <= _NEAR else "far"
            named += [f"echo{echo}", f"echo{echo} {stem}", f"echo{echo} {min(counts[stem], 5)}"]
        if kinds[i] == "CAPS":
            brackets = b == "(" or d == "("
            named.append(f"acronym {'again' if stem in last_seen else 'first'} {brackets} {min(counts[stem], 4)}")
        last_seen[stem] = i
        yield named


def _sentence_features(tokens: Tokens, words: list[str]) -> list[list[str]]:
    """What is true of every word of a sentence, by sentence."""
    count = int(tokens.sentence.max()) + 1 if words else 0
    members: list[list[int]] = [[] for _ in range(count)]
    for i, sentence in enumerate(tokens.sentence):
        members[sentence].append(i)
    openings = [words[inside[0]] if inside else "" for inside in members]
    named: list[list[str]] = []
    for s, inside in enumerate(members):
        if not inside:
            named.append([])
            continue
        text = tokens.text[tokens.spans[inside[0], 0] : tokens.spans[inside[-1], 1]]
        same = sum(openings[s] == opening for opening in (*openings[max(0, s - 2) : s], *openings[s + 1 : s + 3]))
        past = sum(words[i] in {"was", "were", "had"} or words[i].endswith("ed") for i in inside)
        present = sum(words[i] in {"is", "are", "has", "have"} for i in inside)
        begins = "\n" in tokens.text[tokens.spans[inside[0] - 1, 1] if inside[0] else 0 : tokens.spans[inside[0], 0]]
        named.append([
            f"open {openings[s]}", f"open {' '.join(words[i] for i in inside[:2])}", f"same {min(same, 3)}",
            f"length {min(len(inside) // 5, 8)}", f"digits {any(c.isdigit() for c in text)}",
            f"cited {bool(_CITATION.search(text))}", f"quoted {'“' in text or chr(34) in text}",
            f"place {min(s, 4)}", f"to end {min(count - 1 - s, 4)}", f"begins {begins}",
            f"tense {min(past, 2)} {min(present, 2)}",
        ])
    return named


def _kind(word: str) -> str:
    if not word[0].isalnum():
        return word
    if word[0].isdigit():
        return "1"
    if len(word) > 1 and word.isupper():
        return "CAPS"
    return "Word" if word[0].isupper() else "word"


def _stem(word: str) -> str:
    return word[:6]


def _stacked(rows: list[csr_matrix]) -> csr_matrix:
    """As scipy's vstack, for many small tables."""
    lengths = np.concatenate([np.diff(row.indptr) for row in rows])
    return csr_matrix((
        np.concatenate([row.data for row in rows]).astype(np.float32),
        np.concatenate([row.indices for row in rows]),
        np.concatenate([[0], np.cumsum(lengths)]),
    ), shape=(len(lengths), _HASH.n_features))


def _fitted(table: csr_matrix, wanted: NDArray[np.int8], seed: int) -> tuple[NDArray[np.float32], float]:
    epochs = min(_MOST_EPOCHS, math.ceil(_TOKENS_SEEN / len(wanted)))
    first_averaged = max(1, epochs * len(wanted) // 3)
    model = SGDClassifier(
        loss="log_loss", alpha=5e-6, max_iter=epochs, tol=None, average=first_averaged, random_state=seed
    )
    model.fit(table, wanted)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])
