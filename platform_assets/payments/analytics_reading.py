"""Reads what the daily totals are made of, summed by the database; what counts as what is `analytics.py`'s business."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.payments.analytics import PAYOUT_KINDS, daily_totals, with_client_totals
from platform_assets.tables.marketplace import payments
from platform_assets.tables.payments import gateway_transactions

_TABLE = gateway_transactions


def read_totals(database: Database, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Daily totals of what the gateway's rows say of the days from `first` to `last`.

    Returns:
        In the shape of `payment_analytics`, ordered by day and currency.
    """
    return with_client_totals(
        daily_totals(_plain_days(database.read(_summed_rows(first, last)), "available_on", "created_at")),
        _plain_days(database.read(_customers(first, last)), "day"),
        _plain_days(database.read(_recovered(first, last)), "day"),
    )


def _plain_days(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].dt.date.astype(object) for name in columns})


def _moments(first: dt.date, last: dt.date) -> tuple[dt.datetime, dt.datetime]:
    return (
        dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC),
        dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC),
    )


def _is_created(table: sa.FromClause, first: dt.date, last: dt.date) -> sa.ColumnElement[bool]:
    start, end = _moments(first, last)
    return (table.c.created_at >= start) & (table.c.created_at < end)


def _day(column: sa.ColumnElement[dt.datetime]) -> sa.ColumnElement[dt.date]:
    # Sessions run in UTC.
    return sa.cast(column, sa.Date)


def _summed_rows(first: dt.date, last: dt.date) -> sa.Select[tuple[object, ...]]:
    """Rows that agree in everything that the totals tell apart, as one row with their number and sums."""
    is_bank = (_TABLE.c.object_type == "balance_transaction") & _TABLE.c.kind.in_(PAYOUT_KINDS)
    is_other = _TABLE.c.object_type.in_(("balance_transaction", "charge", "dispute")) & sa.or_(
        _TABLE.c.kind.is_(None), _TABLE.c.kind.not_in(PAYOUT_KINDS)
    )
    available_on = sa.case((_TABLE.c.kind.in_(PAYOUT_KINDS), _TABLE.c.available_on))
    created_on = _day(_TABLE.c.created_at)
    groups = [
        _TABLE.c.object_type,
        _TABLE.c.kind,
        _TABLE.c.status,
        _TABLE.c.currency,
        available_on.label("available_on"),
        created_on.label("created_at"),
    ]
    # A sum beyond 64 bits is an error of the cast, not another number.
    sums = [
        sa.cast(sa.func.coalesce(sa.func.sum(_TABLE.c[name]), 0), sa.BigInteger).label(name)
        for name in ("amount_minor", "fee_minor", "net_minor")
    ]
    return (
        sa.select(*groups, sa.func.count().label("rows_count"), *sums)
        .where(
            sa.or_(
                is_bank & _TABLE.c.available_on.between(first, last),
                is_other & _is_created(_TABLE, first, last),
            )
        )
        .group_by(*groups)
    )


def _customers(first: dt.date, last: dt.date) -> sa.Select[tuple[object, ...]]:
    """Distinct clients by day and currency, and those who had never paid before.

    A client is the marketplace's, or the gateway's customer where the marketplace knows nothing of the charge.
    """
    paid = (
        sa.select(
            _TABLE.c.created_at,
            _TABLE.c.currency,
            sa.func.coalesce(payments.c.client_id, _TABLE.c.customer_id).label("customer"),
        )
        .select_from(_TABLE.outerjoin(payments, payments.c.payment_id == _TABLE.c.payment_id))
        .where(_TABLE.c.object_type == "charge", _TABLE.c.captured_minor > 0)
        .cte("paid")
    )
    firsts = sa.select(paid.c.customer, sa.func.min(paid.c.created_at).label("at")).group_by(paid.c.customer)
    first_paid = firsts.subquery("first_paid")
    day = _day(paid.c.created_at).label("day")
    customers_count = sa.func.count(sa.distinct(paid.c.customer))
    return (
        sa.select(
            day,
            paid.c.currency,
            customers_count.label("customers_count"),
            customers_count.filter(_day(first_paid.c.at) == day).label("new_customers_count"),
        )
        .select_from(paid.join(first_paid, first_paid.c.customer == paid.c.customer))
        .where(_is_created(paid, first, last))
        .group_by(day, paid.c.currency)
    )


def _recovered(first: dt.date, last: dt.date) -> sa.Select[tuple[object, ...]]:
    """Charges that succeeded after an earlier one of the same intent had failed."""
    failed = _TABLE.alias("failed")
    day = _day(_TABLE.c.created_at).label("day")
    has_failed = sa.exists().where(
        failed.c.payment_intent_id == _TABLE.c.payment_intent_id,
        failed.c.object_type == "charge",
        failed.c.status == "failed",
        failed.c.created_at <= _TABLE.c.created_at,
    )
    return (
        sa.select(
            day,
            _TABLE.c.currency,
            sa.func.count().label("recovered_count"),
            sa.cast(sa.func.sum(_TABLE.c.captured_minor), sa.BigInteger).label("recovered_amount_minor"),
        )
        .where(
            _TABLE.c.object_type == "charge",
            _TABLE.c.captured_minor > 0,
            _is_created(_TABLE, first, last),
            has_failed,
        )
        .group_by(day, _TABLE.c.currency)
    )
