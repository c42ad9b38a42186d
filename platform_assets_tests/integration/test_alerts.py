import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import RaisedAlert, raise_alert, resolve_alert
from platform_assets.tables.monitoring import notification_outbox, system_alerts

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def stale(connection: sa.Connection, **changes: Any) -> RaisedAlert:
    alert = {
        "fingerprint": "check:matches:freshness",
        "severity": "medium",
        "source": "asset_check",
        "subject": "matches",
        "owner": "team:matching",
        "title": "Matches are 3 hours old",
        "details": {"age_hours": 3},
        "now": NOON,
    }
    return raise_alert(connection, **(alert | changes))


def alerts(database: Database) -> list[dict[str, Any]]:
    return database.read(sa.select(system_alerts).order_by(system_alerts.c.alert_id)).to_dict("records")


def told(database: Database) -> list[tuple[str, str]]:
    """What was queued to be told: the kind of news, and the severity that it tells of."""
    table = notification_outbox
    events = database.read(sa.select(table).order_by(table.c.notification_id))
    assert [body["severity"] for body in events["body"]] == events["severity"].tolist()
    return list(zip(events["kind"], events["severity"]))


def test_a_problem_is_one_alert_however_often_it_is_raised(database: Database) -> None:
    later = NOON + dt.timedelta(hours=1)
    with database.transaction() as connection:
        first = stale(connection)
        second = stale(connection, title="Matches are 4 hours old", details={"age_hours": 4}, now=later)

    assert first == RaisedAlert(second.alert_id, is_new=True, occurrences_count=1)
    assert (second.is_new, second.occurrences_count) == (False, 2)
    [alert] = alerts(database)
    assert (alert["title"], alert["details"]) == ("Matches are 4 hours old", {"age_hours": 4})
    assert (alert["first_seen_at"], alert["last_seen_at"]) == (NOON, later)
    assert told(database) == [("opened", "medium")]


def test_severity_only_rises_while_open_and_each_rise_is_told_once(database: Database) -> None:
    with database.transaction() as connection:
        for severity in ("medium", "low", "critical", "high", "critical"):
            stale(connection, severity=severity)

    assert [alert["severity"] for alert in alerts(database)] == ["critical"]
    assert told(database) == [("opened", "medium"), ("escalated", "critical")]


def test_a_late_report_does_not_turn_back_time(database: Database) -> None:
    with database.transaction() as connection:
        stale(connection)
        stale(connection, now=NOON - dt.timedelta(minutes=5))

    assert alerts(database)[0]["last_seen_at"] == NOON


def test_a_resolved_problem_that_returns_is_a_new_alert(database: Database) -> None:
    with database.transaction() as connection:
        first = stale(connection)
        assert resolve_alert(connection, fingerprint="check:matches:freshness", now=NOON)
        assert not resolve_alert(connection, fingerprint="check:matches:freshness", now=NOON)
        again = stale(connection)

    assert again.is_new
    assert again.alert_id != first.alert_id
    assert [alert["state"] for alert in alerts(database)] == ["resolved", "open"]
    assert told(database) == [("opened", "medium"), ("resolved", "medium"), ("opened", "medium")]


def test_racing_reporters_open_one_alert(database: Database) -> None:
    start = threading.Barrier(6)

    def report(_: int) -> RaisedAlert:
        with database.transaction() as connection:
            start.wait()
            return stale(connection)

    with ThreadPoolExecutor(6) as pool:
        raised = list(pool.map(report, range(6)))

    assert sum(alert.is_new for alert in raised) == 1
    assert sorted(alert.occurrences_count for alert in raised) == [1, 2, 3, 4, 5, 6]
    assert told(database) == [("opened", "medium")]


def test_an_alert_goes_with_its_transaction(database: Database) -> None:
    with pytest.raises(InterruptedError), database.transaction() as connection:
        stale(connection)
        raise InterruptedError

    assert alerts(database) == []
    assert told(database) == []


def test_secrets_reach_neither_alert_nor_notification(database: Database) -> None:
    with database.transaction() as connection:
        stale(
            connection,
            title="can't reach postgresql://app:hunter2@db/prod",
            details={
                "error": "GET /?api_key=hunter2",
                "stripe_token": "hunter2",
                "nested": [{"password": "hunter2"}],
            },
        )

    rows = database.read(
        sa.text(
            "SELECT a::text || o::text AS row FROM monitoring.system_alerts a, monitoring.notification_outbox o"
        )
    )
    assert "hunter2" not in rows["row"][0]
    assert "postgresql://app:" in rows["row"][0]


def test_whatever_was_measured_can_be_told(database: Database) -> None:
    details = {
        "ratio": float("nan"),
        "count": np.int64(3),
        "at": NOON,
        "text": "a\x00b",
        "values": np.array([1.5]),
    }
    with database.transaction() as connection:
        stale(connection, title="odd \x00 title", details=details)

    assert alerts(database)[0]["details"] == {
        "ratio": "nan",
        "count": 3,
        "at": "2026-11-01T12:00:00+00:00",
        "text": "a\\x00b",
        "values": [1.5],
    }


def test_an_unknown_severity_is_refused(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(ValueError, match="no severity"):
        stale(connection, severity="apocalyptic")
