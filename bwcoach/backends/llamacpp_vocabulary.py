"""The vocabulary of a GGUF: texts to piece ids and back, and which characters a piece covers."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import llama_cpp
import numpy as np
from llguidance import LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab
from numpy.typing import NDArray

from bwcoach.backends.templates import ChatTemplate, Segment
from bwcoach.errors import BackendError, ModelError

# SentencePiece writes a blank as this sign, so in its vocabularies the sign itself reads as a blank.
_BLANK = "\u2581"
_LONGEST_PIECE = 1024
_NAMED = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED


class Vocabulary:
    """A view of a loaded model's vocabulary; lives no longer than the model."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self.size: int = llama_cpp.llama_vocab_n_tokens(vocab)
        self._blank_is_sign = llama_cpp.llama_vocab_type(vocab) == llama_cpp.LLAMA_VOCAB_TYPE_SPM

    def ids(self, text: str) -> list[int]:
        """The pieces of a text, nothing added, nothing in it read as a special token.

        A lone surrogate, which no vocabulary has, is read as a question mark.
        """
        return self._ids(text, special=False)

    def prompt_ids(self, segments: Sequence[Segment]) -> list[int]:
        """A rendered template, behind the one token that begins a sequence where the vocabulary has one."""
        found: list[int] = []
        for segment in segments:
            ids = self._ids(segment.text, special=segment.special)
            if segment.special and len(ids) != 1:
                raise ModelError(f"the chat template names {segment.text}, which is not a token of the vocabulary.")
            found += ids
        bos: int = llama_cpp.llama_vocab_bos(self._vocab)
        if llama_cpp.llama_vocab_get_add_bos(self._vocab) and found[:1] != [bos]:
            found.insert(0, bos)
        return found

    def piece_id(self, text: str) -> int:
        """The id of a text that is one ordinary piece; a candidate for which to look at the logits."""
        found = self._ordinary.get(self._visible(text).encode("utf-8", "replace"))
        if found is None:
            raise BackendError(f"{text!r} is not one piece of this model's vocabulary; its card names wrong labels.")
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
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64) - added
        starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
        values = np.frombuffer(encoded, dtype=np.uint8)
        # The character that each byte belongs to: bytes 10xxxxxx go on with the one before.
        characters = np.cumsum((values & 0xC0) != 0x80) - 1
        spans = np.zeros((len(pieces), 2), dtype=np.int64)
        whole = ends > starts
        spans[whole, 0] = characters[starts[whole]]
        spans[whole, 1] = characters[ends[whole] - 1] + 1
        return spans

    def ends_answer(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """What each piece stands for; nothing for control tokens."""
        buffer = ctypes.create_string_buffer(_LONGEST_PIECE)
        found = []
        for token in range(self.size):
            length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, _LONGEST_PIECE, 0, False)
            found.append(buffer.raw[: max(0, length)])
        return tuple(found)

    @cached_property
    def blank(self) -> int | None:
        """The piece that this vocabulary puts before a text that would not begin with it; None where it puts none."""
        first = self.ids("\n")
        return first[0] if len(first) == 2 and self.pieces[first[0]] == b" " else None

    @cached_property
    def grammar_tokenizer(self) -> LLTokenizer:
        return lltokenizer_from_vocab(self._vocab)

    def chat_template(self, source: str) -> ChatTemplate:
        names = tuple(
            llama_cpp.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace")
            for token in range(self.size)
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & _NAMED
        )
        bos, eos = (self._name(f(self._vocab)) for f in (llama_cpp.llama_vocab_bos, llama_cpp.llama_vocab_eos))
        return ChatTemplate(source, names, bos, eos)

    @cached_property
    def _ordinary(self) -> dict[bytes, int]:
        normal = llama_cpp.LLAMA_TOKEN_ATTR_NORMAL
        return {
            piece: token for token, piece in reversed(list(enumerate(self.pieces)))
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & normal
        }

    def _visible(self, text: str) -> str:
        return text.replace(_BLANK, " ") if self._blank_is_sign else text

    def _name(self, token: int) -> str:
        return llama_cpp.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace") if token >= 0 else ""

    def _ids(self, text: str, *, special: bool) -> list[int]:
        encoded = text.encode("utf-8", "replace")
        room = len(encoded) + 8
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocab, encoded, len(encoded), buffer, room, False, special)
        if count < 0:
            raise BackendError(f"llama.cpp could not split a text of {len(text)} characters into pieces.")
        return list(buffer[:count])
