"""Daily totals: whole numbers, one currency at a time, and never another sum than that of the rows."""

import csv
import datetime as dt
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.payments.analytics import (
    CLIENT_TOTALS,
    GATEWAY_TOTALS,
    KEY,
    PAYOUT_KINDS,
    TOTALS,
    daily_totals,
    with_client_totals,
)
from platform_assets.payments.gateway_objects import Observation, TransactionRows
from platform_assets.payments.gateway_objects import transaction_rows as rows_of_observations
from platform_assets.tables import payments as tables

SEEDS = Path(__file__).parents[3] / "shared" / "data" / "stripe_seeds"

FIRST_S = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp())
SECONDS = st.integers(min_value=FIRST_S, max_value=FIRST_S + 3 * 86_400)
AMOUNTS = st.integers(min_value=-(10**13), max_value=10**13)
# No decimal places, two and three.
CURRENCIES = st.sampled_from(["JPY", "USD", "KWD"])


def transaction_rows(items: list[dict[str, Any]]) -> TransactionRows:
    return rows_of_observations(Observation(item, dt.datetime(2026, 2, 1, tzinfo=dt.UTC)) for item in items)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    created = draw(SECONDS)
    basis = {"currency": draw(CURRENCIES).lower(), "created": created}
    if draw(st.booleans()):
        amount = abs(draw(AMOUNTS))
        status = draw(st.sampled_from(["failed", "succeeded", "pending"]))
        kind = draw(st.sampled_from(["charge", "dispute"]))
        return {**basis, "object": kind, "amount": amount, "status": status}
    amount, fee = draw(AMOUNTS), draw(st.integers(min_value=-1000, max_value=1000))
    kinds = ["charge", "payment", "refund", "payment_refund", "payout", "payout_failure", "adjustment"]
    more = {"type": draw(st.sampled_from(kinds)), "amount": amount, "fee": fee, "net": amount - fee}
    more["available_on"] = draw(SECONDS)
    return {**basis, "object": "balance_transaction", **more}


def totals_by_hand(items: list[dict[str, Any]]) -> dict[tuple[dt.date, str], dict[str, int]]:
    days: defaultdict[tuple[dt.date, str], dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(GATEWAY_TOTALS, 0)
    )
    for item in items:
        is_bank = item.get("type", "").startswith("payout")
        moment = item["available_on"] if is_bank else item["created"]
        day = dt.datetime.fromtimestamp(moment, tz=dt.UTC).date()
        key = (day, item["currency"].upper())
        if item["object"] == "charge":
            if item["status"] == "failed":
                days[key]["failed_charge_count"] += 1
                days[key]["failed_charge_amount_minor"] += item["amount"]
        elif item["object"] == "dispute":
            days[key]["disputes_count"] += 1
            days[key]["disputes_amount_minor"] += item["amount"]
        elif item["type"] == "payout":
            days[key]["payouts_count"] += 1
            days[key]["payout_amount_minor"] += item["amount"]
        elif is_bank:
            days[key]["payout_returns_minor"] += item["amount"]
        else:
            days[key]["fees_minor"] += item["fee"]
            days[key]["net_amount_minor"] += item["net"]
            name = {"charge": "sales", "payment": "sales", "refund": "refunds", "payment_refund": "refunds"}
            if item["type"] in name:
                days[key][f"{name[item['type']]}_count"] += 1
                days[key][f"{name[item['type']]}_amount_minor"] += item["amount"]
    return dict(days)


def as_dict(totals: pd.DataFrame) -> dict[tuple[dt.date, str], dict[str, int]]:
    return {
        (row["day"], row["currency"]): {name: row[name] for name in GATEWAY_TOTALS}
        for _, row in totals.iterrows()
    }


def numbered(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "id": f"o_{position}"} for position, item in enumerate(items)]


@given(st.lists(objects(), max_size=30))
def test_totals_are_the_sums_of_the_rows_per_day_and_currency(items: list[dict[str, Any]]) -> None:
    rows = transaction_rows(numbered(items))
    assert rows.bad_rows == ()
    assert as_dict(daily_totals(rows.transactions)) == totals_by_hand(items)


