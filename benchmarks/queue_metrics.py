"""Measures looking at queues and recovery on a well-filled instance: `python -m benchmarks.queue_metrics --runs 10000 --json`.

Runs, a day of ticks and two weeks of outcomes are written into real storages on an embedded Postgres in a folder of its own.
The runs count as ended within the last hour, which is a hundred times what the timetable brings, or as queued. Times are
wall-clock seconds and, beside them, CPU seconds of this process; the best of some rounds counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.tags import SCHEDULE_NAME_TAG
from dagster._core.utils import make_new_run_id
from dagster._daemon.types import DaemonHeartbeat

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.instance import storage_url
from platform_assets.main_run import open_instance
from platform_assets.migrations import migrate
from platform_assets.monitoring.queues.measuring import measure_ticks
from platform_assets.monitoring.queues.model import QUEUES
from platform_assets.monitoring.queues.queue_metrics import measure_queues
from platform_assets.monitoring.queues.reading import (
    due_times,
    read_ended_runs,
    read_pools,
    read_unfinished_runs,
)
from platform_assets.monitoring.queues.recover import recover
from platform_assets.monitoring.queues.timetable import code_timetable
from platform_assets.monitoring.runs.history import QUEUE_TAG
from platform_assets.schedules import TIMETABLE
from platform_assets.settings import load_settings

HOUR = dt.timedelta(hours=1)
_ROUNDS = 3


@dataclass(frozen=True)
class QueueMeasurement:
    """What was measured.

    Attributes:
        ended_count: Runs that ended within the last hour.
        queued_count: Runs that wait.
        outcomes_count: Ended runs of two weeks, from which the history of each job is made.
        ticks_count: Ticks of a day.
        queues_s: Reading and measuring all queues.
        queues_cpu_s: CPU time of it in this process.
        ticks_s: Reading and judging all ticks of the last hour.
        ticks_cpu_s: CPU time of it in this process.
        plan_s: One round of recovery as a dry run: snapshot and plan.
        plan_cpu_s: CPU time of it in this process.
    """

    ended_count: int
    queued_count: int
    outcomes_count: int
    ticks_count: int
    queues_s: float
    queues_cpu_s: float
    ticks_s: float
    ticks_cpu_s: float
    plan_s: float
    plan_cpu_s: float


def _repository() -> RemoteRepositoryOrigin:
    return RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("platform_assets"), "__repository__")


def _write_runs(instance: dg.DagsterInstance, url: str, ended_count: int, queued_count: int) -> None:
    for number in range(ended_count + queued_count):
        entry = TIMETABLE[number % len(TIMETABLE)]
        status = dg.DagsterRunStatus.SUCCESS if number < ended_count else dg.DagsterRunStatus.QUEUED
        instance.run_storage.add_run(
            dg.DagsterRun(
                job_name=entry.job_name,
                run_id=make_new_run_id(),
                status=status,
                tags={QUEUE_TAG: entry.queue, SCHEDULE_NAME_TAG: entry.name},
                remote_job_origin=RemoteJobOrigin(_repository(), entry.job_name),
            )
        )
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        # What events would have brought.
        connection.execute(
            sa.text(
                "UPDATE runs SET start_time = extract(epoch FROM now()) - 60, end_time = extract(epoch FROM now()) "
                "WHERE status = 'SUCCESS'"
            )
        )
    engine.dispose()


def _write_ticks(instance: dg.DagsterInstance, now: dt.datetime) -> int:
    count = 0
    for entry in TIMETABLE:
        origin = RemoteInstigatorOrigin(_repository(), entry.name)
        state = InstigatorState(
            origin,
            InstigatorType.SCHEDULE,
            InstigatorStatus.DECLARED_IN_CODE,
            ScheduleInstigatorData(entry.cron, (now - dt.timedelta(days=2)).timestamp()),
        )
        instance.add_instigator_state(state)
        for at in due_times(entry.cron, after=now - dt.timedelta(days=1), until=now):
            instance.create_tick(
                TickData(
                    instigator_origin_id=state.instigator_origin_id,
                    instigator_name=entry.name,
                    instigator_type=InstigatorType.SCHEDULE,
                    status=TickStatus.SUCCESS,
                    timestamp=at.timestamp(),
                    end_timestamp=at.timestamp() + 2,
                    run_ids=[],
                    selector_id=state.selector_id,
                )
            )
            count += 1
    instance.add_daemon_heartbeat(DaemonHeartbeat(now.timestamp(), "SCHEDULER", "benchmark", []))
    return count


def _write_outcomes(database: Database, count: int) -> None:
    jobs = [entry.job_name for entry in TIMETABLE]
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO monitoring.run_outcomes (run_id, root_run_id, attempt, job_name, status, failed_steps, "
                "unfinished_assets, created_at, started_at, ended_at, recorded_at) "
                "SELECT n::text, n::text, 0, (CAST(:jobs AS text[]))[1 + n % :jobs_count], 'success', '{}', '{}', "
                "now() - n * interval '30 s', now() - n * interval '30 s', "
                "now() - n * interval '30 s' + n % 60 * interval '1 s', now() FROM generate_series(1, :count) AS n"
            ),
            {"jobs": jobs, "jobs_count": len(jobs), "count": count},
        )


def _best(work: Callable[[], object]) -> tuple[float, float]:
    times = []
    for _ in range(_ROUNDS):
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - started, time.process_time() - cpu_started))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times)


def measure(ended_count: int, queued_count: int, outcomes_count: int) -> QueueMeasurement:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-queues-") as home:
        os.environ["PLATFORM_HOME"] = home
        settings = load_settings()
        url = ensure_postgres(Path(home)).url("platform")
        try:
            migrate.upgrade(url)
            with Database(url) as database, open_instance(settings) as instance:
                _write_runs(instance, storage_url(settings), ended_count, queued_count)
                _write_outcomes(database, outcomes_count)
                now = dt.datetime.now(dt.UTC)
                ticks_count = _write_ticks(instance, now)
                timetable = code_timetable()
                queues = _best(
                    lambda: measure_queues(
                        read_unfinished_runs(instance),
                        read_ended_runs(instance, since=now - HOUR),
                        read_pools(instance, QUEUES),
                        now=now,
                        window=HOUR,
                    )
                )
                ticks = _best(lambda: measure_ticks(instance, database, timetable, now=now))
                plan = _best(
                    lambda: recover(instance, database, timetable, mode="dry-run", own_run_id=None, now=now)
                )
        finally:
            stop_postgres(Path(home))
    return QueueMeasurement(ended_count, queued_count, outcomes_count, ticks_count, *queues, *ticks, *plan)


def main() -> None:
    """Measure, and print a line for each figure or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help="runs that ended within the last hour")
    parser.add_argument("--queued", type=int, default=1_000, help="runs that wait")
    parser.add_argument("--outcomes", type=int, default=33_000, help="ended runs of two weeks")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = asdict(measure(arguments.runs, arguments.queued, arguments.outcomes))
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value:,.3f}" if isinstance(value, float) else f"{name}: {value:,}")


if __name__ == "__main__":
    main()
