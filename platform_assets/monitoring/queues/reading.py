"""Reads from Dagster what is judged here: runs, pools, schedules and sensors with their ticks.

Only the instance's own interface is used; what it all means is said by the pure modules beside this one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorTick,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickStatus,
)
from dagster._core.storage.tags import SCHEDULE_NAME_TAG
from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

from platform_assets.monitoring.queues.model import Pool, Run, Slot, Tick, Ticker
from platform_assets.monitoring.redaction import redact_text
from platform_assets.monitoring.runs.history import ENDED, QUEUE_TAG

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

DAEMON_SILENT = dt.timedelta(minutes=2)
"""The daemon says every half a minute that each of its parts lives."""

ERROR_CHARS = 500

_TICK_STATES = {
    TickStatus.SUCCESS: "good",
    TickStatus.SKIPPED: "good",
    TickStatus.FAILURE: "failed",
    TickStatus.STARTED: "started",
}


def read_unfinished_runs(instance: dg.DagsterInstance) -> list[Run]:
    """Every run that waits or goes on."""
    return [
        as_run(record)
        for record in instance.get_run_records(dg.RunsFilter(statuses=list(UNFINISHED)), ascending=True)
    ]


def read_ended_runs(instance: dg.DagsterInstance, *, since: dt.datetime) -> list[Run]:
    """Every run that ended after a moment."""
    records = instance.get_run_records(dg.RunsFilter(statuses=list(ENDED), updated_after=since))
    runs = [as_run(record) for record in records]
    return [run for run in runs if (run.ended_at or run.updated_at) > since]


def read_runs(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> dict[str, Run]:
    """Some runs by id; one that Dagster does not know is not in it."""
    ids = sorted(set(run_ids))
    records = instance.get_run_records(dg.RunsFilter(run_ids=ids)) if ids else []
    return {record.dagster_run.run_id: as_run(record) for record in records}


def as_run(record: dg.RunRecord) -> Run:
    """A run as it is judged here."""
    run = record.dagster_run
    concurrency = run.run_op_concurrency
    return Run(
        run_id=run.run_id,
        job_name=run.job_name,
        status=run.status.value.lower(),
        queue=run.tags.get(QUEUE_TAG),
        pools=frozenset((concurrency.all_pools or ()) if concurrency else ()),
        schedule=run.tags.get(SCHEDULE_NAME_TAG),
        tags=run.tags,
        created_at=_utc(record.create_timestamp),
        started_at=_moment(record.start_time),
        ended_at=_moment(record.end_time),
        updated_at=_utc(record.update_timestamp),
    )


def read_pools(instance: dg.DagsterInstance, names: Iterable[str]) -> dict[str, Pool]:
    """Some pools, and every other one that Dagster has slots of; none where its storage (SQLite) knows no pools."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return {}
    pools = {}
    for name in sorted({*names, *storage.get_concurrency_keys()}):
        info = storage.get_concurrency_info(name)
        limit = info.limit if info.limit is not None else instance.global_op_concurrency_default_limit
        pools[name] = Pool(
            name,
            limit,
            tuple(Slot(name, slot.run_id, slot.step_key) for slot in info.claimed_slots),
            sum(step.assigned_timestamp is None for step in info.pending_steps),
        )
    return pools


def is_daemon_up(instance: dg.DagsterInstance, *, now: dt.datetime) -> bool:
    """Whether the daemon that evaluates schedules has lately said that it lives."""
    beat = instance.get_daemon_heartbeats().get("SCHEDULER")
    return beat is not None and now - _moment_of(beat.timestamp) <= DAEMON_SILENT


def due_times(cron: str, *, after: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """When a schedule's ticks are due (cron in UTC), after one moment and up to another."""
    times = cron_string_iterator(after.timestamp(), cron, "UTC")
    return [at for at in takewhile(lambda at: at <= until, times) if at > after]


def latest_due(cron: str, *, until: dt.datetime) -> dt.datetime:
    """When a schedule's latest tick was due."""
    return next(reverse_cron_string_iterator(until.timestamp(), cron, "UTC"))


def next_due(cron: str, *, after: dt.datetime) -> dt.datetime:
    """When a schedule's next tick is due."""
    return next(at for at in cron_string_iterator(after.timestamp(), cron, "UTC") if at > after)


def read_tickers(
    instance: dg.DagsterInstance,
    *,
    crons: Mapping[str, str],
    intervals_s: Mapping[str, float],
    since: Mapping[str, dt.datetime],
    earliest: dt.datetime,
) -> list[Ticker]:
    """The schedules and sensors that the daemon has seen, with their latest ticks.

    Args:
        instance: Where they are recorded.
        crons: Schedules of the code by name, with their cron expression.
        intervals_s: Sensors of the code by name, with their least interval in seconds.
        since: From when on to read the ticks of some of them (UTC).
        earliest: From when on to read the ticks of all others (UTC).
    """
    tickers = []
    for state in instance.all_instigator_state():
        known = crons if state.instigator_type is InstigatorType.SCHEDULE else intervals_s
        # What the code no longer has stays in Dagster's tables.
        if state.name in known:
            after = since.get(state.name, earliest)
            tickers.append(_ticker(instance, state, cadence=str(known[state.name]), after=after))
    return sorted(tickers, key=lambda ticker: (ticker.kind, ticker.name))


def _ticker(
    instance: dg.DagsterInstance, state: InstigatorState, *, cadence: str, after: dt.datetime
) -> Ticker:
    # Dagster takes the bound itself as too early.
    after_s = after.timestamp() - 1
    found = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=after_s)
    ticks = sorted(found, key=lambda tick: tick.timestamp)
    data = state.instigator_data
    on_since_s = through_s = None
    if isinstance(data, ScheduleInstigatorData):
        on_since_s, through_s = data.start_timestamp, data.last_iteration_timestamp
    elif isinstance(data, SensorInstigatorData):
        on_since_s = data.last_sensor_start_timestamp
    return Ticker(
        kind="schedule" if state.instigator_type is InstigatorType.SCHEDULE else "sensor",
        name=state.name,
        is_on=state.is_running,
        cadence=cadence,
        on_since=_moment(on_since_s),
        evaluated_through=_moment(through_s),
        ticks=tuple(
            Tick(_moment_of(tick.timestamp), _TICK_STATES[tick.status], _moment(tick.end_timestamp))  # type: ignore[arg-type]
            for tick in ticks
        ),
        error=_error(ticks),
    )


def _error(ticks: Sequence[InstigatorTick]) -> str | None:
    if not ticks or ticks[-1].status is not TickStatus.FAILURE:
        return None
    error = ticks[-1].tick_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    # Redacted before it is cut: half a secret has no form that is recognized.
    return redact_text(error.message.strip())[:ERROR_CHARS] if error else "no error was recorded"


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _moment_of(timestamp: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp, tz=dt.UTC)


def _moment(timestamp: float | None) -> dt.datetime | None:
    return None if timestamp is None else _moment_of(timestamp)
