"""Processes that are killed during a refresh: `python -m benchmarks.faults --kills 3 --json`.

Each of run worker, code server, daemon, Postgres and the local APIs is ended with SIGKILL, each as often as asked, at a
random moment of a refresh that has everything to do (the derived tables are emptied before). The refresh is launched as
a person would, by the webserver; the daemon, its sensors and the supervisor are the real ones, and nothing here helps.
Afterwards every derived row is compared with what an undisturbed refresh derives. Schedules are off, so that the refresh
alone is at work; alerts on asset checks, which tell of the data, are not counted.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.derived_rows import (
    Snapshot,
    count_differences,
    empty_derived,
    read_snapshot,
    unsteady_columns,
)
from benchmarks.supervised import (
    Served,
    command,
    environment,
    local_apis_pid,
    postgres_pid,
    serving,
    wait_for,
)
from platform_assets.schedules import MAIN_JOB
from platform_assets.tables.monitoring import notification_outbox, system_alerts
from platform_assets.tables.notifications import notification_deliveries, notification_delivery_events
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.supervision import process_incidents, run_heartbeats

RUN_WORKER = "run_worker"
VICTIMS = (RUN_WORKER, "code_server", "daemon", "postgres", "local_apis")

RECOVERY_LIMIT_S = 300.0
NOTIFICATION_LIMIT_S = 90.0
_STOP_SCHEDULES = """
query { schedulesOrError(repositorySelector: {repositoryLocationName: "platform_assets", repositoryName: "__repository__"}) {
  ... on Schedules { results { name scheduleState { id status } } } } }
