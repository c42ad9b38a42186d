"""What was measured on the services that the platform leans on, schema `monitoring`: rows are added, never changed.

Each call of an AI service is in `monitoring.py`, of the payment gateway in `payment_operations.py`.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant

service_health_metrics = sa.Table(
    "service_health_metrics",
    metadata,
    sa.Column("measured_at", Instant, primary_key=True, comment="When all services were looked at."),
    sa.Column("service", sa.Text, primary_key=True, comment="The service, such as `postgres` or `github`."),
    sa.Column(
        "look",
        sa.Text,
        nullable=False,
        comment="What this look alone says: `ok`, `poor`, `failed`, `off` (switched off), or `unknown` (nothing to look at).",
    ),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="What the latest looks together say: `healthy`, `degraded`, `down`, `off` or `unknown`.",
    ),
    sa.Column(
        "state_since",
        Instant,
        nullable=False,
        comment="First of the looks without a gap that speak for the state.",
    ),
    sa.Column(
        "latency_ms", sa.Double, comment="Time to a usable answer; null when none came or none was asked for."
    ),
    sa.Column(
        "error_ratio",
        sa.Double,
        comment="Share of failed looks and calls in the last hour, this look included; null when there were none.",
    ),
    sa.Column(
        "calls_count",
        sa.Integer,
        comment="The platform's own calls in the last hour; null where no record of them is kept.",
    ),
    sa.Column(
        "failed_calls_count", sa.Integer, comment="Of these, without a usable answer; null as `calls_count`."
    ),
    sa.Column(
        "calls_latency_p95_ms",
        sa.Double,
        comment="95th percentile of the time of these calls; null without any.",
    ),
    sa.Column("message", sa.Text, nullable=False, comment="What was found, in one line; no secrets."),
    sa.Column(
        "details", pg.JSONB, nullable=False, comment="Numbers that the service gave, such as points left."
    ),
    sa.CheckConstraint("look IN ('ok', 'poor', 'failed', 'off', 'unknown')", name="look_is_known"),
    sa.CheckConstraint("state IN ('healthy', 'degraded', 'down', 'off', 'unknown')", name="state_is_known"),
    sa.Index("ix_service_health_metrics_service", "service", "measured_at"),
    comment="One row is one look at one service, and how the service stands by it and the looks before.",
)

ai_service_metrics = sa.Table(
    "ai_service_metrics",
    metadata,
    sa.Column("measured_at", Instant, primary_key=True, comment="End of the window."),
    sa.Column("service", sa.Text, primary_key=True, comment="The service: `gemini` or `embedder`."),
    sa.Column("model", sa.Text, primary_key=True, comment="Name of the model."),
    sa.Column(
        "window_hours", sa.Integer, primary_key=True, comment="Length of the window, in hours: 1 or 24."
    ),
    sa.Column("calls_count", sa.Integer, nullable=False, comment="Calls that began in the window."),
    sa.Column("texts_count", sa.BigInteger, nullable=False, comment="Texts that these calls were about."),
    sa.Column("latency_p50_ms", sa.Double, comment="Median time of the answered calls; null without any."),
    sa.Column("latency_p95_ms", sa.Double, comment="95th percentile of it; null without any."),
    sa.Column("latency_p99_ms", sa.Double, comment="99th percentile of it; null without any."),
    sa.Column(
        "error_ratio",
        sa.Double,
        comment="Share of calls that failed otherwise than below; null without calls.",
    ),
    sa.Column("timeout_ratio", sa.Double, comment="Share without an answer in time; null without calls."),
    sa.Column("rate_limited_ratio", sa.Double, comment="Share refused as one too many; null without calls."),
    sa.Column("invalid_ratio", sa.Double, comment="Share whose answer was no good; null without calls."),
    sa.Column("prompt_tokens_count", sa.BigInteger, nullable=False, comment="Tokens that were read."),
    sa.Column("output_tokens_count", sa.BigInteger, nullable=False, comment="Tokens that were answered."),
    sa.Column(
        "tokens_today_count",
        sa.BigInteger,
        comment="Tokens of this UTC day that count against the budget, over all models; null without a budget.",
    ),
    sa.Column(
        "tokens_left_count", sa.BigInteger, comment="What is left of the day's budget; null without one."
    ),
    sa.Column(
        "runs_out_at",
        Instant,
        comment="When the budget is spent at the pace of this UTC day so far; null when not before it ends.",
    ),
    sa.Column(
        "samples_count",
        sa.Integer,
        comment="Labelled samples of the latest accuracy; null when never measured.",
    ),
    sa.Column("precision", sa.Double, comment="Skills found in them that are right; null when not measured."),
    sa.Column("recall", sa.Double, comment="Labels that were found; null when not measured."),
    sa.Column(
        "rp_at_5", sa.Double, comment="Hits among the five best, of those possible; null when not measured."
    ),
    sa.Column("accuracy_measured_at", Instant, comment="When these three were measured; null when never."),
    sa.Column(
        "confidence_brier",
        sa.Double,
        comment="Brier score of the skill confidences that rest on what was read; null when no outcome is known.",
    ),
    sa.Column(
        "confidence_ece",
        sa.Double,
        comment="Expected calibration error of these; null when no outcome is known.",
    ),
    sa.CheckConstraint("window_hours IN (1, 24)", name="window_is_known"),
    comment="One row is how one model of one AI service did over one window before the measurement.",
)
