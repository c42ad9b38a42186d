"""Minor units, exact text, and where the gateway counts otherwise than ISO 4217."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets import currencies
from platform_assets.currencies import CurrencyError, exponent, format_minor

CODES = st.sampled_from(sorted(currencies.EXPONENTS))
AMOUNTS = st.integers(min_value=-(10**18), max_value=10**18)


@pytest.mark.parametrize(
    ("code", "places"),
    [("JPY", 0), ("ISK", 0), ("UGX", 0), ("USD", 2), ("MGA", 2), ("KWD", 3), ("TND", 3), ("CLF", 4)],
)
def test_exponents_are_those_of_iso_4217(code: str, places: int) -> None:
    assert exponent(code) == places


def test_the_table_names_each_code_once() -> None:
    codes = [code for listed in currencies._CODES_BY_EXPONENT.values() for code in listed.split()]
    assert len(codes) == len(set(codes)) == len(currencies.EXPONENTS) == 171
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in codes)


@pytest.mark.parametrize("code", ["usd", "XAU", "XXX", "", "US", "USDX", "???"])
def test_what_is_no_currency_is_an_error(code: str) -> None:
    assert not currencies.is_currency(code)
    for act in (
        exponent,
        lambda code: format_minor(1, code),
        lambda code: currencies.minor_from_gateway(1, code),
    ):
        with pytest.raises(CurrencyError):
            act(code)


@pytest.mark.parametrize("value", [None, 5, float("nan"), ["USD"]])
def test_a_value_of_another_type_is_no_currency(value: object) -> None:
    assert not currencies.is_currency(value)


@pytest.mark.parametrize(
    ("amount", "code", "text"),
    [
        (0, "USD", "0.00 USD"),
        (5, "USD", "0.05 USD"),
        (-1230, "USD", "-12.30 USD"),
        (1500, "JPY", "1500 JPY"),
        (-1, "JPY", "-1 JPY"),
        (5, "KWD", "0.005 KWD"),
        (123456, "KWD", "123.456 KWD"),
    ],
)
def test_amounts_are_written_with_all_their_places(amount: int, code: str, text: str) -> None:
    assert format_minor(amount, code) == text


@given(amount=AMOUNTS, code=CODES)
def test_text_is_exact_in_every_currency(amount: int, code: str) -> None:
    number, written = format_minor(amount, code).split(" ")
    assert written == code
    assert Decimal(number).scaleb(exponent(code)) == amount
    assert len(number.partition(".")[2]) == exponent(code)


@given(amount=AMOUNTS, code=CODES)
def test_the_gateways_amount_of_an_amount_is_that_amount_again(amount: int, code: str) -> None:
    whole = amount * 100
    assert currencies.minor_from_gateway(currencies.gateway_from_minor(whole, code), code) == whole


def test_the_gateway_counts_as_iso_does_but_for_three_currencies() -> None:
    shifted = {code for code in currencies.EXPONENTS if currencies.minor_from_gateway(100, code) != 100}
    assert shifted == {"ISK", "UGX", "MGA"}
    assert currencies.minor_from_gateway(500, "UGX") == 5
    assert currencies.minor_from_gateway(500, "ISK") == 5
    assert currencies.minor_from_gateway(5, "MGA") == 500


def test_a_gateway_amount_that_is_no_whole_minor_unit_is_an_error() -> None:
    with pytest.raises(CurrencyError, match="no multiple of 100"):
        currencies.minor_from_gateway(501, "UGX")
    with pytest.raises(CurrencyError):
        currencies.gateway_from_minor(50, "MGA")
