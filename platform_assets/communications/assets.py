"""The asset of the communications domain: what was delivered and how the channels stand. Thin."""

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.communications.canary import queue_canary
from platform_assets.communications.channels import Channels
from platform_assets.communications.delivery import deliver_due
from platform_assets.communications.status import channel_table, read_channels
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, table_asset
from platform_assets.tables.notifications import notification_deliveries as table

GROUP = "communications"


@table_asset(table, group=GROUP, kinds={"slack"})
def notification_deliveries(
    database: dg.ResourceParam[Database],
    channels: dg.ResourceParam[Channels],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Events of alerts, grouped by team, go to the channels in PLATFORM_NOTIFICATIONS; once an hour a canary goes along.

    The sensor `deliver_notifications` delivers within seconds; a run delivers what is due as well, and reports.
    """
    queue_canary(database, channels.book, now=clock.read())
    report = deliver_due(database, channels, now=clock.read())
    waiting = database.read(
        sa.select(sa.func.count().label("n")).select_from(table).where(table.c.state == "pending")
    )
    return measured(
        database,
        table,
        report.sent,
        messages_diverted=report.diverted,
        messages_failed=report.failed,
        messages_waiting=int(waiting["n"].iloc[0]),
        channels=dg.MetadataValue.md(channel_table(read_channels(database, channels.book))),
    )


ASSETS = [notification_deliveries]
