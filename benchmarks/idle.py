"""What the platform costs while nothing heavy is due: `python -m benchmarks.idle --minutes 20 --json`.

Everything is on at its real cadence: the supervisor, webserver, code server, daemon with every schedule and sensor, the
embedded Postgres and the local APIs. After a first refresh and a few minutes to settle, the CPU time of all their
processes, those that ended in between included, is read at both ends, and every tick that was due is looked for.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from dagster._utils.schedules import cron_string_iterator

from benchmarks.supervised import (
    Served,
    command,
    environment,
    local_apis_pid,
    postgres_pid,
    serving,
)
from platform_assets.schedules import TIMETABLE

CORES = 2
"""What the share is of: the machine that the budget is written for."""

SETTLE_S = 120.0
TICK_GRACE_S = 60.0
"""A tick that is due in the last minute may still come."""


@dataclass(frozen=True)
class Reading:
    """The processes at one moment.

    Attributes:
        at: When (a monotonic clock's seconds).
        cpu_s: Processor seconds of every process so far, and of those that ended.
        memory_mib: Memory that they have, shared pages in equal parts.
        by_process: Processor seconds by what the process is; run workers that have ended are in the code server's.
    """

    at: float
    cpu_s: float
    memory_mib: float
    by_process: dict[str, float]


def read_processes(served: Served) -> Reading:
    """Add up what every process has used."""
    by_process: dict[str, float] = {}
    memory_bytes = 0
    names = _names(served)
    for process in served.processes():
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            # What a process's ended children have used is in its own account, once it has waited for them.
            used = times.user + times.system + times.children_user + times.children_system
            name = names.get(process.pid) or names.get(process.ppid(), "others")
            by_process[name] = by_process.get(name, 0.0) + used
            full = process.memory_full_info()
            memory_bytes += getattr(full, "pss", full.uss)
    return Reading(time.monotonic(), sum(by_process.values()), memory_bytes / 2**20, by_process)


def _names(served: Served) -> dict[int, str]:
    status = served.status()
    names = {process.pid: process.name for process in status.processes if process.pid} if status else {}
    servers = {postgres_pid(served.home): "postgres", local_apis_pid(served.home): "local_apis"}
    return {served.supervisor.pid: "supervisor", **servers, **names}


def find_missed_ticks(served: Served, *, since: dt.datetime, until: dt.datetime) -> dict[str, list[str]]:
    """By schedule the moments between two at which it should have ticked and did not."""
    storage = served.storage()
    ticks = storage.read(
        sa.text(
            "SELECT tick_body::json->>'job_name' AS schedule, (tick_body::json->>'timestamp')::float AS at"
            " FROM job_ticks WHERE type = 'SCHEDULE' AND status IN ('SUCCESS', 'SKIPPED', 'STARTED')"
        )
    )
    storage.close()
    seen = {(row["schedule"], round(row["at"])) for row in ticks.to_dict("records")}
    missed: dict[str, list[str]] = {}
    for entry in TIMETABLE:
        for moment in cron_string_iterator(since.timestamp(), entry.cron, "UTC"):
            if moment > until:
                break
            if moment > since and (entry.name, round(moment.timestamp())) not in seen:
                missed.setdefault(entry.name, []).append(moment.isoformat())
    return missed


def measure(home: Path, *, minutes: float, developers_count: int, settle_s: float) -> dict[str, Any]:
    """Serve, settle, measure; gives the numbers by name."""
    variables = environment(
        home,
        PLATFORM_SANDBOX_DEVELOPERS=str(developers_count),
        PLATFORM_SANDBOX_PROJECTS=str(max(5, developers_count // 5)),
    )
    subprocess.run(command("run"), env=variables, check=False, stdout=subprocess.DEVNULL, timeout=900)  # noqa: S603
    with serving(home, variables) as served:
        time.sleep(settle_s)
        since = dt.datetime.now(dt.UTC)
        first = read_processes(served)
        time.sleep(minutes * 60)
        last = read_processes(served)
        until = dt.datetime.now(dt.UTC)
        time.sleep(TICK_GRACE_S)
        missed = find_missed_ticks(served, since=since, until=until)
        storage = served.storage()
        runs = storage.read(
            sa.text(
                "SELECT status, count(*) AS n FROM runs WHERE create_timestamp >= :since GROUP BY status"
            ),
            {"since": since.replace(tzinfo=None)},
        )
        storage.close()
    elapsed_s, cpu_s = last.at - first.at, last.cpu_s - first.cpu_s
    names = {*first.by_process, *last.by_process}
    return {
        "minutes": round(elapsed_s / 60, 2),
        "cpu_share_of_two_cores": round(cpu_s / (elapsed_s * CORES), 4),
        "cpu_s": round(cpu_s, 1),
        "cpu_share_by_process": {
            name: round(
                (last.by_process.get(name, 0.0) - first.by_process.get(name, 0.0)) / (elapsed_s * CORES), 4
            )
            for name in sorted(names)
        },
        "memory_start_mib": round(first.memory_mib),
        "memory_end_mib": round(last.memory_mib),
        "missed_ticks": sum(map(len, missed.values())),
        "missed": missed,
        "runs": {str(row["status"]): int(row["n"]) for row in runs.to_dict("records")},
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="seconds to settle before")
    parser.add_argument("--developers", type=int, default=1_000, help="size of the marketplace")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="platform-idle-") as folder:
        measurement = measure(
            Path(folder),
            minutes=arguments.minutes,
            developers_count=arguments.developers,
            settle_s=arguments.settle,
        )
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>24}  {value}")


if __name__ == "__main__":
    main()
