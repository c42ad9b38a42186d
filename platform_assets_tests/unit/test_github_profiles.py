"""Whose profile is due, and what a refresh writes."""

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from platform_assets.clients.github_values import GithubProfile, ProfileResult, RepositoryWork
from platform_assets.profiles.github_plan import plan_refresh
from platform_assets.profiles.github_profiles import PROFILE_COLUMNS, REPOSITORY_COLUMNS, profile_rows

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
NO_PROFILES = pd.DataFrame(columns=PROFILE_COLUMNS)
NO_REPOSITORIES = pd.DataFrame(columns=REPOSITORY_COLUMNS)


def developers(**logins: str | None) -> pd.DataFrame:
    return pd.DataFrame({"developer_id": list(logins), "github_login": list(logins.values())}, dtype=object)


def known(developer_id: str, login: str | None, state: str, hours_ago: float, **more: Any) -> dict[str, Any]:
    attempted_at = NOW - dt.timedelta(hours=hours_ago)
    return {
        "developer_id": developer_id,
        "github_login": login,
        "state": state,
        "attempted_at": attempted_at,
        **more,
    }


def due(wanted: pd.DataFrame, *profiles: dict[str, Any]) -> list[str]:
    plan = plan_refresh(wanted, pd.DataFrame(profiles, columns=PROFILE_COLUMNS), now=NOW)
    return list(plan["developer_id"])


def work(repository: str = "octo/hello", **changes: Any) -> RepositoryWork:
    values: dict[str, Any] = {
        "repository": repository,
        "description": "Says hello",
        "is_fork": False,
        "topics": ("greeting",),
        "languages": {"Python": 900, "C": 10},
        "commits_count": 12,
        "commits_last_year_count": 3,
        "first_contributed_on": dt.date(2020, 1, 2),
        "last_contributed_on": dt.date(2026, 3, 4),
        "subjects": ("Say hello",),
    }
    return RepositoryWork(**{**values, **changes})


def fetched(login: str, *repositories: RepositoryWork) -> ProfileResult:
    profile = GithubProfile(
        login=login,
        github_id=7,
        name="Octo",
        bio=None,
        company=None,
        location="Lisbon",
        followers_count=5,
        created_at=dt.datetime(2015, 1, 1, tzinfo=dt.UTC),
        repositories=repositories,
    )
    return ProfileResult(login, "fetched", profile, None)


def row_of(frame: pd.DataFrame, developer_id: str) -> dict[str, Any]:
    (row,) = frame[frame["developer_id"] == developer_id].to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_new_developers_come_first_then_those_longest_unasked() -> None:
    wanted = developers(a="a", b="b", c="c")
    assert due(wanted, known("a", "a", "fetched", 30), known("b", "b", "fetched", 50)) == ["c", "b", "a"]


def test_a_fresh_profile_is_not_due() -> None:
    assert due(developers(a="a"), known("a", "a", "fetched", 23)) == []


def test_a_changed_login_is_due_at_once_and_another_spelling_of_it_is_not() -> None:
    wanted = developers(a="new", b="SAME")
    assert due(wanted, known("a", "old", "fetched", 1), known("b", "same", "fetched", 1)) == ["a"]


def test_a_failed_read_waits_an_hour_and_an_unknown_account_a_day() -> None:
    wanted = developers(a="a", b="b", c="c", d="d")
    profiles = [
        known("a", "a", "failed", 0.9),
        known("b", "b", "failed", 1),
        known("c", "c", "not_found", 23),
        known("d", "d", "not_found", 24),
    ]
    assert due(wanted, *profiles) == ["d", "b"]


@pytest.mark.parametrize("login", [None, "", "  "])
def test_a_developer_without_a_login_is_due_once(login: str | None) -> None:
    wanted = developers(a=login)
    assert due(wanted) == ["a"]
    assert due(wanted, known("a", "gone", "fetched", 1)) == ["a"]
    assert due(wanted, known("a", None, "not_linked", 1000)) == []


def test_a_developer_who_left_the_marketplace_is_not_due() -> None:
    assert due(developers(), known("a", "a", "fetched", 100)) == []


