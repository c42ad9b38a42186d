"""Silences, and what an alert remembers: impact, acknowledgement, what keeps it quiet, what was told, who resolved it."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TEXT_LIST = postgresql.ARRAY(sa.Text())


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def _new_columns() -> tuple[sa.Column[Any], ...]:
    return (
        _required(
            "assets", TEXT_LIST, comment="Assets it is about; empty when it names none.", server_default="{}"
        ),
        _optional(
            "impact",
            postgresql.JSONB(),
            comment="Money, clients and assets downstream, and how the severity follows; null when that was not assessed.",
        ),
        _optional(
            "resolved_by",
            sa.Text(),
            comment="`platform` when the cause was gone, else who did; null while open.",
        ),
        _optional("resolved_reason", sa.Text(), comment="Why it counts as resolved; null while open."),
        _optional(
            "told_at", INSTANT, comment="When a notification of it was last queued; null when none was."
        ),
        _optional(
            "told_severity", sa.Text(), comment="Its severity as last told; null when nobody was told."
        ),
        _optional("acknowledged_at", INSTANT, comment="When somebody took it on; null when nobody has."),
        _optional("acknowledged_by", sa.Text(), comment="Who took it on; null when nobody has."),
        _optional(
            "acknowledged_until", INSTANT, comment="Until when nobody is reminded of it; null without one."
        ),
        _optional("acknowledged_reason", sa.Text(), comment="What they said; null when nobody has."),
        _optional(
            "silenced_by",
            sa.BigInteger(),
            sa.ForeignKey("monitoring.alert_silences.silence_id"),
            comment="The silence that keeps it quiet now; null when none does.",
        ),
        _optional(
            "inhibited_by",
            sa.BigInteger(),
            sa.ForeignKey("monitoring.system_alerts.alert_id"),
            comment="The open alert that is its cause, which is told instead; null when none is known.",
        ),
        _required(
            "is_flapping",
            sa.Boolean(),
            comment="Whether it came and went so often that it stays open until it has been calm for a while.",
            server_default=sa.false(),
        ),
        _optional(
            "calm_since",
            INSTANT,
            comment="Since when the cause of a flapping alert is gone; null while it is there.",
        ),
    )


# What was open or resolved before these columns were there has been told, by the rules of its release.
REMEMBER = """
UPDATE monitoring.system_alerts
SET told_at = first_seen_at, told_severity = severity,
    resolved_by = CASE WHEN state = 'resolved' THEN 'platform' END,
    resolved_reason = CASE WHEN state = 'resolved' THEN 'the cause was gone' END
"""


def upgrade() -> None:
    op.create_table(
        "alert_silences",
        _required("silence_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the silence."),
        _optional("owner", sa.Text(), comment="Only alerts of this team; null for any."),
        _optional("source", sa.Text(), comment="Only alerts of this source; null for any."),
        _optional(
            "subject_glob",
            sa.Text(),
            comment="Only alerts whose subject fits, such as `matches:*`; null for any.",
        ),
        _optional("max_severity", sa.Text(), comment="Only alerts of at most this severity; null for any."),
        _required("author", sa.Text(), comment="Who wants it quiet."),
        _required("reason", sa.Text(), comment="Why."),
        _required("created_at", INSTANT, comment="When it was written."),
        _required("starts_at", INSTANT, comment="From when on it holds."),
        _required("ends_at", INSTANT, comment="Until when, this moment excluded; every silence ends."),
        _optional(
            "cancelled_at", INSTANT, comment="When it was taken back before its end; null when it was not."
        ),
        _optional("cancelled_by", sa.Text(), comment="Who took it back; null when nobody did."),
        sa.PrimaryKeyConstraint("silence_id"),
        sa.CheckConstraint(
            "max_severity IN ('low', 'medium', 'high', 'critical')", name="max_severity_is_known"
        ),
        sa.CheckConstraint("ends_at > starts_at", name="ends_after_it_starts"),
        sa.CheckConstraint(
            "num_nonnulls(owner, source, subject_glob, max_severity) > 0", name="says_what_is_silenced"
        ),
        sa.CheckConstraint("(cancelled_at IS NULL) = (cancelled_by IS NULL)", name="cancelled_by_someone"),
        schema="monitoring",
        comment="One row is one wish that some alerts notify nobody for a time; they are recorded all the same.",
    )
    op.create_index("ix_alert_silences_ends_at", "alert_silences", ["ends_at"], schema="monitoring")
    for column in _new_columns():
        op.add_column("system_alerts", column, schema="monitoring")
    op.execute(REMEMBER)
    op.create_index(
        "ix_system_alerts_resolved", "system_alerts", ["fingerprint", "resolved_at"], schema="monitoring"
    )
    op.create_index("ix_system_alerts_last_seen", "system_alerts", ["last_seen_at"], schema="monitoring")


def downgrade() -> None:
    op.drop_index("ix_system_alerts_last_seen", "system_alerts", schema="monitoring")
    op.drop_index("ix_system_alerts_resolved", "system_alerts", schema="monitoring")
    for column in reversed(_new_columns()):
        op.drop_column("system_alerts", column.name, schema="monitoring")
    op.drop_table("alert_silences", schema="monitoring")
