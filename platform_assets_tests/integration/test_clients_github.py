"""The GitHub client over HTTP: against the sandbox's API, and through a server that misbehaves on demand."""

import datetime as dt
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_http import Call, Reply, pass_on, serve

from platform_assets.clients.github import GithubClient
from platform_assets.clients.github_values import GithubProfile, NotModified, ProfileResult, RestProfile
from platform_assets.clients.http_errors import PermanentError, RateLimited, ServiceError, TransientError
from platform_assets.sandbox.process import SandboxEndpoints, ensure_sandbox, state_path, stop_sandbox
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser, World
from platform_assets.settings import Settings

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
OPENED_AT = dt.datetime(2012, 5, 6, tzinfo=dt.UTC)

_tokens = (f"ghp_test{number:020d}" for number in itertools.count())


def user(login: str, number: int) -> GithubUser:
    return GithubUser(login, number, f"Name of {login}", "Bio", None, "Lisbon", 4, OPENED_AT, OPENED_AT)


def repository(name: str, number: int) -> GithubRepository:
    languages = {"Python": 900, "C": 50}
    return GithubRepository(
        name, number, f"About {name}", number % 5 == 0, False, 3, ("web", "api"), languages, OPENED_AT, NOW
    )


def contribution(login: str, name: str, count: int, first: str, last: str) -> GithubContribution:
    subjects = tuple(f"{name}: change {number}" for number in range(min(count, 10)))
    return GithubContribution(
        login, name, count, dt.date.fromisoformat(first), dt.date.fromisoformat(last), subjects
    )


BUSY_REPOSITORIES = [f"busy/repo-{number:03d}" for number in range(130)]
CROWD = [f"dev-{number:02d}" for number in range(60)]


