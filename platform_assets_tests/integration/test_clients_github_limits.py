"""GitHub's limits over HTTP: several processes with the same tokens, one of several tokens, and answers that are none."""

import datetime as dt
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sandbox_server import contribution, repository, running_sandbox, user, world
from scripted_http import Call, Reply, pass_on, serve

from platform_assets.clients.database import Database
from platform_assets.clients.github import GithubClient
from platform_assets.clients.github_accounts import KEPT_REPOSITORIES_COUNT
from platform_assets.clients.github_ledger import PostgresLedger
from platform_assets.clients.github_values import ProfileResult
from platform_assets.clients.http_errors import BudgetSpentError, PermanentError, RateLimited, ServiceError

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
LIMIT_POINTS = 12
CROWD = [f"dev-{number:03d}" for number in range(200)]
MANY, BUSIER_COUNT = 2_500, 900
FIRST_DAY = dt.date(2020, 1, 1)

SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
}

_tokens = (f"token{number}" for number in itertools.count())


def make_world() -> Any:
    days = [(FIRST_DAY + dt.timedelta(days=number % 2_000)).isoformat() for number in range(MANY)]
    many = [
        contribution("prolific", f"prolific/r{number}", 1 + (number < BUSIER_COUNT), day, day)
        for number, day in enumerate(days)
    ]
    crowd = [contribution(login, "org/shared", 5, "2022-03-01", "2025-03-01") for login in CROWD]
    names = dict.fromkeys(one.name_with_owner for one in (*many, *crowd))
    return world(
        github_users=tuple(user(login, number) for number, login in enumerate(["prolific", *CROWD], start=1)),
        github_repositories=tuple(repository(name, number) for number, name in enumerate(names, start=1)),
        github_contributions=(*many, *crowd),
        stripe_objects=(),
    )


@pytest.fixture(scope="module")
def github_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_sandbox(tmp_path_factory.mktemp("limits"), loaded=make_world()) as endpoints:
        yield endpoints.github_url


