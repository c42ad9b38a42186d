"""Sees every task of the timetable run by its schedule: `python -m benchmarks.timetable --json`.

A real daemon evaluates all schedules and launches their runs, each in a process of its own, over a small generated
marketplace in a folder of its own. Only the cadences differ: every schedule ticks every six minutes, so that the daily
ones are seen, too. What the timetable costs at its real cadences is `idle.py`'s.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.supervised import command, environment
from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres
from platform_assets.schedules import TIMETABLE
from platform_assets.settings import PROJECT_ROOT

POLL_S = 5.0


def read_runs(storage: Database) -> dict[str, dict[str, int]]:
    """Schedule → how many of the runs that it launched have which status."""
    rows = storage.read(
        sa.text(
            "SELECT t.value AS schedule, r.status, count(*) AS runs_count FROM runs r JOIN run_tags t USING (run_id) "
            "WHERE t.key = 'dagster/schedule_name' GROUP BY 1, 2"
        )
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows.to_dict("records"):
        found.setdefault(row["schedule"], {})[row["status"].lower()] = int(row["runs_count"])
    return found


def watch(home: Path, variables: Mapping[str, str], *, limit_s: float) -> dict[str, Any]:
    """Let the daemon work until every schedule has launched a run that succeeded; gives what was seen."""
    began = time.monotonic()
    dagster_home = home / "dagster"
    with (home / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-m", "benchmarks.compressed_timetable"],
            env={**variables, "DAGSTER_HOME": str(dagster_home), "PYTHONPATH": str(PROJECT_ROOT)},
            cwd=dagster_home,
            stdout=log,
            stderr=log,
        )
    seen: dict[str, dict[str, int]] = {}
    storage = Database(ensure_postgres(home).url("dagster"))
    try:
        while time.monotonic() - began < limit_s and daemon.poll() is None:
            seen = read_runs(storage)
            if all(seen.get(entry.name, {}).get("success") for entry in TIMETABLE):
                break
            time.sleep(POLL_S)
    finally:
        storage.close()
        daemon.terminate()
        daemon.wait(timeout=60)
    missing = [entry.name for entry in TIMETABLE if not seen.get(entry.name, {}).get("success")]
    return {
        "schedules": len(TIMETABLE),
        "schedules_seen_to_succeed": len(TIMETABLE) - len(missing),
        "schedules_not_seen": missing,
        "failed_runs": sum(counts.get("failure", 0) for counts in seen.values()),
        "seconds": round(time.monotonic() - began, 1),
        "runs": seen,
    }


def measure(*, developers_count: int, limit_s: float) -> dict[str, Any]:
    """Load a small marketplace, watch, stop everything."""
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-timetable-") as folder:
        home = Path(folder)
        variables = environment(
            home,
            PLATFORM_SANDBOX_DEVELOPERS=str(developers_count),
            PLATFORM_SANDBOX_PROJECTS=str(max(5, developers_count // 5)),
        )
        try:
            # Starts the servers, and makes Dagster's folder and tables.
            subprocess.run(  # noqa: S603
                command("checks"), env=variables, check=False, timeout=300, stdout=subprocess.DEVNULL
            )
            return watch(home, variables, limit_s=limit_s)
        finally:
            subprocess.run(  # noqa: S603
                command("stop"), env=variables, check=False, timeout=120, stdout=subprocess.DEVNULL
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=60, help="size of the marketplace")
    parser.add_argument("--minutes", type=float, default=20.0, help="give up after so long")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = measure(developers_count=options.developers, limit_s=options.minutes * 60)
    if options.json:
        print(json.dumps(found))
        return
    for entry in TIMETABLE:
        print(f"{entry.name:<42} {found['runs'].get(entry.name, 'not seen')}")
    print(f"{found['schedules_seen_to_succeed']} of {found['schedules']} in {found['seconds']:.0f} s")


if __name__ == "__main__":
    main()
