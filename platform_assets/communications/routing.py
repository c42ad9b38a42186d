"""Which channels an event goes to, and when a team's events are ready to be told together. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from platform_assets.monitoring_thresholds import CLOCK_SLACK, GROUP_WAIT
from platform_assets.notification_settings import SEVERITIES, ChannelBook, Severity

CHANNEL_SOURCE = "notification_channel"
"""What raises alerts about channels: their subject is the channel, which can't tell of itself until it works again."""

CANARY = "canary"


@dataclass(frozen=True)
class Pending:
    """What routing needs of an event: see the outbox."""

    notification_id: int
    owner: str
    severity: Severity
    kind: str
    source: str
    subject: str
    created_at: dt.datetime
    due_at: dt.datetime


def is_ready(events: Iterable[Pending], *, now: dt.datetime) -> bool:
    """Whether a team's events have waited for one another long enough; canaries wait for nothing."""
    return any(
        event.kind == CANARY or event.due_at <= now - GROUP_WAIT or event.created_at > now + CLOCK_SLACK
        for event in events
    )


def channels_for(event: Pending, book: ChannelBook, down: frozenset[str]) -> list[str]:
    """Names of the channels that an event goes to, in order; none when no route wants it.

    Args:
        event: The event.
        book: Channels and routes.
        down: Channels that are known not to work; their fallbacks stand in, where there are any.
    """
    if event.kind == CANARY:
        return [book.canary] if book.canary else []
    is_broken = event.source == CHANNEL_SOURCE and event.kind != "resolved"
    broken = event.subject if is_broken else None
    wanted = [
        name
        for route in book.routes
        if route.owner in (None, event.owner) and _is_at_least(event.severity, route.min_severity)
        for name in route.channels
        if _is_at_least(event.severity, book.channels[name].min_severity)
    ]
    reached = [_standing_in(name, book, down, broken) for name in wanted]
    found = list(dict.fromkeys(name for name in reached if name is not None))
    if wanted and not found:
        # Rather somewhere else than nowhere.
        found = [name for name in book.channels if name != broken][:1]
    return found


def _is_at_least(severity: Severity, bound: Severity) -> bool:
    return SEVERITIES.index(severity) >= SEVERITIES.index(bound)


def _standing_in(name: str, book: ChannelBook, down: frozenset[str], broken: str | None) -> str | None:
    """The channel itself or the first of its fallbacks that works; where none does, the last that may be waited for."""
    last = None
    current: str | None = name
    while current is not None:
        if current != broken:
            last = current
            if current not in down:
                return current
        current = book.channels[current].fallback
    return last


def worst(severities: Sequence[Severity]) -> Severity:
    """The most severe of them."""
    return max(severities, key=SEVERITIES.index)
