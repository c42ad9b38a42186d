"""Reads what is on record of services: earlier looks, the platform's own calls, and what became of notifications.

What follows from it is `health.py`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.services.health import PastLook, State, Traffic
from platform_assets.monitoring.services.probing import Answer, Look
from platform_assets.monitoring_thresholds import (
    DOWN_AFTER_FAILURES,
    TRAFFIC_WINDOW_MINUTES,
    UNDELIVERED_FAILED_S,
)
from platform_assets.tables.monitoring import ai_calls, notification_outbox
from platform_assets.tables.notifications import notification_channels
from platform_assets.tables.payment_operations import gateway_calls
from platform_assets.tables.service_health import service_health_metrics

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def read_past_looks(database: Database, *, now: dt.datetime) -> dict[str, list[PastLook]]:
    """Service → its looks of the last hour, oldest first. What a clock that was ahead has dated later is left out."""
    table = service_health_metrics
    past: defaultdict[str, list[PastLook]] = defaultdict(list)
    with database.transaction() as connection:
        rows = connection.execute(
            sa.select(table.c.service, table.c.measured_at, table.c.look, table.c.state, table.c.state_since)
            .where(table.c.measured_at >= now - HOUR, table.c.measured_at < now)
            .order_by(table.c.measured_at)
        )
        for row in rows:
            past[row.service].append(
                PastLook(row.measured_at, Look(row.look), State(row.state), row.state_since)
            )
    return dict(past)


def read_traffic(database: Database, *, now: dt.datetime) -> dict[str, Traffic]:
    """Service → its calls of the last hour, for those whose calls are logged."""
    calls = sa.union_all(
        *(
            sa.select(
                table.c[name].label("service"), table.c.started_at, table.c.latency_ms, table.c.outcome
            ).where(table.c.started_at > now - HOUR, table.c.started_at <= now)
            for table, name in ((ai_calls, "service"), (gateway_calls, "gateway"))
        )
    ).subquery("calls")
    is_recent = calls.c.started_at > now - dt.timedelta(minutes=TRAFFIC_WINDOW_MINUTES)
    # An invalid answer is the model's, and a declined card the bank's: the service did its work.
    failed = calls.c.outcome.not_in(("ok", "invalid"))
    count = sa.func.count()
    query = sa.select(
        calls.c.service,
        count.label("calls_count"),
        count.filter(failed).label("failed_count"),
        sa.func.percentile_cont(0.95).within_group(calls.c.latency_ms).label("latency_p95_ms"),
        count.filter(is_recent).label("recent_count"),
        count.filter(sa.and_(is_recent, failed)).label("recent_failed_count"),
    ).group_by(calls.c.service)
    logged = dict.fromkeys(("gemini", "embedder", "stripe"), Traffic())
    with database.transaction() as connection:
        for row in connection.execute(query):
            service, *numbers = row
            logged[service] = Traffic(*numbers)
    return logged


def ask_outbox(database: Database, *, now: dt.datetime, is_delivered: bool) -> Answer:
    """How notifications get through: by the age of the oldest that is due, how those of the last day ended, and channels.

    A channel that is down is told by name, even while its fallback stands in and nothing waits.

    Args:
        database: Has the outbox.
        now: The present moment.
        is_delivered: Whether something is there that should deliver: a daemon, or a supervisor in its stead.
    """
    table = notification_outbox
    count = sa.func.count()
    is_due = sa.and_(table.c.state == "pending", table.c.due_at <= now)
    query = sa.select(
        count.filter(table.c.state == "sent").label("sent_count"),
        count.filter(table.c.state == "failed").label("failed_count"),
        count.filter(is_due).label("due_count"),
        sa.func.min(table.c.due_at).filter(is_due).label("oldest_due_at"),
    ).where(sa.or_(table.c.state == "pending", table.c.created_at > now - DAY))
    with database.transaction() as connection:
        row = connection.execute(query).one()
        down = _read_channels_down(connection, now)
    details: dict[str, Any] = {
        "sent_count": row.sent_count,
        "failed_count": row.failed_count,
        "due_count": row.due_count,
        **({"channels_down": down} if down else {}),
    }
    told = f"{row.sent_count} sent, {row.failed_count} given up in the last day; {row.due_count} due"
    if row.due_count and not is_delivered:
        return Answer(f"{told}, and no daemon that delivers", details=details, look=Look.UNKNOWN)
    if row.oldest_due_at is not None:
        age_s = max(0.0, (now - row.oldest_due_at).total_seconds())
        details["oldest_due_age_s"] = age_s
        if age_s > UNDELIVERED_FAILED_S:
            told = f"{told}, the oldest for {age_s:.0f} seconds{_named(down)}"
            return Answer(told, details=details, look=Look.FAILED)
    if down:
        return Answer(f"{told}{_named(down)}", details=details, look=Look.POOR)
    if not (row.sent_count or row.failed_count or row.due_count):
        return Answer("there was nothing to tell in the last day", details=details, look=Look.UNKNOWN)
    return Answer(told, details=details)


def _read_channels_down(connection: sa.Connection, now: dt.datetime) -> dict[str, str]:
    """Channel → why it last failed, for those that take nothing."""
    table = notification_channels
    rows = connection.execute(
        sa.select(table.c.channel, table.c.last_error)
        # One that nobody has tried for a day has left the settings, or has nothing to take.
        .where(table.c.failures_count >= DOWN_AFTER_FAILURES, table.c.last_failed_at > now - DAY)
        .order_by(table.c.channel)
    )
    return {row.channel: " ".join((row.last_error or "it did not say why").split()) for row in rows}


def _named(down: Mapping[str, str]) -> str:
    return f"; down: {', '.join(f'{channel} ({error})' for channel, error in down.items())}" if down else ""
