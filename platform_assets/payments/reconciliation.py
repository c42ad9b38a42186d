"""Compares two books at a time and names every difference. Pure, in vectors; whole minor units from first to last.

A leg is two books of the same money. Totals are summed straight from the entries, breaks are found by matching them:
the residual between the two tells when either is wrong. What a break becomes over time is `breaks.py`'s business.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.payment_thresholds import TIMING_DEADLINES
from platform_assets.payments.exact_sums import aligned
from platform_assets.payments.status import CAPTURED_STATUSES

_CAPTURED = tuple(str(status) for status in CAPTURED_STATUSES)
_ON_ITS_WAY = ("pending", "processing", "failed", *_CAPTURED)
"""Statuses to which a webhook that comes late adds what the gateway has."""

_CHARGE_KINDS = ("charge", "payment")
_REFUND_KINDS = (
    *("refund", "payment_refund", "refund_failure", "payment_refund_failure", "payment_failure_refund"),
)
_PAYOUT_KINDS = ("payout", "payout_cancel", "payout_failure")
_VOID = ("failed", "canceled")

DAY_KEY = ["leg", "day", "currency"]
BREAK_KEY = ["leg", "cause", "subject_id", "currency"]
BREAK_COLUMNS = [*BREAK_KEY, "day", "amount_minor", "here_ids", "there_ids", "reason", "deadline_on"]

_ENTRY = ["id", "subject_id", "currency", "day", "amount_minor", "alone", "differs"]

_REASONS = {
    ("captures", "missing_here"): "the gateway charged for a payment that is not known here",
    ("captures", "missing_there"): "captured here, but the gateway has no charge that succeeded",
    ("captures", "status"): "the gateway charged for a payment that is cancelled here",
    ("captures", "duplicate"): "the gateway charged the same payment once more",
    ("refunds", "missing_here"): "the gateway refunded a payment that is not known here",
    ("refunds", "missing_there"): "refunded here, but not at the gateway",
    ("refunds", "status"): "the gateway refunded a payment that is cancelled here",
    ("balance", "missing_here"): "the ledger has an entry for what the gateway does not show",
    ("balance", "missing_there"): "the ledger has no entry for it",
    ("fees", "fee"): "amount less fee is not the net",
    ("payouts", "missing_here"): "no entry of the ledger names this payout",
    ("payouts", "missing_there"): "the ledger's entries name a payout that is not known",
    ("payouts", "amount"): "the payout is not the sum of its entries",
    ("payouts", "status"): "the payout failed or was cancelled, and its money came back",
    ("payouts", "timing"): "available, but not paid out yet",
}
_COMMON_REASONS = {
    "amount": "the two books have different amounts",
    "currency": "the two books have different currencies",
    "timing": "one book has it, the other has not heard of it yet",
}


@dataclass(frozen=True)
class Reconciliation:
    """The outcome.

    Attributes:
        days: In the shape of `payment_reconciliation`, ordered by key.
        breaks: Differences that there are now, in the columns `BREAK_COLUMNS`, ordered by key.
        converted_count: Entries that the gateway settled in another currency than it charged: without the rate at which it
            did they can't be compared, and are in neither total.
    """

    days: pd.DataFrame
    breaks: pd.DataFrame
    converted_count: int


def reconcile(
    payments: pd.DataFrame, gateway: pd.DataFrame, *, read_through: dt.datetime, as_of: dt.date
) -> Reconciliation:
    """Compare all books.

    Args:
        payments: Rows of `marketplace.payments`.
        gateway: Rows of `gateway_transactions`.
        read_through: Up to when all of the gateway was read (UTC).
        as_of: The day (UTC) up to which what is available should be paid out.
    """
    # Of rows that claim the same, the first by these counts, in whatever order they come.
    payments = payments.sort_values("payment_id")
    gateway = gateway.sort_values(["created_at", "object_id"])
    gateway = gateway.assign(day=_utc_days(gateway["created_at"]))
    balance_here, balance_there, converted_count = _balance(gateway)
    legs = {
        "captures": _captures(payments, gateway, read_through),
        "refunds": _refunds(payments, gateway, read_through),
        "balance": (balance_here, balance_there),
        "fees": _fees(gateway),
        "payouts": _payouts(gateway, as_of),
    }
    compared = [_compare(name, here, there) for name, (here, there) in legs.items()]
    return Reconciliation(
        days=pd.concat([days for days, _ in compared]).sort_values(DAY_KEY, ignore_index=True),
        breaks=pd.concat([breaks for _, breaks in compared]).sort_values(BREAK_KEY, ignore_index=True),
        converted_count=converted_count,
    )


def _compare(leg: str, here: pd.DataFrame, there: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Days and breaks of a leg: entries of one subject and currency are held against each other.

    A subject counts to the day of its last entry there, or of its last one here when there is none.
    """
    key = ["subject_id", "currency"]
    books = {"here": _by_subject(here), "there": _by_subject(there)}
    matched = books["here"].add_suffix("_here").join(books["there"].add_suffix("_there"), how="outer")
    matched["day"] = matched["day_there"].where(matched["day_there"].notna(), matched["day_here"])
    for side in books:
        matched[f"{side}_ids"] = [ids if isinstance(ids, list) else [] for ids in matched[f"ids_{side}"]]
    amounts = aligned({side: book["amount_minor"] for side, book in books.items()})
    matched["amount_minor"] = (amounts["here"] - amounts["there"]).reindex(matched.index)
    breaks = _breaks(leg, matched[matched["amount_minor"] != 0].reset_index(), here, there)

    day_of = matched["day"]
    parts: dict[str, pd.Series[int]] = {}
    for side, entries in (("here", here), ("there", there)):
        days = day_of.reindex(pd.MultiIndex.from_frame(entries[key])).to_numpy()
        grouped = entries.assign(day=days).groupby(["day", "currency"])["amount_minor"]
        parts |= {f"{side}_minor": grouped.sum(), f"{side}_count": grouped.size()}
    parts["breaks_minor"] = breaks.groupby(["day", "currency"])["amount_minor"].sum()
    totals = aligned(parts).rename_axis(["day", "currency"]).reset_index()
    totals["residual_minor"] = totals["here_minor"] - totals["there_minor"] - totals["breaks_minor"]
    totals.insert(0, "leg", leg)
    return totals, breaks


