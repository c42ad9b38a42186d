"""Measures looking at queues, ticks and stuck work with many ended runs: `python -m benchmarks.queue_metrics --runs 10000 --json`.

Runs, ticks, heartbeats and outcomes are written as rows into a real Dagster storage and the platform's tables on an embedded
Postgres in a folder of its own: one of each is made through Dagster and copied by SQL. Then the functions that the two
schedules call are timed; the best of some rounds counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.main_run import open_instance
from platform_assets.migrations import migrate
from platform_assets.monitoring.queues.assets import WINDOW
from platform_assets.monitoring.queues.measuring import measure_ticks
from platform_assets.monitoring.queues.model import GRPC_INFO_TAG, QUEUES
from platform_assets.monitoring.queues.queue_metrics import measure_queues
from platform_assets.monitoring.queues.reading import (
    due_times,
    read_ended_runs,
    read_pools,
    read_unfinished_runs,
)
from platform_assets.monitoring.queues.recovery import plan_recovery
from platform_assets.monitoring.queues.snapshot import take_snapshot
from platform_assets.monitoring.queues.timetable import code_timetable
from platform_assets.monitoring.runs.history import QUEUE_TAG
from platform_assets.schedules import TIMETABLE
from platform_assets.settings import load_settings

_ROUNDS = 3
_TICKS_FOR = dt.timedelta(days=1)


@dataclass(frozen=True)
class QueueMeasurement:
    """What was measured; times are the best of all rounds, in seconds.

    Attributes:
        runs: Ended runs in the instance.
        hours: Over how many hours before now they ended.
        in_window: How many of them ended within the hour that is measured.
        ticks: Ticks of schedules and sensors, a day of them.
        measure_queues_s: Reading unfinished and ended runs and pools, and measuring every queue.
        measure_queues_cpu_s: CPU time of it in this process.
        measure_ticks_s: Reading and judging the ticks of every schedule and sensor.
        measure_ticks_cpu_s: CPU time of it in this process.
        take_snapshot_s: The snapshot for recovery.
        take_snapshot_cpu_s: CPU time of it in this process.
        plan_s: The plan from it.
        planned: Actions in it.
    """

    runs: int
    hours: float
    in_window: int
    ticks: int
    measure_queues_s: float
    measure_queues_cpu_s: float
    measure_ticks_s: float
    measure_ticks_cpu_s: float
    take_snapshot_s: float
    take_snapshot_cpu_s: float
    plan_s: float
    planned: int


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def write_runs(
    instance: dg.DagsterInstance, storage: sa.Engine, database: Database, *, count: int, hours: float
) -> None:
    """Ended runs at even distances, each with its tags, its heartbeat and its outcome."""
    for number, entry in enumerate(TIMETABLE):
        copies = count // len(TIMETABLE) + (number < count % len(TIMETABLE))
        job = dg.GraphDefinition(name=entry.job_name).to_job(name=entry.job_name)
        run = instance.create_run_for_job(
            job,
            status=dg.DagsterRunStatus.SUCCESS,
            tags={QUEUE_TAG: entry.queue, "dagster/schedule_name": entry.name, GRPC_INFO_TAG: "{}"},
        )
        values = {
            "run_id": run.run_id,
            "copies": copies,
            "phase": (number + 0.5) / len(TIMETABLE),
            "distance": hours * 3600 / max(copies, 1),
            "job_name": entry.job_name,
        }
        with storage.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO runs (run_id, snapshot_id, pipeline_name, mode, status, run_body, create_timestamp,"
                    " update_timestamp, start_time, end_time)"
                    " SELECT c.id, snapshot_id, pipeline_name, mode, status, replace(run_body, run_id, c.id),"
                    " c.ended - interval '40 seconds', c.ended, extract(epoch FROM c.ended) - 30, extract(epoch FROM c.ended)"
                    " FROM runs, (SELECT gen_random_uuid()::text AS id,"
                    " (now() AT TIME ZONE 'UTC') - (n - 1 + :phase) * :distance * interval '1 second' AS ended"
                    " FROM generate_series(1, :copies) n) c WHERE run_id = :run_id"
                ),
                values,
            )
            connection.execute(
                sa.text(
                    "INSERT INTO run_tags (run_id, key, value) SELECT r.run_id, t.key, t.value FROM runs r, run_tags t"
                    " WHERE t.run_id = :run_id AND r.pipeline_name = :job_name AND r.run_id <> :run_id"
                ),
                values,
            )
            connection.execute(sa.text("DELETE FROM run_tags WHERE run_id = :run_id"), values)
            connection.execute(sa.text("DELETE FROM runs WHERE run_id = :run_id"), values)
    with storage.connect() as connection:
        ended = connection.execute(
            sa.text("SELECT run_id, pipeline_name AS job_name, update_timestamp AS ended_at FROM runs")
        )
        rows = [{**row, "ended_at": row["ended_at"].replace(tzinfo=dt.UTC)} for row in ended.mappings()]
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO monitoring.run_outcomes (run_id, root_run_id, attempt, job_name, status, failed_steps,"
                " unfinished_assets, created_at, started_at, ended_at, recorded_at) VALUES (:run_id, :run_id, 0, :job_name,"
                " 'success', '{}', '{}', :ended_at, :ended_at, :ended_at, :ended_at)"
            ),
            rows,
        )
        connection.execute(
            sa.text(
                "INSERT INTO monitoring.run_heartbeats (run_id, host, boot_id, pid, process_start, first_beat_at, beat_at)"
                " VALUES (:run_id, 'elsewhere', 'boot', 1, '1', :ended_at, :ended_at)"
            ),
            rows,
        )


def write_ticks(instance: dg.DagsterInstance, storage: sa.Engine, *, now: dt.datetime) -> int:
    """A day of good ticks of every schedule and sensor, and a daemon that is alive; gives how many."""
    timetable = code_timetable()
    since = now - _TICKS_FOR
    # The daemons beat for as long as this may take.
    instance.add_daemon_heartbeat(
        DaemonHeartbeat((now + dt.timedelta(hours=1)).timestamp(), "SCHEDULER", "id", [])
    )
    repository = RemoteRepositoryOrigin(
        InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="benchmark")), "__repository__"
    )
    count = 0
    for name, cron in timetable.crons.items():
        state = InstigatorState(
            RemoteInstigatorOrigin(repository, name),
            InstigatorType.SCHEDULE,
            InstigatorStatus.RUNNING,
            ScheduleInstigatorData(cron, since.timestamp()),
        )
        count += _write_ticks(instance, storage, state, due_times(cron, after=since, until=now))
    for name, interval_s in timetable.intervals_s.items():
        state = InstigatorState(
            RemoteInstigatorOrigin(repository, name),
            InstigatorType.SENSOR,
            InstigatorStatus.RUNNING,
            SensorInstigatorData(min_interval=int(interval_s), last_sensor_start_timestamp=since.timestamp()),
        )
        times = [
            since + dt.timedelta(seconds=interval_s * number)
            for number in range(1, int(_TICKS_FOR.total_seconds() // interval_s) + 1)
        ]
        count += _write_ticks(instance, storage, state, times)
    return count


def _write_ticks(
    instance: dg.DagsterInstance, storage: sa.Engine, state: InstigatorState, times: Sequence[dt.datetime]
) -> int:
    instance.add_instigator_state(state)
    if not times:
        return 0
    tick: InstigatorTick = instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=state.name,
            instigator_type=state.instigator_type,
            status=TickStatus.SUCCESS,
            run_ids=[],
            timestamp=times[-1].timestamp(),
            end_timestamp=times[-1].timestamp() + 1,
            selector_id=state.selector_id,
        )
    )
    with storage.begin() as connection:
        body = connection.scalar(
            sa.text("SELECT tick_body FROM job_ticks WHERE id = :id"), {"id": tick.tick_id}
        )
        ends = [(at.timestamp(), at.timestamp() + 1) for at in times[:-1]]
        connection.execute(
            sa.text(
                "INSERT INTO job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body)"
                " SELECT job_origin_id, selector_id, status, type, to_timestamp(copy.at) AT TIME ZONE 'UTC', copy.body"
                " FROM job_ticks, unnest(CAST(:times AS double precision[]), CAST(:bodies AS text[])) AS copy(at, body)"
                " WHERE id = :id"
            ),
            {
                "id": tick.tick_id,
                "times": [start for start, _ in ends],
                "bodies": [
                    json.dumps(json.loads(body) | {"timestamp": start, "end_timestamp": end})
                    for start, end in ends
                ],
            },
        )
    return len(times)


def measure(runs_count: int, hours: float) -> QueueMeasurement:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-queues-") as home:
        os.environ["PLATFORM_HOME"] = home
        server = ensure_postgres(Path(home))
        try:
            migrate.upgrade(server.url("platform"))
            with Database(server.url("platform")) as database, open_instance(load_settings()) as instance:
                storage = sa.create_engine(server.url("dagster"))
                write_runs(instance, storage, database, count=runs_count, hours=hours)
                ticks_count = write_ticks(instance, storage, now=_now())
                with storage.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(sa.text("ANALYZE"))
                storage.dispose()
                return _measure(instance, database, hours, ticks_count)
        finally:
            stop_postgres(Path(home))


def _measure(
    instance: dg.DagsterInstance, database: Database, hours: float, ticks_count: int
) -> QueueMeasurement:
    timetable = code_timetable()
    now = _now()

    def queues() -> object:
        return measure_queues(
            read_unfinished_runs(instance),
            read_ended_runs(instance, since=now - WINDOW),
            read_pools(instance, QUEUES),
            now=now,
            window=WINDOW,
        )

    snapshot = take_snapshot(instance, database, timetable, own_run_id=None, now=now)
    queues_s, queues_cpu_s = _best_s(queues)
    ticks_s, ticks_cpu_s = _best_s(lambda: measure_ticks(instance, database, timetable, now=now))
    snapshot_s, snapshot_cpu_s = _best_s(
        lambda: take_snapshot(instance, database, timetable, own_run_id=None, now=now)
    )
    plan_s, _ = _best_s(lambda: plan_recovery(snapshot, now))
    return QueueMeasurement(
        runs=instance.get_runs_count(),
        hours=hours,
        in_window=len(read_ended_runs(instance, since=now - WINDOW)),
        ticks=ticks_count,
        measure_queues_s=queues_s,
        measure_queues_cpu_s=queues_cpu_s,
        measure_ticks_s=ticks_s,
        measure_ticks_cpu_s=ticks_cpu_s,
        take_snapshot_s=snapshot_s,
        take_snapshot_cpu_s=snapshot_cpu_s,
        plan_s=plan_s,
        planned=len(plan_recovery(snapshot, now)),
    )


def _best_s(work: Callable[[], object]) -> tuple[float, float]:
    times, cpu_times = [], []
    for _ in range(_ROUNDS):
        start, cpu_start = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    return round(min(times), 3), round(min(cpu_times), 3)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="ended runs in the instance")
    parser.add_argument(
        "--hours", type=float, default=24.0, help="over how many hours before now they ended; 1 is the worst"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    measurement = asdict(measure(arguments.runs, arguments.hours))
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>22}  {value}")


if __name__ == "__main__":
    main()
