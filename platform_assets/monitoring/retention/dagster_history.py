"""Purges Dagster's own history: runs, their events, tags, check evaluations and logs. Ticks are purged by Dagster itself.

Dagster deletes one run at a time, in some 60 ms, and leaves its check rows; here it is set work on its storage's tables.
The last of each asset, partition and check stays with its run, and so does whatever has not ended.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from dagster import DagsterEventType
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster_postgres.event_log import PostgresEventLogStorage

from platform_assets.monitoring.retention.rollup import delete_rows
from platform_assets.monitoring.retention.sweep import Swept

if TYPE_CHECKING:
    from dagster import DagsterInstance

STEP_RUNS = 500
"""Runs that are deleted at once."""

MOST_RUNS = 20_000
"""In one sweep: eight days of the timetable; what is left over comes the next day."""

_KEPT_EVENTS = (DagsterEventType.ASSET_MATERIALIZATION.value, DagsterEventType.ASSET_OBSERVATION.value)


def purge_history(instance: DagsterInstance, *, now: dt.datetime, keep: dt.timedelta) -> list[Swept]:
    """Delete what ended longer ago than is kept.

    Runs go last of all that belongs to them, so that a sweep that is broken off is gone on with by the next one.

    Returns:
        What went: runs with their tags, events, check evaluations, logs; nothing of an instance without a database.
    """
    before = now - keep
    storage = instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage):
        # An instance in memory ends with its process.
        return []
    # One database has runs and events (`PlatformStorage`); each statement is committed by itself.
    with storage.index_connection() as connection:
        checks = _purge_checks(connection, before)
        due = _due_runs(connection, before)
        events = runs = (0, 0)
        for start in range(0, len(due), STEP_RUNS):
            run_ids = due[start : start + STEP_RUNS]
            events = _sum(events, _purge_events(connection, run_ids))
            runs = _sum(runs, _purge_runs(connection, run_ids))
        oldest = connection.scalar(
            sa.select(sa.func.min(_ended_at())).where(RunsTable.c.status.in_(_ended_names()))
        )
        logs = _purge_logs(instance, connection, before)
    oldest_at = None if oldest is None else dt.datetime.fromtimestamp(float(oldest), tz=dt.UTC)
    return [
        Swept("dagster.runs", keep.days, runs[0], bytes_freed=runs[1], oldest_at=oldest_at),
        Swept("dagster.event_logs", keep.days, events[0], bytes_freed=events[1]),
        Swept("dagster.asset_check_executions", keep.days, checks[0], bytes_freed=checks[1]),
        Swept("dagster.compute_logs", keep.days, logs[0], bytes_freed=logs[1]),
    ]


def _ended_names() -> list[str]:
    return [status.value for status in FINISHED_STATUSES]


def _ended_at() -> sa.ColumnElement[float]:
    # A run that was canceled before it began has no end; Dagster's timestamps are UTC without a zone.
    return sa.func.coalesce(
        RunsTable.c.end_time, sa.func.extract("epoch", RunsTable.c.update_timestamp), type_=sa.Float
    )


def _due_runs(connection: sa.Connection, before: dt.datetime) -> list[str]:
    """Ids of runs that may go, the longest ended first."""
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    last_events = (
        sa.select(sa.func.max(events.c.id))
        .where(events.c.dagster_event_type.in_(_KEPT_EVENTS), events.c.asset_key.is_not(None))
        .group_by(events.c.asset_key, events.c.dagster_event_type, events.c.partition)
    )
    keeping = sa.union(
        sa.select(events.c.run_id).where(events.c.id.in_(last_events)),
        # All that are left, since the others of that age have gone.
        sa.select(checks.c.run_id).where(checks.c.id.in_(_last_checks())),
    )
    rows = connection.execute(
        sa.select(RunsTable.c.run_id)
        .where(
            RunsTable.c.status.in_(_ended_names()),
            _ended_at() < before.timestamp(),
            RunsTable.c.run_id.not_in(keeping),
        )
        .order_by(_ended_at(), RunsTable.c.id)
        .limit(MOST_RUNS)
    )
    return [row.run_id for row in rows]


def _last_checks() -> sa.Select[tuple[int]]:
    """Ids of each check's last row of each status: what it said last, and whether it is being evaluated."""
    checks = AssetCheckExecutionsTable
    return sa.select(sa.func.max(checks.c.id)).group_by(
        checks.c.asset_key, checks.c.check_name, checks.c.partition, checks.c.execution_status
    )


def _purge_checks(connection: sa.Connection, before: dt.datetime) -> tuple[int, int]:
    checks = AssetCheckExecutionsTable
    return delete_rows(
        connection,
        checks,
        sa.and_(checks.c.create_timestamp < before.replace(tzinfo=None), checks.c.id.not_in(_last_checks())),
    )


def _purge_events(connection: sa.Connection, run_ids: Collection[str]) -> tuple[int, int]:
    events = SqlEventLogStorageTable
    of_runs = events.c.run_id.in_(run_ids)
    tags = delete_rows(
        connection,
        AssetEventTagsTable,
        AssetEventTagsTable.c.event_id.in_(sa.select(events.c.id).where(of_runs)),
    )
    rows, size = delete_rows(connection, events, of_runs)
    return rows, size + tags[1]


def _purge_runs(connection: sa.Connection, run_ids: Collection[str]) -> tuple[int, int]:
    _, tags_size = delete_rows(connection, RunTagsTable, RunTagsTable.c.run_id.in_(run_ids))
    rows, size = delete_rows(connection, RunsTable, RunsTable.c.run_id.in_(run_ids))
    return rows, size + tags_size


def _purge_logs(instance: DagsterInstance, connection: sa.Connection, before: dt.datetime) -> tuple[int, int]:
    """Folders of logs whose run is gone, by whoever deleted it; gives their number and bytes.

    Logs that are kept elsewhere than on this disk are their store's to expire.
    """
    manager = instance.compute_log_manager
    if not isinstance(manager, LocalComputeLogManager):
        return 0, 0
    base = Path(manager.get_captured_local_path(["run"], "out")).parent
    if not base.is_dir():
        return 0, 0
    old = {
        folder.name: folder
        for folder in base.iterdir()
        if _is_run_id(folder.name) and folder.is_dir() and folder.stat().st_mtime < before.timestamp()
    }
    known = connection.scalars(sa.select(RunsTable.c.run_id).where(RunsTable.c.run_id.in_(old)))
    gone = old.keys() - set(known)
    size = sum(_size(old[run_id].rglob("*")) for run_id in gone)
    for run_id in gone:
        manager.delete_logs(prefix=[run_id])
    return len(gone), size


def _is_run_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def _sum(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]
