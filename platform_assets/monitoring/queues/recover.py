"""One round of recovery: settle what was done before, look, plan, act within the cap, and account for all of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.queues import ledger
from platform_assets.monitoring.queues.acting import Recoverer
from platform_assets.monitoring.queues.ledger import Unsettled
from platform_assets.monitoring.queues.model import Timetable
from platform_assets.monitoring.queues.recovery import (
    Action,
    Left,
    left_alone,
    plan_recovery,
    within_cap,
)
from platform_assets.monitoring.queues.snapshot import take_snapshot
from platform_assets.settings import RecoveryMode

LOCK = "platform_assets/queue_recovery"
"""Name of the advisory lock that a round holds."""


@dataclass(frozen=True)
class Outcome:
    """What became of one action.

    Attributes:
        action: The action.
        state: `planned` in a dry run, otherwise that of its row.
        error: Why it could not be carried out; None when it was.
    """

    action: Action
    state: str
    error: str | None = None


@dataclass(frozen=True)
class Round:
    """What one round came to.

    Attributes:
        settled: Earlier actions that were looked at again.
        taken: Actions of this round; in a dry run those that would have been taken.
        left: What is wrong and was left alone: handled already, tried in vain, or beyond the cap.
        skipped_because: Why nothing was looked at; None when it was.
    """

    settled: Sequence[Outcome] = ()
    taken: Sequence[Outcome] = ()
    left: Sequence[Left] = ()
    skipped_because: str | None = None


def recover(
    instance: dg.DagsterInstance,
    database: Database,
    timetable: Timetable,
    *,
    mode: RecoveryMode,
    own_run_id: str | None,
    now: dt.datetime,
) -> Round:
    """Look for stuck work and free it.

    Args:
        instance: The Dagster instance.
        database: The platform's database.
        timetable: The code's schedules and sensors.
        mode: `dry-run` changes nothing, `off` does not even look.
        own_run_id: The run that does this, if it is one; it is left alone.
        now: The present moment.
    """
    if mode == "off":
        return Round(skipped_because="recovery is switched off (PLATFORM_RECOVERY)")
    with database.transaction() as lock:
        # Held to the end: of two rounds at once the second would only see half of what the first does.
        if not lock.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(LOCK, 0)))):
            return Round(skipped_because="another round is at work")
        recoverer = Recoverer(instance, database, now=now)
        is_dry = mode == "dry-run"
        settled = [] if is_dry else _settle(recoverer, database, now=now)
        snapshot = take_snapshot(instance, database, timetable, own_run_id=own_run_id, now=now)
        chosen, later = within_cap(plan_recovery(snapshot, now))
        left = [*left_alone(snapshot, now), *later]
        if is_dry:
            return Round(taken=[Outcome(action, "planned") for action in chosen], left=left)
        taken = [_take(recoverer, database, action, now=now) for action in chosen]
        return Round(settled, [outcome for outcome in taken if outcome is not None], left)


def _settle(recoverer: Recoverer, database: Database, *, now: dt.datetime) -> list[Outcome]:
    return [_look_again(recoverer, database, each, now=now) for each in ledger.read_unsettled(database)]


def _look_again(
    recoverer: Recoverer, database: Database, unsettled: Unsettled, *, now: dt.datetime
) -> Outcome:
    seen = recoverer.observe(unsettled.action, recovery_id=unsettled.recovery_id)
    state = ledger.settle(database, unsettled, is_repaired=seen.is_repaired, state_after=seen.state, now=now)
    return Outcome(unsettled.action, state)


def _take(recoverer: Recoverer, database: Database, action: Action, *, now: dt.datetime) -> Outcome | None:
    before = recoverer.observe(action)
    if before.is_repaired:
        return None  # it has mended itself since the snapshot
    recovery_id = ledger.claim(database, action, state_before=before.state, now=now)
    if recovery_id is None:
        return None
    try:
        recoverer.act(action)
    except Exception as error:
        # One thing that can't be mended keeps nothing else from it; the row and its check tell.
        return Outcome(action, "failed", ledger.note_failed(database, recovery_id, error, now=now))
    ledger.note_done(database, recovery_id)
    return _look_again(recoverer, database, Unsettled(recovery_id, action, now, is_done=True), now=now)
