"""Conversions: exact, by a dated rate that the user loaded, rounded once; without a rate none."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.currencies import exponent
from platform_assets.payments.conversion import (
    Conversion,
    Rate,
    RatesFileError,
    find_conversion,
    read_rates,
)
from platform_assets.payments.rates_store import LoadCounts, read_rates_to, write_rates

FRIDAY = dt.date(2026, 10, 30)
SUNDAY = dt.date(2026, 11, 1)


def rate(base="EUR", quote="USD", on=FRIDAY, value="1.0842"):
    return Rate(base, quote, on, Decimal(value), "bank")


@pytest.mark.parametrize(
    ("held", "amount", "base", "quote", "converted"),
    [
        (rate(), 100_00, "EUR", "USD", 108_42),
        (rate(), 108_42, "USD", "EUR", 100_00),
        (rate("USD", "JPY", value="151.33"), 1_00, "USD", "JPY", 151),
        (rate("USD", "JPY", value="150"), 151, "JPY", "USD", 101),
        (rate("KWD", "USD", value="3.25"), 1_000, "KWD", "USD", 3_25),
        (rate("USD", "KWD", value="0.3075"), -1_00, "USD", "KWD", -308),
        # Half to even.
        (rate(value="0.5"), 1, "EUR", "USD", 0),
        (rate(value="0.5"), 3, "EUR", "USD", 2),
    ],
)
def test_an_amount_is_converted_between_any_decimals(held, amount, base, quote, converted):
    conversion = find_conversion([held], base=base, quote=quote, on=SUNDAY)
    assert conversion.convert(amount) == converted


@given(
    amount=st.integers(-(10**15), 10**15),
    value=st.decimals("0.000001", "100000", allow_nan=False, places=6),
    pair=st.permutations(["USD", "JPY", "KWD"]),
    is_inverse=st.booleans(),
)
def test_a_conversion_is_never_off_by_more_than_half_a_minor_unit(amount, value, pair, is_inverse):
    base, quote, _ = pair
    held = rate(quote, base, value=str(value)) if is_inverse else rate(base, quote, value=str(value))
    factor = 1 / Fraction(value) if is_inverse else Fraction(value)
    exact = amount * factor * Fraction(10) ** (exponent(quote) - exponent(base))
    assert abs(Conversion(held, is_inverse).convert(amount) - exact) <= Fraction(1, 2)


def test_the_latest_rate_that_is_not_too_old_holds_the_direct_one_first():
    older, newer = rate(on=dt.date(2026, 10, 28)), rate()
    inverse = rate("USD", "EUR", value="0.92")
    found = find_conversion([older, newer, inverse], base="EUR", quote="USD", on=SUNDAY)
    assert found == Conversion(newer, is_inverse=False)
    assert find_conversion([older, inverse], base="EUR", quote="USD", on=SUNDAY).is_inverse
    assert find_conversion([newer], base="EUR", quote="USD", on=FRIDAY - dt.timedelta(days=1)) is None
    assert find_conversion([newer], base="EUR", quote="USD", on=FRIDAY + dt.timedelta(days=8)) is None
    assert find_conversion([newer], base="GBP", quote="USD", on=FRIDAY) is None


def test_a_file_of_rates_is_read_in_any_order_of_columns(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("Quote,base,Rate,date\nusd,eur,1.0842,2026-10-30\n", encoding="utf-8-sig")
    assert read_rates(path) == [Rate("EUR", "USD", FRIDAY, Decimal("1.0842"), "rates.csv")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2026-10-30,EUR,XXX,1", "'XXX' is no ISO 4217"),
        ("2026-10-30,EUR,EUR,1", "converted to itself"),
        ("30.10.2026,EUR,USD,1", "no date such as"),
        ("2026-10-30,EUR,USD,", "no number such as"),
        ("2026-10-30,EUR,USD,0", "no rate above 0"),
        ("2026-10-30,EUR,USD,NaN", "no rate above 0"),
        ("2026-10-30,EUR,USD,-1.1", "no rate above 0"),
        ("2026-10-30,GBP,USD,1.3", "another rate for GBP"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_loaded(tmp_path, line, problem):
    path = tmp_path / "rates.csv"
    path.write_text(f"date,base,quote,rate\n2026-10-30,GBP,USD,1.27\n{line}\n")
    with pytest.raises(RatesFileError, match=rf"(?s)line 3: .*{problem}"):
        read_rates(path)


def test_a_file_without_a_column_says_which_it_needs(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("date,from,to,rate\n")
    with pytest.raises(RatesFileError, match="has no column base, quote"):
        read_rates(path)


def test_rates_are_kept_exactly_and_loading_them_again_changes_nothing(database):
    exact = rate(value="1.084200000000000000000000001")
    assert write_rates(database, [exact, rate("GBP", "USD")]) == LoadCounts(2, 0)
    assert write_rates(database, [exact]) == LoadCounts(0, 1)
    assert read_rates_to(database, "EUR") == [exact]
    assert write_rates(database, [rate()]) == LoadCounts(1, 0)
    assert read_rates_to(database, "EUR") == [rate()]
