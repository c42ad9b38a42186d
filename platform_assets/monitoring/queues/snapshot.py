"""How queues, runs, processes and schedules stand at one moment, read for the plan of recovery.

What follows from it is `recovery.py`'s to say.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Collection, Mapping, Sequence

import dagster as dg
import psutil
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.queues.ledger import read_history, read_tries, read_unsettled
from platform_assets.monitoring.queues.model import Process, Run, Ticker, Timetable, seconds_between
from platform_assets.monitoring.queues.queue_metrics import leaked_slots
from platform_assets.monitoring.queues.reading import (
    is_daemon_up,
    latest_due,
    next_due,
    read_ended_runs,
    read_pools,
    read_runs,
    read_tickers,
    read_unfinished_runs,
)
from platform_assets.monitoring.queues.recovery import (
    LeakedSlot,
    SeenRun,
    SeenSchedule,
    Snapshot,
    Zombie,
    stuck_after_s,
)
from platform_assets.monitoring.queues.ticks import Window, judge_schedule
from platform_assets.monitoring.runs.dead_runs import find_dead_runs
from platform_assets.monitoring.runs.heartbeats import Heartbeat, read_heartbeats

ZOMBIES_SINCE = dt.timedelta(hours=6)
"""Runs that ended within this time are looked at for a process that goes on."""

SENSOR_LOOK_BACK = dt.timedelta(minutes=15)


def take_snapshot(
    instance: dg.DagsterInstance,
    database: Database,
    timetable: Timetable,
    *,
    own_run_id: str | None,
    now: dt.datetime,
) -> Snapshot:
    """Read how everything stands.

    Args:
        instance: Where runs, slots and ticks are recorded.
        database: Where heartbeats, outcomes and the account of recovery are.
        timetable: The code's schedules and sensors.
        own_run_id: The run that looks, if it is one.
        now: The present moment.
    """
    unfinished = read_unfinished_runs(instance)
    history = read_history(database, now=now)
    notes = {
        dead.run_id: dead.reason
        for dead in find_dead_runs(instance, database, now=now, watched_since=_up_since(database))
    }
    heartbeats = read_heartbeats(database, [run.run_id for run in unfinished])
    is_watching = is_daemon_up(instance, now=now)
    tickers = _read_tickers(instance, timetable, now) if is_watching else []
    return Snapshot(
        own_run_id=own_run_id,
        runs=[
            SeenRun(
                run=run,
                process=_process(run, notes, heartbeats),
                process_note=notes.get(run.run_id, ""),
                last_event_at=_last_event_at(instance, run)
                if _is_overdue(run, stuck_after_s(history.get(run.job_name)), now)
                else None,
                wanted_queue=timetable.queues.get(run.job_name) or _queue_of_pools(run),
            )
            for run in unfinished
        ],
        zombies=_find_zombies(instance, database, heartbeats, now),
        leaked=_find_leaked(instance, unfinished, now),
        schedules=_find_outstanding(instance, timetable, tickers, now),
        history=history,
        serialized_jobs=timetable.serialized_jobs,
        silent_since=_silent_since(tickers),
        being_handled={each.action.subject for each in read_unsettled(database)},
        tries=read_tries(database, now=now),
    )


def _up_since(database: Database) -> dt.datetime:
    # While Postgres was away nobody could give a sign of life.
    [moment] = database.read(sa.text("SELECT pg_postmaster_start_time() AS moment"))["moment"]
    return moment.to_pydatetime()  # type: ignore[no-any-return]


def _process(run: Run, notes: Mapping[str, str], heartbeats: Mapping[str, Heartbeat]) -> Process:
    if run.run_id in notes:
        return Process.GONE
    return Process.ALIVE if run.run_id in heartbeats else Process.UNKNOWN


def _is_overdue(run: Run, limit_s: float, now: dt.datetime) -> bool:
    return run.status == "started" and seconds_between(run.started_at or run.created_at, now) > limit_s


def _last_event_at(instance: dg.DagsterInstance, run: Run) -> dt.datetime | None:
    records = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return dt.datetime.fromtimestamp(records[0].timestamp, tz=dt.UTC) if records else None


def _queue_of_pools(run: Run) -> str | None:
    # A run over several queues' assets belongs to none of them.
    return next(iter(run.pools)) if len(run.pools) == 1 else None


def _find_zombies(
    instance: dg.DagsterInstance,
    database: Database,
    unfinished: Mapping[str, Heartbeat],
    now: dt.datetime,
) -> list[Zombie]:
    """Processes that were launched for one run alone, which has ended, and that go on."""
    ended = {
        run.run_id: run for run in read_ended_runs(instance, since=now - ZOMBIES_SINCE) if run.is_launched
    }
    at_work = {heartbeat.process for heartbeat in unfinished.values()}
    mine = own_processes()
    return [
        Zombie(ended[run_id], heartbeat.process.pid)
        for run_id, heartbeat in sorted(read_heartbeats(database, sorted(ended)).items())
        if heartbeat.process not in at_work
        and heartbeat.process.is_local
        and heartbeat.process.pid not in mine
        and heartbeat.process.is_alive
    ]


def own_processes() -> frozenset[int]:
    """This process and those that it was started by: whatever else is ended, these are not."""
    return frozenset({os.getpid(), *(parent.pid for parent in psutil.Process().parents())})


def _find_leaked(
    instance: dg.DagsterInstance, unfinished: Sequence[Run], now: dt.datetime
) -> list[LeakedSlot]:
    claimed = [slot for pool in read_pools(instance, ()).values() for slot in pool.claimed]
    leaked = leaked_slots(claimed, {run.run_id for run in unfinished if run.is_running})
    holders = read_runs(instance, {slot.run_id for slot in leaked})
    return [LeakedSlot(slot, _held_in_vain_since(holders.get(slot.run_id), now)) for slot in leaked]


def _held_in_vain_since(holder: Run | None, now: dt.datetime) -> dt.datetime:
    # Of a run that was deleted nobody knows when it ended: long ago, since deleting takes a while to come.
    return (holder.ended_at or holder.updated_at) if holder else now - dt.timedelta(days=1)


def _read_tickers(instance: dg.DagsterInstance, timetable: Timetable, now: dt.datetime) -> list[Ticker]:
    return read_tickers(
        instance,
        crons=timetable.crons,
        intervals_s=timetable.intervals_s,
        since={name: latest_due(cron, until=now) for name, cron in timetable.crons.items()},
        earliest=now - SENSOR_LOOK_BACK,
    )


def _find_outstanding(
    instance: dg.DagsterInstance, timetable: Timetable, tickers: Sequence[Ticker], now: dt.datetime
) -> list[SeenSchedule]:
    outstanding = []
    for ticker in tickers:
        if ticker.kind != "schedule":
            continue
        due = latest_due(ticker.cadence, until=now)
        since = judge_schedule(ticker, [due], Window(now, now), now=now).outstanding_since
        if since is None:
            continue
        job_name = timetable.jobs[ticker.name]
        runs = instance.get_run_ids(dg.RunsFilter(job_name=job_name, created_after=since), limit=1)
        outstanding.append(
            SeenSchedule(
                name=ticker.name,
                job_name=job_name,
                outstanding_since=since,
                next_due_at=next_due(ticker.cadence, after=now),
                has_run_since=bool(runs),
            )
        )
    return outstanding


def _silent_since(tickers: Collection[Ticker]) -> dt.datetime | None:
    """When the last sensor was evaluated well; None when there is none to tell by."""
    sensors = [ticker for ticker in tickers if ticker.kind == "sensor" and ticker.is_on]
    return max((tick.at for sensor in sensors for tick in sensor.ticks if tick.state == "good"), default=None)
