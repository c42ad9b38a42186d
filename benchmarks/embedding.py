"""Measures the embedder against sentence-transformers: `python -m benchmarks.embedding --json [--texts FILE]`.

The same texts go through `Embedder.encode` and through `SentenceTransformer.encode` in float32 at batch 32, in turn; the
best of some rounds counts. Without a file the texts are made of the packaged vocabulary's names.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from platform_assets.clients.embedder import Embedder, Vectors, packaged_model_folder
from platform_assets.profiles.vocabulary import packaged_vocabulary

_ROUNDS = 3
_BASELINE_BATCH = 32


@dataclass(frozen=True)
class EmbeddingMeasurement:
    """What was measured.

    Attributes:
        texts: Number of distinct texts.
        words_mean: Words per text.
        precision: What the embedder computes in.
        texts_per_second: The embedder's rate.
        baseline_texts_per_second: The rate of `SentenceTransformer.encode`, float32, batch 32.
        speed_ratio: The first over the second.
        cosine_mean: Mean cosine of the two vectors of a text.
        cosine_min: The lowest one.
        order_independent: Whether the same texts in another order get the very same vectors.
    """

    texts: int
    words_mean: float
    precision: str
    texts_per_second: float
    baseline_texts_per_second: float
    speed_ratio: float
    cosine_mean: float
    cosine_min: float
    order_independent: bool


def made_texts(count: int, *, seed: int = 0) -> list[str]:
    """Distinct texts of 1 to 40 words, most of them short, as names of skills, windows and sentences are."""
    rng = random.Random(seed)
    words = [word for skill in packaged_vocabulary().skills for word in skill.name.split()]
    texts: dict[str, None] = {}
    while len(texts) < count:
        length = min(40, 1 + int(rng.expovariate(1 / 5)))
        texts[" ".join(rng.choices(words, k=length))] = None
    return list(texts)


def measure(texts: Sequence[str]) -> EmbeddingMeasurement:
    """Time both in turn, so that other work on the machine meets both."""
    embedder = Embedder()
    embedder.encode(texts[:64])
    from sentence_transformers import SentenceTransformer

    os.environ["HF_HUB_OFFLINE"] = "1"
    baseline = SentenceTransformer(str(packaged_model_folder()), device="cpu", local_files_only=True)

    def encode_baseline() -> Vectors:
        return np.asarray(
            baseline.encode(
                list(texts), batch_size=_BASELINE_BATCH, show_progress_bar=False, normalize_embeddings=True
            )
        )

    seconds, baseline_seconds = [], []
    for _ in range(_ROUNDS):
        vectors, elapsed = _timed(lambda: embedder.encode(texts))
        seconds.append(elapsed)
        expected, elapsed = _timed(encode_baseline)
        baseline_seconds.append(elapsed)
    cosine = np.einsum("ij,ij->i", vectors.astype(np.float64), expected.astype(np.float64))
    shuffled = random.Random(1).sample(range(len(texts)), len(texts))
    again = embedder.encode([texts[i] for i in shuffled])
    return EmbeddingMeasurement(
        texts=len(texts),
        words_mean=float(np.mean([len(text.split()) for text in texts])),
        precision=embedder.precision,
        texts_per_second=len(texts) / min(seconds),
        baseline_texts_per_second=len(texts) / min(baseline_seconds),
        speed_ratio=min(baseline_seconds) / min(seconds),
        cosine_mean=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        order_independent=bool((again == vectors[shuffled]).all()),
    )


def _timed(encode: Callable[[], Vectors]) -> tuple[Vectors, float]:
    started = time.perf_counter()
    vectors = encode()
    return vectors, time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, help="File with one text per line; default is texts made here.")
    parser.add_argument("--count", type=int, default=5_000, help="Number of texts to make.")
    parser.add_argument("--json", action="store_true", default=True, help="Print JSON (always so).")
    arguments = parser.parse_args()
    if arguments.texts is None:
        texts = made_texts(arguments.count)
    else:
        lines = arguments.texts.read_text("utf-8").splitlines()
        texts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    print(json.dumps(asdict(measure(texts)), indent=2))


if __name__ == "__main__":
    main()
