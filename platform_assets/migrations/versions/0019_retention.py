"""What remains of old measurements, what was purged, and what performance reports said; indexes to find old rows by."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

AGE_INDEXES = (
    ("ai_calls", "started_at"),
    ("gateway_calls", "started_at"),
    ("match_cleanups", "cleaned_at"),
    ("notification_outbox", "created_at"),
    ("run_retries", "settled_at"),
    ("system_alerts", "resolved_at"),
)


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "metric_rollups",
        _required("source", sa.Text(), comment="Table that the rows came from, schema included."),
        _required(
            "metric",
            sa.Text(),
            comment="Name of the measure, with its unit; `rows` counts the rows themselves.",
        ),
        _required(
            "labels",
            postgresql.JSONB(),
            comment="What the rows have in common, such as the service: column to value.",
        ),
        _required("hour", INSTANT, comment="Start of the hour (UTC)."),
        _required("values_count", sa.BigInteger(), comment="Measured values."),
        _required("nulls_count", sa.BigInteger(), comment="Rows in which nothing was measured."),
        _optional("value_sum", sa.Numeric(), comment="Exact sum of the values; null when there are none."),
        _optional("value_min", sa.Numeric(), comment="The least value; null when there are none."),
        _optional("value_max", sa.Numeric(), comment="The greatest value; null when there are none."),
        sa.PrimaryKeyConstraint("source", "metric", "labels", "hour"),
        schema="monitoring",
        comment="One row is one measure over one hour, made of rows that are gone.",
    )
    op.create_index("ix_metric_rollups_hour", "metric_rollups", ["hour"], schema="monitoring")
    op.create_table(
        "retention_sweeps",
        _required("sweep_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the row."),
        _required("swept_at", INSTANT, comment="When it was swept."),
        _required(
            "source", sa.Text(), comment="Table or store, such as `monitoring.ai_calls` or `dagster.runs`."
        ),
        _required("keep_days", sa.Integer(), comment="Days for which rows are kept."),
        _required("rows_purged", sa.BigInteger(), comment="Rows deleted."),
        _required(
            "rows_rolled_up", sa.BigInteger(), comment="Of these, rows whose roll-up was proven equal."
        ),
        _required(
            "rows_differing",
            sa.BigInteger(),
            comment="Rows left where they were, since their roll-up differed from them.",
        ),
        _required(
            "bytes_freed",
            sa.BigInteger(),
            comment="Bytes of the deleted rows, whose room Postgres reuses, or of deleted files.",
        ),
        _optional(
            "oldest_at", INSTANT, comment="The oldest row that is left; null when none is, or none may go."
        ),
        sa.PrimaryKeyConstraint("sweep_id"),
        schema="monitoring",
        comment="One row says what one sweep purged of one table or store.",
    )
    op.create_index("ix_retention_sweeps_swept", "retention_sweeps", ["swept_at"], schema="monitoring")
    op.create_table(
        "performance_reports",
        _required("generated_at", INSTANT, comment="When it was made: the end of its 24 hours."),
        _required("headline", sa.Text(), comment="How the platform stood, in one sentence."),
        _required(
            "advice", postgresql.JSONB(), comment="What to do: urgency, text, and the figures behind it."
        ),
        _required("open_alerts_count", sa.Integer(), comment="Alerts that were open."),
        _required("runs_count", sa.Integer(), comment="Runs that ended in the 24 hours."),
        _required("failed_runs_count", sa.Integer(), comment="Of these, failed."),
        sa.PrimaryKeyConstraint("generated_at"),
        schema="monitoring",
        comment="One row says what one performance report came to.",
    )
    for table, column in AGE_INDEXES:
        op.create_index(f"ix_{table}_age", table, [column], schema="monitoring")


def downgrade() -> None:
    for table, _ in AGE_INDEXES:
        op.drop_index(f"ix_{table}_age", table, schema="monitoring")
    op.drop_table("performance_reports", schema="monitoring")
    op.drop_table("retention_sweeps", schema="monitoring")
    op.drop_table("metric_rollups", schema="monitoring")