@given(st.lists(objects(), max_size=30))
def test_totals_of_parts_add_up_to_the_totals_of_the_whole(items: list[dict[str, Any]]) -> None:
    rows = transaction_rows(numbered(items)).transactions
    created = pd.to_datetime(rows["created_at"], utc=True).dt.date
    days = created.mask(rows["kind"].isin(PAYOUT_KINDS), rows["available_on"])
    whole = daily_totals(rows)
    parts = [daily_totals(rows[days == day]) for day in sorted(set(days))]
    joined = pd.concat(parts, ignore_index=True) if parts else whole
    pd.testing.assert_frame_equal(joined, whole)


@given(st.lists(objects(), max_size=30))
def test_rows_that_were_summed_before_give_the_same_totals(items: list[dict[str, Any]]) -> None:
    rows = transaction_rows(numbered(items)).transactions
    names = ["amount_minor", "fee_minor", "net_minor"]
    groups = ["object_type", "kind", "status", "currency", "available_on", "created_at"]
    summed = (
        rows.assign(rows_count=1).groupby(groups, dropna=False)[[*names, "rows_count"]].sum().reset_index()
    )
    pd.testing.assert_frame_equal(daily_totals(summed), daily_totals(rows), check_dtype=False)


def test_what_clients_tell_of_a_day_stands_beside_the_sums_and_a_day_without_either_is_0() -> None:
    day = dt.date(2026, 1, 2)
    customers = pd.DataFrame([(day, "USD", 3, 1)], columns=[*KEY, "customers_count", "new_customers_count"])
    recovered = pd.DataFrame(columns=[*KEY, "recovered_count", "recovered_amount_minor"])
    totals = with_client_totals(daily_totals(transaction_rows([]).transactions), customers, recovered)
    [row] = totals.to_dict("records")
    assert row == {"day": day, "currency": "USD", **dict.fromkeys(TOTALS, 0)} | {
        "customers_count": 3,
        "new_customers_count": 1,
    }


def test_columns_and_types_are_those_of_the_table() -> None:
    clients = pd.DataFrame(columns=[*KEY, *CLIENT_TOTALS])
    totals = with_client_totals(daily_totals(transaction_rows([]).transactions), clients)
    assert totals.columns.tolist() == [
        column.name for column in tables.payment_analytics.columns if column.name != "updated_at"
    ]
    assert totals.columns.tolist() == KEY + TOTALS
    assert {str(totals[name].dtype) for name in TOTALS} == {"int64"}


def test_a_day_ends_at_midnight_in_utc() -> None:
    midnight = int(dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp())
    charge = {"object": "charge", "status": "failed", "amount": 1, "currency": "usd"}
    rows = transaction_rows([{**charge, "id": f"c{s}", "created": midnight + s} for s in (-1, 0)])
    assert daily_totals(rows.transactions)["day"].tolist() == [dt.date(2026, 1, 31), dt.date(2026, 2, 1)]


def test_sums_that_64_bits_cannot_hold_are_an_error_and_not_a_wrong_number() -> None:
    row = {"object_type": "charge", "kind": None, "status": "failed", "amount_minor": 2**62}
    more = {
        "fee_minor": pd.NA,
        "net_minor": pd.NA,
        "currency": "USD",
        "created_at": pd.Timestamp("2026-01-01", tz="UTC"),
        "available_on": None,
    }
    with pytest.raises(OverflowError, match="failed_charge_amount_minor"):
        daily_totals(pd.DataFrame([{**row, **more}] * 2))


def seed(name: str) -> list[dict[str, str]]:
    path = SEEDS / f"{name}_data.csv"
    if not path.exists():
        assert "CI" not in os.environ, f"{path} is missing"
        pytest.skip("no shared data")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


def test_totals_of_real_exports_are_those_added_by_hand() -> None:
    items: list[dict[str, Any]] = [
        {
            **{name: row[name] for name in ("id", "currency", "type", "status", "source")},
            **{name: int(row[name]) for name in ("amount", "fee", "net")},
            "object": "balance_transaction",
            "created": seconds(row["created"]),
            "available_on": seconds(row["available_on"]),
        }
        for row in seed("balance_transaction")
    ]
    items += [
        {
            **{name: row[name] for name in ("id", "currency", "status")},
            "object": "charge",
            "amount": int(row["amount"]),
            "created": seconds(row["created"]),
        }
        for row in seed("charge")
    ]
    rows = transaction_rows(items)
    assert rows.bad_rows == ()
    totals = daily_totals(rows.transactions)
    assert as_dict(totals) == totals_by_hand(items)
    assert totals["sales_amount_minor"].sum() == 21_130_318
    assert totals["fees_minor"].sum() == 648_218
    assert totals["failed_charge_count"].sum() == 16
