"""Raises and resolves alerts in the database, each with its notification, inside the caller's transaction.

What deserves an alert is decided elsewhere, and delivery reads `monitoring.notification_outbox`. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.jsonable import to_jsonable
from platform_assets.monitoring.redaction import redact
from platform_assets.tables.monitoring import notification_outbox, system_alerts

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the most severe."""


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
) -> RaisedAlert:
    """Open an alert, or count one more occurrence of the open one with this fingerprint.

    While an alert is open its severity only rises; title and details are those of the latest occurrence. A new alert
    and a risen severity queue one notification each. Everything happens in the caller's transaction, and any number of
    callers may race.

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
    """
    if severity not in SEVERITIES:
        raise ValueError(f"{severity!r} is no severity; there are {', '.join(SEVERITIES)}")
    table = system_alerts
    new = pg.insert(table).values(
        fingerprint=fingerprint,
        severity=severity,
        source=source,
        subject=subject,
        owner=owner,
        title=redact(to_jsonable(title)),
        details=redact(to_jsonable(details)),
        occurrences_count=1,
        first_seen_at=now,
        last_seen_at=now,
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
                "occurrences_count": table.c.occurrences_count + 1,
                "last_seen_at": sa.func.greatest(table.c.last_seen_at, new.excluded.last_seen_at),
            },
        ).returning(*table.c)
    ).one()
    _queue_notification(connection, raised, now)
    return RaisedAlert(raised.alert_id, raised.occurrences_count == 1, raised.occurrences_count)


def resolve_alert(connection: sa.Connection, *, fingerprint: str, now: dt.datetime) -> bool:
    """Close the open alert of this fingerprint; when it is raised again, that is a new alert.

    Returns:
        Whether there was one.
    """
    table = system_alerts
    resolved = connection.execute(
        sa.update(table)
        .where(table.c.fingerprint == fingerprint, table.c.state == "open")
        .values(state="resolved", resolved_at=now)
    )
    return resolved.rowcount > 0


def _rank(severity: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    return sa.func.array_position(pg.array(SEVERITIES), severity)


def _queue_notification(connection: sa.Connection, alert: sa.Row[Any], now: dt.datetime) -> None:
    # As severity only rises, an alert reaches each severity once: its first notification, and one for each rise.
    body = {
        "severity": alert.severity,
        "source": alert.source,
        "subject": alert.subject,
        "owner": alert.owner,
        "title": alert.title,
        "details": alert.details,
        "first_seen_at": alert.first_seen_at.isoformat(),
    }
    connection.execute(
        pg.insert(notification_outbox)
        .values(
            dedupe_key=f"alert:{alert.alert_id}:{alert.severity}",
            alert_id=alert.alert_id,
            body=body,
            created_at=now,
            due_at=now,
        )
        .on_conflict_do_nothing(index_elements=[notification_outbox.c.dedupe_key])
    )
