"""Which ticks of a schedule or sensor were due, and which of them were missed, late or failed. Pure.

The due times of a cron expression come from Dagster's own reader of it, see `reading.py`; queues are `queue_metrics.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from platform_assets.monitoring.queues.model import Tick, Ticker, seconds_between

GRACE = dt.timedelta(seconds=90)
"""A tick is looked for this long after it was due: the daemon looks at schedules once a second, but has to launch, too."""

FIRST_WINDOW = dt.timedelta(hours=1)
LONGEST_WINDOW = dt.timedelta(days=1)
"""A platform that nobody looked at for longer is judged by its last day."""

LATE_S = 60.0
"""A tick of a schedule that was done this long after it was due was late."""

BROKEN_OFF_S = 120.0
"""A tick that has not ended by then never will: Dagster breaks evaluations off after a minute."""

SENSOR_LATE_INTERVALS = 2.0
SENSOR_MISSED_INTERVALS = 3.0
SENSOR_LEAST_GAP_S = 60.0
"""A sensor's interval is the least one: evaluating others comes on top. Gaps below a minute are never missed ticks."""


@dataclass(frozen=True)
class Window:
    """The time over which ticks are counted: after `start`, up to `end`."""

    start: dt.datetime
    end: dt.datetime

    def holds(self, moment: dt.datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start < moment <= self.end


@dataclass(frozen=True)
class LastLook:
    """What is kept of the measurement before.

    Attributes:
        measured_at: When it was (UTC).
        window_ended_at: Up to where ticks were counted (UTC).
        cadence: The cadence then.
    """

    measured_at: dt.datetime
    window_ended_at: dt.datetime
    cadence: str


@dataclass(frozen=True)
class TickMetrics:
    """One row of `monitoring.tick_metrics`, without its time; see there for the columns."""

    kind: str
    name: str
    is_on: bool
    cadence: str
    window_started_at: dt.datetime
    window_ended_at: dt.datetime
    expected_count: int
    missed_count: int
    late_count: int
    failed_count: int
    lag_s: float | None
    last_good_at: dt.datetime | None
    outstanding_since: dt.datetime | None
    error: str | None


def window_of(ticker: Ticker, last: LastLook | None, *, now: dt.datetime) -> Window:
    """The window of a measurement: from where the one before ended, so that counts can be added up.

    It is empty when the clock was set back, and when the cadence has changed: the ticks of another cadence were never due.
    """
    end = now - GRACE
    if last is None:
        start = end - FIRST_WINDOW
    elif last.cadence != ticker.cadence:
        start = end
    else:
        start = last.window_ended_at
    starts = [start, end - LONGEST_WINDOW, *([ticker.on_since] if ticker.on_since else [])]
    return Window(min(max(starts), end), end)


def judge_schedule(
    ticker: Ticker, due: Sequence[dt.datetime], window: Window, *, now: dt.datetime
) -> TickMetrics:
    """Judge the ticks of a schedule.

    Args:
        ticker: The schedule, with its ticks from the earliest of `due` on.
        due: When ticks were due, in order: those in the window, and the latest one before its end, wherever that lies.
        window: Over which ticks are counted.
        now: The present moment.
    """
    # A tick is known by the very moment for which it was due.
    done = {tick.at: tick for tick in ticker.ticks}
    expected = [at for at in due if window.holds(at)] if ticker.is_on else []
    found = [done[at] for at in expected if at in done]
    good = [tick.at for tick in ticker.ticks if tick.state == "good"]
    outstanding = _outstanding_schedule(ticker, due, done, window, now)
    latest = ticker.ticks[-1] if ticker.ticks else None
    lag_s = seconds_between(latest.at, latest.ended_at) if latest and latest.ended_at else None
    return TickMetrics(
        kind=ticker.kind,
        name=ticker.name,
        is_on=ticker.is_on,
        cadence=ticker.cadence,
        window_started_at=window.start,
        window_ended_at=window.end,
        expected_count=len(expected),
        missed_count=len(expected) - len(found),
        late_count=sum(_lateness_s(tick, now) > LATE_S for tick in found),
        failed_count=sum(_has_failed(tick, now) for tick in found),
        lag_s=seconds_between(outstanding, now) if outstanding else lag_s,
        last_good_at=good[-1] if good else None,
        outstanding_since=outstanding,
        error=ticker.error,
    )


def _outstanding_schedule(
    ticker: Ticker,
    due: Sequence[dt.datetime],
    done: dict[dt.datetime, Tick],
    window: Window,
    now: dt.datetime,
) -> dt.datetime | None:
    """When the latest tick was due, if it is missed or has failed and no later one was good."""
    latest = max((at for at in due if at <= window.end), default=None)
    if latest is None or not ticker.is_on or (ticker.on_since and latest <= ticker.on_since):
        return None
    if any(tick.at >= latest and tick.state == "good" for tick in ticker.ticks):
        return None
    tick = done.get(latest)
    if tick is None:
        # Dagster never looks back behind what it has evaluated: with a changed cadence nothing was due there.
        return None if ticker.evaluated_through and ticker.evaluated_through >= latest else latest
    return latest if _has_failed(tick, now) else None


def judge_sensor(ticker: Ticker, window: Window, *, now: dt.datetime) -> TickMetrics:
    """Judge the ticks of a sensor: it has missed those that would have fit into a gap which is too long.

    Args:
        ticker: The sensor, with its ticks from some time before the window on.
        window: Over which ticks are counted.
        now: The present moment.
    """
    interval_s = float(ticker.cadence)
    allowed_s = max(SENSOR_MISSED_INTERVALS * interval_s, interval_s + SENSOR_LEAST_GAP_S)
    times = [tick.at for tick in ticker.ticks]
    in_window = [tick for tick in ticker.ticks if window.holds(tick.at)]
    ends = [*times, now] if ticker.is_on else times
    gaps = [(a, b) for a, b in pairwise(ends) if seconds_between(a, b) > allowed_s]
    missed = sum(window.holds(at) for gap in gaps for at in _would_have_been(*gap, interval_s))
    late = sum(
        window.holds(b) and SENSOR_LATE_INTERVALS * interval_s < seconds_between(a, b) <= allowed_s
        for a, b in pairwise(times)
    )
    good = [tick.at for tick in ticker.ticks if tick.state == "good"]
    latest = ticker.ticks[-1] if ticker.ticks else None
    outstanding = None
    if ticker.is_on and latest is not None:
        if _has_failed(latest, now):
            outstanding = latest.at
        elif seconds_between(latest.at, now) > allowed_s:
            outstanding = latest.at + dt.timedelta(seconds=interval_s)
    return TickMetrics(
        kind=ticker.kind,
        name=ticker.name,
        is_on=ticker.is_on,
        cadence=ticker.cadence,
        window_started_at=window.start,
        window_ended_at=window.end,
        expected_count=len(in_window) + missed,
        missed_count=missed,
        late_count=late,
        failed_count=sum(_has_failed(tick, now) for tick in in_window),
        lag_s=max(0.0, seconds_between(latest.at, now) - interval_s) if latest and ticker.is_on else None,
        last_good_at=good[-1] if good else None,
        outstanding_since=outstanding,
        error=ticker.error,
    )


def _would_have_been(start: dt.datetime, end: dt.datetime, interval_s: float) -> Iterator[dt.datetime]:
    count = int(seconds_between(start, end) // interval_s)
    return (start + dt.timedelta(seconds=interval_s * number) for number in range(1, count))


def _has_failed(tick: Tick, now: dt.datetime) -> bool:
    return tick.state == "failed" or (
        tick.state == "started" and seconds_between(tick.at, now) > BROKEN_OFF_S
    )


def _lateness_s(tick: Tick, now: dt.datetime) -> float:
    return seconds_between(tick.at, tick.ended_at or now)
