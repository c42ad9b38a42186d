"""Writes the payment report: one HTML page that needs nothing else, and CSV files with the same figures."""

from __future__ import annotations

import csv
import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from platform_assets.currencies import format_minor
from platform_assets.payments.report import PERIOD_DAYS, PaymentReport, daily_table
from platform_assets.payments.report_charts import ageing_chart, months_chart, rolling_chart

HTML_NAME = "payments.html"
DAILY_NAME = "payments_daily.csv"
AGEING_NAME = "payments_ageing.csv"
SUMMARY_NAME = "payments_summary.csv"

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportFiles:
    """Where the report's files lie."""

    html: Path
    csv: tuple[Path, ...]


def write_report(report: PaymentReport, folder: Path, *, generated_at: dt.datetime) -> ReportFiles:
    """Write the page and the tables, each file in one step, so that nobody reads half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    html = _write(folder / HTML_NAME, render_html(report, generated_at=generated_at))
    daily = daily_table(report)
    daily_rows = (
        [str(row[0].date()), *row[1:]] for row in daily.astype(object).itertuples(index=False, name=None)
    )
    tables: list[tuple[str, Sequence[str], Iterable[Sequence[object]]]] = [
        (DAILY_NAME, list(daily.columns), daily_rows),
        (
            AGEING_NAME,
            ["currency", "bucket", "payments_count", "amount_minor"],
            (
                [part.currency, bucket.name, bucket.payments_count, bucket.amount_minor]
                for part in report.currencies
                for bucket in part.ageing
            ),
        ),
    ]
    if report.summary is not None:
        tables.append((SUMMARY_NAME, _SUMMARY_COLUMNS, _summary_rows(report)))
    return ReportFiles(html, tuple(_write_csv(folder / name, header, rows) for name, header, rows in tables))


def render_html(report: PaymentReport, *, generated_at: dt.datetime) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": money, "percent": percent, "signed_percent": signed_percent}
    charts = {
        part.currency: {
            "months": months_chart(part),
            "rolling": rolling_chart(part),
            "ageing": ageing_chart(part) if part.owed_minor else None,
        }
        for part in report.currencies
    }
    return environment.get_template("payment_report.html").render(
        report=report,
        charts=charts,
        period_days=PERIOD_DAYS,
        first_day=report.last_day - dt.timedelta(days=PERIOD_DAYS - 1),
        generated_at=generated_at,
    )


def money(amount_minor: int, currency: str) -> str:
    """An amount without its currency, with all decimals and groups of three: `-1,234.50`."""
    text = format_minor(amount_minor, currency).removesuffix(f" {currency}")
    whole, dot, part = text.removeprefix("-").partition(".")
    return f"{'-' if amount_minor < 0 else ''}{int(whole):,}{dot}{part}".replace("-", "\N{MINUS SIGN}")


def percent(ratio: float | None) -> str:
    """A share as text; a dash where there is none."""
    return "\N{EN DASH}" if ratio is None else f"{ratio:.1%}".replace("-", "\N{MINUS SIGN}")


def signed_percent(ratio: float | None) -> str:
    """A change as text, with its sign; a dash where there is none."""
    return "\N{EN DASH}" if ratio is None else f"{ratio:+.1%}".replace("-", "\N{MINUS SIGN}")


_SUMMARY_COLUMNS = [
    "currency",
    "sales_minor",
    "net_minor",
    "rate",
    "rate_pair",
    "rate_on",
    "rate_source",
    "report_currency",
    "converted_sales_minor",
    "converted_net_minor",
]


def _summary_rows(report: PaymentReport) -> Iterable[Sequence[object]]:
    assert report.summary is not None  # the caller asks
    for line in report.summary.lines:
        rate = line.conversion.rate if line.conversion else None
        yield [
            line.currency,
            line.period.sales_amount_minor,
            line.period.net_amount_minor,
            rate.rate if rate else "",
            f"{rate.base_currency}/{rate.quote_currency}" if rate else "",
            rate.rate_on if rate else "",
            rate.source if rate else "",
            report.summary.currency,
            "" if line.sales_minor is None else line.sales_minor,
            "" if line.net_minor is None else line.net_minor,
        ]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    temporary = _beside(path)
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    temporary.replace(path)
    return path


def _write(path: Path, text: str) -> Path:
    temporary = _beside(path)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")
