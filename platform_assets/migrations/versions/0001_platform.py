"""The derived tables of the first release."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TEXT_LIST = postgresql.ARRAY(sa.Text())
NOW = sa.text("now()")


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "developer_profiles",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _optional("github_login", sa.Text(), comment="Login that was asked for; null when none is linked."),
        _optional(
            "github_id", sa.BigInteger(), comment="GitHub's id of the account, which survives a rename."
        ),
        _required("state", sa.Text(), comment="`fetched`, `not_linked`, `not_found` or `failed`."),
        _optional("failure", sa.Text(), comment="What the last failed fetch said; null after a success."),
        _optional("name", sa.Text(), comment="Name on GitHub."),
        _optional("bio", sa.Text(), comment="Bio on GitHub."),
        _optional("company", sa.Text(), comment="Company on GitHub."),
        _optional("location", sa.Text(), comment="Location on GitHub."),
        _optional("followers_count", sa.Integer(), comment="Followers on GitHub."),
        _optional("github_created_at", INSTANT, comment="When the GitHub account was opened."),
        _optional("repositories_count", sa.Integer(), comment="Repositories with own commits."),
        _optional("commits_count", sa.Integer(), comment="Own commits over all repositories."),
        _optional("last_contributed_on", sa.Date(), comment="Day of the latest own commit."),
        _optional(
            "fetched_at",
            INSTANT,
            comment="When the profile was last read from GitHub; kept when a later read fails.",
        ),
        _required("attempted_at", INSTANT, comment="When the profile was last asked for."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("developer_id"),
        schema="platform",
        comment="One row is one developer's GitHub account as last read.",
    )
    op.create_table(
        "developer_repositories",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("repository", sa.Text(), comment="`owner/name`."),
        _optional("description", sa.Text(), comment="The repository's description."),
        _required("is_fork", sa.Boolean(), comment="Whether the repository is a fork."),
        _required("topics", TEXT_LIST, comment="Topics or other terms that describe the work."),
        _required(
            "languages",
            postgresql.JSONB(),
            comment="Language to its weight (bytes of code) in the repository.",
        ),
        _required("commits_count", sa.Integer(), comment="The developer's own commits."),
        _required(
            "commits_last_year_count", sa.Integer(), comment="Own commits in the 365 days before the fetch."
        ),
        _required("first_contributed_on", sa.Date(), comment="Day of the first own commit."),
        _required("last_contributed_on", sa.Date(), comment="Day of the latest own commit."),
        _required("subjects", TEXT_LIST, comment="First lines of own commits, newest first, at most ten."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("developer_id", "repository"),
        schema="platform",
        comment="One row is one developer's own work in one repository.",
    )
    op.create_table(
        "developer_vectors",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required(
            "facet",
            sa.Text(),
            comment="A side of the developer's work: `owner/name` of a repository, or `profile` for bio and declared skills.",
        ),
        _required("model", sa.Text(), comment="Name and weight hash of the model."),
        _required("inputs_sha256", sa.Text(), comment="SHA-256 over everything the vector is made of."),
        _required("vector", Vector(384), comment="Unit vector."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("developer_id", "facet"),
        schema="platform",
        comment="One row is the position of one side of a developer's work in the embedding space.",
    )
    op.create_table(
        "gateway_cursors",
        _required("object_type", sa.Text(), comment="The kind of object that is read."),
        _required("read_through", INSTANT, comment="Everything created up to here has been read."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("object_type"),
        schema="platform",
        comment="One row says how far one kind of gateway object has been read.",
    )
    op.create_table(
        "gateway_transactions",
        _required("object_id", sa.Text(), comment="The gateway's id."),
        _required(
            "object_type", sa.Text(), comment="`payment_intent`, `charge`, `refund` or `balance_transaction`."
        ),
        _optional(
            "payment_id", sa.Text(), comment="The marketplace's payment; null when the gateway names none."
        ),
        _optional(
            "payment_intent_id", sa.Text(), comment="The payment intent it belongs to; null when none."
        ),
        _optional("charge_id", sa.Text(), comment="The charge it belongs to; null when none."),
        _optional(
            "kind",
            sa.Text(),
            comment="A balance transaction's reporting type, such as `charge` or `refund`; null otherwise.",
        ),
        _optional("status", sa.Text(), comment="The gateway's status; null where the object has none."),
        _required(
            "amount_minor", sa.BigInteger(), comment="Amount in minor units, signed for balance transactions."
        ),
        _optional(
            "fee_minor", sa.BigInteger(), comment="Gateway fee in minor units; balance transactions only."
        ),
        _optional(
            "net_minor", sa.BigInteger(), comment="Amount less fee in minor units; balance transactions only."
        ),
        _required("currency", sa.Text(), comment="ISO 4217 code, upper case."),
        _optional("failure_code", sa.Text(), comment="Decline code; null when none."),
        _required("created_at", INSTANT, comment="When the gateway made the object."),
        _optional(
            "available_on", sa.Date(), comment="Day the funds are available; balance transactions only."
        ),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("object_id"),
        schema="platform",
        comment="One row is one object of the payment gateway in its latest known state.",
    )
    op.create_index(
        "ix_gateway_transactions_created", "gateway_transactions", ["created_at"], schema="platform"
    )
    op.create_index(
        "ix_platform_gateway_transactions_payment_id",
        "gateway_transactions",
        ["payment_id"],
        schema="platform",
    )
    op.create_index(
        "ix_platform_gateway_transactions_payment_intent_id",
        "gateway_transactions",
        ["payment_intent_id"],
        schema="platform",
    )
    op.create_table(
        "match_candidates",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("rank", sa.Integer(), comment="Place from 1; ties by developer id."),
        _required("score", sa.Double(), comment="Sum of the parts in `reasons`, rounded to 1e-6."),
        _required("reasons", postgresql.JSONB(), comment="Each term's part of the score; they add up to it."),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id", "developer_id"),
        schema="platform",
        comment="One row is one developer among a project's best under score and filters, reserve places included.",
    )
    op.create_table(
        "matches",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("rank", sa.Integer(), comment="Place from 1; ties by developer id."),
        _required("score", sa.Double(), comment="Sum of the parts in `reasons`, rounded to 1e-6."),
        _required("reasons", postgresql.JSONB(), comment="Each term's part of the score; they add up to it."),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id", "developer_id"),
        schema="platform",
        comment="One row is one published match of a project and a developer.",
    )
    op.create_table(
        "payment_analytics",
        _required("day", sa.Date(), comment="UTC day."),
        _required(
            "currency", sa.Text(), comment="ISO 4217 code; amounts of different currencies are never added."
        ),
        _required("sales_count", sa.Integer(), comment="Balance transactions of type charge or payment."),
        _required("sales_amount_minor", sa.BigInteger(), comment="Their amount in minor units."),
        _required(
            "refunds_count", sa.Integer(), comment="Balance transactions of type refund or payment_refund."
        ),
        _required("refunds_amount_minor", sa.BigInteger(), comment="Their amount in minor units, signed."),
        _required("fees_minor", sa.BigInteger(), comment="Fees of all but payouts, in minor units."),
        _required("net_amount_minor", sa.BigInteger(), comment="Net of all but payouts, in minor units."),
        _required("failed_charge_count", sa.Integer(), comment="Charges with status failed."),
        _required("failed_charge_amount_minor", sa.BigInteger(), comment="Their amount in minor units."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("day", "currency"),
        schema="platform",
        comment="One row is one day's payments in one currency.",
    )
    op.create_table(
        "project_requirements",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _required("skill_id", sa.Text(), comment="The skill asked for."),
        _required("weight", sa.Double(), comment="Importance from 0 to 1."),
        _required("extractor", sa.Text(), comment="What found it: `declared`, `alias` or `embedding`."),
        _required("evidence", sa.Text(), comment="The words of the text that support it."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id", "skill_id"),
        schema="platform",
        comment="One row is one skill that a project asks for.",
    )
    op.create_table(
        "project_vectors",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _required("model", sa.Text(), comment="Name and weight hash of the model."),
        _required("inputs_sha256", sa.Text(), comment="SHA-256 over everything the vector is made of."),
        _required("vector", Vector(384), comment="Unit vector."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id"),
        schema="platform",
        comment="One row is one project's position in the embedding space.",
    )
    op.create_table(
        "requirement_extractions",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _required(
            "inputs_sha256",
            sa.Text(),
            comment="SHA-256 over the text, the vocabulary and the extractor's version.",
        ),
        _required("extractor", sa.Text(), comment="Which extractor read the text."),
        _required("requirements_count", sa.Integer(), comment="Skills found; 0 is an answer, too."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id"),
        schema="platform",
        comment="One row says what a project's requirements were last read from.",
    )
    op.create_table(
        "skill_aliases",
        _required("alias", sa.Text(), comment="Normalized spelling (see profiles.vocabulary)."),
        _required("skill_id", sa.Text(), comment="The skill it stands for."),
        _required("source", sa.Text(), comment="Where the spelling comes from."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("alias"),
        schema="platform",
        comment="One row is one spelling of a skill; each spelling stands for one skill.",
    )
    op.create_index("ix_platform_skill_aliases_skill_id", "skill_aliases", ["skill_id"], schema="platform")
    op.create_table(
        "skill_embeddings",
        _required("skill_id", sa.Text(), comment="The skill."),
        _required("model", sa.Text(), comment="Name and weight hash of the model."),
        _required("text_sha256", sa.Text(), comment="SHA-256 of the embedded text."),
        _required("vector", Vector(384), comment="Unit vector of the skill's text."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("skill_id"),
        schema="platform",
        comment="One row is one skill's embedding.",
    )
    op.create_table(
        "skill_profiles",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("skill_id", sa.Text(), comment="The skill."),
        _required(
            "confidence",
            sa.Double(),
            comment="Probability from 0 to 1 that the developer uses the skill in the next year.",
        ),
        _required("sources", TEXT_LIST, comment="What supports it: `declared`, `github`, `bio`, `contract`."),
        _required(
            "commits_count",
            sa.Double(),
            comment="Own commits attributed to the skill; fractional where shared.",
        ),
        _required("commits_share", sa.Double(), comment="Part of all own commits, from 0 to 1."),
        _optional("last_used_on", sa.Date(), comment="Day of the latest evidence; null when only declared."),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("developer_id", "skill_id"),
        schema="platform",
        comment="One row says how sure it is that a developer has a skill.",
    )
    op.create_table(
        "skills",
        _required("skill_id", sa.Text(), comment="Slug of the canonical name."),
        _required("name", sa.Text(), comment="Canonical name."),
        _required(
            "kind", sa.Text(), comment="`language`, `framework`, `tool`, `platform`, `concept` or `other`."
        ),
        _required(
            "source",
            sa.Text(),
            comment="Where it was first met: `packaged`, `declared`, `github` or an import's name.",
        ),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("skill_id"),
        schema="platform",
        comment="One row is one skill of the vocabulary.",
    )
    op.create_table(
        "text_embeddings",
        _required("model", sa.Text(), comment="Name and weight hash of the model."),
        _required("text_sha256", sa.Text(), comment="SHA-256 of the embedded text."),
        _required("vector", Vector(384), comment="Unit vector."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("model", "text_sha256"),
        schema="platform",
        comment="One row is the embedding of one distinct text by one model.",
    )


def downgrade() -> None:
    for table in (
        "text_embeddings",
        "skills",
        "skill_profiles",
        "skill_embeddings",
        "skill_aliases",
        "requirement_extractions",
        "project_vectors",
        "project_requirements",
        "payment_analytics",
        "matches",
        "match_candidates",
        "gateway_transactions",
        "gateway_cursors",
        "developer_vectors",
        "developer_repositories",
        "developer_profiles",
    ):
        op.drop_table(table, schema="platform")
