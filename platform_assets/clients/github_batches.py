"""Asks GitHub one question many times: in batches, with an outcome for each, and failing batches halved to the culprit.

The questions are in `github_queries.py`; repeats of a single call are the business of `github_transport.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from platform_assets.clients.github_queries import (
    MAX_DOCUMENT_REQUESTS,
    Question,
    alias,
    build_document,
    points_of,
)
from platform_assets.clients.github_transport import Answer, GithubTransport
from platform_assets.clients.http_errors import (
    PermanentError,
    QueryTooLargeError,
    RateLimited,
    ServiceError,
    TransientError,
    classify_graphql_error,
)

T = TypeVar("T")

Fields = Mapping[str, Any]

Reply = Fields | ServiceError | None
"""What one asking brought: an object; why it could not be read; or None, when GitHub says that there is none."""


class Questions:
    """Asks questions over one transport; threads may share it."""

    def __init__(self, transport: GithubTransport) -> None:
        self._transport = transport

    def ask(self, question: Question, asked: Sequence[Fields]) -> list[Reply]:
        """Ask one question for each set of variables.

        Returns:
            One reply for each, in their order.

        Raises:
            ServiceError: The failure is not that of single askings: a rate limit, a refused token, an outage.
        """
        return [reply for batch in documents(question, asked) for reply in self._ask_batch(question, batch)]

    def _ask_batch(self, question: Question, batch: Sequence[Fields]) -> list[Reply]:
        replies: list[Reply]
        try:
            replies = self._send(question, batch)
        except (TransientError, QueryTooLargeError) as error:
            # A service that is down, or names a wait, speaks of itself and not of what it was asked.
            if self._transport.is_down or error.retry_at:
                raise
            replies = [error] * len(batch)
        # A failure in company may be the company's fault: halved until each culprit stands alone.
        failed = [
            i for i, reply in enumerate(replies) if isinstance(reply, TransientError | QueryTooLargeError)
        ]
        if len(batch) == 1 or not failed:
            return replies
        middle = (len(failed) + 1) // 2
        for part in (failed[:middle], failed[middle:]):
            if part:
                again = self._ask_batch(question, [batch[i] for i in part])
                for i, reply in zip(part, again, strict=True):
                    replies[i] = reply
        return replies

    def _send(self, question: Question, batch: Sequence[Fields]) -> list[Reply]:
        document, variables = build_document(question, batch)
        action = f"read {len(batch)} {question.noun}"
        if len(batch) == 1:
            action += f" ({', '.join(f'{name}={value}' for name, value in batch[0].items())})"
        return self._transport.query(
            document,
            variables,
            points=points_of(question, batch),
            action=action,
            read=lambda answer: read_replies(answer, len(batch), action),
        )


def documents(question: Question, asked: Sequence[Fields]) -> list[Sequence[Fields]]:
    """Askings in the slices that make one document each, in order."""
    slices: list[list[Fields]] = []
    requests_count = 0
    for values in asked:
        more = question.requests(values)
        is_full = not slices or len(slices[-1]) == question.batch_size
        if is_full or requests_count + more > MAX_DOCUMENT_REQUESTS:
            slices.append([])
            requests_count = 0
        slices[-1].append(values)
        requests_count += more
    return list(slices)


def read_replies(answer: Answer, count: int, action: str) -> list[Reply]:
    """What a document's answer says to each of its `count` questions.

    Raises:
        ServiceError: An error concerns the document as a whole, or its only question and may pass.
    """
    now = dt.datetime.now(dt.UTC)
    data = answer.body.get("data") or {}
    failures: dict[str, ServiceError | None] = {}
    for error in answer.body.get("errors") or ():
        path = error.get("path") or [None]
        if error.get("type") == "NOT_FOUND" and len(path) == 1 and path[0]:
            failures.setdefault(path[0], None)
            continue
        failure = classify_graphql_error(error, headers=answer.headers, action=action, now=now)
        if isinstance(failure, RateLimited) or path[0] not in data:
            raise failure
        failures[path[0]] = failure
    replies = [_reply(alias(position), data, failures, action) for position in range(count)]
    if count == 1 and isinstance(replies[0], TransientError):
        raise replies[0]
    return replies


def parsed(parse: Callable[[Fields], T], reply: Reply) -> T | ServiceError | None:
    """The value of a reply; one that is not in the documented shape is an error of its own, not of its batch."""
    if reply is None or isinstance(reply, ServiceError):
        return reply
    try:
        return parse(reply)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return PermanentError(
            service="GitHub",
            action="understand an answer",
            status=200,
            detail=f"not in the documented shape: {type(error).__name__} {error}",
        )


def batched(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """`items` in slices of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _reply(name: str, data: Fields, failures: Mapping[str, ServiceError | None], action: str) -> Reply:
    if name in failures:
        return failures[name]
    found = data.get(name)
    if isinstance(found, Mapping):
        return found
    # Null without a reason is no statement that there is nothing.
    return TransientError(service="GitHub", action=action, status=200, detail="no data and no error")
