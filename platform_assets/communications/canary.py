"""Proves that telling works: canaries through the whole path, and a sign of life to the outside while all is well."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.clients.deadman import DeadmanSwitch
from platform_assets.communications.channels import OWNER
from platform_assets.communications.routing import CANARY
from platform_assets.monitoring_thresholds import CANARY_EVERY, CRITICAL_PATIENCE, DAEMON_SILENCE
from platform_assets.notification_settings import ChannelBook
from platform_assets.tables.monitoring import notification_outbox as outbox

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def queue_canary(database: Database, book: ChannelBook, *, now: dt.datetime) -> bool:
    """Queue the canary of this hour, unless it is there already or no channel is meant for canaries.

    Returns:
        Whether one was queued.
    """
    if book.canary is None:
        return False
    key = f"{CANARY}:{book.canary}:{(now - _EPOCH) // CANARY_EVERY}"
    event = pg.insert(outbox).values(
        dedupe_key=key,
        kind=CANARY,
        owner=OWNER,
        severity="low",
        body={
            "source": CANARY,
            "subject": book.canary,
            "title": f"Canary of {now:%Y-%m-%d %H:%M} UTC: alerts arrive here",
        },
        created_at=now,
        due_at=now,
    )
    with database.transaction() as connection:
        queued = connection.execute(event.on_conflict_do_nothing().returning(outbox.c.notification_id))
        return queued.first() is not None


def ping_if_well(
    database: Database,
    book: ChannelBook,
    deadman: DeadmanSwitch,
    *,
    heartbeats: Mapping[str, dt.datetime],
    now: dt.datetime,
) -> list[str]:
    """Give the sign of life when nothing speaks against it.

    Args:
        database: The platform's database.
        book: The channels.
        deadman: Who is told.
        heartbeats: When each of Dagster's daemons was last heard of.
        now: The present moment.

    Returns:
        What speaks against it; empty when the sign was given.

    Raises:
        ServiceError: The sign did not arrive.
    """
    problems = find_problems(database, book, heartbeats=heartbeats, now=now)
    if not problems:
        deadman.ping()
    return problems


def find_problems(
    database: Database, book: ChannelBook, *, heartbeats: Mapping[str, dt.datetime], now: dt.datetime
) -> list[str]:
    """Why the platform is not well, as far as those who rely on being told are concerned; empty when it is."""
    problems = [
        f"{daemon} has not been heard of since {at:%Y-%m-%d %H:%M:%S} UTC"
        for daemon, at in sorted(heartbeats.items())
        if now - at > DAEMON_SILENCE
    ]
    if not heartbeats:
        problems.append("no daemon has ever been heard of")
    untold = sa.select(sa.func.count()).where(
        outbox.c.severity == "critical",
        outbox.c.state.in_(("pending", "routed", "failed")),
        outbox.c.due_at <= now - CRITICAL_PATIENCE,
    )
    last_canary = sa.select(sa.func.max(outbox.c.sent_at)).where(outbox.c.kind == CANARY)
    with database.transaction() as connection:
        untold_count = connection.execute(untold).scalar_one()
        canary_at = connection.execute(last_canary).scalar_one()
    if untold_count:
        problems.append(f"{untold_count} critical events have not been told")
    if book.canary is not None and (canary_at is None or now - canary_at > 2 * CANARY_EVERY):
        problems.append("no canary has arrived in the last two hours")
    return problems
