"""The payment assets: thin Dagster functions that read, call pure functions, write, and say what changed."""

import datetime as dt
from collections.abc import Collection

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts, is_among, write_quarantine
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.payments.analytics import daily_totals
from platform_assets.payments.analytics_days import days_to_compute
from platform_assets.payments.gateway_objects import (
    OBJECT_TYPES,
    UNSETTLED,
    find_referenced_ids,
    plan_read,
    plan_rereads,
    transaction_rows,
)
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import monitoring
from platform_assets.tables import payments as tables

GROUP = "payments"

GATEWAY_SOURCE = "stripe.objects"
"""Name under which bad gateway objects are set aside."""

FIRST_DAY = dt.date(2020, 1, 1)
"""Older payments are kept, but not summed up."""

DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC")

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@table_asset(tables.gateway_transactions, group=GROUP, kinds={"stripe"})
def gateway_transactions(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    gateway: dg.ResourceParam[PaymentGateway | None],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Payment intents, charges, refunds and balance transactions, read from Stripe by time of creation.

    Each read reaches back some days behind the last one, so that late and changed objects end in the same rows; older
    ones that new ones refer to, or that are still under way, are read again one by one. The objects of one read are held
    in memory together, since their links are found among them: about 2 kB each, the first read being all of an account.
    """
    if gateway is None:
        context.log.warning("Stripe is switched off: nothing was read, what is known stays.")
        return written(database, tables.gateway_transactions, WriteCounts(), objects_read=0)
    began_at = clock.read()
    cursors = read_table(database, tables.gateway_cursors).set_index("object_type")["read_through"]
    objects = [
        item
        for object_type in OBJECT_TYPES
        for item in gateway.list_objects(object_type, created_gte=plan_read(cursors.get(object_type)))
    ]
    table = tables.gateway_transactions
    rereads = plan_rereads(
        objects,
        known=_read_known(database, find_referenced_ids(objects), with_unsettled=True),
        quarantined_ids=_read_quarantined_ids(database),
    )
    objects += [item for reread in rereads if (item := gateway.read_object(*reread)) is not None]
    rows = transaction_rows(objects, known=_read_known(database, find_referenced_ids(objects)))
    with database.transaction() as connection:
        counts = database.upsert(table, rows.transactions, connection=connection)
        quarantined = write_quarantine(
            connection, GATEWAY_SOURCE, rows.bad_rows, good_keys=list(rows.transactions["object_id"])
        )
        # Last, in the same transaction: what could not be stored is read again.
        cursor_rows = pd.DataFrame({"object_type": list(OBJECT_TYPES), "read_through": began_at})
        database.upsert(tables.gateway_cursors, cursor_rows, connection=connection)
    counts += WriteCounts(quarantined=quarantined.inserted)
    return written(database, table, counts, objects_read=len(objects), objects_read_again=len(rereads))


def _read_known(
    database: Database, object_ids: Collection[str], *, with_unsettled: bool = False
) -> pd.DataFrame:
    table = tables.gateway_transactions
    wanted = is_among(table.c.object_id, object_ids)
    if with_unsettled:
        wanted |= table.c.object_type.in_(("charge", "refund")) & table.c.status.in_(UNSETTLED)
    return database.read(sa.select(table).where(wanted))


def _read_quarantined_ids(database: Database) -> list[str]:
    table = monitoring.quarantined_rows
    rows = database.read(sa.select(table.c.row_key).where(table.c.source == GATEWAY_SOURCE))
    return [str(row_key) for row_key in rows["row_key"]]


@table_asset(
    tables.payment_analytics, group=GROUP, kinds={"pandas"}, deps=["gateway_transactions"], partitions=DAYS
)
def payment_analytics(
    context: dg.AssetExecutionContext, database: dg.ResourceParam[Database]
) -> dg.MaterializeResult[None]:
    """Sums over the gateway's balance transactions and failed charges by UTC day of creation, in minor units.

    One run covers any range of days; a day without transactions has no row.
    """
    days = [dt.date.fromisoformat(key) for key in context.partition_keys]
    first, last = min(days), max(days)
    totals = read_totals(database, first, last)
    table = tables.payment_analytics
    counts = database.upsert(table, totals, delete_missing=table.c.day.between(first, last))
    return written(database, table, counts, days_computed=len(days), first_day=str(first), last_day=str(last))


def read_totals(database: Database, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Daily totals of what the gateway's rows say of the days from `first` to `last`."""
    table = tables.gateway_transactions
    start = dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC)
    end = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC)
    columns = table.c[
        "object_type", "kind", "status", "amount_minor", "fee_minor", "net_minor", "currency", "created_at"
    ]
    return daily_totals(
        database.read(
            sa.select(*columns).where(
                table.c.created_at >= start,
                table.c.created_at < end,
                table.c.object_type.in_(("balance_transaction", "charge")),
            )
        )
    )


def find_days_to_compute(database: Database, instance: dg.DagsterInstance, as_of: dt.date) -> list[dt.date]:
    """Days up to yesterday that were never computed, or whose gateway rows no longer give what is stored."""
    computed = instance.get_materialized_partitions(dg.AssetKey(tables.payment_analytics.name))
    return days_to_compute(
        read_totals(database, FIRST_DAY, as_of - dt.timedelta(days=1)),
        read_table(database, tables.payment_analytics),
        computed_days={dt.date.fromisoformat(key) for key in computed},
        as_of=as_of,
    )


def analytics_run_tags(
    database: Database, instance: dg.DagsterInstance, as_of: dt.date
) -> dict[str, str] | None:
    """Tags of a run that computes every day that wants it; None when none does.

    Dagster runs a contiguous range: days between are computed again, which writes nothing.
    """
    days = find_days_to_compute(database, instance, as_of)
    return {RANGE_START_TAG: days[0].isoformat(), RANGE_END_TAG: days[-1].isoformat()} if days else None


ASSETS = [gateway_transactions, payment_analytics]
