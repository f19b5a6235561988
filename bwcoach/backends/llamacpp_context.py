"""A context of our own over llama.cpp's low-level API: one base, its adapter on or off, sequences side by side."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

# Threads that spin while they wait for one another make a busy machine ten times slower; read when llama.cpp loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from bwcoach.errors import BackendError, ModelError

# How many prompts are answered side by side; sequence 0 holds what they share.
SEQUENCES = 4
# Stop is honoured between two calls of llama.cpp, so a call takes fewer tokens the slower the model is.
CALL_TOKENS, SLOW_CALL_TOKENS, SLOW_PARAMETERS = 512, 128, 1_000_000_000
# How much memory the cache may take beyond one full context, to answer several prompts at once.
SPARE_CACHE_BYTES = 512 * 1024 * 1024
_MAGIC = b"GGUF"
_ERROR = 4

_said = threading.local()


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _hear(level: int, text: bytes, _: object) -> None:
    lines: list[str] | None = getattr(_said, "lines", None)
    if lines is not None and level == _ERROR:
        lines.append(text.decode("utf-8", "replace").strip())


@contextmanager
def quiet_llama_cpp() -> Iterator[list[str]]:
    """Nothing of llama.cpp's reaches stderr; gives the list that its errors are put in."""
    llama_cpp.llama_log_set(_hear, ctypes.c_void_p(0))
    _said.lines = []
    try:
        yield _said.lines
    finally:
        _said.lines = None


def physical_cores() -> int:
    """Cores this process may use, two hardware threads of one core counted once."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shared = Path("/sys/devices/system/cpu/smt/active")
    if shared.exists():
        paired = shared.read_text(encoding="ascii").strip() == "1"
    else:
        paired = platform.system() == "Windows" and platform.machine() == "AMD64"
    return max(1, usable // 2 if paired else usable)


class LlamaContext:
    """A loaded model and its cache. Not thread-safe.

    `cells` is how many tokens all sequences may hold together; `call_tokens` the most that one call computes.
    """

    def __init__(self, base: Path, adapter: Path | None, *, context: int, threads: int | None) -> None:
        # What to free, in order of making; freed in reverse, also when making it fails half-way.
        held: list[Callable[[], object]] = []
        self.close = weakref.finalize(self, _free, held)
        with quiet_llama_cpp() as said:
            llama_cpp.llama_backend_init()
            self._model = _load(base, said)
            held.append(partial(llama_cpp.llama_model_free, self._model))
            self._adapter = _load_adapter(self._model, adapter, base, said) if adapter else None
            self.vocab = llama_cpp.llama_model_get_vocab(self._model)
            self.vocabulary_size: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
            self.context: int = min(context, llama_cpp.llama_model_n_ctx_train(self._model))
            slow = llama_cpp.llama_model_n_params(self._model) > SLOW_PARAMETERS
            self.call_tokens = min(SLOW_CALL_TOKENS if slow else CALL_TOKENS, self.context)
            self.cells = self._cells()
            settings = llama_cpp.llama_context_default_params()
            settings.n_ctx = self.cells
            settings.n_batch = settings.n_ubatch = self.call_tokens
            settings.n_seq_max = SEQUENCES + 1
            settings.kv_unified = True
            settings.n_threads = settings.n_threads_batch = threads or physical_cores()
            settings.no_perf = True
            self._context = llama_cpp.llama_init_from_model(self._model, settings)
            if not self._context:
                raise ModelError(f"{base}: no room for a context of {self.context} tokens. {_cause(said)}")
            held.append(partial(llama_cpp.llama_free, self._context))
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(self.call_tokens, 0, 1)
        held.append(partial(llama_cpp.llama_batch_free, self._batch))
        self._tuned = False

    def _cells(self) -> int:
        head = llama_cpp.llama_model_n_embd(self._model) // llama_cpp.llama_model_n_head(self._model)
        heads = llama_cpp.llama_model_n_layer(self._model) * llama_cpp.llama_model_n_head_kv(self._model)
        # A key and a value in 16 bits for each head.
        spare = int(SPARE_CACHE_BYTES // (heads * head * 2 * 2))
        return self.context + min((SEQUENCES - 1) * self.context, spare)

    def chat_template(self) -> str | None:
        template = llama_cpp.llama_model_chat_template(self._model, None)
        return template.decode("utf-8", "replace") if template else None

    def start(self, *, tuned: bool) -> None:
        """Forget every sequence and switch the adapter on or off: what one state computed is of no use to the other."""
        llama_cpp.llama_memory_clear(self._memory, False)
        if self._adapter is not None and tuned != self._tuned:
            adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(self._adapter)
            scales = (ctypes.c_float * 1)(1.0 if tuned else 0.0)
            if llama_cpp.llama_set_adapters_lora(self._context, adapters, 1, scales) != 0:
                raise BackendError("llama.cpp could not switch the adapter; load the model again.")
            self._tuned = tuned

    def copy(self, source: int, target: int) -> None:
        """Let a sequence begin with all that another holds."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def cut(self, sequence: int, length: int) -> None:
        """Forget what a sequence holds from position `length` on."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def decode(self, tokens: Sequence[Token]) -> NDArray[np.float32]:
        """One forward pass over at most `call_tokens` tokens.

        Gives the logits after each token that asks for them, (asking, vocabulary), as a view that lasts until the
        next call.
        """
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, (token, position, sequence, asks) in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = asks
        with quiet_llama_cpp() as said:
            code = llama_cpp.llama_decode(self._context, batch)
        if code != 0:
            raise BackendError(f"llama.cpp could not go on (code {code}). {_cause(said)} Try a shorter draft.".strip())
        rows = sum(asks for *_, asks in tokens)
        if not rows:
            return np.empty((0, self.vocabulary_size), dtype=np.float32)
        logits = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(logits, shape=(rows, self.vocabulary_size))


def _free(held: list[Callable[[], object]]) -> None:
    while held:
        held.pop()()


# A token's id, its position in its sequence, the sequence, and whether the logits after it are wanted.
Token = tuple[int, int, int, bool]


def _load(path: Path, said: list[str]) -> Any:
    _check_header(path)
    settings = llama_cpp.llama_model_default_params()
    settings.use_mmap = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    if not model:
        raise ModelError(f"{path}: llama.cpp cannot load it; the file may be cut short, fetch it again. {_cause(said)}")
    return model


def _load_adapter(model: Any, path: Path, base: Path, said: list[str]) -> Any:
    _check_header(path)
    adapter = llama_cpp.llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        raise ModelError(
            f"{path}: this adapter does not go with {base}; it is cut short or is of another base. {_cause(said)}"
        )
    return adapter


def _check_header(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{path}: there is no such GGUF file.")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ModelError(f"{path}: this is not a GGUF file; weights in another form must be converted first.")


def _cause(said: list[str]) -> str:
    """The first error that llama.cpp told of, which names the cause, in brackets."""
    return f"(llama.cpp: {said[0]})" if said else ""
