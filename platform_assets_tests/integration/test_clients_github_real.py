"""The GitHub client on what real developers did: read over HTTP, it is what was put in."""

import datetime as dt
import gzip
import itertools
import json
import os
from pathlib import Path

import pytest

from platform_assets.clients.github import GithubClient
from platform_assets.sandbox.process import ensure_sandbox, state_path, stop_sandbox
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser, World
from platform_assets.settings import Settings

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
OPENED_AT = dt.datetime(2005, 1, 1, tzinfo=dt.UTC)
ROWS_COUNT = 300
GITMATCH = Path(__file__).parents[3] / "shared" / "data" / "gitmatch" / "contributions.jsonl.gz"


def read_world() -> World:
    if not GITMATCH.exists():
        assert "CI" not in os.environ, f"{GITMATCH} is missing"
        pytest.skip("no shared data")
    with gzip.open(GITMATCH, "rt") as file:
        rows = [json.loads(line) for line in itertools.islice(file, ROWS_COUNT)]
    logins = sorted({row["developer"] for row in rows})
    names = sorted({row["repo"] for row in rows})
    return World(
        name="gitmatch",
        anchor=NOW.date(),
        marketplace={},
        github_users=tuple(
            GithubUser(login, number, None, None, None, None, 0, OPENED_AT, OPENED_AT)
            for number, login in enumerate(logins, start=1)
        ),
        github_repositories=tuple(
            GithubRepository(name, number, None, False, False, 0, (), {}, OPENED_AT, NOW)
            for number, name in enumerate(names, start=1)
        ),
        github_contributions=tuple(
            GithubContribution(
                row["developer"],
                row["repo"],
                row["commits"],
                dt.date.fromisoformat(row["first"]),
                dt.date.fromisoformat(row["last"]),
                tuple(row["subjects"]),
            )
            for row in rows
        ),
    )


def test_counts_days_and_subjects_of_real_developers_are_read_exactly(tmp_path: Path) -> None:
    world = read_world()
    with SandboxState(state_path(tmp_path)) as state:
        state.replace_world(world)
    try:
        url = ensure_sandbox(Settings(home=tmp_path)).github_url
        with GithubClient(url=url, token="ghp_real0000000000000000", timeout_s=10) as client:
            results = list(client.read_profiles([one.login for one in world.github_users], now=NOW))
    finally:
        stop_sandbox(tmp_path)
    work = {
        (result.login, one.repository): one
        for result in results
        if result.profile
        for one in result.profile.repositories
    }
    assert len(work) == len(world.github_contributions)
    for given in world.github_contributions:
        found = work[given.login, given.name_with_owner]
        assert found.commits_count == given.commits_count
        assert found.first_contributed_on == given.first_on
        assert found.last_contributed_on == given.last_on
        # Commits without a subject of their own repeat the given ones.
        assert found.subjects is not None
        assert found.subjects[: len(given.subjects)] == given.subjects[:10]
    assert client.budget.cost_points < len(results)
