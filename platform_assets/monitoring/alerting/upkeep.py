"""Looks after the open alerts: finds their causes, keeps to silences, tells what no longer has to be quiet, reminds.

Whoever raises alerts calls it afterwards; a look that finds nothing new writes nothing. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import resolve_alert
from platform_assets.monitoring.alerting.causes import (
    PROCESS_SOURCE,
    SERVICES_OF_PROCESS,
    OpenProblem,
    Topology,
    find_causes,
    worst_effects,
)
from platform_assets.monitoring.alerting.check_alerts import SERVICE_SOURCE, service_of_subject
from platform_assets.monitoring.alerting.outbox import tell, withdraw
from platform_assets.monitoring.alerting.rules import AFTER_CAUSE_WAIT, FLAPPING_CALM, REMIND_AFTER
from platform_assets.monitoring.alerting.severity import Severity, rank
from platform_assets.monitoring.alerting.silences import Silence, read_silences, silence_of
from platform_assets.tables.monitoring import system_alerts

_LOCK = 0x616C6572
"""Two who look after the alerts at once wait for each other."""

_LOOKED_AT = (
    "alert_id",
    "fingerprint",
    "severity",
    "source",
    "subject",
    "owner",
    "assets",
    "first_seen_at",
    "last_seen_at",
    "told_at",
    "told_severity",
    "acknowledged_until",
    "silenced_by",
    "inhibited_by",
    "is_flapping",
    "calm_since",
)


@dataclass(frozen=True)
class Upkeep:
    """What came of a look at the open alerts: how many there are, and what was done."""

    open_count: int
    told_count: int
    reminded_count: int
    quieted_count: int
    resolved_count: int


@dataclass(frozen=True)
class _Step:
    """What is to be done with one alert.

    Attributes:
        alert: Its row as it was looked at.
        severity: How bad it is, with what it brings about.
        silenced_by: The silence that keeps it quiet.
        inhibited_by: Its cause.
        tell: What is to be told of it.
        is_over: Whether it flapped, and has been calm for long enough to be resolved.
    """

    alert: sa.Row[Any]
    severity: Severity
    silenced_by: int | None
    inhibited_by: int | None
    tell: Literal["opened", "escalated", "reminder"] | None
    is_over: bool

    @property
    def is_quieted(self) -> bool:
        """Whether something keeps it quiet that did not before."""
        before = self.alert.silenced_by is not None or self.alert.inhibited_by is not None
        return not before and (self.silenced_by is not None or self.inhibited_by is not None)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        before = (self.alert.severity, self.alert.silenced_by, self.alert.inhibited_by)
        return not (self.is_over or self.tell) and before == (
            self.severity,
            self.silenced_by,
            self.inhibited_by,
        )


def look_after_alerts(database: Database, topology: Topology, *, now: dt.datetime) -> Upkeep:
    """Bring every open alert in line with its cause, the silences and the time.

    An alert whose cause is open, or that a silence is about, is told nobody; what waits to be told is taken back. The
    cause becomes as severe as the worst that it brings about. When
    neither holds any longer and the problem is still there, it is told then: at once when a silence ends, and when a
    cause is gone once the problem is seen again, or after a while. What nobody has acknowledged is told again from time
    to time. A flapping alert that has been calm for long enough is resolved.

    Args:
        database: Where alerts are kept.
        topology: What depends on what.
        now: The present moment.
    """
    with database.transaction() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        alerts = _read_open(connection)
        silences = read_silences(connection, now=now)
        problems = [_problem(alert, topology) for alert in alerts]
        causes = find_causes(problems, topology)
        effects = worst_effects(problems, causes)
        plan = _Plan(silences, causes, effects, _read_ended_causes(connection, alerts, causes), now)
        steps = [step for alert in alerts if not (step := plan.step(alert)).is_idle]
        taken = _take(connection, _lock(connection, steps), now)
    return Upkeep(
        open_count=len(alerts) - sum(step.is_over for step in taken),
        told_count=sum(step.tell in ("opened", "escalated") for step in taken),
        reminded_count=sum(step.tell == "reminder" for step in taken),
        quieted_count=sum(step.is_quieted for step in taken),
        resolved_count=sum(step.is_over for step in taken),
    )


def _read_open(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    table = system_alerts
    columns = [table.c[name] for name in _LOOKED_AT]
    return connection.execute(
        sa.select(*columns).where(table.c.state == "open").order_by(table.c.alert_id)
    ).all()


def _problem(alert: sa.Row[Any], topology: Topology) -> OpenProblem:
    services, assets = _services(alert), alert.assets
    if alert.source == PROCESS_SOURCE:
        # Who keeps processes alive does not know what is made of what.
        assets = sorted({asset for service in services for asset in topology.assets_of_service(service)})
    return OpenProblem(
        alert_id=alert.alert_id,
        source=alert.source,
        severity=alert.severity,
        assets=tuple(assets),
        first_seen_at=alert.first_seen_at,
        is_there=alert.calm_since is None,
        services=services,
    )


def _services(alert: sa.Row[Any]) -> tuple[str, ...]:
    if alert.source == PROCESS_SOURCE:
        return SERVICES_OF_PROCESS.get(alert.subject, ())
    return (service_of_subject(alert.subject),) if alert.source == SERVICE_SOURCE else ()


def _read_ended_causes(
    connection: sa.Connection, alerts: Sequence[sa.Row[Any]], causes: Mapping[int, int]
) -> dict[int, dt.datetime]:
    """When causes that alerts had at the last look were gone."""
    table = system_alerts
    former = {alert.inhibited_by for alert in alerts if alert.alert_id not in causes} - {None}
    if not former:
        return {}
    rows = connection.execute(
        sa.select(table.c.alert_id, table.c.resolved_at).where(
            table.c.alert_id.in_(former), table.c.state == "resolved"
        )
    )
    return {row.alert_id: row.resolved_at for row in rows}


@dataclass(frozen=True)
class _Plan:
    """What decides about each alert.

    Attributes:
        silences: Those in force.
        causes: Alerts that have a cause, with it.
        effects: Causes, with the worst severity of what they bring about.
        ended_causes: When causes that alerts had before were gone.
        now: The present moment.
    """

    silences: Collection[Silence]
    causes: Mapping[int, int]
    effects: Mapping[int, Severity]
    ended_causes: Mapping[int, dt.datetime]
    now: dt.datetime

    def step(self, alert: sa.Row[Any]) -> _Step:
        """What is to be done with one alert."""
        severity = max(alert.severity, self.effects.get(alert.alert_id, alert.severity), key=rank)
        silenced_by = silence_of(
            self.silences, owner=alert.owner, source=alert.source, subject=alert.subject, severity=severity
        )
        inhibited_by = self.causes.get(alert.alert_id) or self._ended_cause(alert)
        is_quiet = silenced_by is not None or inhibited_by is not None
        return _Step(
            alert,
            severity,
            silenced_by,
            inhibited_by,
            tell=None if is_quiet else self._news(alert, severity),
            is_over=alert.calm_since is not None and self.now - alert.calm_since >= FLAPPING_CALM,
        )

    def _ended_cause(self, alert: sa.Row[Any]) -> int | None:
        """The cause that is gone, while its effect may be about to go as well."""
        ended_at = self.ended_causes.get(alert.inhibited_by)
        if ended_at is None or alert.last_seen_at > ended_at or self.now - ended_at >= AFTER_CAUSE_WAIT:
            return None
        return int(alert.inhibited_by)

    def _news(
        self, alert: sa.Row[Any], severity: Severity
    ) -> Literal["opened", "escalated", "reminder"] | None:
        if alert.calm_since is not None:
            return None
        if alert.told_severity is None:
            return "opened"
        if rank(severity) > rank(alert.told_severity):
            return "escalated"
        if alert.acknowledged_until is not None and alert.acknowledged_until > self.now:
            return None
        remind_after = REMIND_AFTER.get(severity)
        is_due = remind_after is not None and self.now - alert.told_at >= remind_after
        return "reminder" if is_due else None


def _lock(connection: sa.Connection, steps: Sequence[_Step]) -> list[_Step]:
    """The steps whose alerts nobody else is changing or has changed since; the others are left to the next look.

    Waiting for them would be no better, and could be for ever: who raises several alerts holds them in any order.
    """
    table = system_alerts
    columns = [table.c[name] for name in _LOOKED_AT]
    ids = sa.any_(sa.cast([step.alert.alert_id for step in steps], pg.ARRAY(sa.BigInteger)))
    rows = connection.execute(
        sa.select(*columns)
        .where(table.c.alert_id == ids, table.c.state == "open")
        .with_for_update(skip_locked=True, key_share=True)
    )
    locked = {row.alert_id: row for row in rows}
    return [step for step in steps if locked.get(step.alert.alert_id) == step.alert]


def _take(connection: sa.Connection, steps: Sequence[_Step], now: dt.datetime) -> Sequence[_Step]:
    """Do what is to be done."""
    table = system_alerts
    quieted = [step.alert.alert_id for step in steps if step.is_quieted]
    withdrawn = withdraw(connection, quieted) if quieted else {}
    for step in steps:
        if step.is_over:
            resolve_alert(
                connection,
                fingerprint=step.alert.fingerprint,
                now=now,
                reason="the cause is gone and has not come back for a while",
            )
            continue
        changes: dict[str, Any] = {
            "severity": step.severity,
            "silenced_by": step.silenced_by,
            "inhibited_by": step.inhibited_by,
        }
        if step.alert.alert_id in withdrawn:
            changes["told_severity"] = withdrawn[step.alert.alert_id]
        changed = connection.execute(
            sa.update(table)
            .where(table.c.alert_id == step.alert.alert_id)
            .values(**changes)
            .returning(*table.c)
        ).one()
        if step.tell is not None:
            tell(connection, changed, step.tell, now=now)
    return steps
