"""A SentencePiece vocabulary for a base that is trained from scratch, and its twin for transformers."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from training.corpus import Document

SENTENCEPIECE_FILE = "tokenizer.model"
SPACE = "\u2581"


def train_tokenizer(
    documents: dict[str, list[Document]], vocabulary: int, characters: int, seed: int, path: Path
) -> None:
    """Write `path`, a BPE model that has read `characters` of each genre's documents, or all there are.

    Text comes back from its pieces unchanged: no normalisation, no added or removed blanks, bytes where a
    character is unknown. Paragraphs are read one by one, so a newline is always a piece of its own.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_paragraphs(documents, characters, seed),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocabulary,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        character_coverage=0.9999,
        max_sentence_length=65536,
        num_threads=2,
        minloglevel=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())


def _paragraphs(documents: dict[str, list[Document]], characters: int, seed: int) -> Iterator[str]:
    for genre in sorted(documents):
        shuffled = sorted(documents[genre], key=lambda document: document.id)
        random.Random(seed).shuffle(shuffled)
        read = 0
        for document in shuffled:
            for paragraph in document.text.split("\n"):
                if paragraph and read < characters:
                    read += len(paragraph)
                    yield paragraph


def load_sentencepiece(path: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def to_transformers(processor: sentencepiece.SentencePieceProcessor) -> PreTrainedTokenizerFast:
    """The same vocabulary as a fast tokenizer: same pieces for the same text, with offsets."""
    size = processor.get_piece_size()
    vocabulary = {processor.id_to_piece(i): i for i in range(size)}
    # SentencePiece merges the adjacent pair whose union has the best score, and its BPE scores fall with the id.
    merges = sorted(
        (
            (piece[:cut], piece[cut:])
            for piece, index in vocabulary.items()
            if not (processor.is_control(index) or processor.is_byte(index) or processor.is_unknown(index))
            for cut in range(1, len(piece))
            if piece[:cut] in vocabulary and piece[cut:] in vocabulary
        ),
        key=lambda pair: (vocabulary[pair[0] + pair[1]], len(pair[0])),
    )
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )
