"""GitHub's GraphQL objects that are mere names: languages and topics of a repository."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from platform_assets.sandbox.github.connections import Source, connection
from platform_assets.sandbox.github.store import Repository, node_id


def language_connection(
    languages: list[tuple[str, int]], _info: GraphQLResolveInfo, **arguments: Any
) -> Source:
    """Languages of a repository with their bytes of code, largest first unless asked otherwise."""
    order = arguments.get("orderBy")
    if order and order["direction"] == "ASC":
        languages = languages[::-1]
    return connection(
        languages,
        arguments,
        node=lambda language: language_source(language[0]),
        edge=lambda language: {"size": language[1]},
    ) | {"totalSize": sum(size for _, size in languages)}


def language_source(name: str) -> Source:
    """A language."""
    return {"__typename": "Language", "id": node_id("L", name), "name": name}


def topic_connection(repository: Repository, _info: GraphQLResolveInfo, **arguments: Any) -> Source:
    """Topics of a repository, in its order."""
    return connection(
        repository.topics,
        arguments,
        node=lambda name: {
            "__typename": "RepositoryTopic",
            "id": node_id("RT", f"{repository.database_id}:{name}"),
            "topic": {"__typename": "Topic", "id": node_id("T", name), "name": name},
        },
    )
