"""What people do with alerts: look, take on, close. No output and no Dagster; the command line is `commands/alerts.py`.

Silences are `silences.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import sqlalchemy as sa

from platform_assets.errors import PlatformError
from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.alerting.severity import SEVERITIES, Severity, rank
from platform_assets.monitoring.redaction import redact_text
from platform_assets.tables.monitoring import notification_outbox, system_alerts

TEST_SOURCE = "test"

_RANK = sa.case({name: place for place, name in enumerate(SEVERITIES)}, value=system_alerts.c.severity)


class UnknownAlertError(PlatformError):
    """There is no such alert or silence, or what was asked for can't be done with it any more."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which alerts are asked for.

    Attributes:
        state: Their state; None for any.
        min_severity: At least this severe.
        owner: The team; None for any.
        source: What raised them; None for any.
        subject_glob: A pattern with `*`, `?` and `[…]` for the subject; None for any.
    """

    state: Literal["open", "resolved"] | None = "open"
    min_severity: Severity = "low"
    owner: str | None = None
    source: str | None = None
    subject_glob: str | None = None


@dataclass(frozen=True)
class Page:
    """Some alerts of those that were asked for.

    Attributes:
        alerts: Rows of `system_alerts`.
        total_count: How many were asked for.
    """

    alerts: Sequence[sa.Row[Any]]
    total_count: int


def read_alerts(connection: sa.Connection, filters: Filters, *, limit: int) -> Page:
    """Read the most severe alerts, and of these the latest; of resolved ones the latest.

    Args:
        connection: The caller's transaction.
        filters: Which.
        limit: Most alerts to give.
    """
    table = system_alerts
    query = sa.select(table.c.alert_id, table.c.subject).where(
        table.c.severity.in_(SEVERITIES[rank(filters.min_severity) :])
    )
    for name in ("state", "owner", "source"):
        if (wanted := getattr(filters, name)) is not None:
            query = query.where(table.c[name] == wanted)
    if filters.state == "open":
        query = query.order_by(_RANK.desc())
    query = query.order_by(table.c.last_seen_at.desc(), table.c.alert_id.desc())
    found = [
        row.alert_id
        for row in connection.execute(query)
        if filters.subject_glob is None or fnmatchcase(row.subject, filters.subject_glob)
    ]
    shown = found[:limit]
    rows = connection.execute(sa.select(table).where(table.c.alert_id.in_(shown))).all()
    place = {alert_id: place for place, alert_id in enumerate(shown)}
    return Page(sorted(rows, key=lambda row: place[row.alert_id]), len(found))


def read_alert(connection: sa.Connection, alert_id: int) -> sa.Row[Any]:
    """One alert.

    Raises:
        UnknownAlertError: There is none of this id.
    """
    row = connection.execute(
        sa.select(system_alerts).where(system_alerts.c.alert_id == alert_id)
    ).one_or_none()
    if row is None:
        raise UnknownAlertError(
            f"There is no alert {alert_id}. `platform-assets alerts list --state all` names them."
        )
    return row


def read_effects(connection: sa.Connection, alert_id: int) -> Sequence[sa.Row[Any]]:
    """The open alerts that an alert is the cause of."""
    table = system_alerts
    return connection.execute(
        sa.select(table)
        .where(table.c.inhibited_by == alert_id, table.c.state == "open")
        .order_by(table.c.alert_id)
    ).all()


def read_news(connection: sa.Connection, alert_id: int) -> Sequence[sa.Row[Any]]:
    """What was told of an alert, or is to be, the oldest first."""
    table = notification_outbox
    return connection.execute(
        sa.select(table).where(table.c.alert_id == alert_id).order_by(table.c.notification_id)
    ).all()


def count_quiet(connection: sa.Connection) -> dict[int, int]:
    """How many open alerts each silence keeps quiet, by its id."""
    table = system_alerts
    rows = connection.execute(
        sa.select(table.c.silenced_by, sa.func.count().label("alerts_count"))
        .where(table.c.state == "open", table.c.silenced_by.is_not(None))
        .group_by(table.c.silenced_by)
    )
    return {row.silenced_by: int(row.alerts_count) for row in rows}


def acknowledge(
    connection: sa.Connection,
    alert_ids: Collection[int],
    *,
    by: str,
    reason: str,
    until: dt.datetime,
    now: dt.datetime,
) -> None:
    """Take alerts on: until then nobody is reminded of them; what grows worse is told all the same.

    Raises:
        UnknownAlertError: One of them is not there or not open; then none is taken on.
    """
    for alert_id in alert_ids:
        _require_open(connection, alert_id)
    connection.execute(
        sa.update(system_alerts)
        .where(system_alerts.c.alert_id.in_(alert_ids))
        .values(
            acknowledged_at=now,
            acknowledged_by=redact_text(by),
            acknowledged_until=until,
            acknowledged_reason=redact_text(reason),
        )
    )


def close(
    connection: sa.Connection, alert_ids: Collection[int], *, by: str, reason: str, now: dt.datetime
) -> None:
    """Resolve alerts by hand; a problem that is still there is a new alert when it is noticed again.

    Raises:
        UnknownAlertError: One of them is not there or not open; then none is resolved.
    """
    fingerprints = [_require_open(connection, alert_id).fingerprint for alert_id in alert_ids]
    for fingerprint in fingerprints:
        resolve_alert(
            connection, fingerprint=fingerprint, now=now, by=redact_text(by), reason=redact_text(reason)
        )


def raise_test_alert(
    connection: sa.Connection, *, by: str, severity: Severity, owner: str, now: dt.datetime
) -> int:
    """Raise an alert that means nothing and goes the way of all others; gives its id."""
    raised = raise_alert(
        connection,
        fingerprint=f"test:{owner}:{severity}",
        severity=severity,
        source=TEST_SOURCE,
        subject="alerts test",
        owner=owner,
        title=f"Test alert, raised by {by}: whoever reads this would have been told of a real one",
        details={"raised_by": by, "what_to_do": "nothing; it is resolved by hand"},
        now=now,
    )
    return raised.alert_id


def _require_open(connection: sa.Connection, alert_id: int) -> sa.Row[Any]:
    alert = read_alert(connection, alert_id)
    if alert.state != "open":
        raise UnknownAlertError(
            f"Alert {alert_id} was resolved at {alert.resolved_at:%Y-%m-%d %H:%M} UTC by {alert.resolved_by}: "
            f"{alert.resolved_reason}."
        )
    return alert
