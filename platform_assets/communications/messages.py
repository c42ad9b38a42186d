"""What a message says: the events of one team, the worst first, each with what is known and what to do. Pure.

Bodies come as plain text and as HTML with everything escaped; making Markdown of it is the client's business.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from platform_assets.clients.notifier import Message
from platform_assets.currencies import CurrencyError, format_minor
from platform_assets.monitoring_thresholds import EVENTS_SHOWN
from platform_assets.notification_settings import SEVERITIES, Severity

if TYPE_CHECKING:
    import jinja2

Kind = Literal["opened", "escalated", "resolved", "reminder", "canary"]

ICONS = {"critical": "🔴", "high": "🟠", "medium": "🟡", "low": "🔵"}
RESOLVED_ICON = "✅"
CANARY_ICON = "🐤"

TITLE_CHARS = 200
"""A longer title is cut: it is one line."""

_CALLS_EVERYBODY = re.compile(r"@(?=(?:here|channel|everyone|all)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Event:
    """Something that happened, as the outbox has it.

    Attributes:
        notification_id: Its row.
        alert_id: The alert it is about; None for a canary.
        kind: What happened.
        severity: How bad it was then.
        source: What raised the alert, such as `asset_check`.
        subject: What the alert is about.
        title: One line.
        details: Measured values and links of the alert.
        happened_at: When it was queued.
        impact: What depends on the alert's subject, as the alert keeps it.
        first_seen_at: When the alert was first raised; None where that is not known.
        occurrences_count: How often the alert has been raised by now.
    """

    notification_id: int
    alert_id: int | None
    kind: Kind
    severity: Severity
    source: str
    subject: str
    title: str
    details: Mapping[str, Any]
    happened_at: dt.datetime
    impact: Mapping[str, Any] = field(default_factory=dict)
    first_seen_at: dt.datetime | None = None
    occurrences_count: int = 1


@dataclass(frozen=True)
class Item:
    """One line of a message, for the template."""

    icon: str
    state: str
    title: str
    facts: str
    advice: str
    link: str | None


def compose(
    events: Sequence[Event],
    *,
    owner: str,
    message_id: str,
    ui_url: str | None,
    instead_of: str | None = None,
) -> Message:
    """The message that tells a team of some events.

    Of several events of one alert the last one is told. Alerts are listed from the worst to the least, open ones first, as
    many as fit; the rest is counted.

    Args:
        events: At least one event.
        owner: The team.
        message_id: What the receiver knows the message by.
        ui_url: Root of Dagster's UI; None leaves links out.
        instead_of: The channel that could not be reached, when this message stands in for its own.
    """
    latest = _latest(events)
    ordered = sorted(
        latest,
        key=lambda event: (
            event.kind == "resolved",
            -SEVERITIES.index(event.severity),
            event.happened_at,
            event.notification_id,
        ),
    )
    shown = ordered[:EVENTS_SHOWN]
    values: dict[str, Any] = {
        "lead": _lead(ordered, owner),
        "note": f"Sent here because the channel {instead_of} could not be reached." if instead_of else "",
        "items": [_item(event, ui_url) for event in shown],
        "hidden_count": len(ordered) - len(shown),
        "message_id": message_id,
    }
    return Message(
        message_id=message_id,
        title=_one_line(_title(ordered, owner)),
        text=_text(**values),
        html=_calm(_template().render(values)),
        mood=_mood(ordered[0]),
    )


def _latest(events: Sequence[Event]) -> list[Event]:
    by_alert: dict[tuple[str, int], Event] = {}
    for event in sorted(events, key=lambda each: each.notification_id):
        key = ("event", event.notification_id) if event.alert_id is None else ("alert", event.alert_id)
        by_alert[key] = event
    return list(by_alert.values())


def _lead(events: Sequence[Event], owner: str) -> str:
    if all(event.kind == "canary" for event in events):
        return "Nothing is wrong: this message proves that alerts arrive."
    open_ = [event for event in events if event.kind != "resolved"]
    parts = []
    if open_:
        counts: Counter[str] = Counter(event.severity for event in open_)
        by_severity = ", ".join(f"{counts[name]} {name}" for name in reversed(SEVERITIES) if counts[name])
        parts.append(f"{_count(len(open_), 'alert')} ({by_severity})")
    if resolved := len(events) - len(open_):
        parts.append(f"{resolved} resolved")
    return f"For {owner}: {', '.join(parts)}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _title(events: Sequence[Event], owner: str) -> str:
    worst = events[0]
    if worst.kind == "canary":
        return f"{CANARY_ICON} {worst.title}"
    more = f" (and {len(events) - 1:,} more for {owner})" if len(events) > 1 else ""
    return f"{_icon(worst)} {_state(worst)}: {_one_line(worst.title, limit=120)}{more}"


def _icon(event: Event) -> str:
    if event.kind == "canary":
        return CANARY_ICON
    return RESOLVED_ICON if event.kind == "resolved" else ICONS[event.severity]


def _state(event: Event) -> str:
    return {
        "opened": event.severity,
        "escalated": f"now {event.severity}",
        "resolved": "resolved",
        "reminder": f"still {event.severity}",
        "canary": "canary",
    }[event.kind]


def _mood(worst: Event) -> Literal["info", "success", "warning", "failure"]:
    if worst.kind == "resolved":
        return "success"
    if worst.kind == "canary":
        return "info"
    return "failure" if worst.severity in ("critical", "high") else "warning"


def _item(event: Event, ui_url: str | None) -> Item:
    return Item(
        icon=_icon(event),
        state=_state(event),
        title=_one_line(event.title),
        facts=_facts(event),
        advice="" if event.kind in ("resolved", "canary") else _one_line(advice(event)),
        link=link(event, ui_url),
    )


def _facts(event: Event) -> str:
    facts = []
    if event.first_seen_at is not None:
        facts.append(f"since {event.first_seen_at:%Y-%m-%d %H:%M} UTC")
    if event.kind == "resolved" and event.first_seen_at is not None:
        facts = [f"was open for {_length(event.happened_at - event.first_seen_at)}"]
    if event.occurrences_count > 1:
        facts.append(f"{event.occurrences_count:,} times")
    if event.kind != "resolved":
        facts += _impact(event.impact)
    if event.alert_id is not None:
        facts.append(f"alert {event.alert_id}")
    return ", ".join(facts)


def _impact(impact: Mapping[str, Any]) -> list[str]:
    """What depends on it: assets that are made from it, clients, money by currency. What is of another form is left out."""
    told = []
    downstream, clients = impact.get("downstream"), impact.get("clients_count")
    if isinstance(downstream, list) and downstream:
        told.append(f"{_count(len(downstream), 'asset')} downstream")
    if isinstance(clients, int) and clients > 0:
        told.append(_count(clients, "client"))
    money = impact.get("money_at_risk")
    for currency, part in money.items() if isinstance(money, Mapping) else ():
        amount_minor = part.get("amount_minor") if isinstance(part, Mapping) else None
        if isinstance(amount_minor, int):
            with suppress(CurrencyError):
                told.append(f"{format_minor(amount_minor, currency)} at risk")
    return told


def _length(time: dt.timedelta) -> str:
    seconds = max(0, int(time.total_seconds()))
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"


def advice(event: Event) -> str:
    """What the reader can do now."""
    for name in ("what_to_do", "decision"):
        if isinstance(text := event.details.get(name), str) and text:
            return text
    if event.source == "notification_channel":
        return (
            "Mend its address (platform-assets doctor), then: platform-assets notifications test "
            + event.subject
        )
    if event.source == "asset_check":
        return "See what was measured and why that is too much: platform-assets checks --failed"
    return f"See what is known: platform-assets alerts show {event.alert_id}" if event.alert_id else ""


def link(event: Event, ui_url: str | None) -> str | None:
    """Where the UI shows what the event is about; None when that is not known."""
    if ui_url is None:
        return None
    root = ui_url.rstrip("/")
    if event.source == "asset_check" and ":" in event.subject:
        asset, check = event.subject.split(":", 1)
        return f"{root}/assets/{quote(asset, safe='')}?view=checks&checkDetail={quote(check, safe='')}"
    run_id = event.details.get("run_id")
    return f"{root}/runs/{quote(run_id, safe='')}" if isinstance(run_id, str) and run_id else None


def _text(*, lead: str, note: str, items: Sequence[Item], hidden_count: int, message_id: str) -> str:
    lines = [lead, *([note] if note else []), ""]
    for item in items:
        lines.append(f"{item.icon} {item.state}: {item.title}")
        lines += [
            f"   {line}" for line in (item.facts, item.advice and f"→ {item.advice}", item.link) if line
        ]
    if hidden_count:
        lines.append(f"… and {hidden_count:,} more: platform-assets alerts list")
    return _calm("\n".join([*lines, "", f"Message {message_id}"]))


def _one_line(text: str, *, limit: int = TITLE_CHARS) -> str:
    # What can't be seen may turn the direction of a line, or be an order to a terminal.
    visible = "".join(character for character in text if character.isprintable() or character.isspace())
    line = _calm(" ".join(visible.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _calm(text: str) -> str:
    # An invisible space keeps a text from calling everybody in a chat.
    return _CALLS_EVERYBODY.sub("@\u200b", text)


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("platform_assets.communications"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("notification.html")
