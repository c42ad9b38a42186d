"""Currencies of the generated marketplace: roughly what a US dollar costs, to make plausible prices.

Only the generator may convert with these; derived tables never do without a dated rate of the user's.
"""

from __future__ import annotations

from platform_assets.currencies import exponent
from platform_assets.sandbox.generator.dice import Weighted

_UNITS_PER_USD = {
    "USD": 1.0,
    "EUR": 0.9,
    "GBP": 0.8,
    "CHF": 0.9,
    "CAD": 1.4,
    "AUD": 1.5,
    "JPY": 150.0,
    "KWD": 0.3,
}

PROJECT_CURRENCIES = Weighted(
    {"USD": 50.0, "EUR": 24.0, "GBP": 9.0, "JPY": 7.0, "KWD": 4.0, "CAD": 2.0, "AUD": 2.0, "CHF": 2.0}
)


def amount_minor(usd: float, currency: str, *, whole_units: bool = False) -> int:
    """What so many dollars are in a currency, as somebody would write it, in minor units.

    Three-decimal amounts are multiples of ten, as Stripe wants them.

    Args:
        usd: Amount in US dollars.
        currency: ISO 4217 code of a currency of the generated marketplace.
        whole_units: Round as hourly rates are: to whole units, to hundreds of yen, to halves of a dinar.
    """
    units = usd * _UNITS_PER_USD[currency]
    if whole_units:
        step = {"JPY": 100.0, "KWD": 0.5}.get(currency, 1.0)
        units = max(step, round(units / step) * step)
    return round_minor(units * 10 ** exponent(currency), currency)


def round_minor(amount: float, currency: str) -> int:
    """An amount of minor units as one that Stripe takes, at least one step."""
    step = 10 if exponent(currency) == 3 else 1
    return max(step, round(amount / step) * step)
