import datetime as dt
import json
import os
import re
from pathlib import Path

import pytest
from github import BadCredentialsException, RateLimitExceededException, UnknownObjectException
from sandbox_server import (
    CONTRIBUTIONS,
    call,
    change_behaviour,
    github_client,
    request_counts,
    running_sandbox,
)

TOKEN = {"Authorization": "Bearer sandbox-token"}
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "github_replay" / "pygithub_replay"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_sandbox(tmp_path_factory.mktemp("a home")) as endpoints:
        yield endpoints


@pytest.fixture
def github(sandbox):
    change_behaviour(sandbox, github_limit=5_000)
    with github_client(sandbox) as client:
        yield client


def graphql(client, query, **variables):
    _, data = client.requester.graphql_query(query, variables)
    return data["data"]


def ask(sandbox, query, **variables):
    """A GraphQL answer as it comes, with its errors."""
    return call(sandbox, "POST", "/github/graphql", {"query": query, "variables": variables}, TOKEN)


# REST


def test_a_user_is_found_by_login_in_any_case(github):
    user = github.get_user("First-Dev")

    assert (user.login, user.id, user.public_repos, user.followers) == ("first-dev", 11, 3, 11)
    assert user.created_at == dt.datetime(2015, 3, 1, tzinfo=dt.UTC)


def test_repositories_come_page_by_page_in_the_order_asked_for(sandbox, github):
    with github_client(sandbox, per_page=1) as client:
        names = [each.name for each in client.get_user("first-dev").get_repos(sort="pushed")]

    assert names == ["fork", "notes", "parser"]
    assert [each.name for each in github.get_user("first-dev").get_repos()] == ["fork", "notes", "parser"]
    assert github.get_user("idle-dev").get_repos().totalCount == 0


def test_a_repository_tells_its_languages_topics_and_contributors(github):
    repository = github.get_repo("first-dev/parser")

    # PyGithub adds the address it asked to any object.
    assert repository.get_languages().items() >= {"Python": 9_000, "C": 900, "Shell": 100}.items()
    assert repository.language == "Python"
    assert repository.get_topics() == repository.topics == ["parsing", "cli"]
    engine = github.get_repo("an-org/engine")
    assert engine.owner.type == "Organization"
    assert [(each.login, each.contributions) for each in engine.get_contributors()] == [
        ("first-dev", 40),
        ("second-dev", 7),
    ]


def test_commits_are_filtered_by_author_and_time(github):
    engine = github.get_repo("an-org/engine")

    assert engine.get_commits().totalCount == 47
    assert engine.get_commits(author="second-dev").totalCount == 7
    in_june = list(
        engine.get_commits(
            author="second-dev",
            since=dt.datetime(2025, 6, 2, tzinfo=dt.UTC),
            until=dt.datetime(2025, 6, 30, tzinfo=dt.UTC),
        )
    )
    assert {each.author.login for each in in_june} == {"second-dev"}
    assert all(each.commit.author.date.date() >= dt.date(2025, 6, 2) for each in in_june)
    assert in_june[0].commit.message == "Newest"


def test_following_a_listed_repository_leads_back_to_the_server(github):
    listed = github.get_user("first-dev").get_repos()[0]

    assert listed.get_commits().totalCount == 0


def test_what_does_not_exist_is_a_404(github):
    with pytest.raises(UnknownObjectException):
        github.get_user("nobody")
    with pytest.raises(UnknownObjectException):
        github.get_repo("first-dev/nothing")
    with pytest.raises(UnknownObjectException):
        github.get_organization("an-org")


def test_an_unchanged_answer_is_a_304_and_costs_nothing(sandbox, github):
    _, first, _ = call(sandbox, "GET", "/github/users/first-dev", headers=TOKEN)
    status, second, body = call(
        sandbox, "GET", "/github/users/first-dev", headers={**TOKEN, "If-None-Match": first["etag"]}
    )

    assert (status, body) == (304, "")
    assert second["etag"] == first["etag"]
    assert second["x-ratelimit-remaining"] == first["x-ratelimit-remaining"]
    status, _, _ = call(
        sandbox, "GET", "/github/users/second-dev", headers={**TOKEN, "If-None-Match": first["etag"]}
    )
    assert status == 200


def test_calls_need_a_token_that_was_not_revoked(sandbox):
    assert call(sandbox, "GET", "/github/users/first-dev")[0] == 401
    assert call(sandbox, "POST", "/github/graphql", {"query": "{ rateLimit { cost } }"})[0] == 401
    with github_client(sandbox, token="revoked-token") as client, pytest.raises(BadCredentialsException):
        client.get_user("first-dev")


