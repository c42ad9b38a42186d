"""How notifications are delivered, schema `monitoring`: messages, the events in them, and how each channel stands.

The outbox, from which they are made, stands in `monitoring.py`.
"""

import sqlalchemy as sa

from platform_assets.tables.monitoring import metadata, notification_outbox
from platform_assets.tables.platform import Instant

notification_deliveries = sa.Table(
    "notification_deliveries",
    metadata,
    sa.Column(
        "delivery_id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Id of the delivery.",
    ),
    sa.Column(
        "message_id",
        sa.Text,
        nullable=False,
        unique=True,
        comment="What the receiver knows the message by; every attempt has the same.",
    ),
    sa.Column("channel", sa.Text, nullable=False, comment="The channel, as it is named in the settings."),
    sa.Column("owner", sa.Text, nullable=False, comment="Team that is told."),
    sa.Column("severity", sa.Text, nullable=False, comment="The worst of its events."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        server_default="pending",
        comment="`pending`, `sent`, `diverted` (another channel has it now) or `failed` (a person has to look).",
    ),
    sa.Column(
        "fallback_of",
        sa.BigInteger,
        sa.ForeignKey("monitoring.notification_deliveries.delivery_id", ondelete="SET NULL"),
        comment="The delivery that it stands in for; null for one that was routed here.",
    ),
    sa.Column("attempts_count", sa.Integer, nullable=False, server_default="0", comment="Attempts begun."),
    sa.Column("created_at", Instant, nullable=False, comment="When it was routed here."),
    sa.Column("due_at", Instant, nullable=False, comment="Not to be sent before."),
    sa.Column(
        "leased_until",
        Instant,
        comment="Until then somebody is sending it; null when nobody is. A lease that ran out is anybody's.",
    ),
    sa.Column("sent_at", Instant, comment="When the channel took it; null until then."),
    sa.Column("title", sa.Text, comment="Its subject; fixed by the first attempt, null before."),
    sa.Column("text_body", sa.Text, comment="What it says, as plain text; null before the first attempt."),
    sa.Column("html_body", sa.Text, comment="The same as HTML, for channels that show it."),
    sa.Column(
        "mood", sa.Text, comment="`info`, `success`, `warning` or `failure`: its colour, where there is any."
    ),
    sa.Column("receipt", sa.Text, comment="What the channel answered when it took the message."),
    sa.Column("error", sa.Text, comment="Why the last attempt failed; no secrets."),
    sa.CheckConstraint("state IN ('pending', 'sent', 'diverted', 'failed')", name="state_is_known"),
    sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity_is_known"),
    sa.Index(
        "ix_notification_deliveries_pending",
        "channel",
        "due_at",
        postgresql_where=sa.text("state = 'pending'"),
    ),
    sa.Index("ix_notification_deliveries_created", "created_at"),
    comment="One row is one message to one channel.",
)

notification_delivery_events = sa.Table(
    "notification_delivery_events",
    metadata,
    sa.Column(
        "delivery_id",
        sa.BigInteger,
        sa.ForeignKey(notification_deliveries.c.delivery_id, ondelete="CASCADE"),
        primary_key=True,
        comment="The message.",
    ),
    sa.Column(
        "notification_id",
        sa.BigInteger,
        sa.ForeignKey(notification_outbox.c.notification_id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
        comment="The event that it tells of.",
    ),
    comment="One row says that a message tells of an event.",
)

notification_channels = sa.Table(
    "notification_channels",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True, comment="The channel, as it is named in the settings."),
    sa.Column(
        "failures_count",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="Attempts that failed since the last one that did not.",
    ),
    sa.Column(
        "resting_until", Instant, comment="After a failure: not to be tried before; null when it is well."
    ),
    sa.Column(
        "paced_until",
        Instant,
        comment="How far ahead its rate limit is used up; null before the first message.",
    ),
    sa.Column("last_sent_at", Instant, comment="When it last took a message; null before the first."),
    sa.Column("last_failed_at", Instant, comment="When it last failed; null before the first time."),
    sa.Column("last_error", sa.Text, comment="Why; no secrets."),
    comment="One row is one channel and how it stands.",
)
