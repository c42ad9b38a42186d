"""Derived tables, schema `platform`: what the assets write and the application reads.

`updated_at` is set by the database client when a row really changes and never counts as a difference.
`as_of` is the UTC day for which a value was computed; it counts.
"""

from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData(schema="platform")

EMBEDDING_DIMENSIONS = 384

Instant = sa.DateTime(timezone=True)
TextList = pg.ARRAY(sa.Text)


def updated_at() -> sa.Column[Any]:
    """When the row last really changed; written by the database client alone."""
    return sa.Column(
        "updated_at",
        Instant,
        nullable=False,
        server_default=sa.func.now(),
        onupdate=sa.func.now(),
        info={"bookkeeping": True},
        comment="When this row last changed.",
    )


def as_of() -> sa.Column[Any]:
    """The day for which a derived row holds."""
    return sa.Column("as_of", sa.Date, nullable=False, comment="UTC day for which the row was computed.")


skills = sa.Table(
    "skills",
    metadata,
    sa.Column("skill_id", sa.Text, primary_key=True, comment="Slug of the canonical name."),
    sa.Column("name", sa.Text, nullable=False, comment="Canonical name."),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        comment="`language`, `framework`, `tool`, `platform`, `concept` or `other`.",
    ),
    sa.Column(
        "source",
        sa.Text,
        nullable=False,
        comment="Where it was first met: `packaged`, `declared`, `github` or an import's name.",
    ),
    updated_at(),
    comment="One row is one skill of the vocabulary.",
)

skill_aliases = sa.Table(
    "skill_aliases",
    metadata,
    sa.Column("alias", sa.Text, primary_key=True, comment="Normalized spelling (see profiles.vocabulary)."),
    sa.Column("skill_id", sa.Text, nullable=False, index=True, comment="The skill it stands for."),
    sa.Column("source", sa.Text, nullable=False, comment="Where the spelling comes from."),
    updated_at(),
    comment="One row is one spelling of a skill; each spelling stands for one skill.",
)

developer_profiles = sa.Table(
    "developer_profiles",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("github_login", sa.Text, comment="Login that was asked for; null when none is linked."),
    sa.Column("github_id", sa.BigInteger, comment="GitHub's id of the account, which survives a rename."),
    sa.Column("state", sa.Text, nullable=False, comment="How the account was found; see docs/github.md."),
    sa.Column("failure", sa.Text, comment="What the last failed fetch said; null after a success."),
    sa.Column("name", sa.Text, comment="Name on GitHub."),
    sa.Column("bio", sa.Text, comment="Bio on GitHub."),
    sa.Column("company", sa.Text, comment="Company on GitHub."),
    sa.Column("location", sa.Text, comment="Location on GitHub."),
    sa.Column("followers_count", sa.Integer, comment="Followers on GitHub."),
    sa.Column("github_created_at", Instant, comment="When the GitHub account was opened."),
    sa.Column("repositories_count", sa.Integer, comment="Repositories with own commits."),
    sa.Column("commits_count", sa.Integer, comment="Own commits over all repositories."),
    sa.Column("last_contributed_on", sa.Date, comment="Day of the latest own commit."),
    sa.Column(
        "fetched_at",
        Instant,
        comment="When GitHub last brought or confirmed what the row holds; kept when a later read fails.",
    ),
    sa.Column("attempted_at", Instant, nullable=False, comment="When the profile was last asked for."),
    updated_at(),
    comment="One row is one developer's GitHub account as last read.",
)

developer_repositories = sa.Table(
    "developer_repositories",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("repository", sa.Text, primary_key=True, comment="`owner/name`."),
    sa.Column("description", sa.Text, comment="The repository's description."),
    sa.Column("is_fork", sa.Boolean, nullable=False, comment="Whether the repository is a fork."),
    sa.Column("topics", TextList, nullable=False, comment="Topics or other terms that describe the work."),
    sa.Column(
        "languages",
        pg.JSONB,
        nullable=False,
        comment="Language to its weight (bytes of code) in the repository.",
    ),
    sa.Column("commits_count", sa.Integer, nullable=False, comment="The developer's own commits."),
    sa.Column(
        "commits_last_year_count",
        sa.Integer,
        nullable=False,
        comment="Own commits in the 365 days before the fetch.",
    ),
    sa.Column("first_contributed_on", sa.Date, nullable=False, comment="Day of the first own commit."),
    sa.Column("last_contributed_on", sa.Date, nullable=False, comment="Day of the latest own commit."),
    sa.Column(
        "subjects", TextList, nullable=False, comment="First lines of own commits, newest first, at most ten."
    ),
    updated_at(),
    comment="One row is one developer's own work in one repository.",
)

