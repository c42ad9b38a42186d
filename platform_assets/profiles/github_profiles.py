"""From GitHub's answers to rows of `developer_profiles`, `developer_repositories` and `github_accounts`, and back.

Pure: whose turn it is is `github_plan.py`, reading GitHub is `clients/github.py`, writing is `refresh.py`. A read that fails never touches what an earlier one
brought: its row carries the known values on, only `github_login`, `state`, `failure` and `attempted_at` are new, and
the developer's repositories are not in the answer at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from platform_assets.clients.github_values import (
    Account,
    GithubProfile,
    ProfileResult,
    RepositoryWork,
    Watch,
)
from platform_assets.profiles.github_plan import clean_logins
from platform_assets.tables import platform as tables
from platform_assets.tables.github_accounts import github_accounts

PROFILE_COLUMNS = [column.name for column in tables.developer_profiles.columns if column.name != "updated_at"]
REPOSITORY_COLUMNS = [
    column.name for column in tables.developer_repositories.columns if column.name != "updated_at"
]
ACCOUNT_COLUMNS = [column.name for column in github_accounts.columns if column.name != "updated_at"]

GOOD_STATES = ("fetched", "renamed", "empty", "private")
"""States of an account that could be read; `renamed` under its new login, the last two without any public work."""

_COUNTS = ["github_id", "followers_count", "repositories_count", "commits_count"]
_INSTANTS = ["github_created_at", "fetched_at", "attempted_at"]


@dataclass(frozen=True)
class ProfileRows:
    """Rows to write after one refresh.

    Attributes:
        profiles: One row per developer with an outcome, in the shape of `developer_profiles`.
        repositories: In the shape of `developer_repositories`.
        accounts: In the shape of `github_accounts`, for those that were read or seen unchanged.
        replaced_developer_ids: Developers whose repositories `repositories` holds in full: what else the table has
            for them is gone. Nobody else's may be deleted.
    """

    profiles: pd.DataFrame
    repositories: pd.DataFrame
    accounts: pd.DataFrame
    replaced_developer_ids: tuple[str, ...]


def profile_rows(
    results: Iterable[ProfileResult],
    developers: pd.DataFrame,
    known_profiles: pd.DataFrame,
    known_repositories: pd.DataFrame,
    *,
    attempted_at: dt.datetime,
    watches: Mapping[str, Watch] | None = None,
) -> ProfileRows:
    """Rows for the developers of a plan.

    Args:
        results: What came of the logins; the plan may be read in part, after a rate limit for one.
        developers: The plan: `developer_id`, `github_login`. Several developers may name one login.
        known_profiles: Rows of `developer_profiles`, at least of these developers.
        known_repositories: Rows of `developer_repositories`, at least of these developers: commit subjects that were
            not read this time are carried on.
        attempted_at: When GitHub was asked (UTC).
        watches: By login in lower case, what unchanged accounts were compared with.

    Returns:
        The rows. A developer without a login is `not_linked`, with nothing known; one whose login has no result has
        no row, and so stays due.
    """
    by_login = {result.login.casefold(): result for result in results}
    known = known_profiles.reindex(columns=PROFILE_COLUMNS).set_index("developer_id", drop=False)
    subjects = {
        (developer_id, repository): list(lines)
        for developer_id, repository, lines in known_repositories.reindex(
            columns=["developer_id", "repository", "subjects"]
        ).to_numpy(dtype=object)
    }
    profiles: list[Mapping[str, Any]] = []
    repositories: list[Mapping[str, Any]] = []
    accounts: list[Mapping[str, Any]] = []
    replaced = []
    for developer_id, login in zip(developers["developer_id"], clean_logins(developers["github_login"])):
        attempt = {"developer_id": developer_id, "github_login": login, "attempted_at": attempted_at}
        if pd.isna(login):
            profiles.append({**attempt, "github_login": None, "state": "not_linked"})
            replaced.append(developer_id)
            continue
        result = by_login.get(login.casefold())
        if result is None:
            continue
        last_good = known.loc[developer_id].to_dict() if developer_id in known.index else {}
        watch = (watches or {}).get(login.casefold())
        if result.account is not None and watch is not None and not pd.isna(last_good.get("fetched_at")):
            has_work = bool(last_good["repositories_count"])
            seen = {
                **attempt,
                **_account_values(result.account, attempted_at),
                "state": _good_state(login, result.account, has_work=has_work),
                "failure": None,
            }
            profiles.append({**last_good, **seen})
            accounts.append(_account_row(developer_id, result.account.login, watch))
        elif result.profile is None:
            failed = {"state": result.state, "failure": result.failure}
            profiles.append({**last_good, **attempt, **failed})
        else:
            profile = result.profile
            state = _good_state(login, profile, has_work=bool(profile.repositories))
            profiles.append({**attempt, "state": state, **_profile_values(profile, attempted_at)})
            repositories += _repository_rows(developer_id, profile, subjects)
            replaced.append(developer_id)
            if profile.watch is not None:
                accounts.append(_account_row(developer_id, profile.login, profile.watch))
    return ProfileRows(
        profiles=_typed(_frame(profiles, PROFILE_COLUMNS)),
        repositories=_frame(repositories, REPOSITORY_COLUMNS).astype(
            {"is_fork": bool, "commits_count": "int64", "commits_last_year_count": "int64"}
        ),
        accounts=_frame(accounts, ACCOUNT_COLUMNS),
        replaced_developer_ids=tuple(replaced),
    )


def known_watches(
    developers: pd.DataFrame, known_profiles: pd.DataFrame, known_accounts: pd.DataFrame
) -> dict[str, Watch]:
    """What a look at accounts that were read before is compared with, by login in lower case.

    Args:
        developers: `developer_id`, `github_login` as the marketplace has them now.
        known_profiles: Rows of `developer_profiles`.
        known_accounts: Rows of `github_accounts`.

    Returns:
        One for each login whose account was read under it, or is now called so. Another login is another account.
    """
    profiles = known_profiles[["developer_id", "github_login", "github_id"]].rename(
        columns={"github_login": "asked_login"}
    )
    rows = developers[["developer_id", "github_login"]].merge(profiles, on="developer_id")
    rows = rows.merge(known_accounts, on="developer_id")
    login, asked, current = (
        clean_logins(rows[name]).str.casefold() for name in ("github_login", "asked_login", "current_login")
    )
    rows = rows[((login == asked) | (login == current)).fillna(False)].assign(login=login)
    watches: dict[str, Watch] = {}
    for row in rows.to_dict("records"):
        value: dict[str, Any] = {str(name): _plain(given) for name, given in row.items()}
        watches[value["login"]] = Watch(
            node_id=value["node_id"],
            github_id=int(value["github_id"]),
            login=value["current_login"],
            read_on=value["work_read_on"],
            complete_on=value["work_complete_on"],
            since_on=value["watched_from"],
            commits_count=value["watched_commits_count"],
        )
    return watches


def repository_work(row: Mapping[str, Any]) -> RepositoryWork:
    """The work that a row of `developer_repositories` tells of."""
    return RepositoryWork(**{field.name: _plain(row[field.name]) for field in fields(RepositoryWork)})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return value
    if pd.isna(value):
        return None
    return value.date() if isinstance(value, pd.Timestamp) else value


def _good_state(login: str, account: Account | GithubProfile, *, has_work: bool) -> str:
    if account.login.casefold() != login.casefold():
        return "renamed"
    if has_work:
        return "fetched"
    return "private" if account.has_private_work else "empty"


def _account_row(developer_id: str, current_login: str, watch: Watch) -> dict[str, Any]:
    return {
        "developer_id": developer_id,
        "node_id": watch.node_id,
        "current_login": current_login,
        "work_read_on": watch.read_on,
        "work_complete_on": watch.complete_on,
        "watched_from": watch.since_on,
        "watched_commits_count": watch.commits_count,
    }


def _account_values(account: Account | GithubProfile, fetched_at: dt.datetime) -> dict[str, Any]:
    return {
        "github_id": account.github_id,
        "name": account.name,
        "bio": account.bio,
        "company": account.company,
        "location": account.location,
        "followers_count": account.followers_count,
        "github_created_at": account.created_at,
        "fetched_at": fetched_at,
    }


def _profile_values(profile: GithubProfile, fetched_at: dt.datetime) -> dict[str, Any]:
    work = profile.repositories
    return {
        **_account_values(profile, fetched_at),
        "repositories_count": len(work),
        "commits_count": sum(one.commits_count for one in work),
        "last_contributed_on": max((one.last_contributed_on for one in work), default=None),
    }


def _repository_rows(
    developer_id: str, profile: GithubProfile, known_subjects: Mapping[tuple[str, str], list[str]]
) -> list[dict[str, Any]]:
    return [
        {
            "developer_id": developer_id,
            "repository": one.repository,
            "description": one.description,
            "is_fork": one.is_fork,
            "topics": list(one.topics),
            "languages": dict(one.languages),
            "commits_count": one.commits_count,
            "commits_last_year_count": one.commits_last_year_count,
            "first_contributed_on": one.first_contributed_on,
            "last_contributed_on": one.last_contributed_on,
            "subjects": known_subjects.get((developer_id, one.repository), [])
            if one.subjects is None
            else list(one.subjects),
        }
        for one in profile.repositories
    ]


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in columns}, dtype=object)


def _typed(profiles: pd.DataFrame) -> pd.DataFrame:
    # Object columns would make whole numbers with gaps into fractions on their way to the database.
    for name in _COUNTS:
        profiles[name] = profiles[name].astype("Int64")
    for name in _INSTANTS:
        profiles[name] = pd.to_datetime(profiles[name], utc=True)
    return profiles
