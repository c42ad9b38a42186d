"""When the commits of a contribution were made: pure arithmetic over its count and its two days.

A world says only how many commits there were between two days. Spreading them the same way every time lets every
view of them (REST, history, contribution calendar) agree, and any windows that tile the time add up to the count.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DAY_STARTS_AT = dt.time(8, tzinfo=dt.UTC)
"""GitHub dates a day's contributions at midnight Pacific time."""

_REST_OF_DAY_S = 16 * 3600


@dataclass(frozen=True)
class CommitSpan:
    """The commits of one account to one repository, numbered from 0, the oldest.

    Commit 0 is on `first_on` and the last one on `last_on`, the others evenly between; a single one is on `last_on`.
    """

    commits_count: int
    first_on: dt.date
    last_on: dt.date

    def _day_of(self, number: int) -> dt.date:
        if number >= self.commits_count - 1:
            return self.last_on
        span_days = (self.last_on - self.first_on).days
        return self.first_on + dt.timedelta(days=number * span_days // (self.commits_count - 1))

    def _first_on_or_after(self, day: dt.date) -> int:
        """The number of the oldest commit on or after a day; `commits_count` when there is none."""
        if day > self.last_on or self.commits_count == 0:
            return self.commits_count
        if self.commits_count == 1 or day <= self.first_on:
            return 0
        days, span_days = (day - self.first_on).days, (self.last_on - self.first_on).days
        # The smallest n with n * span_days // (commits_count - 1) >= days.
        return min(-(-days * (self.commits_count - 1) // span_days), self.commits_count - 1)

    def _of_day(self, day: dt.date) -> range:
        return range(self._first_on_or_after(day), self._first_on_or_after(day + dt.timedelta(days=1)))

    def days(self, since: dt.datetime, until: dt.datetime) -> Iterator[tuple[dt.datetime, int]]:
        """Days with commits, oldest first, as (when the day is dated, number of commits).

        A day counts when the instant at which it is dated lies in the closed window.
        """
        number = self._first_on_or_after(_first_day_dated_in(since))
        while number < self.commits_count:
            day = self._day_of(number)
            dated_at = dt.datetime.combine(day, _DAY_STARTS_AT)
            if dated_at > until:
                return
            following = self._first_on_or_after(day + dt.timedelta(days=1))
            yield dated_at, following - number
            number = following

    def count(self, since: dt.datetime, until: dt.datetime) -> int:
        """Number of commits on the days dated in the closed window."""
        before_end = self._first_on_or_after(_first_day_dated_in(until + dt.timedelta(microseconds=1)))
        return max(0, before_end - self._first_on_or_after(_first_day_dated_in(since)))

    def years(self) -> list[int]:
        """Years with commits, newest first."""
        return [
            year
            for year in range(self.last_on.year, self.first_on.year - 1, -1)
            if self._first_on_or_after(dt.date(year, 1, 1)) < self._first_on_or_after(dt.date(year + 1, 1, 1))
        ]

    def committed_at(self, number: int) -> dt.datetime:
        """When a commit was made; commits of one day follow each other in the order of their numbers."""
        day = self._day_of(number)
        numbers = self._of_day(day)
        offset_s = (number - numbers.start) * _REST_OF_DAY_S // len(numbers)
        return dt.datetime.combine(day, _DAY_STARTS_AT) + dt.timedelta(seconds=offset_s)


def headline(subjects: Sequence[str], commits_count: int, number: int) -> str:
    """First line of a commit: the given ones belong to the newest commits and come round again for older ones."""
    if not subjects:
        return "Update"
    return subjects[(commits_count - 1 - number) % len(subjects)]


def commit_sha(login: str, name_with_owner: str, number: int) -> str:
    """A commit's id, the same every time."""
    return hashlib.sha1(f"{name_with_owner}\0{login}\0{number}".encode(), usedforsecurity=False).hexdigest()


def _first_day_dated_in(since: dt.datetime) -> dt.date:
    since = since.astimezone(dt.UTC)
    return since.date() if since.timetz() <= _DAY_STARTS_AT else since.date() + dt.timedelta(days=1)
