"""What `platform-assets notifications` does: reads messages for people, sends failed ones again, tries channels."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from platform_assets.clients.database import Database
from platform_assets.clients.notifier import Message
from platform_assets.communications.claims import read_events
from platform_assets.communications.status import read_channels
from platform_assets.errors import PlatformError
from platform_assets.resources import open_channels, open_database
from platform_assets.settings import Settings
from platform_assets.tables.monitoring import notification_outbox as outbox
from platform_assets.tables.notifications import notification_channels as channel_states
from platform_assets.tables.notifications import notification_deliveries as deliveries
from platform_assets.tables.notifications import notification_delivery_events as links

EVENTS_LISTED = 50

_COLOURS = {"sent": "green", "ok": "green", "failed": "red", "down": "red", "pending": "yellow"}


class UnknownMessageError(PlatformError):
    """There is no such message, or it has not failed."""


class UnknownChannelError(PlatformError):
    """The settings have no channel of that name."""


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


def _moment(at: dt.datetime | None) -> str:
    return f"{at:%m-%d %H:%M:%S}" if at else "–"


def _state(name: str) -> Text:
    return Text(name, style=_COLOURS.get(name, ""))


def list_messages(settings: Settings, *, state: str | None, limit: int) -> None:
    """Print the channels and the latest messages."""
    console = Console()
    book = open_channels(settings).book
    with _database(settings) as database:
        channels = read_channels(database, book)
        rows = _read_messages(database, state, limit)
    if not channels:
        console.print("Notifications are off: PLATFORM_NOTIFICATIONS names no file of channels.")
    else:
        table = Table("channel", "state", "waiting", "last taken (UTC)", "last error", title="Channels")
        for channel in channels:
            table.add_row(
                channel.name,
                _state(channel.state),
                str(channel.waiting_count),
                _moment(channel.last_sent_at),
                Text(channel.last_error or ""),
            )
        console.print(table)
    if not rows:
        console.print("No messages." if state is None else f"No messages that are {state}.")
        return
    table = Table(
        "id", "state", "channel", "for", "severity", "events", "tries", "made (UTC)", "taken (UTC)", "title"
    )
    for row in rows:
        table.add_row(
            str(row.delivery_id),
            _state(row.state),
            row.channel,
            row.owner,
            row.severity,
            f"{row.events_count:,}",
            str(row.attempts_count),
            _moment(row.created_at),
            _moment(row.sent_at),
            Text(row.title or "(not written yet)", overflow="ellipsis", no_wrap=True),
        )
    console.print(table)


def _read_messages(database: Database, state: str | None, limit: int) -> Sequence[Any]:
    events_count = (
        sa.select(sa.func.count()).where(links.c.delivery_id == deliveries.c.delivery_id).scalar_subquery()
    )
    query = sa.select(deliveries, events_count.label("events_count"))
    if state is not None:
        query = query.where(deliveries.c.state == state)
    with database.transaction() as connection:
        return connection.execute(query.order_by(deliveries.c.delivery_id.desc()).limit(limit)).all()


def list_received(settings: Settings, *, limit: int) -> None:
    """Print what the sandbox's webhook has received."""
    import httpx

    from platform_assets.sandbox.process import ensure_sandbox

    if not settings.is_sandbox:
        raise UnknownChannelError("Only the sandbox has a webhook of its own: leave --received out.")
    url = f"{ensure_sandbox(settings).notifications_url}/"
    messages = httpx.get(url, timeout=settings.request_timeout_s).raise_for_status().json()["messages"]
    console = Console()
    for message in messages[:limit]:
        at = dt.datetime.fromtimestamp(message["received_at"], tz=dt.UTC)
        times = f", {message['received_count']} times" if message["received_count"] > 1 else ""
        console.print(f"{at:%Y-%m-%d %H:%M:%S} UTC{times}", style="dim", highlight=False)
        console.print(Text(message["title"], style="bold"))
        console.print(Text(message["body"]))
        console.print()
    if not messages:
        console.print("The webhook has received nothing yet.")


