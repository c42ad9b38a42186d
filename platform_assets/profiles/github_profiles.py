"""From GitHub's answers to rows of `developer_profiles` and `developer_repositories`, and whose turn it is.

Pure: reading GitHub is `clients/github.py`, writing is the asset's. A read that fails never touches what an earlier one
brought: its row carries the known values on, only `github_login`, `state`, `failure` and `attempted_at` are new, and
the developer's repositories are not in the answer at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from platform_assets.clients.github_values import GithubProfile, ProfileResult
from platform_assets.tables import platform as tables

REFRESH_AFTER = dt.timedelta(days=1)
"""Age at which a profile is read again."""

RETRY_AFTER = dt.timedelta(hours=1)
"""Wait before a failed read is repeated. A login that GitHub does not know waits for `refresh_after` like a good one."""

PROFILE_COLUMNS = [column.name for column in tables.developer_profiles.columns if column.name != "updated_at"]
REPOSITORY_COLUMNS = [
    column.name for column in tables.developer_repositories.columns if column.name != "updated_at"
]

_COUNTS = ["github_id", "followers_count", "repositories_count", "commits_count"]
_INSTANTS = ["github_created_at", "fetched_at", "attempted_at"]


@dataclass(frozen=True)
class ProfileRows:
    """Rows to write after one refresh.

    Attributes:
        profiles: One row per developer with an outcome, in the shape of `developer_profiles`.
        repositories: In the shape of `developer_repositories`.
        replaced_developer_ids: Developers whose repositories `repositories` holds in full: what else the table has
            for them is gone. Nobody else's may be deleted.
    """

    profiles: pd.DataFrame
    repositories: pd.DataFrame
    replaced_developer_ids: tuple[str, ...]


def plan_refresh(
    developers: pd.DataFrame,
    known_profiles: pd.DataFrame,
    *,
    now: dt.datetime,
    refresh_after: dt.timedelta = REFRESH_AFTER,
    retry_after: dt.timedelta = RETRY_AFTER,
) -> pd.DataFrame:
    """Whose profile is due, those never asked for first, then the longest unasked.

    Args:
        developers: `developer_id`, `github_login`; a blank login is none.
        known_profiles: Rows of `developer_profiles`.
        now: Moment of planning (UTC).
        refresh_after: Age at which a good or unknown account is read again.
        retry_after: Wait before a failed read is repeated.

    Returns:
        `developer_id`, `github_login` of developers who are new, have another login or none any more, or are due by
        age. Those without a login need a row, but no call.
    """
    known = known_profiles.reindex(columns=["developer_id", "github_login", "state", "attempted_at"])
    wanted = developers[["developer_id", "github_login"]].copy()
    wanted["github_login"] = _logins(wanted["github_login"])
    both = wanted.merge(known, on="developer_id", how="left", suffixes=("", "_known"), validate="one_to_one")
    login = both["github_login"].str.casefold().fillna("")
    known_login = _logins(both["github_login_known"]).str.casefold().fillna("")
    both["attempted_at"] = pd.to_datetime(both["attempted_at"], utc=True).where(login == known_login)
    wait = pd.Series(pd.Timedelta(refresh_after), index=both.index).mask(
        both["state"] == "failed", pd.Timedelta(retry_after)
    )
    is_due = both["attempted_at"].isna() | ((login != "") & (both["attempted_at"] + wait <= now))
    due = both[is_due].sort_values(["attempted_at", "developer_id"], na_position="first")
    return due[["developer_id", "github_login"]].reset_index(drop=True)


def profile_rows(
    results: Iterable[ProfileResult],
    developers: pd.DataFrame,
    known_profiles: pd.DataFrame,
    known_repositories: pd.DataFrame,
    *,
    attempted_at: dt.datetime,
) -> ProfileRows:
    """Rows for the developers of a plan.

    Args:
        results: What came of the logins; the plan may be read in part, after a rate limit for one.
        developers: The plan: `developer_id`, `github_login`. Several developers may name one login.
        known_profiles: Rows of `developer_profiles`, at least of these developers.
        known_repositories: Rows of `developer_repositories`, at least of these developers: commit subjects that were
            not read this time are carried on.
        attempted_at: When GitHub was asked (UTC).

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
    replaced = []
    for developer_id, login in zip(developers["developer_id"], _logins(developers["github_login"])):
        attempt = {"developer_id": developer_id, "github_login": login, "attempted_at": attempted_at}
        if pd.isna(login):
            profiles.append({**attempt, "github_login": None, "state": "not_linked"})
            replaced.append(developer_id)
            continue
        result = by_login.get(login.casefold())
        if result is None:
            continue
        if result.profile is None:
            last_good = known.loc[developer_id].to_dict() if developer_id in known.index else {}
            profiles.append({**last_good, **attempt, "state": result.state, "failure": result.failure})
            continue
        profiles.append({**attempt, "state": "fetched", **_profile_values(result.profile, attempted_at)})
        repositories += _repository_rows(developer_id, result.profile, subjects)
        replaced.append(developer_id)
    return ProfileRows(
        profiles=_typed(_frame(profiles, PROFILE_COLUMNS)),
        repositories=_frame(repositories, REPOSITORY_COLUMNS).astype(
            {"is_fork": bool, "commits_count": "int64", "commits_last_year_count": "int64"}
        ),
        replaced_developer_ids=tuple(replaced),
    )


def _profile_values(profile: GithubProfile, fetched_at: dt.datetime) -> dict[str, Any]:
    work = profile.repositories
    return {
        "github_id": profile.github_id,
        "name": profile.name,
        "bio": profile.bio,
        "company": profile.company,
        "location": profile.location,
        "followers_count": profile.followers_count,
        "github_created_at": profile.created_at,
        "repositories_count": len(work),
        "commits_count": sum(one.commits_count for one in work),
        "last_contributed_on": max((one.last_contributed_on for one in work), default=None),
        "fetched_at": fetched_at,
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


def _logins(logins: pd.Series[Any]) -> pd.Series[Any]:
    stripped = logins.astype("string").str.strip()
    return stripped.mask(stripped == "")


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in columns}, dtype=object)


def _typed(profiles: pd.DataFrame) -> pd.DataFrame:
    # Object columns would make whole numbers with gaps into fractions on their way to the database.
    for name in _COUNTS:
        profiles[name] = profiles[name].astype("Int64")
    for name in _INSTANTS:
        profiles[name] = pd.to_datetime(profiles[name], utc=True)
    return profiles
