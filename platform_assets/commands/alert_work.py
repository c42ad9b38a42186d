"""`platform-assets alerts`: reads and changes alerts and silences. How they are shown stands in `alert_views.py`."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from rich.console import Console

from platform_assets.clients.database import Database
from platform_assets.commands import alert_views
from platform_assets.commands.alert_views import matchers_text
from platform_assets.commands.showing import length_text, moment_text, say
from platform_assets.monitoring.alerting import handling, silences
from platform_assets.monitoring.alerting.severity import Severity
from platform_assets.monitoring.alerting.silences import Matchers
from platform_assets.monitoring.redaction import redact_text
from platform_assets.settings import Settings

_POLL_S = 1.0
_DELIVERED, _UNDELIVERED = "sent", ("failed", "dropped")


@contextmanager
def _connected(settings: Settings) -> Iterator[sa.Connection]:
    """One transaction."""
    with _opened(settings) as database, database.transaction() as connection:
        yield connection


def _opened(settings: Settings) -> Database:
    from platform_assets.resources import open_database

    return open_database(settings)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def show_list(settings: Settings, filters: handling.Filters, *, limit: int, as_json: bool) -> None:
    """Print alerts."""
    with _connected(settings) as connection:
        page = handling.read_alerts(connection, filters, limit=limit)
    alert_views.print_list(page, filters, now=_now(), as_json=as_json)


def show_alert(settings: Settings, alert_id: int, *, as_json: bool) -> None:
    """Print everything known of an alert."""
    with _connected(settings) as connection:
        alert = handling.read_alert(connection, alert_id)
        effects = handling.read_effects(connection, alert_id)
        news = handling.read_news(connection, alert_id)
    alert_views.print_alert(alert, effects, news, now=_now(), as_json=as_json)


def acknowledge(
    settings: Settings, alert_ids: Collection[int], *, length: dt.timedelta, reason: str, author: str
) -> None:
    """Take alerts on for a while."""
    now = _now()
    with _connected(settings) as connection:
        handling.acknowledge(connection, alert_ids, by=author, reason=reason, until=now + length, now=now)
    say(f"{_alerts(alert_ids)} acknowledged by {author} until {moment_text(now + length)}.")


def resolve(settings: Settings, alert_ids: Collection[int], *, reason: str, author: str) -> None:
    """Close alerts by hand."""
    with _connected(settings) as connection:
        handling.close(connection, alert_ids, by=author, reason=reason, now=_now())
    say(f"{_alerts(alert_ids)} resolved by {author}.")


def silence(
    settings: Settings,
    alert_id: int | None,
    matchers: Matchers,
    *,
    length: dt.timedelta,
    delay: dt.timedelta,
    reason: str,
    author: str,
) -> None:
    """Keep a silence, of an alert's subject or of whatever fits, and let it hold at once."""
    now = _now()
    starts_at, ends_at = now + delay, now + delay + length
    with _opened(settings) as database:
        with database.transaction() as connection:
            if alert_id is not None:
                matchers = _matchers_of(handling.read_alert(connection, alert_id), matchers.max_severity)
            silence_id = silences.add_silence(
                connection,
                matchers,
                author=redact_text(author),
                reason=redact_text(reason),
                starts_at=starts_at,
                ends_at=ends_at,
                now=now,
            )
        quiet_count = _look_after(settings, database, now).get(silence_id, 0)
    say(
        f"Silence {silence_id} holds from {moment_text(starts_at)} to {moment_text(ends_at)}: {matchers_text(matchers)}."
    )
    if not delay:
        say(f"It keeps {quiet_count:,} open alert{'' if quiet_count == 1 else 's'} quiet now.")
    say(f"Take it back with: platform-assets alerts unsilence {silence_id}")


def unsilence(settings: Settings, silence_ids: Collection[int], *, author: str) -> None:
    """Take silences back, all of them or none.

    Raises:
        UnknownAlertError: One of them is not there or over.
    """
    now = _now()
    with _opened(settings) as database:
        with database.transaction() as connection:
            for silence_id in silence_ids:
                if not silences.cancel_silence(connection, silence_id, by=redact_text(author), now=now):
                    raise handling.UnknownAlertError(
                        f"There is no silence {silence_id} that holds or is to come. `platform-assets alerts silences` lists them."
                    )
        _look_after(settings, database, now)
    say(f"{len(silence_ids)} silence{'' if len(silence_ids) == 1 else 's'} taken back by {author}.")


def show_silences(settings: Settings, *, as_json: bool) -> None:
    """Print the silences that hold or are to come."""
    now = _now()
    with _connected(settings) as connection:
        found = silences.read_silences(connection, now=now, with_future=True)
        quiet = handling.count_quiet(connection)
    alert_views.print_silences(found, quiet, now=now, as_json=as_json)


def test_delivery(
    settings: Settings, *, severity: Severity, owner: str, wait: dt.timedelta | None, author: str
) -> int:
    """Raise a test alert, wait for its delivery where that is wished; gives the exit status."""
    with _opened(settings) as database:
        with database.transaction() as connection:
            alert_id = handling.raise_test_alert(
                connection, by=author, severity=severity, owner=owner, now=_now()
            )
        say(f"Alert {alert_id} is open and queued to be told to {owner} as {severity}.")
        state = None if wait is None else _wait_for_delivery(database, alert_id, wait)
    if wait is None:
        say(f"See whether it was delivered: platform-assets alerts show {alert_id}")
    elif state == _DELIVERED:
        say("It was delivered.")
    else:
        why = (
            "No channel took it"
            if state in _UNDELIVERED
            else f"It was not delivered within {length_text(wait)}"
        )
        say(
            f"{why}. Is the daemon running (platform-assets ui)? `platform-assets doctor` says how the channels stand."
        )
    say(f"Close it with: platform-assets alerts resolve {alert_id} --reason test")
    return 0 if wait is None or state == _DELIVERED else 1


def _wait_for_delivery(database: Database, alert_id: int, wait: dt.timedelta) -> str:
    console = Console(stderr=True)
    ends_at = time.monotonic() + wait.total_seconds()
    with console.status("Waiting for its delivery …"):
        while True:
            with database.transaction() as connection:
                news = handling.read_news(connection, alert_id)
            state = str(news[-1].state) if news else "pending"
            if state == _DELIVERED or state in _UNDELIVERED or time.monotonic() >= ends_at:
                return state
            time.sleep(_POLL_S)


def _look_after(settings: Settings, database: Database, now: dt.datetime) -> Mapping[int, int]:
    """Let a change of the silences take effect at once; gives how many open alerts each silence keeps quiet."""
    from platform_assets.definitions import build_definitions
    from platform_assets.monitoring.alerting.topology import read_topology
    from platform_assets.monitoring.alerting.upkeep import look_after_alerts

    topology = read_topology(build_definitions(settings).resolve_asset_graph())
    look_after_alerts(database, topology, now=now)
    with database.transaction() as connection:
        return handling.count_quiet(connection)


def _matchers_of(alert: sa.Row[Any], max_severity: Severity | None) -> Matchers:
    # Brackets and stars of a subject are meant as they are.
    literal = "".join(f"[{char}]" if char in "*?[" else char for char in alert.subject)
    return Matchers(source=alert.source, subject_glob=literal, max_severity=max_severity)


def _alerts(alert_ids: Collection[int]) -> str:
    names = ", ".join(map(str, alert_ids))
    return f"Alert {names} is" if len(alert_ids) == 1 else f"Alerts {names} are"
