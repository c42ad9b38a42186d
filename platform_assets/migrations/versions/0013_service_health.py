"""Health of every service, performance of AI services, and the number of texts of a call."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "service_health_metrics",
        _required("measured_at", INSTANT, comment="When all services were looked at."),
        _required("service", sa.Text(), comment="The service, such as `postgres` or `github`."),
        _required(
            "look",
            sa.Text(),
            comment="What this look alone says: `ok`, `poor`, `failed`, `off` (switched off), or `unknown` (nothing to look at).",
        ),
        _required(
            "state",
            sa.Text(),
            comment="What the latest looks together say: `healthy`, `degraded`, `down`, `off` or `unknown`.",
        ),
        _required(
            "state_since", INSTANT, comment="First of the looks without a gap that speak for the state."
        ),
        _optional(
            "latency_ms",
            sa.Double(),
            comment="Time to a usable answer; null when none came or none was asked for.",
        ),
        _optional(
            "error_ratio",
            sa.Double(),
            comment="Share of failed looks and calls in the last hour, this look included; null when there were none.",
        ),
        _optional(
            "calls_count",
            sa.Integer(),
            comment="The platform's own calls in the last hour; null where no record of them is kept.",
        ),
        _optional(
            "failed_calls_count",
            sa.Integer(),
            comment="Of these, without a usable answer; null as `calls_count`.",
        ),
        _optional(
            "calls_latency_p95_ms",
            sa.Double(),
            comment="95th percentile of the time of these calls; null without any.",
        ),
        _required("message", sa.Text(), comment="What was found, in one line; no secrets."),
        _required(
            "details", postgresql.JSONB(), comment="Numbers that the service gave, such as points left."
        ),
        sa.PrimaryKeyConstraint("measured_at", "service"),
        sa.CheckConstraint(
            "state IN ('healthy', 'degraded', 'down', 'off', 'unknown')", name="state_is_known"
        ),
        sa.CheckConstraint("look IN ('ok', 'poor', 'failed', 'off', 'unknown')", name="look_is_known"),
        schema="monitoring",
        comment="One row is one look at one service, and how the service stands by it and the looks before.",
    )
    op.create_index(
        "ix_service_health_metrics_service",
        "service_health_metrics",
        ["service", "measured_at"],
        schema="monitoring",
    )
    op.create_table(
        "ai_service_metrics",
        _required("measured_at", INSTANT, comment="End of the window."),
        _required("service", sa.Text(), comment="The service: `gemini` or `embedder`."),
        _required("model", sa.Text(), comment="Name of the model."),
        _required("window_hours", sa.Integer(), comment="Length of the window, in hours: 1 or 24."),
        _required("calls_count", sa.Integer(), comment="Calls that began in the window."),
        _required("texts_count", sa.BigInteger(), comment="Texts that these calls were about."),
        _optional(
            "latency_p50_ms", sa.Double(), comment="Median time of the answered calls; null without any."
        ),
        _optional("latency_p95_ms", sa.Double(), comment="95th percentile of it; null without any."),
        _optional("latency_p99_ms", sa.Double(), comment="99th percentile of it; null without any."),
        _optional(
            "error_ratio",
            sa.Double(),
            comment="Share of calls that failed otherwise than below; null without calls.",
        ),
        _optional(
            "timeout_ratio", sa.Double(), comment="Share without an answer in time; null without calls."
        ),
        _optional(
            "rate_limited_ratio", sa.Double(), comment="Share refused as one too many; null without calls."
        ),
        _optional(
            "invalid_ratio", sa.Double(), comment="Share whose answer was no good; null without calls."
        ),
        _required("prompt_tokens_count", sa.BigInteger(), comment="Tokens that were read."),
        _required("output_tokens_count", sa.BigInteger(), comment="Tokens that were answered."),
        _optional(
            "tokens_today_count",
            sa.BigInteger(),
            comment="Tokens of this UTC day that count against the budget, over all models; null without a budget.",
        ),
        _optional(
            "tokens_left_count",
            sa.BigInteger(),
            comment="What is left of the day's budget; null without one.",
        ),
        _optional(
            "runs_out_at",
            INSTANT,
            comment="When the budget is spent at the pace of this UTC day so far; null when not before it ends.",
        ),
        _optional(
            "samples_count",
            sa.Integer(),
            comment="Labelled samples of the latest accuracy; null when never measured.",
        ),
        _optional(
            "precision", sa.Double(), comment="Skills found in them that are right; null when not measured."
        ),
        _optional("recall", sa.Double(), comment="Labels that were found; null when not measured."),
        _optional(
            "rp_at_5",
            sa.Double(),
            comment="Hits among the five best, of those possible; null when not measured.",
        ),
        _optional(
            "accuracy_measured_at", INSTANT, comment="When these three were measured; null when never."
        ),
        _optional(
            "confidence_brier",
            sa.Double(),
            comment="Brier score of the skill confidences that rest on what was read; null when no outcome is known.",
        ),
        _optional(
            "confidence_ece",
            sa.Double(),
            comment="Expected calibration error of these; null when no outcome is known.",
        ),
        sa.PrimaryKeyConstraint("measured_at", "service", "model", "window_hours"),
        sa.CheckConstraint("window_hours IN (1, 24)", name="window_is_known"),
        schema="monitoring",
        comment="One row is how one model of one AI service did over one window before the measurement.",
    )
    op.add_column(
        "ai_calls",
        _required("texts_count", sa.Integer(), server_default="1", comment="Texts that the call was about."),
        schema="monitoring",
    )


def downgrade() -> None:
    op.drop_column("ai_calls", "texts_count", schema="monitoring")
    op.drop_table("ai_service_metrics", schema="monitoring")
    op.drop_table("service_health_metrics", schema="monitoring")
