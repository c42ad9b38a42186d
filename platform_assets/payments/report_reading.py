"""Reads what the payment report shows; the figures themselves are `report.py`'s business."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.payments.rates_store import read_rates_to
from platform_assets.payments.report import PaymentReport, build_report, periods
from platform_assets.payments.status import effective_payments
from platform_assets.tables.marketplace import payments
from platform_assets.tables.payments import gateway_transactions, payment_analytics


def read_report(database: Database, *, last_day: dt.date, report_currency: str | None) -> PaymentReport:
    """The report of what is stored.

    Args:
        database: Where it is stored.
        last_day: The last day (UTC) to cover; what is owed is aged as of its end.
        report_currency: What to convert to; None converts nothing.
    """
    owed = effective_payments().subquery("owed")
    columns = [owed.c[name] for name in ("currency", "due_date", "amount_minor", "effective_status")]
    totals = [column for column in payment_analytics.columns if column.name != "updated_at"]
    return build_report(
        database.read(sa.select(*totals).order_by(*payment_analytics.primary_key.columns)),
        database.read(sa.select(*columns)),
        _customers(database, last_day),
        last_day=last_day,
        rates=read_rates_to(database, report_currency) if report_currency else (),
        report_currency=report_currency,
    )


def _customers(database: Database, last_day: dt.date) -> pd.DataFrame:
    """Distinct clients who paid, by currency and period."""
    table = gateway_transactions
    customer = sa.func.coalesce(payments.c.client_id, table.c.customer_id)
    frames = []
    for first, last in dict.fromkeys(periods(last_day)):
        start = dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC)
        end = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC)
        query = (
            sa.select(table.c.currency, sa.func.count(sa.distinct(customer)).label("customers_count"))
            .select_from(table.outerjoin(payments, payments.c.payment_id == table.c.payment_id))
            .where(
                table.c.object_type == "charge",
                table.c.captured_minor > 0,
                table.c.created_at >= start,
                table.c.created_at < end,
            )
            .group_by(table.c.currency)
        )
        frames.append(database.read(query).assign(first_day=first, last_day=last))
    return pd.concat(frames, ignore_index=True)
