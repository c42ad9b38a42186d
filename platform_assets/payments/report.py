"""The payment report's figures: every one an exact sum of stored rows, per currency, in minor units. Pure.

Charts are `report_charts.py`, pages and files `report_files.py`, reading is `report_reading.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from platform_assets.payments.analytics import GATEWAY_TOTALS, KEY, TOTALS
from platform_assets.payments.conversion import Conversion, Rate, find_conversion
from platform_assets.payments.status import OPEN_STATUSES

PERIOD_DAYS = 30
MONTHS_COUNT = 12

AGE_BUCKETS = (
    ("not due", None, 0),
    ("1-30 days", 1, 30),
    ("31-60 days", 31, 60),
    ("61-90 days", 61, 90),
    ("over 90 days", 91, None),
)
"""Name of a bucket, and from and to how many days overdue."""


@dataclass(frozen=True)
class Figures:
    """Sums of one currency over some days; names as in `payment_analytics`, all in minor units or counts."""

    sales_count: int
    sales_amount_minor: int
    refunds_count: int
    refunds_amount_minor: int
    disputes_count: int
    disputes_amount_minor: int
    fees_minor: int
    net_amount_minor: int
    payouts_count: int
    payout_amount_minor: int
    payout_returns_minor: int
    failed_charge_count: int
    failed_charge_amount_minor: int
    new_customers_count: int
    recovered_count: int
    recovered_amount_minor: int
    customers_count: int

    @property
    def adjustments_minor(self) -> int:
        """What moved the balance beside sales, refunds and fees: disputes, mostly."""
        return self.net_amount_minor - self.sales_amount_minor - self.refunds_amount_minor + self.fees_minor

    @property
    def balance_change_minor(self) -> int:
        """What the balance at the gateway grew by: net, less what went to the bank."""
        return self.net_amount_minor + self.payout_amount_minor + self.payout_returns_minor

    @property
    def returning_customers_count(self) -> int:
        """Clients who had paid before."""
        return self.customers_count - self.new_customers_count

    @property
    def fee_ratio(self) -> float | None:
        """Fees by sales; None without sales."""
        return self.fees_minor / self.sales_amount_minor if self.sales_amount_minor else None

    @property
    def refund_ratio(self) -> float | None:
        """Refunded amount by sales; None without sales."""
        return -self.refunds_amount_minor / self.sales_amount_minor if self.sales_amount_minor else None

    @property
    def dispute_ratio(self) -> float | None:
        """Disputes by sales, in numbers; None without sales."""
        return self.disputes_count / self.sales_count if self.sales_count else None


@dataclass(frozen=True)
class AgeBucket:
    """What is owed and so many days overdue."""

    name: str
    payments_count: int
    amount_minor: int


@dataclass(frozen=True)
class Month:
    """One calendar month's figures, up to the report's last day."""

    first_day: dt.date
    figures: Figures


@dataclass(frozen=True)
class CurrencyReport:
    """One currency's part.

    Attributes:
        currency: ISO 4217 code.
        period: The last `PERIOD_DAYS` days.
        before: As many days before them.
        months: Calendar months, oldest first.
        daily: Rows of `payment_analytics` by day, days without a row filled with zeros, and the rolling sums
            `sales_7d_minor`, `sales_30d_minor` and `net_30d_minor`.
        ageing: What is owed, by days overdue.
    """

    currency: str
    period: Figures
    before: Figures
    months: tuple[Month, ...]
    daily: pd.DataFrame
    ageing: tuple[AgeBucket, ...]

    @property
    def owed_minor(self) -> int:
        """All that is owed, overdue or not."""
        return sum(bucket.amount_minor for bucket in self.ageing)

    @property
    def overdue_minor(self) -> int:
        """What is owed and overdue."""
        return sum(bucket.amount_minor for bucket in self.ageing[1:])

    @property
    def sales_change_ratio(self) -> float | None:
        """By how much sales grew against the period before; None when there were none."""
        if not self.before.sales_amount_minor:
            return None
        return self.period.sales_amount_minor / self.before.sales_amount_minor - 1


@dataclass(frozen=True)
class ConvertedLine:
    """One currency of the summary in the reporting currency; no conversion without a rate."""

    currency: str
    period: Figures
    conversion: Conversion | None
    sales_minor: int | None
    net_minor: int | None


@dataclass(frozen=True)
class Summary:
    """All currencies in the reporting currency, as far as there are rates.

    Attributes:
        currency: The reporting currency.
        lines: One for each currency.
    """

    currency: str
    lines: tuple[ConvertedLine, ...]

    @property
    def sales_minor(self) -> int:
        """Sales of all currencies that could be converted."""
        return sum(line.sales_minor or 0 for line in self.lines)

    @property
    def net_minor(self) -> int:
        """Net of all currencies that could be converted."""
        return sum(line.net_minor or 0 for line in self.lines)

    @property
    def missing(self) -> tuple[str, ...]:
        """Currencies without a rate, which are in no sum."""
        return tuple(line.currency for line in self.lines if line.sales_minor is None)


@dataclass(frozen=True)
class PaymentReport:
    """The report.

    Attributes:
        last_day: The last day that it covers (UTC).
        currencies: One part for each currency, that with the most sales first.
        summary: In the reporting currency; None when none is chosen.
    """

    last_day: dt.date
    currencies: tuple[CurrencyReport, ...]
    summary: Summary | None


def build_report(
    totals: pd.DataFrame,
    open_payments: pd.DataFrame,
    customers: pd.DataFrame,
    *,
    last_day: dt.date,
    rates: Sequence[Rate] = (),
    report_currency: str | None = None,
) -> PaymentReport:
    """Put the figures together.

    Args:
        totals: Rows of `payment_analytics`.
        open_payments: `currency`, `due_date`, `amount_minor`, `effective_status` of the marketplace's payments.
        customers: `currency`, `first_day`, `last_day` and `customers_count`: distinct clients who paid in a period,
            for which counts of days can't be added.
        last_day: The last day to cover.
        rates: Exchange rates.
        report_currency: What to convert to; None converts nothing.
    """
    totals = totals.assign(day=pd.to_datetime(totals["day"]))
    totals = totals[totals["day"] <= pd.Timestamp(last_day)]
    open_payments = open_payments[open_payments["effective_status"].isin([str(s) for s in OPEN_STATUSES])]
    codes = sorted({*totals["currency"], *open_payments["currency"]})
    counted = {
        (row["currency"], row["first_day"], row["last_day"]): int(row["customers_count"])
        for row in customers.to_dict("records")
    }
    parts = [
        _currency_report(
            code,
            totals[totals["currency"] == code],
            open_payments[open_payments["currency"] == code],
            counted,
            last_day,
        )
        for code in codes
    ]
    # By number, as amounts of different currencies can't be compared.
    parts.sort(key=lambda part: (-sum(month.figures.sales_count for month in part.months), part.currency))
    summary = None
    if report_currency is not None:
        lines = [_converted(part, rates, report_currency, last_day) for part in parts]
        summary = Summary(report_currency, tuple(lines))
    return PaymentReport(last_day, tuple(parts), summary)


def periods(last_day: dt.date) -> list[tuple[dt.date, dt.date]]:
    """First and last day of the period, of the one before it, and of each month."""
    days = dt.timedelta(days=PERIOD_DAYS)
    start = last_day - days + dt.timedelta(days=1)
    return [(start, last_day), (start - days, start - dt.timedelta(days=1)), *_months(last_day)]


def _months(last_day: dt.date) -> list[tuple[dt.date, dt.date]]:
    starts = [
        moment.date()
        for moment in pd.date_range(end=last_day.replace(day=1), periods=MONTHS_COUNT, freq="MS")
    ]
    ends = [*(start - dt.timedelta(days=1) for start in starts[1:]), last_day]
    return list(zip(starts, ends))


def _currency_report(
    code: str,
    totals: pd.DataFrame,
    owed: pd.DataFrame,
    customers: dict[tuple[str, dt.date, dt.date], int],
    last_day: dt.date,
) -> CurrencyReport:
    period, before, *months = periods(last_day)
    first = min(months[0][0], before[0])
    days = pd.date_range(first - dt.timedelta(days=PERIOD_DAYS), last_day, freq="D", unit="s")
    daily = totals.set_index("day")[TOTALS].reindex(days.astype(totals["day"].dtype), fill_value=0)
    for name, source, length in (
        ("sales_7d_minor", "sales_amount_minor", 7),
        ("sales_30d_minor", "sales_amount_minor", 30),
        ("net_30d_minor", "net_amount_minor", 30),
    ):
        # By differences of sums: pandas would roll over floats.
        sums = daily[source].cumsum()
        daily[name] = sums - sums.shift(length, fill_value=0)

    def figures(between: tuple[dt.date, dt.date]) -> Figures:
        chosen = daily.loc[pd.Timestamp(between[0]) : pd.Timestamp(between[1])]
        names = [*GATEWAY_TOTALS, "new_customers_count", "recovered_count", "recovered_amount_minor"]
        sums = {name: int(chosen[name].sum()) for name in names}
        return Figures(**sums, customers_count=customers.get((code, *between), 0))

    return CurrencyReport(
        currency=code,
        period=figures(period),
        before=figures(before),
        months=tuple(Month(between[0], figures(between)) for between in months),
        daily=daily.loc[pd.Timestamp(first) :],
        ageing=_ageing(owed, last_day),
    )


def _ageing(owed: pd.DataFrame, last_day: dt.date) -> tuple[AgeBucket, ...]:
    days_overdue = (pd.Timestamp(last_day) - pd.to_datetime(owed["due_date"])).dt.days
    buckets = []
    for name, low, high in AGE_BUCKETS:
        is_in = (days_overdue >= (-(10**6) if low is None else low)) & (
            days_overdue <= (10**6 if high is None else high)
        )
        buckets.append(AgeBucket(name, int(is_in.sum()), int(owed["amount_minor"][is_in].sum())))
    return tuple(buckets)


def _converted(
    part: CurrencyReport, rates: Sequence[Rate], report_currency: str, last_day: dt.date
) -> ConvertedLine:
    sales, net = part.period.sales_amount_minor, part.period.net_amount_minor
    if part.currency == report_currency:
        return ConvertedLine(part.currency, part.period, None, sales, net)
    conversion = find_conversion(rates, base=part.currency, quote=report_currency, on=last_day)
    if conversion is None:
        return ConvertedLine(part.currency, part.period, None, None, None)
    return ConvertedLine(
        part.currency, part.period, conversion, conversion.convert(sales), conversion.convert(net)
    )


def daily_table(report: PaymentReport) -> pd.DataFrame:
    """Every day of every currency with its totals and rolling sums, for a file; days without any payment left out."""
    frames = [
        part.daily.rename_axis("day").reset_index().assign(currency=part.currency)
        for part in report.currencies
    ]
    if not frames:
        return pd.DataFrame(columns=[*KEY, *TOTALS])
    table = pd.concat(frames, ignore_index=True)
    columns = [*KEY, *(name for name in table.columns if name not in KEY)]
    return table[columns][table[TOTALS].ne(0).any(axis=1)].sort_values(KEY, ignore_index=True)
