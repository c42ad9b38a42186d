"""The account of recovery: what was taken up, what was done, and whether it helped. No Dagster here.

A row is committed before its action, so that no two look after the same thing and nothing is done unrecorded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets import recovery_thresholds as bounds
from platform_assets.clients.database import Database
from platform_assets.clients.jsonable import to_jsonable
from platform_assets.monitoring.queues.model import seconds_between
from platform_assets.monitoring.queues.recovery import Action, ActionKind, JobHistory
from platform_assets.monitoring.redaction import redact, redact_text
from platform_assets.tables.queues import queue_recovery
from platform_assets.tables.recovery import run_outcomes

UNSETTLED = ("claimed", "done")
IN_VAIN = ("ineffective", "failed")
TRIES_KEPT = dt.timedelta(days=1)

ERROR_CHARS = 500


@dataclass(frozen=True)
class Unsettled:
    """An action of which it is not known yet whether it helped.

    Attributes:
        recovery_id: Its row.
        action: What was done to what, as it was planned.
        claimed_at: When it was taken up (UTC).
        is_done: Whether the action itself was completed; otherwise whoever took it up may have died over it.
    """

    recovery_id: int
    action: Action
    claimed_at: dt.datetime
    is_done: bool


@dataclass(frozen=True)
class RepairTime:
    """How long one kind of problem lasted until it was proven to be gone.

    Attributes:
        action: What was done about it.
        actions_count: How often it was done.
        worked_count: How often that helped.
        median_s: Median from the problem's beginning to the proof, in seconds; None when it never helped.
    """

    action: str
    actions_count: int
    worked_count: int
    median_s: float | None


def claim(
    database: Database, action: Action, *, state_before: Mapping[str, Any], now: dt.datetime
) -> int | None:
    """Take an action up.

    Returns:
        Its id; None when somebody else looks after this subject.
    """
    with database.transaction() as connection:
        return connection.execute(
            pg.insert(queue_recovery)
            .values(
                action=action.kind.value,
                subject=action.subject,
                attempt=action.attempt,
                reason=redact_text(action.reason),
                state="claimed",
                state_before=redact(to_jsonable({**action.details, **state_before})),
                problem_since=action.problem_since,
                claimed_at=now,
            )
            .on_conflict_do_nothing()
            .returning(queue_recovery.c.recovery_id)
        ).scalar_one_or_none()


def note_done(database: Database, recovery_id: int) -> None:
    """Note that an action was completed; whether it helps is another matter."""
    _update(database, recovery_id, state="done")


def note_failed(database: Database, recovery_id: int, error: BaseException, *, now: dt.datetime) -> str:
    """Note that an action could not be carried out; gives the reason, without secrets."""
    text = redact_text(f"{type(error).__name__}: {error}")[:ERROR_CHARS]
    _update(database, recovery_id, state="failed", error=text, settled_at=now)
    return text


def settle(
    database: Database,
    unsettled: Unsettled,
    *,
    is_repaired: bool,
    state_after: Mapping[str, Any],
    now: dt.datetime,
) -> str:
    """Note how the subject stands now.

    Returns:
        The action's state: `worked`, `ineffective` once it has shown no effect for too long, or still what it was.
    """
    state = "done" if unsettled.is_done else "claimed"
    after = redact(to_jsonable(state_after))
    if is_repaired:
        repair_s = seconds_between(unsettled.action.problem_since, now)
        state = "worked"
        _update(
            database,
            unsettled.recovery_id,
            state=state,
            state_after=after,
            settled_at=now,
            repair_s=repair_s,
        )
    elif seconds_between(unsettled.claimed_at, now) > bounds.RECOVERY_VERIFY_S:
        state = "ineffective"
        _update(database, unsettled.recovery_id, state=state, state_after=after, settled_at=now)
    else:
        _update(database, unsettled.recovery_id, state_after=after)
    return state


def _update(database: Database, recovery_id: int, **values: Any) -> None:
    with database.transaction() as connection:
        connection.execute(
            sa.update(queue_recovery).where(queue_recovery.c.recovery_id == recovery_id).values(**values)
        )


def read_unsettled(database: Database, *, kind: ActionKind | None = None) -> list[Unsettled]:
    """Actions of which it is not known yet whether they helped, earliest first.

    Args:
        database: The platform's database.
        kind: Only those of one kind.
    """
    table = queue_recovery
    query = sa.select(table).where(table.c.state.in_(UNSETTLED)).order_by(table.c.recovery_id)
    if kind is not None:
        query = query.where(table.c.action == kind.value)
    with database.transaction() as connection:
        rows = connection.execute(query).all()
    return [
        Unsettled(
            row.recovery_id,
            Action(
                kind=ActionKind(row.action),
                subject=row.subject,
                reason=row.reason,
                problem_since=row.problem_since,
                attempt=row.attempt,
                details=row.state_before,
            ),
            row.claimed_at,
            row.state == "done",
        )
        for row in rows
        # A later version may have known others.
        if row.action in set(ActionKind)
    ]


def read_tries(database: Database, *, now: dt.datetime) -> dict[tuple[str, str], int]:
    """How often each action was tried in vain of late, by action and subject."""
    table = queue_recovery
    frame = database.read(
        sa.select(table.c.action, table.c.subject, sa.func.count().label("tries"))
        .where(table.c.state.in_(IN_VAIN), table.c.claimed_at > now - TRIES_KEPT)
        .group_by(table.c.action, table.c.subject)
    )
    return {(row["action"], row["subject"]): int(row["tries"]) for row in frame.to_dict("records")}


def read_history(database: Database, *, now: dt.datetime) -> dict[str, JobHistory]:
    """How long the successful runs of each job have taken."""
    table = run_outcomes
    time_s = sa.extract("epoch", table.c.ended_at - table.c.started_at)
    frame = database.read(
        sa.select(
            table.c.job_name,
            sa.func.count().label("runs_count"),
            sa.cast(sa.func.percentile_cont(0.99).within_group(time_s), sa.Double).label("p99_s"),
        )
        .where(
            table.c.status == "success",
            table.c.started_at.is_not(None),
            table.c.ended_at > now - dt.timedelta(days=bounds.HISTORY_DAYS),
        )
        .group_by(table.c.job_name)
    )
    return {
        row["job_name"]: JobHistory(int(row["runs_count"]), max(0.0, float(row["p99_s"])))
        for row in frame.to_dict("records")
    }


def read_repair_times(database: Database, *, since: dt.datetime) -> Sequence[RepairTime]:
    """How long problems lasted, by what was done about them."""
    table = queue_recovery
    frame = database.read(
        sa.select(
            table.c.action,
            sa.func.count().label("actions_count"),
            sa.func.count(table.c.repair_s).label("worked_count"),
            sa.cast(sa.func.percentile_cont(0.5).within_group(table.c.repair_s), sa.Double).label("median_s"),
        )
        .where(table.c.claimed_at > since)
        .group_by(table.c.action)
        .order_by(table.c.action)
    )
    return [
        RepairTime(
            row["action"],
            int(row["actions_count"]),
            int(row["worked_count"]),
            None if row["median_s"] != row["median_s"] else float(row["median_s"]),
        )
        for row in frame.to_dict("records")
    ]