def test_a_fetched_account_becomes_a_profile_and_its_repositories() -> None:
    rows = profile_rows(
        [fetched("octo", work("octo/a"), work("octo/b", last_contributed_on=dt.date(2026, 5, 1)))],
        developers(d1="Octo"),
        NO_PROFILES,
        NO_REPOSITORIES,
        attempted_at=NOW,
    )
    profile = row_of(rows.profiles, "d1")
    assert (profile["github_login"], profile["state"], profile["failure"]) == ("Octo", "fetched", None)
    assert (profile["repositories_count"], profile["commits_count"]) == (2, 24)
    assert profile["last_contributed_on"] == dt.date(2026, 5, 1)
    assert profile["fetched_at"] == profile["attempted_at"] == NOW
    assert list(rows.profiles.columns) == PROFILE_COLUMNS
    assert list(rows.repositories.columns) == REPOSITORY_COLUMNS
    assert rows.repositories["repository"].tolist() == ["octo/a", "octo/b"]
    assert rows.repositories["languages"].tolist()[0] == {"Python": 900, "C": 10}
    assert rows.replaced_developer_ids == ("d1",)


def test_an_account_without_work_has_counts_of_zero_and_no_last_day() -> None:
    rows = profile_rows(
        [fetched("octo")], developers(d1="octo"), NO_PROFILES, NO_REPOSITORIES, attempted_at=NOW
    )
    profile = row_of(rows.profiles, "d1")
    assert profile["state"] == "empty"
    assert (profile["repositories_count"], profile["commits_count"]) == (0, 0)
    assert profile["last_contributed_on"] is None
    assert rows.repositories.empty
    assert rows.replaced_developer_ids == ("d1",)


@pytest.mark.parametrize("state", ["failed", "not_found"])
def test_a_read_that_fails_keeps_what_was_known(state: Any) -> None:
    first = profile_rows(
        [fetched("octo", work())], developers(d1="octo"), NO_PROFILES, NO_REPOSITORIES, attempted_at=NOW
    )
    later = NOW + dt.timedelta(days=1)
    second = profile_rows(
        [ProfileResult("octo", state, None, "Why")],
        developers(d1="octo"),
        first.profiles,
        first.repositories,
        attempted_at=later,
    )
    before, after = row_of(first.profiles, "d1"), row_of(second.profiles, "d1")
    changed = {name for name in PROFILE_COLUMNS if before[name] != after[name] and before[name] is not None}
    assert changed == {"state", "attempted_at"}
    assert (after["state"], after["failure"], after["attempted_at"]) == (state, "Why", later)
    assert after["fetched_at"] == NOW
    assert second.repositories.empty
    assert second.replaced_developer_ids == ()


def test_a_first_read_that_fails_leaves_unknown_values_missing() -> None:
    result = ProfileResult("octo", "failed", None, "Why")
    rows = profile_rows([result], developers(d1="octo"), NO_PROFILES, NO_REPOSITORIES, attempted_at=NOW)
    profile = row_of(rows.profiles, "d1")
    assert pd.isna(profile["commits_count"])
    assert pd.isna(profile["fetched_at"])
    assert str(rows.profiles["commits_count"].dtype) == "Int64"


def test_an_unlinked_account_is_forgotten() -> None:
    first = profile_rows(
        [fetched("octo", work())], developers(d1="octo"), NO_PROFILES, NO_REPOSITORIES, attempted_at=NOW
    )
    second = profile_rows([], developers(d1=None), first.profiles, first.repositories, attempted_at=NOW)
    profile = row_of(second.profiles, "d1")
    assert (profile["state"], profile["github_login"], profile["name"]) == ("not_linked", None, None)
    assert second.replaced_developer_ids == ("d1",)


def test_a_developer_whose_login_was_not_reached_has_no_row_and_stays_due() -> None:
    rows = profile_rows([], developers(d1="octo"), NO_PROFILES, NO_REPOSITORIES, attempted_at=NOW)
    assert rows.profiles.empty
    assert rows.replaced_developer_ids == ()


def test_two_developers_may_name_one_account() -> None:
    rows = profile_rows(
        [fetched("octo", work())],
        developers(d1="octo", d2="OCTO"),
        NO_PROFILES,
        NO_REPOSITORIES,
        attempted_at=NOW,
    )
    assert rows.profiles["state"].tolist() == ["fetched", "fetched"]
    assert rows.repositories["developer_id"].tolist() == ["d1", "d2"]


def test_commit_subjects_that_were_not_read_are_carried_on() -> None:
    first = profile_rows(
        [fetched("octo", work())], developers(d1="octo"), NO_PROFILES, NO_REPOSITORIES, attempted_at=NOW
    )
    second = profile_rows(
        [fetched("octo", work(subjects=None), work("octo/new", subjects=None))],
        developers(d1="octo"),
        first.profiles,
        first.repositories,
        attempted_at=NOW,
    )
    assert second.repositories["subjects"].tolist() == [["Say hello"], []]
