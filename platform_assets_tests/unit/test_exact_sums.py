"""Sums stay whole numbers, however large and wherever one of them is missing."""

import datetime as dt

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.payments.analytics import CLIENT_TOTALS, GATEWAY_TOTALS, KEY, with_client_totals
from platform_assets.payments.exact_sums import aligned
from platform_assets.payments.overdue import age_payments, sum_receivables

LARGE = 2**53 + 1
"""The first whole number that is no float."""

SUMS = st.dictionaries(st.sampled_from("abcdef"), st.integers(-(2**62), 2**62), max_size=6)


@given(SUMS, SUMS)
def test_no_digit_is_lost_where_one_side_has_no_such_key(one, other):
    table = aligned({"one": pd.Series(one, dtype="int64"), "other": pd.Series(other, dtype="int64")})

    assert list(table.index) == sorted({*one, *other})
    assert table["one"].to_dict() == {key: one.get(key, 0) for key in table.index}
    assert table["other"].to_dict() == {key: other.get(key, 0) for key in table.index}


def test_a_day_that_only_clients_have_costs_no_digit_of_the_others():
    first, second = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
    totals = pd.DataFrame([(first, "IDR", *[LARGE] * len(GATEWAY_TOTALS))], columns=[*KEY, *GATEWAY_TOTALS])
    clients = pd.DataFrame([(second, "IDR", *[1] * len(CLIENT_TOTALS))], columns=[*KEY, *CLIENT_TOTALS])

    assert with_client_totals(totals, clients)["net_amount_minor"].tolist() == [LARGE, 0]


def test_what_is_owed_in_one_currency_costs_no_digit_of_another():
    day = dt.date(2026, 1, 1)
    owed = pd.DataFrame(
        [("P1", "C1", LARGE, "IDR", day), ("P2", "C1", 1, "EUR", day - dt.timedelta(days=40))],
        columns=["payment_id", "client_id", "amount_minor", "currency", "due_date"],
    )
    nothing = owed.iloc[:0].assign(status="paid", created_at=pd.Timestamp(day, tz="UTC"))

    sums = sum_receivables(age_payments(owed, as_of=day), nothing, as_of=day).set_index("currency")

    assert sums.loc["IDR", ["outstanding_minor", "current_minor", "overdue_minor"]].tolist() == [
        LARGE,
        LARGE,
        0,
    ]
    assert sums.loc["EUR", "overdue_31_60_minor"] == 1
