"""Benchmarks with their overrides, and measurements of service levels."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "performance_benchmarks",
        _required(
            "benchmark",
            sa.Text(),
            comment="Name of the number, such as `match_coverage_ratio` or `service_levels.runs_payments`.",
        ),
        _required(
            "kind",
            sa.Text(),
            comment="`threshold` (of a check), `objective` (of a service level) or `decision` (never overridden).",
        ),
        _required("default_bound", sa.Double(), comment="The release's bound; overrides stand beside it."),
        _required("direction", sa.Text(), comment="`at_least` or `at_most`."),
        _required("unit", sa.Text(), comment="Unit of bound and measured value."),
        _required("severity", sa.Text(), comment="What a broken bound means: `WARN` or `ERROR`."),
        _required("reason", sa.Text(), comment="Why this bound."),
        _required(
            "updated_at", INSTANT, server_default=sa.text("now()"), comment="When this row last changed."
        ),
        sa.PrimaryKeyConstraint("benchmark"),
        sa.CheckConstraint("kind IN ('threshold', 'objective', 'decision')", name="kind_is_known"),
        sa.CheckConstraint("direction IN ('at_least', 'at_most')", name="direction_is_known"),
        schema="monitoring",
        comment="One row is one number that checks compare with, as this release has it.",
    )
    op.create_table(
        "benchmark_overrides",
        _required("override_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the override."),
        _required("benchmark", sa.Text(), comment="Name of the number that it replaces."),
        _required("bound", sa.Double(), comment="The bound that holds instead."),
        _required("author", sa.Text(), comment="Who set it."),
        _required("reason", sa.Text(), comment="Why."),
        _required("since_at", INSTANT, comment="From when it holds."),
        _optional("until_at", INSTANT, comment="When it ends by itself; null for one without an end."),
        _optional("ended_at", INSTANT, comment="When somebody took it back or replaced it; null until then."),
        _optional("ended_by", sa.Text(), comment="Who did; null until then."),
        sa.PrimaryKeyConstraint("override_id"),
        sa.CheckConstraint("until_at > since_at", name="ends_after_it_begins"),
        schema="monitoring",
        comment="One row is one bound that somebody has set in place of a release's; rows stay when it has ended.",
    )
    op.create_index(
        "uq_benchmark_overrides_standing",
        "benchmark_overrides",
        ["benchmark"],
        unique=True,
        schema="monitoring",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "service_level_samples",
        _required("sampled_at", INSTANT, comment="When it was looked."),
        _required("level", sa.Text(), comment="The service level, such as `freshness_matching`."),
        _required("subject", sa.Text(), comment="The asset that was looked at."),
        _required("good_count", sa.Integer(), comment="How much of it stood well."),
        _required("total_count", sa.Integer(), comment="Of how much."),
        sa.PrimaryKeyConstraint("sampled_at", "level", "subject"),
        schema="monitoring",
        comment="One row is one look at what leaves no events of its own: an asset's freshness, or its checks.",
    )
    op.create_table(
        "service_level_measurements",
        _required("measured_at", INSTANT, comment="End of the windows that were measured."),
        _required("level", sa.Text(), comment="The service level, such as `runs_payments`."),
        _required("objective_ratio", sa.Double(), comment="Share of events that must be good."),
        _required("good_count", sa.BigInteger(), comment="Good events of the last 28 days."),
        _required("total_count", sa.BigInteger(), comment="All events of the last 28 days."),
        _optional(
            "budget_left_ratio",
            sa.Double(),
            comment="Share of the error budget of 28 days that is left, below 0 when overspent; null without events.",
        ),
        *(
            _optional(
                f"burn_rate_{window}",
                sa.Double(),
                comment=f"Bad events of the last {window}, in multiples of what the budget allows; null when unknown.",
            )
            for window in ("5min", "30min", "1h", "2h", "6h", "1d", "3d")
        ),
        _optional(
            "pace_ratio",
            sa.Double(),
            comment="How near the nearest pair of windows comes to its alerting burn rate, above 1 with an alert; null with "
            "too few events.",
        ),
        _optional(
            "burning_at",
            sa.Double(),
            comment="The fastest burn rate at which an alert is due, such as 14.4; null when none is.",
        ),
        sa.PrimaryKeyConstraint("measured_at", "level"),
        schema="monitoring",
        comment="One row is one measurement of a service level: its error budget, and how fast it is being spent.",
    )


def downgrade() -> None:
    for table in (
        "service_level_measurements",
        "service_level_samples",
        "benchmark_overrides",
        "performance_benchmarks",
    ):
        op.drop_table(table, schema="monitoring")
