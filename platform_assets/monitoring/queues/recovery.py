"""What is stuck and what is to be done about it: a plan from a snapshot, and whether an action has helped. Pure.

Taking the snapshot is `snapshot.py`'s business, acting `acting.py`'s, keeping account `ledger.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from platform_assets import recovery_thresholds as bounds
from platform_assets.monitoring.queues.model import Process, Run, Slot, seconds_between


class ActionKind(StrEnum):
    """What can be done. In order of urgency: what holds others up comes first."""

    FAIL_ORPHANED_RUN = "fail_orphaned_run"
    """Its process is gone: tell Dagster that it has failed, so that it is run again."""
    END_ZOMBIE_PROCESS = "end_zombie_process"
    """Its run has ended, and it goes on: end it before it writes over the work of a later run."""
    TERMINATE_STUCK_RUN = "terminate_stuck_run"
    """Far beyond its own history and silent: end its process, so that it is run again."""
    FREE_LEAKED_SLOT = "free_leaked_slot"
    """Held for a run that is not going on."""
    PURGE_SUPERSEDED_RUN = "purge_superseded_run"
    """Waits, and a later run of the same job that waits too will do the same work."""
    REROUTE_RUN = "reroute_run"
    """Its queue tag is missing or wrong."""
    HURRY_RUN = "hurry_run"
    """Has waited too long: put before the others."""
    LAUNCH_MISSED = "launch_missed"
    """A schedule's latest tick was missed or has failed, and its next is far: do the work once."""
    RESTART_CODE_LOCATION = "restart_code_location"
    """No sensor is evaluated while the daemon lives: the code server is gone."""


FORCEFUL = frozenset(
    {ActionKind.FAIL_ORPHANED_RUN, ActionKind.END_ZOMBIE_PROCESS, ActionKind.TERMINATE_STUCK_RUN}
)
"""Actions that break something off; fewer of these are taken at once."""


@dataclass(frozen=True)
class JobHistory:
    """How long the successful runs of a job have taken.

    Attributes:
        runs_count: How many there are.
        p99_s: 99th percentile of their time, in seconds.
    """

    runs_count: int
    p99_s: float


@dataclass(frozen=True, kw_only=True)
class SeenRun:
    """An unfinished run with what is known around it.

    Attributes:
        run: The run.
        process: Whether its process is there.
        process_note: What is known of the process, in one sentence.
        last_event_at: When it last wrote an event (UTC); None when that was not looked at.
        wanted_queue: The queue that it belongs to; None when that can't be told.
    """

    run: Run
    process: Process = Process.UNKNOWN
    process_note: str = ""
    last_event_at: dt.datetime | None = None
    wanted_queue: str | None = None


@dataclass(frozen=True)
class Zombie:
    """A process that goes on though its run has ended.

    Attributes:
        run: The run.
        pid: The process, on this machine.
    """

    run: Run
    pid: int


@dataclass(frozen=True, kw_only=True)
class SeenSchedule:
    """A schedule whose latest tick came to nothing.

    Attributes:
        name: Its name.
        job_name: The job that it launches.
        outstanding_since: When the tick was due (UTC).
        next_due_at: When the next one is (UTC).
        has_run_since: Whether a run of the job was created since then, by whomever.
    """

    name: str
    job_name: str
    outstanding_since: dt.datetime
    next_due_at: dt.datetime
    has_run_since: bool


