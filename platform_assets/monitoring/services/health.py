"""From looks to states: what a look comes to, and how a service stands by its latest looks, with hysteresis.

Pure; asking the services is `probes.py`, reading what was recorded `records.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile
from typing import Any

from platform_assets.monitoring.services.probing import Look, Probe
from platform_assets.monitoring_thresholds import (
    BETTER_LOOKS_COUNT,
    LOOK_GAP_MINUTES,
    POOR_ABOVE,
    TRAFFIC_MIN_CALLS_COUNT,
    WORSE_LOOKS_COUNT,
)


class State(StrEnum):
    """How a service stands."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    OFF = "off"
    UNKNOWN = "unknown"


LEVEL_OF_LOOK = {Look.OK: 0, Look.POOR: 1, Look.FAILED: 2}
STATE_OF_LEVEL = (State.HEALTHY, State.DEGRADED, State.DOWN)
STATE_OF_LOOK = {Look.OFF: State.OFF, Look.UNKNOWN: State.UNKNOWN}

LEVEL_OF_STATE = {state: level for level, state in enumerate(STATE_OF_LEVEL)}


@dataclass(frozen=True)
class PastLook:
    """An earlier look at a service, and how it stood by then."""

    measured_at: dt.datetime
    look: Look
    state: State
    state_since: dt.datetime


@dataclass(frozen=True)
class Traffic:
    """The platform's own calls of a service.

    Attributes:
        calls_count: Those of the last hour.
        failed_count: Of these, without a usable answer.
        latency_p95_ms: 95th percentile of their time; None without any.
        recent_count: Calls of the last `TRAFFIC_WINDOW_MINUTES`.
        recent_failed_count: Of these, without a usable answer.
    """

    calls_count: int = 0
    failed_count: int = 0
    latency_p95_ms: float | None = None
    recent_count: int = 0
    recent_failed_count: int = 0


@dataclass(frozen=True)
class Standing:
    """How a service stands, and since when."""

    state: State
    since: dt.datetime


def judge(probe: Probe, traffic: Traffic | None) -> Probe:
    """The look with what its numbers and real calls add: one that answers, but beyond a bound, is a poor one."""
    if probe.look is not Look.OK:
        return probe
    numbers = {**probe.details, "latency_ms": probe.latency_ms}
    if traffic is not None and traffic.recent_count >= TRAFFIC_MIN_CALLS_COUNT:
        numbers["failed_calls_ratio"] = traffic.recent_failed_count / traffic.recent_count
    broken = [
        f"{name} is {numbers[name]:.3g}, above {threshold.bound:g}"
        for name, threshold in POOR_ABOVE.items()
        if numbers.get(name) is not None and not threshold.holds(numbers[name])
    ]
    if not broken:
        return probe
    return replace(probe, look=Look.POOR, message=f"{probe.message}; but {', '.join(broken)}")


def next_level(level: int, looks: Sequence[int]) -> tuple[int, int]:
    """Where a service stands after its latest looks.

    It moves only when enough looks in a row all speak for the same direction, and then no further than all of them say.

    Args:
        level: Where it stood: 0 healthy, 1 degraded, 2 down.
        looks: Levels of its looks in a row, oldest first, the latest included.

    Returns:
        The level, and how many of the latest looks moved it there; 0 when it did not move.
    """
    worse, better = looks[-WORSE_LOOKS_COUNT:], looks[-BETTER_LOOKS_COUNT:]
    if len(worse) == WORSE_LOOKS_COUNT and min(worse) > level:
        return min(worse), len(worse)
    if len(better) == BETTER_LOOKS_COUNT and max(better) < level:
        return max(better), len(better)
    return level, 0


def stand(past: Sequence[PastLook], look: Look, *, now: dt.datetime) -> Standing:
    """How a service stands after one more look.

    Args:
        past: Earlier looks, oldest first.
        look: The latest.
        now: When that was.

    Returns:
        The state, and the first of the looks in a row that speak for it. With nothing known before, because the service
        was off or was not looked at for long, the one look decides.
    """
    in_row = _without_gap(past, now)
    if look in STATE_OF_LOOK:
        is_same = bool(in_row) and in_row[-1].look is look
        return Standing(STATE_OF_LOOK[look], in_row[-1].state_since if is_same else now)
    known = list(takewhile(lambda one: one.look in LEVEL_OF_LOOK, reversed(in_row)))[::-1]
    if not known:
        return Standing(STATE_OF_LEVEL[LEVEL_OF_LOOK[look]], now)
    last = known[-1]
    levels = [*(LEVEL_OF_LOOK[one.look] for one in known), LEVEL_OF_LOOK[look]]
    level, looks_count = next_level(LEVEL_OF_STATE[last.state], levels)
    if not looks_count:
        return Standing(last.state, last.state_since)
    times = [*(one.measured_at for one in known), now]
    return Standing(STATE_OF_LEVEL[level], times[-looks_count])


def _without_gap(past: Sequence[PastLook], now: dt.datetime) -> list[PastLook]:
    """The latest looks that follow each other closely enough, oldest first."""
    in_row: list[PastLook] = []
    later = now
    for one in reversed(past):
        if later - one.measured_at > dt.timedelta(minutes=LOOK_GAP_MINUTES):
            break
        in_row.append(one)
        later = one.measured_at
    return in_row[::-1]


def error_ratio(past: Sequence[PastLook], look: Look, traffic: Traffic | None) -> float | None:
    """Share of failed looks and calls; None when there was neither.

    Args:
        past: Looks of the last hour.
        look: The latest.
        traffic: Calls of the last hour; None where no record of them is kept.
    """
    looks = [one.look for one in past if one.look in LEVEL_OF_LOOK] + [look] * (look in LEVEL_OF_LOOK)
    total = len(looks) + (traffic.calls_count if traffic else 0)
    failed = looks.count(Look.FAILED) + (traffic.failed_count if traffic else 0)
    return failed / total if total else None


def health_rows(
    probes: Sequence[Probe],
    past: Mapping[str, Sequence[PastLook]],
    traffic: Mapping[str, Traffic],
    *,
    now: dt.datetime,
) -> list[dict[str, Any]]:
    """Rows of `monitoring.service_health_metrics`, one per service.

    Args:
        probes: The latest looks.
        past: Service → its looks of the last hour, oldest first.
        traffic: Service → its calls, where a record of them is kept.
        now: When it was looked.
    """
    rows = []
    for probe in probes:
        calls = traffic.get(probe.service)
        judged, before = judge(probe, calls), past.get(probe.service, ())
        standing = stand(before, judged.look, now=now)
        rows.append(
            {
                "measured_at": now,
                "service": probe.service,
                "look": judged.look.value,
                "state": standing.state.value,
                "state_since": standing.since,
                "latency_ms": judged.latency_ms,
                "error_ratio": error_ratio(before, judged.look, calls),
                "calls_count": calls.calls_count if calls else None,
                "failed_calls_count": calls.failed_count if calls else None,
                "calls_latency_p95_ms": calls.latency_p95_ms if calls else None,
                "message": judged.message,
                "details": dict(judged.details),
            }
        )
    return rows
