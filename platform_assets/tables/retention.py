"""What remains of old measurements, schema `monitoring`: hourly roll-ups, and what each sweep purged."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant

metric_rollups = sa.Table(
    "metric_rollups",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Table that the rows came from, schema included."),
    sa.Column(
        "metric",
        sa.Text,
        primary_key=True,
        comment="Name of the measure, with its unit; `rows` counts the rows themselves.",
    ),
    sa.Column(
        "labels",
        pg.JSONB,
        primary_key=True,
        comment="What the rows have in common, such as the service: column to value.",
    ),
    sa.Column("hour", Instant, primary_key=True, comment="Start of the hour (UTC)."),
    sa.Column("values_count", sa.BigInteger, nullable=False, comment="Measured values."),
    sa.Column("nulls_count", sa.BigInteger, nullable=False, comment="Rows in which nothing was measured."),
    sa.Column("value_sum", sa.Numeric, comment="Exact sum of the values; null when there are none."),
    sa.Column("value_min", sa.Numeric, comment="The least value; null when there are none."),
    sa.Column("value_max", sa.Numeric, comment="The greatest value; null when there are none."),
    sa.Index("ix_metric_rollups_hour", "hour"),
    comment="One row is one measure over one hour, made of rows that are gone.",
)

retention_sweeps = sa.Table(
    "retention_sweeps",
    metadata,
    sa.Column(
        "sweep_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the row."
    ),
    sa.Column("swept_at", Instant, nullable=False, comment="When it was swept."),
    sa.Column(
        "source",
        sa.Text,
        nullable=False,
        comment="Table or store, such as `monitoring.ai_calls` or `dagster.runs`.",
    ),
    sa.Column("keep_days", sa.Integer, nullable=False, comment="Days for which rows are kept."),
    sa.Column("rows_purged", sa.BigInteger, nullable=False, comment="Rows deleted."),
    sa.Column(
        "rows_rolled_up",
        sa.BigInteger,
        nullable=False,
        comment="Of these, rows whose roll-up was proven equal.",
    ),
    sa.Column(
        "rows_differing",
        sa.BigInteger,
        nullable=False,
        comment="Rows left where they were, since their roll-up differed from them.",
    ),
    sa.Column(
        "bytes_freed",
        sa.BigInteger,
        nullable=False,
        comment="Bytes of the deleted rows, whose room Postgres reuses, or of deleted files.",
    ),
    sa.Column(
        "oldest_at", Instant, comment="The oldest row that is left; null when none is, or none may go."
    ),
    sa.Index("ix_retention_sweeps_swept", "swept_at"),
    comment="One row says what one sweep purged of one table or store.",
)