def make_world() -> World:
    names = ["octo/hello", "org/shared", *BUSY_REPOSITORIES]
    return World(
        name="clients",
        anchor=NOW.date(),
        marketplace={},
        github_users=tuple(
            user(login, number) for number, login in enumerate(["octo", "busy", "idle", *CROWD], start=1)
        ),
        github_repositories=tuple(repository(name, number) for number, name in enumerate(names, start=1)),
        github_contributions=(
            contribution("octo", "octo/hello", 400, "2016-02-29", "2026-11-20"),
            contribution("octo", "org/shared", 3, "2019-12-30", "2020-01-02"),
            *(
                contribution("busy", name, 2, f"2024-0{1 + number % 6}-01", f"2024-12-0{1 + number % 9}")
                for number, name in enumerate(BUSY_REPOSITORIES)
            ),
            *(contribution(login, "org/shared", 5, "2022-03-01", "2025-03-01") for login in CROWD),
        ),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("github")
    with SandboxState(state_path(path)) as state:
        state.replace_world(make_world())
    yield path
    stop_sandbox(path)


@pytest.fixture
def sandbox(home: Path) -> SandboxEndpoints:
    return ensure_sandbox(Settings(home=home))


@pytest.fixture
def connect() -> Iterator[Callable[..., GithubClient]]:
    """Makes clients with a token, and so a budget, of their own; they are closed after the test."""
    clients = []

    def make(url: str, **options: Any) -> GithubClient:
        client = GithubClient(
            url=url, **{"token": next(_tokens), "timeout_s": 10, "backoff_s": 0.01, **options}
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


Connect = Callable[..., GithubClient]


def read(client: GithubClient, *logins: str) -> dict[str, ProfileResult]:
    return {result.login: result for result in client.read_profiles(logins, now=NOW)}


def profile_of(result: ProfileResult) -> GithubProfile:
    assert result.profile is not None, result.failure
    return result.profile


def test_an_account_is_read_with_all_its_years_exactly(sandbox: SandboxEndpoints, connect: Connect) -> None:
    profile = profile_of(read(connect(sandbox.github_url), "OCTO")["OCTO"])
    assert (profile.login, profile.github_id, profile.location) == ("octo", 1, "Lisbon")
    assert (profile.followers_count, profile.created_at) == (4, OPENED_AT)
    hello, shared = profile.repositories
    assert (hello.repository, hello.commits_count) == ("octo/hello", 400)
    assert (hello.first_contributed_on, hello.last_contributed_on) == (
        dt.date(2016, 2, 29),
        dt.date(2026, 11, 20),
    )
    assert 0 < hello.commits_last_year_count < 60
    assert (hello.description, hello.topics) == ("About octo/hello", ("web", "api"))
    assert hello.languages == {"Python": 900, "C": 50}
    assert hello.subjects == tuple(f"octo/hello: change {number}" for number in range(10))
    assert (shared.commits_count, shared.commits_last_year_count) == (3, 0)
    assert (shared.first_contributed_on, shared.last_contributed_on) == (
        dt.date(2019, 12, 30),
        dt.date(2020, 1, 2),
    )


def test_a_year_with_more_repositories_than_github_lists_at_once_is_read_whole(
    sandbox: SandboxEndpoints, connect: Connect
) -> None:
    profile = profile_of(read(connect(sandbox.github_url), "busy")["busy"])
    assert [one.repository for one in profile.repositories] == BUSY_REPOSITORIES
    assert {one.commits_count for one in profile.repositories} == {2}
    assert sum(one.subjects is not None for one in profile.repositories) == 10


def test_states_tell_no_account_from_no_work(sandbox: SandboxEndpoints, connect: Connect) -> None:
    results = read(connect(sandbox.github_url), "idle", "nobody-here", "not a login", "")
    assert profile_of(results["idle"]).repositories == ()
    assert [results[login].state for login in ("nobody-here", "not a login", "")] == ["not_found"] * 3


def test_what_can_be_no_login_costs_no_call(connect: Connect) -> None:
    client = connect("http://127.0.0.1:1")
    assert {result.state for result in read(client, "a b", "x" * 40).values()} == {"not_found"}
    assert client.budget.calls_count == 0


def test_each_account_is_read_once_however_often_it_is_asked_for(
    sandbox: SandboxEndpoints, connect: Connect
) -> None:
    results = list(connect(sandbox.github_url).read_profiles(["idle", "IDLE", "idle"], now=NOW))
    assert [result.login for result in results] == ["idle"]


def test_nothing_asked_is_nothing_read(connect: Connect) -> None:
    assert list(connect("http://127.0.0.1:1").read_profiles([], now=NOW)) == []


def test_the_budget_tells_what_was_spent_and_what_is_left(
    sandbox: SandboxEndpoints, connect: Connect
) -> None:
    client = connect(sandbox.github_url)
    assert client.budget.remaining is None
    read(client, *CROWD)
    budget = client.budget
    assert 0 < budget.cost_points <= budget.calls_count < 60
    assert (budget.limit, budget.remaining) == (5000, 5000 - budget.cost_points)
    assert budget.reset_at is not None


def test_a_spent_limit_says_when_to_go_on(home: Path, connect: Connect) -> None:
    limited = ensure_sandbox(Settings(home=home, sandbox_github_limit=6))
    with pytest.raises(RateLimited) as caught:
        read(connect(limited.github_url), *CROWD)
    assert caught.value.retry_at is not None
    assert caught.value.wait_s(dt.datetime.now(dt.UTC)) > 600


def test_yielded_results_stay_when_the_limit_is_met_later(
    sandbox: SandboxEndpoints, connect: Connect
) -> None:
    seen: list[ProfileResult] = []

    def answer(call: Call) -> Reply:
        # Everything about the last account is refused.
        if "octo" in call.json()["variables"].values():
            deadline = time.monotonic() + 20
            while len(seen) < 50 and time.monotonic() < deadline:
                time.sleep(0.02)
            return Reply(
                body={
                    "data": None,
                    "errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}],
                }
            )
        return pass_on(call, sandbox.github_url)

    with serve(answer) as url, pytest.raises(RateLimited):
        for result in connect(url).read_profiles([*CROWD[:50], "octo"], now=NOW):
            seen.append(result)  # noqa: PERF402  (one by one, for the server to see)
    assert sorted(result.login for result in seen) == CROWD[:50]


def test_random_server_errors_are_outlived(home: Path, connect: Connect) -> None:
    faulty = ensure_sandbox(Settings(home=home, sandbox_error_rate=0.2))
    results = read(connect(faulty.github_url), *CROWD)
    assert {result.state for result in results.values()} == {"fetched"}


def test_one_account_that_breaks_github_fails_alone(sandbox: SandboxEndpoints, connect: Connect) -> None:
    def answer(call: Call) -> Reply:
        if "octo" in call.json()["variables"].values():
            return Reply(502, b"<html>Bad gateway</html>")
        return pass_on(call, sandbox.github_url)

    with serve(answer) as url:
        results = read(connect(url), "octo", *CROWD)
    assert {login for login, result in results.items() if result.state != "fetched"} == {"octo"}
    assert results["octo"].state == "failed"
    assert "HTTP 502" in str(results["octo"].failure)


def test_a_partial_error_fails_its_account_alone(sandbox: SandboxEndpoints, connect: Connect) -> None:
    def answer(call: Call) -> Reply:
        reply = pass_on(call, sandbox.github_url)
        body, variables = json.loads(reply.body), call.json()["variables"]
        for name, value in variables.items():
            if name.startswith("login_") and value == "octo":
                alias = name.replace("login_", "p")
                body["data"][alias] = None
                body["errors"] = [{"type": "FORBIDDEN", "path": [alias], "message": "Resource protected"}]
        return Reply(reply.status, body, reply.headers)

    with serve(answer) as url:
        results = read(connect(url), "octo", *CROWD[:5])
    assert (results["octo"].state, results["octo"].profile) == ("failed", None)
    assert {results[login].state for login in CROWD[:5]} == {"fetched"}


def test_a_window_that_is_too_much_for_github_is_read_in_parts(
    sandbox: SandboxEndpoints, connect: Connect
) -> None:
    def days(variables: dict[str, Any], position: int) -> int:
        first, last = (dt.datetime.fromisoformat(variables[f"{end}_{position}"]) for end in ("from", "to"))
        return (last - first).days

    def answer(call: Call) -> Reply:
        variables = call.json()["variables"]
        windows = [name for name in variables if name.startswith("from_")]
        if any(days(variables, int(name.removeprefix("from_"))) > 100 for name in windows):
            error = {
                "type": "RESOURCE_LIMITS_EXCEEDED",
                "message": "Resource limits for this query exceeded.",
            }
            return Reply(body={"data": None, "errors": [error]})
        return pass_on(call, sandbox.github_url)

    whole = read(connect(sandbox.github_url), "octo")["octo"]
    with serve(answer) as url:
        parts = read(connect(url), "octo")["octo"]
    assert parts == whole


def test_subjects_that_cannot_be_read_cost_no_profile(sandbox: SandboxEndpoints, connect: Connect) -> None:
    def answer(call: Call) -> Reply:
        if "history(" in call.json()["query"]:
            return Reply(body={"data": None, "errors": [{"message": "Something went wrong"}]})
        return pass_on(call, sandbox.github_url)

    with serve(answer) as url:
        profile = profile_of(read(connect(url), "octo")["octo"])
    assert [one.subjects for one in profile.repositories] == [None, None]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, b"", {"retry-after": "1"}),
        Reply(200, b'{"data": {"ra', cut=True),
        Reply(200, b'{"data": {"ra'),
        Reply(200, b""),
        Reply(200, {"data": None}),
    ],
    ids=["unavailable", "cut off", "broken JSON", "empty", "no data"],
)
def test_a_passing_fault_is_repeated(sandbox: SandboxEndpoints, connect: Connect, reply: Reply) -> None:
    faults = iter([reply])

    def answer(call: Call) -> Reply:
        return next(faults, None) or pass_on(call, sandbox.github_url)

    began = time.monotonic()
    with serve(answer) as url:
        assert read(connect(url), "idle")["idle"].state == "fetched"
    if "retry-after" in reply.headers:
        assert time.monotonic() - began >= 0.9


