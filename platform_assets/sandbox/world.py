"""What a sandbox world consists of: plain values that a generator or a data folder yields.

The marketplace part goes into Postgres, the rest into the state of the local APIs. No I/O here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class GithubUser:
    """A GitHub account as the local API serves it.

    One that is renamed is the same number with another login; one that was deleted is not there. Nobody sees one that
    is suspended but whoever asks for it by its number. `private_commits_count` are commits where nobody may look.
    """

    login: str
    database_id: int
    name: str | None
    bio: str | None
    company: str | None
    location: str | None
    followers_count: int
    created_at: dt.datetime
    updated_at: dt.datetime
    suspended_at: dt.datetime | None = None
    private_commits_count: int = 0


@dataclass(frozen=True)
class GithubRepository:
    """A repository; `languages` maps a language to bytes of code."""

    name_with_owner: str
    database_id: int
    description: str | None
    is_fork: bool
    is_archived: bool
    stars_count: int
    topics: tuple[str, ...]
    languages: Mapping[str, int]
    created_at: dt.datetime
    pushed_at: dt.datetime


@dataclass(frozen=True)
class GithubContribution:
    """The commits of one account to one repository; `subjects` are first lines of commits, newest first."""

    login: str
    name_with_owner: str
    commits_count: int
    first_on: dt.date
    last_on: dt.date
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Everything a sandbox shows.

    Attributes:
        name: What was loaded: `generated` or the folder's name.
        anchor: The day (UTC) before which all generated history lies.
        marketplace: One frame per table of the marketplace contract, by table name, with its columns.
        github_users: Accounts.
        github_repositories: Repositories, those of organizations included.
        github_contributions: At most one row per account and repository.
        stripe_objects: Objects in the shape of Stripe's API, each with its `object`, `id` and `created`.
    """

    name: str
    anchor: dt.date
    marketplace: Mapping[str, pd.DataFrame]
    github_users: tuple[GithubUser, ...]
    github_repositories: tuple[GithubRepository, ...]
    github_contributions: tuple[GithubContribution, ...]
    stripe_objects: tuple[Mapping[str, Any], ...] = field(default=())
