"""Exchange rates: reading a user's file of them, choosing the one that holds, and converting exactly. Pure.

The one rounding rule: an amount is converted as an exact fraction and rounded once, half to even, to the minor unit of
the currency it is converted to. Sums are of rounded amounts, so that every total is that of the lines above it.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path

from platform_assets.currencies import exponent, is_currency
from platform_assets.errors import PlatformError

COLUMNS = ("date", "base", "quote", "rate")
"""What a file of rates must have; `source` may be added."""

MAX_AGE = dt.timedelta(days=7)
"""How old the latest rate may be: banks publish none at weekends and on holidays."""

_MAX_DIGITS = 30


class RatesFileError(PlatformError):
    """A file of exchange rates can't be used; the message lists every problem with its line."""


@dataclass(frozen=True)
class Rate:
    """An exchange rate.

    Attributes:
        base_currency: ISO 4217 code of what is converted.
        quote_currency: ISO 4217 code of what it is converted to.
        rate_on: The UTC day for which it holds.
        rate: Units of the quote currency for one of the base currency, both in major units.
        source: Where it comes from.
    """

    base_currency: str
    quote_currency: str
    rate_on: dt.date
    rate: Decimal
    source: str


def read_rates(path: Path) -> list[Rate]:
    """The rates of a CSV file with the columns `date,base,quote,rate` and perhaps `source`.

    Raises:
        RatesFileError: The file can't be read, or any of its lines can't be used; then none is.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            if missing := [name for name in COLUMNS if name not in names]:
                raise RatesFileError(
                    f"{path} has no column {', '.join(missing)}; needed are {','.join(COLUMNS)}, and source if you like"
                )
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RatesFileError(f"{path} can't be read: {error}") from error
    rates: dict[tuple[str, str, dt.date], Rate] = {}
    problems: list[str] = []
    for number, row in lines:
        try:
            rate = _rate({name: (row.get(name) or "").strip() for name in (*COLUMNS, "source")}, path.name)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        key = (rate.base_currency, rate.quote_currency, rate.rate_on)
        if key in rates and rates[key].rate != rate.rate:
            problems.append(f"line {number}: another rate for {key[0]} to {key[1]} on {key[2]} stands above")
        rates[key] = rate
    if problems:
        raise RatesFileError("\n".join([f"{path} can't be used; nothing was loaded:", *problems]))
    return list(rates.values())


def _rate(cells: dict[str, str], file_name: str) -> Rate:
    base, quote = cells["base"].upper(), cells["quote"].upper()
    for code in (base, quote):
        if not is_currency(code):
            raise ValueError(f"{code!r} is no ISO 4217 currency code")
    if base == quote:
        raise ValueError(f"{base} is converted to itself")
    try:
        rate_on = dt.date.fromisoformat(cells["date"])
    except ValueError:
        raise ValueError(f"{cells['date']!r} is no date such as 2026-10-30") from None
    try:
        rate = Decimal(cells["rate"])
    except InvalidOperation:
        raise ValueError(f"{cells['rate']!r} is no number such as 1.0842") from None
    if not rate.is_finite() or rate <= 0 or len(rate.as_tuple().digits) > _MAX_DIGITS:
        raise ValueError(f"{cells['rate']!r} is no rate above 0 of at most {_MAX_DIGITS} digits")
    return Rate(base, quote, rate_on, rate, cells["source"] or file_name)


@dataclass(frozen=True)
class Conversion:
    """How one currency is converted to another on a day.

    Attributes:
        rate: The rate as it was loaded.
        is_inverse: Whether it holds for the other direction, so that amounts are divided by it.
    """

    rate: Rate
    is_inverse: bool

    def convert(self, amount_minor: int) -> int:
        """An amount in minor units of the other currency, rounded once, half to even."""
        base, quote = self.rate.base_currency, self.rate.quote_currency
        factor = Fraction(self.rate.rate)
        if self.is_inverse:
            base, quote, factor = quote, base, 1 / factor
        return round(amount_minor * factor * Fraction(10) ** (exponent(quote) - exponent(base)))


def find_conversion(rates: Iterable[Rate], *, base: str, quote: str, on: dt.date) -> Conversion | None:
    """How to convert on a day: by the latest rate up to it in either direction, the direct one first; None without one.

    A rate that is older than `MAX_AGE` is none.
    """
    held = [
        rate
        for rate in rates
        if on - MAX_AGE <= rate.rate_on <= on and {rate.base_currency, rate.quote_currency} == {base, quote}
    ]
    if not held:
        return None
    best = max(held, key=lambda rate: (rate.rate_on, rate.base_currency == base))
    return Conversion(best, is_inverse=best.base_currency != base)
