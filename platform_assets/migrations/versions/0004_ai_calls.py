"""Answers and calls of AI services, and which extractor read a project's text."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "ai_answers",
        _required("model", sa.Text(), comment="Name of the model that was asked."),
        _required("prompt_version", sa.Text(), comment="Version of instruction and schema."),
        _required("text_sha256", sa.Text(), comment="SHA-256 of the text that was sent."),
        _optional(
            "skills",
            postgresql.JSONB(),
            comment="Names and quotes as the model gave them, not yet verified; null when the answer was invalid.",
        ),
        _required("answered_at", INSTANT, comment="When the model was asked."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("model", "prompt_version", "text_sha256"),
        schema="platform",
        comment="One row is a model's answer on one distinct text, so that it is asked once.",
    )
    op.create_table(
        "ai_calls",
        _required("call_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the call."),
        _required("service", sa.Text(), comment="The service, such as `gemini`."),
        _required("model", sa.Text(), comment="Name of the model that was asked."),
        _required("purpose", sa.Text(), comment="The asset that asked."),
        _required("started_at", INSTANT, comment="When the call began."),
        _required("latency_ms", sa.Double(), comment="How long it took, in milliseconds."),
        _optional("prompt_tokens", sa.Integer(), comment="Tokens of the question; null without an answer."),
        _optional("output_tokens", sa.Integer(), comment="Tokens of the answer; null without one."),
        _required(
            "reserved_tokens",
            sa.Integer(),
            comment="What the budget set aside for the call; counts as spent when no answer came in time.",
        ),
        _required(
            "outcome",
            sa.Text(),
            comment="`ok`, `invalid` (an answer that failed validation), `rate_limited`, `timeout` or `failed`.",
        ),
        _optional(
            "retry_at", INSTANT, comment="Not to be called again before; null when the service said nothing."
        ),
        sa.PrimaryKeyConstraint("call_id"),
        sa.CheckConstraint(
            "outcome IN ('ok', 'invalid', 'rate_limited', 'timeout', 'failed')", name="outcome_is_known"
        ),
        schema="monitoring",
        comment="One row is one call of an AI service; neither text nor secret is kept.",
    )
    op.create_index("ix_ai_calls_service", "ai_calls", ["service", "started_at"], schema="monitoring")
    op.add_column(
        "requirement_extractions",
        _optional(
            "fallback_reason",
            sa.Text(),
            comment="Why Gemini has not read the text: `off`, `budget`, `rate_limited`, `timeout`, `invalid` or `failed`; null when it has.",
        ),
        schema="platform",
    )
    op.add_column(
        "requirement_extractions",
        _optional(
            "agreement_ratio",
            sa.Double(),
            comment="Skills that Gemini and the embedding extractor both found, of those that either did; null without Gemini.",
        ),
        schema="platform",
    )
    _comment_extractor(
        "`declared`, `gemini`, `alias` or `embedding`", was="`declared`, `alias` or `embedding`"
    )


def downgrade() -> None:
    _comment_extractor(
        "`declared`, `alias` or `embedding`", was="`declared`, `gemini`, `alias` or `embedding`"
    )
    for column in ("agreement_ratio", "fallback_reason"):
        op.drop_column("requirement_extractions", column, schema="platform")
    op.drop_table("ai_calls", schema="monitoring")
    op.drop_table("ai_answers", schema="platform")


def _comment_extractor(values: str, *, was: str) -> None:
    op.alter_column(
        "project_requirements",
        "extractor",
        schema="platform",
        comment=f"What found it: {values}.",
        existing_comment=f"What found it: {was}.",
    )
