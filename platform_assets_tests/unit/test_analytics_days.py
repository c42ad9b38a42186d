import datetime as dt

import pandas as pd

from platform_assets.payments.analytics import KEY, TOTALS
from platform_assets.payments.analytics_days import days_to_compute

AS_OF = dt.date(2026, 3, 5)


def totals(*days: int, sales_amount_minor: int = 100) -> pd.DataFrame:
    rows = [
        {
            "day": dt.date(2026, 3, day),
            "currency": "USD",
            **dict.fromkeys(TOTALS, 0),
            "sales_amount_minor": sales_amount_minor,
        }
        for day in days
    ]
    return pd.DataFrame(rows, columns=KEY + TOTALS)


def days(*numbers: int) -> list[dt.date]:
    return [dt.date(2026, 3, number) for number in numbers]


def test_every_day_from_the_first_transaction_to_yesterday_is_wanted_those_without_any_too() -> None:
    assert days_to_compute(totals(1, 3), totals(), computed_days=[], as_of=AS_OF) == days(1, 2, 3, 4)


def test_today_is_not_over_and_is_left_for_tomorrow() -> None:
    assert days_to_compute(totals(4, 5), totals(), computed_days=[], as_of=AS_OF) == days(4)


def test_nothing_is_wanted_when_every_day_is_computed_and_current() -> None:
    assert days_to_compute(totals(1, 3), totals(1, 3), computed_days=days(1, 2, 3, 4), as_of=AS_OF) == []


def test_a_gap_after_downtime_is_wanted_whole() -> None:
    assert days_to_compute(totals(1), totals(1), computed_days=days(1), as_of=AS_OF) == days(2, 3, 4)


def test_a_late_transaction_reopens_its_day() -> None:
    now, before = totals(1, 3, sales_amount_minor=100), totals(1, 3, sales_amount_minor=100)
    now.loc[1, "sales_amount_minor"] = 250

    assert days_to_compute(now, before, computed_days=days(1, 2, 3, 4), as_of=AS_OF) == days(3)


def test_a_day_whose_transactions_are_all_gone_is_reopened() -> None:
    assert days_to_compute(totals(1), totals(1, 3), computed_days=days(1, 2, 3, 4), as_of=AS_OF) == days(3)


def test_stored_days_read_back_as_timestamps_are_the_same_days() -> None:
    stored = totals(1, 3).assign(day=lambda rows: pd.to_datetime(rows["day"]))

    assert days_to_compute(totals(1, 3), stored, computed_days=days(1, 2, 3, 4), as_of=AS_OF) == []


def test_without_any_transaction_yesterday_is_computed_and_says_so() -> None:
    assert days_to_compute(totals(), totals(), computed_days=[], as_of=AS_OF) == days(4)
    assert days_to_compute(totals(), totals(), computed_days=days(4), as_of=AS_OF) == []
