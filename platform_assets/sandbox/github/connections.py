"""GitHub's GraphQL connections: pages of a list with cursors. A cursor is a place in a stable order."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from platform_assets.sandbox.github.cost import QueryProblem

Source = dict[str, Any]
Item = TypeVar("Item")

NO_PAGE: Source = {
    "endCursor": None,
    "hasNextPage": False,
    "hasPreviousPage": False,
    "startCursor": None,
}
"""The page of a connection whose items are only counted."""

_CURSOR_PREFIX = "cursor:v2:"


def bounds(count: int, arguments: Mapping[str, Any]) -> tuple[int, int]:
    """Start and stop of the page that `first`, `after`, `last` and `before` ask for in a list of `count` items.

    Raises:
        QueryProblem: A cursor is malformed.
    """
    after, before = arguments.get("after"), arguments.get("before")
    first, last = arguments.get("first"), arguments.get("last")
    start = min(_place(after) + 1, count) if after else 0
    stop = min(_place(before), count) if before else count
    if first is None and last is None:
        return start, start
    if first is not None:
        stop = min(stop, start + first)
    if last is not None:
        start = max(start, stop - last)
    return start, max(start, stop)


def page(
    items: Sequence[Item],
    start: int,
    count: int,
    *,
    node: Callable[[Item], Source],
    edge: Callable[[Item], Source] | None = None,
) -> Source:
    """A connection of which `items` is the page from place `start`, of `count` items in all."""

    def edges(_info: object) -> list[Source]:
        return [
            {"cursor": _cursor(start + place), "node": node(item), **(edge(item) if edge else {})}
            for place, item in enumerate(items)
        ]

    stop = start + len(items)
    return {
        "edges": edges,
        "nodes": lambda _info: [node(item) for item in items],
        "pageInfo": {
            "endCursor": _cursor(stop - 1) if items else None,
            "hasNextPage": stop < count,
            "hasPreviousPage": start > 0,
            "startCursor": _cursor(start) if items else None,
        },
        "totalCount": count,
    }


def connection(
    items: Sequence[Item],
    arguments: Mapping[str, Any],
    *,
    node: Callable[[Item], Source],
    edge: Callable[[Item], Source] | None = None,
) -> Source:
    """The connection over a whole list, at the page that the arguments ask for."""
    start, stop = bounds(len(items), arguments)
    return page(items[start:stop], start, len(items), node=node, edge=edge)


def _cursor(place: int) -> str:
    return base64.b64encode(f"{_CURSOR_PREFIX}{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        decoded = base64.b64decode(cursor, validate=True).decode()
        if decoded.startswith(_CURSOR_PREFIX):
            return int(decoded.removeprefix(_CURSOR_PREFIX))
    except (binascii.Error, ValueError):
        pass
    raise QueryProblem(f"`{cursor}` does not appear to be a valid cursor.", type="INVALID_CURSOR_ARGUMENTS")