def test_the_limits_of_rest_and_graphql_are_counted_apart(sandbox, github):
    with github_client(sandbox, token="sandbox-counted") as client:
        client.get_user("first-dev")
        graphql(client, '{ user(login: "first-dev") { name } }')
        graphql(client, '{ user(login: "first-dev") { name } }')
        overview = client.get_rate_limit()

    assert (overview.resources.core.used, overview.resources.graphql.used) == (1, 2)
    assert overview.resources.core.limit == 5_000
    assert overview.resources.core.reset > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=58)


def test_an_exhausted_limit_is_a_403_that_says_when_it_ends(sandbox, github):
    change_behaviour(sandbox, github_limit=1)
    with github_client(sandbox, token="sandbox-exhausted") as client:
        client.get_user("first-dev")
        with pytest.raises(RateLimitExceededException) as error:
            client.get_user("first-dev")

    assert error.value.headers["x-ratelimit-remaining"] == "0"
    assert error.value.headers["x-ratelimit-resource"] == "core"
    assert int(error.value.headers["x-ratelimit-reset"]) > 0


def test_an_exhausted_graphql_limit_is_an_error_in_a_200(sandbox, github):
    change_behaviour(sandbox, github_limit=0)
    status, headers, body = ask(sandbox, '{ user(login: "first-dev") { name } }')

    assert status == 200
    assert body["errors"][0]["type"] == "RATE_LIMITED"
    assert "data" not in body
    assert headers["x-ratelimit-remaining"] == "0"


def test_a_burst_meets_a_secondary_limit_that_names_its_wait(sandbox):
    change_behaviour(sandbox, github_limit=5_000)
    headers = {"Authorization": "Bearer hasty"}
    answers = (call(sandbox, "GET", "/github/rate_limit", headers=headers) for _ in range(901))
    status, refused, body = next(answer for answer in answers if answer[0] != 200)

    assert status == 403
    assert refused["retry-after"] == "60"
    assert int(refused["x-ratelimit-remaining"]) > 0
    assert "secondary rate limit" in body["message"]


def test_calls_are_counted_by_route(sandbox, github):
    before = request_counts(sandbox, "github")["by_route"].get("GET /users/{login}", 0)
    github.get_user("first-dev")

    assert request_counts(sandbox, "github")["by_route"]["GET /users/{login}"] == before + 1


# GraphQL

PROFILES = """
query($from: DateTime!, $to: DateTime!, $a: String!, $b: String!, $c: String!) {
  rateLimit { cost limit remaining used nodeCount resetAt }
  a: user(login: $a) { ...Profile }
  b: user(login: $b) { ...Profile }
  c: user(login: $c) { ...Profile }
}
fragment Profile on User {
  id databaseId login name bio company location createdAt updatedAt
  followers { totalCount }
  contributionsCollection(from: $from, to: $to) {
    contributionYears
    totalCommitContributions
    commitContributionsByRepository(maxRepositories: 100) {
      repository {
        nameWithOwner description isFork isArchived stargazerCount pushedAt createdAt
        primaryLanguage { name }
        languages(first: 2, orderBy: {field: SIZE, direction: DESC}) {
          totalSize totalCount edges { size node { name } } pageInfo { hasNextPage endCursor } }
        repositoryTopics(first: 10) { nodes { topic { name } } }
      }
      contributions(first: 100) { totalCount nodes { occurredAt commitCount } }
    }
  }
}
"""


