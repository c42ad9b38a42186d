"""One check for each service level, on how fast its error budget is spent; and one on overrides that have grown old."""

import dataclasses
import datetime as dt
from typing import Any

import dagster as dg
import sqlalchemy as sa

from platform_assets import monitoring_thresholds as thresholds
from platform_assets.asset_checks import (
    Measurement,
    check_result,
    freshness_check,
    holding,
    static_metadata,
    table_check,
)
from platform_assets.bounds import catalogue, read_bounds
from platform_assets.clients.database import Database
from platform_assets.monitoring.levels.burn_rates import time_to_exhaustion
from platform_assets.monitoring.levels.levels import LEVELS, ServiceLevel
from platform_assets.monitoring_thresholds import BURN_ALERTS, BURN_PACE, BURN_WINDOWS, BurnAlert
from platform_assets.resources import Clock
from platform_assets.tables.service_levels import service_level_measurements

ASSET = "service_level_measurements"


def _level_check(level: ServiceLevel) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(ASSET),
        name=level.name,
        description=f"{level.description} The objective is {level.objective.bound:.1%}: {level.objective.reason}.",
        metadata=static_metadata(BURN_PACE),
    )
    def check(database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]) -> dg.AssetCheckResult:
        threshold = holding(database, clock, BURN_PACE)
        row = _latest(database, level.name)
        if row is None:
            return check_result(threshold, Measurement(None, not_evaluated_because="it was never measured"))
        pair = next((pair for pair in BURN_ALERTS if pair.burn_rate == row.burning_at), None)
        if pair is not None:
            threshold = dataclasses.replace(threshold, severity=pair.severity)
        return check_result(threshold, _measurement(level, row, pair))

    return check


def _latest(database: Database, level: str) -> sa.Row[Any] | None:
    table = service_level_measurements
    with database.transaction() as connection:
        return connection.execute(
            sa.select(table).where(table.c.level == level).order_by(table.c.measured_at.desc()).limit(1)
        ).one_or_none()


def _measurement(level: ServiceLevel, row: sa.Row[Any], pair: BurnAlert | None) -> Measurement:
    last_hour = row.burn_rate_1h
    gone_in = time_to_exhaustion(row.budget_left_ratio, last_hour, thresholds.SERVICE_LEVEL_WINDOW)
    details: dict[str, Any] = {
        "promised_by": level.owner,
        "objective_ratio": row.objective_ratio,
        "good_events": row.good_count,
        "events": row.total_count,
        "burn_rates": {
            name: None if (rate := getattr(row, f"burn_rate_{name}")) is None else round(rate, 3)
            for name in BURN_WINDOWS
        },
    }
    if row.budget_left_ratio is not None:
        details["budget_left_ratio"] = row.budget_left_ratio
    if gone_in is not None:
        details["budget_gone_in_hours"] = round(gone_in / dt.timedelta(hours=1), 1)
    if pair is not None:
        details["alert_severity"] = pair.alert_severity
        details["burning"] = (
            f"{pair.burn_rate:g} times over {pair.long} and {pair.short}, or faster: the budget of 28 days is gone in "
            f"{thresholds.SERVICE_LEVEL_WINDOW / pair.burn_rate / dt.timedelta(days=1):.1f} days"
        )
    because = None
    if row.pace_ratio is None:
        because = (
            f"events at fewer than {thresholds.BURN_MIN_MOMENTS} moments in every window"
            if row.total_count
            else "there was no event in 28 days"
        )
    return Measurement(row.pace_ratio, details, not_evaluated_because=because)


def _override_age(database: Database, clock: Clock) -> Measurement:
    now = clock.read()
    overrides = read_bounds(database, now=now).overrides
    oldest = min((override.since_at for override in overrides.values()), default=now)
    told = [
        f"{name}: {override.bound:g} by {override.author} since {override.since_at:%Y-%m-%d}, {override.reason}"
        for name, override in sorted(overrides.items(), key=lambda item: item[1].since_at)
    ]
    unknown = sorted(overrides.keys() - catalogue().keys())
    return Measurement(
        max(0.0, round((now - oldest) / dt.timedelta(days=1), 2)),
        {"overrides": told, **({"of_no_benchmark": unknown} if unknown else {})},
    )


CHECKS = [
    freshness_check("performance_benchmarks"),
    freshness_check(ASSET),
    table_check(
        asset="performance_benchmarks",
        name="oldest_override",
        threshold=thresholds.OVERRIDE_AGE_DAYS,
        description="Days since the oldest override that still holds was set.",
        measure=_override_age,
    ),
    *(_level_check(level) for level in LEVELS),
]
