"""The GraphQL questions put to GitHub and the reading of their answers. Pure text and values; `github.py` sends them.

A question is one field of the query root, asked many times in one document under the aliases `p0`, `p1`, … with
variables of their own. Names and limits follow GitHub's public schema.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_assets.clients.github_values import Account, Window

MAX_REPOSITORIES = 100
"""The most repositories that GitHub lists for one window."""

SUBJECTS_COUNT = 10


MAX_DOCUMENT_REQUESTS = 100
"""A document asks for no more than one point's worth: GitHub bounds the work per document, not just the points."""


@dataclass(frozen=True)
class Question:
    """One field of the query root.

    Attributes:
        noun: What one answer is, in the plural, for messages.
        field: The field with its arguments, ending in the fragment that is read of it.
        types: GraphQL type of each variable of `field`.
        fragment: Definition of that fragment.
        batch_size: How many are asked in one document at most. The heavier the field the smaller the batch.
        connections_count: Connections of the field, each as often as it has parents. A hundred are a point.
        per_listed: Whether the connections are within a list of as many parents as the variable `limit` allows.
    """

    noun: str
    field: str
    types: Mapping[str, str]
    fragment: str
    batch_size: int
    connections_count: int
    per_listed: bool = False

    def requests(self, values: Mapping[str, Any]) -> int:
        """Requests that one asking counts as in GitHub's formula; a list counts with the most that it may hold."""
        return self.connections_count * (int(values["limit"]) if self.per_listed else 1)


def points_of(question: Question, asked: Sequence[Mapping[str, Any]]) -> int:
    """Points of one document, by GitHub's published formula: a hundredth of its requests, rounded, and at least 1."""
    return max(1, round(sum(question.requests(values) for values in asked) / 100))


_ACCOUNT_FRAGMENT = """
fragment Account on User {
  id databaseId login name bio company location createdAt
  followers { totalCount }
  contributionsCollection { contributionYears hasAnyRestrictedContributions }
}"""

ACCOUNT = Question(
    noun="accounts",
    field="user(login: $login) { ...Account }",
    types={"login": "String!"},
    fragment=_ACCOUNT_FRAGMENT,
    batch_size=50,
    connections_count=1,
)

KNOWN = Question(
    noun="known accounts",
    field="node(id: $id) { ...Account ... on User {"
    " watched: contributionsCollection(from: $since) { totalCommitContributions } } }",
    types={"id": "ID!", "since": "DateTime!"},
    fragment=_ACCOUNT_FRAGMENT,
    batch_size=100,
    connections_count=1,
)

COUNT = Question(
    noun="commit counts",
    field="user(login: $login) { contributionsCollection(from: $from, to: $to) {"
    " totalCommitContributions totalRepositoriesWithContributedCommits } }",
    types={"login": "String!", "from": "DateTime!", "to": "DateTime!"},
    fragment="",
    batch_size=100,
    connections_count=0,
)

WORK = Question(
    noun="contribution windows",
    field="user(login: $login) { contributionsCollection(from: $from, to: $to) {"
    " commitContributionsByRepository(maxRepositories: $limit) { ...Work } } }",
    types={"login": "String!", "from": "DateTime!", "to": "DateTime!", "limit": "Int!"},
    fragment="""
fragment Work on CommitContributionsByRepository {
  repository { nameWithOwner isPrivate }
  newest: contributions(first: 1) { totalCount nodes { occurredAt } }
  oldest: contributions(first: 1, orderBy: {field: OCCURRED_AT, direction: ASC}) { nodes { occurredAt } }
}""",
    batch_size=20,
    connections_count=2,
    per_listed=True,
)

REPOSITORY = Question(
    noun="repositories",
    field="repository(owner: $owner, name: $name) { ...Facts }",
    types={"owner": "String!", "name": "String!"},
    fragment="""
fragment Facts on Repository {
  description isFork
  repositoryTopics(first: 20) { nodes { topic { name } } }
  languages(first: 20, orderBy: {field: SIZE, direction: DESC}) { edges { size node { name } } }
}""",
    batch_size=50,
    connections_count=2,
)

SUBJECTS = Question(
    noun="commit histories",
    field="repository(owner: $owner, name: $name) { defaultBranchRef { target { ... on Commit {"
    " history(first: $count, author: {id: $author}) { nodes { ...Subject } } } } } }",
    types={"owner": "String!", "name": "String!", "author": "ID!", "count": "Int!"},
    fragment="""
fragment Subject on Commit { messageHeadline }""",
    batch_size=20,
    connections_count=1,
)

QUESTIONS = (ACCOUNT, KNOWN, COUNT, WORK, REPOSITORY, SUBJECTS)
"""Every question of this module; `github.QUESTIONS` are all of the client."""


@dataclass(frozen=True)
class RepositoryFacts:
    """What a repository says of itself, the same for everyone who works on it."""

    description: str | None
    is_fork: bool
    topics: tuple[str, ...]
    languages: Mapping[str, int]


