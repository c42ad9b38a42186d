"""What somebody should do, by the report's figures: each piece of advice names the figures behind it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from platform_assets.monitoring.performance.reading import Figures
from platform_assets.monitoring_thresholds import NOTIFICATION_SECONDS

LOW_BUDGET_RATIO = 0.25
FAILING_RATIO = 0.1
FAILING_LEAST_RUNS = 3
BUSY_RATIO = 0.7
"""A queue that is busy for longer makes what comes next wait: its delay grows beyond all bounds towards 1."""
FAILED_CALLS_RATIO = 0.05
FAILED_CALLS_LEAST = 20
UNTOUCHED = dt.timedelta(hours=4)
OFTEN_COUNT = 10


@dataclass(frozen=True)
class Advice:
    """Something to do.

    Attributes:
        urgency: `now`, `today` or `soon`.
        text: What to do, in one sentence.
        because: The figures behind it.
    """

    urgency: Literal["now", "today", "soon"]
    text: str
    because: str


def give_advice(figures: Figures) -> list[Advice]:
    """What the figures ask for, the most urgent first."""
    order = {"now": 0, "today": 1, "soon": 2}
    found = [
        *_of_alerts(figures),
        *_of_services(figures),
        *_of_levels(figures),
        *_of_jobs(figures),
        *_of_queues(figures),
        *_of_recoveries(figures),
        *_of_deliveries(figures),
        *_of_calls(figures),
    ]
    return sorted(found, key=lambda advice: order[advice.urgency])


def _of_alerts(figures: Figures) -> Iterator[Advice]:
    alerts = figures.alerts
    serious = alerts[alerts["severity"].isin(["critical", "high"]) & ~alerts["is_acknowledged"].astype(bool)]
    waiting = serious[serious["first_seen_at"] <= figures.until - UNTOUCHED]
    if len(waiting):
        first = waiting.iloc[0]
        yield Advice(
            "now",
            f"Take on alert {first['alert_id']} ({first['title']}): platform-assets alerts ack {first['alert_id']}.",
            f"{len(waiting)} serious alerts have stood for over {_hours(UNTOUCHED)} without anybody on them.",
        )
    for row in _rows(alerts[alerts["occurrences_count"] >= OFTEN_COUNT].head(3)):
        yield Advice(
            "today",
            f"Find the cause of alert {row['alert_id']} ({row['title']}), or change its bound with a reason.",
            f"It has been raised {row['occurrences_count']:,} times since {row['first_seen_at']:%Y-%m-%d %H:%M}.",
        )


def _of_services(figures: Figures) -> Iterator[Advice]:
    for row in _rows(figures.services[figures.services["state"].isin(["down", "degraded"])]):
        yield Advice(
            "now" if row["state"] == "down" else "today",
            f"Look after {row['service']}, which is {row['state']}: {row['message']}",
            f"It has been so since {row['state_since']:%Y-%m-%d %H:%M} UTC.",
        )


def _of_levels(figures: Figures) -> Iterator[Advice]:
    for row in _rows(figures.levels):
        left, bad_count = row["budget_left_ratio"], row["total_count"] - row["good_count"]
        spent = f"{bad_count:,} of {row['total_count']:,} events of 28 days were bad"
        if pd.notna(row["burning_at"]):
            yield Advice(
                "now",
                f"Stop what makes {row['level']} fail: its error budget burns.",
                f"{row['burn_rate_1h']:.1f} times too fast in the last hour; {spent}."
                if pd.notna(row["burn_rate_1h"])
                else f"{spent}.",
            )
        elif pd.notna(left) and left < LOW_BUDGET_RATIO:
            yield Advice(
                "today",
                f"Risk nothing with {row['level']} until its error budget has recovered.",
                f"{max(left, 0.0):.0%} of the budget is left: {spent}.",
            )


def _of_jobs(figures: Figures) -> Iterator[Advice]:
    jobs = figures.jobs
    failing = jobs[
        (jobs["runs_count"] >= FAILING_LEAST_RUNS)
        & (jobs["failed_count"] > FAILING_RATIO * jobs["runs_count"])
    ]
    for row in _rows(failing.sort_values("failed_count", ascending=False)):
        yield Advice(
            "today",
            f"Mend {row['job_name']}; it last failed with: {row['messages'][0] or 'no message'}",
            f"{row['failed_count']:,} of {row['runs_count']:,} runs failed, the last one {row['causes'][0]}.",
        )


def _of_queues(figures: Figures) -> Iterator[Advice]:
    queues = figures.queues
    for row in _rows(queues[queues["utilization_ratio"].astype(float) > BUSY_RATIO]):
        of_queue = figures.jobs[figures.jobs["queue"] == row["queue"]]
        work_s = (of_queue["run_time_p50_s"] * of_queue["runs_count"]).astype(float)
        heaviest = of_queue["job_name"].iloc[int(work_s.argmax())] if work_s.notna().any() else None
        yield Advice(
            "soon",
            f"Give the queue {row['queue']} more room"
            + (f", or make {heaviest} faster, which takes most of it." if heaviest else "."),
            f"It was busy for {row['utilization_ratio']:.0%} of the time when last measured.",
        )


def _of_recoveries(figures: Figures) -> Iterator[Advice]:
    for row in _rows(figures.repairs[figures.repairs["failed_count"] > 0]):
        yield Advice(
            "today",
            f"Look at what {row['action']} could not mend: monitoring.queue_recovery names each subject.",
            f"{row['failed_count']:,} of {row['actions_count']:,} such actions did not help.",
        )


def _of_deliveries(figures: Figures) -> Iterator[Advice]:
    for row in _rows(figures.deliveries):
        if row["failed_count"]:
            yield Advice(
                "now",
                "Mend the channels of notifications: platform-assets notifications list.",
                f"{row['failed_count']:,} of {row['queued_count']:,} notifications could not be delivered.",
            )
        if pd.notna(row["seconds_p95"]) and row["seconds_p95"] > NOTIFICATION_SECONDS.bound:
            yield Advice(
                "soon",
                "Find out what delays notifications.",
                f"One in twenty took over {row['seconds_p95']:.0f} s; {NOTIFICATION_SECONDS.bound:.0f} s are promised.",
            )


def _of_calls(figures: Figures) -> Iterator[Advice]:
    for row in _rows(figures.quotas):
        yield Advice(
            "today",
            f"Raise the day's budget of {row['service']}, or let it do less.",
            f"At today's pace its tokens are spent at {row['runs_out_at']:%H:%M} UTC.",
        )
    named = [(f"{row['service']} ({row['model']})", row) for row in _rows(figures.ai)]
    named += [(str(row["gateway"]), row) for row in _rows(figures.gateway)]
    for name, row in named:
        if (
            row["calls_count"] >= FAILED_CALLS_LEAST
            and row["failed_count"] > FAILED_CALLS_RATIO * row["calls_count"]
        ):
            yield Advice(
                "soon",
                f"Look into the failed calls of {name}.",
                f"{row['failed_count']:,} of {row['calls_count']:,} calls had no usable answer.",
            )


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _hours(duration: dt.timedelta) -> str:
    return f"{duration.total_seconds() / 3600:.0f} hours"
