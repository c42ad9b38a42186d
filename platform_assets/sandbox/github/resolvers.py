"""GitHub's GraphQL objects as graphql-core reads them: dictionaries of values and of functions that take arguments.

Built per query from the store; what one query asks twice is read once. No HTTP, no cost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from graphql import GraphQLResolveInfo

from platform_assets.sandbox.github.connections import NO_PAGE, Source, bounds, connection, page
from platform_assets.sandbox.github.cost import QueryProblem
from platform_assets.sandbox.github.history import Commit, History
from platform_assets.sandbox.github.readmes import read_object
from platform_assets.sandbox.github.store import (
    Contribution,
    GithubStore,
    Repository,
    User,
    node_id,
    parse_node_id,
)
from platform_assets.sandbox.github.terms import language_connection, language_source, topic_connection
from platform_assets.sandbox.github.time import format_instant, parse_instant, year_later

_MAX_REPOSITORIES = 100
_REPOSITORY_ORDER: Mapping[str, Callable[[Repository], Any]] = {
    "CREATED_AT": lambda repository: repository.created_at,
    "NAME": lambda repository: repository.name.lower(),
    "PUSHED_AT": lambda repository: repository.pushed_at,
    "STARGAZERS": lambda repository: repository.stars_count,
    "UPDATED_AT": lambda repository: repository.pushed_at,
}


def resolve_field(source: Source, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    """The value of a field: as it is, or made from the arguments."""
    value = source[info.field_name]
    return value(info, **arguments) if callable(value) else value


class Objects:
    """The objects of one query.

    Args:
        store: Where they are read.
        rate_limit: The `rateLimit` object of this query.
        html_url: Root of the links to web pages.
    """

    def __init__(self, store: GithubStore, *, rate_limit: Source, html_url: str) -> None:
        self._store = store
        self._rate_limit = rate_limit
        self._html_url = html_url
        self._users: dict[str, User | None] = {}
        self._repositories: dict[str, Repository | None] = {}
        self._contributions: dict[str, list[Contribution]] = {}
        self._branches: dict[str, tuple[list[Contribution], Commit | None]] = {}

    def root(self) -> Source:
        """The query type."""
        return {
            "node": self._node,
            "nodes": self._nodes,
            "rateLimit": lambda _info, **_arguments: self._rate_limit,
            "repository": self._find_repository,
            "user": self._find_user,
        }

    # Reading, once a query

    def _read_user(self, login: str) -> User | None:
        if login not in self._users:
            self._users[login] = self._store.user(login)
        return self._users[login]

    def _read_repository(self, name_with_owner: str) -> Repository | None:
        if name_with_owner not in self._repositories:
            self._repositories[name_with_owner] = self._store.repository(name_with_owner)
        return self._repositories[name_with_owner]

    def _read_contributions(self, login: str) -> list[Contribution]:
        if login not in self._contributions:
            self._contributions[login] = self._store.contributions_of(login)
        return self._contributions[login]

    def _read_branch(self, name_with_owner: str) -> tuple[list[Contribution], Commit | None]:
        """Who contributed to a repository, and its newest commit; None when it has none."""
        if name_with_owner not in self._branches:
            contributions = self._store.contributions_to(name_with_owner)
            newest = History(contributions).page(0, 1)
            self._branches[name_with_owner] = contributions, newest[0] if newest else None
        return self._branches[name_with_owner]

    # Query

    def _find_user(self, _info: GraphQLResolveInfo, *, login: str) -> Source:
        user = self._read_user(login)
        if user is None:
            raise QueryProblem(f"Could not resolve to a User with the login of '{login}'.", type="NOT_FOUND")
        return self._user(user)

    def _find_repository(self, _info: GraphQLResolveInfo, *, owner: str, name: str, **_: Any) -> Source:
        repository = self._read_repository(f"{owner}/{name}")
        if repository is None:
            raise QueryProblem(
                f"Could not resolve to a Repository with the name '{owner}/{name}'.", type="NOT_FOUND"
            )
        return self._repository(repository)

    def _node(self, _info: GraphQLResolveInfo, *, id: str) -> Source:  # noqa: A002  (GitHub's name)
        source = self._by_id(id)
        if source is None:
            raise QueryProblem(f"Could not resolve to a node with the global id of '{id}'.", type="NOT_FOUND")
        return source

    def _nodes(self, _info: GraphQLResolveInfo, *, ids: Sequence[str]) -> list[Source | QueryProblem]:
        # graphql-core makes an error of the item's own out of an exception in a list.
        return [
            self._by_id(value)
            or QueryProblem(f"Could not resolve to a node with the global id of '{value}'.", type="NOT_FOUND")
            for value in ids
        ]

    def _by_id(self, value: str) -> Source | None:
        match parse_node_id(value):
            case ("U", key):
                user = self._store.user_by_id(key)
                return self._user(user) if user else None
            case ("R", key):
                repository = self._store.repository_by_id(key)
                return self._repository(repository) if repository else None
        return None

    # Users and what they contributed

    def _user(self, user: User) -> Source:
        return {
            "__typename": "User",
            "bio": user.bio,
            "company": user.company,
            "contributionsCollection": partial(self._contributions_collection, user),
            "createdAt": user.created_at,
            "databaseId": user.database_id,
            "followers": {"totalCount": user.followers_count, "pageInfo": NO_PAGE},
            "id": node_id("U", user.database_id),
            "location": user.location,
            "login": user.login,
            "name": user.name,
            "repositories": partial(self._repositories_of, user),
            "repositoriesContributedTo": partial(self._repositories_contributed_to, user),
            "updatedAt": user.updated_at,
            "url": f"{self._html_url}/{user.login}",
        }

    def _owner(self, login: str) -> Source:
        user = self._read_user(login)
        if user is not None:
            return self._user(user)
        return {
            "__typename": "Organization",
            "id": node_id("O", login),
            "login": login,
            "url": f"{self._html_url}/{login}",
        }

    def _repositories_of(self, user: User, _info: GraphQLResolveInfo, **arguments: Any) -> Source:
        affiliations = arguments.get("affiliations") or arguments.get("ownerAffiliations") or ["OWNER"]
        repositories = self._store.repositories_of(user.login) if "OWNER" in affiliations else []
        for name, flag in (("isFork", "is_fork"), ("isArchived", "is_archived")):
            wanted = arguments.get(name)
            if wanted is not None:
                repositories = [each for each in repositories if getattr(each, flag) == wanted]
        return self._repository_connection(repositories, arguments)

    def _repositories_contributed_to(self, user: User, _info: GraphQLResolveInfo, **arguments: Any) -> Source:
        """Repositories with commits in the last year, as GitHub means by "recently"; own ones on demand."""
        types = arguments.get("contributionTypes")
        contributions = self._read_contributions(user.login) if types is None or "COMMIT" in types else []
        recent = self._store.today() - dt.timedelta(days=365)
        read = [
            self._read_repository(each.name_with_owner)
            for each in contributions
            if each.commits.last_on >= recent
        ]
        repositories = [
            each
            for each in read
            if each and (arguments.get("includeUserRepositories") or each.owner.lower() != user.login.lower())
        ]
        return self._repository_connection(repositories, arguments)

    def _repository_connection(self, repositories: list[Repository], arguments: Mapping[str, Any]) -> Source:
        if "PRIVATE" in (arguments.get("privacy"), arguments.get("visibility")):
            repositories = []
        if order := arguments.get("orderBy"):
            repositories = sorted(
                repositories, key=_REPOSITORY_ORDER[order["field"]], reverse=order["direction"] == "DESC"
            )
        return connection(repositories, arguments, node=self._repository)

    def _contributions_collection(self, user: User, _info: GraphQLResolveInfo, **arguments: Any) -> Source:
        since, until = self._window(arguments.get("from"), arguments.get("to"))
        organization = arguments.get("organizationID")
        contributions = [
            each
            for each in self._read_contributions(user.login)
            if organization in (None, node_id("O", each.name_with_owner.partition("/")[0]))
        ]
        counted = [(each, each.commits.count(since, until)) for each in contributions]
        active = sorted(
            ((each, count) for each, count in counted if count),
            key=lambda pair: (-pair[1], pair[0].name_with_owner),
        )

        def by_repository(_info: GraphQLResolveInfo, *, maxRepositories: int = 25) -> list[Source]:  # noqa: N803  (GitHub's name)
            if not 1 <= maxRepositories <= _MAX_REPOSITORIES:
                raise QueryProblem(f"'maxRepositories' must be between 1 and {_MAX_REPOSITORIES}")
            return [self._repository_contributions(user, each, since, until) for each, _ in active][
                :maxRepositories
            ]

        return {
            "commitContributionsByRepository": by_repository,
            "contributionYears": lambda _info: sorted(
                {year for each in contributions for year in each.commits.years()}, reverse=True
            ),
            "endedAt": format_instant(until),
            "hasAnyContributions": bool(active),
            "hasAnyRestrictedContributions": user.private_commits_count > 0,
            "restrictedContributionsCount": user.private_commits_count,
            "startedAt": format_instant(since),
            "totalCommitContributions": sum(count for _, count in active),
            "totalRepositoriesWithContributedCommits": len(active),
            "user": lambda _info: self._user(user),
        }

    def _window(self, since: str | None, until: str | None) -> tuple[dt.datetime, dt.datetime]:
        first = _moment(since) if since else None
        last = _moment(until) if until else None
        if last is None:
            end_of_today = dt.datetime.combine(self._store.today(), dt.time(23, 59, 59), tzinfo=dt.UTC)
            last = min(year_later(first), end_of_today) if first else end_of_today
        if first is None:
            first = last - dt.timedelta(days=365)
        if last > year_later(first):
            raise QueryProblem("The total time spanned by 'from' and 'to' must not exceed 1 year")
        return first, last

    def _repository_contributions(
        self, user: User, contribution: Contribution, since: dt.datetime, until: dt.datetime
    ) -> Source:
        repository = self._read_repository(contribution.name_with_owner)
        assert repository is not None  # the store joins contributions with their repositories
        source = self._repository(repository)

        def node(day: tuple[dt.datetime, int]) -> Source:
            return {
                "commitCount": day[1],
                "isRestricted": False,
                "occurredAt": format_instant(day[0]),
                "repository": source,
                "user": lambda _info: self._user(user),
            }

        def contributions(_info: GraphQLResolveInfo, **arguments: Any) -> Source:
            days = list(contribution.commits.days(since, until))
            order = arguments["orderBy"] or {"field": "OCCURRED_AT", "direction": "DESC"}
            days.sort(
                key=lambda day: (day[1], day[0]) if order["field"] == "COMMIT_COUNT" else (0, day[0]),
                reverse=order["direction"] == "DESC",
            )
            # GitHub counts the commits of the connection, not its days.
            return connection(days, arguments, node=node) | {"totalCount": sum(count for _, count in days)}

        return {"contributions": contributions, "repository": source}

    # Repositories and their commits

    def _repository(self, repository: Repository) -> Source:
        languages = list(repository.languages.items())
        return {
            "__typename": "Repository",
            "createdAt": repository.created_at,
            "databaseId": repository.database_id,
            "defaultBranchRef": partial(self._default_branch, repository),
            "description": repository.description,
            "id": node_id("R", repository.database_id),
            "isArchived": repository.is_archived,
            "isFork": repository.is_fork,
            "isPrivate": False,
            "languages": partial(language_connection, languages),
            "name": repository.name,
            "nameWithOwner": repository.name_with_owner,
            "object": partial(read_object, repository, self._repository),
            "owner": lambda _info: self._owner(repository.owner),
            "primaryLanguage": language_source(languages[0][0]) if languages else None,
            "pushedAt": repository.pushed_at,
            "repositoryTopics": partial(topic_connection, repository),
            "stargazerCount": repository.stars_count,
            "updatedAt": repository.pushed_at,
            "url": f"{self._html_url}/{repository.name_with_owner}",
        }

    def _default_branch(self, repository: Repository, _info: GraphQLResolveInfo) -> Source | None:
        contributions, head = self._read_branch(repository.name_with_owner)
        if head is None:
            return None
        return {
            "__typename": "Ref",
            "id": node_id("REF", f"{repository.database_id}:refs/heads/main"),
            "name": "main",
            "prefix": "refs/heads/",
            "repository": lambda _info: self._repository(repository),
            "target": lambda _info: self._commit(repository, contributions, head),
        }

    def _commit(
        self, repository: Repository, contributions: Sequence[Contribution], commit: Commit
    ) -> Source:
        committed_at = format_instant(commit.committed_at)
        return {
            "__typename": "Commit",
            "abbreviatedOid": commit.sha[:7],
            "author": lambda _info: self._author(commit),
            "authoredDate": committed_at,
            "committedDate": committed_at,
            "history": partial(self._history, repository, contributions, commit),
            "id": node_id("C", f"{repository.database_id}:{commit.sha}"),
            "message": commit.headline,
            "messageHeadline": commit.headline,
            "oid": commit.sha,
            "repository": lambda _info: self._repository(repository),
        }

    def _author(self, commit: Commit) -> Source:
        user = self._read_user(commit.login)
        return {
            "date": format_instant(commit.committed_at),
            "name": user.name or user.login if user else commit.login,
            "user": self._user(user) if user else None,
        }

    def _history(
        self,
        repository: Repository,
        contributions: Sequence[Contribution],
        head: Commit,
        _info: GraphQLResolveInfo,
        **arguments: Any,
    ) -> Source:
        chosen = contributions
        if author := (arguments.get("author") or {}).get("id"):
            match parse_node_id(author):
                case ("U", key):
                    user = self._store.user_by_id(key)
                case _:
                    user = None
            chosen = [each for each in contributions if user and each.login.lower() == user.login.lower()]
        until = _moment(arguments["until"]) if arguments.get("until") else head.committed_at
        history = History(
            chosen,
            since=_moment(arguments["since"]) if arguments.get("since") else None,
            until=min(until, head.committed_at),
        )
        start, stop = bounds(history.total_count, arguments)
        return page(
            history.page(start, stop),
            start,
            history.total_count,
            node=partial(self._commit, repository, contributions),
        )


def _moment(value: str) -> dt.datetime:
    try:
        return parse_instant(value)
    except (TypeError, ValueError):
        raise QueryProblem(f"Could not parse {value!r} as an ISO 8601 date-time") from None
