"""How a measured value becomes an asset check: one shape for every check, so that one report reads them all.

What is measured stands in each domain's `checks.py`; the bounds stand in `thresholds.py`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.bounds import kind_of, name_of, read_bounds
from platform_assets.clients.database import Database
from platform_assets.monitoring.checking.model import NOT_EVALUATED, OVERRIDE
from platform_assets.resources import Clock
from platform_assets.tables import marketplace, monitoring
from platform_assets.thresholds import FRESHNESS_HOURS, Severity, Threshold


@dataclass(frozen=True)
class Measurement:
    """What a check measured.

    Attributes:
        value: The measured value in the threshold's unit; None when it could not be measured, which never passes.
        details: What a reader needs to act, such as counts or the worst rows' keys.
        not_evaluated_because: Why there is nothing to measure yet, where time alone brings it: no pass, but no alert either.
    """

    value: float | None
    details: Mapping[str, Any] = field(default_factory=dict)
    not_evaluated_because: str | None = None


def check_result(threshold: Threshold, measurement: Measurement) -> dg.AssetCheckResult:
    """Compare a measurement with its threshold, in the shape that the report reads.

    Args:
        threshold: The bound that holds, see `holding`.
        measurement: What was measured.
    """
    passed = threshold.holds(measurement.value)
    sign = "≥" if threshold.direction == "at_least" else "≤"
    because = measurement.not_evaluated_because
    if measurement.value is not None:
        shown = f"{measurement.value:g} {threshold.unit}"
    else:
        shown = f"not evaluated: {because}" if because else f"not measurable {threshold.unit}"
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity(threshold.severity.value),
        description=f"{shown} (service level: {sign} {threshold.bound:g}; {threshold.reason})",
        metadata={
            **({} if measurement.value is None else {"value": float(measurement.value)}),
            **({NOT_EVALUATED: because} if because else {}),
            "threshold": float(threshold.bound),
            "direction": threshold.direction,
            "unit": threshold.unit,
            "reason": threshold.reason,
            **_override(threshold),
            **measurement.details,
        },
    )


def holding(database: Database, clock: Clock, threshold: Threshold) -> Threshold:
    """The threshold with the bound that holds now: the release's, or what somebody has set in its place."""
    return read_bounds(database, now=clock.read()).of(threshold)


def _override(threshold: Threshold) -> dict[str, Any]:
    override = threshold.override
    if override is None:
        return {}
    until = override.until_at
    return {
        OVERRIDE: {
            "default_bound": override.default_bound,
            "author": override.author,
            "reason": override.reason,
            "since": override.since_at.isoformat(timespec="minutes"),
            "until": until and until.isoformat(timespec="minutes"),
        }
    }


def table_check(
    *,
    asset: str,
    name: str,
    threshold: Threshold,
    description: str,
    measure: Callable[[Database, Clock], Measurement],
) -> dg.AssetChecksDefinition:
    """A check that measures tables.

    Args:
        asset: The asset it is about.
        name: The check's name, unique for the asset.
        threshold: The service level.
        description: What is measured, in one sentence.
        measure: Reads the tables; gets the database and the run's clock.
    """

    @dg.asset_check(
        asset=dg.AssetKey(asset), name=name, description=description, metadata=static_metadata(threshold)
    )
    def check(database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]) -> dg.AssetCheckResult:
        return check_result(holding(database, clock, threshold), measure(database, clock))

    return check


def share(part: int, total: int, details: Mapping[str, Any] | None = None, *, of_none: float) -> Measurement:
    """A ratio with its counts.

    Args:
        part: How many of them.
        total: How many there are.
        details: More for the reader.
        of_none: The ratio when there are none at all: 1 for a coverage, 0 for a failure rate.
    """
    value = part / total if total else of_none
    return Measurement(value, {"count": part, "total": total, **(details or {})})


