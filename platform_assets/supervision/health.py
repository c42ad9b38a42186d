"""`platform-assets health`: is the platform alive, for a watcher outside of it that must get an answer at once.

Everything is asked at the same time and given up after a moment, nothing is started, and nothing heavy is imported.
What is wrong with the data is the checks' to say; what is configured wrongly, the doctor's.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import psycopg
from sqlalchemy.engine import make_url

from platform_assets.failures import explain
from platform_assets.recovery_thresholds import DAEMON_SILENT_S, OUTBOX_LATE_S, TICKS_LATE_S
from platform_assets.settings import Settings
from platform_assets.supervision.http_probe import answers_http
from platform_assets.supervision.status import STALE_S, read_status

ANSWER_S = 1.2
"""Longest wait for all answers together; with the start of Python the command ends within 2 s."""


@dataclass(frozen=True)
class Finding:
    """How one part of the platform stands.

    Attributes:
        subject: The part.
        state: `ok`, `problem`, or `off` when it is not there on purpose.
        message: What was seen.
    """

    subject: str
    state: Literal["ok", "problem", "off"]
    message: str


Look = Callable[[], list[Finding]]


def examine_health(settings: Settings, *, answer_s: float = ANSWER_S) -> list[Finding]:
    """Look at everything at once; what does not answer in time is a problem.

    Args:
        settings: The settings.
        answer_s: Longest wait for all of it.
    """
    looks: dict[str, Look] = {
        "supervisor": lambda: _supervisor(settings),
        "database": lambda: _database(settings),
        "daemon": lambda: _dagster(settings),
        "notifications": lambda: _notifications(settings),
    }
    found: dict[str, list[Finding]] = {}
    threads = []
    for subject, look in looks.items():
        # Left behind when it hangs: it ends with the process.
        thread = threading.Thread(target=_keep, args=(found, subject, look), daemon=True)
        thread.start()
        threads.append(thread)
    deadline = time.monotonic() + answer_s
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))
    silent = f"gave no answer within {answer_s:.1f} s"
    return [
        finding for subject in looks for finding in found.get(subject, [Finding(subject, "problem", silent)])
    ]


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether there is no problem."""
    return all(finding.state != "problem" for finding in findings)


def render_json(findings: Sequence[Finding], *, now: dt.datetime) -> str:
    """The answer for a program."""
    return json.dumps(
        {
            "is_healthy": is_healthy(findings),
            "checked_at": now.isoformat(),
            "findings": [asdict(finding) for finding in findings],
        }
    )


def _keep(found: dict[str, list[Finding]], subject: str, look: Look) -> None:
    try:
        found[subject] = look()
    except Exception as error:
        # A text could hold a secret, unless it is one of ours.
        found[subject] = [
            Finding(subject, "problem", explain(error) or f"failed with {type(error).__name__}")
        ]


def _supervisor(settings: Settings) -> list[Finding]:
    status = read_status(settings.home)
    if status is None:
        return [Finding("supervisor", "off", f"none is at work in {settings.home}")]
    if not status.is_alive:
        return [Finding("supervisor", "problem", f"process {status.pid} has ended: platform-assets serve")]
    if status.age_s > STALE_S:
        return [
            Finding(
                "supervisor", "problem", f"process {status.pid} has done nothing for {status.age_s:.0f} s"
            )
        ]
    findings = [Finding("supervisor", "ok", f"process {status.pid}")]
    for process in status.processes:
        ends = f"; ended {process.ends_count} times in the last minutes" if process.ends_count else ""
        state: Literal["ok", "problem"] = "ok" if process.is_up else "problem"
        text = f"process {process.pid}" if process.is_up else "does not answer (yet)"
        findings.append(Finding(process.name, state, text + ends))
    if status.port is not None:
        answers = answers_http(status.host, status.port, timeout_s=ANSWER_S)
        address = f"http://{status.host}:{status.port}"
        findings.append(
            Finding("ui", "ok", address)
            if answers
            else Finding("ui", "problem", f"{address} does not answer")
        )
    return findings


def _database(settings: Settings) -> list[Finding]:
    started = time.monotonic()
    _read(settings, "platform", "SELECT 1")
    return [Finding("database", "ok", f"answered within {(time.monotonic() - started) * 1000:.0f} ms")]


def _dagster(settings: Settings) -> list[Finding]:
    # Dagster keeps times without a zone, in UTC.
    beats = _read(
        settings,
        "dagster",
        "SELECT count(*), extract(epoch FROM now() AT TIME ZONE 'UTC' - min(timestamp)) FROM daemon_heartbeats",
    )
    ticks = _read(
        settings,
        "dagster",
        "SELECT extract(epoch FROM now() AT TIME ZONE 'UTC' - max(timestamp)) FROM job_ticks WHERE type = 'SCHEDULE'",
    )
    return [
        _age("daemon heartbeats", beats[1], DAEMON_SILENT_S, none="no daemon has ever run here"),
        _age("schedules", ticks[0], TICKS_LATE_S, none="no schedule has ticked yet"),
    ]


def _notifications(settings: Settings) -> list[Finding]:
    waiting = _read(
        settings,
        "platform",
        "SELECT count(*), extract(epoch FROM now() - min(due_at)) FROM monitoring.notification_outbox"
        " WHERE state = 'pending' AND due_at <= now()",
    )
    if not waiting[0]:
        return [Finding("notifications", "ok", "none is waiting")]
    finding = _age("notifications", waiting[1], OUTBOX_LATE_S, none="")
    return [
        Finding(finding.subject, finding.state, f"{waiting[0]} are waiting, the oldest due {finding.message}")
    ]


def _age(subject: str, age_s: Any, limit_s: float, *, none: str) -> Finding:
    if age_s is None:
        return Finding(subject, "problem", none)
    age_s = max(0.0, float(age_s))
    if age_s > limit_s:
        return Finding(subject, "problem", f"{age_s:.0f} s ago, {limit_s:.0f} s at most")
    return Finding(subject, "ok", f"{age_s:.0f} s ago")


def _read(settings: Settings, database: Literal["platform", "dagster"], query: str) -> tuple[Any, ...]:
    """The one row of a query, over a connection of its own."""
    with psycopg.connect(_conninfo(settings, database), connect_timeout=2, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None  # every query here aggregates
    return row


def _conninfo(settings: Settings, database: Literal["platform", "dagster"]) -> str:
    if settings.database_url is None:
        from platform_assets.clients.embedded_postgres import EmbeddedPostgresError, find_postgres

        server = find_postgres(settings.home)
        if server is None:
            raise EmbeddedPostgresError("the embedded Postgres does not run: platform-assets ui")
        return f"host={server.socket_folder} user=postgres dbname={database}"
    secret = settings.database_url if database == "platform" else settings.dagster_database_url
    assert secret is not None  # load_settings has seen to it
    return (
        make_url(secret.get_secret_value()).set(drivername="postgresql").render_as_string(hide_password=False)
    )
