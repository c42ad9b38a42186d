"""What is measured on the services: one check for each, so that each has one alert; bounds are in `monitoring_thresholds.py`."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import dagster as dg
import sqlalchemy as sa

from platform_assets.asset_checks import (
    Measurement,
    check_result,
    freshness_check,
    static_metadata,
    table_check,
)
from platform_assets.clients.database import Database
from platform_assets.monitoring.services.health import LEVEL_OF_STATE, State
from platform_assets.monitoring.services.tables_shown import failed_ratio
from platform_assets.monitoring_thresholds import (
    AI_BUDGET_SPENT_HOURS,
    AI_FAILED_RATIO,
    AI_LATENCY_P95_MS,
    SERVICE_DEGRADED,
    SERVICES_DOWN,
    TRAFFIC_MIN_CALLS_COUNT,
)
from platform_assets.resources import Clock
from platform_assets.tables.service_health import ai_service_metrics, service_health_metrics
from platform_assets.thresholds import FRESHNESS_HOURS

DAY = dt.timedelta(days=1)


def _latest(
    database: Database, table: sa.Table, *conditions: sa.ColumnElement[bool], now: dt.datetime
) -> list[Any]:
    """The rows of the latest measurement."""
    latest = sa.select(sa.func.max(table.c.measured_at)).where(table.c.measured_at <= now).scalar_subquery()
    with database.transaction() as connection:
        return list(connection.execute(sa.select(table).where(table.c.measured_at == latest, *conditions)))


def _health_check(service: str) -> dg.AssetChecksDefinition:
    """A check on how a service stands; its severity is that of the state, so that the one alert on it rises with it."""
    down = SERVICES_DOWN[service]
    table = service_health_metrics

    @dg.asset_check(
        asset=dg.AssetKey(table.name),
        name=f"{service}_health",
        description=f"How {service} stands by its latest looks; switched off counts as healthy.",
        metadata=static_metadata(down),
    )
    def check(database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]) -> dg.AssetCheckResult:
        now = clock.read()
        rows = _latest(database, table, table.c.service == service, now=now)
        if not rows or now - rows[0].measured_at > dt.timedelta(hours=FRESHNESS_HOURS[table.name].bound):
            return check_result(
                SERVICE_DEGRADED,
                Measurement(None, not_evaluated_because="nobody has looked for half an hour"),
            )
        row = rows[0]
        details = {
            "state": row.state,
            "since": row.state_since.isoformat(timespec="seconds"),
            "found": row.message,
            "measured_at": row.measured_at.isoformat(timespec="seconds"),
            **row.details,
        }
        state = State(row.state)
        if state is State.UNKNOWN:
            return check_result(
                SERVICE_DEGRADED, Measurement(None, details, not_evaluated_because=row.message)
            )
        threshold = SERVICE_DEGRADED if state is State.DEGRADED else down
        return check_result(threshold, Measurement(LEVEL_OF_STATE.get(state, 0), details))

    return check


def _latest_hour(
    service: str, measure: Callable[[Any], Measurement]
) -> Callable[[Database, Clock], Measurement]:
    """What to measure on a service's calls of the last hour, over its models the one that does worst."""
    table = ai_service_metrics

    def measure_worst(database: Database, clock: Clock) -> Measurement:
        rows = _latest(
            database, table, table.c.service == service, table.c.window_hours == 1, now=clock.read()
        )
        called = [row for row in rows if row.calls_count >= TRAFFIC_MIN_CALLS_COUNT]
        if not called:
            return Measurement(0.0, {"why": f"fewer than {TRAFFIC_MIN_CALLS_COUNT} calls in the last hour"})
        measured = [measure(row) for row in called]
        return max(measured, key=lambda one: one.value or 0.0)

    return measure_worst


def _failed(row: Any) -> Measurement:
    ratios = row._mapping
    return Measurement(
        failed_ratio(ratios),
        {
            name: ratios[name]
            for name in ("model", "calls_count", "error_ratio", "timeout_ratio", "rate_limited_ratio")
        },
    )


def _latency(row: Any) -> Measurement:
    if row.latency_p95_ms is None:
        return Measurement(0.0, {"why": "no call was answered in the last hour", "model": row.model})
    return Measurement(
        row.latency_p95_ms, {"model": row.model, "calls_count": row.calls_count, "p50_ms": row.latency_p50_ms}
    )


def _hours_without_budget(database: Database, clock: Clock) -> Measurement:
    table = ai_service_metrics
    rows = _latest(database, table, table.c.tokens_left_count.is_not(None), now=clock.read())
    if not rows:
        return Measurement(0.0, {"why": "no service in use has a budget"})
    row = rows[0]
    details = {
        "service": row.service,
        "tokens_left_count": row.tokens_left_count,
        "tokens_today_count": row.tokens_today_count,
    }
    if row.runs_out_at is None:
        return Measurement(0.0, details)
    midnight = row.measured_at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    hours = (midnight - row.runs_out_at) / dt.timedelta(hours=1)
    return Measurement(
        round(hours, 2), {**details, "runs_out_at": row.runs_out_at.isoformat(timespec="minutes")}
    )


CHECKS = [
    freshness_check(service_health_metrics.name),
    freshness_check(ai_service_metrics.name),
    *(_health_check(service) for service in SERVICES_DOWN),
    *(
        table_check(
            asset=ai_service_metrics.name,
            name=f"{service}_failures",
            threshold=threshold,
            description=f"Share of the calls of {service} in the last hour that brought no answer.",
            measure=_latest_hour(service, _failed),
        )
        for service, threshold in AI_FAILED_RATIO.items()
    ),
    *(
        table_check(
            asset=ai_service_metrics.name,
            name=f"{service}_latency",
            threshold=threshold,
            description=f"95th percentile of the time that answered calls of {service} took in the last hour.",
            measure=_latest_hour(service, _latency),
        )
        for service, threshold in AI_LATENCY_P95_MS.items()
    ),
    table_check(
        asset=ai_service_metrics.name,
        name="token_budget",
        threshold=AI_BUDGET_SPENT_HOURS,
        description="Hours of this UTC day in which the budget of tokens is spent, at the pace so far.",
        measure=_hours_without_budget,
    ),
]
