"""Which measurements are kept for how long, and what of them remains. Only data; `sweep.py` does it.

What is not named here is never purged: payments, attempts at charging, reminders and their evidence above all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from platform_assets.tables import monitoring
from platform_assets.tables.matching import match_cleanups
from platform_assets.tables.matching_service import matching_service_health
from platform_assets.tables.payment_operations import gateway_calls, gateway_metrics
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.retention import metric_rollups, retention_sweeps
from platform_assets.tables.text_measurements import cache_sweeps

RAW_METRICS_KEPT = dt.timedelta(days=14)
"""Measured every few minutes: long enough to compare a week with the one before."""

CALLS_KEPT = dt.timedelta(days=60)
"""Single calls of AI services and the gateway: service levels look back 28 days, and a dispute is answered within weeks."""

DERIVED_METRICS_KEPT = dt.timedelta(days=90)
"""Hourly and rarer figures: a quarter."""

RUN_OUTCOMES_KEPT = dt.timedelta(days=90)
"""How runs ended and were run again; what is usual for a job is read from them."""

ALERTS_KEPT = dt.timedelta(days=180)
"""Alerts that are resolved, with what was told of them."""

ROLLUPS_KEPT = dt.timedelta(days=400)
"""Hourly roll-ups, and the record of sweeps: a year and a month, so that each month has last year's beside it."""

RUN_HISTORY_KEPT = dt.timedelta(days=14)
"""Dagster's runs with their events, check evaluations and logs: some 60 MB a day at this timetable."""


@dataclass(frozen=True)
class RolledUp:
    """A table whose old rows are rolled up by hour, then purged.

    Attributes:
        table: The table.
        at: The column by which a row's age counts; an index begins with it.
        keep: How long rows stay.
        labels: Columns by which figures are kept apart.
        measures: Name → expression of what is summed; by default every numeric column that is no key.
    """

    table: sa.Table
    at: sa.Column[Any]
    keep: dt.timedelta
    labels: tuple[str, ...] = ()
    measures: Mapping[str, sa.ColumnElement[Any]] = field(default_factory=dict)

    @property
    def expressions(self) -> dict[str, sa.ColumnElement[Any]]:
        """Name → expression of each measure."""
        return dict(self.measures) or {
            column.name: column
            for column in self.table.columns
            if column.type.python_type in (int, float, Decimal)
            and not column.primary_key
            and not column.foreign_keys
        }


@dataclass(frozen=True)
class Purged:
    """A table whose old rows go without a trace, since they tell of no measure.

    Attributes:
        table: The table.
        at: The column by which a row's age counts.
        keep: How long rows stay.
        only: Which rows may go at all.
    """

    table: sa.Table
    at: sa.Column[Any]
    keep: dt.timedelta
    only: sa.ColumnElement[bool] = field(default_factory=sa.true)


def _seconds(later: sa.Column[Any], earlier: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.func.extract("epoch", later - earlier)


_outcomes = run_outcomes.c

POLICIES: tuple[RolledUp | Purged, ...] = (
    RolledUp(matching_service_health, matching_service_health.c.measured_at, RAW_METRICS_KEPT),
    RolledUp(
        monitoring.ai_calls,
        monitoring.ai_calls.c.started_at,
        CALLS_KEPT,
        labels=("service", "model", "purpose", "outcome"),
    ),
    RolledUp(
        gateway_calls, gateway_calls.c.started_at, CALLS_KEPT, labels=("gateway", "operation", "outcome")
    ),
    RolledUp(
        gateway_metrics,
        gateway_metrics.c.measured_at,
        DERIVED_METRICS_KEPT,
        labels=("gateway", "currency", "metric", "label"),
    ),
    RolledUp(
        run_outcomes,
        _outcomes.ended_at,
        RUN_OUTCOMES_KEPT,
        labels=("job_name", "queue", "status", "cause"),
        measures={
            "run_time_s": _seconds(_outcomes.ended_at, _outcomes.started_at),
            "waited_s": _seconds(_outcomes.started_at, _outcomes.created_at),
        },
    ),
    RolledUp(cache_sweeps, cache_sweeps.c.swept_at, DERIVED_METRICS_KEPT, labels=("cache",)),
    RolledUp(match_cleanups, match_cleanups.c.cleaned_at, DERIVED_METRICS_KEPT),
    Purged(run_retries, run_retries.c.settled_at, RUN_OUTCOMES_KEPT, only=run_retries.c.state != "due"),
    Purged(retention_sweeps, retention_sweeps.c.swept_at, ROLLUPS_KEPT),
    Purged(metric_rollups, metric_rollups.c.hour, ROLLUPS_KEPT),
)
"""In the order in which they are swept."""