def test_several_users_in_one_query_and_one_that_does_not_exist(sandbox, github):
    status, headers, body = ask(
        sandbox,
        PROFILES,
        **{"from": "2025-01-01T00:00:00Z", "to": "2025-12-31T23:59:59Z"},
        a="first-dev",
        b="nobody",
        c="second-dev",
    )

    assert status == 200
    assert headers["x-ratelimit-resource"] == "graphql"
    assert body["data"]["b"] is None
    (error,) = body["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["b"])
    assert error["message"] == "Could not resolve to a User with the login of 'nobody'."
    engine = body["data"]["a"]["contributionsCollection"]["commitContributionsByRepository"][0]
    assert engine["repository"]["nameWithOwner"] == "an-org/engine"
    assert engine["repository"]["primaryLanguage"] == {"name": "Python"}
    assert engine["repository"]["languages"]["totalSize"] == 10_000
    assert engine["repository"]["languages"]["pageInfo"]["hasNextPage"]
    assert [each["node"]["name"] for each in engine["repository"]["languages"]["edges"]] == ["Python", "C"]
    assert engine["contributions"]["totalCount"] == 40
    assert sum(each["commitCount"] for each in engine["contributions"]["nodes"]) == 40
    assert body["data"]["c"]["contributionsCollection"]["totalCommitContributions"] == 7


def test_the_windows_of_all_years_add_up_to_the_commits_that_there_are(github):
    login = "first-dev"
    years = graphql(
        github,
        "query($login: String!) { user(login: $login) { contributionsCollection { contributionYears } } }",
        login=login,
    )["user"]["contributionsCollection"]["contributionYears"]
    query = """query($login: String!, $from: DateTime!, $to: DateTime!) { user(login: $login) {
        contributionsCollection(from: $from, to: $to) { commitContributionsByRepository {
          repository { nameWithOwner } contributions { totalCount } } } } }"""
    totals = {}
    for year in years:
        window = {"from": f"{year}-01-01T00:00:00Z", "to": f"{year}-12-31T23:59:59Z"}
        collection = graphql(github, query, login=login, **window)["user"]["contributionsCollection"]
        for part in collection["commitContributionsByRepository"]:
            name = part["repository"]["nameWithOwner"]
            totals[name] = totals.get(name, 0) + part["contributions"]["totalCount"]

    assert years == [2026, 2025, 2024, 2023, 2022]
    assert totals == {
        each.name_with_owner: each.commits_count for each in CONTRIBUTIONS if each.login == login
    }


def test_a_window_of_more_than_a_year_is_refused(sandbox, github):
    _, _, body = ask(
        sandbox,
        '{ user(login: "first-dev") { contributionsCollection(from: "2024-01-01T00:00:00Z", '
        'to: "2025-01-02T00:00:00Z") { totalCommitContributions } } }',
    )

    assert body["data"]["user"] is None
    assert "must not exceed 1 year" in body["errors"][0]["message"]
    assert body["errors"][0]["path"] == ["user", "contributionsCollection"]


def test_cursors_lead_through_a_connection_once(github):
    query = """query($after: String) { user(login: "first-dev") {
        repositories(first: 2, after: $after, orderBy: {field: NAME, direction: ASC}) {
          totalCount nodes { name } edges { cursor } pageInfo { hasNextPage endCursor } } } }"""
    first = graphql(github, query)["user"]["repositories"]
    second = graphql(github, query, after=first["pageInfo"]["endCursor"])["user"]["repositories"]

    assert [each["name"] for each in first["nodes"] + second["nodes"]] == ["fork", "notes", "parser"]
    assert first["edges"][-1]["cursor"] == first["pageInfo"]["endCursor"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


def test_repositories_are_filtered_and_counted(github):
    data = graphql(
        github,
        """{ user(login: "first-dev") {
          forks: repositories(isFork: true) { totalCount }
          own: repositories(ownerAffiliations: OWNER, isFork: false, privacy: PUBLIC) { totalCount }
          private: repositories(privacy: PRIVATE) { totalCount }
          to: repositoriesContributedTo(first: 10) { nodes { nameWithOwner } } } }""",
    )["user"]

    assert [data[name]["totalCount"] for name in ("forks", "own", "private")] == [1, 2, 0]
    assert [each["nameWithOwner"] for each in data["to"]["nodes"]] == ["an-org/engine"]


def test_a_branchs_history_is_filtered_by_author(github):
    author = graphql(github, '{ user(login: "second-dev") { id } }')["user"]["id"]
    query = """query($author: ID!, $after: String) { repository(owner: "an-org", name: "engine") {
        owner { login __typename }
        defaultBranchRef { name target { ... on Commit { history(first: 5, after: $after, author: {id: $author}) {
          totalCount pageInfo { endCursor hasNextPage }
          nodes { oid messageHeadline committedDate author { user { login } } } } } } } } }"""
    repository = graphql(github, query, author=author)["repository"]
    first = repository["defaultBranchRef"]["target"]["history"]
    rest = graphql(github, query, author=author, after=first["pageInfo"]["endCursor"])
    second = rest["repository"]["defaultBranchRef"]["target"]["history"]
    nodes = first["nodes"] + second["nodes"]

    assert repository["owner"] == {"login": "an-org", "__typename": "Organization"}
    assert first["totalCount"] == 7 == len({each["oid"] for each in nodes})
    assert {each["author"]["user"]["login"] for each in nodes} == {"second-dev"}
    assert [each["committedDate"] for each in nodes] == sorted(
        (each["committedDate"] for each in nodes), reverse=True
    )
    assert nodes[0]["messageHeadline"] == "Newest"


def test_nodes_are_found_again_by_their_id(github):
    ids = graphql(
        github, '{ user(login: "first-dev") { id } repository(owner: "an-org", name: "engine") { id } }'
    )
    found = graphql(
        github,
        "query($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on User { login } ... on Repository { name } } }",
        ids=[ids["user"]["id"], ids["repository"]["id"]],
    )

    assert found["nodes"] == [
        {"__typename": "User", "login": "first-dev"},
        {"__typename": "Repository", "name": "engine"},
    ]


def test_an_unknown_id_is_an_error_of_its_own(sandbox, github):
    known = graphql(github, '{ user(login: "first-dev") { id } }')["user"]["id"]
    _, _, body = ask(
        sandbox, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[known, "U_bm9ib2R5", "?"]
    )

    assert body["data"]["nodes"] == [{"id": known}, None, None]
    assert [(each["type"], each["path"]) for each in body["errors"]] == [
        ("NOT_FOUND", ["nodes", 1]),
        ("NOT_FOUND", ["nodes", 2]),
    ]


def test_asking_for_the_price_is_free(github):
    asked = graphql(github, "{ rateLimit(dryRun: true) { used cost } }")["rateLimit"]
    again = graphql(github, "{ rateLimit { used cost } }")["rateLimit"]

    assert again["used"] == asked["used"] + 1
    assert asked["cost"] == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{ user(login: 1) { nothing } }", "nothing"),
        ("{ user(login:", "Syntax Error"),
        ("{ user { name } }", "login"),
        ('{ user(login: "first-dev") { repositories { nodes { name } } } }', "`first` or `last`"),
        (
            '{ user(login: "first-dev") { repositories(first: 1, after: "?") { totalCount } } }',
            "valid cursor",
        ),
        (
            '{ user(login: "first-dev") { contributionsCollection(from: "then") { startedAt } } }',
            "date-time",
        ),
    ],
)
def test_a_wrong_query_is_told_what_is_wrong(sandbox, github, query, words):
    status, _, body = ask(sandbox, query)

    assert status == 200
    assert any(words in error["message"] for error in body["errors"])


