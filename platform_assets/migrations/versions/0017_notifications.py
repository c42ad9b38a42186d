"""Notifications: what happened and to whom it is told, messages by channel, how channels stand."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
SCHEMA = "monitoring"
OUTBOX = "notification_outbox"


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    _extend_outbox()
    op.create_table(
        "notification_deliveries",
        _required("delivery_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the delivery."),
        _required(
            "message_id",
            sa.Text(),
            comment="What the receiver knows the message by; every attempt has the same.",
        ),
        _required("channel", sa.Text(), comment="The channel, as it is named in the settings."),
        _required("owner", sa.Text(), comment="Team that is told."),
        _required("severity", sa.Text(), comment="The worst of its events."),
        _required(
            "state",
            sa.Text(),
            comment="`pending`, `sent`, `diverted` (another channel has it now) or `failed` (a person has to look).",
            server_default="pending",
        ),
        _optional(
            "fallback_of",
            sa.BigInteger(),
            comment="The delivery that it stands in for; null for one that was routed here.",
        ),
        _required("attempts_count", sa.Integer(), comment="Attempts begun.", server_default="0"),
        _required("created_at", INSTANT, comment="When it was routed here."),
        _required("due_at", INSTANT, comment="Not to be sent before."),
        _optional(
            "leased_until",
            INSTANT,
            comment="Until then somebody is sending it; null when nobody is. A lease that ran out is anybody's.",
        ),
        _optional("sent_at", INSTANT, comment="When the channel took it; null until then."),
        _optional("title", sa.Text(), comment="Its subject; fixed by the first attempt, null before."),
        _optional(
            "text_body", sa.Text(), comment="What it says, as plain text; null before the first attempt."
        ),
        _optional("html_body", sa.Text(), comment="The same as HTML, for channels that show it."),
        _optional(
            "mood",
            sa.Text(),
            comment="`info`, `success`, `warning` or `failure`: its colour, where there is any.",
        ),
        _optional("receipt", sa.Text(), comment="What the channel answered when it took the message."),
        _optional("error", sa.Text(), comment="Why the last attempt failed; no secrets."),
        sa.PrimaryKeyConstraint("delivery_id"),
        sa.UniqueConstraint("message_id"),
        sa.ForeignKeyConstraint(
            ["fallback_of"], ["monitoring.notification_deliveries.delivery_id"], ondelete="SET NULL"
        ),
        sa.CheckConstraint("state IN ('pending', 'sent', 'diverted', 'failed')", name="state_is_known"),
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity_is_known"),
        schema=SCHEMA,
        comment="One row is one message to one channel.",
    )
    op.create_index(
        "ix_notification_deliveries_pending",
        "notification_deliveries",
        ["channel", "due_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_notification_deliveries_created", "notification_deliveries", ["created_at"], schema=SCHEMA
    )
    op.create_table(
        "notification_delivery_events",
        _required("delivery_id", sa.BigInteger(), comment="The message."),
        _required("notification_id", sa.BigInteger(), comment="The event that it tells of."),
        sa.PrimaryKeyConstraint("delivery_id", "notification_id"),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["monitoring.notification_deliveries.delivery_id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["monitoring.notification_outbox.notification_id"], ondelete="CASCADE"
        ),
        schema=SCHEMA,
        comment="One row says that a message tells of an event.",
    )
    op.create_index(
        "ix_monitoring_notification_delivery_events_notification_id",
        "notification_delivery_events",
        ["notification_id"],
        schema=SCHEMA,
    )
    op.create_table(
        "notification_channels",
        _required("channel", sa.Text(), comment="The channel, as it is named in the settings."),
        _required(
            "failures_count",
            sa.Integer(),
            comment="Attempts that failed since the last one that did not.",
            server_default="0",
        ),
        _optional(
            "resting_until",
            INSTANT,
            comment="After a failure: not to be tried before; null when it is well.",
        ),
        _optional(
            "paced_until",
            INSTANT,
            comment="How far ahead its rate limit is used up; null before the first message.",
        ),
        _optional("last_sent_at", INSTANT, comment="When it last took a message; null before the first."),
        _optional("last_failed_at", INSTANT, comment="When it last failed; null before the first time."),
        _optional("last_error", sa.Text(), comment="Why; no secrets."),
        sa.PrimaryKeyConstraint("channel"),
        schema=SCHEMA,
        comment="One row is one channel and how it stands.",
    )


def _extend_outbox() -> None:
    op.add_column(
        OUTBOX,
        _required(
            "kind",
            sa.Text(),
            comment="What happened: `opened`, `escalated`, `resolved`, `reminder` or `canary`.",
            server_default="opened",
        ),
        schema=SCHEMA,
    )
    for name, comment in (
        ("owner", "Team that is told."),
        ("severity", "`low`, `medium`, `high` or `critical`."),
    ):
        op.add_column(OUTBOX, _optional(name, sa.Text(), comment=comment), schema=SCHEMA)
    # What is queued already says both in its body.
    op.execute(
        f"UPDATE {SCHEMA}.{OUTBOX} SET owner = body->>'owner', severity = body->>'severity'"  # noqa: S608  (constants)
    )
    for name in ("owner", "severity"):
        op.alter_column(OUTBOX, name, nullable=False, schema=SCHEMA)
    # An attempt belongs to a message and a channel.
    op.drop_column(OUTBOX, "attempts_count", schema=SCHEMA)
    op.alter_column(
        OUTBOX, "alert_id", nullable=True, comment="The alert it tells of; null for a canary.", schema=SCHEMA
    )
    op.alter_column(
        OUTBOX,
        "state",
        comment="`pending`, `routed` (on its way), `sent` (a channel took it), `failed` (none did) or `dropped` (no route "
        "wants it).",
        schema=SCHEMA,
    )
    op.alter_column(
        OUTBOX, "sent_at", comment="When a channel first took it; null until then.", schema=SCHEMA
    )
    op.create_table_comment(OUTBOX, "One row is one happening that somebody is told of.", schema=SCHEMA)
    op.drop_constraint("state_is_known", OUTBOX, schema=SCHEMA)
    op.create_check_constraint(
        "state_is_known",
        OUTBOX,
        "state IN ('pending', 'routed', 'sent', 'failed', 'dropped')",
        schema=SCHEMA,
    )
    op.create_check_constraint(
        "kind_is_known",
        OUTBOX,
        "kind IN ('opened', 'escalated', 'resolved', 'reminder', 'canary')",
        schema=SCHEMA,
    )
    op.create_index(
        "ix_notification_outbox_pending",
        OUTBOX,
        ["due_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    for table in ("notification_channels", "notification_delivery_events", "notification_deliveries"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_index("ix_notification_outbox_pending", OUTBOX, schema=SCHEMA)
    for constraint in ("kind_is_known", "state_is_known"):
        op.drop_constraint(constraint, OUTBOX, schema=SCHEMA)
    # The older release knows neither events without an alert nor what is on its way.
    op.execute(f"DELETE FROM {SCHEMA}.{OUTBOX} WHERE alert_id IS NULL")  # noqa: S608  (constants)
    op.execute(
        f"UPDATE {SCHEMA}.{OUTBOX} SET state = 'pending' WHERE state IN ('routed', 'dropped')"  # noqa: S608  (constants)
    )
    op.create_check_constraint(
        "state_is_known", OUTBOX, "state IN ('pending', 'sent', 'failed')", schema=SCHEMA
    )
    op.alter_column(OUTBOX, "alert_id", nullable=False, comment="The alert it tells of.", schema=SCHEMA)
    op.alter_column(OUTBOX, "state", comment="`pending`, `sent` or `failed`.", schema=SCHEMA)
    op.alter_column(OUTBOX, "sent_at", comment="When it was delivered; null until then.", schema=SCHEMA)
    op.create_table_comment(OUTBOX, "One row is one notification to deliver.", schema=SCHEMA)
    op.add_column(
        OUTBOX,
        _required("attempts_count", sa.Integer(), comment="Deliveries tried.", server_default="0"),
        schema=SCHEMA,
    )
    for name in ("kind", "owner", "severity"):
        op.drop_column(OUTBOX, name, schema=SCHEMA)