def _by_subject(entries: pd.DataFrame) -> pd.DataFrame:
    return entries.groupby(["subject_id", "currency"]).agg(
        amount_minor=("amount_minor", "sum"),
        day=("day", "max"),
        ids=("id", list),
        alone=("alone", "last"),
        differs=("differs", "last"),
    )


def _breaks(leg: str, rows: pd.DataFrame, here: pd.DataFrame, there: pd.DataFrame) -> pd.DataFrame:
    has_here, has_there = rows["ids_here"].notna(), rows["ids_there"].notna()
    # The subject is in both books, but not in this currency.
    is_elsewhere = (has_here & rows["subject_id"].isin(there["subject_id"])) | (
        has_there & rows["subject_id"].isin(here["subject_id"])
    )
    alone = rows["alone_here"].where(has_here, rows["alone_there"])
    cause = np.select(
        [has_here & has_there, is_elsewhere],
        [rows["differs_there"].astype(object), "currency"],
        alone.astype(object),
    )
    deadline = pd.Timedelta(TIMING_DEADLINES[leg])
    is_due = pd.Series(cause == "timing", rows.index)
    if leg == "payouts":
        # A balance of 0 or below is never paid out: it waits for sales, for as long as that takes.
        unpaid = rows["amount_minor"].where(is_due, 0).groupby(rows["currency"]).transform("sum")
        is_due &= unpaid > 0
    breaks = rows.assign(
        leg=leg,
        cause=cause,
        reason=[_REASONS.get((leg, each), _COMMON_REASONS.get(each, "")) for each in cause],
        deadline_on=(rows["day"] + deadline).where(is_due),
    )
    return breaks[BREAK_COLUMNS]