@pytest.mark.parametrize(
    "body", [None, [], {"query": 1}, {"query": "{ rateLimit { cost } }", "variables": []}]
)
def test_a_call_that_is_no_query_gets_an_answer(sandbox, body):
    status, _, answer = call(sandbox, "POST", "/github/graphql", body, TOKEN)

    assert status in (200, 400)
    assert "data" in answer or "errors" in answer or "message" in answer


# Shapes


def recorded_bodies(name):
    """The JSON bodies of a recording, by path."""
    lines = (RECORDED / f"{name}.txt").read_text().split("\n")
    bodies = {}
    for number, line in enumerate(lines):
        if re.fullmatch(r"https?", line) and number + 9 < len(lines) and lines[number + 1] == "GET":
            bodies[lines[number + 4].partition("?")[0]] = json.loads(lines[number + 9])
    return bodies


def first_of(recording, pattern):
    for path, body in recorded_bodies(recording).items():
        if re.fullmatch(pattern, path):
            return body[0] if isinstance(body, list) else body
    raise AssertionError(f"{recording} has no {pattern}")


def type_differences(served, recorded, path=""):
    """Fields of both whose JSON types differ; null is free."""
    if isinstance(served, dict) and isinstance(recorded, dict):
        return [
            each
            for name in served.keys() & recorded.keys()
            for each in type_differences(served[name], recorded[name], f"{path}.{name}")
        ]
    if served is None or recorded is None or type(served) is type(recorded):
        return []
    return [f"{path}: {served!r} for {recorded!r}"]


@pytest.mark.parametrize(
    ("path", "recording", "pattern", "needed"),
    [
        (
            "/users/first-dev",
            "NamedUser.testAttributesOfOtherUser",
            r"/users/\w+",
            "login id name company location bio public_repos followers created_at html_url type",
        ),
        (
            "/users/first-dev/repos",
            "NamedUser.testGetRepos",
            r"/users/\w+/repos",
            "id name full_name owner description fork language html_url created_at pushed_at url",
        ),
        (
            "/repos/an-org/engine/contributors",
            "Repository.testGetContributors",
            r"/repos/\w+/\w+/contributors",
            "login id contributions url",
        ),
        (
            "/repos/an-org/engine/commits",
            "Repository.testGetCommitsWithSinceUntil",
            r"/repos/\w+/\w+/commits",
            "sha commit author committer parents url html_url",
        ),
        ("/rate_limit", "RateLimitOverview.setUp", r"/rate_limit", "resources rate"),
    ],
)
def test_payloads_have_the_shape_of_recorded_ones(sandbox, github, path, recording, pattern, needed):
    if not RECORDED.exists() and "CI" not in os.environ:
        pytest.skip("recorded traffic is not at hand")
    _, _, body = call(sandbox, "GET", f"/github{path}", headers=TOKEN)
    served = body[0] if isinstance(body, list) else body
    recorded = first_of(recording, pattern)

    assert type_differences(served, recorded) == []
    assert set(needed.split()) <= served.keys()
    assert set(needed.split()) <= recorded.keys()
