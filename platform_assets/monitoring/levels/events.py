"""Counts the events of service levels and keeps what they come to: one query for all levels and windows.

What an event is stands in `levels.py`, what the counts mean in `burn_rates.py`. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from platform_assets.bounds import Bounds
from platform_assets.clients.database import Database
from platform_assets.monitoring.levels.burn_rates import NOTHING, Counts, Observed, Standing, stand
from platform_assets.monitoring.levels.levels import Moment, ServiceLevel
from platform_assets.monitoring_thresholds import (
    BURN_MIN_BAD_EVENTS,
    BURN_MIN_MOMENTS,
    BURN_WINDOWS,
    SERVICE_LEVEL_WINDOW,
)
from platform_assets.tables.service_levels import service_level_measurements

_BUDGET, _LATEST = "budget", "latest"


def count_events(
    database: Database, levels: Sequence[ServiceLevel], *, bounds: Bounds, now: dt.datetime
) -> dict[str, Observed]:
    """What became of the events of the last 28 days, by level; a level without events has counts of 0."""
    moment = Moment(now=now, since=now - SERVICE_LEVEL_WINDOW, bounds=bounds)
    with database.transaction() as connection:
        rows = connection.execute(_counting(levels, moment)).mappings().all()
    found = {row["level"]: row for row in rows}
    return {level.name: _observed(found.get(level.name)) for level in levels}


def _counting(levels: Sequence[ServiceLevel], moment: Moment) -> sa.Select[Any]:
    events = sa.union_all(
        *(
            level.events(moment).add_columns(sa.literal(level.name, sa.Text).label("level"))
            for level in levels
        )
    ).cte("events")
    # What one look finds is several events and one moment.
    moments = (
        sa.select(
            events.c.level,
            events.c.at,
            sa.func.sum(events.c.good_count).label("good_count"),
            sa.func.sum(events.c.total_count).label("total_count"),
        )
        .group_by(events.c.level, events.c.at)
        .having(sa.func.sum(events.c.total_count) > 0)
        .cte("moments")
    )
    latest = (
        sa.select(moments.c.level, sa.func.max(moments.c.at).label("at"))
        .group_by(moments.c.level)
        .cte("latest")
    )
    conditions = {
        _BUDGET: sa.true(),
        _LATEST: moments.c.at == latest.c.at,
        **{name: moments.c.at > moment.now - length for name, length in BURN_WINDOWS.items()},
    }
    counts = [
        count.filter(condition).label(f"{name}_{field}")
        for name, condition in conditions.items()
        for field, count in (
            ("good", sa.func.sum(moments.c.good_count)),
            ("total", sa.func.sum(moments.c.total_count)),
            ("moments", sa.func.count()),
        )
    ]
    return (
        sa.select(moments.c.level, *counts)
        .join(latest, latest.c.level == moments.c.level)
        .group_by(moments.c.level)
    )


def _observed(row: sa.RowMapping | None) -> Observed:
    if row is None:
        return Observed(dict.fromkeys(BURN_WINDOWS, NOTHING), NOTHING)

    def counts(name: str) -> Counts:
        # A sum over no rows is null.
        return Counts(*(int(row[f"{name}_{field}"] or 0) for field in ("good", "total", "moments")))

    return Observed({name: counts(name) for name in BURN_WINDOWS}, counts(_BUDGET), counts(_LATEST))


def measure(
    database: Database, levels: Iterable[ServiceLevel], *, bounds: Bounds, now: dt.datetime
) -> list[dict[str, Any]]:
    """How every level stands now: rows of `monitoring.service_level_measurements`."""
    levels = list(levels)
    observed = count_events(database, levels, bounds=bounds, now=now)
    rows = []
    for level in levels:
        objective_ratio = bounds.of(level.objective).bound
        standing = stand(
            observed[level.name],
            objective_ratio,
            alerts=level.alerts,
            min_moments_count=BURN_MIN_MOMENTS,
            min_bad_events_count=BURN_MIN_BAD_EVENTS,
        )
        rows.append(_row(level, objective_ratio, observed[level.name].budget, standing, now))
    return rows


def _row(
    level: ServiceLevel, objective_ratio: float, budget: Counts, standing: Standing, now: dt.datetime
) -> dict[str, Any]:
    return {
        "measured_at": now,
        "level": level.name,
        "objective_ratio": objective_ratio,
        "good_count": budget.good_count,
        "total_count": budget.total_count,
        "budget_left_ratio": standing.budget_left_ratio,
        **{f"burn_rate_{name}": rate for name, rate in standing.burn_rates.items()},
        "pace_ratio": standing.pace_ratio,
        "burning_at": standing.burning.burn_rate if standing.burning else None,
    }


def write_measurements(database: Database, rows: Sequence[dict[str, Any]]) -> None:
    """Keep what was measured; measured again at the same moment, the last one holds."""
    database.upsert(service_level_measurements, pd.DataFrame(rows))
