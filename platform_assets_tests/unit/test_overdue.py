"""What is owed is aged, and its sums are those of its rows, exactly, in every currency."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.payments.overdue import age_payments, sum_receivables
from platform_assets.payments.reminders import plan_letters, write_mail

AS_OF = dt.date(2026, 11, 1)
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def owed(*rows):
    columns = ["payment_id", "client_id", "amount_minor", "currency", "due_date"]
    frame = pd.DataFrame(rows, columns=columns).astype({"amount_minor": "int64"})
    return frame.assign(due_date=pd.to_datetime(frame["due_date"]).astype("datetime64[s]"))


def requested(*rows):
    frame = pd.DataFrame(rows, columns=["amount_minor", "currency", "status", "created_at"])
    moments = pd.to_datetime(frame["created_at"], utc=True).astype("datetime64[us, UTC]")
    return frame.astype({"amount_minor": "int64"}).assign(created_at=moments)


@pytest.mark.parametrize(
    ("days", "bucket", "stage"),
    [
        (-5, "current", 0),
        (0, "current", 0),
        (1, "1-30", 0),
        (2, "1-30", 0),
        (3, "1-30", 1),
        (14, "1-30", 2),
        (30, "1-30", 3),
        (31, "31-60", 3),
        (60, "31-60", 4),
        (61, "61-90", 4),
        (90, "61-90", 4),
        (91, "over 90", 4),
        (4_000, "over 90", 4),
    ],
)
def test_a_payment_is_overdue_from_the_day_after_its_due_date(days, bucket, stage):
    [row] = age_payments(
        owed(("P1", "C1", 5, "JPY", AS_OF - dt.timedelta(days=days))), as_of=AS_OF
    ).itertuples()

    assert (row.overdue_days, row.bucket, row.reminder_stage) == (max(0, days), bucket, stage)


def test_days_sales_outstanding_follow_the_formula_and_need_sales():
    aged = age_payments(owed(("P1", "C1", 300, "EUR", AS_OF), ("P2", "C1", 7, "KWD", AS_OF)), as_of=AS_OF)
    sales = requested(
        (600, "EUR", "paid", NOW - dt.timedelta(days=80)),
        (300, "EUR", "pending", NOW),
        (9_999, "EUR", "cancelled", NOW),
        (9_999, "EUR", "paid", NOW - dt.timedelta(days=91)),
        (40, "JPY", "paid", NOW),
    )
    rows = sum_receivables(aged, sales, as_of=AS_OF).set_index("currency")

    assert rows.loc["EUR", ["outstanding_minor", "requested_minor", "days_sales_outstanding"]].tolist() == [
        300,
        900,
        30.0,
    ]
    assert pd.isna(rows.loc["KWD", "days_sales_outstanding"])
    assert rows.loc["JPY", ["outstanding_minor", "payments_count", "days_sales_outstanding"]].tolist() == [
        0,
        0,
        0.0,
    ]


def test_nothing_owed_and_nothing_sold_has_no_row():
    assert sum_receivables(age_payments(owed(), as_of=AS_OF), requested(), as_of=AS_OF).empty


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**15),
            st.sampled_from(["JPY", "EUR", "KWD"]),
            st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1)),
        ),
        max_size=20,
    )
)
def test_sums_equal_the_rows(rows):
    aged = age_payments(owed(*((f"P{i}", "C1", *row) for i, row in enumerate(rows))), as_of=AS_OF)
    sums = sum_receivables(aged, requested(), as_of=AS_OF)
    buckets = [
        name
        for name in sums
        if (name.startswith(("current_minor", "overdue_")) and name.endswith("0_minor"))
        or name == "current_minor"
    ]

    for row in sums.to_dict("records"):
        own = [(amount, day) for amount, currency, day in rows if currency == row["currency"]]
        assert row["outstanding_minor"] == sum(amount for amount, _ in own)
        assert row["overdue_minor"] == sum(amount for amount, day in own if day < AS_OF)
        assert row["outstanding_minor"] == sum(row[name] for name in buckets)
        assert row["payments_count"] == len(own)
    assert set(sums["currency"]) == {currency for _, currency, _ in rows}


CLIENTS = pd.DataFrame(
    {
        "client_id": ["C1", "C2", "C3", "C4"],
        "display_name": ["One & Co", "Two", "Three", "Four"],
        "email": ["one@example.com", None, "three@example.com", "no address"],
        "is_active": [True, True, False, True],
    }
)
TAKEN = pd.DataFrame({"payment_id": pd.Series(dtype="str"), "stage": pd.Series(dtype="int64")})


def overdue_by(*rows):
    return age_payments(
        owed(
            *(
                (payment, client, 1_250, "KWD", AS_OF - dt.timedelta(days=days))
                for payment, client, days in rows
            )
        ),
        as_of=AS_OF,
    )


def stages(letters):
    return {
        letter.client_id: [(each.payment_id, each.stage) for each in letter.reminders] for letter in letters
    }


def test_a_client_gets_one_mail_for_all_that_is_due_and_earlier_steps_are_not_made_up_for():
    letters = plan_letters(overdue_by(("P1", "C1", 20), ("P2", "C1", 5), ("P3", "C1", 1)), CLIENTS, TAKEN)

    assert stages(letters) == {"C1": [("P1", 2), ("P2", 1)]}


def test_whoever_can_not_be_reached_is_not_written_to():
    assert (
        plan_letters(
            overdue_by(("P1", "C2", 20), ("P2", "C3", 20), ("P3", "C4", 20), ("P4", "C9", 20)), CLIENTS, TAKEN
        )
        == []
    )


def test_a_step_is_taken_once():
    taken = pd.DataFrame({"payment_id": ["P1", "P2"], "stage": [2, 1]})
    letters = plan_letters(overdue_by(("P1", "C1", 20), ("P2", "C1", 20)), CLIENTS, taken)

    assert stages(letters) == {"C1": [("P2", 2)]}


def test_the_mail_names_amounts_exactly_and_holds_nothing_else():
    [letter] = plan_letters(overdue_by(("P1", "C1", 20)), CLIENTS, TAKEN)
    mail = write_mail(letter, sender="payments@example.com", now=NOW)

    assert mail["To"] == "one@example.com"
    assert mail["Subject"] == "Payment overdue (reminder 2 of 4)"
    assert "P1: 1.250 KWD, due on 12 October 2026" in mail.get_content()
    assert "Hello One & Co" in mail.get_content()
    assert "pi_" not in mail.as_string()
