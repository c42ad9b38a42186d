"""Tells of schedules and sensors whose latest tick is missed or failed, and says so when a later one is good.

What became of which tick is `ticks.py`'s to say. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database, is_among
from platform_assets.monitoring.alerting.alerts import Severity, raise_alert, resolve_alert
from platform_assets.monitoring.queues.ticks import LONGEST_WINDOW, LastLook, TickMetrics
from platform_assets.tables.monitoring import system_alerts
from platform_assets.tables.queues import tick_metrics

LOOK_GAP = dt.timedelta(minutes=12)
"""Two looks of five minutes: after a longer gap the daemon may only just be back and about to catch up, so that what is
outstanding now is told at the next look."""


def fingerprint_of(metrics: TickMetrics) -> str:
    """What identifies the alert of a schedule or sensor."""
    return f"{metrics.kind}:{metrics.name}"


def write_ticks(
    connection: sa.Connection, rows: Sequence[TickMetrics], *, owners: Mapping[str, str], now: dt.datetime
) -> None:
    """Store what became of ticks, and bring the alerts in line with it, in the caller's transaction.

    Args:
        connection: The caller's transaction.
        rows: What was measured.
        owners: Team that answers for each schedule or sensor, by name.
        now: When it was measured.
    """
    if not rows:
        return
    table = tick_metrics
    before = connection.scalar(sa.select(sa.func.max(table.c.measured_at)).where(table.c.measured_at < now))
    connection.execute(sa.delete(table).where(table.c.measured_at == now))
    connection.execute(sa.insert(table), [{"measured_at": now, **asdict(row)} for row in rows])
    alerts = system_alerts
    names = [fingerprint_of(row) for row in rows]
    are_open = set(
        connection.scalars(
            sa.select(alerts.c.fingerprint).where(
                alerts.c.state == "open", is_among(alerts.c.fingerprint, names)
            )
        )
    )
    is_catching_up = before is None or now - before > LOOK_GAP
    for row in rows:
        name = fingerprint_of(row)
        if row.outstanding_since is None:
            if name in are_open:
                resolve_alert(connection, fingerprint=name, now=now)
        elif not is_catching_up and (name not in are_open or row.missed_count + row.failed_count):
            _raise(connection, row, owner=owners[row.name], now=now)


def _raise(connection: sa.Connection, row: TickMetrics, *, owner: str, now: dt.datetime) -> None:
    raise_alert(
        connection,
        fingerprint=fingerprint_of(row),
        severity=_severity(row, owner),
        source="tick",
        subject=row.name,
        owner=owner,
        title=f"The {row.kind} {row.name} {'fails' if row.error else 'has missed its latest tick'}",
        details={
            "outstanding_since": row.outstanding_since,
            "missed_count": row.missed_count,
            "failed_count": row.failed_count,
            "last_good_at": row.last_good_at,
            "cadence": row.cadence,
            "error": row.error,
        },
        now=now,
    )


def _severity(row: TickMetrics, owner: str) -> Severity:
    # A sensor that stands still hides every failure; a schedule of the payments holds up money.
    return "high" if row.kind == "sensor" or owner == "team:finance-data" else "medium"


def read_last_looks(database: Database, *, now: dt.datetime) -> dict[str, LastLook]:
    """What was measured last of each schedule and sensor, by name; of measurements dated in the future nothing is kept."""
    table = tick_metrics
    frame = database.read(
        sa.select(table.c.name, table.c.measured_at, table.c.window_ended_at, table.c.cadence)
        .where(table.c.measured_at.between(now - LONGEST_WINDOW, now))
        .order_by(table.c.kind, table.c.name, table.c.measured_at.desc())
        .ext(pg.distinct_on(table.c.kind, table.c.name))
    )
    return {
        row["name"]: LastLook(
            row["measured_at"].to_pydatetime(), row["window_ended_at"].to_pydatetime(), row["cadence"]
        )
        for row in frame.to_dict("records")
    }
