"""Brings developer profiles up to date: who is due is read from GitHub and written in parts, so that a break loses little.

Who is due, and how answers become rows, is `github_profiles`; talking to GitHub is `clients.github`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.clients.github_values import ProfileResult
from platform_assets.clients.http_errors import ServiceError
from platform_assets.profiles.github_profiles import plan_refresh, profile_rows
from platform_assets.tables import platform as tables

if TYPE_CHECKING:
    from platform_assets.clients.github import GithubClient

ACCOUNTS_PER_COMMIT = 200
"""An interrupted refresh keeps all but the last so many accounts."""


@dataclass(frozen=True)
class Refresh:
    """What a refresh did.

    Attributes:
        counts: Rows of both tables that were written.
        accounts_due: Distinct GitHub accounts whose turn it was.
        accounts_read: Those that were asked for, with whatever outcome.
    """

    counts: WriteCounts
    accounts_due: int
    accounts_read: int


def refresh_profiles(
    database: Database,
    github: GithubClient | None,
    developers: pd.DataFrame,
    *,
    known: pd.DataFrame,
    known_repositories: pd.DataFrame,
    read_clock: Callable[[], dt.datetime],
    tell: Callable[[int, int], None],
) -> Refresh:
    """Read the profiles that are due, and write them.

    Args:
        database: Where profiles are kept.
        github: GitHub; None when it is switched off, and then only developers without a login get their row.
        developers: `marketplace.developers`.
        known: `platform.developer_profiles`.
        known_repositories: `platform.developer_repositories`.
        read_clock: Gives the present moment (UTC).
        tell: Called after each part with the accounts read and those due.

    Raises:
        ServiceError: GitHub stopped answering; what was read until then is written.
    """
    due = plan_refresh(developers, known, now=read_clock())

    def write(results: list[ProfileResult], part: pd.DataFrame) -> WriteCounts:
        rows = profile_rows(results, part, known, known_repositories, attempted_at=read_clock())
        replaced = tables.developer_repositories.c.developer_id.in_(rows.replaced_developer_ids)
        with database.transaction() as connection:
            return database.upsert(
                tables.developer_profiles,
                rows.profiles,
                connection=connection,
                quarantine_as="github.accounts",
            ) + database.upsert(
                tables.developer_repositories,
                rows.repositories,
                delete_missing=replaced,
                connection=connection,
                quarantine_as="github.repositories",
            )

    counts = write([], due[due["github_login"].isna()])
    linked = due[due["github_login"].notna()]
    logins = linked["github_login"].str.casefold()
    accounts_due = int(logins.nunique())
    if github is None:
        return Refresh(counts, accounts_due, accounts_read=0)
    accounts_read = 0
    for results in _in_parts(github.read_profiles(list(linked["github_login"]), now=read_clock())):
        counts += write(results, linked[logins.isin([result.login.casefold() for result in results])])
        accounts_read += len(results)
        tell(accounts_read, accounts_due)
    return Refresh(counts, accounts_due, accounts_read)


def _in_parts(results: Iterable[ProfileResult]) -> Iterator[list[ProfileResult]]:
    """Results in parts; when reading breaks off, what was read comes before the error goes on."""
    part: list[ProfileResult] = []
    try:
        for result in results:
            part.append(result)
            if len(part) == ACCOUNTS_PER_COMMIT:
                yield part
                part = []
    except ServiceError:
        if part:
            yield part
        raise
    if part:
        yield part
