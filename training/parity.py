"""Whether a GGUF answers as the Hugging Face folder it was made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from transformers import LlamaForCausalLM

from bwcoach.backends.llamacpp_context import LlamaContext
from bwcoach.backends.llamacpp_vocabulary import Vocabulary
from bwcoach.errors import StageError
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece

# What 16 bits may do: the largest difference of a logit as a share of the logits' standard deviation, and the mean
# Kullback-Leibler divergence in nats a token. A matrix in the wrong order is off by whole deviations.
LARGEST_SHARE, LARGEST_KL = 0.05, 1e-3

PROBES = (
    "The committee met on 14 March 2019 and, after a long debate, agreed to widen the road by 3.5 metres. Nobody on "
    "the council had asked the people who live beside it, although their gardens would be cut in half.\n\nWhy not?",
    "“I never said that,” she whispered — and the café fell silent. 😀 Rain ran down the windows; the old man by the "
    "door folded his newspaper, twice, as if the noise of it could hold the moment together.\n\tHe left.",
    "We train on 12,000 examples for 3 epochs with a learning rate of 2e-4. Accuracy rises from 71.2 % to 74.8 % "
    "(p < 0.05), which suggests that the effect is small but real; see Section 4.2 and  Table 1 for the details.",
)


@dataclass(frozen=True)
class Difference:
    """Of two models' logits on the probes: the largest, its share of the reference's standard deviation, and the
    mean divergence in nats a token."""

    largest: float
    share: float
    mean_kl: float

    @property
    def within_16_bits(self) -> bool:
        return self.share <= LARGEST_SHARE and self.mean_kl <= LARGEST_KL

    def as_dict(self) -> dict[str, float]:
        return {key: float(f"{value:.3g}") for key, value in asdict(self).items()}


def reference_logits(base: Path, adapter: Path | None = None) -> NDArray[np.float32]:
    """What transformers computes on the CPU in 32 bits, (tokens of all probes, vocabulary).

    Needs four bytes of memory a parameter.
    """
    processor = load_sentencepiece(base / SENTENCEPIECE_FILE)
    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True, use_safetensors=True)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    with torch.no_grad():
        rows = [model(torch.tensor([[processor.bos_id(), *processor.encode(text)]])).logits[0] for text in PROBES]
    return np.concatenate([row.float().numpy() for row in rows])


def gguf_logits(base: Path, adapter: Path | None, vocabulary: Path) -> NDArray[np.float32]:
    """The same from a GGUF, with its adapter on where there is one; StageError if its pieces are not those of the
    SentencePiece model in the folder `vocabulary`."""
    processor = load_sentencepiece(vocabulary / SENTENCEPIECE_FILE)
    model = LlamaContext(base, adapter, context=1024, threads=torch.get_num_threads())
    pieces = Vocabulary(model.vocab)
    rows = []
    for text in PROBES:
        ids = pieces.ids(text)
        if ids != processor.encode(text):
            raise StageError(
                f"{base}: llama.cpp cuts text into other pieces than {vocabulary / SENTENCEPIECE_FILE}; only BPE "
                "vocabularies without normalisation can be exported."
            )
        model.start(tuned=adapter is not None)
        tokens = [(token, i, 0, True) for i, token in enumerate([processor.bos_id(), *ids])]
        for first in range(0, len(tokens), model.call_tokens):
            rows.append(model.decode(tokens[first : first + model.call_tokens]).copy())
    return np.concatenate(rows)


def difference(reference: NDArray[np.float32], other: NDArray[np.float32]) -> Difference:
    """KL(reference || other), and how far single logits are apart."""
    largest = float(np.abs(reference - other).max())
    ours, theirs = (torch.log_softmax(torch.from_numpy(x).double(), -1) for x in (reference, other))
    mean_kl = float((ours.exp() * (ours - theirs)).sum(-1).mean())
    return Difference(largest, largest / float(reference.std()), mean_kl)
