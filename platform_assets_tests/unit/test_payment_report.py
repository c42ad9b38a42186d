"""The payment report: exact sums that tie out, one currency at a time, in files that need nothing else."""

import csv
import datetime as dt
import re
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.payments.analytics import KEY, TOTALS
from platform_assets.payments.conversion import Rate
from platform_assets.payments.report import build_report, periods
from platform_assets.payments.report_files import money, render_html, write_report

LAST = dt.date(2026, 10, 31)
NOW = dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC)


def totals(*rows):
    frame = pd.DataFrame([{**dict.fromkeys(TOTALS, 0), **row} for row in rows], columns=[*KEY, *TOTALS])
    return frame.assign(day=pd.to_datetime(frame["day"]))


def sale(day, amount, currency="EUR", *, fee=0, **more):
    return {
        "day": day,
        "currency": currency,
        "sales_count": 1,
        "sales_amount_minor": amount,
        "fees_minor": fee,
        "net_amount_minor": amount - fee,
        **more,
    }


def owed(*rows):
    columns = ["currency", "due_date", "amount_minor", "effective_status"]
    return pd.DataFrame(rows, columns=columns)


NOBODY = pd.DataFrame(columns=["currency", "first_day", "last_day", "customers_count"])


def report(rows, owed_rows=None, **options):
    owed_rows = owed() if owed_rows is None else owed_rows
    return build_report(totals(*rows), owed_rows, NOBODY, last_day=LAST, **options)


def test_a_period_has_thirty_days_and_stands_beside_the_thirty_before():
    made = report(
        [
            sale(LAST, 1_000, fee=30),
            sale(LAST - dt.timedelta(days=29), 100),
            sale(LAST - dt.timedelta(days=30), 10),
            sale(LAST - dt.timedelta(days=59), 1),
            sale(LAST - dt.timedelta(days=60), 5_000),
            sale(LAST + dt.timedelta(days=1), 7_000),
        ]
    )
    [part] = made.currencies
    assert (part.period.sales_amount_minor, part.before.sales_amount_minor) == (1_100, 11)
    assert part.period.net_amount_minor == 1_070
    assert part.sales_change_ratio == pytest.approx(99)
    assert part.daily["sales_30d_minor"].iloc[-1] == 1_100
    assert part.daily["sales_7d_minor"].iloc[-1] == 1_000


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 390), st.integers(-(10**14), 10**14), st.sampled_from(["JPY", "USD", "KWD"])
        ),
        max_size=20,
        unique_by=lambda row: (row[0], row[2]),
    )
)
def test_rolling_sums_and_months_are_exact_sums_of_days(days):
    rows = [sale(LAST - dt.timedelta(days=ago), amount, currency) for ago, amount, currency in days]
    for part in report(rows).currencies:
        amount_on = {
            row["day"]: row["sales_amount_minor"] for row in rows if row["currency"] == part.currency
        }

        def between(first, last, amount_on=amount_on):
            return sum(amount for day, amount in amount_on.items() if first <= day <= last)

        for day, rolled in part.daily["sales_30d_minor"].items():
            assert rolled == between(day.date() - dt.timedelta(days=29), day.date())
        _, _, *months = periods(LAST)
        assert [month.figures.sales_amount_minor for month in part.months] == [between(*m) for m in months]


def test_what_is_left_over_ties_out_to_the_balance():
    [part] = report(
        [
            sale(LAST, 1_000, fee=45, refunds_amount_minor=-200, payout_amount_minor=-500)
            | {"net_amount_minor": 1_000 - 200 - 45 - 115, "payout_returns_minor": 60}
        ]
    ).currencies
    now = part.period
    assert now.adjustments_minor == -115
    assert now.sales_amount_minor + now.refunds_amount_minor + now.adjustments_minor - now.fees_minor == (
        now.net_amount_minor
    )
    assert now.balance_change_minor == 640 - 500 + 60


def test_what_is_owed_is_aged_by_whole_days_and_only_what_is_owed():
    ages = {
        0: "not due",
        1: "1-30 days",
        30: "1-30 days",
        31: "31-60 days",
        61: "61-90 days",
        91: "over 90 days",
    }
    rows = [("EUR", LAST - dt.timedelta(days=days), 10**place, "failed") for place, days in enumerate(ages)]
    rows += [("EUR", LAST, 7, status) for status in ("paid", "cancelled", "charged_back", "refunded")]
    [part] = report([], owed(*rows)).currencies
    expected = dict.fromkeys(ages.values(), 0)
    for place, name in enumerate(ages.values()):
        expected[name] += 10**place
    assert {bucket.name: bucket.amount_minor for bucket in part.ageing} == expected
    assert part.owed_minor == 111_111
    assert part.overdue_minor == 111_110


def test_currencies_are_converted_by_dated_rates_and_one_without_is_told_and_left_out():
    rate = Rate("EUR", "USD", dt.date(2026, 10, 30), Decimal("1.0842"), "bank")
    made = report(
        [sale(LAST, 100_00), sale(LAST, 50_00, "USD"), sale(LAST, 900, "JPY")],
        rates=[rate],
        report_currency="USD",
    )
    lines = {line.currency: line for line in made.summary.lines}
    assert (lines["EUR"].sales_minor, lines["USD"].sales_minor, lines["JPY"].sales_minor) == (
        10842,
        5000,
        None,
    )
    assert made.summary.sales_minor == 15842
    assert made.summary.missing == ("JPY",)
    html = render_html(made, generated_at=NOW)
    assert "1 EUR = 1.0842 USD" in html
    assert "2026-10-30, bank" in html
    assert "Total without JPY" in html
    assert "not converted" in html


def test_without_a_reporting_currency_nothing_is_converted_and_that_is_said():
    html = render_html(report([sale(LAST, 100)]), generated_at=NOW)
    assert "Nothing is converted" in html


def test_the_page_needs_nothing_else_and_the_same_figures_give_the_same_page():
    rows = [sale(LAST, 123_456_789, "KWD"), sale(LAST, 5_000, "JPY")]
    html = render_html(report(rows, owed(("JPY", LAST, 70, "pending"))), generated_at=NOW)
    assert html == render_html(report(rows, owed(("JPY", LAST, 70, "pending"))), generated_at=NOW)
    assert "123,456.789" in html
    assert html.count("<svg") == 5
    assert not re.search(r"(?:src|href)=\"(?!#)", html)
    assert "<script" not in html
    assert not re.findall(r"url\((?!#)", html)


def test_a_marketplace_without_payments_has_a_page_that_says_so(tmp_path):
    files = write_report(report([]), tmp_path / "report", generated_at=NOW)
    assert "There are no payments yet" in files.html.read_text()


def test_files_hold_the_figures_of_the_page(tmp_path):
    files = write_report(report([sale(LAST, 100), sale(LAST, 7, "JPY")]), tmp_path, generated_at=NOW)
    with files.csv[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_currency = {row["currency"]: row for row in rows if row["day"] == str(LAST)}
    assert by_currency["EUR"]["sales_amount_minor"] == "100"
    assert by_currency["JPY"]["sales_30d_minor"] == "7"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (-123_456, "USD", "\N{MINUS SIGN}1,234.56"),
        (1_500, "JPY", "1,500"),
        (5, "KWD", "0.005"),
        (-5, "USD", "\N{MINUS SIGN}0.05"),
    ],
)
def test_amounts_are_shown_exactly(amount, currency, text):
    assert money(amount, currency) == text
