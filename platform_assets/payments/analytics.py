"""Daily totals of what the gateway did, per currency. Pure; whole numbers from first to last.

What a row of the result is says `payment_analytics` in `tables/payments.py`; reading it is `analytics_reading.py`.
"""

from __future__ import annotations

import pandas as pd

from platform_assets.payments.exact_sums import aligned

SALE_KINDS = ("charge", "payment")
REFUND_KINDS = ("refund", "payment_refund")
PAYOUT_KINDS = ("payout", "payout_cancel", "payout_failure")
"""Money on its way to or from the account's own bank: it is neither earned nor spent."""

KEY = ["day", "currency"]
GATEWAY_TOTALS = [
    "sales_count",
    "sales_amount_minor",
    "refunds_count",
    "refunds_amount_minor",
    "disputes_count",
    "disputes_amount_minor",
    "fees_minor",
    "net_amount_minor",
    "payouts_count",
    "payout_amount_minor",
    "payout_returns_minor",
    "failed_charge_count",
    "failed_charge_amount_minor",
]
CLIENT_TOTALS = ["customers_count", "new_customers_count", "recovered_count", "recovered_amount_minor"]
TOTALS = [*GATEWAY_TOTALS, *CLIENT_TOTALS]

_MAX_SUM = 2.0**62
"""Far enough below the 64 bits of a sum that a float, which is close but not exact, can tell."""


def daily_totals(transactions: pd.DataFrame) -> pd.DataFrame:
    """Totals per UTC day and currency; different currencies are never added.

    Sales are balance transactions of type charge or payment, refunds (signed, so below 0) of type refund or
    payment_refund. Fees and net are those of all balance transactions but payouts. Failed charges are charges with
    status failed; they move no money and are in none of the sums. All of these belong to the day of `created_at`,
    payouts to `available_on`.

    Args:
        transactions: Rows of `gateway_transactions`. One may stand for `rows_count` rows that agree in everything but
            their amounts, and then holds their sums.

    Returns:
        `KEY` and `GATEWAY_TOTALS`, ordered by day and currency: one row for each that has a balance transaction, a
        failed charge or a dispute.

    Raises:
        OverflowError: Amounts are too large to be added in 64 bits.
    """
    is_balance = transactions["object_type"] == "balance_transaction"
    kind = transactions["kind"]
    is_bank = is_balance & kind.isin(PAYOUT_KINDS)
    is_payout = is_balance & (kind == "payout")
    is_flow = is_balance & ~is_bank
    is_sale = is_balance & kind.isin(SALE_KINDS)
    is_refund = is_balance & kind.isin(REFUND_KINDS)
    is_dispute = transactions["object_type"] == "dispute"
    is_failed = (transactions["object_type"] == "charge") & (transactions["status"] == "failed")
    rows_count = transactions.get("rows_count", pd.Series(1, index=transactions.index))
    amount = transactions["amount_minor"]
    columns = {
        "sales_count": rows_count.where(is_sale, 0),
        "sales_amount_minor": amount.where(is_sale, 0),
        "refunds_count": rows_count.where(is_refund, 0),
        "refunds_amount_minor": amount.where(is_refund, 0),
        "disputes_count": rows_count.where(is_dispute, 0),
        "disputes_amount_minor": amount.where(is_dispute, 0),
        "fees_minor": transactions["fee_minor"].where(is_flow, 0),
        "net_amount_minor": transactions["net_minor"].where(is_flow, 0),
        "payouts_count": rows_count.where(is_payout, 0),
        "payout_amount_minor": amount.where(is_payout, 0),
        "payout_returns_minor": amount.where(is_bank & ~is_payout, 0),
        "failed_charge_count": rows_count.where(is_failed, 0),
        "failed_charge_amount_minor": amount.where(is_failed, 0),
    }
    counted = is_balance | is_dispute | is_failed
    parts = pd.DataFrame({name: values.astype("int64") for name, values in columns.items()})[counted]
    for name in GATEWAY_TOTALS:
        if float(parts[name].abs().astype("float64").sum()) > _MAX_SUM:
            raise OverflowError(f"{name}: the amounts are too large to be added in 64 bits")
    created_on = pd.to_datetime(transactions["created_at"], utc=True).dt.tz_localize(None).dt.normalize()
    day = created_on.mask(is_bank, pd.to_datetime(transactions["available_on"]))
    keys = [day.dt.date[counted].rename("day"), transactions["currency"][counted]]
    totals = parts.groupby(keys, sort=True)[GATEWAY_TOTALS].sum().reset_index()
    return totals[KEY + GATEWAY_TOTALS].astype(dict.fromkeys(KEY, object))


def with_client_totals(totals: pd.DataFrame, *client_totals: pd.DataFrame) -> pd.DataFrame:
    """All totals in the shape of `payment_analytics`; what a part does not tell of a day and currency is 0.

    Args:
        totals: What `daily_totals` gives.
        client_totals: Frames with `KEY` and some of `CLIENT_TOTALS`, which together have each of them once.
    """
    parts = [part.set_index(KEY) for part in (totals, *client_totals)]
    joined = aligned({str(name): part[name] for part in parts for name in part}).reset_index()
    return joined[KEY + TOTALS].astype(dict.fromkeys(KEY, object))
