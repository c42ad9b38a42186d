"""Finds runs whose process is gone, and tells Dagster that they have failed, so that they are run again.

Nobody else does: only the code server that launched a run sees its process die, and it may have died itself.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.monitoring.runs.heartbeats import Heartbeat, read_heartbeats

CODE_LOCATION_NAME = "platform_assets"

SILENT_S = 45.0
"""A process that can't be looked at (another machine's) or that has not said who it is yet is given up after this long:
four beats, or the start of a process on a busy machine."""

_IN_A_PROCESS = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@dataclass(frozen=True)
class DeadRun:
    """A run that is recorded as going on, and that no process works on any more.

    Attributes:
        run_id: Dagster's id.
        job_name: Its job.
        reason: What is known of its process, in one sentence.
    """

    run_id: str
    job_name: str
    reason: str


def find_dead_runs(
    instance: dg.DagsterInstance, database: Database, *, now: dt.datetime, watched_since: dt.datetime
) -> list[DeadRun]:
    """Unfinished runs whose process is gone.

    Args:
        instance: Where runs are recorded.
        database: Where their processes say that they live.
        now: The present moment.
        watched_since: From when on the database has been there for everyone, as far as the caller knows: silence counts
            only when it could have been broken.

    Raises:
        sqlalchemy.exc.DBAPIError: Either can't be read.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=list(_IN_A_PROCESS)))
    heartbeats = read_heartbeats(database, [record.dagster_run.run_id for record in records])
    watched_s = (now - watched_since).total_seconds()
    dead = []
    for record in records:
        run = record.dagster_run
        heartbeat = heartbeats.get(run.run_id)
        if heartbeat is not None:
            reason = _why_dead(heartbeat, watched_s)
        else:
            updated_at = record.update_timestamp
            updated_at = updated_at if updated_at.tzinfo else updated_at.replace(tzinfo=dt.UTC)
            silent_s = (now - updated_at).total_seconds()
            reason = _why_never_begun(silent_s, watched_s) if _is_ours(run) else None
        if reason is not None:
            dead.append(DeadRun(run.run_id, run.job_name, reason))
    return dead


def fail_run(instance: dg.DagsterInstance, dead: DeadRun) -> bool:
    """Record that the run has failed, or that it was cancelled where that was wanted.

    Returns:
        Whether that was news: it may have ended, or have been told of, in the meantime.
    """
    run = instance.get_run_by_id(dead.run_id)
    if run is None or run.status not in _IN_A_PROCESS:
        return False
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message=dead.reason)
    else:
        # Without an error: that is how a lost process is told from work that failed.
        instance.report_run_failed(run, message=dead.reason)
    return True


def _why_dead(heartbeat: Heartbeat, watched_s: float) -> str | None:
    process = heartbeat.process
    if process.is_local:
        return None if process.is_alive else f"Process {process.pid}, which worked on this run, is gone."
    if min(heartbeat.age_s, watched_s) <= SILENT_S:
        return None
    return (
        f"Process {process.pid} on {process.host}, which worked on this run, "
        f"has given no sign of life for {heartbeat.age_s:.0f} s."
    )


def _why_never_begun(silent_s: float, watched_s: float) -> str | None:
    if min(silent_s, watched_s) <= SILENT_S:
        return None
    return f"Its process never said that it had begun, {silent_s:.0f} s after it was launched."


def _is_ours(run: dg.DagsterRun) -> bool:
    # Another code location of the same instance gives no signs of life, and need not.
    origin = run.remote_job_origin
    return (
        origin is not None
        and origin.repository_origin.code_location_origin.location_name == CODE_LOCATION_NAME
    )
