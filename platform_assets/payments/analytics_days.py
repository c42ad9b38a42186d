"""Which days of the analytics want computing. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import pandas as pd

from platform_assets.payments.analytics import KEY, TOTALS


def days_to_compute(
    totals: pd.DataFrame, stored: pd.DataFrame, *, computed_days: Collection[dt.date], as_of: dt.date
) -> list[dt.date]:
    """Days that were never computed, and days that late or changed transactions reopened.

    Args:
        totals: Daily totals of everything that the gateway has, in the shape of `payment_analytics`.
        stored: Rows of `payment_analytics`.
        computed_days: Days that have been computed, those without transactions included.
        as_of: Today (UTC), which is not over and so is not computed.

    Returns:
        The days in order, from the first with a transaction (yesterday, if there is none) to yesterday.
    """
    yesterday = as_of - dt.timedelta(days=1)
    first = min((_date(day) for day in totals["day"]), default=yesterday)
    every_day = {first + dt.timedelta(days=i) for i in range((as_of - first).days)}
    missing = every_day - set(computed_days)
    return sorted(day for day in missing | _different_days(totals, stored) if day < as_of)


def _different_days(totals: pd.DataFrame, stored: pd.DataFrame) -> set[dt.date]:
    now, before = _rows(totals), _rows(stored)
    return {day for day, *_ in now ^ before}


def _rows(frame: pd.DataFrame) -> set[tuple[dt.date, str, tuple[int, ...]]]:
    days = [_date(day) for day in frame["day"]]
    values = frame[TOTALS].astype("int64").itertuples(index=False, name=None)
    return set(zip(days, frame[KEY[1]], values))


def _date(value: dt.date | pd.Timestamp) -> dt.date:
    return value.date() if isinstance(value, dt.datetime) else value
