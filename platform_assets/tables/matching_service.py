"""Tables around the matches: analytics, the weights in use, what tuning decided, how the service does; the search index.

Matches themselves are in `platform.py`; the search function `platform.search_developers` is in the migration.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables import monitoring, platform
from platform_assets.tables.platform import Instant, updated_at

matching_analytics = sa.Table(
    "matching_analytics",
    platform.metadata,
    sa.Column("day", sa.Date, primary_key=True, comment="UTC day for which it was measured."),
    sa.Column("metric", sa.Text, primary_key=True, comment="What was measured, such as `coverage_ratio`."),
    sa.Column(
        "segment",
        sa.Text,
        primary_key=True,
        comment="Part that it is about, such as a step of the funnel or a skill; `all` for the whole.",
    ),
    sa.Column("value", sa.Double, nullable=False, comment="The measured value."),
    sa.Column("unit", sa.Text, nullable=False, comment="Unit of the value, such as `ratio` or `hours`."),
    sa.Column(
        "items_count", sa.Integer, nullable=False, comment="Projects, pairs or developers behind the value."
    ),
    updated_at(),
    comment="One row is one measure of the matching on one day, for one segment.",
)

matching_weights = sa.Table(
    "matching_weights",
    platform.metadata,
    sa.Column("version", sa.Text, primary_key=True, comment="SHA-256 of the weights."),
    sa.Column("weights", pg.JSONB, nullable=False, comment="Term of the score to its weight."),
    sa.Column("source", sa.Text, nullable=False, comment="`packaged`, or `outcomes` they were learned from."),
    sa.Column("evidence", pg.JSONB, nullable=False, comment="The numbers that spoke for them."),
    sa.Column("decided_on", sa.Date, nullable=False, comment="UTC day of the decision."),
    sa.Column(
        "in_use_from",
        sa.Date,
        nullable=False,
        comment="First UTC day of their use, so that all of a day's scores are of one kind; the latest one counts.",
    ),
    updated_at(),
    comment="One row is one set of weights of the match score that is or was in use.",
)

matching_tuning = sa.Table(
    "matching_tuning",
    monitoring.metadata,
    sa.Column(
        "decision_id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Id of the decision.",
    ),
    sa.Column("decided_at", Instant, nullable=False, comment="When it was decided."),
    sa.Column("topic", sa.Text, nullable=False, comment="`weights`, `search_index` or `upkeep`."),
    sa.Column("subject", sa.Text, nullable=False, comment="The score, or the table or index it is about."),
    sa.Column("decision", sa.Text, nullable=False, comment="What was done, such as `kept` or `vacuum`."),
    sa.Column("reason", sa.Text, nullable=False, comment="Why, in one sentence."),
    sa.Column("numbers", pg.JSONB, nullable=False, comment="What was tried and measured."),
    sa.Index("ix_matching_tuning_decided", "decided_at"),
    comment="One row is one decision of the matching's tuning, with the numbers it rests on.",
)

matching_service_health = sa.Table(
    "matching_service_health",
    monitoring.metadata,
    sa.Column(
        "measurement_id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Id of the measurement.",
    ),
    sa.Column("measured_at", Instant, nullable=False, comment="When it was measured."),
    sa.Column("pages_count", sa.Integer, nullable=False, comment="Match pages of open projects asked for."),
    sa.Column("errors_count", sa.Integer, nullable=False, comment="Of these, failed or timed out."),
    sa.Column("empty_count", sa.Integer, nullable=False, comment="Of these, without a match."),
    sa.Column("latency_p50_ms", sa.Double, comment="Median time of a page; null when none came."),
    sa.Column("latency_p95_ms", sa.Double, comment="95th percentile of it; null when none came."),
    sa.Column(
        "stalest_days",
        sa.Integer,
        comment="Days since the day for which the oldest list of the sample was computed; null when there is none.",
    ),
    sa.Column(
        "searches_count", sa.Integer, nullable=False, comment="Searches compared with the exact answer."
    ),
    sa.Column("search_errors_count", sa.Integer, nullable=False, comment="Of these, failed or timed out."),
    sa.Column(
        "search_recall",
        sa.Double,
        comment="Mean share of the exact answer that the index found under real filters; null when none was compared.",
    ),
    sa.Column("search_p95_ms", sa.Double, comment="95th percentile of a search's time; null when none came."),
    sa.Column("failure", sa.Text, comment="What the last failed query said; null when none failed."),
    sa.Index("ix_matching_service_health_measured", "measured_at"),
    comment="One row is one look at the matching as the application sees it: its queries, timed and compared.",
)

SEARCH_INDEX = "ix_developer_vectors_vector"
"""Approximate nearest neighbours by cosine, for `platform.search_developers`."""

sa.Index(
    SEARCH_INDEX,
    platform.developer_vectors.c.vector,
    postgresql_using="hnsw",
    postgresql_ops={"vector": "vector_cosine_ops"},
)
