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

from platform_assets.tables.matching import match_cleanups
from platform_assets.tables.matching_service import matching_service_health
from platform_assets.tables.monitoring import ai_calls, alert_silences, notification_outbox, system_alerts
from platform_assets.tables.notifications import notification_deliveries
from platform_assets.tables.payment_operations import gateway_calls, gateway_metrics
from platform_assets.tables.performance_report import performance_reports
from platform_assets.tables.queues import queue_recovery, task_queue_metrics, tick_metrics
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.retention import metric_rollups, retention_sweeps
from platform_assets.tables.service_health import ai_service_metrics, service_health_metrics
from platform_assets.tables.service_levels import service_level_measurements, service_level_samples
from platform_assets.tables.supervision import process_incidents
from platform_assets.tables.text_measurements import cache_sweeps

RAW_METRICS_KEPT = dt.timedelta(days=35)
"""Measured every few minutes; service levels look back 28 days."""

CALLS_KEPT = dt.timedelta(days=60)
"""Single calls of AI services and the gateway: a dispute is answered within weeks."""

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
_effects = system_alerts.alias("effects")

POLICIES: tuple[RolledUp | Purged, ...] = (
    RolledUp(
        service_health_metrics,
        service_health_metrics.c.measured_at,
        RAW_METRICS_KEPT,
        labels=("service", "look", "state"),
    ),
    RolledUp(
        ai_service_metrics,
        ai_service_metrics.c.measured_at,
        RAW_METRICS_KEPT,
        labels=("service", "model", "window_hours"),
    ),
    RolledUp(
        task_queue_metrics, task_queue_metrics.c.measured_at, RAW_METRICS_KEPT, labels=("queue", "window_s")
    ),
    RolledUp(tick_metrics, tick_metrics.c.measured_at, RAW_METRICS_KEPT, labels=("kind", "name")),
    RolledUp(
        service_level_samples,
        service_level_samples.c.sampled_at,
        RAW_METRICS_KEPT,
        labels=("level", "subject"),
    ),
    RolledUp(
        service_level_measurements,
        service_level_measurements.c.measured_at,
        RAW_METRICS_KEPT,
        labels=("level",),
    ),
    RolledUp(matching_service_health, matching_service_health.c.measured_at, RAW_METRICS_KEPT),
    RolledUp(
        ai_calls,
        ai_calls.c.started_at,
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
    RolledUp(queue_recovery, queue_recovery.c.claimed_at, DERIVED_METRICS_KEPT, labels=("action", "state")),
    Purged(process_incidents, process_incidents.c.recovered_at, ALERTS_KEPT),
    # News of an alert goes before the alert, the alert before its cause and its silence.
    Purged(notification_deliveries, notification_deliveries.c.created_at, ALERTS_KEPT),
    Purged(
        notification_outbox,
        notification_outbox.c.created_at,
        ALERTS_KEPT,
        only=sa.or_(
            notification_outbox.c.alert_id.is_(None),
            notification_outbox.c.alert_id.in_(
                sa.select(system_alerts.c.alert_id).where(system_alerts.c.state == "resolved")
            ),
        ),
    ),
    Purged(
        system_alerts,
        system_alerts.c.resolved_at,
        ALERTS_KEPT,
        only=sa.and_(
            system_alerts.c.state == "resolved",
            ~sa.exists().where(notification_outbox.c.alert_id == system_alerts.c.alert_id),
            ~sa.exists().where(_effects.c.inhibited_by == system_alerts.c.alert_id),
        ),
    ),
    Purged(
        alert_silences,
        alert_silences.c.ends_at,
        ALERTS_KEPT,
        only=~sa.exists().where(system_alerts.c.silenced_by == alert_silences.c.silence_id),
    ),
    Purged(performance_reports, performance_reports.c.generated_at, ROLLUPS_KEPT),
    Purged(retention_sweeps, retention_sweeps.c.swept_at, ROLLUPS_KEPT),
    Purged(metric_rollups, metric_rollups.c.hour, ROLLUPS_KEPT),
)
"""In the order in which they are swept."""
