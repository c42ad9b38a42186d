"""What the local GitHub knows, read from the sandbox's state: users, repositories, contributions.

Plain values and queries; no HTTP, no GraphQL. Nothing is kept in memory, so a newly loaded world shows at once.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from platform_assets.sandbox.github.commits import CommitSpan
from platform_assets.sandbox.state import SandboxState


@dataclass(frozen=True, slots=True)
class User:
    """An account. Instants are ISO 8601 in UTC, as both APIs write them."""

    login: str
    database_id: int
    name: str | None
    bio: str | None
    company: str | None
    location: str | None
    followers_count: int
    created_at: str
    updated_at: str
    suspended_at: str | None
    private_commits_count: int


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository; `languages` maps a language to bytes of code, largest first."""

    name_with_owner: str
    database_id: int
    description: str | None
    is_fork: bool
    is_archived: bool
    stars_count: int
    topics: Sequence[str]
    languages: Mapping[str, int]
    created_at: str
    pushed_at: str

    @property
    def owner(self) -> str:
        """Login of the owner."""
        return self.name_with_owner.partition("/")[0]

    @property
    def name(self) -> str:
        """Name without the owner."""
        return self.name_with_owner.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Contribution:
    """One account's commits to one repository; `subjects` are first lines, newest first."""

    login: str
    name_with_owner: str
    commits: CommitSpan
    subjects: Sequence[str]


def node_id(kind: str, key: int | str) -> str:
    """GraphQL id of a node: its kind (`U`, `R`, `C`, …) and what it is found by."""
    return f"{kind}_{base64.urlsafe_b64encode(str(key).encode()).decode().rstrip('=')}"


def parse_node_id(value: str) -> tuple[str, str] | None:
    """Kind and key of a GraphQL id; None when it is none of ours."""
    kind, _, encoded = value.partition("_")
    try:
        return kind, base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


class GithubStore:
    """Queries over the GitHub part of the state."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def _rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        return self._state.connection.execute(sql, parameters).fetchall()

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside belongs to one moment."""
        return self._state.snapshot()

    def today(self) -> dt.date:
        """The last day of which the loaded world tells, for windows that end now."""
        world = self._state.loaded_world()
        return world.anchor if world else dt.datetime.now(dt.UTC).date()

    def user(self, login: str) -> User | None:
        """The account with a login, in any case; GitHub shows nobody one that it has suspended."""
        rows = self._rows("SELECT * FROM github_users WHERE login = ? AND suspended_at IS NULL", login)
        return User(*rows[0]) if rows else None

    def user_by_id(self, database_id: str) -> User | None:
        """The account with a numeric id, unless it is suspended."""
        user = self.any_user(int(database_id)) if database_id.isdecimal() else None
        return None if user is None or user.suspended_at else user

    def any_user(self, database_id: int) -> User | None:
        """The account with a numeric id, suspended or not."""
        rows = self._rows("SELECT * FROM github_users WHERE database_id = ?", database_id)
        return User(*rows[0]) if rows else None

    def repository(self, name_with_owner: str) -> Repository | None:
        """The repository with a full name, in any case."""
        rows = self._rows("SELECT * FROM github_repositories WHERE name_with_owner = ?", name_with_owner)
        return _repository(rows[0]) if rows else None

    def repository_by_id(self, database_id: str) -> Repository | None:
        """The repository with a numeric id."""
        rows = self._rows("SELECT * FROM github_repositories WHERE database_id = ?", database_id)
        return _repository(rows[0]) if rows else None

    def repositories_of(self, owner: str) -> list[Repository]:
        """The repositories that an account or organization owns, by name."""
        rows = self._rows("SELECT * FROM github_repositories WHERE owner = ? ORDER BY name_with_owner", owner)
        return [_repository(row) for row in rows]

    def contributions_of(self, login: str) -> list[Contribution]:
        """What an account contributed to repositories that are known, by repository."""
        rows = self._rows(
            "SELECT c.* FROM github_contributions c JOIN github_repositories USING (name_with_owner) "
            "WHERE c.login = ? ORDER BY c.name_with_owner",
            login,
        )
        return [_contribution(row) for row in rows]

    def contributions_to(self, name_with_owner: str) -> list[Contribution]:
        """What accounts contributed to a repository, most commits first."""
        rows = self._rows(
            "SELECT * FROM github_contributions WHERE name_with_owner = ? ORDER BY commits_count DESC, login",
            name_with_owner,
        )
        return [_contribution(row) for row in rows]


def _repository(row: sqlite3.Row) -> Repository:
    languages: dict[str, int] = json.loads(row["languages"])
    return Repository(
        name_with_owner=row["name_with_owner"],
        database_id=row["database_id"],
        description=row["description"],
        is_fork=bool(row["is_fork"]),
        is_archived=bool(row["is_archived"]),
        stars_count=row["stars_count"],
        topics=json.loads(row["topics"]),
        languages=dict(sorted(languages.items(), key=lambda item: (-item[1], item[0]))),
        created_at=row["created_at"],
        pushed_at=row["pushed_at"],
    )


def _contribution(row: sqlite3.Row) -> Contribution:
    return Contribution(
        login=row["login"],
        name_with_owner=row["name_with_owner"],
        commits=CommitSpan(
            commits_count=row["commits_count"],
            first_on=dt.date.fromisoformat(row["first_on"]),
            last_on=dt.date.fromisoformat(row["last_on"]),
        ),
        subjects=json.loads(row["subjects"]),
    )