@dataclass(frozen=True)
class Tally:
    """An account's own commits in one repository, over one or more windows."""

    commits_count: int
    commits_last_year_count: int
    first_on: dt.date
    last_on: dt.date

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.commits_count + other.commits_count,
            self.commits_last_year_count + other.commits_last_year_count,
            min(self.first_on, other.first_on),
            max(self.last_on, other.last_on),
        )


def alias(position: int) -> str:
    """The name under which the answer to the question at `position` of a document stands."""
    return f"p{position}"


def build_document(question: Question, asked: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """One document that asks `question` once for each set of variables in `asked`.

    Returns:
        The document and its variables. Values travel only as variables, never in the text.
    """
    declared, fields = [], []
    variables: dict[str, Any] = {}
    for position, values in enumerate(asked):
        declared += [f"${name}_{position}: {question.types[name]}" for name in values]
        fields.append(f"  {alias(position)}: " + re.sub(r"\$(\w+)", rf"$\1_{position}", question.field))
        variables |= {f"{name}_{position}": value for name, value in values.items()}
    return (
        f"query({', '.join(declared)}) {{\n  rateLimit {{ cost limit remaining resetAt }}\n"
        + "\n".join(fields)
        + f"\n}}{question.fragment}",
        variables,
    )


def known_variables(node_id: str, since_on: dt.date) -> dict[str, Any]:
    """The variables of `KNOWN` for an account whose commits are counted since a day."""
    return {"id": node_id, "since": f"{since_on}T00:00:00Z"}


def count_variables(login: str, window: Window) -> dict[str, Any]:
    """The variables of `COUNT` for one account and window."""
    return {"login": login, "from": f"{window.start_on}T00:00:00Z", "to": f"{window.end_on}T23:59:59Z"}


def work_variables(login: str, window: Window, limit: int) -> dict[str, Any]:
    """The variables of `WORK` for the first `limit` repositories of one account and window."""
    return {**count_variables(login, window), "limit": limit}


def repository_variables(repository: str) -> dict[str, Any]:
    """The variables of `REPOSITORY` for `owner/name`."""
    owner, _, name = repository.partition("/")
    return {"owner": owner, "name": name}


def subject_variables(repository: str, author_id: str) -> dict[str, Any]:
    """The variables of `SUBJECTS` for `owner/name` and an author's node id."""
    return {**repository_variables(repository), "author": author_id, "count": SUBJECTS_COUNT}


def parse_account(data: Mapping[str, Any]) -> Account:
    """The answer to `ACCOUNT` or `KNOWN`."""
    watched = data.get("watched")
    return Account(
        node_id=data["id"],
        github_id=data["databaseId"],
        login=data["login"],
        name=data["name"],
        bio=data["bio"],
        company=data["company"],
        location=data["location"],
        followers_count=data["followers"]["totalCount"],
        created_at=parse_instant(data["createdAt"]),
        years=tuple(data["contributionsCollection"]["contributionYears"]),
        has_private_work=data["contributionsCollection"]["hasAnyRestrictedContributions"],
        watched_commits_count=watched["totalCommitContributions"] if watched else None,
    )


def parse_count(data: Mapping[str, Any]) -> tuple[int, int]:
    """The answer to `COUNT`: commits, and repositories with commits."""
    collection = data["contributionsCollection"]
    return collection["totalCommitContributions"], collection["totalRepositoriesWithContributedCommits"]


def count_listed(data: Mapping[str, Any]) -> int:
    """How many repositories an answer to `WORK` lists; as many as were asked for means that there may be more."""
    return len(data["contributionsCollection"]["commitContributionsByRepository"])


def parse_work(data: Mapping[str, Any], window: Window) -> dict[str, Tally]:
    """The answer to `WORK`: own commits by public repository.

    Private repositories that the token happens to see are left out: nobody agreed to show them to clients.
    """
    tallies = {}
    for entry in data["contributionsCollection"]["commitContributionsByRepository"]:
        count = entry["newest"]["totalCount"]
        if entry["repository"]["isPrivate"] or count == 0:
            continue
        tallies[entry["repository"]["nameWithOwner"]] = Tally(
            commits_count=count,
            commits_last_year_count=count if window.is_last_year else 0,
            first_on=parse_instant(entry["oldest"]["nodes"][0]["occurredAt"]).date(),
            last_on=parse_instant(entry["newest"]["nodes"][0]["occurredAt"]).date(),
        )
    return tallies


def parse_facts(data: Mapping[str, Any]) -> RepositoryFacts:
    """The answer to `REPOSITORY`."""
    return RepositoryFacts(
        description=data["description"],
        is_fork=data["isFork"],
        topics=tuple(node["topic"]["name"] for node in data["repositoryTopics"]["nodes"]),
        languages={edge["node"]["name"]: edge["size"] for edge in data["languages"]["edges"]},
    )


def parse_subjects(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The answer to `SUBJECTS`; empty when the repository has no branch."""
    target = (data["defaultBranchRef"] or {}).get("target") or {}
    return tuple(node["messageHeadline"] for node in target.get("history", {}).get("nodes", ()))


def parse_instant(text: str) -> dt.datetime:
    """GitHub's ISO 8601 time in UTC."""
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
