"""What is read of Dagster about queues: runs, pools, ticks. Plain values, so that all that judges them is pure.

How they are read is `reading.py`'s business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

QUEUES = ("ai_services", "matching", "payments", "monitoring", "communications")
"""The queues of the timetable."""

GRPC_INFO_TAG = ".dagster/grpc_info"
"""Dagster's own tag of a run that a code server carries out."""


class Process(StrEnum):
    """What is known of the process that carries out a run."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"
    """It has left no sign yet, or runs on another machine."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as Dagster has it.

    Attributes:
        run_id: Dagster's id.
        job_name: The job.
        status: Dagster's status in small letters, such as `queued` or `started`.
        queue: The queue of its tag; None without one.
        pools: Pools that its steps belong to.
        schedule: The schedule that asked for it; None for any other run.
        tags: All of its tags.
        created_at: When it was created, which is when its wait began (UTC).
        started_at: When it began (UTC); None when it has not.
        ended_at: When it ended (UTC); None when it has not.
        updated_at: When Dagster last wrote of it (UTC).
    """

    run_id: str
    job_name: str
    status: str
    queue: str | None = None
    pools: frozenset[str] = frozenset()
    schedule: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: dt.datetime
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    updated_at: dt.datetime

    @property
    def is_queued(self) -> bool:
        """Whether it waits."""
        return self.status == "queued"

    @property
    def is_running(self) -> bool:
        """Whether it takes up a slot."""
        return self.status in ("starting", "started", "canceling")

    @property
    def is_launched(self) -> bool:
        """Whether Dagster started a process for it alone; a run in a user's own process is the user's to end."""
        return GRPC_INFO_TAG in self.tags

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come of it."""
        return self.status in ("success", "failure", "canceled")


@dataclass(frozen=True)
class Slot:
    """A slot of a pool that a step has taken."""

    pool: str
    run_id: str
    step: str


@dataclass(frozen=True)
class Pool:
    """A pool of Dagster.

    Attributes:
        name: Its name, which is the queue's.
        limit: How much it admits at once; None without a limit.
        claimed: Slots that steps have taken; none where runs are admitted as a whole.
        waiting_steps_count: Steps that wait for a slot.
    """

    name: str
    limit: int | None
    claimed: tuple[Slot, ...] = ()
    waiting_steps_count: int = 0


@dataclass(frozen=True)
class Tick:
    """One evaluation of a schedule or sensor.

    Attributes:
        at: When it was due (schedule) or began (sensor), UTC.
        state: `good` (a skipped tick is good), `failed`, or `started`.
        ended_at: When it was done (UTC); None when it is not, or not known.
    """

    at: dt.datetime
    state: Literal["good", "failed", "started"]
    ended_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Ticker:
    """A schedule or sensor as the daemon knows it.

    Attributes:
        kind: Which of the two.
        name: Its name.
        is_on: Whether it is switched on.
        cadence: Cron expression (UTC) of a schedule; least interval of a sensor, in seconds.
        on_since: When the daemon first saw it switched on (UTC); None when that is not kept.
        evaluated_through: Up to here the daemon holds every due tick of a schedule for done (UTC); None before the first.
        ticks: Its latest ticks, earliest first.
        error: What its latest tick said when it failed; None when it did not.
    """

    kind: Literal["schedule", "sensor"]
    name: str
    is_on: bool
    cadence: str
    on_since: dt.datetime | None = None
    evaluated_through: dt.datetime | None = None
    ticks: tuple[Tick, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Timetable:
    """What is judged here of the code's schedules and sensors.

    Attributes:
        crons: Cron expression (UTC) of each schedule.
        jobs: Job of each schedule.
        queues: Queue of each job.
        serialized_jobs: Jobs of which every tick counts.
        intervals_s: Least interval of each sensor, in seconds.
    """

    crons: Mapping[str, str]
    jobs: Mapping[str, str]
    queues: Mapping[str, str]
    serialized_jobs: frozenset[str]
    intervals_s: Mapping[str, float]


def seconds_between(earlier: dt.datetime, later: dt.datetime) -> float:
    """Seconds from one moment to another, never below 0: clocks are set back."""
    return max(0.0, (later - earlier).total_seconds())
