"""`platform-assets alerts`: reads and changes alerts and silences, and shows them to people and to programs."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from platform_assets.clients.database import Database
from platform_assets.clients.jsonable import to_jsonable
from platform_assets.currencies import format_minor
from platform_assets.monitoring.alerting import handling, silences
from platform_assets.monitoring.alerting.severity import Severity, rank
from platform_assets.monitoring.alerting.silences import Matchers
from platform_assets.monitoring.redaction import redact_text
from platform_assets.settings import Settings

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}

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
    if as_json:
        _print_json({"total_count": page.total_count, "alerts": [_as_json(alert) for alert in page.alerts]})
        return
    console = Console(soft_wrap=False)
    now = _now()
    if not page.alerts:
        which = "alert" if filters.state is None else f"{filters.state} alert"
        console.print(f"There is no {which} of this kind.")
        return
    table = Table(title=f"Alerts, {now:%Y-%m-%d %H:%M} UTC")
    table.add_column("id", justify="right")
    table.add_column("severity")
    table.add_column("since", justify="right")
    table.add_column("times", justify="right")
    table.add_column("owner")
    table.add_column("what", ratio=1, overflow="fold")
    table.add_column("state", overflow="fold")
    for alert in page.alerts:
        table.add_row(
            str(alert.alert_id),
            f"[{STYLES[alert.severity]}]{alert.severity}[/]",
            _length(now - alert.first_seen_at),
            f"{alert.occurrences_count:,}",
            _plain(alert.owner.removeprefix("team:")),
            _plain(alert.title),
            _plain("; ".join(_standing(alert, now))),
        )
    console.print(table)
    if page.total_count > len(page.alerts):
        console.print(f"{page.total_count - len(page.alerts):,} more are not shown (--limit).")
    console.print("More of one: platform-assets alerts show ID", highlight=False)


def show_alert(settings: Settings, alert_id: int, *, as_json: bool) -> None:
    """Print everything known of an alert."""
    with _connected(settings) as connection:
        alert = handling.read_alert(connection, alert_id)
        effects = handling.read_effects(connection, alert_id)
        news = handling.read_news(connection, alert_id)
    if as_json:
        told = [
            {
                "kind": event.kind,
                "severity": event.severity,
                "state": event.state,
                "created_at": event.created_at,
                "sent_at": event.sent_at,
            }
            for event in news
        ]
        _print_json({**_as_json(alert), "effects": [each.alert_id for each in effects], "told": told})
        return
    now = _now()
    console = Console(soft_wrap=True)
    console.print(f"[{STYLES[alert.severity]}]{alert.severity}[/] [bold]{_plain(alert.title)}[/]")
    console.print(
        _fields(
            {
                "alert": f"{alert.alert_id}, {'; '.join(_standing(alert, now))}",
                "subject": f"{alert.subject} (raised by {alert.source})",
                "owner": alert.owner,
                "seen": f"{alert.occurrences_count:,} times, from {_moment(alert.first_seen_at)} to "
                f"{_moment(alert.last_seen_at)}",
                "effects": ", ".join(f"{each.alert_id} ({each.subject})" for each in effects),
            }
        )
    )
    if alert.impact:
        _print_impact(alert.impact, alert.severity, console)
    console.print("\n[bold]What is known[/]")
    console.print(_fields({name: _shown(value) for name, value in alert.details.items()}))
    console.print("\n[bold]Who was told[/]")
    for event in news:
        sent = f", {_moment(event.sent_at)}" if event.sent_at else ""
        console.print(
            f"  {_moment(event.created_at)}  {event.kind} as {event.severity}: {event.state}{sent}",
            highlight=False,
        )
    if not news:
        console.print("  nobody")


def acknowledge(
    settings: Settings, alert_ids: Collection[int], *, length: dt.timedelta, reason: str, author: str
) -> None:
    """Take alerts on for a while."""
    now = _now()
    with _connected(settings) as connection:
        handling.acknowledge(connection, alert_ids, by=author, reason=reason, until=now + length, now=now)
    _say(f"{_alerts(alert_ids)} acknowledged by {author} until {_moment(now + length)}.")


def resolve(settings: Settings, alert_ids: Collection[int], *, reason: str, author: str) -> None:
    """Close alerts by hand."""
    with _connected(settings) as connection:
        handling.close(connection, alert_ids, by=author, reason=reason, now=_now())
    _say(f"{_alerts(alert_ids)} resolved by {author}.")


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
    _say(f"Silence {silence_id} holds from {_moment(starts_at)} to {_moment(ends_at)}: {_which(matchers)}.")
    if not delay:
        _say(f"It keeps {quiet_count:,} open alert{'' if quiet_count == 1 else 's'} quiet now.")
    _say(f"Take it back with: platform-assets alerts unsilence {silence_id}")


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
    _say(f"{len(silence_ids)} silence{'' if len(silence_ids) == 1 else 's'} taken back by {author}.")


def show_silences(settings: Settings, *, as_json: bool) -> None:
    """Print the silences that hold or are to come."""
    now = _now()
    with _connected(settings) as connection:
        found = silences.read_silences(connection, now=now, with_future=True)
        quiet = handling.count_quiet(connection)
    if as_json:
        _print_json(
            [
                {
                    "silence_id": each.silence_id,
                    **vars(each.matchers),
                    "author": each.author,
                    "reason": each.reason,
                    "starts_at": each.starts_at,
                    "ends_at": each.ends_at,
                    "quiet_alerts_count": quiet.get(each.silence_id, 0),
                }
                for each in found
            ]
        )
        return
    console = Console()
    if not found:
        console.print("There is no silence.")
        return
    table = Table(title=f"Silences, {now:%Y-%m-%d %H:%M} UTC")
    for name in ("id", "which alerts", "from", "to", "quiet now", "author", "reason"):
        table.add_column(name, overflow="fold")
    for each in found:
        table.add_row(
            str(each.silence_id),
            _plain(_which(each.matchers)),
            _moment(each.starts_at),
            _moment(each.ends_at),
            f"{quiet.get(each.silence_id, 0):,}",
            _plain(each.author),
            _plain(each.reason),
        )
    console.print(table)


def test_delivery(
    settings: Settings, *, severity: Severity, owner: str, wait: dt.timedelta | None, author: str
) -> int:
    """Raise a test alert, wait for its delivery where that is wished; gives the exit status."""
    with _opened(settings) as database:
        with database.transaction() as connection:
            alert_id = handling.raise_test_alert(
                connection, by=author, severity=severity, owner=owner, now=_now()
            )
        _say(f"Alert {alert_id} is open and queued to be told to {owner} as {severity}.")
        state = None if wait is None else _wait_for_delivery(database, alert_id, wait)
    if wait is None:
        _say(f"See whether it was delivered: platform-assets alerts show {alert_id}")
    elif state == _DELIVERED:
        _say("It was delivered.")
    else:
        why = (
            "No channel took it" if state in _UNDELIVERED else f"It was not delivered within {_length(wait)}"
        )
        _say(
            f"{why}. Is the daemon running (platform-assets ui)? `platform-assets doctor` says how the channels stand."
        )
    _say(f"Close it with: platform-assets alerts resolve {alert_id} --reason test")
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


def _which(matchers: Matchers) -> str:
    parts = {
        "owner": matchers.owner,
        "source": matchers.source,
        "subject": matchers.subject_glob,
        "severity up to": matchers.max_severity,
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


def _standing(alert: sa.Row[Any], now: dt.datetime) -> list[str]:
    """How an alert stands, in words."""
    if alert.state == "resolved":
        return [
            f"resolved {_length(now - alert.resolved_at)} ago by {alert.resolved_by}: {alert.resolved_reason}"
        ]
    words = []
    if alert.acknowledged_until is not None and alert.acknowledged_until > now:
        words.append(
            f"acknowledged by {alert.acknowledged_by} until {_moment(alert.acknowledged_until)}: "
            f"{alert.acknowledged_reason}"
        )
    if alert.silenced_by is not None:
        words.append(f"quiet by silence {alert.silenced_by}")
    if alert.inhibited_by is not None:
        words.append(f"caused by alert {alert.inhibited_by}")
    if alert.is_flapping:
        words.append(
            "flapping"
            if alert.calm_since is None
            else f"flapping, calm for {_length(now - alert.calm_since)}"
        )
    return words or ["open"]


def _print_impact(impact: Mapping[str, Any], severity: str, console: Console) -> None:
    lowest, highest = impact["range"]
    console.print("\n[bold]Why it is this severe[/]")
    lines = {
        f"{impact['problem']}": f"{impact['base_severity']}, between {lowest} and {highest}: {impact['range_reason']}"
    }
    for rule in impact["rules"]:
        lines[f"{rule['steps']:+d}"] = (
            f"{rule['measure']} {rule['measured']:,.4g} {rule['unit']}: {rule['reason']}"
        )
    if rank(severity) > rank(impact["severity"]):
        lines["since then"] = f"{severity}, as it was before or as the worst that it brings about"
    if impact.get("unknown_because"):
        lines["not known"] = impact["unknown_because"]
    for currency, money in (impact["money_at_risk"] or {}).items():
        share = "" if money["ratio"] is None else f", {money['ratio']:.0%} of what 90 days requested"
        lines[f"at risk, {currency}"] = (
            f"{format_minor(money['amount_minor'], currency)} in {money['payments_count']:,} payments{share}"
        )
    if impact["clients_count"] is not None:
        lines["clients"] = f"{impact['clients_count']:,}"
    lines["about"] = ", ".join(impact["assets"]) or "no asset"
    lines["downstream"] = ", ".join(impact["downstream"]) or "nothing"
    console.print(_fields(lines))


def _fields(values: Mapping[str, str]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items():
        if value:
            table.add_row(_plain(name), _plain(value))
    return table


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    # Neither rich's markup nor a terminal's escape sequences of a foreign text are obeyed.
    return escape("".join(char if char.isprintable() else " " for char in text))


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _length(length: dt.timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _alerts(alert_ids: Collection[int]) -> str:
    names = ", ".join(map(str, alert_ids))
    return f"Alert {names} is" if len(alert_ids) == 1 else f"Alerts {names} are"


def _say(text: str) -> None:
    click.echo("".join(char if char.isprintable() else " " for char in text))


def _as_json(alert: sa.Row[Any]) -> dict[str, Any]:
    return dict(alert._mapping)


def _print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    click.echo(json.dumps(to_jsonable(value), indent=2, ensure_ascii=False))