@dataclass(frozen=True)
class LeakedSlot:
    """A slot that is held for a run that is not going on, and since when (UTC)."""

    slot: Slot
    since: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """How queues, runs and schedules stand at one moment.

    Attributes:
        own_run_id: The run that looks, which is never acted upon; None outside of a run.
        runs: Every unfinished run.
        zombies: Processes whose run has ended.
        leaked: Slots that are held for nobody.
        schedules: Schedules whose latest tick came to nothing.
        history: How long runs of a job take, by job.
        serialized_jobs: Jobs of which every tick counts: none of their runs is ever purged.
        silent_since: Since when no sensor has been evaluated though the daemon lives (UTC); None when one has.
        being_handled: Subjects of actions that are not settled yet.
        tries: How often an action was tried of late in vain, by action and subject.
    """

    own_run_id: str | None = None
    runs: Sequence[SeenRun] = ()
    zombies: Sequence[Zombie] = ()
    leaked: Sequence[LeakedSlot] = ()
    schedules: Sequence[SeenSchedule] = ()
    history: Mapping[str, JobHistory] = field(default_factory=dict)
    serialized_jobs: Collection[str] = frozenset()
    silent_since: dt.datetime | None = None
    being_handled: Collection[str] = frozenset()
    tries: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing to do.

    Attributes:
        kind: What.
        subject: To what; there is never more than one action on a subject at a time.
        reason: Why, in one sentence.
        problem_since: Since when the problem has been there (UTC).
        attempt: How often it will have been tried, from 1.
        details: What the action needs: ids and names, as JSON values.
    """

    kind: ActionKind
    subject: str
    reason: str
    problem_since: dt.datetime
    attempt: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Left:
    """Something that is not done now.

    Attributes:
        action: What would be done.
        reason: Why it is not, in one sentence.
    """

    action: Action
    reason: str


def plan_recovery(snapshot: Snapshot, now: dt.datetime) -> list[Action]:
    """Everything that is to be done, most urgent first, with one action for each subject.

    Left alone are the run that looks, what an unsettled action is about, and what has been tried too often in vain.
    """
    planned: dict[str, Action] = {}
    for action in _ordered(snapshot, now):
        if _why_left(action, snapshot) is None:
            planned.setdefault(action.subject, action)
    return list(planned.values())


def left_alone(snapshot: Snapshot, now: dt.datetime) -> list[Left]:
    """What is wrong and not in the plan, most urgent first, with the reason."""
    found = ((action, _why_left(action, snapshot)) for action in _ordered(snapshot, now))
    return [Left(action, reason) for action, reason in found if reason is not None]


def within_cap(plan: Sequence[Action]) -> tuple[list[Action], list[Left]]:
    """Split a plan into what one round does and what is left for the next."""
    now_done: list[Action] = []
    left: list[Left] = []
    forceful_count = 0
    for action in plan:
        is_forceful = action.kind in FORCEFUL
        if len(now_done) >= bounds.RECOVERY_ACTIONS_PER_RUN:
            left.append(Left(action, f"One round does {bounds.RECOVERY_ACTIONS_PER_RUN} things at most."))
        elif is_forceful and forceful_count >= bounds.RECOVERY_FORCEFUL_PER_RUN:
            left.append(
                Left(action, f"One round breaks {bounds.RECOVERY_FORCEFUL_PER_RUN} things off at most.")
            )
        else:
            now_done.append(action)
            forceful_count += is_forceful
    return now_done, left


def _ordered(snapshot: Snapshot, now: dt.datetime) -> list[Action]:
    order = list(ActionKind)
    return [
        replace(
            action,
            problem_since=min(action.problem_since, now),
            attempt=snapshot.tries.get((action.kind.value, action.subject), 0) + 1,
        )
        for action in sorted(
            _candidates(snapshot, now), key=lambda each: (order.index(each.kind), each.problem_since)
        )
    ]


def _why_left(action: Action, snapshot: Snapshot) -> str | None:
    if snapshot.own_run_id is not None and action.subject == _run_subject(snapshot.own_run_id):
        return "It is the run that looks."
    if action.subject in snapshot.being_handled:
        return "Whether an earlier action has helped is not known yet."
    if action.attempt > bounds.RECOVERY_TRIES:
        return f"It was tried {action.attempt - 1} times in a day and did not help: a person has to look."
    return None


def stuck_after_s(history: JobHistory | None) -> float:
    """Seconds after which a run of a job is beyond what its history lets expect."""
    if history is None or history.runs_count < bounds.STUCK_LEAST_SAMPLE:
        return bounds.STUCK_WITHOUT_HISTORY_S
    return max(bounds.STUCK_FLOOR_S, bounds.STUCK_P99_FACTOR * history.p99_s)


def _run_subject(run_id: str) -> str:
    return f"run:{run_id}"


def _candidates(snapshot: Snapshot, now: dt.datetime) -> Iterator[Action]:
    for seen in snapshot.runs:
        yield from _about_run(seen, snapshot.history.get(seen.run.job_name), now)
    yield from _superseded(snapshot, now)
    for zombie in snapshot.zombies:
        ended_at = zombie.run.ended_at or zombie.run.updated_at
        if seconds_between(ended_at, now) > bounds.ZOMBIE_GRACE_S:
            yield Action(
                kind=ActionKind.END_ZOMBIE_PROCESS,
                subject=f"process:{zombie.pid}",
                reason=f"Process {zombie.pid} goes on though its run ended as {zombie.run.status}.",
                problem_since=ended_at,
                details={"run_id": zombie.run.run_id, "pid": zombie.pid},
            )
    for leaked in snapshot.leaked:
        if seconds_between(leaked.since, now) > bounds.LEAKED_SLOT_GRACE_S:
            slot = leaked.slot
            yield Action(
                kind=ActionKind.FREE_LEAKED_SLOT,
                subject=f"slot:{slot.pool}:{slot.run_id}:{slot.step}",
                reason=f"A slot of {slot.pool} is held for a run that is not going on.",
                problem_since=leaked.since,
                details={"pool": slot.pool, "run_id": slot.run_id, "step": slot.step},
            )
    for schedule in snapshot.schedules:
        yield from _missed(schedule, snapshot, now)
    if snapshot.silent_since and seconds_between(snapshot.silent_since, now) > bounds.CODE_LOCATION_SILENT_S:
        yield Action(
            kind=ActionKind.RESTART_CODE_LOCATION,
            subject="code_location",
            reason="No sensor has been evaluated though the daemon lives.",
            problem_since=snapshot.silent_since,
        )


def _about_run(seen: SeenRun, history: JobHistory | None, now: dt.datetime) -> Iterator[Action]:
    run = seen.run
    subject = _run_subject(run.run_id)
    details = {"run_id": run.run_id, "job_name": run.job_name}
    if run.is_running and seen.process is Process.GONE:
        yield Action(
            kind=ActionKind.FAIL_ORPHANED_RUN,
            subject=subject,
            reason=seen.process_note or "Its process is gone.",
            problem_since=run.updated_at,
            details=details,
        )
    elif run.is_running and run.is_launched and (since := _stuck_since(seen, history, now)):
        yield Action(
            kind=ActionKind.TERMINATE_STUCK_RUN,
            subject=subject,
            reason=_why_stuck(run, history),
            problem_since=since,
            details=details,
        )
    if not run.is_queued:
        return
    if seen.wanted_queue is not None and run.queue != seen.wanted_queue:
        yield Action(
            kind=ActionKind.REROUTE_RUN,
            subject=subject,
            reason=f"It is tagged for {run.queue or 'no queue'} and belongs to {seen.wanted_queue}.",
            problem_since=run.created_at,
            details={**details, "queue": seen.wanted_queue},
        )
    limit_s = bounds.QUEUED_TOO_LONG_S
    if seconds_between(run.created_at, now) > limit_s and bounds.HURRIED_TAG not in run.tags:
        yield Action(
            kind=ActionKind.HURRY_RUN,
            subject=subject,
            reason=f"It has waited for more than {limit_s / 60:.0f} minutes.",
            problem_since=run.created_at + dt.timedelta(seconds=limit_s),
            details=details,
        )


def _stuck_since(seen: SeenRun, history: JobHistory | None, now: dt.datetime) -> dt.datetime | None:
    """When a run began to count as stuck: the moment at which both its time and its silence were too long."""
    run = seen.run
    if run.status == "started":
        limit = dt.timedelta(seconds=stuck_after_s(history))
        silence = dt.timedelta(seconds=bounds.STUCK_SILENCE_S)
        # What still writes events goes on, however long it takes: a first load is longer than any refresh.
        last_event_at = seen.last_event_at or run.updated_at
        since = max((run.started_at or run.created_at) + limit, last_event_at + silence)
    else:
        since = run.updated_at + dt.timedelta(seconds=bounds.STUCK_CHANGING_S)
    return since if since < now else None


def _why_stuck(run: Run, history: JobHistory | None) -> str:
    if run.status != "started":
        return f"It has been {run.status} for more than {bounds.STUCK_CHANGING_S / 60:.0f} minutes."
    limit = f"{stuck_after_s(history) / 60:.0f} minutes"
    if history is None or history.runs_count < bounds.STUCK_LEAST_SAMPLE:
        return (
            f"It has been going on for more than {limit} in silence, and too few runs tell how long it takes."
        )
    return (
        f"It has been going on for more than {limit} in silence; of {history.runs_count} runs of this job 99 in 100 "
        f"took at most {history.p99_s:.0f} s."
    )


def _superseded(snapshot: Snapshot, now: dt.datetime) -> Iterator[Action]:
    """Queued runs of which a later one, launched by the same schedule, will do the same work."""
    waiting: defaultdict[tuple[str, str, frozenset[tuple[str, str]]], list[Run]] = defaultdict(list)
    for seen in snapshot.runs:
        run = seen.run
        if run.is_queued and run.schedule is not None and run.job_name not in snapshot.serialized_jobs:
            waiting[run.job_name, run.schedule, _work_of(run)].append(run)
    for runs in waiting.values():
        *older, newest = sorted(runs, key=lambda run: (run.created_at, run.run_id))
        for run in older:
            yield Action(
                kind=ActionKind.PURGE_SUPERSEDED_RUN,
                subject=_run_subject(run.run_id),
                reason=f"Run {newest.run_id[:8]} of the same schedule waits, too, and will do the same work.",
                problem_since=min(newest.created_at, now),
                details={"run_id": run.run_id, "job_name": run.job_name, "superseded_by": newest.run_id},
            )


def _work_of(run: Run) -> frozenset[tuple[str, str]]:
    """The tags that say what a run is to do: its partitions, and what its job's own tags ask for."""
    own = ("dagster/schedule_name", "dagster/run_key", "dagster/priority", "dagster/partition_set")
    return frozenset(
        (name, value)
        for name, value in run.tags.items()
        if not name.startswith(".") and name not in own and not name.startswith("dagster/tick")
    )


def _missed(schedule: SeenSchedule, snapshot: Snapshot, now: dt.datetime) -> Iterator[Action]:
    is_unfinished = any(seen.run.job_name == schedule.job_name for seen in snapshot.runs)
    is_long_ago = seconds_between(schedule.outstanding_since, now) > bounds.MISSED_GRACE_S
    is_next_far = seconds_between(now, schedule.next_due_at) > bounds.MISSED_GRACE_S
    if is_long_ago and is_next_far and not is_unfinished and not schedule.has_run_since:
        yield Action(
            kind=ActionKind.LAUNCH_MISSED,
            subject=f"schedule:{schedule.name}@{schedule.outstanding_since:%Y-%m-%dT%H:%M}Z",
            reason=f"Its tick came to nothing, and the next one is due at {schedule.next_due_at:%Y-%m-%d %H:%M} UTC.",
            problem_since=schedule.outstanding_since,
            details={"schedule": schedule.name, "job_name": schedule.job_name},
        )
