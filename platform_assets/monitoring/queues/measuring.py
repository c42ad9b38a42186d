"""Measures what became of every schedule's and sensor's ticks since they were last looked at."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.monitoring.queues.model import Ticker, Timetable
from platform_assets.monitoring.queues.reading import due_times, is_daemon_up, latest_due, read_tickers
from platform_assets.monitoring.queues.tick_alerts import read_last_looks
from platform_assets.monitoring.queues.ticks import (
    FIRST_WINDOW,
    GRACE,
    LONGEST_WINDOW,
    LastLook,
    TickMetrics,
    judge_schedule,
    judge_sensor,
    window_of,
)

SENSOR_LOOK_BACK = dt.timedelta(minutes=15)
"""Before the window: a gap that reaches into it may have begun earlier."""


def measure_ticks(
    instance: dg.DagsterInstance, database: Database, timetable: Timetable, *, now: dt.datetime
) -> list[TickMetrics]:
    """Judge the ticks of what the daemon has seen; nothing while the daemon is down, which is told elsewhere.

    Args:
        instance: Where ticks are recorded.
        database: Where the measurements are, of which the last says from when on to count.
        timetable: The code's schedules and sensors.
        now: The present moment.
    """
    if not is_daemon_up(instance, now=now):
        return []
    last = read_last_looks(database, now=now)
    end = now - GRACE
    since = {
        name: min(_counted_through(last.get(name), end), latest_due(cron, until=end))
        for name, cron in timetable.crons.items()
    } | {name: _counted_through(last.get(name), end) - SENSOR_LOOK_BACK for name in timetable.intervals_s}
    tickers = read_tickers(
        instance,
        crons=timetable.crons,
        intervals_s=timetable.intervals_s,
        since=since,
        earliest=end - FIRST_WINDOW,
    )
    return [_judge(ticker, last.get(ticker.name), now=now) for ticker in tickers]


def _counted_through(last: LastLook | None, end: dt.datetime) -> dt.datetime:
    return max(last.window_ended_at, end - LONGEST_WINDOW) if last else end - FIRST_WINDOW


def _judge(ticker: Ticker, last: LastLook | None, *, now: dt.datetime) -> TickMetrics:
    window = window_of(ticker, last, now=now)
    if ticker.kind == "sensor":
        return judge_sensor(ticker, window, now=now)
    due = due_times(ticker.cadence, after=window.start, until=window.end)
    return judge_schedule(ticker, due or [latest_due(ticker.cadence, until=window.end)], window, now=now)