def open_project_coverage(table: sa.Table, *, at_least: int = 1) -> Callable[[Database, Clock], Measurement]:
    """What to measure for the share of open projects that have so many rows in the table."""
    projects = marketplace.projects
    rows_count = (
        sa.select(sa.func.count())
        .where(table.c.project_id == projects.c.project_id)
        .scalar_subquery()
        .label("rows_count")
    )

    def measure(database: Database, _: Clock) -> Measurement:
        rows = database.read(sa.select(projects.c.project_id, rows_count).where(projects.c.status == "open"))
        short = rows["project_id"][rows["rows_count"] < at_least]
        return share(len(rows) - len(short), len(rows), {"projects_without": sorted(short)[:20]}, of_none=1.0)

    return measure


def quarantine_checks(asset: str, source: sa.Table) -> list[dg.AssetChecksDefinition]:
    """Two checks on the rows of a marketplace table that were set aside: any at all, and too many.

    Args:
        asset: The asset that reads the table.
        source: The table of the marketplace contract.
    """
    aside = monitoring.quarantined_rows

    def read_aside(database: Database) -> pd.DataFrame:
        return database.read(
            sa.select(aside.c.row_key, aside.c.reason).where(aside.c.source == source.fullname)
        )

    def measure_rows(database: Database, _: Clock) -> Measurement:
        rows = read_aside(database)
        return Measurement(
            len(rows), {"rows": [f"{row.row_key}: {row.reason}" for row in rows.head(20).itertuples()]}
        )

    def measure_ratio(database: Database, _: Clock) -> Measurement:
        total = int(database.read(sa.select(sa.func.count().label("n")).select_from(source))["n"].iloc[0])
        return share(len(read_aside(database)), total, of_none=0.0)

    return [
        table_check(
            asset=asset,
            name=f"quarantined_{source.name}",
            threshold=thresholds.QUARANTINED_ROWS,
            description=f"Rows of {source.fullname} that break the contract and were set aside.",
            measure=measure_rows,
        ),
        table_check(
            asset=asset,
            name=f"quarantined_{source.name}_ratio",
            threshold=thresholds.QUARANTINED_RATIO,
            description=f"Share of the rows of {source.fullname} that were set aside.",
            measure=measure_ratio,
        ),
    ]


def freshness_check(asset: str) -> dg.AssetChecksDefinition:
    """A check on the hours since the asset was last materialized; never materialized never passes.

    Freshness policies are not checks and do not show in the report, so this one stands beside them.
    """
    threshold = FRESHNESS_HOURS[asset]

    @dg.asset_check(
        asset=dg.AssetKey(asset),
        name="freshness",
        description="Hours since the asset was last materialized.",
        metadata=static_metadata(threshold),
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[Database],
        clock: dg.ResourceParam[Clock],
    ) -> dg.AssetCheckResult:
        bound = holding(database, clock, threshold)
        event = context.instance.get_latest_materialization_event(dg.AssetKey(asset))
        if event is None:
            return check_result(bound, Measurement(None, {"last_materialized_at": "never"}))
        at = dt.datetime.fromtimestamp(event.timestamp, tz=dt.UTC)
        age_hours = max(0.0, round((clock.read() - at).total_seconds() / 3600, 2))
        return check_result(
            bound, Measurement(age_hours, {"last_materialized_at": at.isoformat(timespec="seconds")})
        )

    return check


def last_materialization_metadata(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """What the asset's last materialization told, by name; nothing when there is none."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    materialization = event.asset_materialization if event else None
    return {name: value.value for name, value in materialization.metadata.items()} if materialization else {}


def static_metadata(threshold: Threshold) -> dict[str, Any]:
    """What is known of a check before it is evaluated: its service level, and the name to override it by."""
    name = name_of(threshold)
    return {
        **({"benchmark": name} if name and kind_of(name) != "decision" else {}),
        "threshold": float(threshold.bound),
        "direction": threshold.direction,
        "unit": threshold.unit,
        "severity": Severity(threshold.severity).value,
    }
