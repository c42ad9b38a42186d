"""Benchmarks and service levels as assets: thin, the work is `events.py`'s, `sampling.py`'s and `bounds.py`'s."""

import dagster as dg

from platform_assets.bounds import read_bounds
from platform_assets.clients.database import Database
from platform_assets.monitoring.levels.benchmarks import benchmark_rows, overrides_table
from platform_assets.monitoring.levels.events import measure, write_measurements
from platform_assets.monitoring.levels.levels import LEVELS
from platform_assets.monitoring.levels.sampling import sample, write_samples
from platform_assets.monitoring.levels.wording import levels_table
from platform_assets.resources import Clock
from platform_assets.schedules import CHECKS_JOB, queue_of_assets
from platform_assets.table_assets import measured, table_asset, written
from platform_assets.tables import service_levels as tables

GROUP = "monitoring"


@table_asset(tables.performance_benchmarks, group=GROUP, kinds={"python"})
def performance_benchmarks(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """The release's numbers, with what somebody has set in their place told beside them; that is never touched here."""
    bounds = read_bounds(database, now=clock.read())
    counts = database.upsert(tables.performance_benchmarks, benchmark_rows(), delete_missing=True)
    return written(
        database,
        tables.performance_benchmarks,
        counts,
        overrides_count=len(bounds.overrides),
        overrides=dg.MetadataValue.md(overrides_table(bounds)),
    )


@table_asset(
    tables.service_level_measurements, group=GROUP, kinds={"python"}, deps=["performance_benchmarks"]
)
def service_level_measurements(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Counts good and bad events of the last 28 days, and tells how fast each error budget is being spent.

    Freshness and checks leave no events of their own: they are looked at by the schedule, and by nothing else, since
    only regular looks make up a share of time.
    """
    now = clock.read()
    bounds = read_bounds(database, now=now)
    if context.run.job_name == CHECKS_JOB:
        write_samples(database, sample(context.instance, queue_of_assets(), bounds=bounds, now=now))
    rows = measure(database, LEVELS, bounds=bounds, now=now)
    write_measurements(database, rows)
    known = [row["budget_left_ratio"] for row in rows if row["budget_left_ratio"] is not None]
    return measured(
        database,
        tables.service_level_measurements,
        len(rows),
        levels=dg.MetadataValue.md(levels_table(LEVELS, rows)),
        burning_count=sum(row["burning_at"] is not None for row in rows),
        without_events_count=len(rows) - len(known),
        **({"least_budget_left_ratio": min(known)} if known else {}),
    )


ASSETS = [performance_benchmarks, service_level_measurements]
