"""The vocabulary of a Hugging Face tokenizer: texts to piece ids and back, and which characters a piece covers.

It agrees with that of the GGUF made from the same model (llamacpp_vocabulary.py), piece for piece and span for span.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from llguidance import LLTokenizer
from numpy.typing import NDArray

from bwcoach.backends import Prompt
from bwcoach.backends.templates import ChatTemplate, Segment, Template, render
from bwcoach.errors import BackendError, ModelError

# SentencePiece writes a blank as this sign, so in its vocabularies the sign itself reads as a blank.
_BLANK = "\u2581"


class TransformersVocabulary:
    """`size` is the model's, which may be padded beyond the tokenizer's; `ends` are the ids that end an answer."""

    def __init__(self, tokenizer: Any, size: int, ends: frozenset[int]) -> None:
        self.size = size
        self._tokenizer = tokenizer
        self._ends = ends
        self._named = frozenset(tokenizer.added_tokens_decoder) | frozenset(tokenizer.all_special_ids)

    def ids(self, text: str) -> list[int]:
        """The pieces of a text, nothing added, nothing in it read as a special token.

        A lone surrogate, which no vocabulary has, is read as a question mark.
        """
        plain = text.encode("utf-8", "replace").decode()
        found = self._tokenizer(plain, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return list(found["input_ids"])

    def prompt_ids(self, template: Template, prompt: Prompt) -> list[int]:
        """The prompt up to where the answer begins, behind the one token that begins a sequence.

        A vocabulary whose beginning is also its end (GPT-2's) has none that begins a prompt.
        """
        found: list[int] = []
        for segment in render(template, prompt, self._chat):
            found += [self._special(segment)] if segment.special else self.ids(segment.text)
        begin = self._tokenizer.bos_token_id
        if begin is not None and begin not in self._ends and found[:1] != [begin]:
            found.insert(0, begin)
        return found

    def piece_id(self, text: str) -> int:
        """The id of a text that is one ordinary piece; a candidate for which to look at the logits."""
        found = self._ordinary.get(self._visible(text).encode("utf-8", "replace"))
        if found is None:
            raise BackendError(f"{text!r} is not one piece of the vocabulary; the model's card names the wrong labels.")
        return found

    def spans(self, text: str, ids: Sequence[int]) -> NDArray[np.int64]:
        """Which code points of the text each of its pieces covers, (pieces, 2), half-open.

        A blank that the vocabulary put before the text covers nothing; a piece of part of a character covers it.
        """
        encoded = self._visible(text).encode("utf-8", "replace")
        pieces = [self.pieces[i] for i in ids]
        joined = b"".join(pieces)
        added = 1 if joined != encoded and joined == b" " + encoded else 0
        if joined[added:] != encoded:
            raise BackendError("The vocabulary does not give this text back as it was; places in it would be wrong.")
        # The character that each byte belongs to: bytes 10xxxxxx go on with the one before.
        characters = np.cumsum((np.frombuffer(encoded, dtype=np.uint8) & 0xC0) != 0x80) - 1
        spans = np.zeros((len(pieces), 2), dtype=np.int64)
        end = -added
        for row, piece in zip(spans, pieces, strict=True):
            start, end = max(end, 0), end + len(piece)
            if end > start:
                row[:] = characters[start], characters[end - 1] + 1
        return spans

    def ends_answer(self, token: int) -> bool:
        return token in self._ends

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """What each piece stands for; nothing for control tokens and for ids that only the model has."""
        known = min(self.size, len(self._tokenizer))
        texts = [b"" if i in self._named else self.grammar_tokenizer.decode_bytes([i]) for i in range(known)]
        return tuple(texts) + (b"",) * (self.size - known)

    @cached_property
    def blank(self) -> int | None:
        """The piece that this vocabulary puts before a text that would not begin with it; None where it puts none."""
        first = self.ids("\n")
        return first[0] if len(first) == 2 and self.pieces[first[0]] == b" " else None

    @cached_property
    def grammar_tokenizer(self) -> LLTokenizer:
        from llguidance.hf import from_tokenizer  # brings transformers, which only a model in this form needs

        return from_tokenizer(self._tokenizer, n_vocab=self.size, eos_token=sorted(self._ends) or None)

    @cached_property
    def _ordinary(self) -> dict[bytes, int]:
        numbered = reversed(list(enumerate(self.pieces)))
        return {piece: token for token, piece in numbered if piece and not self._byte(token)}

    @cached_property
    def _chat(self) -> ChatTemplate | None:
        source = self._tokenizer.chat_template
        if not isinstance(source, str):
            return None
        names = tuple(str(token) for token in self._tokenizer.added_tokens_decoder.values())
        return ChatTemplate(source, names, self._tokenizer.bos_token or "", self._tokenizer.eos_token or "")

    def _special(self, segment: Segment) -> int:
        found = self._tokenizer.convert_tokens_to_ids(segment.text)
        if not isinstance(found, int) or found not in self._named:
            raise ModelError(f"the chat template names {segment.text}, which is not a token of the vocabulary.")
        return found

    def _byte(self, token: int) -> bool:
        """Whether it is one of SentencePiece's 256 stand-ins for a byte, `<0x0A>`, which stand in for characters."""
        name = self._tokenizer.convert_ids_to_tokens(token)
        return name.startswith("<0x") and len(name) == 6

    def _visible(self, text: str) -> str:
        return text.replace(_BLANK, " ") if self._blank_is_sign else text

    @cached_property
    def _blank_is_sign(self) -> bool:
        return b"".join(self.pieces[i] for i in self.ids(f"a{_BLANK}a")).endswith(b"a a")


@lru_cache(maxsize=4)
def _vocabulary_of(tokenizer: Any) -> TransformersVocabulary:
    ends = frozenset(() if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,))
    return TransformersVocabulary(tokenizer, len(tokenizer), ends)


def encode_head(tokenizer: Any, template: Template, prompt: Prompt) -> list[int]:
    """A prompt's token ids up to where the answer begins, as every stage and backend has them."""
    return _vocabulary_of(tokenizer).prompt_ids(template, prompt)


def encode_answer(tokenizer: Any, answer: str) -> tuple[list[int], NDArray[np.int64]]:
    """An answer's token ids and the (tokens, 2) code points that they cover."""
    vocabulary = _vocabulary_of(tokenizer)
    ids = vocabulary.ids(answer)
    return ids, vocabulary.spans(answer, ids)
