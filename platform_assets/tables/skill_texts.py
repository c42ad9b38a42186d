"""Derived tables of skills read from developers' texts, schema `platform`, and the user's labelled samples.

What was measured on extraction, embeddings and caches is in `text_measurements.py`.
"""

import sqlalchemy as sa

from platform_assets.tables.platform import Instant, TextList, metadata, updated_at

readme_texts = sa.Table(
    "readme_texts",
    metadata,
    sa.Column("repository", sa.Text, primary_key=True, comment="`owner/name`."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="`read`, `none` (there is none), `too_large`, `binary`, or `failed`, and then the rest is what was known.",
    ),
    sa.Column("path", sa.Text, comment="Path of the file; null without one."),
    sa.Column("oid", sa.Text, comment="Git's hash of the whole file; null without one."),
    sa.Column("bytes_count", sa.BigInteger, comment="Size of the whole file in bytes; null without one."),
    sa.Column(
        "text",
        sa.Text,
        comment="Words of the beginning of the file, without code and markup; null where it has no text.",
    ),
    sa.Column(
        "is_truncated",
        sa.Boolean,
        nullable=False,
        comment="Whether the file goes on after what `text` holds.",
    ),
    sa.Column("failure", sa.Text, comment="What the last failed read said; null after a success."),
    sa.Column(
        "worked_on",
        sa.Date,
        nullable=False,
        comment="Day of the latest own commit known when the file was last read; a later one makes it due again.",
    ),
    sa.Column("asked_at", Instant, nullable=False, comment="When the repository was last asked for it."),
    updated_at(),
    sa.CheckConstraint("state IN ('read', 'none', 'too_large', 'binary', 'failed')", name="state_is_known"),
    comment="One row is the README of one repository as last read; a cache.",
)

developer_text_readings = sa.Table(
    "developer_text_readings",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("source", sa.Text, primary_key=True, comment="`bio` or `readme`."),
    sa.Column(
        "repository",
        sa.Text,
        primary_key=True,
        comment="`owner/name` of the README's repository; an empty text for the bio.",
    ),
    sa.Column("text_sha256", sa.Text, nullable=False, comment="SHA-256 of the text that was read."),
    sa.Column(
        "inputs_sha256",
        sa.Text,
        nullable=False,
        comment="SHA-256 over the text, the released and imported vocabulary and the extractor's version.",
    ),
    sa.Column("extractor", sa.Text, nullable=False, comment="Which extractor read the text."),
    sa.Column("skills_count", sa.Integer, nullable=False, comment="Skills found; 0 is an answer, too."),
    sa.Column(
        "fallback_reason",
        sa.Text,
        comment="Why Gemini has not read the text: `off`, `budget`, `rate_limited`, `timeout`, `invalid` or `failed`; null when it has.",
    ),
    updated_at(),
    comment="One row says how one text of a developer was last read.",
)

developer_text_skills = sa.Table(
    "developer_text_skills",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("skill_id", sa.Text, primary_key=True, comment="The skill."),
    sa.Column("source", sa.Text, primary_key=True, comment="`bio` or `readme`."),
    sa.Column(
        "repository",
        sa.Text,
        primary_key=True,
        comment="`owner/name` of the README's repository; an empty text for the bio.",
    ),
    sa.Column(
        "extractor", sa.Text, nullable=False, comment="What found it: `gemini`, `alias` or `embedding`."
    ),
    sa.Column("evidence", sa.Text, nullable=False, comment="The words of the text that show it."),
    updated_at(),
    sa.CheckConstraint("(source = 'bio') = (repository = '')", name="a_bio_has_no_repository"),
    comment="One row is one skill that a text of a developer's own shows: a bio, or the README of an own repository.",
)

labelled_samples = sa.Table(
    "labelled_samples",
    metadata,
    sa.Column("sample_id", sa.Text, primary_key=True, comment="SHA-256 of the text."),
    sa.Column("text", sa.Text, nullable=False, comment="A text as clients or developers write it."),
    sa.Column(
        "skills",
        TextList,
        nullable=False,
        comment="Ids or names of the skills that a person found in the text; empty when there are none.",
    ),
    sa.Column("source", sa.Text, nullable=False, comment="Who labelled it, or the file it came from."),
    sa.Column(
        "split",
        sa.Text,
        nullable=False,
        server_default="test",
        comment="`test`: the accuracy is measured on it; `train`: kept for tuning, and never measured on.",
    ),
    updated_at(),
    sa.CheckConstraint("split IN ('test', 'train')", name="split_is_known"),
    comment="One row is one text that a person has labelled with its skills; filled by the user alone.",
)
