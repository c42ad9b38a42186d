"""Ageing of what is owed: buckets, days sales outstanding, stage of the reminder ladder. Pure; per currency, in minor units.

Who is reminded, and how, is `reminders.py`.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from platform_assets.payment_thresholds import REMINDER_LADDER_DAYS, SALES_WINDOW
from platform_assets.payments.exact_sums import aligned

BUCKETS = {"current": 0, "1-30": 30, "31-60": 60, "61-90": 90}
"""Bucket to its last day overdue; beyond the last one it is `over 90`."""

OVER = "over 90"

_COLUMNS = {
    "current": "current_minor",
    "1-30": "overdue_1_30_minor",
    "31-60": "overdue_31_60_minor",
    "61-90": "overdue_61_90_minor",
    OVER: "overdue_over_90_minor",
}


def age_payments(owed: pd.DataFrame, *, as_of: dt.date) -> pd.DataFrame:
    """Age, bucket and reminder stage of every payment that is owed.

    Args:
        owed: Payments neither captured nor cancelled: `payment_id`, `client_id`, `amount_minor`, `currency`, `due_date`.
        as_of: The day (UTC) for which ages hold. A payment is overdue from the day after its due date.

    Returns:
        In the shape of `overdue_payments`.
    """
    days = (pd.Timestamp(as_of) - pd.to_datetime(owed["due_date"])).dt.days.clip(lower=0).astype("int64")
    bucket = np.array([*BUCKETS, OVER], dtype=object)[np.searchsorted(list(BUCKETS.values()), days)]
    return owed[["payment_id", "client_id", "amount_minor", "currency", "due_date"]].assign(
        overdue_days=days,
        bucket=bucket,
        reminder_stage=np.searchsorted(REMINDER_LADDER_DAYS, days, side="right"),
        as_of=as_of,
    )


def sum_receivables(aged: pd.DataFrame, payments: pd.DataFrame, *, as_of: dt.date) -> pd.DataFrame:
    """What is owed per currency, by age, and the days sales outstanding.

    Days sales outstanding are the receivables at the end of a period, times the days of the period, over the credit
    sales of the period (Credit Research Foundation, "Days Sales Outstanding"). Here sales are all payments requested in
    the 90 days up to `as_of`, but for cancelled ones: each is due after it was requested, so each is a sale on credit.

    Args:
        aged: What `age_payments` gives.
        payments: Rows of `marketplace.payments`: `amount_minor`, `currency`, `status`, `created_at`.
        as_of: The day (UTC); its own requests count.

    Returns:
        In the shape of `receivables`, ordered by currency: one row for each in which something is owed or was requested.
    """
    end = pd.Timestamp(as_of, tz="UTC") + pd.Timedelta(days=1)
    is_recent = (payments["created_at"] < end) & (payments["created_at"] >= end - SALES_WINDOW)
    requested = payments[is_recent & (payments["status"] != "cancelled")]
    is_overdue = aged["overdue_days"] > 0
    totals = aligned(
        {
            "outstanding_minor": aged.groupby("currency")["amount_minor"].sum(),
            "overdue_minor": aged[is_overdue].groupby("currency")["amount_minor"].sum(),
            **{
                column: aged[aged["bucket"] == bucket].groupby("currency")["amount_minor"].sum()
                for bucket, column in _COLUMNS.items()
            },
            "payments_count": aged.groupby("currency").size(),
            "overdue_count": aged[is_overdue].groupby("currency").size(),
            "requested_minor": requested.groupby("currency")["amount_minor"].sum(),
        }
    )
    totals = totals.rename_axis("currency").reset_index()
    sales = totals["requested_minor"].astype("float64").replace(0, np.nan)
    return totals.assign(
        days_sales_outstanding=(totals["outstanding_minor"] / sales * SALES_WINDOW.days).round(2), as_of=as_of
    )
