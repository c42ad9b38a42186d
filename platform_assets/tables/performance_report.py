"""What the performance report said, schema `monitoring`. The figures behind it stand in the tables that it reads."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant

performance_reports = sa.Table(
    "performance_reports",
    metadata,
    sa.Column(
        "generated_at", Instant, primary_key=True, comment="When it was made: the end of its 24 hours."
    ),
    sa.Column("headline", sa.Text, nullable=False, comment="How the platform stood, in one sentence."),
    sa.Column(
        "advice", pg.JSONB, nullable=False, comment="What to do: urgency, text, and the figures behind it."
    ),
    sa.Column("open_alerts_count", sa.Integer, nullable=False, comment="Alerts that were open."),
    sa.Column("runs_count", sa.Integer, nullable=False, comment="Runs that ended in the 24 hours."),
    sa.Column("failed_runs_count", sa.Integer, nullable=False, comment="Of these, failed."),
    comment="One row says what one performance report came to.",
)
