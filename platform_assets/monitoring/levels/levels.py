"""The service levels: what is promised, to whom it matters, and which rows count as good and as bad events.

Objectives stand in `monitoring_thresholds.py`; counting is `events.py`'s. Only queries are built here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from platform_assets.bounds import Bounds
from platform_assets.monitoring_thresholds import (
    BURN_ALERTS,
    MATCH_SEARCH_MS,
    NOTIFICATION_SECONDS,
    SERVICE_LEVELS,
    BurnAlert,
)
from platform_assets.tables.matching_service import matching_service_health
from platform_assets.tables.monitoring import ai_calls, notification_outbox
from platform_assets.tables.payment_operations import gateway_calls
from platform_assets.tables.recovery import run_outcomes
from platform_assets.tables.service_health import service_health_metrics
from platform_assets.tables.service_levels import service_level_samples
from platform_assets.thresholds import Severity, Threshold

SLOW_BURNS = tuple(alert for alert in BURN_ALERTS if alert.severity is Severity.WARN)
"""For levels whose bad events each raise an alert at once: only what these do not show, a slow loss, is worth another."""


@dataclass(frozen=True)
class Moment:
    """What the events of a level depend on.

    Attributes:
        now: The present moment.
        since: Earlier events are not looked at.
        bounds: The bounds that hold now.
    """

    now: dt.datetime
    since: dt.datetime
    bounds: Bounds


@dataclass(frozen=True)
class ServiceLevel:
    """A promise about a share of events.

    Attributes:
        name: Its name; the objective of the same name stands in `SERVICE_LEVELS`.
        owner: Team that keeps the promise.
        description: What is promised, in one sentence.
        events: Its events: rows of `at`, `good_count`, `total_count`, from `Moment.since` to `Moment.now`.
        alerts: Pairs of windows that alert when both burn.
    """

    name: str
    owner: str
    description: str
    events: Callable[[Moment], sa.Select[Any]]
    alerts: tuple[BurnAlert, ...] = BURN_ALERTS

    @property
    def objective(self) -> Threshold:
        """Share of events that must be good."""
        return SERVICE_LEVELS[self.name]


def _events(
    at: sa.ColumnElement[dt.datetime],
    is_good: sa.ColumnElement[bool],
    moment: Moment,
    *conditions: sa.ColumnElement[bool],
) -> sa.Select[Any]:
    """One event a row."""
    return _counted(at, sa.cast(is_good, sa.Integer), sa.literal_column("1"), moment, *conditions)


def _counted(
    at: sa.ColumnElement[dt.datetime],
    good_count: sa.ColumnElement[int],
    total_count: sa.ColumnElement[int],
    moment: Moment,
    *conditions: sa.ColumnElement[bool],
) -> sa.Select[Any]:
    """Rows that tell of several events each. What is dated after now, by a clock that is ahead, comes later."""
    columns: list[sa.ColumnElement[Any]] = [
        at.label("at"),
        good_count.label("good_count"),
        total_count.label("total_count"),
    ]
    return sa.select(*columns).where(at > moment.since, at <= moment.now, *conditions)


def _runs(queue: str, owner: str) -> ServiceLevel:
    table = run_outcomes
    return ServiceLevel(
        f"runs_{queue}",
        owner,
        f"Runs of the queue {queue} succeed; a cancelled one is nobody's failure.",
        lambda moment: _events(
            table.c.ended_at,
            table.c.status == "success",
            moment,
            table.c.queue == queue,
            table.c.status != "canceled",
        ),
    )


def _samples(level: str, owner: str, description: str) -> ServiceLevel:
    table = service_level_samples
    return ServiceLevel(
        level,
        owner,
        description,
        lambda moment: _counted(
            table.c.sampled_at, table.c.good_count, table.c.total_count, moment, table.c.level == level
        ),
        alerts=SLOW_BURNS,
    )


def _service(service: str, owner: str) -> ServiceLevel:
    table = service_health_metrics
    return ServiceLevel(
        f"service_{service}",
        owner,
        f"Looks at {service} find it answering, slow or not; while it is switched off nobody looks.",
        lambda moment: _events(
            table.c.measured_at,
            table.c.look != "failed",
            moment,
            table.c.service == service,
            table.c.look.in_(["ok", "poor", "failed"]),
        ),
        alerts=SLOW_BURNS,
    )


def _match_pages(moment: Moment) -> sa.Select[Any]:
    table = matching_service_health
    asked = table.c.pages_count + table.c.searches_count
    failed = table.c.errors_count + table.c.search_errors_count
    return _counted(table.c.measured_at, asked - failed, asked, moment)


def _match_searches(moment: Moment) -> sa.Select[Any]:
    table = matching_service_health
    is_fast = sa.func.coalesce(table.c.search_p95_ms <= moment.bounds.of(MATCH_SEARCH_MS).bound, sa.false())
    return _events(table.c.measured_at, is_fast, moment, table.c.searches_count > 0)


def _gateway_calls(moment: Moment) -> sa.Select[Any]:
    table = gateway_calls
    # A call that was refused for good is the platform's fault, not an outage; it fails its run.
    return _events(table.c.started_at, table.c.outcome.in_(["ok", "permanent"]), moment)


def _gemini_calls(moment: Moment) -> sa.Select[Any]:
    table = ai_calls
    return _events(table.c.started_at, table.c.outcome == "ok", moment, table.c.service == "gemini")


def _notifications(moment: Moment) -> sa.Select[Any]:
    table = notification_outbox
    grace = dt.timedelta(seconds=moment.bounds.of(NOTIFICATION_SECONDS).bound)
    is_sent_in_time = sa.and_(table.c.sent_at.is_not(None), table.c.sent_at <= table.c.due_at + grace)
    # One that still has time is no event yet; one that no route wants is not to be sent.
    is_over = sa.or_(table.c.sent_at.is_not(None), table.c.due_at <= moment.now - grace)
    return _events(
        table.c.due_at,
        sa.func.coalesce(is_sent_in_time, sa.false()),
        moment,
        is_over,
        table.c.state != "dropped",
    )


_OWNER_OF_QUEUE = {
    "ai_services": "team:talent-data",
    "matching": "team:matching",
    "payments": "team:finance-data",
    "monitoring": "team:platform",
}

LEVELS: tuple[ServiceLevel, ...] = (
    *(_runs(queue, owner) for queue, owner in _OWNER_OF_QUEUE.items()),
    *(
        _samples(
            f"freshness_{queue}", owner, f"Assets of the queue {queue} are as fresh as their bounds ask for."
        )
        for queue, owner in _OWNER_OF_QUEUE.items()
    ),
    *(
        _samples(f"checks_{queue}", owner, f"Checks of severity ERROR on assets of the queue {queue} pass.")
        for queue, owner in _OWNER_OF_QUEUE.items()
    ),
    ServiceLevel(
        "match_pages",
        "team:matching",
        "Pages of matches and searches come, within two seconds.",
        _match_pages,
    ),
    ServiceLevel(
        "match_search_latency",
        "team:matching",
        "Looks at which 95 of 100 ad-hoc searches are as fast as they should be.",
        _match_searches,
    ),
    ServiceLevel(
        "gateway_calls", "team:finance-data", "Calls of the payment gateway are answered.", _gateway_calls
    ),
    ServiceLevel(
        "gemini_calls", "team:talent-data", "Calls of Gemini bring an answer that can be used.", _gemini_calls
    ),
    ServiceLevel("notifications", "team:platform", "Events reach a channel in time.", _notifications),
    _service("postgres", "team:platform"),
    _service("dagster_daemons", "team:platform"),
    _service("code_location", "team:platform"),
    _service("github", "team:talent-data"),
    _service("gemini", "team:talent-data"),
    _service("stripe", "team:finance-data"),
    _service("neo4j", "team:talent-data"),
)
"""Every service level, in the order in which a person reads them."""
