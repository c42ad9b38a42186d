"""Sweeps the platform's own tables by the policies, in bounded steps of one transaction each.

A sweep that is broken off has done whole steps, and the next one goes on. Dagster's tables are `dagster_history.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.retention.policies import POLICIES, Purged, RolledUp
from platform_assets.monitoring.retention.rollup import RollUpDiffersError, delete_rows, roll_up
from platform_assets.tables.retention import retention_sweeps

STEP_ROWS = 100_000
"""About how many rows a transaction takes; it takes whole days."""

MOST_STEPS = 50
"""Of one table in one sweep; what is left over comes the next day."""


@dataclass(frozen=True)
class Swept:
    """What one sweep purged of one table or store; see `monitoring.retention_sweeps`."""

    source: str
    keep_days: int
    rows_purged: int = 0
    rows_rolled_up: int = 0
    rows_differing: int = 0
    bytes_freed: int = 0
    oldest_at: dt.datetime | None = None


def sweep_tables(
    database: Database, *, now: dt.datetime, policies: Sequence[RolledUp | Purged] = POLICIES
) -> list[Swept]:
    """Roll up and purge what is older than its policy keeps, whole days (UTC) at a time.

    Rows whose roll-up differs from them stay, and are counted.
    """
    return [_sweep(database, policy, now) for policy in policies]


def record_sweeps(database: Database, swept: Sequence[Swept], *, now: dt.datetime) -> None:
    """Write down what a sweep did."""
    with database.transaction() as connection:
        connection.execute(sa.insert(retention_sweeps), [{"swept_at": now, **asdict(each)} for each in swept])


def _sweep(database: Database, policy: RolledUp | Purged, now: dt.datetime) -> Swept:
    purged = rolled_up = differing = bytes_freed = 0
    for start, end in _steps(database, policy, _midnight(now - policy.keep)):
        if isinstance(policy, Purged):
            with database.transaction() as connection:
                rows, size = delete_rows(
                    connection, policy.table, sa.and_(policy.only, policy.at >= start, policy.at < end)
                )
        else:
            try:
                with database.transaction() as connection:
                    rows, size = roll_up(connection, policy, start, end)
            except RollUpDiffersError:
                differing += _count(database, policy, start, end)
                continue
            rolled_up += rows
        purged += rows
        bytes_freed += size
    return Swept(
        source=policy.table.fullname,
        keep_days=policy.keep.days,
        rows_purged=purged,
        rows_rolled_up=rolled_up,
        rows_differing=differing,
        bytes_freed=bytes_freed,
        oldest_at=_oldest(database, policy),
    )


def _steps(
    database: Database, policy: RolledUp | Purged, cutoff: dt.datetime
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Ranges of whole days that lie before the cutoff, with some 100,000 rows each."""
    start: dt.datetime | None = None
    for _ in range(MOST_STEPS):
        first = _oldest(database, policy, since=start, before=cutoff)
        if first is None:
            return
        start = _midnight(first)
        last = database.read(
            sa.select(policy.at.label("at"))
            .where(_may_go(policy), policy.at >= start, policy.at < cutoff)
            .order_by(policy.at)
            .offset(STEP_ROWS)
            .limit(1)
        )["at"]
        end = cutoff if last.empty else _midnight(last.iloc[0].to_pydatetime()) + dt.timedelta(days=1)
        yield start, min(end, cutoff)
        start = end


def _oldest(
    database: Database,
    policy: RolledUp | Purged,
    *,
    since: dt.datetime | None = None,
    before: dt.datetime | None = None,
) -> dt.datetime | None:
    query = sa.select(sa.func.min(policy.at).label("at")).where(_may_go(policy))
    if since is not None:
        query = query.where(policy.at >= since)
    if before is not None:
        query = query.where(policy.at < before)
    oldest = database.read(query)["at"].dropna()
    return None if oldest.empty else oldest.iloc[0].to_pydatetime()


def _count(database: Database, policy: RolledUp, start: dt.datetime, end: dt.datetime) -> int:
    rows = database.read(
        sa.select(sa.func.count().label("n"))
        .select_from(policy.table)
        .where(policy.at >= start, policy.at < end)
    )
    return int(rows["n"].iloc[0])


def _may_go(policy: RolledUp | Purged) -> sa.ColumnElement[bool]:
    return policy.only if isinstance(policy, Purged) else sa.true()


def _midnight(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
