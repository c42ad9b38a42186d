"""Skills read from developers' texts, labelled samples, and what is measured on extraction, embeddings and caches."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "developer_text_readings",
        sa.Column("developer_id", sa.Text(), nullable=False, comment="The marketplace's developer."),
        sa.Column("source", sa.Text(), nullable=False, comment="`bio` or `readme`."),
        sa.Column(
            "repository",
            sa.Text(),
            nullable=False,
            comment="`owner/name` of the README's repository; an empty text for the bio.",
        ),
        sa.Column("text_sha256", sa.Text(), nullable=False, comment="SHA-256 of the text that was read."),
        sa.Column(
            "inputs_sha256",
            sa.Text(),
            nullable=False,
            comment="SHA-256 over the text, the released and imported vocabulary and the extractor's version.",
        ),
        sa.Column("extractor", sa.Text(), nullable=False, comment="Which extractor read the text."),
        sa.Column("skills_count", sa.Integer(), nullable=False, comment="Skills found; 0 is an answer, too."),
        sa.Column(
            "fallback_reason",
            sa.Text(),
            nullable=True,
            comment="Why Gemini has not read the text: `off`, `budget`, `rate_limited`, `timeout`, `invalid` or `failed`; null when it has.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row last changed.",
        ),
        sa.PrimaryKeyConstraint("developer_id", "source", "repository"),
        schema="platform",
        comment="One row says how one text of a developer was last read.",
    )
    op.create_table(
        "developer_text_skills",
        sa.Column("developer_id", sa.Text(), nullable=False, comment="The marketplace's developer."),
        sa.Column("skill_id", sa.Text(), nullable=False, comment="The skill."),
        sa.Column("source", sa.Text(), nullable=False, comment="`bio` or `readme`."),
        sa.Column(
            "repository",
            sa.Text(),
            nullable=False,
            comment="`owner/name` of the README's repository; an empty text for the bio.",
        ),
        sa.Column(
            "extractor", sa.Text(), nullable=False, comment="What found it: `gemini`, `alias` or `embedding`."
        ),
        sa.Column("evidence", sa.Text(), nullable=False, comment="The words of the text that show it."),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row last changed.",
        ),
        sa.CheckConstraint("(source = 'bio') = (repository = '')", name="a_bio_has_no_repository"),
        sa.PrimaryKeyConstraint("developer_id", "skill_id", "source", "repository"),
        schema="platform",
        comment="One row is one skill that a text of a developer's own shows: a bio, or the README of an own repository.",
    )
    op.create_table(
        "labelled_samples",
        sa.Column("sample_id", sa.Text(), nullable=False, comment="SHA-256 of the text."),
        sa.Column("text", sa.Text(), nullable=False, comment="A text as clients or developers write it."),
        sa.Column(
            "skills",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Ids or names of the skills that a person found in the text; empty when there are none.",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Who labelled it, or the file it came from."),
        sa.Column(
            "split",
            sa.Text(),
            server_default="test",
            nullable=False,
            comment="`test`: the accuracy is measured on it; `train`: kept for tuning, and never measured on.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row last changed.",
        ),
        sa.CheckConstraint("split IN ('test', 'train')", name="split_is_known"),
        sa.PrimaryKeyConstraint("sample_id"),
        schema="platform",
        comment="One row is one text that a person has labelled with its skills; filled by the user alone.",
    )
    op.create_table(
        "readme_texts",
        sa.Column("repository", sa.Text(), nullable=False, comment="`owner/name`."),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="`read`, `none` (there is none), `too_large`, `binary`, or `failed`, and then the rest is what was known.",
        ),
        sa.Column("path", sa.Text(), nullable=True, comment="Path of the file; null without one."),
        sa.Column("oid", sa.Text(), nullable=True, comment="Git's hash of the whole file; null without one."),
        sa.Column(
            "bytes_count",
            sa.BigInteger(),
            nullable=True,
            comment="Size of the whole file in bytes; null without one.",
        ),
        sa.Column(
            "text",
            sa.Text(),
            nullable=True,
            comment="Words of the beginning of the file, without code and markup; null where it has no text.",
        ),
        sa.Column(
            "is_truncated",
            sa.Boolean(),
            nullable=False,
            comment="Whether the file goes on after what `text` holds.",
        ),
        sa.Column(
            "failure",
            sa.Text(),
            nullable=True,
            comment="What the last failed read said; null after a success.",
        ),
        sa.Column(
            "worked_on",
            sa.Date(),
            nullable=False,
            comment="Day of the latest own commit known when the file was last read; a later one makes it due again.",
        ),
        sa.Column(
            "asked_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the repository was last asked for it.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row last changed.",
        ),
        sa.CheckConstraint(
            "state IN ('read', 'none', 'too_large', 'binary', 'failed')", name="state_is_known"
        ),
        sa.PrimaryKeyConstraint("repository"),
        schema="platform",
        comment="One row is the README of one repository as last read; a cache.",
    )
    op.create_table(
        "cache_sweeps",
        sa.Column(
            "sweep_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Id of the sweep."
        ),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False, comment="When it was swept."),
        sa.Column("cache", sa.Text(), nullable=False, comment="Table of the cache, schema included."),
        sa.Column("rows_kept", sa.BigInteger(), nullable=False, comment="Rows after the sweep."),
        sa.Column(
            "rows_referenced", sa.BigInteger(), nullable=False, comment="Of these, rows that are in use."
        ),
        sa.Column("rows_expired", sa.BigInteger(), nullable=False, comment="Rows deleted for their age."),
        sa.Column(
            "rows_evicted",
            sa.BigInteger(),
            nullable=False,
            comment="Rows deleted since the cache was too large.",
        ),
        sa.Column(
            "bytes_freed",
            sa.BigInteger(),
            nullable=False,
            comment="Bytes of the deleted rows; Postgres reuses their room.",
        ),
        sa.Column("bytes_kept", sa.BigInteger(), nullable=False, comment="Bytes of the rows that were kept."),
        sa.Column(
            "bytes_on_disk",
            sa.BigInteger(),
            nullable=False,
            comment="Size of the table, its indexes and its free room.",
        ),
        sa.PrimaryKeyConstraint("sweep_id"),
        schema="monitoring",
        comment="One row says what one sweep of one cache kept and freed.",
    )
    op.create_index("ix_cache_sweeps_swept", "cache_sweeps", ["swept_at"], unique=False, schema="monitoring")
    op.create_table(
        "embedding_audits",
        sa.Column(
            "audit_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Id of the audit."
        ),
        sa.Column("asset", sa.Text(), nullable=False, comment="The asset whose vectors were audited."),
        sa.Column("as_of", sa.Date(), nullable=False, comment="UTC day, which seeds the sample."),
        sa.Column("audited_at", sa.DateTime(timezone=True), nullable=False, comment="When it was audited."),
        sa.Column("model", sa.Text(), nullable=False, comment="Name and weight hash of the model."),
        sa.Column("weights_sha256", sa.Text(), nullable=False, comment="SHA-256 of the weights, read anew."),
        sa.Column("texts_count", sa.Integer(), nullable=False, comment="Distinct texts of the asset."),
        sa.Column(
            "broken_count",
            sa.Integer(),
            nullable=False,
            comment="Stored vectors of another length than 1; computed anew.",
        ),
        sa.Column(
            "sample_count", sa.Integer(), nullable=False, comment="Texts that were embedded again to compare."
        ),
        sa.Column(
            "cosine_min",
            sa.Double(),
            nullable=True,
            comment="Lowest cosine of stored and fresh vector; null without texts.",
        ),
        sa.Column(
            "cosine_mean", sa.Double(), nullable=True, comment="Mean of these cosines; null without texts."
        ),
        sa.Column(
            "recomputed_count",
            sa.Integer(),
            nullable=False,
            comment="Stored vectors that were dropped to be computed anew, since the sample or they themselves were off.",
        ),
        sa.Column(
            "mean_vector", Vector(384), nullable=True, comment="Mean of the vectors; null without texts."
        ),
        sa.Column(
            "mean_cosine",
            sa.Double(),
            nullable=True,
            comment="Cosine to the mean vector of the latest earlier day by this model; null without one.",
        ),
        sa.PrimaryKeyConstraint("audit_id"),
        schema="monitoring",
        comment="One row is one verification of an asset's vectors.",
    )
    op.create_index(
        "ix_embedding_audits_asset",
        "embedding_audits",
        ["asset", "audit_id"],
        unique=False,
        schema="monitoring",
    )
    op.create_table(
        "extraction_accuracy",
        sa.Column(
            "measurement_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Id of the measurement.",
        ),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False, comment="When it was measured."),
        sa.Column(
            "extractor",
            sa.Text(),
            nullable=False,
            comment="The extractor that was in use; `mixed` where Gemini read only some of the samples.",
        ),
        sa.Column(
            "inputs_sha256",
            sa.Text(),
            nullable=False,
            comment="SHA-256 over samples, vocabulary and extractor: what would be measured again is not.",
        ),
        sa.Column(
            "samples_count", sa.Integer(), nullable=False, comment="Labelled samples of the split `test`."
        ),
        sa.Column(
            "unknown_labels_count",
            sa.Integer(),
            nullable=False,
            comment="Labels that the vocabulary does not know; they count as missed.",
        ),
        sa.Column(
            "precision",
            sa.Double(),
            nullable=True,
            comment="Skills found that are right; null when none was found.",
        ),
        sa.Column(
            "recall", sa.Double(), nullable=True, comment="Labels that were found; null when there are none."
        ),
        sa.Column(
            "rp_at_5",
            sa.Double(),
            nullable=True,
            comment="Mean over samples with labels: hits among the five best, of those possible; null without any.",
        ),
        sa.PrimaryKeyConstraint("measurement_id"),
        schema="monitoring",
        comment="One row is one measurement of the extractor in use on the labelled samples.",
    )


def downgrade() -> None:
    op.drop_table("extraction_accuracy", schema="monitoring")
    op.drop_index("ix_embedding_audits_asset", table_name="embedding_audits", schema="monitoring")
    op.drop_table("embedding_audits", schema="monitoring")
    op.drop_index("ix_cache_sweeps_swept", table_name="cache_sweeps", schema="monitoring")
    op.drop_table("cache_sweeps", schema="monitoring")
    op.drop_table("readme_texts", schema="platform")
    op.drop_table("labelled_samples", schema="platform")
    op.drop_table("developer_text_skills", schema="platform")
    op.drop_table("developer_text_readings", schema="platform")
