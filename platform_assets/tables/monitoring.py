"""Operational tables, schema `monitoring`: alerts, the notification outbox, quarantined rows and calls of AI services."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.platform import Instant, updated_at

metadata = sa.MetaData(schema="monitoring")

system_alerts = sa.Table(
    "system_alerts",
    metadata,
    sa.Column(
        "alert_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the alert."
    ),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Identifies the problem; one open alert each."),
    sa.Column("severity", sa.Text, nullable=False, comment="`low`, `medium`, `high` or `critical`."),
    sa.Column("state", sa.Text, nullable=False, server_default="open", comment="`open` or `resolved`."),
    sa.Column("source", sa.Text, nullable=False, comment="What raised it, such as `asset_check` or `run`."),
    sa.Column(
        "subject", sa.Text, nullable=False, comment="What it is about: an asset, check, job or service."
    ),
    sa.Column("owner", sa.Text, nullable=False, comment="Team that answers for the subject."),
    sa.Column("title", sa.Text, nullable=False, comment="One line for a person."),
    sa.Column("details", pg.JSONB, nullable=False, comment="Measured values and links; no secrets."),
    sa.Column("occurrences_count", sa.Integer, nullable=False, comment="How often it was raised while open."),
    sa.Column("first_seen_at", Instant, nullable=False, comment="When it was first raised."),
    sa.Column("last_seen_at", Instant, nullable=False, comment="When it was last raised."),
    sa.Column("resolved_at", Instant, comment="When it was resolved; null while open."),
    sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity_is_known"),
    sa.CheckConstraint("state IN ('open', 'resolved')", name="state_is_known"),
    # One open alert per problem, whatever races to raise it.
    sa.Index("uq_system_alerts_open", "fingerprint", unique=True, postgresql_where=sa.text("state = 'open'")),
    comment="One row is one problem that was, or is, open.",
)

notification_outbox = sa.Table(
    "notification_outbox",
    metadata,
    sa.Column(
        "notification_id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Id of the notification.",
    ),
    sa.Column(
        "dedupe_key", sa.Text, nullable=False, unique=True, comment="The same event is never queued twice."
    ),
    sa.Column(
        "alert_id",
        sa.BigInteger,
        sa.ForeignKey(system_alerts.c.alert_id),
        nullable=False,
        index=True,
        comment="The alert it tells of.",
    ),
    sa.Column(
        "state", sa.Text, nullable=False, server_default="pending", comment="`pending`, `sent` or `failed`."
    ),
    sa.Column("body", pg.JSONB, nullable=False, comment="What is to be said; no secrets."),
    sa.Column("attempts_count", sa.Integer, nullable=False, server_default="0", comment="Deliveries tried."),
    sa.Column("created_at", Instant, nullable=False, comment="When it was queued."),
    sa.Column("due_at", Instant, nullable=False, comment="Not to be delivered before."),
    sa.Column("sent_at", Instant, comment="When it was delivered; null until then."),
    sa.CheckConstraint("state IN ('pending', 'sent', 'failed')", name="state_is_known"),
    comment="One row is one notification to deliver.",
)

quarantined_rows = sa.Table(
    "quarantined_rows",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Table or feed that the row came from."),
    sa.Column(
        "row_key",
        sa.Text,
        primary_key=True,
        comment="Its key as text, or a hash of the row when it has none.",
    ),
    sa.Column("reason", sa.Text, nullable=False, comment="Why it was set aside, column named."),
    sa.Column("payload", pg.JSONB, nullable=False, comment="The row as it came."),
    sa.Column(
        "first_seen_at",
        Instant,
        nullable=False,
        server_default=sa.func.now(),
        info={"bookkeeping": True},
        comment="When it was first set aside.",
    ),
    updated_at(),
    comment="One row is one bad row that is set aside; it leaves when it comes good.",
)

ai_calls = sa.Table(
    "ai_calls",
    metadata,
    sa.Column(
        "call_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the call."
    ),
    sa.Column("service", sa.Text, nullable=False, comment="The service, such as `gemini`."),
    sa.Column("model", sa.Text, nullable=False, comment="Name of the model that was asked."),
    sa.Column("purpose", sa.Text, nullable=False, comment="The asset that asked."),
    sa.Column("started_at", Instant, nullable=False, comment="When the call began."),
    sa.Column("latency_ms", sa.Double, nullable=False, comment="How long it took, in milliseconds."),
    sa.Column(
        "texts_count",
        sa.Integer,
        nullable=False,
        server_default="1",
        comment="Texts that the call was about.",
    ),
    sa.Column("prompt_tokens", sa.Integer, comment="Tokens of the question; null without an answer."),
    sa.Column("output_tokens", sa.Integer, comment="Tokens of the answer; null without one."),
    sa.Column(
        "reserved_tokens",
        sa.Integer,
        nullable=False,
        comment="What the budget set aside for the call; counts as spent when no answer came in time.",
    ),
    sa.Column(
        "outcome",
        sa.Text,
        nullable=False,
        comment="`ok`, `invalid` (an answer that failed validation), `rate_limited`, `timeout` or `failed`.",
    ),
    sa.Column(
        "retry_at", Instant, comment="Not to be called again before; null when the service said nothing."
    ),
    sa.CheckConstraint(
        "outcome IN ('ok', 'invalid', 'rate_limited', 'timeout', 'failed')", name="outcome_is_known"
    ),
    sa.Index("ix_ai_calls_service", "service", "started_at"),
    comment="One row is one call of an AI service; neither text nor secret is kept.",
)

AI_CALL_TOKENS = sa.func.coalesce(
    ai_calls.c.prompt_tokens + ai_calls.c.output_tokens,
    sa.case((ai_calls.c.outcome == "timeout", ai_calls.c.reserved_tokens), else_=0),
)
"""What a call counts against the day's budget; one that ran out of time may have cost all that was set aside."""