def show_message(settings: Settings, delivery_id: int) -> None:
    """Print one message with its events and its channel's answer.

    Raises:
        UnknownMessageError: There is none of that number.
    """
    with _database(settings) as database, database.transaction() as connection:
        row = connection.execute(
            sa.select(deliveries).where(deliveries.c.delivery_id == delivery_id)
        ).one_or_none()
        events = read_events(connection, delivery_id)
    if row is None:
        raise UnknownMessageError(
            f"There is no message {delivery_id}; see platform-assets notifications list."
        )
    facts = {
        "channel": row.channel,
        "for": row.owner,
        "severity": row.severity,
        "state": row.state,
        "message id": row.message_id,
        "stands in for": f"message {row.fallback_of}" if row.fallback_of else None,
        "made": f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "tries": row.attempts_count,
        "taken": f"{row.sent_at:%Y-%m-%d %H:%M:%S} UTC" if row.sent_at else None,
        "next try": f"{row.due_at:%Y-%m-%d %H:%M:%S} UTC" if row.state == "pending" else None,
        "answer": row.receipt,
        "error": row.error,
    }
    console = Console(soft_wrap=True)
    for name, value in facts.items():
        if value is not None:
            console.print(Text.assemble((f"{name:>13}  ", "dim"), str(value)))
    console.print()
    if row.title is not None:
        console.print(Text(row.title, style="bold"))
        console.print(Text(row.text_body))
        console.print()
    table = Table("event", "what", "severity", "alert", "at (UTC)", "title", title="Events")
    for event in events[:EVENTS_LISTED]:
        table.add_row(
            str(event.notification_id),
            event.kind,
            event.severity,
            str(event.alert_id or "–"),
            _moment(event.happened_at),
            Text(event.title),
        )
    console.print(table)
    if len(events) > EVENTS_LISTED:
        console.print(f"… and {len(events) - EVENTS_LISTED:,} more")


def retry_messages(settings: Settings, delivery_ids: Sequence[int]) -> None:
    """Make failed messages due again; without numbers, all of them.

    Raises:
        UnknownMessageError: One that is named has not failed; nothing is changed then.
    """
    now = dt.datetime.now(dt.UTC)
    with _database(settings) as database, database.transaction() as connection:
        failed = sa.select(deliveries.c.delivery_id).where(deliveries.c.state == "failed")
        if delivery_ids:
            failed = failed.where(deliveries.c.delivery_id.in_(delivery_ids))
        found = set(connection.execute(failed.with_for_update()).scalars())
        if missing := sorted(set(delivery_ids) - found):
            raise UnknownMessageError(
                f"No failed message has the number {missing[0]}; see platform-assets notifications list --state failed."
            )
        taken = deliveries.c.delivery_id.in_(found)
        events = sa.select(links.c.notification_id).where(links.c.delivery_id.in_(found))
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.notification_id.in_(events), outbox.c.state == "failed")
            .values(state="routed")
        )
        connection.execute(
            sa.update(channel_states)
            .where(channel_states.c.channel.in_(sa.select(deliveries.c.channel).where(taken)))
            .values(resting_until=None)
        )
        connection.execute(
            sa.update(deliveries).where(taken).values(state="pending", due_at=now, leased_until=None)
        )
    what = "1 message is" if len(found) == 1 else f"{len(found):,} messages are"
    Console().print(f"{what} due again; the sensor deliver_notifications sends within 15 seconds.")


def test_channel(settings: Settings, name: str) -> None:
    """Send a test message and print what came back.

    Raises:
        UnknownChannelError: There is no such channel.
        ServiceError: The message was not taken.
    """
    channels = open_channels(settings)
    channel = channels.book.channels.get(name)
    if channel is None:
        known = ", ".join(channels.book.channels) or "none: notifications are off"
        raise UnknownChannelError(f"There is no channel {name!r}; there are {known}.")
    now = dt.datetime.now(dt.UTC)
    text = (
        f"A test of the channel {name}, sent by hand at {now:%Y-%m-%d %H:%M:%S} UTC. Alerts will arrive here."
    )
    receipt = channels.send(
        name,
        channel.address(),
        Message(str(uuid.uuid4()), f"🔔 Test of the channel {name}", text, f"<p>{text}</p>"),
    )
    console = Console(soft_wrap=True)
    console.print(
        f"[green]✓[/green] {name} took it in {receipt.elapsed_ms:.0f} ms: ", end="", highlight=False
    )
    console.print(receipt.answer, markup=False, highlight=False)
