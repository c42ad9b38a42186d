"""How each queue does, from the runs and the pool it has: sizes, waits, run times, utilization. Pure.

Ticks of schedules are `ticks.py`'s business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from platform_assets.monitoring.queues.model import QUEUES, Pool, Run, Slot, seconds_between


@dataclass(frozen=True)
class QueueMetrics:
    """One row of `monitoring.task_queue_metrics`, without its time; see there for the columns."""

    queue: str
    window_s: int
    queued_count: int
    running_count: int
    oldest_queued_age_s: float | None
    ended_count: int
    failed_count: int
    failure_ratio: float | None
    throughput_per_hour: float
    run_time_p50_s: float | None
    run_time_p95_s: float | None
    wait_p95_s: float | None
    utilization_ratio: float | None
    drain_s: float | None
    slots_limit: int | None
    slots_taken_count: int
    slots_waiting_count: int
    slots_leaked_count: int


def measure_queues(
    unfinished: Sequence[Run],
    ended: Sequence[Run],
    pools: Mapping[str, Pool],
    *,
    now: dt.datetime,
    window: dt.timedelta,
) -> list[QueueMetrics]:
    """Measure every queue of the timetable, and every other one that a run names.

    Args:
        unfinished: Every run that has not ended.
        ended: Every run that ended within the window.
        pools: Pools by name.
        now: The present moment.
        window: How far back to look.
    """
    others = {run.queue for run in (*unfinished, *ended) if run.queue is not None} - set(QUEUES)
    slots = [slot for pool in pools.values() for slot in pool.claimed]
    leaked = leaked_slots(slots, {run.run_id for run in unfinished if run.is_running})
    return [
        _measure(
            queue,
            [run for run in unfinished if run.queue == queue],
            [run for run in ended if run.queue == queue],
            pools.get(queue, Pool(queue, None)),
            # A run may take slots of other queues than its own: the refresh of everything takes one of each.
            [run for run in (*unfinished, *ended) if queue in run.pools],
            sum(slot.pool == queue for slot in leaked),
            now=now,
            window=window,
        )
        for queue in (*QUEUES, *sorted(others))
    ]


def leaked_slots(claimed: Sequence[Slot], running_ids: Collection[str]) -> list[Slot]:
    """Slots that are held for runs which are not going on."""
    return [slot for slot in claimed if slot.run_id not in running_ids]


def _measure(
    queue: str,
    unfinished: Sequence[Run],
    ended: Sequence[Run],
    pool: Pool,
    in_pool: Sequence[Run],
    leaked_count: int,
    *,
    now: dt.datetime,
    window: dt.timedelta,
) -> QueueMetrics:
    queued = [run for run in unfinished if run.is_queued]
    run_times = [
        seconds_between(run.started_at, run.ended_at) for run in ended if run.started_at and run.ended_at
    ]
    waits = [seconds_between(run.created_at, run.started_at) for run in ended if run.started_at]
    failed_count = sum(run.status == "failure" for run in ended)
    window_s = window.total_seconds()
    taken_by_runs = sum(run.is_running for run in in_pool)
    waiting_runs = sum(run.is_queued for run in in_pool)
    return QueueMetrics(
        queue=queue,
        window_s=round(window_s),
        queued_count=len(queued),
        running_count=sum(run.is_running for run in unfinished),
        oldest_queued_age_s=max((seconds_between(run.created_at, now) for run in queued), default=None),
        ended_count=len(ended),
        failed_count=failed_count,
        failure_ratio=failed_count / len(ended) if ended else None,
        throughput_per_hour=len(ended) * 3600 / window_s,
        run_time_p50_s=_percentile(run_times, 50),
        run_time_p95_s=_percentile(run_times, 95),
        wait_p95_s=_percentile(waits, 95),
        utilization_ratio=_utilization(in_pool, pool.limit, now, window),
        drain_s=_drain_s(len(queued), run_times, pool.limit),
        slots_limit=pool.limit,
        # Steps claim slots only where steps are what is admitted; otherwise every run that goes on takes one.
        slots_taken_count=len(pool.claimed) or taken_by_runs,
        slots_waiting_count=pool.waiting_steps_count or waiting_runs,
        slots_leaked_count=leaked_count,
    )


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _utilization(
    runs: Sequence[Run], limit: int | None, now: dt.datetime, window: dt.timedelta
) -> float | None:
    if not limit:
        return None
    busy_s = sum(
        seconds_between(max(run.started_at, now - window), min(run.ended_at or now, now))
        for run in runs
        if run.started_at
    )
    return busy_s / (window.total_seconds() * limit)


def _drain_s(queued_count: int, run_times: Sequence[float], limit: int | None) -> float | None:
    if not queued_count:
        return 0.0
    if not run_times or limit == 0:
        return None
    return queued_count * fmean(run_times) / (limit or 1)
