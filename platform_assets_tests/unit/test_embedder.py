"""The embedder: the packaged weights or an error, and the same vectors whatever comes beside a text."""

import hashlib
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.clients.embedder import (
    DIMENSIONS,
    WEIGHTS_SHA256,
    Embedder,
    EmbedderError,
    packaged_model_folder,
    text_sha256,
)

EMBEDDER = Embedder()
FLOAT32 = Embedder(precision="float32")

TEXTS = [
    "Python",
    "C++ developer with Qt",
    "We look for somebody who has built recommender systems for a marketplace.",
    "日本語 🚀",
    "react " * 400,
]


def test_the_name_is_known_without_loading_anything() -> None:
    code = (
        "import sys; from platform_assets.clients.embedder import Embedder; "
        "print(Embedder().model_name, 'torch' in sys.modules, 'sentence_transformers' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.split() == [f"all-MiniLM-L6-v2@{WEIGHTS_SHA256[:8]}", "False", "False"]


def test_vectors_have_length_one() -> None:
    vectors = EMBEDDER.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_meaning_is_in_the_vectors() -> None:
    kubernetes, docker, cooking = EMBEDDER.encode(["Kubernetes cluster", "Docker containers", "baking bread"])
    assert kubernetes @ docker > kubernetes @ cooking + 0.2


def test_no_texts_have_no_vectors_and_load_no_model() -> None:
    fresh = Embedder(Path("no such folder"))
    assert fresh.encode([]).shape == (0, DIMENSIONS)


def test_order_and_repetition_change_nothing() -> None:
    texts = [f"{word} {i}" for i in range(60) for word in ("go", "machine learning", "a much longer text")]
    vectors = EMBEDDER.encode(texts)
    places = random.Random(0).choices(range(len(texts)), k=100) + list(range(len(texts)))
    assert (EMBEDDER.encode([texts[i] for i in places]) == vectors[places]).all()


def test_a_text_alone_gets_nearly_the_vector_it_gets_in_a_crowd() -> None:
    texts = [f"skill number {i}" for i in range(200)]
    together = EMBEDDER.encode(texts)
    for i in (0, 50, 199):
        assert EMBEDDER.encode([texts[i]])[0] @ together[i] > 0.9999


def test_the_fast_precision_is_close_to_float32() -> None:
    assert FLOAT32.precision == "float32"
    cosine = np.einsum("ij,ij->i", EMBEDDER.encode(TEXTS), FLOAT32.encode(TEXTS))
    assert cosine.min() >= 0.999


def test_float32_agrees_with_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(packaged_model_folder()), device="cpu", local_files_only=True)
    expected = model.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(FLOAT32.encode(TEXTS) - expected).max() < 1e-5


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=40), max_size=4))
def test_no_text_breaks_it(texts: list[str]) -> None:
    vectors = EMBEDDER.encode([*texts, "", "   ", "\ud800", "\0"])
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_megabyte_is_read_to_its_256th_word_piece() -> None:
    beginning = "word " * 300
    vectors = EMBEDDER.encode([beginning + "x" * 1_000_000, beginning + "y" * 1_000_000])
    assert (vectors[0] == vectors[1]).all()


def test_progress_reaches_the_number_of_distinct_texts() -> None:
    steps: list[tuple[int, int]] = []
    EMBEDDER.encode(["one", "two words", "one"], progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (2, 2)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(packaged_model_folder(), folder)
    (folder / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(EmbedderError, match=f"expected {WEIGHTS_SHA256}"):
        Embedder(folder).encode(["text"])


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match=r"model\.safetensors"):
        Embedder(tmp_path).encode(["text"])


def test_the_key_of_a_text_is_its_sha256() -> None:
    assert text_sha256("naïve") == hashlib.sha256("naïve".encode()).hexdigest()
    assert text_sha256("\ud800") == text_sha256("?")
