"""How the delivery of notifications stands, read from the tables: what waits, how fast events were told, channels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.communications.pacing import is_down
from platform_assets.communications.routing import CANARY
from platform_assets.monitoring_thresholds import CANARY_EVERY, TOLD_WITHIN_S
from platform_assets.notification_settings import ChannelBook
from platform_assets.tables.monitoring import notification_outbox as outbox
from platform_assets.tables.notifications import notification_channels as channel_states
from platform_assets.tables.notifications import notification_deliveries as deliveries

WAITING = ("pending", "routed")


@dataclass(frozen=True)
class Untold:
    """Events that are due and that nobody has been told of.

    Attributes:
        count: How many there are.
        age_s: Seconds since the first of them became due; 0 when there is none.
        errors: What the channels that hold messages last said.
    """

    count: int
    age_s: float
    errors: list[str]


@dataclass(frozen=True)
class Told:
    """How fast events were told.

    Attributes:
        events_count: Events that were told, or should have been by now.
        in_time_count: Those that a channel took in time.
        slowest_s: The longest that one took, in seconds; 0 without any.
    """

    events_count: int
    in_time_count: int
    slowest_s: float


@dataclass(frozen=True)
class ChannelStatus:
    """How a channel stands.

    Attributes:
        name: The channel.
        state: `ok`, `down` (its fallback stands in), `resting` (after a failure) or `unused`.
        waiting_count: Messages that wait for it.
        last_sent_at: When it last took a message; None before the first.
        last_error: Why it last failed; None when it works.
    """

    name: str
    state: str
    waiting_count: int
    last_sent_at: dt.datetime | None
    last_error: str | None


def oldest_untold(database: Database, *, now: dt.datetime) -> Untold:
    """What is due and has not been told."""
    query = sa.select(sa.func.count().label("n"), sa.func.min(outbox.c.due_at).label("since")).where(
        outbox.c.state.in_(WAITING), outbox.c.due_at <= now
    )
    errors = (
        sa.select(deliveries.c.channel, sa.func.max(deliveries.c.error))
        .where(deliveries.c.state == "pending", deliveries.c.error.is_not(None))
        .group_by(deliveries.c.channel)
        .order_by(deliveries.c.channel)
    )
    with database.transaction() as connection:
        row = connection.execute(query).one()
        told = [f"{channel}: {error}" for channel, error in connection.execute(errors)]
    return Untold(row.n, (now - row.since).total_seconds() if row.n else 0.0, told)


def count_told(database: Database, *, since: dt.datetime, now: dt.datetime, within: dt.timedelta) -> Told:
    """How fast the events since a moment were told; those that no route wants do not count."""
    delay = sa.func.coalesce(outbox.c.sent_at, now) - outbox.c.due_at
    is_in_time = sa.and_(outbox.c.sent_at.is_not(None), delay <= within)
    query = sa.select(
        sa.func.count().label("n"),
        sa.func.count().filter(is_in_time).label("in_time"),
        sa.func.coalesce(sa.func.max(sa.extract("epoch", delay)), 0).label("slowest"),
    ).where(
        outbox.c.due_at > since,
        outbox.c.due_at <= now,
        outbox.c.state != "dropped",
        # What is still in time is neither late nor told.
        sa.or_(outbox.c.sent_at.is_not(None), outbox.c.due_at <= now - within),
    )
    with database.transaction() as connection:
        row = connection.execute(query).one()
    return Told(row.n, row.in_time, round(max(0.0, float(row.slowest)), 3))


def canary_latency_s(database: Database, *, now: dt.datetime) -> float | None:
    """Seconds that the last canary took; of one that should have arrived by now, its age. None without any canary."""
    query = (
        sa.select(outbox.c.created_at, outbox.c.sent_at)
        .where(outbox.c.kind == CANARY, outbox.c.created_at > now - 3 * CANARY_EVERY)
        .where(
            sa.or_(
                outbox.c.sent_at.is_not(None),
                outbox.c.created_at <= now - dt.timedelta(seconds=TOLD_WITHIN_S),
            )
        )
        .order_by(outbox.c.created_at.desc())
        .limit(1)
    )
    with database.transaction() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    took: dt.timedelta = (row.sent_at or now) - row.created_at
    return max(0.0, round(took.total_seconds(), 3))


def read_channels(database: Database, book: ChannelBook) -> list[ChannelStatus]:
    """How every channel of the settings stands."""
    waiting = (
        sa.select(deliveries.c.channel, sa.func.count().label("n"))
        .where(deliveries.c.state == "pending")
        .group_by(deliveries.c.channel)
    )
    with database.transaction() as connection:
        states = {row.channel: row for row in connection.execute(sa.select(channel_states))}
        counts = {row.channel: row.n for row in connection.execute(waiting)}
    found = []
    for name in book.channels:
        row = states.get(name)
        failures = row.failures_count if row else 0
        state = "down" if is_down(failures) else "resting" if failures else "ok" if row else "unused"
        found.append(
            ChannelStatus(
                name,
                state,
                counts.get(name, 0),
                row.last_sent_at if row else None,
                row.last_error if row and failures else None,
            )
        )
    return found


def channel_table(channels: Sequence[ChannelStatus]) -> str:
    """The channels as a Markdown table."""
    if not channels:
        return "Notifications are off (`PLATFORM_NOTIFICATIONS`)."
    lines = ["| channel | state | waiting | last taken | last error |", "|---|---|---:|---|---|"]
    for channel in channels:
        taken = f"{channel.last_sent_at:%Y-%m-%d %H:%M:%S} UTC" if channel.last_sent_at else "never"
        error = (channel.last_error or "").replace("|", "\\|")
        lines.append(f"| {channel.name} | {channel.state} | {channel.waiting_count} | {taken} | {error} |")
    return "\n".join(lines)
