"""Sends what waits, channels side by side: at least once, never lost.

Claiming a message and noting what came of it is `claims.py`'s business, and nothing is locked in between.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.http_errors import ServiceError
from platform_assets.communications.channels import Channels
from platform_assets.communications.claims import claim_message, is_free, settle_failure, settle_success
from platform_assets.communications.outbox import (
    divert,
    is_anything_waiting,
    route_events,
    take_back_from_unknown_channels,
)
from platform_assets.monitoring_thresholds import DIVERT_AFTER
from platform_assets.notification_settings import Channel, ChannelBook
from platform_assets.tables.notifications import notification_deliveries as deliveries

MOST_THREADS = 8
TIME_LIMIT = dt.timedelta(seconds=30)
"""No message is begun after it: a sensor has a minute."""


@dataclass
class DeliveryReport:
    """What a call came to, in messages where nothing else is said.

    Attributes:
        routed_events: Events that were put on their way.
        dropped_events: Events that no route wants.
        sent: Messages that a channel took.
        retried: Messages that wait for another try.
        diverted: Messages that went to a fallback.
        failed: Messages that no channel takes: a person has to look.
    """

    routed_events: int = 0
    dropped_events: int = 0
    sent: int = 0
    retried: int = 0
    diverted: int = 0
    failed: int = 0

    def __str__(self) -> str:
        told = [f"{count:,} {name.replace('_', ' ')}" for name, count in vars(self).items() if count]
        return ", ".join(told) or "nothing was due"


@dataclass(frozen=True)
class _Clock:
    """The caller's moment, going on: a call's times fit together even when the system's clock is put right meanwhile."""

    now: dt.datetime
    started: float = field(default_factory=time.monotonic)

    def read(self) -> dt.datetime:
        return self.now + dt.timedelta(seconds=time.monotonic() - self.started)

    def is_over(self) -> bool:
        return self.read() - self.now > TIME_LIMIT


def deliver_due(database: Database, channels: Channels, *, now: dt.datetime) -> DeliveryReport:
    """Route the events that are ready and send the messages that are due, channels side by side.

    Safe from any number of processes at once, and from any that may be killed at any moment.

    Args:
        database: The platform's database.
        channels: Where messages go.
        now: The present moment.

    Returns:
        What was done; messages that wait for their time are not counted.
    """
    clock = _Clock(now)
    if not is_anything_waiting(database, now=now):
        return DeliveryReport()
    take_back_from_unknown_channels(database, channels.book)
    routed = route_events(database, channels.book, now=now)
    report = DeliveryReport(routed.routed_count, routed.dropped_count)
    outcomes: Counter[str] = Counter(diverted=_divert_overdue(database, channels.book, now))
    while True:
        served = _serve_all(database, channels, clock)
        outcomes += served
        if not served["diverted"]:
            break
    report.sent, report.retried = outcomes["sent"], outcomes["retried"]
    report.diverted, report.failed = outcomes["diverted"], outcomes["failed"]
    return report


def _serve_all(database: Database, channels: Channels, clock: _Clock) -> Counter[str]:
    """Serve every channel that has something due, one slow channel delaying no other."""
    outcomes: Counter[str] = Counter()
    busy = _channels_with_work(database, channels.book, clock.read())
    if busy:
        with ThreadPoolExecutor(min(len(busy), MOST_THREADS)) as pool:
            for served in pool.map(lambda channel: _serve(database, channels, channel, clock), busy):
                outcomes += served
    return outcomes


def _divert_overdue(database: Database, book: ChannelBook, now: dt.datetime) -> int:
    """What has waited for an hour goes to the fallback, whatever it waits for."""
    diverted = 0
    with database.transaction() as connection:
        for channel in book.channels.values():
            if channel.fallback is not None:
                which = sa.and_(
                    deliveries.c.channel == channel.name,
                    deliveries.c.created_at <= now - DIVERT_AFTER,
                    is_free(now),
                )
                diverted += divert(connection, which, fallback=channel.fallback, now=now)
    return diverted


def _channels_with_work(database: Database, book: ChannelBook, now: dt.datetime) -> list[Channel]:
    with database.transaction() as connection:
        names = connection.execute(
            sa.select(deliveries.c.channel)
            .distinct()
            .where(deliveries.c.state == "pending", deliveries.c.due_at <= now, is_free(now))
            .order_by(deliveries.c.channel)
        ).scalars()
        return [book.channels[name] for name in names if name in book.channels]


def _serve(database: Database, channels: Channels, channel: Channel, clock: _Clock) -> Counter[str]:
    """Send a channel's messages until none is due or the channel wants a rest."""
    outcomes: Counter[str] = Counter()
    while not clock.is_over():
        with database.transaction() as connection:
            claim = claim_message(connection, channels, channel, clock.read())
        if claim is None:
            break
        try:
            receipt = channels.send(channel.name, channel.address(), claim.message)
        except ServiceError as error:
            with database.transaction() as connection:
                outcomes += settle_failure(connection, channels, channel, claim, error, clock.read())
        else:
            with database.transaction() as connection:
                settle_success(connection, channels, channel, claim, receipt, clock.read())
            outcomes["sent"] += 1
    return outcomes