skill_profiles = sa.Table(
    "skill_profiles",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("skill_id", sa.Text, primary_key=True, comment="The skill."),
    sa.Column(
        "confidence",
        sa.Double,
        nullable=False,
        comment="Probability from 0 to 1 that the developer uses the skill in the next year.",
    ),
    sa.Column(
        "sources",
        TextList,
        nullable=False,
        comment="What supports it: `declared`, `github`, `text`, `contract`.",
    ),
    sa.Column(
        "commits_count",
        sa.Double,
        nullable=False,
        comment="Own commits attributed to the skill that count; fractional where shared or discounted.",
    ),
    sa.Column("commits_share", sa.Double, nullable=False, comment="Part of all own commits, from 0 to 1."),
    sa.Column("last_used_on", sa.Date, comment="Day of the latest evidence; null when only declared."),
    sa.Column(
        "evidence_sha256", sa.Text, nullable=False, server_default="", comment="Digest of its evidence."
    ),
    sa.Column("model_id", sa.Text, nullable=False, server_default="", comment="Model that weighed commits."),
    as_of(),
    updated_at(),
    comment="One row says how sure it is that a developer has a skill.",
)

text_embeddings = sa.Table(
    "text_embeddings",
    metadata,
    sa.Column("model", sa.Text, primary_key=True, comment="Name and weight hash of the model."),
    sa.Column("text_sha256", sa.Text, primary_key=True, comment="SHA-256 of the embedded text."),
    sa.Column("vector", Vector(EMBEDDING_DIMENSIONS), nullable=False, comment="Unit vector."),
    updated_at(),
    comment="One row is the embedding of one distinct text by one model.",
)

skill_embeddings = sa.Table(
    "skill_embeddings",
    metadata,
    sa.Column("skill_id", sa.Text, primary_key=True, comment="The skill."),
    sa.Column("model", sa.Text, nullable=False, comment="Name and weight hash of the model."),
    sa.Column("text_sha256", sa.Text, nullable=False, comment="SHA-256 of the embedded text."),
    sa.Column(
        "vector", Vector(EMBEDDING_DIMENSIONS), nullable=False, comment="Unit vector of the skill's text."
    ),
    updated_at(),
    comment="One row is one skill's embedding.",
)

developer_vectors = sa.Table(
    "developer_vectors",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column(
        "facet",
        sa.Text,
        primary_key=True,
        comment="A side of the developer's work: `owner/name` of a repository, or `profile` for bio and declared skills.",
    ),
    sa.Column("model", sa.Text, nullable=False, comment="Name and weight hash of the model."),
    sa.Column(
        "inputs_sha256", sa.Text, nullable=False, comment="SHA-256 over everything the vector is made of."
    ),
    sa.Column("vector", Vector(EMBEDDING_DIMENSIONS), nullable=False, comment="Unit vector."),
    updated_at(),
    comment="One row is the position of one side of a developer's work in the embedding space.",
)

project_requirements = sa.Table(
    "project_requirements",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True, comment="The marketplace's project."),
    sa.Column("skill_id", sa.Text, primary_key=True, comment="The skill asked for."),
    sa.Column("weight", sa.Double, nullable=False, comment="Importance from 0 to 1."),
    sa.Column(
        "extractor",
        sa.Text,
        nullable=False,
        comment="What found it: `declared`, `gemini`, `alias` or `embedding`.",
    ),
    sa.Column("evidence", sa.Text, nullable=False, comment="The words of the text that support it."),
    updated_at(),
    comment="One row is one skill that a project asks for.",
)

requirement_extractions = sa.Table(
    "requirement_extractions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True, comment="The marketplace's project."),
    sa.Column(
        "inputs_sha256",
        sa.Text,
        nullable=False,
        comment="SHA-256 over the text, the vocabulary and the extractor's version.",
    ),
    sa.Column("extractor", sa.Text, nullable=False, comment="Which extractor read the text."),
    sa.Column("requirements_count", sa.Integer, nullable=False, comment="Skills found; 0 is an answer, too."),
    sa.Column(
        "fallback_reason",
        sa.Text,
        comment="Why Gemini has not read the text: `off`, `budget`, `rate_limited`, `timeout`, `invalid` or `failed`; null when it has.",
    ),
    sa.Column(
        "agreement_ratio",
        sa.Double,
        comment="Skills that Gemini and the embedding extractor both found, of those that either did; null without Gemini.",
    ),
    updated_at(),
    comment="One row says what a project's requirements were last read from.",
)

ai_answers = sa.Table(
    "ai_answers",
    metadata,
    sa.Column("model", sa.Text, primary_key=True, comment="Name of the model that was asked."),
    sa.Column("prompt_version", sa.Text, primary_key=True, comment="Version of instruction and schema."),
    sa.Column("text_sha256", sa.Text, primary_key=True, comment="SHA-256 of the text that was sent."),
    sa.Column(
        "skills",
        pg.JSONB,
        comment="Names and quotes as the model gave them, not yet verified; null when the answer was invalid.",
    ),
    sa.Column("answered_at", Instant, nullable=False, comment="When the model was asked."),
    updated_at(),
    comment="One row is a model's answer on one distinct text, so that it is asked once.",
)

project_vectors = sa.Table(
    "project_vectors",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True, comment="The marketplace's project."),
    sa.Column("model", sa.Text, nullable=False, comment="Name and weight hash of the model."),
    sa.Column(
        "inputs_sha256", sa.Text, nullable=False, comment="SHA-256 over everything the vector is made of."
    ),
    sa.Column("vector", Vector(EMBEDDING_DIMENSIONS), nullable=False, comment="Unit vector."),
    updated_at(),
    comment="One row is one project's position in the embedding space.",
)
