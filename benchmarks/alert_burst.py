"""Measures what a burst of failing runs comes to: `python -m benchmarks.alert_burst --runs 1000 --json`.

The runs are written into a real Dagster storage, spread over the jobs of the timetable; then the platform's own sensors
are evaluated as often as the daemon does, and messages are taken by a function instead of a channel. Afterwards it is
measured how long those who look at alerts take while thousands are open.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.execution.plan.objects import StepFailureData
from dagster_shared.error import SerializableErrorInfo

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.clients.notifier import Message, Receipt
from platform_assets.communications.channels import Channels
from platform_assets.communications.delivery import deliver_due
from platform_assets.definitions import build_definitions
from platform_assets.main_run import open_instance
from platform_assets.migrations import migrate
from platform_assets.monitoring.alerting import alerts
from platform_assets.monitoring.alerting.handling import Filters, read_alerts
from platform_assets.monitoring.alerting.topology import read_topology
from platform_assets.monitoring.alerting.upkeep import look_after_alerts
from platform_assets.notification_settings import Channel, ChannelBook, Route
from platform_assets.resources import Clock
from platform_assets.sandbox.demo import generated_world
from platform_assets.sandbox.load import load_marketplace
from platform_assets.schedules import TIMETABLE
from platform_assets.settings import load_settings
from platform_assets.tables.monitoring import notification_outbox, system_alerts
from platform_assets.tables.recovery import run_outcomes

TICK_S = 15.0
"""How often the daemon evaluates the sensors that watch runs and deliver."""

LIMIT_S = 300.0


@dataclass(frozen=True)
class BurstMeasurement:
    """What was measured.

    Attributes:
        runs: Failing runs that were written at once.
        runs_recorded: How many of them have an outcome.
        occurrences_counted: Sum of the alerts' counts.
        alerts: Alerts that the runs came to, one for each job.
        events: News of them that was queued.
        messages: Messages that went out.
        teams: Teams that they went to.
        most_told: The largest count that a message names.
        ticks: Ticks of the sensor until nothing was left.
        lag_s: From the burst until every run was on its alert.
        first_message_s: From the burst until the first message was out.
        tick_cpu_s: CPU seconds of the ticks in all.
        open_alerts: Alerts that were open for what follows.
        look_ms: A look after all of them that finds nothing new.
        watch_checks_ms: A tick of the sensor that watches checks.
        list_ms: Reading the fifty worst of them.
    """

    runs: int
    runs_recorded: int
    occurrences_counted: int
    alerts: int
    events: int
    messages: int
    teams: int
    most_told: int
    ticks: int
    lag_s: float
    first_message_s: float
    tick_cpu_s: float
    open_alerts: int
    look_ms: float
    watch_checks_ms: float
    list_ms: float


class _Daemon:
    """Evaluates the sensors as Dagster's daemon does, one after the other."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database) -> None:
        self._repository = definitions.get_repository_def()
        self._instance, self._database = instance, database
        self._cursor: str | None = None
        self.messages: list[Message] = []
        self.graph = self._repository.asset_graph
        channel = Channel("local", lambda: "json://localhost")
        self._channels = Channels(
            ChannelBook({"local": channel}, (Route(("local",)),)), self._take, alerts, None
        )

    def _take(self, address: str, name: str, message: Message) -> Receipt:
        del address, name
        self.messages.append(message)
        return Receipt("taken", 0.0)

    def watch_runs(self) -> None:
        self._cursor = self._evaluate("watch_runs", self._cursor).cursor

    def watch_checks(self) -> None:
        self._evaluate("watch_checks", None)

    def deliver(self) -> None:
        deliver_due(self._database, self._channels, now=_now())

    def _evaluate(self, name: str, cursor: str | None) -> Any:
        resources = {"database": self._database, "clock": Clock(as_of=_now().date(), read=_now)}
        with dg.build_sensor_context(
            instance=self._instance, repository_def=self._repository, cursor=cursor, resources=resources
        ) as context:
            return self._repository.get_sensor_def(name).evaluate_tick(context)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _write_failed_runs(definitions: dg.Definitions, instance: dg.DagsterInstance, runs_count: int) -> None:
    """Runs whose one step failed for good: nothing runs them again."""
    jobs = [definitions.resolve_job_def(entry.job_name) for entry in TIMETABLE if entry.selection]
    error = SerializableErrorInfo("ValueError: the export has no header\n", [], "ValueError")
    for number in range(runs_count):
        job = jobs[number % len(jobs)]
        run = instance.add_run(
            dg.DagsterRun(
                job_name=job.name,
                run_id=str(uuid.uuid4()),
                status=dg.DagsterRunStatus.STARTED,
                tags=dict(job.tags),
            )
        )
        instance.report_dagster_event(
            dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.STEP_FAILURE.value,
                job_name=job.name,
                step_key="read",
                event_specific_data=StepFailureData(error, None),  # type: ignore[no-untyped-call]  # Dagster gives it no types
            ),
            run_id=run.run_id,
        )
        instance.report_run_failed(run)


