"""Raises and resolves alerts in the database, each with what is told of it, inside the caller's transaction.

What deserves an alert is decided elsewhere; `upkeep.py` looks after the open ones. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.jsonable import to_jsonable
from platform_assets.monitoring.alerting.outbox import retell, tell
from platform_assets.monitoring.alerting.rules import FLAPPING_CALM, FLAPPING_RETURNS, FLAPPING_WINDOW
from platform_assets.monitoring.alerting.severity import SEVERITIES, Severity, rank
from platform_assets.monitoring.alerting.silences import read_silences, silence_of
from platform_assets.monitoring.redaction import redact
from platform_assets.tables.monitoring import system_alerts

__all__ = ["SEVERITIES", "RaisedAlert", "Severity", "raise_alert", "resolve_alert"]

PLATFORM = "platform"
"""Who resolves alerts when no person does."""


@dataclass(frozen=True)
class RaisedAlert:
    """What became of a raised alert.

    Attributes:
        alert_id: The open alert of this fingerprint.
        is_new: Whether it was opened by this call.
        occurrences_count: How often it has been raised while open.
    """

    alert_id: int
    is_new: bool
    occurrences_count: int


def raise_alert(
    connection: sa.Connection,
    *,
    fingerprint: str,
    severity: Severity,
    source: str,
    subject: str,
    owner: str,
    title: str,
    details: Mapping[str, Any],
    now: dt.datetime,
    seen_at: dt.datetime | None = None,
    assets: Collection[str] = (),
    impact: Mapping[str, Any] | None = None,
) -> RaisedAlert:
    """Open an alert, or count one more occurrence of the open one with this fingerprint.

    While an alert is open its severity only rises; title, details and impact are those of the latest occurrence. A new
    alert and a risen severity are told once each, unless a silence or a known cause keeps them quiet. A problem that was
    resolved several times within a short time opens as flapping. Everything happens in the caller's transaction, and any
    number of callers may race.

    Args:
        connection: The caller's transaction.
        fingerprint: Identifies the problem, whatever it measures today.
        severity: How bad it is now.
        source: What raises it, such as `asset_check` or `run`.
        subject: What it is about: an asset, check, job or service.
        owner: Team that answers for the subject.
        title: One line for a person.
        details: Measured values and links. Secrets are taken out; what JSON lacks becomes text.
        now: The present moment.
        seen_at: When it occurred; by default now.
        assets: Assets that it is about, by which its causes and effects are known.
        impact: How the severity was calculated, see `impact.Impact.as_json`.
    """
    rank(severity)  # refuses what is none
    table = system_alerts
    seen_at = min(seen_at or now, now)
    new = pg.insert(table).values(
        fingerprint=fingerprint,
        severity=severity,
        source=source,
        subject=subject,
        owner=owner,
        title=redact(to_jsonable(title)),
        details=redact(to_jsonable(details)),
        assets=sorted(assets),
        impact=redact(to_jsonable(impact)),
        occurrences_count=1,
        first_seen_at=seen_at,
        last_seen_at=seen_at,
    )
    raised = connection.execute(
        new.on_conflict_do_update(
            index_elements=[table.c.fingerprint],
            index_where=table.c.state == sa.literal_column("'open'"),
            set_={
                "severity": sa.case(
                    (_rank(new.excluded.severity) > _rank(table.c.severity), new.excluded.severity),
                    else_=table.c.severity,
                ),
                "title": new.excluded.title,
                "details": new.excluded.details,
                "assets": new.excluded.assets,
                "impact": new.excluded.impact,
                "occurrences_count": table.c.occurrences_count + 1,
                "last_seen_at": sa.func.greatest(table.c.last_seen_at, new.excluded.last_seen_at),
                "calm_since": None,
            },
        ).returning(*table.c)
    ).one()
    is_new = raised.occurrences_count == 1
    if is_new and _is_flapping(connection, fingerprint, now):
        raised = _change(connection, raised.alert_id, is_flapping=True)
    _tell_of(connection, raised, now)
    return RaisedAlert(raised.alert_id, is_new, raised.occurrences_count)


def resolve_alert(
    connection: sa.Connection,
    *,
    fingerprint: str,
    now: dt.datetime,
    by: str = PLATFORM,
    reason: str = "the cause is gone",
) -> bool:
    """Close the open alert of this fingerprint; when it is raised again, that is a new alert.

    A resolution is told where the opening was. A flapping alert stays open until it has been calm for a while, unless a
    person closes it.

    Returns:
        Whether one was closed.
    """
    table = system_alerts
    is_open = (table.c.fingerprint == fingerprint) & (table.c.state == "open")
    if by == PLATFORM:
        flapping = connection.execute(
            sa.update(table)
            .where(is_open, table.c.is_flapping)
            .values(calm_since=sa.func.coalesce(table.c.calm_since, now))
            .returning(table.c.calm_since)
        ).first()
        if flapping is not None and now - flapping.calm_since < FLAPPING_CALM:
            return False
    resolved = connection.execute(
        sa.update(table)
        .where(is_open)
        .values(
            state="resolved",
            resolved_at=sa.func.greatest(now, table.c.first_seen_at),
            resolved_by=by,
            resolved_reason=redact(to_jsonable(reason)),
            inhibited_by=None,
            silenced_by=None,
        )
        .returning(*table.c)
    ).one_or_none()
    if resolved is None:
        return False
    if resolved.told_severity is not None and _silence_of(connection, resolved, now) is None:
        tell(connection, resolved, "resolved", now=now)
    return True


def _rank(severity: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    return sa.func.array_position(pg.array(SEVERITIES), severity)


def _is_flapping(connection: sa.Connection, fingerprint: str, now: dt.datetime) -> bool:
    table = system_alerts
    returns = connection.execute(
        sa.select(sa.func.count()).where(
            table.c.fingerprint == fingerprint,
            table.c.resolved_at > now - FLAPPING_WINDOW,
            # Whoever closes an alert by hand says nothing of whether its cause came and went.
            table.c.resolved_by == PLATFORM,
        )
    ).scalar_one()
    return int(returns) >= FLAPPING_RETURNS


def _change(connection: sa.Connection, alert_id: int, **values: Any) -> sa.Row[Any]:
    table = system_alerts
    return connection.execute(
        sa.update(table).where(table.c.alert_id == alert_id).values(**values).returning(*table.c)
    ).one()


def _silence_of(connection: sa.Connection, alert: sa.Row[Any], now: dt.datetime) -> int | None:
    return silence_of(
        read_silences(connection, now=now),
        owner=alert.owner,
        source=alert.source,
        subject=alert.subject,
        severity=alert.severity,
    )


def _tell_of(connection: sa.Connection, alert: sa.Row[Any], now: dt.datetime) -> None:
    """Tell what is new of an open alert."""
    if alert.told_severity is not None and rank(alert.severity) <= rank(alert.told_severity):
        retell(connection, alert, now=now)
        return
    silence_id = _silence_of(connection, alert, now)
    if silence_id != alert.silenced_by:
        alert = _change(connection, alert.alert_id, silenced_by=silence_id)
    if silence_id is None and alert.inhibited_by is None:
        tell(connection, alert, "opened" if alert.told_severity is None else "escalated", now=now)
