"""Measures how fast events that wait are delivered: `python -m benchmarks.notifications --events 5000 --json`.

On an embedded Postgres in a folder of its own, through Apprise to a webhook on this machine: all events of one team, which
are one message, then as many events of many teams, which are one message each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.clients.notifier import Message, Notifier
from platform_assets.communications.channels import Channels
from platform_assets.communications.delivery import deliver_due
from platform_assets.migrations import migrate
from platform_assets.monitoring.alerting import alerts
from platform_assets.monitoring_thresholds import GROUP_WAIT
from platform_assets.notification_settings import Channel, ChannelBook, Route

_TEAMS = 100
_NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)

_ALERTS = sa.text(
    "INSERT INTO monitoring.system_alerts (fingerprint, severity, source, subject, owner, title, details,"
    " occurrences_count, first_seen_at, last_seen_at) SELECT :name || n, 'high', 'run', 'a_job',"
    " 'team:' || :name || n % :teams, 'Problem ' || n, '{}', 1, :now, :now FROM generate_series(1, :events) n"
)
_EVENTS = sa.text(
    "INSERT INTO monitoring.notification_outbox (dedupe_key, alert_id, owner, severity, body, created_at, due_at)"
    " SELECT 'alert:' || alert_id, alert_id, owner, severity, jsonb_build_object('title', title, 'source', source,"
    " 'subject', subject, 'details', details), :now, :now FROM monitoring.system_alerts"
    " WHERE fingerprint LIKE :name || '%'"
)


@dataclass(frozen=True)
class Delivered:
    """What was measured.

    Attributes:
        events: Events that waited, in each of the two rounds.
        one_team_messages: Messages that those of one team made.
        one_team_s: From the look at the outbox to the last receipt, in seconds.
        many_teams_messages: Messages that those of many teams made.
        many_teams_s: The same for these.
        idle_ms: A look at an outbox with nothing due, in milliseconds.
        undelivered: Events that were not told in the end.
    """

    events: int
    one_team_messages: int
    one_team_s: float
    many_teams_messages: int
    many_teams_s: float
    idle_ms: float
    undelivered: int


@contextmanager
def _webhook() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def measure(database: Database, address: str, events_count: int) -> Delivered:
    """Deliver two rounds of events."""
    book = ChannelBook(
        {"hook": Channel("hook", lambda: address, messages_per_minute=600)}, (Route(("hook",)),)
    )
    channels = Channels(book, Notifier(timeout_s=10).send, alerts)
    # Apprise is loaded when it is first used: once in the life of a process.
    channels.send("hook", address, Message("warm", "A first message", "text", "<p>text</p>"))
    one_messages, one_s = _round(database, channels, "one", events_count, teams=1)
    many_messages, many_s = _round(database, channels, "many", events_count, teams=_TEAMS)
    started = time.perf_counter()
    deliver_due(database, channels, now=_NOW + GROUP_WAIT)
    idle_ms = (time.perf_counter() - started) * 1000
    left = database.read(
        sa.text("SELECT count(*) AS n FROM monitoring.notification_outbox WHERE state <> 'sent'")
    )
    return Delivered(
        events_count,
        one_messages,
        round(one_s, 2),
        many_messages,
        round(many_s, 2),
        round(idle_ms, 2),
        int(left["n"].iloc[0]),
    )


def _round(
    database: Database, channels: Channels, name: str, events_count: int, *, teams: int
) -> tuple[int, float]:
    with database.transaction() as connection:
        connection.execute(_ALERTS, {"name": name, "teams": teams, "now": _NOW, "events": events_count})
        connection.execute(_EVENTS, {"name": name, "now": _NOW})
    started = time.perf_counter()
    report = deliver_due(database, channels, now=_NOW + GROUP_WAIT)
    return report.sent, time.perf_counter() - started


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-") as home, _webhook() as address:
        url = ensure_postgres(Path(home)).url()
        migrate.upgrade(url)
        database = Database(url)
        try:
            measured = asdict(measure(database, address, arguments.events))
        finally:
            database.close()
            stop_postgres(Path(home))
    if arguments.json:
        print(json.dumps(measured))
    else:
        for name, value in measured.items():
            print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
