"""Reads what accounts worked on: commits by repository, window by window, and only those that can have changed.

GitHub first says for nothing how many repositories a window holds, so that the costly question asks for exactly as many:
it is charged by what it may list, not by what it lists. Reading accounts is `github.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from platform_assets.clients import github_queries as queries
from platform_assets.clients.github_batches import Questions, Reply, parsed
from platform_assets.clients.github_queries import Tally
from platform_assets.clients.github_values import RepositoryWork, Window, last_year
from platform_assets.clients.http_errors import QueryTooLargeError, ServiceError

Work = dict[str, Tally]
"""Own commits by `owner/name`."""


@dataclass(frozen=True)
class Reading:
    """What to read of one account.

    Attributes:
        login: Its present login.
        windows: Windows to read, none overlapping.
    """

    login: str
    windows: tuple[Window, ...]


def read_work(questions: Questions, readings: Mapping[str, Reading]) -> dict[str, Work | ServiceError | None]:
    """Own commits in the windows of each reading, by its key; an error, or None for an account that has gone."""
    work: dict[str, Work | ServiceError | None] = {key: {} for key in readings}
    waiting = [(key, window) for key, reading in readings.items() for window in reading.windows]
    while waiting:
        waiting = [(key, window) for key, window in waiting if isinstance(work[key], dict)]
        counts = questions.ask(
            queries.COUNT,
            [queries.count_variables(readings[key].login, window) for key, window in waiting],
        )
        smaller: list[tuple[str, Window]] = []
        asked: list[tuple[str, Window, int]] = []
        for (key, window), reply in zip(waiting, counts, strict=True):
            counted = parsed(queries.parse_count, reply)
            halves = window.halves()
            if isinstance(counted, tuple):
                commits_count, repositories_count = counted
                if repositories_count > queries.MAX_REPOSITORIES and len(halves) > 1:
                    smaller += [(key, half) for half in halves]
                elif commits_count and repositories_count:
                    # A single day with more repositories than GitHub lists keeps the hundred that it does list.
                    asked.append((key, window, min(repositories_count, queries.MAX_REPOSITORIES)))
            elif isinstance(counted, QueryTooLargeError) and len(halves) > 1:
                smaller += [(key, half) for half in halves]
            else:
                work[key] = counted
        waiting = smaller + _read_windows(questions, readings, asked, work)
    return work


def count_commits(
    questions: Questions, logins: Mapping[str, str], window: Window
) -> dict[str, int | ServiceError | None]:
    """Commits of accounts in a window, by the key of their login; an error, or None for an account that has gone."""
    counts: dict[str, int | ServiceError | None] = dict.fromkeys(logins, 0)
    waiting = [(key, window) for key in logins]
    while waiting:
        replies = questions.ask(
            queries.COUNT, [queries.count_variables(logins[key], part) for key, part in waiting]
        )
        smaller: list[tuple[str, Window]] = []
        for (key, part), reply in zip(waiting, replies, strict=True):
            counted, known = parsed(queries.parse_count, reply), counts[key]
            if isinstance(counted, QueryTooLargeError) and len(part.halves()) > 1:
                smaller += [(key, half) for half in part.halves()]
            elif isinstance(counted, tuple) and isinstance(known, int):
                counts[key] = known + counted[0]
            elif isinstance(known, int) and not isinstance(counted, tuple):
                counts[key] = counted
        waiting = smaller
    return counts


def _read_windows(
    questions: Questions,
    readings: Mapping[str, Reading],
    asked: Sequence[tuple[str, Window, int]],
    work: dict[str, Work | ServiceError | None],
) -> list[tuple[str, Window]]:
    """Adds the windows' commits to `work`; gives the halves of those that were too much for GitHub."""
    asked = [(key, window, limit) for key, window, limit in asked if isinstance(work[key], dict)]
    replies = questions.ask(
        queries.WORK,
        [queries.work_variables(readings[key].login, window, limit) for key, window, limit in asked],
    )
    smaller: list[tuple[str, Window]] = []
    for (key, window, _), reply in zip(asked, replies, strict=True):
        if isinstance(reply, QueryTooLargeError) and len(window.halves()) > 1:
            smaller += [(key, half) for half in window.halves()]
            continue
        _add(work, key, window, reply)
    return smaller


def _add(work: dict[str, Work | ServiceError | None], key: str, window: Window, reply: Reply) -> None:
    known = work[key]
    tally = parsed(partial(queries.parse_work, window=window), reply)
    if isinstance(tally, dict) and isinstance(known, dict):
        for name, commits in tally.items():
            known[name] = known[name] + commits if name in known else commits
    elif isinstance(known, dict):
        work[key] = tally


def changed_windows(read_on: dt.date, today: dt.date) -> tuple[Window, ...]:
    """What to read again of an account whose work was read before: the last year, and the days that have left it.

    Args:
        read_on: UTC day of that read.
        today: UTC day of this one.
    """
    before, now = last_year(read_on), last_year(today)
    if read_on >= today:
        return (now,)
    left = Window(before.start_on, now.start_on - dt.timedelta(days=1), is_last_year=False)
    return (now, left)


def joined_work(known: Sequence[RepositoryWork], read: Work) -> Work | None:
    """An account's work over all time, from an earlier read and one of `changed_windows`.

    Older commits are those known, less the ones of the last year as it was then; that year is read anew.

    Args:
        known: The work as it was read before.
        read: Commits in the windows of `changed_windows`.

    Returns:
        Own commits by repository; None when the two contradict each other, as after a repository was renamed, deleted
        or its history rewritten: only a read of all years tells then.
    """
    joined = dict(read)
    for one in known:
        older_count = one.commits_count - one.commits_last_year_count
        tally = read.get(one.repository)
        if tally is None:
            if one.commits_last_year_count:
                return None
            joined[one.repository] = _tally_of(one)
            continue
        has_lost_first = not older_count and tally.first_on > one.first_contributed_on
        if has_lost_first or tally.last_on < one.last_contributed_on:
            return None
        joined[one.repository] = replace(
            tally,
            commits_count=older_count + tally.commits_count,
            first_on=min(tally.first_on, one.first_contributed_on),
        )
    return joined


def is_as_known(tally: Tally, known: RepositoryWork | None) -> bool:
    """Whether an account's commits to a repository are those that were read before."""
    return known is not None and tally == _tally_of(known)


def _tally_of(one: RepositoryWork) -> Tally:
    return Tally(
        commits_count=one.commits_count,
        commits_last_year_count=one.commits_last_year_count,
        first_on=one.first_contributed_on,
        last_on=one.last_contributed_on,
    )