"""
_STOP_SCHEDULE = """
mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename ... on PythonError { message } } }
"""


@dataclass(frozen=True)
class Kill:
    """What one kill came to.

    Attributes:
        victim: What was killed.
        after_s: When, after the refresh had been launched.
        noticed_s: From the kill until it was noted; None when it never was.
        recovered_s: From the kill until every process answered and what was lost had been done again; None when it never was.
        reruns: Attempts that finished the work.
        rows_lost_or_doubled: Derived rows that differ from those of an undisturbed refresh.
        alerts: Occurrences that it added, by fingerprint.
        opened_alert: Whether the alert was opened by it; one that was open already, since its process keeps ending (it flaps),
            was told before.
        notified_s: From notice until the first message on an opened alert had been taken by its channel; None when none was.
    """

    victim: str
    after_s: float
    noticed_s: float | None
    recovered_s: float | None
    reruns: int
    rows_lost_or_doubled: int
    alerts: dict[str, int]
    opened_alert: bool
    notified_s: float | None

    @property
    def has_exactly_one_alert(self) -> bool:
        """Whether it added one occurrence to the one alert that it deserves."""
        return self.alerts == {_fingerprint(self.victim): 1}


def _fingerprint(victim: str) -> str:
    return f"run:{MAIN_JOB}" if victim == RUN_WORKER else f"process:{victim}"


class Faults:
    """One platform, and what its processes go through."""

    def __init__(self, served: Served, *, seed: int, show_progress: bool) -> None:
        """Prepare; nothing is killed yet."""
        self.served = served
        self.dice = random.Random(seed)
        self.database = served.database()
        self._show_progress = show_progress
        self.refresh_s = 0.0
        self.reference: Snapshot = {}
        self.unsteady: dict[str, set[str]] = {}

    def measure_undisturbed(self) -> None:
        """Derive everything twice from nothing: what comes of it is the reference, and shows how long it takes."""
        self._stop_schedules()
        snapshots = []
        for _ in range(2):
            empty_derived(self.database)
            run_id = self._launch()
            self._wait_for_success(run_id)
            self.refresh_s = self._duration_s(run_id)
            snapshots.append(read_snapshot(self.database))
        self.reference = snapshots[0]
        self.unsteady = unsteady_columns(*snapshots)
        self._say(
            f"an undisturbed refresh takes {self.refresh_s:.1f} s; unsteady: {self.unsteady or 'nothing'}"
        )

    def kill_one(self, victim: str) -> Kill:
        """Refresh from nothing, kill one process at a random moment of it, and see what becomes of it."""
        empty_derived(self.database)
        before = self._occurrences()
        launched = time.monotonic()
        run_id = self._launch()
        if victim == RUN_WORKER:
            wait_for(
                lambda: self._worker_pid(run_id) is not None, timeout_s=60, what="the worker", every_s=0.1
            )
        begun_s = time.monotonic() - launched
        time.sleep(self.dice.uniform(0.0, max(0.0, 0.9 * self.refresh_s - begun_s)))
        after_s = time.monotonic() - launched
        killed_at = dt.datetime.now(dt.UTC)
        self._kill(victim, run_id)
        recovered_at = self._wait_for_recovery(victim, run_id, killed_at)
        noticed_at = self._noticed_at(victim, run_id, killed_at)
        opened_alert = self._has_opened(victim, killed_at)
        notified_s = self._notified_after(victim, noticed_at) if opened_alert else None
        rows = count_differences(self.reference, read_snapshot(self.database), but=self.unsteady)
        kill = Kill(
            victim=victim,
            after_s=round(after_s, 1),
            noticed_s=_seconds(killed_at, noticed_at),
            recovered_s=_seconds(killed_at, recovered_at),
            reruns=self._count(
                sa.select(sa.func.count())
                .select_from(run_outcomes)
                .where(run_outcomes.c.root_run_id == run_id)
            )
            - 1,
            rows_lost_or_doubled=rows,
            alerts={
                name: count - before[name]
                for name, count in self._occurrences().items()
                if count > before[name]
            },
            opened_alert=opened_alert,
            notified_s=notified_s,
        )
        self._say(str(kill))
        return kill

    def _duration_s(self, run_id: str) -> float:
        outcome = run_outcomes
        run = self.database.read(
            sa.select(outcome.c.created_at, outcome.c.ended_at).where(outcome.c.run_id == run_id)
        )
        return float((run["ended_at"] - run["created_at"]).dt.total_seconds().iloc[0])

    def _launch(self) -> str:
        # The webserver may still be finding out that the code server is a new one.
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.served.graphql.submit_job_execution(
                    MAIN_JOB, repository_location_name="platform_assets", repository_name="__repository__"
                )
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _stop_schedules(self) -> None:
        for schedule in self.served.ask(_STOP_SCHEDULES)["schedulesOrError"]["results"]:
            answer = self.served.ask(_STOP_SCHEDULE, {"id": schedule["scheduleState"]["id"]})
            if answer["stopRunningSchedule"]["__typename"] != "ScheduleStateResult":
                raise RuntimeError(f"{schedule['name']} can't be stopped: {answer}")

    def _kill(self, victim: str, run_id: str) -> None:
        match victim:
            case "run_worker":
                pid = self._worker_pid(run_id)
            case "postgres":
                pid = postgres_pid(self.served.home)
            case "local_apis":
                pid = local_apis_pid(self.served.home)
            case _:
                pid = self.served.pid_of(victim)
        if pid is None:
            raise RuntimeError(f"{victim} does not run, so it can't be killed")
        with suppress(ProcessLookupError):  # a worker may have come to its end
            os.kill(pid, signal.SIGKILL)

    def _worker_pid(self, run_id: str) -> int | None:
        table = run_heartbeats
        rows = self.database.read(sa.select(table.c.pid).where(table.c.run_id == run_id))
        return None if rows.empty else int(rows["pid"].iloc[0])

    def _wait_for_success(self, run_id: str) -> None:
        outcome = run_outcomes
        wait_for(
            lambda: (
                self._count(
                    sa.select(sa.func.count()).where(
                        outcome.c.run_id == run_id, outcome.c.status == "success"
                    )
                )
                == 1
            ),
            timeout_s=RECOVERY_LIMIT_S,
            what="an undisturbed refresh",
        )

    def _wait_for_recovery(self, victim: str, run_id: str, killed_at: dt.datetime) -> dt.datetime | None:
        """When all was well again: the processes answer, and the work is done, whoever did it."""
        try:
            wait_for(
                lambda: self._is_recovered(victim, run_id, killed_at),
                timeout_s=RECOVERY_LIMIT_S,
                what=f"recovery from the kill of {victim}",
            )
        except TimeoutError as error:
            self._say(str(error))
            return None
        processes = self.database.read(
            sa.select(process_incidents.c.recovered_at).where(process_incidents.c.noticed_at >= killed_at)
        )
        outcome = run_outcomes
        runs = self.database.read(
            sa.select(outcome.c.ended_at, outcome.c.run_id).where(outcome.c.root_run_id == run_id)
        )
        moments = list(processes["recovered_at"])
        if len(runs) > 1:
            moments.append(runs["ended_at"].max())
        return max(moments, default=killed_at)

    def _is_recovered(self, victim: str, run_id: str, killed_at: dt.datetime) -> bool:
        try:
            succeeded = self._count(
                sa.select(sa.func.count()).where(
                    run_outcomes.c.root_run_id == run_id, run_outcomes.c.status == "success"
                )
            )
            incidents = self.database.read(
                sa.select(process_incidents.c.recovered_at).where(
                    process_incidents.c.noticed_at >= killed_at,
                    process_incidents.c.process == victim,
                )
            )
        except sa.exc.SQLAlchemyError:
            return False  # Postgres is away
        is_told = victim == RUN_WORKER or (len(incidents) > 0 and not incidents["recovered_at"].isna().any())
        return succeeded > 0 and is_told and self.served.is_all_up()

    def _noticed_at(self, victim: str, run_id: str, killed_at: dt.datetime) -> dt.datetime | None:
        if victim == RUN_WORKER:
            query = sa.select(run_outcomes.c.recorded_at.label("at")).where(
                run_outcomes.c.run_id == run_id, run_outcomes.c.status == "failure"
            )
        else:
            query = sa.select(process_incidents.c.noticed_at.label("at")).where(
                process_incidents.c.noticed_at >= killed_at, process_incidents.c.process == victim
            )
        moments = self.database.read(query)["at"]
        return None if moments.empty else moments.min().to_pydatetime()

    def _has_opened(self, victim: str, killed_at: dt.datetime) -> bool:
        table = system_alerts
        opened = sa.select(sa.func.count()).where(
            table.c.fingerprint == _fingerprint(victim), table.c.first_seen_at >= killed_at
        )
        return self._count(opened) > 0

    def _notified_after(self, victim: str, noticed_at: dt.datetime | None) -> float | None:
        """Seconds from notice until a message that tells of the alert was taken by its channel."""
        if noticed_at is None:
            return None
        outbox, events, delivery = notification_outbox, notification_delivery_events, notification_deliveries
        query = (
            sa.select(sa.func.min(delivery.c.sent_at).label("at"))
            .select_from(
                system_alerts.join(outbox, outbox.c.alert_id == system_alerts.c.alert_id)
                .join(events, events.c.notification_id == outbox.c.notification_id)
                .join(delivery, delivery.c.delivery_id == events.c.delivery_id)
            )
            .where(system_alerts.c.fingerprint == _fingerprint(victim), outbox.c.created_at >= noticed_at)
        )
        sent: list[dt.datetime] = []

        def is_sent() -> bool:
            moment = self.database.read(query)["at"].iloc[0]
            sent[:] = [] if moment is None or moment != moment else [moment]
            return bool(sent)

        try:
            wait_for(is_sent, timeout_s=NOTIFICATION_LIMIT_S, what="the notification")
        except TimeoutError:
            return None
        return _seconds(noticed_at, sent[0])

    def _occurrences(self) -> Counter[str]:
        """How often each problem has occurred so far, all alerts on it together."""
        table = system_alerts
        rows = self.database.read(
            sa.select(table.c.fingerprint, sa.func.sum(table.c.occurrences_count).label("count"))
            .where(table.c.source != "asset_check")
            .group_by(table.c.fingerprint)
        )
        return Counter({row["fingerprint"]: int(row["count"]) for row in rows.to_dict("records")})

    def _count(self, query: sa.Select[Any]) -> int:
        return int(self.database.read(query).to_numpy()[0, 0])

    def wait_until_calm(self, victim: str) -> None:
        """Until nothing waits to be run again, and the alert of the next victim is resolved, unless it flaps."""
        table = system_alerts
        is_open = sa.select(sa.func.count()).where(
            table.c.fingerprint == _fingerprint(victim), table.c.state == "open", sa.not_(table.c.is_flapping)
        )
        due = sa.select(sa.func.count()).select_from(run_retries).where(run_retries.c.state == "due")
        wait_for(lambda: self._count(due) == 0, timeout_s=RECOVERY_LIMIT_S, what="every attempt to be made")
        wait_for(
            lambda: self._count(is_open) == 0, timeout_s=RECOVERY_LIMIT_S, what="an alert to be resolved"
        )

    def _say(self, text: str) -> None:
        if self._show_progress:
            print(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _seconds(since: dt.datetime, until: dt.datetime | None) -> float | None:
    return None if until is None else round((until - since).total_seconds(), 1)


def measure(
    home: Path,
    *,
    kills_count: int,
    victims: tuple[str, ...],
    seed: int,
    developers_count: int,
    show_progress: bool,
) -> dict[str, Any]:
    """Kill, wait, compare; gives the numbers by name."""
    started = time.monotonic()
    variables = environment(
        home,
        PLATFORM_SANDBOX_DEVELOPERS=str(developers_count),
        PLATFORM_SANDBOX_PROJECTS=str(max(5, developers_count // 5)),
        PLATFORM_AS_OF=dt.datetime.now(dt.UTC).date().isoformat(),
        # What a retry does at the gateway would be another world for the next refresh.
        PLATFORM_PAYMENT_RETRIES="off",
    )
    subprocess.run(command("run"), env=variables, check=False, stdout=subprocess.DEVNULL, timeout=900)  # noqa: S603
    with serving(home, variables) as served:
        faults = Faults(served, seed=seed, show_progress=show_progress)
        faults.measure_undisturbed()
        kills = []
        # Round by round, so that each process is calm for a while between two of its ends.
        for victim in [victim for _ in range(kills_count) for victim in victims]:
            faults.wait_until_calm(victim)
            kills.append(faults.kill_one(victim))
        unsteady = {table: sorted(columns) for table, columns in faults.unsteady.items()}
        faults.database.close()
    noticed = [kill.noticed_s for kill in kills]
    recovered = [kill.recovered_s for kill in kills]
    notified = [kill.notified_s for kill in kills if kill.opened_alert]
    return {
        "kills": len(kills),
        "rows_lost_or_doubled": sum(kill.rows_lost_or_doubled for kill in kills),
        "max_seconds_to_notice": _worst(noticed),
        "max_seconds_to_recover": _worst(recovered),
        "problems_without_exactly_one_alert": sum(not kill.has_exactly_one_alert for kill in kills),
        "max_seconds_to_first_notification": _worst(notified),
        "never_noticed": noticed.count(None),
        "never_recovered": recovered.count(None),
        "never_notified": notified.count(None),
        "undisturbed_refresh_s": round(faults.refresh_s, 1),
        "columns_not_compared": unsteady,
        "duration_s": round(time.monotonic() - started, 1),
        "each": [asdict(kill) for kill in kills],
    }


def _worst(seconds: list[float | None]) -> float | None:
    """The longest; None when one never came."""
    known = [each for each in seconds if each is not None]
    return max(known) if known and len(known) == len(seconds) else None


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=3, help="how often each process is killed")
    parser.add_argument(
        "--only", choices=VICTIMS, action="append", help="kill only this one (may be repeated)"
    )
    parser.add_argument("--developers", type=int, default=200, help="size of the marketplace")
    parser.add_argument("--seed", type=int, default=20261124, help="of the random moments")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", type=Path, help="use this folder and leave it behind, logs included")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="platform-faults-") as folder:
        home = arguments.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        measurement = measure(
            home,
            kills_count=arguments.kills,
            victims=tuple(arguments.only or VICTIMS),
            seed=arguments.seed,
            developers_count=arguments.developers,
            show_progress=True,
        )
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            if name == "each":
                for kill in value:
                    print(f"{'':>36}  {kill}")
            else:
                print(f"{name:>36}  {value}")


if __name__ == "__main__":
    main()
