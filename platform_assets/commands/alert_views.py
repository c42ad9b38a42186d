"""How `platform-assets alerts` shows alerts and silences: tables, one alert in full, JSON. Reads and changes nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from platform_assets.commands.showing import length_text, moment_text, plain, print_json
from platform_assets.currencies import format_minor
from platform_assets.monitoring.alerting.handling import Filters, Page
from platform_assets.monitoring.alerting.severity import rank
from platform_assets.monitoring.alerting.silences import Matchers, Silence

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def print_list(page: Page, filters: Filters, *, now: dt.datetime, as_json: bool) -> None:
    """Print alerts, one a line."""
    if as_json:
        print_json({"total_count": page.total_count, "alerts": [_as_json(alert) for alert in page.alerts]})
        return
    console = Console(soft_wrap=False)
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
            length_text(now - alert.first_seen_at),
            f"{alert.occurrences_count:,}",
            plain(alert.owner.removeprefix("team:")),
            plain(alert.title),
            plain("; ".join(_standing(alert, now))),
        )
    console.print(table)
    if page.total_count > len(page.alerts):
        console.print(f"{page.total_count - len(page.alerts):,} more are not shown (--limit).")
    console.print("More of one: platform-assets alerts show ID", highlight=False)


def print_alert(
    alert: sa.Row[Any],
    effects: Sequence[sa.Row[Any]],
    news: Sequence[sa.Row[Any]],
    *,
    now: dt.datetime,
    as_json: bool,
) -> None:
    """Print everything known of an alert.

    Args:
        alert: The alert.
        effects: Alerts that it is the cause of.
        news: What was queued to be told of it.
        now: The present moment.
        as_json: JSON instead of text.
    """
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
        print_json({**_as_json(alert), "effects": [each.alert_id for each in effects], "told": told})
        return
    console = Console(soft_wrap=True)
    console.print(f"[{STYLES[alert.severity]}]{alert.severity}[/] [bold]{plain(alert.title)}[/]")
    console.print(
        _fields(
            {
                "alert": f"{alert.alert_id}, {'; '.join(_standing(alert, now))}",
                "subject": f"{alert.subject} (raised by {alert.source})",
                "owner": alert.owner,
                "seen": f"{alert.occurrences_count:,} times, from {moment_text(alert.first_seen_at)} to "
                f"{moment_text(alert.last_seen_at)}",
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
        sent = f", {moment_text(event.sent_at)}" if event.sent_at else ""
        console.print(
            f"  {moment_text(event.created_at)}  {event.kind} as {event.severity}: {event.state}{sent}",
            highlight=False,
        )
    if not news:
        console.print("  nobody")


def print_silences(
    found: Sequence[Silence], quiet: Mapping[int, int], *, now: dt.datetime, as_json: bool
) -> None:
    """Print silences.

    Args:
        found: The silences.
        quiet: How many open alerts each keeps quiet, by its id.
        now: The present moment.
        as_json: JSON instead of a table.
    """
    if as_json:
        print_json(
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
            plain(matchers_text(each.matchers)),
            moment_text(each.starts_at),
            moment_text(each.ends_at),
            f"{quiet.get(each.silence_id, 0):,}",
            plain(each.author),
            plain(each.reason),
        )
    console.print(table)


def matchers_text(matchers: Matchers) -> str:
    """Which alerts a silence is about, in words."""
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
            f"resolved {length_text(now - alert.resolved_at)} ago by {alert.resolved_by}: {alert.resolved_reason}"
        ]
    words = []
    if alert.acknowledged_until is not None and alert.acknowledged_until > now:
        words.append(
            f"acknowledged by {alert.acknowledged_by} until {moment_text(alert.acknowledged_until)}: "
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
            else f"flapping, calm for {length_text(now - alert.calm_since)}"
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
            table.add_row(plain(name), plain(value))
    return table


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_json(alert: sa.Row[Any]) -> dict[str, Any]:
    return dict(alert._mapping)
