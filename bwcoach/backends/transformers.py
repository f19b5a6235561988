"""A Hugging Face folder, with or without a PEFT adapter over it, in 4 bits where asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, DynamicCache

from bwcoach.backends import Grammar, Line, Prompt, Reading, Sampling
from bwcoach.backends.answer import Answer
from bwcoach.backends.templates import Template
from bwcoach.backends.transformers_vocabulary import TransformersVocabulary, encode_answer, encode_head
from bwcoach.errors import BackendError, ModelError

__all__ = ["Transformers", "encode_answer", "encode_head"]

# Tokens of all the sequences that are computed side by side.
BATCH_TOKENS = {"cuda": 16_384, "cpu": 2_048}
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


class Transformers:
    """One base in memory; the adapter is switched off for an untuned answer. Safe to call from several threads.

    bf16 on a GPU that has it, fp16 on one that has not, fp32 on the CPU; `load_in_4bit`: NF4 with its constants
    quantised again, computed in that type.
    """

    def __init__(
        self, folder: Path, adapter: Path | None = None, *, context: int, template: Template, load_in_4bit: bool = False
    ) -> None:
        self.name = folder.resolve().name
        self.has_adapter = adapter is not None
        self._template: Template = template
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        for weights in (folder, *([adapter] if adapter is not None else [])):
            _refuse_without_safetensors(weights)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = _load(folder, self._device, load_in_4bit)
            self._tuned = None
            if adapter is not None:
                self._tuned = PeftModel.from_pretrained(self._model, str(adapter), is_trainable=False).eval()
        except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
            raise ModelError(
                f"{adapter or folder}: transformers cannot load it ({_first_sentence(error)}); give a folder with "
                "config.json, tokenizer.json and *.safetensors, and an adapter that was made for this base."
            ) from error
        config = self._model.config
        self.context = min(context, getattr(config, "max_position_embeddings", context))
        ends = self._model.generation_config.eos_token_id
        listed = [self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])]
        self._vocabulary = TransformersVocabulary(
            self._tokenizer, config.vocab_size, frozenset(end for end in listed if end is not None)
        )
        self._lock = threading.Lock()
        self._adapter_is_on = True

    def count(self, text: str) -> int:
        return len(self._vocabulary.ids(text))

    def read(
        self, prompts: Sequence[Prompt], candidates: Sequence[str], *, tuned: bool, stop: threading.Event
    ) -> Iterator[Reading]:
        wanted = [self._vocabulary.piece_id(candidate) for candidate in candidates]
        answers = [self._vocabulary.ids(prompt.answer) for prompt in prompts]
        rows = [self._prompt_ids(prompt) + answer for prompt, answer in zip(prompts, answers, strict=True)]
        for row in rows:
            self._refuse_over_context(len(row))
        for batch in _batches([len(row) for row in rows], BATCH_TOKENS[self._device]):
            if stop.is_set():
                return
            logits = self._read([rows[n] for n in batch], [len(answers[n]) for n in batch], wanted, tuned)
            for number, values in zip(batch, logits, strict=True):
                yield Reading(number, self._vocabulary.spans(prompts[number].answer, answers[number]), values)

    def complete(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar | None], tuned: bool, sampling: Sampling,
        stop: threading.Event,
    ) -> Iterator[Line]:
        answers = [
            self._answer(number, prompt, grammar, sampling)
            for number, (prompt, grammar) in enumerate(zip(prompts, grammars, strict=True))
        ]
        longest = [len(answer.tokens) + answer.room for answer in answers]
        for batch in _batches(longest, BATCH_TOKENS[self._device]):
            yield from self._together([answers[n] for n in batch], tuned, stop)

    def _prompt_ids(self, prompt: Prompt) -> list[int]:
        return self._vocabulary.prompt_ids(self._template, prompt)

    def _refuse_over_context(self, tokens: int) -> None:
        if tokens > self.context:
            raise BackendError(
                f"A prompt of {tokens} tokens is more than the {self.context} that {self.name} takes at once; "
                "lower the window in its card, or take a model with a longer context."
            )

    def _read(
        self, rows: Sequence[list[int]], kept: Sequence[int], wanted: list[int], tuned: bool
    ) -> list[NDArray[np.float32]]:
        """The wanted columns of the logits of each row's last tokens: of the head's matrix only these rows are used."""
        ids, mask = self._padded(rows)
        with self._lock, torch.inference_mode():
            self._switch(tuned)
            hidden = self._hidden(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            head = self._model.get_output_embeddings()
            weight = head.weight[wanted].float()
            bias = None if getattr(head, "bias", None) is None else head.bias[wanted].float()
            return [
                torch.nn.functional.linear(states[len(row) - keep : len(row)].float(), weight, bias).cpu().numpy()
                for states, row, keep in zip(hidden, rows, kept, strict=True)
            ]

    def _answer(self, number: int, prompt: Prompt, grammar: Grammar | None, sampling: Sampling) -> Answer:
        tokens = self._prompt_ids(prompt) + (self._vocabulary.ids(prompt.answer) if prompt.answer else [])
        self._refuse_over_context(len(tokens) + 1)
        return Answer(
            number, tokens, min(sampling.most_tokens, self.context - len(tokens)), self._vocabulary, grammar, sampling,
            drop_blank=self._vocabulary.blank is not None and not prompt.answer,
        )

    def _together(self, answers: list[Answer], tuned: bool, stop: threading.Event) -> Iterator[Line]:
        """Go on with several answers side by side, each by as many tokens as it has that the cache has not.

        What pads the shorter ones stays in the cache, masked for ever.
        """
        for answer in answers:
            yield from answer.begin()
        active = [answer for answer in answers if not answer.ended]
        cache = DynamicCache(config=self._model.config)
        mask = torch.zeros((len(active), 0), dtype=torch.long, device=self._device)
        while active:
            if stop.is_set():
                yield from [answer.cut_short() for answer in active]
                return
            fresh = [answer.tokens[answer.fed :] for answer in active]
            ids, new_mask = self._padded(fresh)
            mask = torch.cat([mask, new_mask], dim=1)
            places = torch.tensor([answer.fed for answer in active], device=self._device)[:, None]
            positions = places + torch.arange(ids.shape[1], device=self._device)[None, :]
            logits = self._next_logits(ids, mask, positions, cache, [len(tokens) - 1 for tokens in fresh], tuned)
            for answer, values in zip(active, logits, strict=True):
                answer.fed = len(answer.tokens)
                yield from answer.take(values)
            going_on = [n for n, answer in enumerate(active) if not answer.ended]
            if len(going_on) < len(active) and going_on:
                kept = torch.tensor(going_on, device=self._device)
                cache.batch_select_indices(kept)
                mask = mask[kept]
            active = [active[n] for n in going_on]

    def _next_logits(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache, last: list[int],
        tuned: bool,
    ) -> NDArray[np.float32]:
        with self._lock, torch.inference_mode():
            self._switch(tuned)
            hidden = self._hidden(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            ).last_hidden_state
            states = hidden[torch.arange(len(last), device=self._device), last]
            logits: NDArray[np.float32] = self._model.get_output_embeddings()(states).float().cpu().numpy()
        return logits

    def _hidden(self, **inputs: Any) -> Any:
        try:
            return self._model.get_decoder()(**inputs)
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"{self.name} ran out of the GPU's memory; set `load_in_4bit: true` in its card, or a smaller window."
            ) from error

    def _switch(self, tuned: bool) -> None:
        """Adapter on or off; only when that changes, since it walks through all of the model's modules."""
        if self._tuned is not None and tuned != self._adapter_is_on:
            layers = self._tuned.base_model
            (layers.enable_adapter_layers if tuned else layers.disable_adapter_layers)()
            self._adapter_is_on = tuned

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows side by side, the shorter ones filled up on the right with an id that the mask hides."""
        length = max(len(row) for row in rows)
        ids = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=self._device)
        return ids, mask


def _load(folder: Path, device: str, load_in_4bit: bool) -> Any:
    halved = torch.float32 if device == "cpu" else torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    quantised = None
    if load_in_4bit:
        quantised = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=halved
        )
    model = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=halved,
        quantization_config=quantised, device_map={"": device},
    )
    return model.eval()


def _refuse_without_safetensors(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such folder; give one with *.safetensors.")
    if any(folder.glob("*.safetensors")):
        return
    pickles = [path.name for pattern in _PICKLES for path in sorted(folder.glob(pattern))]
    if pickles:
        raise ModelError(
            f"{folder}: {pickles[0]} holds weights in pickle form, which can run code and is not loaded; convert it to "
            "safetensors."
        )
    raise ModelError(f"{folder}: no *.safetensors there, so it holds no weights that can be loaded.")


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of rows of about one length, the longest first, as many as the budget of padded tokens holds."""
    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    while order:
        size = max(1, budget // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).split(". ")[0][:300] or type(error).__name__