@pytest.fixture(scope="module")
def small_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A GitHub that gives a token few points an hour."""
    home = tmp_path_factory.mktemp("small")
    with running_sandbox(home, loaded=make_world(), sandbox_github_limit=LIMIT_POINTS) as endpoints:
        yield endpoints.github_url


class Watched:
    """What passes on its way to GitHub: calls by token, and those that GitHub refused for a limit."""

    def __init__(self, root: str, answer: Callable[[Call, int], Reply | None] = lambda *_: None) -> None:
        self._root, self._answer, self._lock = root, answer, threading.Lock()
        self.calls, self.refused = Counter[str](), Counter[str]()

    @property
    def calls_count(self) -> int:
        return self.calls.total()

    def __call__(self, call: Call) -> Reply:
        token = call.headers["Authorization"].split()[-1]
        with self._lock:
            self.calls[token] += 1
            number = self.calls[token]
        reply = self._answer(call, number)
        if reply is None:
            time.sleep(0.01)
            reply = pass_on(call, self._root)
        if reply.status in (403, 429) or b"RATE_LIMIT" in reply.content():
            with self._lock:
                self.refused[token] += 1
        return reply


@contextmanager
def processes(
    count: int, url: str, token: str, database_url: str
) -> Iterator[list[tuple[GithubClient, Database]]]:
    """Clients that have nothing in common but the token and the books, as in processes of their own."""
    databases = [Database(database_url) for _ in range(count)]
    clients = [
        GithubClient(
            url=url, token=token, timeout_s=10, backoff_s=0.01, ledger=PostgresLedger(each), keep_ratio=0.0
        )
        for each in databases
    ]
    try:
        yield list(zip(clients, databases))
    finally:
        for client, database in zip(clients, databases):
            client.close()
            database.close()


def outcome(client: GithubClient, logins: Sequence[str]) -> tuple[list[ProfileResult], ServiceError | None]:
    results = []
    try:
        for result in client.read_profiles(logins, now=NOW):
            results.append(result)  # noqa: PERF402  (what came before the error counts)
    except ServiceError as error:
        return results, error
    return results, None


def read_at_once(
    clients: Sequence[tuple[GithubClient, Database]], logins: Sequence[str]
) -> list[tuple[list[ProfileResult], ServiceError | None]]:
    """Each client reads all logins, all of them at the same time, four calls of each in flight."""
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(lambda each: outcome(each[0], logins), clients))


def test_processes_that_share_a_token_spend_what_there_is_and_never_more(
    small_url: str, database_url: str
) -> None:
    watched, token = Watched(small_url), next(_tokens)
    with serve(watched) as url, processes(3, url, token, database_url) as clients:
        clients[0][0].read_budget()
        outcomes = read_at_once(clients, CROWD)
        left = clients[0][0].read_budget().remaining

    # GitHub had no reason to refuse a call: who may not call knows it beforehand.
    assert watched.refused.total() == 0
    assert {type(error) for _, error in outcomes} == {BudgetSpentError}
    spent = sum(client.budget.cost_points for client, _ in clients)
    assert (spent, left) == (LIMIT_POINTS, 0)


def test_nobody_calls_while_a_token_is_blocked(github_url: str, database_url: str) -> None:
    def answer(_: Call, number: int) -> Reply | None:
        return Reply(403, SECONDARY, {"retry-after": "120"}) if number > 3 else None

    watched, token = Watched(github_url, answer), next(_tokens)
    began = dt.datetime.now(dt.UTC)
    with serve(watched) as url, processes(3, url, token, database_url) as clients:
        outcomes = read_at_once(clients[:2], CROWD)
        calls_count = watched.calls_count
        late = outcome(clients[2][0], CROWD)[1]
        with pytest.raises(RateLimited):
            clients[2][0].read_profile_rest("dev-001", etag=None, now=NOW)
        with pytest.raises(RateLimited):
            clients[2][0].read_budget()

    errors = [error for _, error in outcomes] + [late]
    assert all(isinstance(error, RateLimited) for error in errors)
    # Whatever was in flight when the refusal came: four calls of either process.
    assert calls_count <= 3 + 8
    assert watched.calls_count == calls_count
    assert all(110 < error.wait_s(began) < 140 for error in errors if error)


def exhausted() -> Reply:
    headers = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(time.time()) + 900),
    }
    return Reply(403, {"message": "API rate limit exceeded for user ID 1."}, headers)


@pytest.mark.parametrize(
    ("refuse", "least_s", "most_s"),
    [
        (lambda: Reply(429, SECONDARY, {"retry-after": "90"}), 89, 95),
        (lambda: Reply(429, SECONDARY), 60, 80),
        (lambda: Reply(403, SECONDARY), 60, 80),
        (exhausted, 895, 905),
    ],
    ids=["429 with a wait", "429 without", "403 without", "403 with a reset"],
)
def test_a_limit_is_waited_out_as_github_says_or_for_a_minute(
    github_url: str, database_url: str, refuse: Callable[[], Reply], least_s: float, most_s: float
) -> None:
    reply = refuse()
    watched = Watched(github_url, lambda *_: reply)
    with serve(watched) as url, processes(1, url, next(_tokens), database_url) as [(client, _)]:
        began = dt.datetime.now(dt.UTC)
        error = outcome(client, CROWD[:1])[1]
        again = outcome(client, CROWD[:1])[1]
    assert isinstance(error, RateLimited)
    assert isinstance(again, RateLimited)
    assert least_s <= error.wait_s(began) <= most_s
    assert watched.calls_count == 1


def test_several_tokens_share_the_work_and_each_keeps_its_limit(small_url: str, database_url: str) -> None:
    watched, tokens = Watched(small_url), [next(_tokens), next(_tokens)]
    with serve(watched) as url, processes(2, url, ",".join(tokens), database_url) as clients:
        budget = clients[0][0].read_budget()
        outcomes = read_at_once(clients, CROWD)
        left = clients[0][0].read_budget().remaining

    assert budget.limit == 2 * LIMIT_POINTS
    assert watched.refused.total() == 0
    assert {type(error) for _, error in outcomes} == {BudgetSpentError}
    assert min(watched.calls[token] for token in tokens) >= LIMIT_POINTS
    assert left == 0


def test_when_one_token_is_blocked_the_other_goes_on(github_url: str, database_url: str) -> None:
    blocked, good = next(_tokens), next(_tokens)

    def answer(call: Call, _: int) -> Reply | None:
        is_blocked = call.headers["Authorization"].endswith(blocked)
        return Reply(403, SECONDARY, {"retry-after": "300"}) if is_blocked else None

    watched = Watched(github_url, answer)
    with serve(watched) as url, processes(1, url, f"{blocked},{good}", database_url) as [(client, _)]:
        results, error = outcome(client, CROWD)
        # A refresh asks first what is left: that of the token which answers.
        budget = client.read_budget()

    assert error is None
    assert {result.state for result in results} == {"fetched"}
    assert watched.refused[blocked] <= 4
    assert budget.limit == 5_000


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_call_that_github_does_not_accept_stops_the_reading_and_is_not_repeated(
    github_url: str, database_url: str, status: int
) -> None:
    watched = Watched(github_url, lambda *_: Reply(status, {"message": "Not so"}))
    with serve(watched) as url, processes(1, url, next(_tokens), database_url) as [(client, _)]:
        results, error = outcome(client, CROWD[:1])
    assert isinstance(error, PermanentError)
    assert (results, error.status, watched.calls_count) == ([], status, 1)


def test_a_field_that_github_no_longer_has_is_said_and_hides_as_no_empty_account(
    github_url: str, database_url: str
) -> None:
    error = {
        "path": ["fragment Account", "databaseId"],
        "extensions": {"code": "undefinedField", "typeName": "User", "fieldName": "databaseId"},
        "message": "Field 'databaseId' doesn't exist on type 'User'",
    }
    watched = Watched(github_url, lambda *_: Reply(200, {"errors": [error]}))
    with serve(watched) as url, processes(1, url, next(_tokens), database_url) as [(client, _)]:
        results, failure = outcome(client, CROWD[:30])
    assert isinstance(failure, PermanentError)
    assert "databaseId" in str(failure)
    assert results == []


def test_an_account_whose_answer_lacks_a_field_fails_alone(github_url: str, database_url: str) -> None:
    def answer(call: Call, _: int) -> Reply | None:
        variables = call.json()["variables"]
        reply = pass_on(call, github_url)
        body = json.loads(reply.body)
        for name, value in variables.items():
            if value == CROWD[0] and body["data"].get(f"p{name.removeprefix('login_')}"):
                body["data"][f"p{name.removeprefix('login_')}"].pop("databaseId", None)
        return Reply(reply.status, body, reply.headers)

    with (
        serve(Watched(github_url, answer)) as url,
        processes(1, url, next(_tokens), database_url) as [(client, _)],
    ):
        results, error = outcome(client, CROWD[:5])
    by_login = {result.login: result for result in results}
    assert error is None
    assert by_login[CROWD[0]].state == "failed"
    assert "databaseId" in str(by_login[CROWD[0]].failure)
    assert {by_login[login].state for login in CROWD[1:5]} == {"fetched"}


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        5,
        {"data": []},
        {"data": {"p0": []}},
        {"data": {"p0": {}}},
        {"data": {"rateLimit": 5}},
        {"errors": 5},
        {"errors": [5]},
        {"errors": [{}]},
        {"errors": [{"path": 5}]},
    ],
    ids=json.dumps,
)
def test_an_answer_of_any_other_shape_is_an_error_of_github_and_no_account(
    github_url: str, database_url: str, body: Any
) -> None:
    watched = Watched(github_url, lambda *_: Reply(200, body))
    with serve(watched) as url, processes(1, url, next(_tokens), database_url) as [(client, _)]:
        results, error = outcome(client, CROWD[:1])
    assert error is not None or [result.state for result in results] == ["failed"]


def test_an_account_of_thousands_of_repositories_keeps_those_with_the_most_work(
    github_url: str, database_url: str
) -> None:
    with processes(1, github_url, next(_tokens), database_url) as [(client, _)]:
        results, error = outcome(client, ["prolific", "dev-001"])
        points = client.budget.cost_points
    assert error is None
    profiles = {result.login: result.profile for result in results}
    prolific = profiles["prolific"]
    assert prolific is not None
    assert len(prolific.repositories) == KEPT_REPOSITORIES_COUNT
    kept = {one.repository for one in prolific.repositories}
    assert {f"prolific/r{number}" for number in range(BUSIER_COUNT)} <= kept
    assert profiles["dev-001"] is not None
    assert points < 200
