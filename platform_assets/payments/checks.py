"""What is measured on the payment assets; bounds are in `payment_thresholds.py`."""

import datetime as dt

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets import payment_thresholds as thresholds
from platform_assets.asset_checks import (
    Measurement,
    check_result,
    freshness_check,
    holding,
    quarantine_checks,
    static_metadata,
    table_check,
)
from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database
from platform_assets.payments.analytics import KEY, TOTALS
from platform_assets.payments.analytics_reading import read_totals
from platform_assets.payments.assets import FIRST_DAY, find_days_to_compute
from platform_assets.payments.gateway_sync import GATEWAY_SOURCE
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table
from platform_assets.tables import marketplace, monitoring
from platform_assets.tables import payments as tables
from platform_assets.thresholds import QUARANTINED_ROWS

CAPTURED = ("paid", "partially_refunded", "refunded")
"""Statuses of a payment that say that the money was captured."""


def _captured(database: Database) -> tuple[int, list[str], list[str]]:
    """Number of payments marked captured through the gateway; ids of those the gateway never captured, or otherwise.

    Only what was captured before the gateway was last read: the rest can't be known here yet. Without any read, as
    with the gateway switched off, that is none.
    """
    cursors = read_table(database, tables.gateway_cursors).set_index("object_type")["read_through"]
    payments = read_contract(database, marketplace.payments).rows
    captured_at = payments["paid_at"].fillna(payments["updated_at"])
    payments = payments[
        payments["status"].isin(CAPTURED)
        & payments["payment_intent_id"].notna()
        & (captured_at <= cursors.get("payment_intent", pd.NaT))
    ]
    table = tables.gateway_transactions
    intents = database.read(
        sa.select(table.c.object_id, table.c.amount_minor, table.c.currency).where(
            table.c.object_type == "payment_intent", table.c.status == "succeeded"
        )
    )
    both = payments.merge(
        intents, how="left", left_on="payment_intent_id", right_on="object_id", suffixes=("", "_gateway")
    )
    is_missing = both["object_id"].isna()
    is_other = ~is_missing & (
        (both["amount_minor"] != both["amount_minor_gateway"])
        | (both["currency"] != both["currency_gateway"])
    )
    return len(both), sorted(both["payment_id"][is_missing]), sorted(both["payment_id"][is_other])


def _missing_payments(database: Database, _: Clock) -> Measurement:
    captured_count, missing, _other = _captured(database)
    return Measurement(len(missing), {"captured_payments": captured_count, "payments": missing[:20]})


def _mismatched_payments(database: Database, _: Clock) -> Measurement:
    captured_count, _missing, other = _captured(database)
    return Measurement(len(other), {"captured_payments": captured_count, "payments": other[:20]})


def _quarantined_objects(database: Database, _: Clock) -> Measurement:
    table = monitoring.quarantined_rows
    bad = database.read(sa.select(table.c.row_key, table.c.reason).where(table.c.source == GATEWAY_SOURCE))
    return Measurement(
        len(bad), {"objects": [f"{row.row_key}: {row.reason}" for row in bad.head(20).itertuples()]}
    )


def _refunds_above_charges(database: Database, _: Clock) -> Measurement:
    table = tables.gateway_transactions
    bad = database.read(
        sa.select(table.c.object_id)
        .where(table.c.object_type == "charge", table.c.refunded_minor > table.c.captured_minor)
        .order_by(table.c.object_id)
    )["object_id"]
    return Measurement(len(bad), {"charges": bad.head(20).tolist()})


def _due_as_of(clock: Clock) -> dt.date:
    """The day before which all days have to be summed up by now."""
    return min(clock.as_of, (clock.read() - thresholds.ANALYTICS_GRACE).date())


def _residual(database: Database, clock: Clock) -> Measurement:
    """Sum of absolute differences between stored totals and the gateway's rows, over days that are due."""
    as_of = _due_as_of(clock)
    totals = read_totals(database, FIRST_DAY, as_of - dt.timedelta(days=1))
    stored = read_table(database, tables.payment_analytics)
    stored = stored[stored["day"] < pd.Timestamp(as_of)]
    both = [frame.assign(day=frame["day"].astype(str)).set_index(KEY)[TOTALS] for frame in (totals, stored)]
    keys = both[0].index.union(both[1].index)
    now, before = (frame.reindex(keys, fill_value=0) for frame in both)
    return Measurement(int((now - before).abs().to_numpy().sum()), {"days_compared": len(keys)})


@dg.asset_check(
    asset=dg.AssetKey("payment_analytics"),
    name="missing_days",
    description="Days up to yesterday that were never computed or that late transactions reopened.",
    metadata=static_metadata(thresholds.ANALYTICS_MISSING_DAYS),
)
def missing_days(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """Counts days that want computing."""
    days = find_days_to_compute(database, context.instance, _due_as_of(clock))
    return check_result(
        holding(database, clock, thresholds.ANALYTICS_MISSING_DAYS),
        Measurement(len(days), {"days": [str(day) for day in days[:20]]}),
    )


CHECKS = [
    freshness_check("gateway_transactions"),
    freshness_check("payment_analytics"),
    *quarantine_checks("gateway_transactions", marketplace.payments),
    table_check(
        asset="gateway_transactions",
        name="captured_payments_exist",
        threshold=thresholds.GATEWAY_MISSING_PAYMENTS,
        description="Payments that the application holds for captured and the gateway does not.",
        measure=_missing_payments,
    ),
    table_check(
        asset="gateway_transactions",
        name="captured_amounts_agree",
        threshold=thresholds.GATEWAY_MISMATCHED_PAYMENTS,
        description="Captured payments whose amount or currency differs between application and gateway.",
        measure=_mismatched_payments,
    ),
    table_check(
        asset="gateway_transactions",
        name="quarantined_objects",
        threshold=QUARANTINED_ROWS,
        description="Gateway objects that were set aside because they can be no row.",
        measure=_quarantined_objects,
    ),
    table_check(
        asset="gateway_transactions",
        name="refunds_within_charges",
        threshold=thresholds.GATEWAY_REFUNDS_ABOVE_CHARGES,
        description="Charges of which more was refunded than was captured.",
        measure=_refunds_above_charges,
    ),
    missing_days,
    table_check(
        asset="payment_analytics",
        name="totals_residual",
        threshold=thresholds.ANALYTICS_RESIDUAL_MINOR,
        description="Difference between the stored totals and the sum of the gateway's rows.",
        measure=_residual,
    ),
]
