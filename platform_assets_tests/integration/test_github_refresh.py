"""A refresh of profiles against the local GitHub, and what becomes of accounts that change under our hands."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sandbox_server import contribution, repository, running_sandbox, user, world

from platform_assets.clients.database import Database
from platform_assets.clients.github import GithubClient
from platform_assets.profiles.refresh import Refresh, refresh_profiles
from platform_assets.sandbox.process import state_path
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.world import World
from platform_assets.table_assets import read_table
from platform_assets.tables import platform as tables
from platform_assets.tables.github_accounts import github_accounts

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
TOMORROW, LATER = NOW + dt.timedelta(hours=25), NOW + dt.timedelta(hours=50)

USERS = (
    user("old-name", 1),
    user("goes", 2),
    user("misbehaves", 3),
    user("hidden", 4, private_commits_count=5),
    user("idle", 5),
    user("steady", 6),
)
WORK = tuple(
    contribution(login, f"{login}/tool", 30, "2024-02-03", "2026-09-30")
    for login in ("old-name", "goes", "misbehaves", "steady")
)
LOGINS = {
    "d-renamed": "old-name",
    "d-deleted": "goes",
    "d-suspended": "misbehaves",
    "d-private": "hidden",
    "d-empty": "idle",
    "d-steady": "steady",
    "d-unknown": "nobody-here",
    "d-unlinked": None,
}


def github_world(users: tuple = USERS, work: tuple = WORK) -> World:
    repositories = tuple(repository(one.name_with_owner, place) for place, one in enumerate(work, start=1))
    return world(github_users=users, github_repositories=repositories, github_contributions=work)


def without(*logins: str) -> tuple:
    return tuple(one for one in USERS if one.login not in logins)


RENAMED = github_world(
    (replace(USERS[0], login="new-name"), *without("old-name")),
    (replace(WORK[0], login="new-name", name_with_owner="new-name/tool"), *WORK[1:]),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("github")


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with running_sandbox(home, loaded=github_world()) as endpoints:
        yield endpoints.github_url


@pytest.fixture
def show(home: Path, url: str) -> Iterator[Callable[[World], None]]:
    """Changes what GitHub shows."""

    def load(shown: World) -> None:
        with SandboxState(state_path(home)) as state:
            state.replace_world(shown)

    load(github_world())
    yield load


def refresh(database: Database, url: str, now: dt.datetime, **logins: str | None) -> Refresh:
    named = LOGINS | {name.replace("_", "-"): login for name, login in logins.items()}
    with GithubClient(url=url, token="t", timeout_s=10, backoff_s=0.01) as github:
        return refresh_profiles(
            database,
            github,
            pd.DataFrame({"developer_id": list(named), "github_login": list(named.values())}),
            known=read_table(database, tables.developer_profiles),
            known_accounts=read_table(database, github_accounts),
            wanted_ids=[],
            read_clock=lambda: now,
            tell=lambda *_: None,
        )


def profile(database: Database, developer_id: str) -> dict:
    rows = read_table(database, tables.developer_profiles).set_index("developer_id")
    return rows.loc[developer_id].to_dict()


def states(database: Database) -> dict[str, str]:
    rows = read_table(database, tables.developer_profiles)
    return dict(zip(rows["developer_id"], rows["state"]))


def repositories(database: Database, developer_id: str) -> dict[str, int]:
    rows = read_table(database, tables.developer_repositories)
    own = rows[rows["developer_id"] == developer_id]
    return dict(zip(own["repository"], own["commits_count"]))


def test_each_account_has_the_state_that_it_is_in(database: Database, url: str, show: Callable) -> None:
    done = refresh(database, url, NOW)

    assert states(database) == {
        "d-renamed": "fetched",
        "d-deleted": "fetched",
        "d-suspended": "fetched",
        "d-private": "private",
        "d-empty": "empty",
        "d-steady": "fetched",
        "d-unknown": "not_found",
        "d-unlinked": "not_linked",
    }
    assert (done.accounts_due, done.accounts_read, done.accounts_deferred) == (7, 7, 0)


def test_who_has_not_changed_is_only_looked_at(database: Database, url: str, show: Callable) -> None:
    refresh(database, url, NOW)
    before = repositories(database, "d-steady")

    done = refresh(database, url, TOMORROW)

    assert done.states == {"unchanged": 6, "not_found": 1}
    # One document looks at all who are known, one asks for the login that nobody has.
    assert done.budget.cost_points == 2
    assert repositories(database, "d-steady") == before == {"steady/tool": 30}
    assert profile(database, "d-steady")["fetched_at"] == TOMORROW


def test_a_renamed_account_is_followed_with_its_repositories(
    database: Database, url: str, show: Callable
) -> None:
    refresh(database, url, NOW)
    show(RENAMED)

    refresh(database, url, TOMORROW)

    assert profile(database, "d-renamed")["state"] == "renamed"
    assert profile(database, "d-renamed")["github_id"] == 1
    assert repositories(database, "d-renamed") == {"new-name/tool": 30}
    accounts = read_table(database, github_accounts).set_index("developer_id")
    assert accounts.loc["d-renamed", "current_login"] == "new-name"

    # The marketplace learns the new login: it is the same account, and nothing is read again.
    done = refresh(database, url, LATER, d_renamed="new-name")
    assert profile(database, "d-renamed")["state"] == "fetched"
    assert done.states["unchanged"] == 6


def test_a_login_that_somebody_else_took_over_is_not_followed(
    database: Database, url: str, show: Callable
) -> None:
    refresh(database, url, NOW)
    taken = contribution("old-name", "old-name/other", 99, "2026-09-01", "2026-09-30")
    show(github_world((*RENAMED.github_users, user("old-name", 77)), (*RENAMED.github_contributions, taken)))

    refresh(database, url, TOMORROW)

    assert profile(database, "d-renamed")["github_id"] == 1
    assert repositories(database, "d-renamed") == {"new-name/tool": 30}


@pytest.mark.parametrize(
    ("developer_id", "users", "state"),
    [
        ("d-deleted", without("goes"), "deleted"),
        ("d-suspended", (*without("misbehaves"), replace(USERS[2], suspended_at=NOW)), "suspended"),
    ],
)
def test_an_account_that_went_keeps_what_was_known_with_its_true_age(
    database: Database, url: str, show: Callable, developer_id: str, users: tuple, state: str
) -> None:
    refresh(database, url, NOW)
    known, work = profile(database, developer_id), repositories(database, developer_id)
    show(github_world(users))

    done = refresh(database, url, TOMORROW)

    now = profile(database, developer_id)
    assert (now["state"], now["attempted_at"]) == (state, TOMORROW)
    assert now["fetched_at"] == known["fetched_at"] == NOW
    assert LOGINS[developer_id] in now["failure"]
    assert repositories(database, developer_id) == work != {}
    # It stops nobody else.
    assert done.states["unchanged"] == 5

    show(github_world())
    refresh(database, url, LATER)
    back = profile(database, developer_id)
    assert (back["state"], back["fetched_at"]) == ("fetched", LATER)
    assert pd.isna(back["failure"])


def test_an_account_that_shows_its_work_or_hides_it_changes_its_state(
    database: Database, url: str, show: Callable
) -> None:
    refresh(database, url, NOW)
    shown = contribution("idle", "idle/first", 12, "2026-10-20", "2026-10-25")
    show(github_world(USERS, (*WORK, shown)))

    refresh(database, url, TOMORROW)

    assert states(database)["d-empty"] == "fetched"
    assert repositories(database, "d-empty") == {"idle/first": 12}
