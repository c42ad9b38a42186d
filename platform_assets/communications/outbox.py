"""From events in the outbox to messages that wait for their channels: one for each team and channel.

Who gets what is `routing.py`'s decision; sending is `delivery.py`'s. Any number of processes may do this at once: an event is
locked while it is routed, and whoever comes second passes it by.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.communications.routing import CANARY, Pending, channels_for, is_ready, worst
from platform_assets.monitoring_thresholds import CLOCK_SLACK, DOWN_AFTER_FAILURES
from platform_assets.notification_settings import ChannelBook
from platform_assets.tables.monitoring import notification_outbox as outbox
from platform_assets.tables.notifications import notification_channels as channels
from platform_assets.tables.notifications import notification_deliveries as deliveries
from platform_assets.tables.notifications import notification_delivery_events as links

EVENTS_PER_ROUND = 20_000
"""More than this is routed in several transactions."""

_MESSAGE_IDS = uuid.UUID("6c1f5c60-5b7f-4a9e-9d0e-1f1e54a0a7b1")
"""Namespace of the ids that messages to fallbacks are known by, so that none is made twice."""


@dataclass(frozen=True)
class Routed:
    """What routing came to: events that are on their way, and events that no route wants."""

    routed_count: int
    dropped_count: int


def is_anything_waiting(database: Database, *, now: dt.datetime) -> bool:
    """Whether there is an event to route or a message to send: one cheap query."""
    return database_has(
        database,
        sa.or_(
            sa.exists().where(outbox.c.state == "pending", _is_due(outbox.c.due_at, now)),
            sa.exists().where(deliveries.c.state == "pending"),
        ),
    )


def database_has(database: Database, condition: sa.ColumnElement[bool]) -> bool:
    """Whether a condition on the tables holds."""
    with database.transaction() as connection:
        return bool(connection.execute(sa.select(condition)).scalar_one())


def _is_due(column: sa.ColumnElement[dt.datetime], now: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.or_(column <= now, outbox.c.created_at > now + CLOCK_SLACK)


def route_events(database: Database, book: ChannelBook, *, now: dt.datetime) -> Routed:
    """Make messages of the events that are ready."""
    routed = dropped = 0
    while True:
        with database.transaction() as connection:
            some = _route_some(connection, book, now)
        if some is None:
            return Routed(routed, dropped)
        routed, dropped = routed + some.routed_count, dropped + some.dropped_count


def _route_some(connection: sa.Connection, book: ChannelBook, now: dt.datetime) -> Routed | None:
    ready = _take_ready(connection, now)
    if not ready:
        return None
    down = _down_channels(connection)
    by_message: dict[tuple[str, str, bool], list[Pending]] = defaultdict(list)
    dropped: list[int] = []
    for event in ready:
        names = channels_for(event, book, down)
        if not names:
            dropped.append(event.notification_id)
        for name in names:
            by_message[event.owner, name, event.kind == CANARY].append(event)
    for (owner, channel, is_canary), events in sorted(by_message.items()):
        _add_to_message(connection, owner, channel, events, now, is_alone=is_canary)
    _set_state(connection, [event.notification_id for event in ready], "routed")
    _set_state(connection, dropped, "dropped")
    return Routed(len(ready) - len(dropped), len(dropped))


def _take_ready(connection: sa.Connection, now: dt.datetime) -> list[Pending]:
    """Lock the due events of every team whose wait is over."""
    columns = outbox.c
    rows = connection.execute(
        sa.select(
            columns.notification_id,
            columns.owner,
            columns.severity,
            columns.kind,
            sa.func.coalesce(columns.body["source"].astext, "").label("source"),
            sa.func.coalesce(columns.body["subject"].astext, "").label("subject"),
            columns.created_at,
            columns.due_at,
        )
        .where(columns.state == "pending", _is_due(columns.due_at, now))
        .order_by(columns.due_at, columns.notification_id)
        .limit(EVENTS_PER_ROUND)
        .with_for_update(skip_locked=True)
    )
    by_owner: dict[tuple[str, bool], list[Pending]] = defaultdict(list)
    for row in rows:
        by_owner[row.owner, row.kind == CANARY].append(Pending(**row._mapping))
    return [event for events in by_owner.values() if is_ready(events, now=now) for event in events]


def _down_channels(connection: sa.Connection) -> frozenset[str]:
    return frozenset(
        connection.execute(
            sa.select(channels.c.channel).where(channels.c.failures_count >= DOWN_AFTER_FAILURES)
        ).scalars()
    )


def _add_to_message(
    connection: sa.Connection,
    owner: str,
    channel: str,
    events: Sequence[Pending],
    now: dt.datetime,
    *,
    is_alone: bool,
) -> None:
    """Put the events into the message that waits for this team and channel, or else into a new one."""
    severity = worst([event.severity for event in events])
    delivery_id = None if is_alone else _waiting_message(connection, owner, channel)
    if delivery_id is None:
        delivery_id = connection.execute(
            sa.insert(deliveries)
            .values(
                message_id=str(uuid.uuid4()),
                channel=channel,
                owner=owner,
                severity=severity,
                created_at=now,
                due_at=now,
            )
            .returning(deliveries.c.delivery_id)
        ).scalar_one()
    else:
        known = connection.execute(
            sa.select(deliveries.c.severity).where(deliveries.c.delivery_id == delivery_id)
        ).scalar_one()
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.delivery_id == delivery_id)
            .values(severity=worst([known, severity]))
        )
    _link(connection, delivery_id, [event.notification_id for event in events])


def _waiting_message(connection: sa.Connection, owner: str, channel: str) -> int | None:
    """A message that nobody has tried to send: while its channel rests or is paced, more fits into it."""
    return connection.execute(
        sa.select(deliveries.c.delivery_id)
        .where(
            deliveries.c.state == "pending",
            deliveries.c.channel == channel,
            deliveries.c.owner == owner,
            deliveries.c.attempts_count == 0,
            deliveries.c.fallback_of.is_(None),
            ~_tells_of_canary(),
        )
        .order_by(deliveries.c.delivery_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).scalar_one_or_none()


def _tells_of_canary() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        links.c.delivery_id == deliveries.c.delivery_id,
        links.c.notification_id == outbox.c.notification_id,
        outbox.c.kind == CANARY,
    )


def _link(connection: sa.Connection, delivery_id: int, notification_ids: Sequence[int]) -> None:
    ids = sa.func.unnest(sa.cast(list(notification_ids), pg.ARRAY(sa.BigInteger)))
    connection.execute(
        pg.insert(links)
        .from_select(["delivery_id", "notification_id"], sa.select(sa.literal(delivery_id), ids))
        .on_conflict_do_nothing()
    )


def _set_state(connection: sa.Connection, notification_ids: Collection[int], state: str) -> None:
    if notification_ids:
        connection.execute(
            sa.update(outbox)
            .where(
                outbox.c.notification_id == sa.any_(sa.cast(list(notification_ids), pg.ARRAY(sa.BigInteger)))
            )
            .values(state=state)
        )


def divert(
    connection: sa.Connection, which: sa.ColumnElement[bool], *, fallback: str, now: dt.datetime
) -> int:
    """Give pending messages that nobody is sending to another channel, each as a message of its own there.

    Args:
        connection: The caller's transaction.
        which: A condition on `notification_deliveries`.
        fallback: The other channel.
        now: The present moment.

    Returns:
        How many there were.
    """
    taken = connection.execute(
        sa.select(
            deliveries.c.delivery_id, deliveries.c.message_id, deliveries.c.owner, deliveries.c.severity
        )
        .where(deliveries.c.state == "pending", which)
        .order_by(deliveries.c.delivery_id)
        .with_for_update(skip_locked=True)
    ).all()
    for row in taken:
        new_id = connection.execute(
            pg.insert(deliveries)
            .values(
                message_id=str(uuid.uuid5(_MESSAGE_IDS, f"{row.message_id}:{fallback}")),
                channel=fallback,
                owner=row.owner,
                severity=row.severity,
                fallback_of=row.delivery_id,
                created_at=now,
                due_at=now,
            )
            .on_conflict_do_nothing()
            .returning(deliveries.c.delivery_id)
        ).scalar_one_or_none()
        if new_id is not None:
            events = sa.select(sa.literal(new_id), links.c.notification_id).where(
                links.c.delivery_id == row.delivery_id
            )
            connection.execute(sa.insert(links).from_select(["delivery_id", "notification_id"], events))
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.delivery_id == row.delivery_id)
            .values(state="diverted", leased_until=None)
        )
    return len(taken)


def take_back_from_unknown_channels(database: Database, book: ChannelBook) -> int:
    """Route anew what waits for a channel that the settings no longer have.

    Returns:
        How many messages there were.
    """
    with database.transaction() as connection:
        taken = (
            connection.execute(
                sa.select(deliveries.c.delivery_id)
                .where(deliveries.c.state == "pending", deliveries.c.channel.not_in(list(book.channels)))
                .with_for_update(skip_locked=True)
            )
            .scalars()
            .all()
        )
        if not taken:
            return 0
        events = sa.select(links.c.notification_id).where(links.c.delivery_id.in_(taken))
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.notification_id.in_(events), outbox.c.state == "routed")
            .values(state="pending")
        )
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.delivery_id.in_(taken))
            .values(state="diverted", leased_until=None, error="the channel is no longer in the settings")
        )
    return len(taken)
