"""The payment assets: thin Dagster functions that read, call pure functions, write, and say what changed."""

import datetime as dt

import dagster as dg

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.payments.analytics_days import days_to_compute
from platform_assets.payments.analytics_reading import read_totals
from platform_assets.payments.gateway_metrics import keep_calls
from platform_assets.payments.gateway_sync import GatewaySync
from platform_assets.payments.report_files import write_report
from platform_assets.payments.report_reading import read_report
from platform_assets.resources import Clock, ReportOptions
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import payments as tables

GROUP = "payments"

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
    """What Stripe holds: intents, charges, refunds, disputes, balance transactions and payouts.

    Each read asks for what was made since the last one, reaching back some hours, and for what events tell has changed.
    An older state never replaces a newer one. A first read that breaks off goes on where it was.
    """
    if gateway is None:
        context.log.warning("Stripe is switched off: nothing was read, what is known stays.")
        return written(database, tables.gateway_transactions, WriteCounts(), objects_read=0)
    try:
        counts = GatewaySync(database, gateway, clock.read).run()
    finally:
        keep_calls(database, gateway.log)
    return written(
        database,
        tables.gateway_transactions,
        counts.writes,
        objects_read=counts.objects_read,
        objects_read_again=counts.objects_read_again,
        payouts_itemized=counts.payouts_itemized,
    )


@table_asset(
    tables.payment_analytics, group=GROUP, kinds={"pandas"}, deps=["gateway_transactions"], partitions=DAYS
)
def payment_analytics(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
    report_options: dg.ResourceParam[ReportOptions],
) -> dg.MaterializeResult[None]:
    """Sums over the gateway's rows by UTC day and currency, in minor units, with the clients who paid.

    One run covers any range of days; a day without transactions has no row. Then the payment report is written anew.
    """
    days = [dt.date.fromisoformat(key) for key in context.partition_keys]
    first, last = min(days), max(days)
    totals = read_totals(database, first, last)
    table = tables.payment_analytics
    counts = database.upsert(table, totals, delete_missing=table.c.day.between(first, last))
    yesterday = clock.as_of - dt.timedelta(days=1)
    report = read_report(database, last_day=yesterday, report_currency=report_options.currency)
    files = write_report(report, report_options.folder, generated_at=clock.read())
    return written(
        database,
        table,
        counts,
        days_computed=len(days),
        first_day=str(first),
        last_day=str(last),
        report=dg.MetadataValue.path(files.html),
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
