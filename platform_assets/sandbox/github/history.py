"""The commits of one or more contributions as one history, newest first; pages are made without making the rest."""

from __future__ import annotations

import datetime as dt
import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from platform_assets.sandbox.github.commits import commit_sha, headline
from platform_assets.sandbox.github.store import Contribution


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; `headline` is its message's first line, and its only one."""

    sha: str
    login: str
    name_with_owner: str
    headline: str
    committed_at: dt.datetime
    parent_sha: str | None


class History:
    """Commits made within a closed window; a missing end is open."""

    def __init__(
        self,
        contributions: Sequence[Contribution],
        *,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> None:
        self._parts = [(part, _numbers(part, since, until)) for part in contributions]
        self.total_count = sum(len(numbers) for _, numbers in self._parts)

    def page(self, start: int, stop: int) -> list[Commit]:
        """Commits by place, 0 being the newest."""
        if len(self._parts) == 1:
            part, numbers = self._parts[0]
            return [_commit(part, number) for number in numbers[::-1][start:stop]]
        newest_first = heapq.merge(
            *(_dated(index, part, numbers) for index, (part, numbers) in enumerate(self._parts)), reverse=True
        )
        return [
            _commit(self._parts[index][0], number) for _, index, number in islice(newest_first, start, stop)
        ]


def _numbers(part: Contribution, since: dt.datetime | None, until: dt.datetime | None) -> range:
    numbers = range(part.commits.commits_count)
    start = bisect_left(numbers, since, key=part.commits.committed_at) if since else 0
    stop = bisect_right(numbers, until, key=part.commits.committed_at) if until else len(numbers)
    return numbers[start:stop]


def _dated(index: int, part: Contribution, numbers: range) -> Iterator[tuple[dt.datetime, int, int]]:
    return ((part.commits.committed_at(number), index, number) for number in reversed(numbers))


def _commit(part: Contribution, number: int) -> Commit:
    commits_count = part.commits.commits_count
    return Commit(
        sha=commit_sha(part.login, part.name_with_owner, number),
        login=part.login,
        name_with_owner=part.name_with_owner,
        headline=headline(part.subjects, commits_count, number),
        committed_at=part.commits.committed_at(number),
        parent_sha=commit_sha(part.login, part.name_with_owner, number - 1) if number else None,
    )
