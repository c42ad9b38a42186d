"""Measures reading the check report's history and counting the events of service levels: `python -m benchmarks.service_levels --json`.

Both run on an embedded Postgres in a folder of its own, over rows as a month of the timetable leaves them. Times are CPU
seconds of this process and, beside them, wall-clock seconds, since the server works too; the best of some rounds counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster_postgres import DagsterPostgresStorage

from platform_assets import thresholds
from platform_assets.asset_checks import Measurement, check_result
from platform_assets.bounds import Bounds
from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import EmbeddedPostgres, ensure_postgres, stop_postgres
from platform_assets.migrations import migrate
from platform_assets.monitoring.checking.history import read_histories, read_latest_verdicts
from platform_assets.monitoring.levels.events import measure
from platform_assets.monitoring.levels.levels import LEVELS

_ROUNDS = 3
_NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


@dataclass(frozen=True)
class LevelsMeasurement:
    """What was measured; times are the best of all rounds, in seconds.

    Attributes:
        checks_count: Checks with a history.
        evaluations_count: Evaluations of each.
        history_s: Reading all of these, in wall-clock time.
        history_cpu_s: CPU time of it in this process.
        history_one_by_one_s: The same through Dagster's own API, a query for each check.
        report_history_s: Reading the last 12 of each, as the report does.
        verdicts_s: Reading the latest verdict of each.
        events_count: Rows that tell of events of service levels.
        levels_count: Service levels.
        measure_s: Measuring all levels, in wall-clock time.
        measure_cpu_s: CPU time of it in this process.
    """

    checks_count: int
    evaluations_count: int
    history_s: float
    history_cpu_s: float
    history_one_by_one_s: float
    report_history_s: float
    verdicts_s: float
    events_count: int
    levels_count: int
    measure_s: float
    measure_cpu_s: float


def run(checks_count: int, evaluations_count: int, runs_per_hour: int) -> LevelsMeasurement:
    """Measure once, on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = ensure_postgres(Path(folder))
        try:
            return _measure(server, checks_count, evaluations_count, runs_per_hour)
        finally:
            stop_postgres(Path(folder))


def _measure(
    server: EmbeddedPostgres, checks_count: int, evaluations_count: int, runs_per_hour: int
) -> LevelsMeasurement:
    url = server.url("platform")
    migrate.upgrade(url)
    with Database(url) as database:
        events_count = _fill_events(database, runs_per_hour)
        measure_s, measure_cpu_s = _best(lambda: measure(database, LEVELS, bounds=Bounds({}), now=_NOW))
    storage = DagsterPostgresStorage(postgres_url=server.psycopg2_url("dagster"))
    with dg.DagsterInstance.ephemeral() as instance:
        evaluated = _evaluate_once(instance, checks_count)
        # Dagster's own rows, many times over, in its storage for Postgres.
        instance._event_storage = storage.event_log_storage
        _fill_evaluations(server, evaluated, evaluations_count)
        keys = list(evaluated)
        history_s, history_cpu_s = _best(lambda: read_histories(instance, keys, limit=evaluations_count))
        report_s, _ = _best(lambda: read_histories(instance, keys, limit=12))
        verdicts_s, _ = _best(lambda: read_latest_verdicts(instance))
        one_by_one_s, _ = _best(
            lambda: [
                storage.event_log_storage.get_asset_check_execution_history(key, limit=evaluations_count)
                for key in keys
            ]
        )
        histories = read_histories(instance, keys, limit=evaluations_count)
        assert {len(history) for history in histories.values()} == {evaluations_count}
        assert len(histories) == checks_count
    return LevelsMeasurement(
        checks_count=checks_count,
        evaluations_count=evaluations_count,
        history_s=round(history_s, 3),
        history_cpu_s=round(history_cpu_s, 3),
        history_one_by_one_s=round(one_by_one_s, 3),
        report_history_s=round(report_s, 3),
        verdicts_s=round(verdicts_s, 3),
        events_count=events_count,
        levels_count=len(LEVELS),
        measure_s=round(measure_s, 3),
        measure_cpu_s=round(measure_cpu_s, 3),
    )


