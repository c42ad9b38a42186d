"""Benchmarks, what overrides them, and how service levels are kept, schema `monitoring`. Their rules are in `monitoring/levels/`."""

import sqlalchemy as sa

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant, updated_at

performance_benchmarks = sa.Table(
    "performance_benchmarks",
    metadata,
    sa.Column(
        "benchmark",
        sa.Text,
        primary_key=True,
        comment="Name of the number, such as `match_coverage_ratio` or `service_levels.runs_payments`.",
    ),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        comment="`threshold` (of a check), `objective` (of a service level) or `decision` (never overridden).",
    ),
    sa.Column(
        "default_bound", sa.Double, nullable=False, comment="The release's bound; overrides stand beside it."
    ),
    sa.Column("direction", sa.Text, nullable=False, comment="`at_least` or `at_most`."),
    sa.Column("unit", sa.Text, nullable=False, comment="Unit of bound and measured value."),
    sa.Column("severity", sa.Text, nullable=False, comment="What a broken bound means: `WARN` or `ERROR`."),
    sa.Column("reason", sa.Text, nullable=False, comment="Why this bound."),
    updated_at(),
    sa.CheckConstraint("kind IN ('threshold', 'objective', 'decision')", name="kind_is_known"),
    sa.CheckConstraint("direction IN ('at_least', 'at_most')", name="direction_is_known"),
    comment="One row is one number that checks compare with, as this release has it.",
)

benchmark_overrides = sa.Table(
    "benchmark_overrides",
    metadata,
    sa.Column(
        "override_id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="Id of the override.",
    ),
    sa.Column("benchmark", sa.Text, nullable=False, comment="Name of the number that it replaces."),
    sa.Column("bound", sa.Double, nullable=False, comment="The bound that holds instead."),
    sa.Column("author", sa.Text, nullable=False, comment="Who set it."),
    sa.Column("reason", sa.Text, nullable=False, comment="Why."),
    sa.Column("since_at", Instant, nullable=False, comment="From when it holds."),
    sa.Column("until_at", Instant, comment="When it ends by itself; null for one without an end."),
    sa.Column("ended_at", Instant, comment="When somebody took it back or replaced it; null until then."),
    sa.Column("ended_by", sa.Text, comment="Who did; null until then."),
    sa.CheckConstraint("until_at > since_at", name="ends_after_it_begins"),
    # One in force for each number, whoever races to set it.
    sa.Index(
        "uq_benchmark_overrides_standing",
        "benchmark",
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    ),
    comment="One row is one bound that somebody has set in place of a release's; rows stay when it has ended.",
)

service_level_samples = sa.Table(
    "service_level_samples",
    metadata,
    sa.Column("sampled_at", Instant, primary_key=True, comment="When it was looked."),
    sa.Column("level", sa.Text, primary_key=True, comment="The service level, such as `freshness_matching`."),
    sa.Column("subject", sa.Text, primary_key=True, comment="The asset that was looked at."),
    sa.Column("good_count", sa.Integer, nullable=False, comment="How much of it stood well."),
    sa.Column("total_count", sa.Integer, nullable=False, comment="Of how much."),
    comment="One row is one look at what leaves no events of its own: an asset's freshness, or its checks.",
)

service_level_measurements = sa.Table(
    "service_level_measurements",
    metadata,
    sa.Column("measured_at", Instant, primary_key=True, comment="End of the windows that were measured."),
    sa.Column("level", sa.Text, primary_key=True, comment="The service level, such as `runs_payments`."),
    sa.Column("objective_ratio", sa.Double, nullable=False, comment="Share of events that must be good."),
    sa.Column("good_count", sa.BigInteger, nullable=False, comment="Good events of the last 28 days."),
    sa.Column("total_count", sa.BigInteger, nullable=False, comment="All events of the last 28 days."),
    sa.Column(
        "budget_left_ratio",
        sa.Double,
        comment="Share of the error budget of 28 days that is left, below 0 when overspent; null without events.",
    ),
    *(
        sa.Column(
            f"burn_rate_{window}",
            sa.Double,
            comment=f"Bad events of the last {window}, in multiples of what the budget allows; null when unknown.",
        )
        for window in ("5min", "30min", "1h", "2h", "6h", "1d", "3d")
    ),
    sa.Column(
        "pace_ratio",
        sa.Double,
        comment="How near the nearest pair of windows comes to its alerting burn rate, above 1 with an alert; null with "
        "too few events.",
    ),
    sa.Column(
        "burning_at",
        sa.Double,
        comment="The fastest burn rate at which an alert is due, such as 14.4; null when none is.",
    ),
    comment="One row is one measurement of a service level: its error budget, and how fast it is being spent.",
)
