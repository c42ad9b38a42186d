"""Reading what can have changed gives what a reading of all years gives, or says that it can't."""

import datetime as dt
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.clients.github_queries import Tally
from platform_assets.clients.github_values import RepositoryWork, Window, last_year
from platform_assets.clients.github_work import Work, changed_windows, joined_work

READ_ON = dt.date(2026, 6, 1)
Commits = dict[str, list[dt.date]]


def in_window(commits: Commits, window: Window) -> Work:
    """What GitHub says of one window."""
    work = {}
    for name, days in commits.items():
        inside = [day for day in days if window.start_on <= day <= window.end_on]
        if inside:
            recent = len(inside) if window.is_last_year else 0
            work[name] = Tally(len(inside), recent, min(inside), max(inside))
    return work


def read(commits: Commits, *windows: Window) -> Work:
    total: Work = {}
    for window in windows:
        for name, tally in in_window(commits, window).items():
            total[name] = total[name] + tally if name in total else tally
    return total


def read_all(commits: Commits, today: dt.date) -> Work:
    year = last_year(today)
    before = Window(dt.date(2000, 1, 1), year.start_on - dt.timedelta(days=1), is_last_year=False)
    return read(commits, year, before)


def as_known(work: Work) -> list[RepositoryWork]:
    more: dict[str, Any] = {"description": None, "is_fork": False, "topics": (), "languages": {}}
    return [
        RepositoryWork(
            repository=name,
            commits_count=tally.commits_count,
            commits_last_year_count=tally.commits_last_year_count,
            first_contributed_on=tally.first_on,
            last_contributed_on=tally.last_on,
            subjects=None,
            **more,
        )
        for name, tally in work.items()
    ]


names = st.sampled_from(["a/one", "a/two", "b/three"])
old_days = st.dates(dt.date(2022, 1, 1), READ_ON)


@given(
    before=st.lists(st.tuples(names, old_days), max_size=30),
    days_later=st.integers(0, 40),
    later=st.lists(st.tuples(names, st.integers(0, 300)), max_size=10),
)
def test_commits_that_were_added_are_counted_once_and_none_is_lost(
    before: list[tuple[str, dt.date]], days_later: int, later: list[tuple[str, int]]
) -> None:
    today = READ_ON + dt.timedelta(days=days_later)
    commits: Commits = {}
    for name, day in before:
        commits.setdefault(name, []).append(day)
    known = as_known(read_all(commits, READ_ON))
    # New commits, some of them written long before they were pushed.
    for name, days_ago in later:
        commits.setdefault(name, []).append(today - dt.timedelta(days=days_ago))
    assert joined_work(known, read(commits, *changed_windows(READ_ON, today))) == read_all(commits, today)


@given(days_later=st.integers(0, 40))
def test_the_windows_of_a_change_tile_the_year_of_the_last_reading_and_this_one(days_later: int) -> None:
    today = READ_ON + dt.timedelta(days=days_later)
    days = Counter(
        window.start_on + dt.timedelta(days=place)
        for window in changed_windows(READ_ON, today)
        for place in range((window.end_on - window.start_on).days + 1)
    )
    start_on = last_year(READ_ON).start_on
    assert set(days.values()) == {1}
    assert (min(days), max(days), len(days)) == (start_on, today, (today - start_on).days + 1)


def test_work_that_has_vanished_from_recent_days_asks_for_all_years() -> None:
    [known] = as_known({"a/one": Tally(9, 3, dt.date(2020, 1, 1), dt.date(2026, 5, 1))})
    assert joined_work([known], {}) is None
    older = Tally(2, 2, dt.date(2026, 3, 1), dt.date(2026, 4, 1))
    assert joined_work([known], {"a/one": older}) is None


def test_work_of_earlier_years_alone_stays_without_being_read() -> None:
    tally = Tally(9, 0, dt.date(2020, 1, 1), dt.date(2021, 5, 1))
    assert joined_work(as_known({"a/one": tally}), {}) == {"a/one": tally}
