"""Vectors kept by content, in a real table; a counting embedder stands in for the model."""

import hashlib

import numpy as np
import pytest
import sqlalchemy as sa

from platform_assets.clients.embedder import DIMENSIONS
from platform_assets.profiles import embeddings
from platform_assets.profiles.embeddings import embed_texts


class CountingEmbedder:
    """A unit vector made of the text alone, and a record of what was asked for."""

    def __init__(self, model_name="test@1", *, fails_at=None):
        self.model_name = model_name
        self.asked = []
        self._fails_at = fails_at

    def encode(self, texts, *, progress=None):
        self.asked += texts
        if self._fails_at is not None and len(self.asked) > self._fails_at:
            raise RuntimeError("out of memory")
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text):
        seed = int.from_bytes(hashlib.sha256(f"{self.model_name}{text}".encode()).digest()[:4])
        vector = np.random.default_rng(seed).normal(size=DIMENSIONS)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def stored_count(database):
    return int(database.read(sa.text("SELECT count(*) AS n FROM platform.text_embeddings"))["n"].iloc[0])


def test_each_distinct_text_is_computed_once_and_kept(database):
    embedder = CountingEmbedder()
    first = embed_texts(database, embedder, ["a", "b", "a", "", "ü\n"])
    again = embed_texts(database, embedder, ["b", "a"])
    more = embed_texts(database, embedder, ["a", "c"])

    assert (first.computed_count, again.computed_count, more.computed_count) == (4, 0, 1)
    assert sorted(embedder.asked) == sorted(["a", "b", "", "ü\n", "c"])
    assert stored_count(database) == 5


def test_vectors_come_in_the_order_of_the_texts_and_unchanged_from_the_table(database):
    embedder = CountingEmbedder()
    texts = [f"text {n}" for n in range(20)]
    computed = embed_texts(database, embedder, texts).vectors
    read = embed_texts(database, embedder, texts[::-1]).vectors[::-1]

    np.testing.assert_array_equal(computed, CountingEmbedder().encode(texts))
    np.testing.assert_array_equal(read, computed)
    assert read.dtype == np.float32


def test_another_model_has_vectors_of_its_own(database):
    one, other = CountingEmbedder(), CountingEmbedder("test@2")
    embed_texts(database, one, ["a"])
    result = embed_texts(database, other, ["a"])

    assert result.computed_count == 1
    np.testing.assert_array_equal(result.vectors, other.encode(["a"]))


def test_no_texts_give_no_rows(database):
    result = embed_texts(database, CountingEmbedder(), [])

    assert result.vectors.shape == (0, DIMENSIONS)
    assert result.computed_count == 0


def test_a_crash_in_the_middle_keeps_what_was_computed(database, monkeypatch):
    monkeypatch.setattr(embeddings, "_TEXTS_PER_COMMIT", 4)
    texts = [f"text {n}" for n in range(10)]

    with pytest.raises(RuntimeError):
        embed_texts(database, CountingEmbedder(fails_at=8), texts)
    assert stored_count(database) == 8
    assert embed_texts(database, CountingEmbedder(), texts).computed_count == 2


def test_progress_counts_up_to_all(database, monkeypatch):
    monkeypatch.setattr(embeddings, "_TEXTS_PER_COMMIT", 4)
    told = []

    embed_texts(database, CountingEmbedder(), [str(n) for n in range(10)], progress=lambda *p: told.append(p))

    assert told == [(4, 10), (8, 10), (10, 10)]
