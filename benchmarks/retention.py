"""Measures the roll-up and purge of old measurements: `python -m benchmarks.retention --rows 1000000 --json`.

Calls of AI services over 200 days are stored on an embedded Postgres in a folder of its own; the sweep rolls up what its
policy no longer keeps, proves it, and purges it. Beside it, the purge of Dagster runs is compared with deleting them by
Dagster's own method, run by run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import EmbeddedPostgres, ensure_postgres, stop_postgres
from platform_assets.migrations import migrate
from platform_assets.monitoring.retention.dagster_history import purge_history
from platform_assets.monitoring.retention.policies import POLICIES, RolledUp
from platform_assets.monitoring.retention.sweep import sweep_tables
from platform_assets.tables.monitoring import ai_calls
from platform_assets.tables.retention import metric_rollups

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
_DAYS = 200
_PURPOSES = 4


@dataclass(frozen=True)
class RetentionMeasurement:
    """What was measured; times in seconds.

    Attributes:
        rows: Rows stored at first.
        rows_purged: Rows rolled up, proven and purged.
        rows_differing: Rows whose roll-up differed.
        rollup_rows: Rows of the roll-up.
        sweep_s: The sweep.
        sweep_again_s: One more, with nothing to do.
        rollup_query_ms: Reading one measure's roll-up of all days, summed by day.
        raw_query_ms: The same figures of the last day, of the rows that are left.
        runs: Dagster runs that were purged, and as many deleted one by one.
        purge_runs_s: The purge, events, checks and tags included.
        delete_runs_s: `DagsterInstance.delete_run` for each.
    """

    rows: int
    rows_purged: int
    rows_differing: int
    rollup_rows: int
    sweep_s: float
    sweep_again_s: float
    rollup_query_ms: float
    raw_query_ms: float
    runs: int
    purge_runs_s: float
    delete_runs_s: float


def store_calls(database: Database, rows_count: int) -> None:
    """Calls at even distances over 200 days before `NOW`, of four purposes and two outcomes."""
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO monitoring.ai_calls (service, model, purpose, started_at, latency_ms, prompt_tokens, "
                "output_tokens, reserved_tokens, outcome) SELECT 'gemini', 'model', 'purpose ' || n % :purposes, "
                ":now - n * :distance, 100 + (n::bigint * 7919) % 1000 / 3.0, n % 900, CASE WHEN n % 50 > 0 THEN n % 300 END, 1200, "
                "CASE WHEN n % 50 > 0 THEN 'ok' ELSE 'failed' END FROM generate_series(1, :rows) n"
            ),
            {
                "now": NOW,
                "distance": dt.timedelta(days=_DAYS) / rows_count,
                "rows": rows_count,
                "purposes": _PURPOSES,
            },
        )
        connection.execute(sa.text("ANALYZE monitoring.ai_calls"))


@dg.asset
def number() -> dg.MaterializeResult[None]:
    """An asset whose runs are purged."""
    return dg.MaterializeResult(metadata={"n": 1})


@dg.asset_check(asset=number)
def holds() -> dg.AssetCheckResult:
    """A check whose evaluations are purged."""
    return dg.AssetCheckResult(passed=True)


def _materialize(instance: dg.DagsterInstance) -> str:
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return dg.materialize([number, holds], instance=instance, run_config=quiet).run_id


def measure_runs(server: EmbeddedPostgres, runs_count: int) -> tuple[float, float]:
    """Seconds to purge runs, and to delete as many one by one."""
    storage = {"postgres": {"postgres_url": server.psycopg2_url("dagster")}}
    with dg.instance_for_test(overrides={"storage": storage}) as instance:
        runs = [_materialize(instance) for _ in range(2 * runs_count)]
        began = time.perf_counter()
        for run_id in runs[:runs_count]:
            instance.delete_run(run_id)
        deleted_s = time.perf_counter() - began
        # The last run keeps the asset's last materialization.
        _materialize(instance)
        began = time.perf_counter()
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
        purged = purge_history(instance, now=later, keep=dt.timedelta(days=1))
        purged_s = time.perf_counter() - began
    [of_runs] = [each for each in purged if each.source == "dagster.runs"]
    if of_runs.rows_purged != runs_count:
        raise RuntimeError(f"{of_runs.rows_purged} of {runs_count} runs were purged")
    return purged_s, deleted_s


def _timed(database: Database, query: sa.Executable) -> float:
    """Milliseconds of the query, the best of five."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        database.read(query)
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


def measure(rows_count: int, runs_count: int) -> RetentionMeasurement:
    """Store, sweep, sweep again, query."""
    policy = next(each for each in POLICIES if isinstance(each, RolledUp) and each.table is ai_calls)
    with tempfile.TemporaryDirectory() as folder:
        server = ensure_postgres(Path(folder))
        try:
            url = server.url("platform")
            migrate.upgrade(url)
            with Database(url) as database:
                store_calls(database, rows_count)
                began = time.perf_counter()
                [swept] = sweep_tables(database, now=NOW, policies=[policy])
                sweep_s = time.perf_counter() - began
                began = time.perf_counter()
                sweep_tables(database, now=NOW)
                again_s = time.perf_counter() - began
                rollups = database.read(sa.select(sa.func.count().label("n")).select_from(metric_rollups))
                day = sa.func.date_trunc("day", metric_rollups.c.hour, "UTC").label("day")
                of_rollup = (
                    sa.select(
                        day,
                        sa.func.sum(metric_rollups.c.value_sum).label("total"),
                        sa.func.sum(metric_rollups.c.values_count).label("values"),
                        sa.func.max(metric_rollups.c.value_max).label("highest"),
                    )
                    .where(
                        metric_rollups.c.source == ai_calls.fullname, metric_rollups.c.metric == "latency_ms"
                    )
                    .group_by(day)
                )
                of_rows = (
                    sa.select(
                        ai_calls.c.purpose,
                        sa.func.count().label("calls"),
                        sa.func.percentile_cont(0.95).within_group(ai_calls.c.latency_ms).label("p95"),
                    )
                    .where(ai_calls.c.started_at >= NOW - dt.timedelta(days=1))
                    .group_by(ai_calls.c.purpose)
                )
                rollup_ms, raw_ms = _timed(database, of_rollup), _timed(database, of_rows)
            purge_s, delete_s = measure_runs(server, runs_count)
        finally:
            stop_postgres(Path(folder))
    return RetentionMeasurement(
        rows=rows_count,
        rows_purged=swept.rows_purged,
        rows_differing=swept.rows_differing,
        rollup_rows=int(rollups["n"].iloc[0]),
        sweep_s=sweep_s,
        sweep_again_s=again_s,
        rollup_query_ms=rollup_ms,
        raw_query_ms=raw_ms,
        runs=runs_count,
        purge_runs_s=purge_s,
        delete_runs_s=delete_s,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="Print one JSON object instead of lines.")
    options = parser.parse_args()
    measured = asdict(measure(options.rows, options.runs))
    if options.json:
        print(json.dumps(measured))
    else:
        for name, value in measured.items():
            print(f"{name:<16} {value:,.3f}" if isinstance(value, float) else f"{name:<16} {value:,}")


if __name__ == "__main__":
    main()
