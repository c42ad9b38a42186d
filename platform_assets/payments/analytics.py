"""Daily totals of what the gateway did, per currency. Pure; whole numbers from first to last.

What a row of the result is says `payment_analytics` in `tables/payments.py`.
"""

from __future__ import annotations

import pandas as pd

SALE_KINDS = ("charge", "payment")
REFUND_KINDS = ("refund", "payment_refund")
PAYOUT_KINDS = ("payout", "payout_cancel", "payout_failure")
"""Money on its way to or from the account's own bank: it is neither earned nor spent."""

KEY = ["day", "currency"]
TOTALS = [
    "sales_count",
    "sales_amount_minor",
    "refunds_count",
    "refunds_amount_minor",
    "fees_minor",
    "net_amount_minor",
    "failed_charge_count",
    "failed_charge_amount_minor",
]

_MAX_SUM = 2.0**62
"""Far enough below the 64 bits of a sum that a float, which is close but not exact, can tell."""


def daily_totals(transactions: pd.DataFrame) -> pd.DataFrame:
    """Totals per UTC day of `created_at` and currency; different currencies are never added.

    Sales are balance transactions of type charge or payment, refunds (signed, so below 0) of type refund or
    payment_refund. Fees and net are those of all balance transactions but payouts. Failed charges are charges with
    status failed; they move no money and are in none of the sums.

    Args:
        transactions: Rows of `gateway_transactions`.

    Returns:
        In the shape of `payment_analytics`, ordered by day and currency: one row for each that has a balance
        transaction other than a payout, or a failed charge.

    Raises:
        OverflowError: Amounts are too large to be added in 64 bits.
    """
    is_balance = transactions["object_type"] == "balance_transaction"
    kind = transactions["kind"]
    is_flow = is_balance & ~kind.isin(PAYOUT_KINDS)
    is_sale = is_balance & kind.isin(SALE_KINDS)
    is_refund = is_balance & kind.isin(REFUND_KINDS)
    is_failed = (transactions["object_type"] == "charge") & (transactions["status"] == "failed")
    counted = is_flow | is_failed
    amount = transactions["amount_minor"]
    columns = {
        "sales_count": is_sale,
        "sales_amount_minor": amount.where(is_sale, 0),
        "refunds_count": is_refund,
        "refunds_amount_minor": amount.where(is_refund, 0),
        "fees_minor": transactions["fee_minor"].where(is_flow, 0),
        "net_amount_minor": transactions["net_minor"].where(is_flow, 0),
        "failed_charge_count": is_failed,
        "failed_charge_amount_minor": amount.where(is_failed, 0),
    }
    parts = pd.DataFrame({name: values.astype("int64") for name, values in columns.items()})[counted]
    for name in TOTALS:
        if float(parts[name].abs().astype("float64").sum()) > _MAX_SUM:
            raise OverflowError(f"{name}: the amounts are too large to be added in 64 bits")
    keys = [
        pd.to_datetime(transactions["created_at"], utc=True).dt.date[counted].rename("day"),
        transactions["currency"][counted],
    ]
    totals = parts.groupby(keys, sort=True)[TOTALS].sum().reset_index()
    return totals[KEY + TOTALS].astype(dict.fromkeys(KEY, object))
