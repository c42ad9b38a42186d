"""Queues what is to be told of an alert, in the transaction that changes the alert; delivery is `communications/`'s.

Whether it is to be told is decided in `alerts.py` and `upkeep.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.monitoring.alerting.rules import BURST_WAIT
from platform_assets.monitoring.alerting.severity import rank
from platform_assets.tables.monitoring import notification_outbox, system_alerts

Kind = Literal["opened", "escalated", "resolved", "reminder"]

_ONCE_EACH: tuple[Kind, ...] = ("opened", "escalated")
"""News that an alert has at most once for each severity."""


def tell(connection: sa.Connection, alert: sa.Row[Any], kind: Kind, *, now: dt.datetime) -> None:
    """Queue one event of an alert and note on the alert that it was told.

    Args:
        connection: The transaction that changes the alert.
        alert: Its row as it is now.
        kind: What happened to it.
        now: The present moment.
    """
    table = notification_outbox
    # As severity only rises while an alert is open, it reaches each one once: when it opens, and at each rise.
    key = alert.severity if kind in _ONCE_EACH else kind
    if kind == "reminder":
        key = f"{kind}:{now.isoformat(timespec='seconds')}"
    connection.execute(
        pg.insert(table)
        .values(
            dedupe_key=f"alert:{alert.alert_id}:{key}",
            alert_id=alert.alert_id,
            kind=kind,
            owner=alert.owner,
            severity=alert.severity,
            body=_body(alert),
            created_at=now,
            due_at=now,
        )
        .on_conflict_do_nothing(index_elements=[table.c.dedupe_key])
    )
    connection.execute(
        sa.update(system_alerts)
        .where(system_alerts.c.alert_id == alert.alert_id)
        .values(told_at=now, told_severity=alert.severity)
    )


def retell(connection: sa.Connection, alert: sa.Row[Any], *, now: dt.datetime) -> None:
    """Bring what waits to be told of an alert up to date; it waits on while occurrences go on, for a short while."""
    if alert.told_at is None or now - alert.told_at > BURST_WAIT:
        return
    table = notification_outbox
    connection.execute(
        sa.update(table)
        .where(_is_waiting([alert.alert_id]))
        .values(
            # Each event keeps the severity that it tells of.
            body=sa.cast(_body(alert), pg.JSONB).concat(
                sa.func.jsonb_build_object("severity", table.c.severity)
            ),
            due_at=sa.func.greatest(table.c.due_at, now),
        )
    )


def withdraw(connection: sa.Connection, alert_ids: Collection[int]) -> dict[int, str | None]:
    """Take back what waits to be told of some alerts.

    Returns:
        The alerts of which something was taken back, with the severity that was told before; None for those of which
        nothing was.
    """
    table = notification_outbox
    deleted = sa.delete(table).where(_is_waiting(alert_ids)).returning(table.c.alert_id)
    withdrawn = {row.alert_id for row in connection.execute(deleted)}
    if not withdrawn:
        return {}
    # What is left of them was told, each severity higher than the one before.
    told = connection.execute(
        sa.select(table.c.alert_id, sa.func.array_agg(table.c.severity).label("severities"))
        .where(table.c.alert_id == _any(withdrawn), table.c.kind.in_(_ONCE_EACH))
        .group_by(table.c.alert_id)
    ).all()
    highest = {row.alert_id: max(row.severities, key=rank) for row in told}
    return {alert_id: highest.get(alert_id) for alert_id in withdrawn}


def _is_waiting(alert_ids: Collection[int]) -> sa.ColumnElement[bool]:
    # Whoever delivers locks what it takes, so that an event is either taken or taken back.
    table = notification_outbox
    return (table.c.alert_id == _any(alert_ids)) & table.c.kind.in_(_ONCE_EACH) & (table.c.state == "pending")


def _any(ids: Collection[int]) -> sa.CollectionAggregate[bool]:
    # `IN` takes a parameter for each, 65,535 at most.
    return sa.any_(sa.cast(list(ids), pg.ARRAY(sa.BigInteger)))


def _body(alert: sa.Row[Any]) -> dict[str, Any]:
    return {
        "severity": alert.severity,
        "source": alert.source,
        "subject": alert.subject,
        "owner": alert.owner,
        "title": alert.title,
        "details": alert.details,
        "impact": alert.impact,
        "occurrences_count": alert.occurrences_count,
        "is_flapping": alert.is_flapping,
        "first_seen_at": alert.first_seen_at.isoformat(),
        "last_seen_at": alert.last_seen_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "resolved_reason": alert.resolved_reason,
    }
