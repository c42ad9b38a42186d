"""One message at a time: leases it, fixes its text, and notes what came of sending it.

A claim is a lease: whoever dies while sending leaves a message that anybody may send again, under the same id. When a
channel may be tried is `pacing.py`'s business.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.http_errors import PermanentError, ServiceError
from platform_assets.clients.notifier import Message, Receipt
from platform_assets.communications.channels import OWNER, Channels
from platform_assets.communications.messages import Event, compose
from platform_assets.communications.outbox import divert
from platform_assets.communications.pacing import failed_until, is_down, may_try, paced_until
from platform_assets.communications.routing import CHANNEL_SOURCE
from platform_assets.monitoring_thresholds import CLOCK_SLACK, DOWN_AFTER_FAILURES, LEASE
from platform_assets.notification_settings import SEVERITIES, Channel
from platform_assets.tables.monitoring import notification_outbox as outbox
from platform_assets.tables.monitoring import system_alerts
from platform_assets.tables.notifications import notification_channels as channel_states
from platform_assets.tables.notifications import notification_deliveries as deliveries
from platform_assets.tables.notifications import notification_delivery_events as links


@dataclass(frozen=True)
class Claim:
    """A message that is ours to send until its lease ends."""

    delivery_id: int
    message: Message


def is_free(now: dt.datetime) -> sa.ColumnElement[bool]:
    """Whether nobody is sending a message, as a condition on `notification_deliveries`."""
    lease = deliveries.c.leased_until
    # One that ends much further away than a lease is long was taken by a clock that has been put back since. Clocks that
    # are at work differ by a little.
    return sa.or_(lease.is_(None), lease <= now, lease > now + LEASE + CLOCK_SLACK)


def _locked_state(connection: sa.Connection, channel: str) -> sa.Row[Any]:
    # Always locked before the deliveries of its channel, so that nobody waits in a circle.
    connection.execute(pg.insert(channel_states).values(channel=channel).on_conflict_do_nothing())
    return connection.execute(
        sa.select(channel_states).where(channel_states.c.channel == channel).with_for_update()
    ).one()


def claim_message(
    connection: sa.Connection, channels: Channels, channel: Channel, now: dt.datetime
) -> Claim | None:
    """Lease the most urgent message, its text fixed from now on; None when there is none or the channel has to wait."""
    state = _locked_state(connection, channel.name)
    if not may_try(state.resting_until, state.paced_until, channel.messages_per_minute, now=now):
        return None
    row = connection.execute(
        sa.select(deliveries)
        .where(
            deliveries.c.state == "pending",
            deliveries.c.channel == channel.name,
            deliveries.c.due_at <= now,
            is_free(now),
        )
        .order_by(
            sa.func.array_position(pg.array(SEVERITIES), deliveries.c.severity).desc(),
            deliveries.c.due_at,
            deliveries.c.delivery_id,
        )
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    message = _compose(connection, row, channels.ui_url)
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.delivery_id == row.delivery_id)
        .values(
            attempts_count=deliveries.c.attempts_count + 1,
            leased_until=now + LEASE,
            title=message.title,
            text_body=message.text,
            html_body=message.html,
            mood=message.mood,
        )
    )
    connection.execute(
        sa.update(channel_states)
        .where(channel_states.c.channel == channel.name)
        .values(paced_until=paced_until(state.paced_until, channel.messages_per_minute, now=now))
    )
    return Claim(row.delivery_id, message)


def _compose(connection: sa.Connection, row: sa.Row[Any], ui_url: str | None) -> Message:
    if row.title is not None:
        return Message(row.message_id, row.title, row.text_body, row.html_body, row.mood)
    instead_of = None
    if row.fallback_of is not None:
        instead_of = connection.execute(
            sa.select(deliveries.c.channel).where(deliveries.c.delivery_id == row.fallback_of)
        ).scalar_one()
    return compose(
        read_events(connection, row.delivery_id),
        owner=row.owner,
        message_id=row.message_id,
        ui_url=ui_url,
        instead_of=instead_of,
    )


def read_events(connection: sa.Connection, delivery_id: int) -> list[Event]:
    """The events that a message tells of, in their order."""
    rows = connection.execute(
        sa.select(
            outbox.c.notification_id,
            outbox.c.alert_id,
            outbox.c.kind,
            outbox.c.severity,
            outbox.c.body,
            outbox.c.created_at,
            system_alerts.c.first_seen_at,
            system_alerts.c.occurrences_count,
        )
        .join_from(links, outbox, outbox.c.notification_id == links.c.notification_id)
        .outerjoin(system_alerts, system_alerts.c.alert_id == outbox.c.alert_id)
        .where(links.c.delivery_id == delivery_id)
        .order_by(outbox.c.notification_id)
    )
    return [_event(row) for row in rows]


def _event(row: Any) -> Event:
    body = row.body if isinstance(row.body, Mapping) else {}
    details, impact = body.get("details"), body.get("impact")
    return Event(
        notification_id=row.notification_id,
        alert_id=row.alert_id,
        kind=row.kind,
        severity=row.severity,
        source=str(body.get("source") or ""),
        subject=str(body.get("subject") or ""),
        title=str(body.get("title") or "(no title)"),
        details=details if isinstance(details, Mapping) else {},
        happened_at=row.created_at,
        impact=impact if isinstance(impact, Mapping) else {},
        first_seen_at=row.first_seen_at,
        occurrences_count=row.occurrences_count or 1,
    )


def settle_success(
    connection: sa.Connection,
    channels: Channels,
    channel: Channel,
    claim: Claim,
    receipt: Receipt,
    now: dt.datetime,
) -> None:
    """Note that a channel took a message: it is well, and the events are told."""
    state = _locked_state(connection, channel.name)
    connection.execute(
        sa.update(channel_states)
        .where(channel_states.c.channel == channel.name)
        .values(failures_count=0, resting_until=None, last_sent_at=now)
    )
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.delivery_id == claim.delivery_id, deliveries.c.state != "sent")
        .values(state="sent", sent_at=now, leased_until=None, receipt=receipt.answer, error=None)
    )
    _tell_events(connection, claim.delivery_id, state="sent", sent_at=now)
    if state.failures_count:
        channels.alerts.resolve_alert(connection, fingerprint=f"channel:{channel.name}", now=now)


def settle_failure(
    connection: sa.Connection,
    channels: Channels,
    channel: Channel,
    claim: Claim,
    error: ServiceError,
    now: dt.datetime,
) -> Counter[str]:
    """Let the channel rest, and give the message to the fallback where waiting would take too long."""
    state = _locked_state(connection, channel.name)
    is_permanent = isinstance(error, PermanentError)
    failures = state.failures_count + 1
    if is_permanent:
        # What never works is not counted up to.
        failures = max(failures, DOWN_AFTER_FAILURES)
    resting_until = failed_until(failures, now=now, retry_at=error.retry_at)
    connection.execute(
        sa.update(channel_states)
        .where(channel_states.c.channel == channel.name)
        .values(
            failures_count=failures, resting_until=resting_until, last_failed_at=now, last_error=str(error)
        )
    )
    ours = sa.and_(deliveries.c.delivery_id == claim.delivery_id, deliveries.c.state == "pending")
    connection.execute(
        sa.update(deliveries).where(ours).values(leased_until=None, due_at=resting_until, error=str(error))
    )
    if not is_down(failures):
        return Counter(retried=1)
    outcomes: Counter[str] = Counter()
    if channel.fallback is not None:
        # Everything that waits for the channel, not only what has just failed.
        which = sa.and_(deliveries.c.channel == channel.name, is_free(now))
        outcomes["diverted"] = divert(connection, which, fallback=channel.fallback, now=now)
    elif is_permanent:
        connection.execute(sa.update(deliveries).where(ours).values(state="failed"))
        _tell_events(connection, claim.delivery_id, state="failed")
        outcomes["failed"] = 1
    else:
        outcomes["retried"] = 1
    channels.alerts.raise_alert(
        connection,
        fingerprint=f"channel:{channel.name}",
        severity="high",
        source=CHANNEL_SOURCE,
        subject=channel.name,
        owner=OWNER,
        title=f"Messages can't be delivered through the channel {channel.name}",
        details={
            "error": str(error),
            "is_permanent": is_permanent,
            "failures_in_a_row": failures,
            "goes_to": channel.fallback or "nobody",
            "next_try_at": resting_until,
        },
        now=now,
    )
    return outcomes


def _tell_events(
    connection: sa.Connection, delivery_id: int, *, state: str, sent_at: dt.datetime | None = None
) -> None:
    """Note at the events what has become of them; the first channel that takes one decides."""
    # Locked in one order: two channels may settle the same events at once.
    events = (
        sa.select(outbox.c.notification_id)
        .join(links, links.c.notification_id == outbox.c.notification_id)
        .where(links.c.delivery_id == delivery_id, outbox.c.state.in_(("routed", "failed")))
        .order_by(outbox.c.notification_id)
        .with_for_update(of=outbox)
    )
    if state == "failed":
        other = links.alias("other")
        events = events.where(
            ~sa.exists().where(
                other.c.notification_id == outbox.c.notification_id,
                other.c.delivery_id == deliveries.c.delivery_id,
                deliveries.c.state.in_(("pending", "sent")),
            )
        )
    locked = connection.execute(events).scalars().all()
    if locked:
        ids = sa.any_(sa.cast(list(locked), pg.ARRAY(sa.BigInteger)))
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.notification_id == ids)
            .values(state=state, sent_at=sa.func.coalesce(outbox.c.sent_at, sent_at))
        )
