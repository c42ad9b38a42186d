"""Alerts, the notification outbox and the rows set aside."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
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
        "quarantined_rows",
        _required("source", sa.Text(), comment="Table or feed that the row came from."),
        _required("row_key", sa.Text(), comment="Its key as text, or a hash of the row when it has none."),
        _required("reason", sa.Text(), comment="Why it was set aside, column named."),
        _required("payload", postgresql.JSONB(), comment="The row as it came."),
        _required("first_seen_at", INSTANT, comment="When it was first set aside.", server_default=NOW),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("source", "row_key"),
        schema="monitoring",
        comment="One row is one bad row that is set aside; it leaves when it comes good.",
    )
    op.create_table(
        "system_alerts",
        _required("alert_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the alert."),
        _required("fingerprint", sa.Text(), comment="Identifies the problem; one open alert each."),
        _required("severity", sa.Text(), comment="`low`, `medium`, `high` or `critical`."),
        _required("state", sa.Text(), comment="`open` or `resolved`.", server_default="open"),
        _required("source", sa.Text(), comment="What raised it, such as `asset_check` or `run`."),
        _required("subject", sa.Text(), comment="What it is about: an asset, check, job or service."),
        _required("owner", sa.Text(), comment="Team that answers for the subject."),
        _required("title", sa.Text(), comment="One line for a person."),
        _required("details", postgresql.JSONB(), comment="Measured values and links; no secrets."),
        _required("occurrences_count", sa.Integer(), comment="How often it was raised while open."),
        _required("first_seen_at", INSTANT, comment="When it was first raised."),
        _required("last_seen_at", INSTANT, comment="When it was last raised."),
        _optional("resolved_at", INSTANT, comment="When it was resolved; null while open."),
        sa.PrimaryKeyConstraint("alert_id"),
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity_is_known"),
        sa.CheckConstraint("state IN ('open', 'resolved')", name="state_is_known"),
        schema="monitoring",
        comment="One row is one problem that was, or is, open.",
    )
    op.create_index(
        "uq_system_alerts_open",
        "system_alerts",
        ["fingerprint"],
        schema="monitoring",
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "notification_outbox",
        _required(
            "notification_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the notification."
        ),
        _required("dedupe_key", sa.Text(), comment="The same event is never queued twice."),
        _required("alert_id", sa.BigInteger(), comment="The alert it tells of."),
        _required("state", sa.Text(), comment="`pending`, `sent` or `failed`.", server_default="pending"),
        _required("body", postgresql.JSONB(), comment="What is to be said; no secrets."),
        _required("attempts_count", sa.Integer(), comment="Deliveries tried.", server_default="0"),
        _required("created_at", INSTANT, comment="When it was queued."),
        _required("due_at", INSTANT, comment="Not to be delivered before."),
        _optional("sent_at", INSTANT, comment="When it was delivered; null until then."),
        sa.PrimaryKeyConstraint("notification_id"),
        sa.UniqueConstraint("dedupe_key"),
        sa.ForeignKeyConstraint(["alert_id"], ["monitoring.system_alerts.alert_id"]),
        sa.CheckConstraint("state IN ('pending', 'sent', 'failed')", name="state_is_known"),
        schema="monitoring",
        comment="One row is one notification to deliver.",
    )
    op.create_index(
        "ix_monitoring_notification_outbox_alert_id", "notification_outbox", ["alert_id"], schema="monitoring"
    )


def downgrade() -> None:
    for table in ("notification_outbox", "system_alerts", "quarantined_rows"):
        op.drop_table(table, schema="monitoring")