def measure(runs_count: int, open_count: int) -> BurstMeasurement:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-alerts-") as home:
        os.environ["PLATFORM_HOME"] = home
        settings = load_settings()
        url = ensure_postgres(Path(home)).url("platform")
        try:
            migrate.upgrade(url)
            with Database(url) as database, open_instance(settings) as instance:
                load_marketplace(database, generated_world(settings))
                definitions = build_definitions(settings)
                daemon = _Daemon(definitions, instance, database)
                burst = _measure_burst(definitions, instance, database, daemon, runs_count)
                return BurstMeasurement(**burst, **_measure_many(database, daemon, open_count))
        finally:
            stop_postgres(Path(home))


def _measure_burst(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    database: Database,
    daemon: _Daemon,
    runs_count: int,
) -> dict[str, Any]:
    _write_failed_runs(definitions, instance, runs_count)
    started, cpu_started = time.monotonic(), time.process_time()
    ticks, lag_s, first_message_s, cpu_s = 0, LIMIT_S, LIMIT_S, 0.0
    while time.monotonic() - started < LIMIT_S:
        tick_started = time.monotonic()
        if lag_s == LIMIT_S:
            cpu_started = time.process_time()
            daemon.watch_runs()
            cpu_s += time.process_time() - cpu_started
            ticks += 1
            if _count(database, run_outcomes) == runs_count:
                lag_s = time.monotonic() - started
        daemon.deliver()
        if daemon.messages and first_message_s == LIMIT_S:
            first_message_s = time.monotonic() - started
        if lag_s < LIMIT_S and _is_told(database):
            break
        time.sleep(max(0.0, TICK_S - (time.monotonic() - tick_started)))
    with database.transaction() as connection:
        counts = connection.execute(sa.select(system_alerts.c.owner, system_alerts.c.occurrences_count)).all()
    return {
        "runs": runs_count,
        "runs_recorded": _count(database, run_outcomes),
        "occurrences_counted": sum(row.occurrences_count for row in counts),
        "alerts": len(counts),
        "events": _count(database, notification_outbox),
        "messages": len(daemon.messages),
        "teams": len(Counter(row.owner for row in counts)),
        "most_told": max(
            (
                row.occurrences_count
                for row in counts
                if any(f"{row.occurrences_count:,} times" in m.text for m in daemon.messages)
            ),
            default=0,
        ),
        "ticks": ticks,
        "lag_s": round(lag_s, 1),
        "first_message_s": round(first_message_s, 1),
        "tick_cpu_s": round(cpu_s, 2),
    }


def _is_told(database: Database) -> bool:
    with database.transaction() as connection:
        waiting = connection.execute(
            sa.select(sa.func.count()).where(notification_outbox.c.state.in_(("pending", "routed")))
        ).scalar_one()
    return int(waiting) == 0


def _count(database: Database, table: sa.Table) -> int:
    with database.transaction() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _measure_many(database: Database, daemon: _Daemon, open_count: int) -> dict[str, Any]:
    assets = sorted(key.to_user_string() for key in daemon.graph.get_all_asset_keys())
    for start in range(0, open_count, 1_000):
        with database.transaction() as connection:
            for number in range(start, min(start + 1_000, open_count)):
                alerts.raise_alert(
                    connection,
                    fingerprint=f"many:{number}",
                    severity=alerts.SEVERITIES[number % 4],
                    source=("run", "asset_check", "queue")[number % 3],
                    subject=f"subject {number}",
                    owner=f"team:{number % 7}",
                    title=f"Problem {number}",
                    details={"number": number},
                    assets=(assets[number % len(assets)],),
                    now=_now(),
                )
    topology = read_topology(daemon.graph)
    look_after_alerts(database, topology, now=_now())
    daemon.watch_checks()

    def read() -> None:
        with database.transaction() as connection:
            read_alerts(connection, Filters(), limit=50)

    return {
        "open_alerts": _count(database, system_alerts),
        "look_ms": _best_ms(lambda: look_after_alerts(database, topology, now=_now())),
        "watch_checks_ms": _best_ms(daemon.watch_checks),
        "list_ms": _best_ms(read),
    }


def _best_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(min(times) * 1_000, 1)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="failing runs in the burst")
    parser.add_argument("--open-alerts", type=int, default=5_000, help="alerts that are open afterwards")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    measurement = asdict(measure(arguments.runs, arguments.open_alerts))
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
