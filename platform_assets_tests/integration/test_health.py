"""`platform-assets health` says at once what is wrong, whatever hangs, and starts nothing."""

import contextlib
import datetime as dt
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import postgres_status
from platform_assets.monitoring.runs.processes import process_start
from platform_assets.settings import Settings
from platform_assets.supervision.health import Finding, examine_health, is_healthy
from platform_assets.supervision.health_server import serving_health
from platform_assets.supervision.status import (
    ProcessStatus,
    SupervisorStatus,
    read_status,
    status_path,
    write_status,
)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        yield int(listener.getsockname()[1])


def production(home: Path, url: str, **more: object) -> Settings:
    return Settings(home=home, database_url=url, dagster_database_url=url, **more)


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def a_status(**changes: object) -> SupervisorStatus:
    values = {
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
        "host": "127.0.0.1",
        "port": None,
        "written_at": time.time(),
        "processes": [ProcessStatus("daemon", "The daemon", 17, True, 0.5, 0)],
        **changes,
    }
    return SupervisorStatus(**values)


@pytest.fixture
def dagster_tables(database: Database) -> Database:
    """What health reads of Dagster's storage."""
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE daemon_heartbeats (timestamp timestamp)")
        connection.exec_driver_sql("CREATE TABLE job_ticks (type text, timestamp timestamp)")
    return database


def beat_and_tick(database: Database, *, seconds_ago: float) -> None:
    moment = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(seconds=seconds_ago)
    with database.transaction() as connection:
        connection.execute(sa.text("INSERT INTO daemon_heartbeats VALUES (:at)"), {"at": moment})
        connection.execute(sa.text("INSERT INTO job_ticks VALUES ('SCHEDULE', :at)"), {"at": moment})


def test_all_is_well(tmp_path, dagster_tables, database_url):
    beat_and_tick(dagster_tables, seconds_ago=5)
    write_status(tmp_path, a_status())

    findings = by_subject(examine_health(production(tmp_path, database_url), answer_s=10))

    assert {finding.state for finding in findings.values()} == {"ok"}, findings
    assert set(findings) >= {
        "supervisor",
        "daemon",
        "database",
        "daemon heartbeats",
        "schedules",
        "notifications",
    }


def test_a_daemon_that_stopped_beating_is_told(tmp_path, dagster_tables, database_url):
    beat_and_tick(dagster_tables, seconds_ago=3_000)

    findings = by_subject(examine_health(production(tmp_path, database_url), answer_s=10))

    assert findings["daemon heartbeats"].state == findings["schedules"].state == "problem"
    assert findings["supervisor"].state == "off", "another orchestrator may do its work"


def test_a_daemon_that_never_ran_is_told(tmp_path, dagster_tables, database_url):
    findings = by_subject(examine_health(production(tmp_path, database_url), answer_s=10))

    assert findings["daemon heartbeats"].message == "no daemon has ever run here"


def test_notifications_that_wait_for_too_long_are_told(tmp_path, database, database_url):
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO monitoring.system_alerts (fingerprint, severity, source, subject, owner, title, details,"
            " occurrences_count, first_seen_at, last_seen_at) VALUES ('f', 'low', 's', 's', 'o', 't', '{}', 1, now(), now())"
        )
        connection.exec_driver_sql(
            "INSERT INTO monitoring.notification_outbox (dedupe_key, alert_id, body, created_at, due_at, kind, owner, severity)"
            " SELECT 'k', alert_id, '{}', now(), now() - interval '1 hour', 'opened', 'o', 'low'"
            " FROM monitoring.system_alerts"
        )

    findings = by_subject(examine_health(production(tmp_path, database_url), answer_s=10))

    assert findings["notifications"].state == "problem"
    assert "1 are waiting" in findings["notifications"].message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"process_start": "another process's"}, "has ended"),
        ({"written_at": time.time() - 600}, "has done nothing for"),
    ],
)
def test_a_supervisor_that_died_or_hangs_is_told(tmp_path, database_url, changes, text):
    write_status(tmp_path, a_status(**changes))

    findings = by_subject(examine_health(production(tmp_path, database_url), answer_s=10))

    assert findings["supervisor"].state == "problem"
    assert text in findings["supervisor"].message


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"processes": 1}', '{"processes": [], "more": 1}'])
def test_a_status_of_another_version_is_none(tmp_path, content):
    status_path(tmp_path).write_text(content, encoding="utf-8")

    assert read_status(tmp_path) is None


def test_the_answer_comes_in_time_when_everything_hangs(tmp_path, silent_server):
    write_status(tmp_path, a_status(port=silent_server))
    url = f"postgresql://someone:a-secret@127.0.0.1:{silent_server}/database"
    began = time.monotonic()

    findings = examine_health(production(tmp_path, url))

    assert time.monotonic() - began < 2
    # What its file says of the supervisor needs nobody's answer, and may come in time beside the silent UI.
    known = {"supervisor", *(process.name for process in a_status(port=silent_server).processes)}
    assert {finding.subject for finding in findings if finding.state != "problem"} <= known
    assert not is_healthy(findings)
    assert "a-secret" not in str(findings)


def test_the_command_exits_with_1_and_starts_nothing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORM_")}
    answer = subprocess.run(
        [sys.executable, "-m", "platform_assets.cli", "health", "--json"],
        env={**environment, "PLATFORM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert answer.returncode == 1, answer.stderr
    content = json.loads(answer.stdout)
    assert content["is_healthy"] is False
    assert "does not run" in str(content["findings"])
    assert postgres_status(tmp_path / "home").state == "absent"


def test_it_is_answered_over_http_too(tmp_path, dagster_tables, database_url):
    settings = production(tmp_path, database_url)
    with serving_health(settings, host="127.0.0.1", port=0) as port:
        assert ask(port, "/health")[0] == http.client.SERVICE_UNAVAILABLE
        beat_and_tick(dagster_tables, seconds_ago=5)
        status, body = ask(port, "/health")
        assert ask(port, "/other")[0] == http.client.NOT_FOUND

    assert status == http.client.OK
    assert json.loads(body)["is_healthy"] is True


def ask(port: int, path: str) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
