"""Verifies stored embeddings: lengths, a random sample against fresh ones, where their mean has moved. What is off is healed.

Computing vectors is `clients.embedder`, keeping them `embeddings`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from platform_assets.clients.database import Database, is_among
from platform_assets.clients.embedder import WEIGHTS_SHA256, text_sha256, verify_packaged_model
from platform_assets.profiles.embeddings import EmbeddedTexts, embed_texts
from platform_assets.tables import platform as tables
from platform_assets.tables.text_measurements import embedding_audits
from platform_assets.thresholds import EMBEDDING_DRIFT_COSINE, EMBEDDING_NORM_DEVIATION

if TYPE_CHECKING:
    from platform_assets.clients.embedder import Embedder

SAMPLE_TEXTS = 200
"""Texts that are embedded again. Of vectors of which one in fifty is off, a sample without any comes once in 57 days."""


def was_audited(database: Database, asset: str, model: str) -> bool:
    """Whether an asset's vectors by this model were ever verified."""
    table = embedding_audits
    rows = database.read(
        sa.select(table.c.audit_id).where(table.c.asset == asset, table.c.model == model).limit(1)
    )
    return len(rows) > 0


def audited_texts(
    database: Database,
    embedder: Embedder,
    texts: Sequence[str],
    *,
    asset: str,
    as_of: dt.date,
    audited_at: dt.datetime,
) -> EmbeddedTexts:
    """Verify the stored vectors of an asset's texts, compute anew what is off or missing, and record what was found.

    A stored vector whose length is not 1 is computed anew. So is every one of the asset's when any of the sample differs
    from a fresh one by more than `EMBEDDING_DRIFT_COSINE` allows: which others differ can't be known.

    Args:
        database: Where vectors are kept.
        embedder: Computes them.
        texts: All texts of the asset.
        asset: Its name.
        as_of: Day (UTC), which seeds the sample.
        audited_at: The present moment (UTC).

    Returns:
        The vectors of all texts.

    Raises:
        EmbedderError: The packaged weights are not the expected ones.
    """
    verify_packaged_model()
    distinct = sorted(set(texts))
    stored = embed_texts(database, embedder, distinct)
    norms = np.linalg.norm(stored.vectors.astype(np.float64), axis=1)
    # Compared so that what is no number counts as broken.
    is_whole = np.abs(norms - 1) <= EMBEDDING_NORM_DEVIATION.bound
    broken = np.flatnonzero(~is_whole)
    seed = hashlib.sha256(f"{asset} {as_of}".encode()).digest()[:8]
    shuffled = np.random.default_rng(int.from_bytes(seed)).permutation(np.flatnonzero(is_whole))
    chosen = shuffled[:SAMPLE_TEXTS]
    fresh = embedder.encode([distinct[i] for i in chosen])
    cosines = np.einsum("ij,ij->i", stored.vectors[chosen].astype(np.float64), fresh.astype(np.float64))
    has_drifted = bool((cosines < EMBEDDING_DRIFT_COSINE.bound).any())
    dropped = distinct if has_drifted else [distinct[i] for i in broken]
    _drop(database, embedder.model_name, dropped)
    embedded = embed_texts(database, embedder, texts)
    mean = embedded.vectors.mean(axis=0, dtype=np.float64) if len(embedded.vectors) else None
    with database.transaction() as connection:
        connection.execute(
            sa.insert(embedding_audits),
            {
                "asset": asset,
                "as_of": as_of,
                "audited_at": audited_at,
                "model": embedder.model_name,
                "weights_sha256": WEIGHTS_SHA256,
                "texts_count": len(distinct),
                "broken_count": len(broken),
                "sample_count": len(chosen),
                "cosine_min": float(cosines.min()) if len(chosen) else None,
                "cosine_mean": float(cosines.mean()) if len(chosen) else None,
                "recomputed_count": len(dropped),
                "mean_vector": mean,
                "mean_cosine": _mean_cosine(connection, asset, embedder.model_name, as_of, mean),
            },
        )
    return EmbeddedTexts(embedded.vectors, stored.computed_count + embedded.computed_count)


def _drop(database: Database, model: str, texts: Sequence[str]) -> None:
    table = tables.text_embeddings
    hashes = [text_sha256(text) for text in texts]
    with database.transaction() as connection:
        connection.execute(
            sa.delete(table).where(table.c.model == model, is_among(table.c.text_sha256, hashes))
        )


def _mean_cosine(
    connection: sa.Connection,
    asset: str,
    model: str,
    as_of: dt.date,
    mean: npt.NDArray[np.float64] | None,
) -> float | None:
    table = embedding_audits
    before = connection.scalar(
        sa.select(table.c.mean_vector)
        .where(
            table.c.asset == asset,
            table.c.model == model,
            table.c.as_of < as_of,
            table.c.mean_vector.is_not(None),
        )
        .order_by(table.c.as_of.desc(), table.c.audit_id.desc())
        .limit(1)
    )
    if before is None or mean is None:
        return None
    then = np.asarray(before, dtype=np.float64)
    lengths = float(np.linalg.norm(then) * np.linalg.norm(mean))
    return float(then @ mean) / lengths if lengths else None
