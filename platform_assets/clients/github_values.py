"""What the GitHub client answers with, and pure rules about accounts and time windows. No GraphQL, REST or network."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

LAST_YEAR_DAYS = 365

# Letters, digits and hyphens; managed accounts end in `_company`. Old accounts break the finer rules.
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,39}")


@dataclass(frozen=True)
class RepositoryWork:
    """An account's own commits to the default branch of one public repository.

    Attributes:
        repository: `owner/name`.
        description: The repository's description.
        is_fork: Whether the repository is a fork.
        topics: The repository's topics.
        languages: Language to bytes of code in the repository, the largest first.
        commits_count: Own commits over all time.
        commits_last_year_count: Own commits of the 365 days that end with the day of reading (UTC).
        first_contributed_on: Day (UTC) of the first own commit.
        last_contributed_on: Day (UTC) of the latest own commit.
        subjects: First lines of own commits, newest first, at most ten; None when they were not read.
    """

    repository: str
    description: str | None
    is_fork: bool
    topics: tuple[str, ...]
    languages: Mapping[str, int]
    commits_count: int
    commits_last_year_count: int
    first_contributed_on: dt.date
    last_contributed_on: dt.date
    subjects: tuple[str, ...] | None


@dataclass(frozen=True)
class Watch:
    """What a later, cheap look at an account is compared with.

    Attributes:
        node_id: GraphQL's id of the account, which survives a rename.
        github_id: REST's id of the account, which does so, too.
        login: Its login when it was last seen.
        read_on: UTC day on which the account's commits were last read.
        complete_on: UTC day on which all its years were last read.
        since_on: Commits since this UTC day are counted.
        commits_count: How many they were just before the commits were read.
    """

    node_id: str
    github_id: int
    login: str
    read_on: dt.date
    complete_on: dt.date
    since_on: dt.date
    commits_count: int


@dataclass(frozen=True)
class Account:
    """An account without its work.

    Attributes:
        node_id: GraphQL's id of the account.
        github_id: REST's id of the account.
        login: Its present login, in GitHub's spelling.
        name: Display name.
        bio: What it says of itself.
        company: Company.
        location: Location.
        followers_count: Followers.
        created_at: When it was opened.
        years: Calendar years with contributions.
        has_private_work: Whether it worked in the last year where this token can't look.
        watched_commits_count: Commits since the day that was asked for; None when none was.
    """

    node_id: str
    github_id: int
    login: str
    name: str | None
    bio: str | None
    company: str | None
    location: str | None
    followers_count: int
    created_at: dt.datetime
    years: tuple[int, ...]
    has_private_work: bool
    watched_commits_count: int | None


@dataclass(frozen=True)
class GithubProfile:
    """One GitHub account with its own work.

    Attributes:
        login: Its present login, in GitHub's spelling.
        github_id: REST's id of the account.
        name: Display name.
        bio: What it says of itself.
        company: Company.
        location: Location.
        followers_count: Followers.
        created_at: When it was opened.
        repositories: Own work by public repository.
        has_private_work: Whether there is recent work where the token can't look; REST can't tell.
        watch: What a later look is compared with; None by REST.
    """

    login: str
    github_id: int
    name: str | None
    bio: str | None
    company: str | None
    location: str | None
    followers_count: int
    created_at: dt.datetime
    repositories: tuple[RepositoryWork, ...]
    has_private_work: bool = False
    watch: Watch | None = None


@dataclass(frozen=True)
class ProfileResult:
    """What came of one login.

    Attributes:
        login: The login as it was asked for.
        state: `fetched`; `unchanged` (its work is as it was last read); `not_found` (GitHub has no such user);
            `deleted` (there was one); `suspended`; or `failed` (could not be read this time).
        profile: The account and its work; None unless fetched.
        failure: Why there is neither profile nor account; None when there is one.
        account: The account as it is now; None unless unchanged.
    """

    login: str
    state: Literal["fetched", "unchanged", "not_found", "deleted", "suspended", "failed"]
    profile: GithubProfile | None
    failure: str | None
    account: Account | None = None


@dataclass(frozen=True)
class RestProfile:
    """An account read by REST; `etag` is opaque and goes into the next read."""

    profile: GithubProfile
    etag: str


@dataclass(frozen=True)
class NotModified:
    """Nothing changed since the read that gave `etag`; such an answer costs no quota."""

    etag: str


@dataclass(frozen=True)
class RateBudget:
    """What a client has spent, and what its token had left at the last answer.

    Attributes:
        calls_count: HTTP calls that GitHub has answered, repeats and refusals included.
        cost_points: Points that the answers say they cost.
        limit: Points an hour; None before the first answer.
        remaining: Points left.
        reset_at: When the points are full again.
    """

    calls_count: int = 0
    cost_points: int = 0
    limit: int | None = None
    remaining: int | None = None
    reset_at: dt.datetime | None = None


@dataclass(frozen=True)
class Window:
    """Days whose contributions are read together: `start_on` to `end_on`, both included, at most a year."""

    start_on: dt.date
    end_on: dt.date
    is_last_year: bool

    def halves(self) -> tuple[Window, ...]:
        """The window in two parts; a single day stays one."""
        days = (self.end_on - self.start_on).days
        if days < 1:
            return (self,)
        middle = self.start_on + dt.timedelta(days=days // 2)
        return (
            Window(self.start_on, middle, self.is_last_year),
            Window(middle + dt.timedelta(days=1), self.end_on, self.is_last_year),
        )


def last_year(today: dt.date) -> Window:
    """The 365 days that end with `today`."""
    return Window(today - dt.timedelta(days=LAST_YEAR_DAYS - 1), today, is_last_year=True)


def is_possible_login(login: str) -> bool:
    """Whether GitHub could have an account of this name, so that asking makes sense."""
    return _LOGIN.fullmatch(login) is not None


def plan_windows(years: Iterable[int], *, today: dt.date) -> list[Window]:
    """Windows that cover an account's contributions, none twice.

    The last 365 days are a window of their own, since their commits are also counted apart; earlier days go by
    calendar year.

    Args:
        years: Calendar years with contributions (`contributionYears`).
        today: UTC day of reading.

    Returns:
        Windows, the newest first.
    """
    last = last_year(today)
    windows = []
    for year in sorted(set(years), reverse=True):
        start_on = dt.date(year, 1, 1)
        end_on = min(dt.date(year, 12, 31), last.start_on - dt.timedelta(days=1))
        if start_on <= end_on:
            windows.append(Window(start_on, end_on, is_last_year=False))
    if any(year >= last.start_on.year for year in years):
        windows.insert(0, last)
    return windows