def _utc_days(moments: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(moments, utc=True).dt.tz_localize(None).dt.normalize()


def _entries(
    rows: pd.DataFrame, *, id_column: str = "object_id", alone: Any, differs: Any = "amount"
) -> pd.DataFrame:
    """Entries of one book.

    Args:
        rows: With `subject_id`, `currency`, `day` and `amount_minor`.
        id_column: Where the entry's own id stands.
        alone: Cause of the break when the other book has nothing of its subject in its currency.
        differs: Cause of the break when it has another amount; of the second book's entries this counts.
    """
    entries = rows.assign(id=rows[id_column], alone=alone, differs=differs)[_ENTRY]
    return entries.astype(
        {"amount_minor": "int64", "day": "datetime64[s]", "alone": object, "differs": object}
    )


def _looked_up(keys: pd.Series[str], values: pd.Series[Any]) -> pd.Series[Any]:
    """The values of some keys, in the keys' own index; missing where there is none."""
    return values.reindex(keys).set_axis(keys.index)


def _payment_of(rows: pd.DataFrame, payments: pd.DataFrame) -> pd.Series[str]:
    """The payment to which the gateway's rows belong, by intent or else as they name it; missing where none is known."""
    by_intent = payments.dropna(subset=["payment_intent_id"]).drop_duplicates("payment_intent_id")
    found = _looked_up(rows["payment_intent_id"], by_intent.set_index("payment_intent_id")["payment_id"])
    named = rows["payment_id"].where(rows["payment_id"].isin(payments["payment_id"]))
    return found.where(found.notna(), named)


def _booked(
    payments: pd.DataFrame, booked_at: pd.Series[pd.Timestamp], read_through: dt.datetime
) -> pd.DataFrame:
    """Entries of the marketplace: what it booked after the gateway was last read can't be there yet."""
    alone = np.where(booked_at > pd.Timestamp(read_through), "timing", "missing_there")
    rows = payments.assign(subject_id=payments["payment_id"], day=_utc_days(booked_at))
    return _entries(rows, id_column="payment_id", alone=alone)


def _through_gateway(payments: pd.DataFrame) -> pd.DataFrame:
    """Payments that the gateway should know: without an intent they were paid in another way."""
    return payments[payments["payment_intent_id"].notna()]


def _seen_alone(rows: pd.DataFrame, payments: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Cause of a break when only the gateway has something of a payment."""
    status = _looked_up(rows["subject_id"], payments.set_index("payment_id")["status"])
    return np.select([status.isna(), status.isin(_ON_ITS_WAY)], ["missing_here", "timing"], "status").astype(
        object
    )


def _captures(
    payments: pd.DataFrame, gateway: pd.DataFrame, read_through: dt.datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Payments that count as captured, and the gateway's charges that succeeded."""
    captured = _through_gateway(payments)
    captured = captured[captured["status"].isin(_CAPTURED)]
    here = _booked(captured, captured["paid_at"].fillna(captured["updated_at"]), read_through)

    charges = gateway[(gateway["object_type"] == "charge") & (gateway["status"] == "succeeded")]
    payment_ids = _payment_of(charges, payments)
    is_again = payment_ids.notna() & payment_ids.duplicated()
    stands_alone = payment_ids.isna() | is_again
    charges = charges.assign(
        subject_id=payment_ids.where(~stands_alone, charges["object_id"]),
        amount_minor=charges["captured_minor"].fillna(charges["amount_minor"]),
    )
    alone = np.where(is_again, "duplicate", _seen_alone(charges, payments))
    return here, _entries(charges, alone=alone)


def _refunds(
    payments: pd.DataFrame, gateway: pd.DataFrame, read_through: dt.datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What payments count as refunded, and the gateway's refunds, those on their way included."""
    refunded = _through_gateway(payments)
    refunded = refunded[refunded["refunded_minor"] > 0].assign(
        amount_minor=lambda rows: rows["refunded_minor"]
    )
    here = _booked(refunded, refunded["updated_at"], read_through)

    refunds = gateway[(gateway["object_type"] == "refund") & ~gateway["status"].isin(_VOID)]
    payment_ids = _payment_of(refunds, payments)
    refunds = refunds.assign(subject_id=payment_ids.where(payment_ids.notna(), refunds["object_id"]))
    changed_at = _looked_up(refunds["subject_id"], payments.set_index("payment_id")["updated_at"])
    differs = pd.Series(np.where(refunds["created_at"] > changed_at, "timing", "amount"), index=refunds.index)
    return here, _entries(refunds, alone=_seen_alone(refunds, payments), differs=differs)


def _balance(gateway: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Charges and refunds, and the ledger's entries for them; and how many were converted, and so are in neither."""
    kind, status = gateway["object_type"], gateway["status"]
    charges = gateway[(kind == "charge") & (status == "succeeded")]
    captured_minor = charges["captured_minor"].fillna(charges["amount_minor"])
    charges = charges.assign(flow="charge ", amount_minor=captured_minor)
    refunds = gateway[(kind == "refund") & ~status.isin((*_VOID, "pending", "requires_action"))]
    refunds = refunds.assign(flow="refund of ", amount_minor=-refunds["amount_minor"])
    ledger = gateway[(kind == "balance_transaction") & gateway["kind"].isin((*_CHARGE_KINDS, *_REFUND_KINDS))]
    is_charge = ledger["kind"].isin(_CHARGE_KINDS)
    ledger = ledger.assign(flow=np.where(is_charge, "charge ", "refund of "))
    # A refund and its entry know each other through the charge alone.
    here, there = (
        rows.assign(subject_id=rows["flow"] + rows["charge_id"].fillna(rows["object_id"]))
        for rows in (pd.concat([charges, refunds]), ledger)
    )
    currencies = pd.concat([here, there]).groupby("subject_id")["currency"].nunique()
    converted = currencies.index[currencies > 1]
    here, there = (rows[~rows["subject_id"].isin(converted)] for rows in (here, there))
    return (
        _entries(here, alone="missing_there"),
        _entries(there, alone="missing_here"),
        len(converted),
    )


def _fees(gateway: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Amount less fee of each of the ledger's entries, and its net."""
    ledger = gateway[gateway["object_type"] == "balance_transaction"]
    ledger = ledger.assign(subject_id=ledger["object_id"])
    before = ledger.assign(amount_minor=ledger["amount_minor"] - ledger["fee_minor"].fillna(0))
    after = ledger.assign(amount_minor=ledger["net_minor"].fillna(0))
    return _entries(before, alone="fee"), _entries(after, alone="fee", differs="fee")


def _payouts(gateway: pd.DataFrame, as_of: dt.date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The net of the ledger's entries, paid out or available for it, and the payouts. Ones that failed pay nothing."""
    # Of a manual payout the gateway does not say what it paid out, of one that is still gathered not yet all of it.
    payouts = gateway[
        (gateway["object_type"] == "payout") & (gateway["kind"] == "automatic") & gateway["payout_id"].notna()
    ]
    is_void = payouts["status"].isin(_VOID)
    payouts = payouts.assign(
        subject_id=payouts["object_id"], amount_minor=payouts["amount_minor"].where(~is_void, 0)
    )
    there = _entries(
        payouts, alone="missing_here", differs=pd.Series(np.where(is_void, "status", "amount"), payouts.index)
    )
    ledger = gateway[(gateway["object_type"] == "balance_transaction") & ~gateway["kind"].isin(_PAYOUT_KINDS)]
    available_on = ledger["available_on"].astype("datetime64[s]")
    is_paid = ledger["payout_id"].notna()
    # Without any of them the gateway pays out nothing by itself, and no entry waits for it.
    is_waiting = ~is_paid & (available_on < pd.Timestamp(as_of)) & (not payouts.empty)
    ledger = ledger.assign(
        subject_id=ledger["payout_id"].where(is_paid, "available on " + available_on.dt.strftime("%Y-%m-%d")),
        day=available_on.where(available_on.notna(), ledger["day"]),
        amount_minor=ledger["net_minor"].fillna(0),
        alone=np.where(is_paid, "missing_there", "timing"),
    )[is_paid | is_waiting]
    return _entries(ledger, alone=ledger["alone"]), there
