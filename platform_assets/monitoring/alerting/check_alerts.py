"""Alerts from asset checks: one for each check whose service level is broken, gone when it is kept again.

How checks stand is `states.py`'s business. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.alerting.exposure import ImpactReader
from platform_assets.monitoring.alerting.rules import Problem
from platform_assets.monitoring.alerting.severity import SEVERITIES, Severity, rank
from platform_assets.monitoring.checking.model import NOT_EVALUATED, TOLD_BY, CheckState, State
from platform_assets.tables.monitoring import system_alerts
from platform_assets.thresholds import Severity as CheckSeverity

CHECK_SOURCE = "asset_check"
SERVICE_SOURCE = "service"

HEALTH_ASSET, HEALTH_SUFFIX = "service_health_metrics", "_health"
"""A service's check is `<service>_health` of this asset; what uses the service is broken because of it."""


@dataclass(frozen=True)
class Told:
    """What came of looking at the checks: occurrences raised and alerts resolved."""

    raised_count: int
    resolved_count: int


def alert_on_checks(
    database: Database, states: Collection[CheckState], impacts: ImpactReader, *, now: dt.datetime
) -> Told:
    """Bring the alerts of checks in line with how the checks stand.

    A failed evaluation is one occurrence, however often it is looked at. A check that could not be evaluated raises
    nothing: the run that failed has an alert of its own, which is the cause. Nor does one that has nothing to measure
    yet. An alert on a check that there is no longer is resolved.

    Args:
        database: Where alerts are kept.
        states: Every check there is.
        impacts: Says how severe a broken check is.
        now: The present moment.
    """
    evaluated_by = _read_evaluations(database)
    raised = resolved = 0
    for check in states:
        fingerprint = _fingerprint(check)
        if check.last_passed and not check.is_failing:
            if fingerprint in evaluated_by:
                resolved += _resolve(database, fingerprint, now, "the service level is kept again")
        elif check.state is State.FAILED and not {NOT_EVALUATED, TOLD_BY} & check.details.keys():
            # An evaluation is known by its run, since clocks may be turned back.
            if fingerprint in evaluated_by and evaluated_by[fingerprint] == check.run_id:
                continue
            _raise(database, check, impacts, now)
            raised += 1
    for fingerprint in evaluated_by.keys() - {_fingerprint(check) for check in states}:
        resolved += _resolve(database, fingerprint, now, "there is no such check any more")
    return Told(raised, resolved)


def service_of_subject(subject: str) -> str:
    """The service that an alert of source `service` is about."""
    return subject.removeprefix(f"{HEALTH_ASSET}:").removesuffix(HEALTH_SUFFIX)


def _fingerprint(check: CheckState) -> str:
    return f"check:{check.asset}:{check.check}"


def _read_evaluations(database: Database) -> dict[str, str | None]:
    """Fingerprints of the open alerts on checks, with the run of the evaluation that was counted last."""
    table = system_alerts
    query = sa.select(table.c.fingerprint, table.c.details["run_id"].astext.label("run_id")).where(
        table.c.state == "open", table.c.fingerprint.startswith("check:")
    )
    with database.transaction() as connection:
        return {row.fingerprint: row.run_id for row in connection.execute(query)}


def _resolve(database: Database, fingerprint: str, now: dt.datetime, reason: str) -> bool:
    with database.transaction() as connection:
        return resolve_alert(connection, fingerprint=fingerprint, now=now, reason=reason)


def _raise(database: Database, check: CheckState, impacts: ImpactReader, now: dt.datetime) -> None:
    sign = {"at_least": "≥", "at_most": "≤", None: ""}[check.direction]
    value = (
        "could not be measured" if check.value is None else f"is {check.value:g} {check.unit or ''}".strip()
    )
    level = f", service level {sign} {check.threshold:g}" if check.threshold is not None else ""
    service = _service(check)
    assets = (check.asset,) if service is None else impacts.topology.assets_of_service(service)
    impact = impacts.assess(_problem(check, is_service=service is not None), assets)
    with database.transaction() as connection:
        raise_alert(
            connection,
            fingerprint=_fingerprint(check),
            severity=_severity(check, impact.severity),
            source=CHECK_SOURCE if service is None else SERVICE_SOURCE,
            subject=f"{check.asset}:{check.check}",
            owner=check.details.get("promised_by") or check.owner or "nobody",
            title=f"{check.asset}: {check.check} {value}{level}",
            details={
                "value": check.value,
                "threshold": check.threshold,
                "unit": check.unit,
                "reason": check.reason,
                **check.details,
                "run_id": check.run_id,
            },
            now=now,
            seen_at=check.evaluated_at,
            assets=assets,
            impact=impact.as_json(),
        )


def _severity(check: CheckState, by_impact: Severity) -> Severity:
    """That of its impact, or the check's own where it is worse: an error budget says how fast it burns."""
    own = check.details.get("alert_severity")
    return max(by_impact, own, key=rank) if own in SEVERITIES else by_impact


def _service(check: CheckState) -> str | None:
    is_health = check.asset == HEALTH_ASSET and check.check.endswith(HEALTH_SUFFIX)
    return check.check.removesuffix(HEALTH_SUFFIX) if is_health else None


def _problem(check: CheckState, *, is_service: bool) -> Problem:
    if check.severity is not CheckSeverity.ERROR:
        return Problem.CHECK_WARNING
    return Problem.SERVICE if is_service else Problem.CHECK_ERROR
