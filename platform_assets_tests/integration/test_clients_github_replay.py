"""The REST reader on recorded traffic of the real GitHub.

A recording holds one exchange of one account or repository; the server here hands each kind of question the recording of
that kind, so that an account's pieces come from recordings of different days.
"""

import ast
import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scripted_http import Call, Reply, serve

from platform_assets.clients.github import GithubClient
from platform_assets.clients.github_values import RestProfile
from platform_assets.clients.http_errors import PermanentError, RateLimited, ServiceError

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
RECORDINGS = Path(__file__).parents[3] / "shared" / "data" / "github_replay" / "pygithub_replay"
LINES_PER_EXCHANGE = 11


@dataclass(frozen=True)
class Exchange:
    """One recorded question and its answer."""

    path: str
    status: int
    headers: dict[str, str]
    body: bytes

    def reply(self) -> Reply:
        kept = {
            name: value for name, value in self.headers.items() if name.lower().startswith(("x-", "etag"))
        }
        return Reply(self.status, self.body, kept)


def exchanges(name: str) -> list[Exchange]:
    path = RECORDINGS / f"{name}.txt"
    if not path.exists():
        assert "CI" not in os.environ, f"{path} is missing"
        pytest.skip("no shared data")
    lines = path.read_text().splitlines()
    return [
        Exchange(
            path=lines[start + 4],
            status=int(lines[start + 7]),
            headers=dict(ast.literal_eval(lines[start + 8])),
            body=lines[start + 9].encode(),
        )
        for start in range(0, len(lines) - LINES_PER_EXCHANGE + 2, LINES_PER_EXCHANGE)
    ]


def recorded(name: str, path: str) -> Exchange:
    return next(one for one in exchanges(name) if one.path.partition("?")[0] == path)


@pytest.fixture
def account() -> Iterator[GithubClient]:
    user = recorded("AuthenticatedUser.testAttributes", "/user")
    repositories = recorded("NamedUser.testGetRepos", "/users/jacquev6/repos")
    languages = recorded("Repository.testGetLanguages", "/repos/PyGithub/PyGithub/languages")
    commits = next(
        one for one in exchanges("Repository.testGetCommitsWithSinceUntil") if "/commits" in one.path
    )

    def answer(call: Call) -> Reply:
        path = call.path.partition("?")[0]
        if path == "/users/jacquev6":
            return user.reply()
        if path.endswith("/repos"):
            return repositories.reply()
        return (languages if path.endswith("/languages") else commits).reply()

    with serve(answer) as url, GithubClient(url=url, token="t", timeout_s=10, backoff_s=0.01) as client:
        yield client


def refused(name: str, path: str, expected: type[ServiceError], *, last: bool = False) -> ServiceError:
    found = [one for one in exchanges(name) if one.path.partition("?")[0] == path]
    exchange = found[-1 if last else 0]
    with (
        serve(lambda _: exchange.reply()) as url,
        GithubClient(url=url, token="t", timeout_s=10, backoff_s=0.01) as client,
        pytest.raises(expected) as caught,
    ):
        client.read_profile_rest("jacquev6", etag=None, now=NOW)
    return caught.value


def test_recorded_accounts_repositories_and_commits_are_understood(account: GithubClient) -> None:
    answer = account.read_profile_rest("jacquev6", etag=None, now=NOW)
    assert isinstance(answer, RestProfile)
    profile = answer.profile
    assert (profile.login, profile.github_id, profile.followers_count) == ("jacquev6", 327146, 13)
    assert profile.created_at == dt.datetime(2010, 7, 9, 6, 10, 6, tzinfo=dt.UTC)
    names = [one.repository for one in profile.repositories]
    assert "jacquev6/TestPyGithub" in names
    assert names == sorted(names)
    one: Any = profile.repositories[0]
    assert one.languages == {"Shell": 673, "Python": 127266}
    assert one.commits_count > 0
    assert one.first_contributed_on <= one.last_contributed_on
    assert all("\n" not in subject for subject in one.subjects)


def test_recorded_refusals_are_classified() -> None:
    wrong = refused("SpecificExceptions.testBadCredentials", "/user", PermanentError)
    assert wrong.status == 401
    missing = refused("SpecificExceptions.testUnknownObject", "/repos/jacquev6/Xxx", PermanentError)
    assert missing.status == 404


def test_the_recorded_end_of_a_limit_is_a_rate_limit() -> None:
    name = "SpecificExceptions.testAuthenticatedRateLimitExceeded"
    refusal = next(one for one in exchanges(name) if one.status == 403)
    error = refused(name, refusal.path.partition("?")[0], RateLimited, last=True)
    assert error.retry_at is not None
