"""Operational tables, schema `monitoring`: alerts, silences, the notification outbox, rows set aside, calls of AI services."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.platform import Instant, TextList, updated_at

metadata = sa.MetaData(schema="monitoring")

alert_silences = sa.Table(
    "alert_silences",
    metadata,
    sa.Column(
        "silence_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the silence."
    ),
    sa.Column("owner", sa.Text, comment="Only alerts of this team; null for any."),
    sa.Column("source", sa.Text, comment="Only alerts of this source; null for any."),
    sa.Column(
        "subject_glob", sa.Text, comment="Only alerts whose subject fits, such as `matches:*`; null for any."
    ),
    sa.Column("max_severity", sa.Text, comment="Only alerts of at most this severity; null for any."),
    sa.Column("author", sa.Text, nullable=False, comment="Who wants it quiet."),
    sa.Column("reason", sa.Text, nullable=False, comment="Why."),
    sa.Column("created_at", Instant, nullable=False, comment="When it was written."),
    sa.Column("starts_at", Instant, nullable=False, comment="From when on it holds."),
    sa.Column(
        "ends_at", Instant, nullable=False, comment="Until when, this moment excluded; every silence ends."
    ),
    sa.Column(
        "cancelled_at", Instant, comment="When it was taken back before its end; null when it was not."
    ),
    sa.Column("cancelled_by", sa.Text, comment="Who took it back; null when nobody did."),
    sa.CheckConstraint("max_severity IN ('low', 'medium', 'high', 'critical')", name="max_severity_is_known"),
    sa.CheckConstraint("ends_at > starts_at", name="ends_after_it_starts"),
    sa.CheckConstraint(
        "num_nonnulls(owner, source, subject_glob, max_severity) > 0", name="says_what_is_silenced"
    ),
    sa.CheckConstraint("(cancelled_at IS NULL) = (cancelled_by IS NULL)", name="cancelled_by_someone"),
    sa.Index("ix_alert_silences_ends_at", "ends_at"),
    comment="One row is one wish that some alerts notify nobody for a time; they are recorded all the same.",
)

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
    sa.Column(
        "assets",
        TextList,
        nullable=False,
        server_default="{}",
        comment="Assets it is about; empty when it names none.",
    ),
    sa.Column(
        "impact",
        pg.JSONB,
        comment="Money, clients and assets downstream, and how the severity follows; null when that was not assessed.",
    ),
    sa.Column("occurrences_count", sa.Integer, nullable=False, comment="How often it was raised while open."),
    sa.Column("first_seen_at", Instant, nullable=False, comment="When it was first raised."),
    sa.Column("last_seen_at", Instant, nullable=False, comment="When it was last raised."),
    sa.Column("resolved_at", Instant, comment="When it was resolved; null while open."),
    sa.Column(
        "resolved_by", sa.Text, comment="`platform` when the cause was gone, else who did; null while open."
    ),
    sa.Column("resolved_reason", sa.Text, comment="Why it counts as resolved; null while open."),
    sa.Column("told_at", Instant, comment="When a notification of it was last queued; null when none was."),
    sa.Column("told_severity", sa.Text, comment="Its severity as last told; null when nobody was told."),
    sa.Column("acknowledged_at", Instant, comment="When somebody took it on; null when nobody has."),
    sa.Column("acknowledged_by", sa.Text, comment="Who took it on; null when nobody has."),
    sa.Column(
        "acknowledged_until", Instant, comment="Until when nobody is reminded of it; null without one."
    ),
    sa.Column("acknowledged_reason", sa.Text, comment="What they said; null when nobody has."),
    sa.Column(
        "silenced_by",
        sa.BigInteger,
        sa.ForeignKey(alert_silences.c.silence_id),
        comment="The silence that keeps it quiet now; null when none does.",
    ),
    sa.Column(
        "inhibited_by",
        sa.BigInteger,
        sa.ForeignKey("monitoring.system_alerts.alert_id"),
        comment="The open alert that is its cause, which is told instead; null when none is known.",
    ),
    sa.Column(
        "is_flapping",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Whether it came and went so often that it stays open until it has been calm for a while.",
    ),
    sa.Column(
        "calm_since",
        Instant,
        comment="Since when the cause of a flapping alert is gone; null while it is there.",
    ),
    sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity_is_known"),
    sa.CheckConstraint("state IN ('open', 'resolved')", name="state_is_known"),
    # One open alert per problem, whatever races to raise it.
    sa.Index("uq_system_alerts_open", "fingerprint", unique=True, postgresql_where=sa.text("state = 'open'")),
    # How often a problem came and went; and the latest of its history.
    sa.Index("ix_system_alerts_resolved", "fingerprint", "resolved_at"),
    sa.Index("ix_system_alerts_last_seen", "last_seen_at"),
    sa.Index("ix_system_alerts_age", "resolved_at"),
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
        index=True,
        comment="The alert it tells of; null for a canary.",
    ),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        server_default="opened",
        comment="What happened: `opened`, `escalated`, `resolved`, `reminder` or `canary`.",
    ),
    sa.Column("owner", sa.Text, nullable=False, comment="Team that is told."),
    sa.Column("severity", sa.Text, nullable=False, comment="`low`, `medium`, `high` or `critical`."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        server_default="pending",
        comment="`pending`, `routed` (on its way), `sent` (a channel took it), `failed` (none did) or `dropped` (no route "
        "wants it).",
    ),
    sa.Column("body", pg.JSONB, nullable=False, comment="What is to be said; no secrets."),
    sa.Column("created_at", Instant, nullable=False, comment="When it was queued."),
    sa.Column("due_at", Instant, nullable=False, comment="Not to be delivered before."),
    sa.Column("sent_at", Instant, comment="When a channel first took it; null until then."),
    sa.CheckConstraint("state IN ('pending', 'routed', 'sent', 'failed', 'dropped')", name="state_is_known"),
    sa.CheckConstraint(
        "kind IN ('opened', 'escalated', 'resolved', 'reminder', 'canary')", name="kind_is_known"
    ),
    sa.Index("ix_notification_outbox_age", "created_at"),
    sa.Index("ix_notification_outbox_pending", "due_at", postgresql_where=sa.text("state = 'pending'")),
    comment="One row is one happening that somebody is told of.",
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
    sa.Index("ix_ai_calls_age", "started_at"),
    comment="One row is one call of an AI service; neither text nor secret is kept.",
)

AI_CALL_TOKENS = sa.func.coalesce(
    ai_calls.c.prompt_tokens + ai_calls.c.output_tokens,
    sa.case((ai_calls.c.outcome == "timeout", ai_calls.c.reserved_tokens), else_=0),
)
"""What a call counts against the day's budget; one that ran out of time may have cost all that was set aside."""
