"""Logins and time windows."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.clients.github_values import LAST_YEAR_DAYS, Window, is_possible_login, plan_windows

DAYS = st.dates(min_value=dt.date(2012, 1, 1), max_value=dt.date(2035, 12, 31))


def days_of(window: Window) -> list[dt.date]:
    return [window.start_on + dt.timedelta(days=n) for n in range((window.end_on - window.start_on).days + 1)]


@pytest.mark.parametrize("login", ["octocat", "a", "a-b", "octo_acme", "-legacy-", "x" * 39, "00015d341de7"])
def test_logins_that_github_could_have_are_possible(login: str) -> None:
    assert is_possible_login(login)


@pytest.mark.parametrize(
    "login", ["", " ", "x" * 40, "a b", "a/b", "ä", "dependabot[bot]", "a\n", '"}', "@me"]
)
def test_logins_that_github_could_not_have_are_impossible(login: str) -> None:
    assert not is_possible_login(login)


@given(today=DAYS, years=st.sets(st.integers(min_value=2008, max_value=2036), max_size=8))
def test_windows_cover_each_day_of_the_years_up_to_today_exactly_once(
    today: dt.date, years: set[int]
) -> None:
    covered = [day for window in plan_windows(years, today=today) for day in days_of(window)]
    assert len(covered) == len(set(covered))
    for year in years:
        for day in (dt.date(year, 1, 1), dt.date(year, 7, 1), dt.date(year, 12, 31)):
            assert (day in covered) or day > today


@given(today=DAYS, years=st.sets(st.integers(min_value=2008, max_value=2036), max_size=8))
def test_no_window_is_longer_than_a_year_and_the_last_year_stands_alone(
    today: dt.date, years: set[int]
) -> None:
    for window in plan_windows(years, today=today):
        assert window.start_on <= window.end_on <= today
        assert len(days_of(window)) <= 366
        if window.is_last_year:
            assert (window.end_on, len(days_of(window))) == (today, LAST_YEAR_DAYS)
        else:
            assert window.end_on <= today - dt.timedelta(days=LAST_YEAR_DAYS)


def test_an_account_without_contributions_needs_no_window() -> None:
    assert plan_windows([], today=dt.date(2026, 11, 23)) == []


@given(start=DAYS, length=st.integers(min_value=0, max_value=365))
def test_halves_are_shorter_and_together_the_whole(start: dt.date, length: int) -> None:
    window = Window(start, start + dt.timedelta(days=length), is_last_year=True)
    halves = window.halves()
    assert [day for half in halves for day in days_of(half)] == days_of(window)
    assert len(halves) == (1 if length == 0 else 2)