def _best(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of the fastest round."""
    rounds = []
    for _ in range(_ROUNDS):
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        rounds.append((time.perf_counter() - started, time.process_time() - cpu_started))
    return min(rounds)


def _evaluate_once(instance: dg.DagsterInstance, checks_count: int) -> dict[dg.AssetCheckKey, str]:
    """The text of one real evaluation by check, as Dagster writes it."""

    @dg.multi_asset_check(
        specs=[dg.AssetCheckSpec(f"check_{n}", asset=f"asset_{n % 30}") for n in range(checks_count)]
    )
    def checks():  # type: ignore[no-untyped-def]
        for n in range(checks_count):
            details = {"rows": [f"row {i}: because of {i}" for i in range(10)]}
            result = check_result(thresholds.MATCH_PAGE_MS, Measurement(float(n % 90), details))
            yield result._replace(asset_key=dg.AssetKey(f"asset_{n % 30}"), check_name=f"check_{n}")

    definitions = dg.Definitions(
        assets=[dg.AssetSpec(f"asset_{n}") for n in range(30)], asset_checks=[checks]
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        list(definitions.resolve_asset_graph().asset_check_keys)
    )
    return {key: dg.serialize_value(record.event) for key, record in latest.items() if record.event}


def _fill_evaluations(
    server: EmbeddedPostgres, evaluated: dict[dg.AssetCheckKey, str], evaluations_count: int
) -> None:
    engine = sa.create_engine(server.psycopg2_url("dagster"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TEMP TABLE one (asset_key text, check_name text, event text)"))
        connection.execute(
            sa.text("INSERT INTO one VALUES (:asset_key, :check_name, :event)"),
            [
                {"asset_key": key.asset_key.to_string(), "check_name": key.name, "event": event}
                for key, event in evaluated.items()
            ],
        )
        connection.execute(
            sa.text(
                "INSERT INTO asset_check_executions (asset_key, check_name, run_id, execution_status, evaluation_event,"
                " evaluation_event_timestamp) SELECT asset_key, check_name, i::text, 'SUCCEEDED', event,"
                " now() AT TIME ZONE 'UTC' - (:count - i) * interval '10 minutes'"
                " FROM generate_series(1, :count) AS i, one ORDER BY i"
            ),
            {"count": evaluations_count},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE asset_check_executions"))
    engine.dispose()


_FILL = (
    # 28 days of runs, of looks at 9 services and at 40 assets, and of calls.
    """INSERT INTO monitoring.run_outcomes (run_id, root_run_id, attempt, job_name, queue, status, failed_steps,
        unfinished_assets, created_at, ended_at, recorded_at)
    SELECT i::text, i::text, 0, 'job', (ARRAY['ai_services', 'matching', 'payments', 'monitoring'])[i % 4 + 1],
        CASE WHEN i % 200 = 0 THEN 'failure' ELSE 'success' END, '{}', '{}', at, at, at
    FROM generate_series(1, CAST(:hours AS integer) * CAST(:runs AS integer)) AS i, LATERAL (SELECT :now - i * interval '1 hour' / CAST(:runs AS integer) AS at) AS t""",
    """INSERT INTO monitoring.service_health_metrics (measured_at, service, look, state, state_since, message, details)
    SELECT :now - i * interval '5 minutes', service, CASE WHEN i % 300 = 0 THEN 'failed' ELSE 'ok' END, 'healthy', :now, '',
        '{}' FROM generate_series(1, CAST(:hours AS integer) * 12) AS i,
        unnest(ARRAY['postgres', 'dagster', 'github', 'gemini', 'stripe', 'neo4j', 'embedder', 'a', 'b']) AS service""",
    """INSERT INTO monitoring.service_level_samples (sampled_at, level, subject, good_count, total_count)
    SELECT :now - i * interval '10 minutes', level || (ARRAY['ai_services', 'matching', 'payments', 'monitoring'])[s % 4 + 1],
        'asset_' || s, 5, 5
    FROM generate_series(1, CAST(:hours AS integer) * 6) AS i, generate_series(1, 40) AS s, unnest(ARRAY['freshness_', 'checks_']) AS level""",
    """INSERT INTO monitoring.gateway_calls (gateway, operation, started_at, latency_ms, outcome)
    SELECT 'stripe', 'charge.list', :now - i * interval '1 minute' / 2, 100, CASE WHEN i % 500 = 0 THEN 'transient' ELSE 'ok' END
    FROM generate_series(1, CAST(:hours AS integer) * 120) AS i""",
    """INSERT INTO monitoring.ai_calls (service, model, purpose, started_at, latency_ms, reserved_tokens, outcome)
    SELECT 'gemini', 'm', 'p', :now - i * interval '1 minute' / 2, 100, 0, CASE WHEN i % 500 = 0 THEN 'timeout' ELSE 'ok' END
    FROM generate_series(1, CAST(:hours AS integer) * 120) AS i""",
)


def _fill_events(database: Database, runs_per_hour: int) -> int:
    parameters = {"now": _NOW, "hours": 28 * 24, "runs": runs_per_hour}
    with database.transaction() as connection:
        filled = sum(connection.execute(sa.text(statement), parameters).rowcount for statement in _FILL)
        connection.execute(sa.text("ANALYZE"))
    return filled


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=300)
    parser.add_argument("--evaluations", type=int, default=50, help="of each check")
    parser.add_argument("--runs-per-hour", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args()
    measured = asdict(run(options.checks, options.evaluations, options.runs_per_hour))
    if options.json:
        print(json.dumps(measured))
    else:
        for name, value in measured.items():
            print(f"{name:24} {value:,}")


if __name__ == "__main__":
    main()
