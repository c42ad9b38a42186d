"""Keeps how runs ended: the outcome, its alert and its next attempt, in one transaction for each run.

Recording a run again changes nothing, so that whoever watches may look twice. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database, is_among
from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.alerting.exposure import ImpactReader
from platform_assets.monitoring.alerting.rules import Problem
from platform_assets.monitoring.runs.failure_causes import MESSAGE_CHARS, Cause, Diagnosis, diagnose
from platform_assets.monitoring.runs.reexecution import Decision, decide
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.supervision import process_incidents

if TYPE_CHECKING:
    from platform_assets.monitoring.runs.history import FinishedRun

ALERT_SOURCE = "run"

AFTERMATH = dt.timedelta(seconds=60)
"""For this long after a process answers again, failures may still be its doing: clients notice late, and retry."""


@dataclass(frozen=True)
class DueRetry:
    """An attempt whose time has come.

    Attributes:
        root_run_id: The first run of the work.
        attempt: Its number, from 1.
        failed_run_id: The run that failed last.
        job_name: The job to run.
        assets: Assets to write; empty for a job that writes none.
        tags: Tags to keep.
    """

    root_run_id: str
    attempt: int
    failed_run_id: str
    job_name: str
    assets: tuple[str, ...]
    tags: Mapping[str, str]


def find_known_runs(database: Database, run_ids: Sequence[str]) -> set[str]:
    """Which of the runs are recorded."""
    rows = database.read(sa.select(run_outcomes.c.run_id).where(is_among(run_outcomes.c.run_id, run_ids)))
    return set(rows["run_id"])


def record_run(
    database: Database, run: FinishedRun, *, owner: str, impacts: ImpactReader, now: dt.datetime
) -> bool:
    """Record a run that has ended.

    A failure raises the job's alert and plans the next attempt, a success resolves the alert; a cancelled run was
    somebody's wish and does neither. A run that failed because a process of the platform had ended is only run again:
    that process has the alert.

    Args:
        database: Where it is kept.
        run: The run.
        owner: Team that answers for it.
        impacts: Says how severe its failure is.
        now: The present moment.

    Returns:
        Whether it was new.
    """
    diagnosis = diagnose(run.failed) if run.status == "failure" else None
    with database.transaction() as connection:
        incident = _find_incident(connection, run, diagnosis)
        if incident is not None and diagnosis is not None:
            diagnosis = Diagnosis(Cause.INFRASTRUCTURE, f"{incident}. {diagnosis.message}"[:MESSAGE_CHARS])
        if not _insert_outcome(connection, run, diagnosis, now):
            return False
        fingerprint = f"run:{run.job_name}"
        if run.status == "success" and not _failed_later(connection, run):
            resolve_alert(connection, fingerprint=fingerprint, now=now, reason=f"run {run.run_id} succeeded")
        elif diagnosis is not None:
            decision = _plan(connection, run, diagnosis, now)
            if incident is not None and not decision.is_quarantined:
                return True
            assets = run.unfinished_assets or run.planned_assets
            impact = impacts.assess(_problem(diagnosis, decision), assets)
            raise_alert(
                connection,
                fingerprint=fingerprint,
                severity=impact.severity,
                source=ALERT_SOURCE,
                subject=run.job_name,
                owner=owner,
                title=_title(run, diagnosis, decision),
                details=_details(run, diagnosis, decision),
                now=now,
                seen_at=run.ended_at,
                assets=assets,
                impact=impact.as_json(),
            )
    return True


def _find_incident(connection: sa.Connection, run: FinishedRun, diagnosis: Diagnosis | None) -> str | None:
    """The end of a process that explains the failure, as a clause; None when there is none.

    A worker that was lost may have been Postgres's loss, work that failed that of any server, and a run that never began
    that of the code server.
    """
    if diagnosis is None or diagnosis.cause not in (Cause.TRANSIENT, Cause.INFRASTRUCTURE):
        return None
    table = process_incidents
    processes = [
        "postgres",
        *(["local_apis"] if diagnosis.cause is Cause.TRANSIENT else []),
        *(["code_server"] if run.started_at is None else []),
    ]
    found = connection.execute(
        sa.select(table.c.process, table.c.reason)
        .where(
            table.c.process.in_(processes),
            table.c.last_seen_at <= run.ended_at,
            sa.func.coalesce(table.c.recovered_at, table.c.recorded_at) >= run.ended_at - AFTERMATH,
        )
        .order_by(table.c.noticed_at.desc())
        .limit(1)
    ).first()
    return None if found is None else f"{found.process} {found.reason} and was started again"


def _insert_outcome(
    connection: sa.Connection, run: FinishedRun, diagnosis: Diagnosis | None, now: dt.datetime
) -> bool:
    inserted = connection.execute(
        pg.insert(run_outcomes)
        .values(
            run_id=run.run_id,
            root_run_id=run.root_run_id,
            attempt=run.attempt,
            job_name=run.job_name,
            queue=run.queue,
            status=run.status,
            cause=diagnosis.cause.value if diagnosis else None,
            message=diagnosis.message if diagnosis else None,
            failed_steps=[failed.step for failed in run.failed if failed.step],
            unfinished_assets=list(run.unfinished_assets),
            created_at=run.created_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
            recorded_at=now,
        )
        .on_conflict_do_nothing(index_elements=[run_outcomes.c.run_id])
        .returning(run_outcomes.c.run_id)
    )
    return inserted.first() is not None


def _failed_later(connection: sa.Connection, run: FinishedRun) -> bool:
    # Runs are seen in the order in which they were written of, which is nearly that of their ends.
    table = run_outcomes
    later = sa.select(sa.literal(1)).where(
        table.c.job_name == run.job_name, table.c.status == "failure", table.c.ended_at > run.ended_at
    )
    return connection.execute(later.limit(1)).first() is not None


def _plan(connection: sa.Connection, run: FinishedRun, diagnosis: Diagnosis, now: dt.datetime) -> Decision:
    table = run_retries
    if run.planned_assets and not run.unfinished_assets:
        return Decision(
            None,
            None,
            is_quarantined=False,
            reason="every asset was written; its checks are evaluated again by the next check of the service levels",
        )
    made = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(table.c.attempt), 0)).where(
            table.c.root_run_id == run.root_run_id
        )
    ).scalar_one()
    decision = decide(diagnosis, root_run_id=run.root_run_id, attempts_made=int(made), now=now)
    if decision.attempt is not None:
        connection.execute(
            pg.insert(table)
            .values(
                root_run_id=run.root_run_id,
                attempt=decision.attempt,
                failed_run_id=run.run_id,
                job_name=run.job_name,
                assets=list(run.unfinished_assets),
                tags=run.tags,
                cause=diagnosis.cause.value,
                due_at=decision.due_at,
            )
            .on_conflict_do_nothing()
        )
    return decision


def _problem(diagnosis: Diagnosis, decision: Decision) -> Problem:
    if decision.is_quarantined:
        return Problem.RUN_GIVEN_UP
    return Problem.RUN_FAILED if diagnosis.cause is Cause.PERMANENT else Problem.RUN_RETRIED


def _title(run: FinishedRun, diagnosis: Diagnosis, decision: Decision) -> str:
    if decision.is_quarantined:
        return f"{run.job_name} keeps failing and is given up until somebody looks at it"
    if decision.due_at is None:
        return f"{run.job_name} failed by a {diagnosis.cause} cause"
    return (
        f"{run.job_name} failed by a {diagnosis.cause} cause and runs again at {decision.due_at:%H:%M:%S} UTC"
    )


def _details(run: FinishedRun, diagnosis: Diagnosis, decision: Decision) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "message": diagnosis.message,
        "cause": diagnosis.cause.value,
        "failed_steps": [failed.step for failed in run.failed if failed.step],
        "unfinished_assets": list(run.unfinished_assets),
        "next_attempt": decision.attempt,
        "next_attempt_at": decision.due_at,
        "decision": decision.reason,
    }


def read_due_retries(database: Database, *, now: dt.datetime, limit: int) -> list[DueRetry]:
    """Attempts whose time has come, the longest due first.

    One whose job has since succeeded in a run that began after the failure is superseded: its work is done.
    """
    table, later = run_retries, run_outcomes.alias("later")
    failed = run_outcomes.alias("failed")
    done_since = sa.exists().where(
        failed.c.run_id == table.c.failed_run_id,
        later.c.job_name == table.c.job_name,
        later.c.status == "success",
        later.c.started_at > failed.c.ended_at,
        # An attempt at this work says nothing of whether it was needed.
        later.c.root_run_id != table.c.root_run_id,
    )
    with database.transaction() as connection:
        connection.execute(
            sa.update(table)
            .where(table.c.state == "due", done_since)
            .values(state="superseded", settled_at=now)
        )
        rows = connection.execute(
            sa.select(table)
            .where(table.c.state == "due", table.c.due_at <= now)
            .order_by(table.c.due_at, table.c.root_run_id)
            .limit(limit)
        ).all()
    return [
        DueRetry(
            row.root_run_id, row.attempt, row.failed_run_id, row.job_name, tuple(row.assets), dict(row.tags)
        )
        for row in rows
    ]


def settle_requested(database: Database, run_keys: Collection[tuple[str, int]], *, now: dt.datetime) -> None:
    """Note that Dagster has been asked for these attempts, by root run id and number."""
    if not run_keys:
        return
    table = run_retries
    with database.transaction() as connection:
        connection.execute(
            sa.update(table)
            .where(sa.tuple_(table.c.root_run_id, table.c.attempt).in_(sorted(run_keys)))
            .values(state="requested", settled_at=now)
        )