@pytest.mark.parametrize("reply", [Reply(401, {"message": "Bad credentials"}), Reply(403, {"message": "No"})])
def test_a_refused_token_stops_the_reading_at_once_and_is_not_shown(connect: Connect, reply: Reply) -> None:
    calls = []

    def answer(call: Call) -> Reply:
        calls.append(call)
        return reply

    with serve(answer) as url, pytest.raises(PermanentError) as caught:
        read(connect(url, token="ghp_verysecret1234567890"), *CROWD)
    assert "verysecret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert len(calls) <= 4


def test_a_server_that_is_down_stops_the_reading_soon(connect: Connect) -> None:
    began = time.monotonic()
    with pytest.raises(TransientError, match="ConnectionError"):
        read(connect("http://127.0.0.1:1"), *CROWD)
    assert time.monotonic() - began < 5


def test_a_service_that_names_a_long_wait_is_not_asked_again(connect: Connect) -> None:
    calls = []

    def answer(call: Call) -> Reply:
        calls.append(call)
        return Reply(503, b"", {"retry-after": "300"})

    with serve(answer) as url, pytest.raises(TransientError) as caught:
        read(connect(url), *CROWD)
    assert 290 < caught.value.wait_s(dt.datetime.now(dt.UTC)) <= 300
    assert len(calls) <= 4


def test_a_server_that_never_answers_is_given_up(connect: Connect) -> None:
    def answer(_: Call) -> Reply:
        time.sleep(0.5)
        return Reply()

    with serve(answer) as url, pytest.raises(TransientError, match="Timeout"):
        read(connect(url, timeout_s=0.05), *CROWD)


def test_a_wrong_address_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="http"):
        GithubClient(url="api.github.com", token="x", timeout_s=1)


def test_rest_reads_the_same_work_in_own_repositories(sandbox: SandboxEndpoints, connect: Connect) -> None:
    client = connect(sandbox.github_url)
    answer = client.read_profile_rest("octo", etag=None, now=NOW)
    assert isinstance(answer, RestProfile)
    by_graphql = profile_of(read(client, "octo")["octo"])
    own = tuple(one for one in by_graphql.repositories if one.repository.startswith("octo/"))
    assert answer.profile.repositories == own
    assert (answer.profile.login, answer.profile.created_at) == (by_graphql.login, by_graphql.created_at)


def test_an_unchanged_account_costs_nothing_by_rest(sandbox: SandboxEndpoints, connect: Connect) -> None:
    client = connect(sandbox.github_url)
    first = client.read_profile_rest("octo", etag=None, now=NOW)
    before = client.budget.remaining
    again = client.read_profile_rest("octo", etag=first.etag, now=NOW)
    assert again == NotModified(first.etag)
    assert client.budget.remaining == before
    assert isinstance(client.read_profile_rest("octo", etag='"old" "older"', now=NOW), RestProfile)


def test_rest_says_that_there_is_no_such_account(sandbox: SandboxEndpoints, connect: Connect) -> None:
    with pytest.raises(ServiceError) as caught:
        connect(sandbox.github_url).read_profile_rest("nobody-here", etag=None, now=NOW)
    assert caught.value.status == 404
