"""Alerts from asset checks: one for each check whose service level is broken, gone when it is kept again.

How checks stand is `states.py`'s business. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import Severity, raise_alert, resolve_alert
from platform_assets.monitoring.checking.model import NOT_EVALUATED, CheckState, State
from platform_assets.tables.monitoring import system_alerts
from platform_assets.thresholds import Severity as CheckSeverity

ALERT_SOURCE = "asset_check"


@dataclass(frozen=True)
class Told:
    """What came of looking at the checks: occurrences raised and alerts resolved."""

    raised_count: int
    resolved_count: int


def alert_on_checks(database: Database, states: Iterable[CheckState], *, now: dt.datetime) -> Told:
    """Bring the alerts of checks in line with how the checks stand.

    A failed evaluation is one occurrence, however often it is looked at. A check that could not be evaluated raises
    nothing: the run that failed has an alert of its own, which is the cause. Nor does one that has nothing to measure yet.
    """
    table = system_alerts
    open_alerts = database.read(
        sa.select(table.c.fingerprint, table.c.last_seen_at).where(
            table.c.state == "open", table.c.source == ALERT_SOURCE
        )
    )
    last_seen = dict(zip(open_alerts["fingerprint"], open_alerts["last_seen_at"]))
    raised = resolved = 0
    for check in states:
        fingerprint = f"check:{check.asset}:{check.check}"
        if check.last_passed and not check.is_failing:
            if fingerprint in last_seen:
                with database.transaction() as connection:
                    resolved += resolve_alert(connection, fingerprint=fingerprint, now=now)
        elif NOT_EVALUATED in check.details:
            continue
        elif check.state is State.FAILED and check.evaluated_at is not None:
            seen_at = last_seen.get(fingerprint)
            if seen_at is not None and check.evaluated_at <= seen_at:
                continue
            with database.transaction() as connection:
                _raise(connection, check, fingerprint, check.evaluated_at)
            raised += 1
    return Told(raised, resolved)


def _raise(connection: sa.Connection, check: CheckState, fingerprint: str, evaluated_at: dt.datetime) -> None:
    sign = {"at_least": "≥", "at_most": "≤", None: ""}[check.direction]
    value = (
        "could not be measured" if check.value is None else f"is {check.value:g} {check.unit or ''}".strip()
    )
    level = f", service level {sign} {check.threshold:g}" if check.threshold is not None else ""
    raise_alert(
        connection,
        fingerprint=fingerprint,
        severity=_severity(check),
        source=ALERT_SOURCE,
        subject=f"{check.asset}:{check.check}",
        owner=check.owner or "nobody",
        title=f"{check.asset}: {check.check} {value}{level}",
        details={
            "value": check.value,
            "threshold": check.threshold,
            "unit": check.unit,
            "reason": check.reason,
            "run_id": check.run_id,
            **check.details,
        },
        # The moment of the evaluation, not of the look at it: what was looked at is not counted again.
        now=evaluated_at,
    )


def _severity(check: CheckState) -> Severity:
    return "high" if check.severity is CheckSeverity.ERROR else "medium"
