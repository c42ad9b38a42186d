"""Currencies: the decimal places of each, exact text, and the gateway's way of counting. Pure; no exchange rates here.

Source: ISO 4217:2015 with its list one (active codes) as published by its maintenance agency, SIX, on 2026-01-01.
"""

from __future__ import annotations

# Metals, bond units, test codes and the like (XAU, XTS, XXX …) have no minor unit and are no money here.
_CODES_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
        "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
        "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
        "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
        "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG "
        "YER ZAR ZMW ZWG "
        # Withdrawn since 2022, but still in the history of payments.
        "ANG BGN CUC HRK SLL ZWL"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: dict[str, int] = {
    code: places for places, codes in _CODES_BY_EXPONENT.items() for code in codes.split()
}
"""ISO code to decimal places of the minor unit."""

GATEWAY_EXPONENTS: dict[str, int] = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where Stripe counts in other units than ISO: ISK and UGX in hundredths that are always 00, MGA in whole ariary.

https://docs.stripe.com/currencies#zero-decimal and #special-cases. HUF and TWD differ in payouts only, by being
divisible by 100; their units are ISO's. Stripe's amounts in three-decimal currencies end in 0.
"""


class CurrencyError(ValueError):
    """A code that is no known currency, or an amount that the currency's minor unit cannot express."""


def is_currency(code: object) -> bool:
    """Whether `code` is an ISO 4217 code that money can be in; codes are upper case."""
    return isinstance(code, str) and code in EXPONENTS


def exponent(code: str) -> int:
    """Decimal places of a currency's minor unit: 2 for USD, 0 for JPY, 3 for KWD.

    Raises:
        CurrencyError: The code is unknown.
    """
    try:
        return EXPONENTS[code]
    except KeyError:
        raise CurrencyError(f"{code!r} is no ISO 4217 currency code in upper case") from None


def gateway_exponent(code: str) -> int:
    """Decimal places of the units in which the gateway counts: 2 for USD and UGX, 0 for JPY and MGA, 3 for KWD.

    Raises:
        CurrencyError: The code is unknown.
    """
    return GATEWAY_EXPONENTS.get(code, exponent(code))


def format_minor(amount_minor: int, code: str) -> str:
    """An amount as text, exactly and with all decimal places: `-12.30 USD`, `1500 JPY`, `0.005 KWD`.

    Raises:
        CurrencyError: The code is unknown.
    """
    places = exponent(code)
    digits = f"{abs(amount_minor):0{places + 1}d}"
    number = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"{'-' if amount_minor < 0 else ''}{number} {code}"


def minor_from_gateway(amount: int, code: str) -> int:
    """An amount in the gateway's units, in ISO's minor units.

    Raises:
        CurrencyError: The code is unknown, or the amount is no whole number of minor units.
    """
    return _shifted(amount, code, exponent(code) - gateway_exponent(code))


def gateway_from_minor(amount_minor: int, code: str) -> int:
    """An amount in ISO's minor units, in the gateway's; the inverse of `minor_from_gateway`.

    Raises:
        CurrencyError: The code is unknown, or the gateway cannot express the amount.
    """
    return _shifted(amount_minor, code, gateway_exponent(code) - exponent(code))


def _shifted(amount: int, code: str, places: int) -> int:
    if places >= 0:
        return int(amount * 10**places)
    shifted, rest = divmod(amount, 10**-places)
    if rest:
        raise CurrencyError(
            f"{amount} {code} is no multiple of {10**-places}, as it must be in this currency"
        )
    return int(shifted)
