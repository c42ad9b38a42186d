"""What was measured on extraction, embeddings and caches, schema `monitoring`: rows are added, never changed."""

from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import Vector

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import EMBEDDING_DIMENSIONS, Instant


def _id(name: str, of: str) -> sa.Column[Any]:
    return sa.Column(
        name, sa.BigInteger, sa.Identity(always=True), primary_key=True, comment=f"Id of the {of}."
    )


extraction_accuracy = sa.Table(
    "extraction_accuracy",
    metadata,
    _id("measurement_id", "measurement"),
    sa.Column("measured_at", Instant, nullable=False, comment="When it was measured."),
    sa.Column(
        "extractor",
        sa.Text,
        nullable=False,
        comment="The extractor that was in use; `mixed` where Gemini read only some of the samples.",
    ),
    sa.Column(
        "inputs_sha256",
        sa.Text,
        nullable=False,
        comment="SHA-256 over samples, vocabulary and extractor: what would be measured again is not.",
    ),
    sa.Column("samples_count", sa.Integer, nullable=False, comment="Labelled samples of the split `test`."),
    sa.Column(
        "unknown_labels_count",
        sa.Integer,
        nullable=False,
        comment="Labels that the vocabulary does not know; they count as missed.",
    ),
    sa.Column("precision", sa.Double, comment="Skills found that are right; null when none was found."),
    sa.Column("recall", sa.Double, comment="Labels that were found; null when there are none."),
    sa.Column(
        "rp_at_5",
        sa.Double,
        comment="Mean over samples with labels: hits among the five best, of those possible; null without any.",
    ),
    comment="One row is one measurement of the extractor in use on the labelled samples.",
)

embedding_audits = sa.Table(
    "embedding_audits",
    metadata,
    _id("audit_id", "audit"),
    sa.Column("asset", sa.Text, nullable=False, comment="The asset whose vectors were audited."),
    sa.Column("as_of", sa.Date, nullable=False, comment="UTC day, which seeds the sample."),
    sa.Column("audited_at", Instant, nullable=False, comment="When it was audited."),
    sa.Column("model", sa.Text, nullable=False, comment="Name and weight hash of the model."),
    sa.Column("weights_sha256", sa.Text, nullable=False, comment="SHA-256 of the weights, read anew."),
    sa.Column("texts_count", sa.Integer, nullable=False, comment="Distinct texts of the asset."),
    sa.Column(
        "broken_count",
        sa.Integer,
        nullable=False,
        comment="Stored vectors of another length than 1; computed anew.",
    ),
    sa.Column(
        "sample_count", sa.Integer, nullable=False, comment="Texts that were embedded again to compare."
    ),
    sa.Column(
        "cosine_min", sa.Double, comment="Lowest cosine of stored and fresh vector; null without texts."
    ),
    sa.Column("cosine_mean", sa.Double, comment="Mean of these cosines; null without texts."),
    sa.Column(
        "recomputed_count",
        sa.Integer,
        nullable=False,
        comment="Stored vectors that were dropped to be computed anew, since the sample or they themselves were off.",
    ),
    sa.Column(
        "mean_vector", Vector(EMBEDDING_DIMENSIONS), comment="Mean of the vectors; null without texts."
    ),
    sa.Column(
        "mean_cosine",
        sa.Double,
        comment="Cosine to the mean vector of the latest earlier day by this model; null without one.",
    ),
    sa.Index("ix_embedding_audits_asset", "asset", "audit_id"),
    comment="One row is one verification of an asset's vectors.",
)

cache_sweeps = sa.Table(
    "cache_sweeps",
    metadata,
    _id("sweep_id", "sweep"),
    sa.Column("swept_at", Instant, nullable=False, comment="When it was swept."),
    sa.Column("cache", sa.Text, nullable=False, comment="Table of the cache, schema included."),
    sa.Column("rows_kept", sa.BigInteger, nullable=False, comment="Rows after the sweep."),
    sa.Column("rows_referenced", sa.BigInteger, nullable=False, comment="Of these, rows that are in use."),
    sa.Column("rows_expired", sa.BigInteger, nullable=False, comment="Rows deleted for their age."),
    sa.Column(
        "rows_evicted", sa.BigInteger, nullable=False, comment="Rows deleted since the cache was too large."
    ),
    sa.Column(
        "bytes_freed",
        sa.BigInteger,
        nullable=False,
        comment="Bytes of the deleted rows; Postgres reuses their room.",
    ),
    sa.Column("bytes_kept", sa.BigInteger, nullable=False, comment="Bytes of the rows that were kept."),
    sa.Column(
        "bytes_on_disk",
        sa.BigInteger,
        nullable=False,
        comment="Size of the table, its indexes and its free room.",
    ),
    sa.Index("ix_cache_sweeps_swept", "swept_at"),
    comment="One row says what one sweep of one cache kept and freed.",
)
