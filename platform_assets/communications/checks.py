"""Checks on the delivery of notifications; thin. The numbers are `monitoring_thresholds.py`'s."""

import datetime as dt

import sqlalchemy as sa

from platform_assets import monitoring_thresholds as thresholds
from platform_assets.asset_checks import Measurement, freshness_check, share, table_check
from platform_assets.clients.database import Database
from platform_assets.communications import status
from platform_assets.resources import Clock
from platform_assets.tables.notifications import notification_deliveries as deliveries

ASSET = "notification_deliveries"

DAY = dt.timedelta(days=1)


def _undelivered_age(database: Database, clock: Clock) -> Measurement:
    oldest = status.oldest_untold(database, now=clock.read())
    return Measurement(oldest.age_s, {"events_waiting": oldest.count, "errors": oldest.errors})


def _told_in_time(database: Database, clock: Clock) -> Measurement:
    limit = dt.timedelta(seconds=thresholds.TOLD_WITHIN_S)
    told = status.count_told(database, since=clock.read() - DAY, now=clock.read(), within=limit)
    return share(told.in_time_count, told.events_count, {"slowest_s": told.slowest_s}, of_none=1.0)


def _failed(database: Database, clock: Clock) -> Measurement:
    rows = database.read(
        sa.select(deliveries.c.delivery_id, deliveries.c.channel, deliveries.c.error)
        .where(deliveries.c.state == "failed", deliveries.c.created_at > clock.read() - DAY)
        .order_by(deliveries.c.delivery_id)
    )
    listed = [f"{row.delivery_id} ({row.channel}): {row.error}" for row in rows.head(20).itertuples()]
    return Measurement(
        len(rows), {"messages": listed, "what_to_do": "platform-assets notifications retry --failed"}
    )


def _canary_latency(database: Database, clock: Clock) -> Measurement:
    latency_s = status.canary_latency_s(database, now=clock.read())
    if latency_s is None:
        return Measurement(
            None,
            not_evaluated_because="no canary has been sent: PLATFORM_NOTIFICATIONS names no channel as `canary`",
        )
    return Measurement(latency_s)


CHECKS = [
    freshness_check(ASSET),
    table_check(
        asset=ASSET,
        name="undelivered_age",
        threshold=thresholds.UNDELIVERED_AGE_S,
        description="Seconds since the oldest event became due that nobody has been told of.",
        measure=_undelivered_age,
    ),
    table_check(
        asset=ASSET,
        name="told_in_time",
        threshold=thresholds.TOLD_IN_TIME_RATIO,
        description="Share of the last day's events that a channel took within a minute.",
        measure=_told_in_time,
    ),
    table_check(
        asset=ASSET,
        name="failed_messages",
        threshold=thresholds.FAILED_DELIVERIES,
        description="Messages of the last day that were refused for good, with no other channel to go to.",
        measure=_failed,
    ),
    table_check(
        asset=ASSET,
        name="canary_latency",
        threshold=thresholds.CANARY_LATENCY_S,
        description="Seconds from the last canary's happening to its receipt; of one that is overdue, its age.",
        measure=_canary_latency,
    ),
]
