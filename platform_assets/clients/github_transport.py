"""How calls get to GitHub and back: PyGithub's requester, timeouts, retries, the rate budget, and whether GitHub is down.

What is asked, and what an answer means, is in `github.py`, `github_queries.py` and `github_rest.py`.
"""

from __future__ import annotations

import datetime as dt
import json
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from platform_assets.clients.github_values import RateBudget
from platform_assets.clients.http_errors import (
    RateLimited,
    ServiceError,
    TransientError,
    classify_github_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from github.Requester import Requester

T = TypeVar("T")

ATTEMPTS_COUNT = 4
BACKOFF_S = 0.5
BACKOFF_MAX_S = 8.0

MAX_WAIT_S = 20.0
"""A stated wait up to this long is waited out in place; a longer one is for whoever schedules the rerun."""

OUTAGE_CALLS_COUNT = 8
"""So many calls that fail in a row, each after all its attempts, mean that GitHub is down. More than a batch of 64 needs
to be halved down to one culprit, so that a culprit is not taken for an outage."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer below 400; header names are in lower case, `body` is the decoded JSON, None when empty."""

    status: int
    headers: Mapping[str, str]
    body: Any


class GithubTransport:
    """Sends calls to one GitHub server with one token; threads may share it.

    Args:
        url: REST root, such as `https://api.github.com`.
        token: The token; it appears in no message.
        timeout_s: Limit of each call, in seconds.
        backoff_s: First wait before a repeat; it doubles each time, with jitter.
    """

    def __init__(self, *, url: str, token: str, timeout_s: float, backoff_s: float = BACKOFF_S) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"The GitHub URL must begin with http:// or https://, but it is {url!r}")
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._wait = wait_exponential_jitter(multiplier=backoff_s, max=BACKOFF_MAX_S, jitter=backoff_s)
        # A `requests` session is not made for several threads at once, so each call borrows one.
        self._idle: queue.LifoQueue[Requester] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._budget = RateBudget()
        self._failures_in_row_count = 0

    @property
    def budget(self) -> RateBudget:
        """What was spent and what is left, as of the last answer."""
        return self._budget

    @property
    def is_down(self) -> bool:
        """Whether so many calls failed in a row that going on is pointless."""
        return self._failures_in_row_count >= OUTAGE_CALLS_COUNT

    def close(self) -> None:
        """Close the idle connections; the transport can still be used afterwards."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def query(
        self, document: str, variables: Mapping[str, Any], *, action: str, read: Callable[[Answer], T]
    ) -> T:
        """Send a GraphQL document.

        Args:
            document: The document; it should ask for `rateLimit`.
            variables: Its variables.
            action: What is tried, for messages.
            read: Makes a value of the answer; what it raises counts as the call's outcome and may be retried.

        Raises:
            ServiceError: The call failed, after its repeats where they make sense.
        """

        def send(requester: Requester) -> T:
            answer = self._request(
                requester, "POST", requester.graphql_url, body={"query": document, "variables": variables}
            )
            if not isinstance(answer.body, dict):
                raise TransientError(
                    service="GitHub",
                    action=action,
                    status=answer.status,
                    detail="the answer is no JSON object",
                )
            self._spend((answer.body.get("data") or {}).get("rateLimit"))
            return read(answer)

        return self._attempt(send, action=action)

    def get(
        self,
        path: str,
        *,
        action: str,
        parameters: Mapping[str, Any] | None = None,
        etag: str | None = None,
    ) -> Answer:
        """Get a REST resource; status 304 says that it still has `etag`.

        Raises:
            ServiceError: The call failed, after its repeats where they make sense; `status` 404 says not found.
        """
        headers = {"If-None-Match": etag} if etag else {}
        return self._attempt(
            lambda requester: self._request(requester, "GET", path, parameters=parameters, headers=headers),
            action=action,
        )

    def _request(
        self,
        requester: Requester,
        verb: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        status, answer_headers, text = requester.requestJson(
            verb, path, parameters=dict(parameters or {}), headers=dict(headers or {}), input=body
        )
        self._note_headers(answer_headers)
        if status >= 400:
            # An error page of a proxy is text, not JSON.
            data = json.loads(text) if text.startswith("{") else {"message": text}
            raise requester.createException(status, answer_headers, data)
        return Answer(status, answer_headers, json.loads(text) if text else None)

    def _attempt(self, send: Callable[[Requester], T], *, action: str) -> T:
        def once() -> T:
            with self._borrowed() as requester:
                try:
                    return send(requester)
                except ServiceError:
                    raise
                except Exception as error:
                    # Not chained: the library's error carries the request, and with it the token.
                    raise classify_github_error(error, action=action, now=dt.datetime.now(dt.UTC)) from None

        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS_COUNT),
            wait=self._wait_s,
            retry=retry_if_exception(_is_worth_waiting),
            reraise=True,
        )
        try:
            value = retrying(once)
        except TransientError:
            with self._lock:
                self._failures_in_row_count += 1
            raise
        with self._lock:
            self._failures_in_row_count = 0
        return value

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        stated_s = error.wait_s(dt.datetime.now(dt.UTC)) if isinstance(error, ServiceError) else 0.0
        return max(stated_s, self._wait(state))

    @contextmanager
    def _borrowed(self) -> Iterator[Requester]:
        try:
            requester = self._idle.get_nowait()
        except queue.Empty:
            requester = self._connect()
        try:
            yield requester
        finally:
            self._idle.put(requester)

    def _connect(self) -> Requester:
        from github import Auth
        from github.Requester import Requester

        # PyGithub's own retry sleeps through a rate limit for up to an hour and its spacing serializes calls: both off.
        # `github.Github` around it would only insist on a timeout in whole seconds.
        return Requester(
            auth=Auth.Token(self._token),
            base_url=self._url,
            timeout=self._timeout_s,  # type: ignore[arg-type]  # handed on to requests, which takes fractions
            user_agent="platform-assets",
            per_page=100,
            verify=True,
            retry=None,
            pool_size=None,
        )

    def _note_headers(self, headers: Mapping[str, str]) -> None:
        remaining, limit, reset = (
            headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "limit", "reset")
        )
        with self._lock:
            budget = replace(self._budget, calls_count=self._budget.calls_count + 1)
            if remaining.isdigit() and limit.isdigit() and reset.isdigit():
                budget = replace(
                    budget,
                    remaining=int(remaining),
                    limit=int(limit),
                    reset_at=dt.datetime.fromtimestamp(int(reset), tz=dt.UTC),
                )
            self._budget = budget

    def _spend(self, rate_limit: Mapping[str, Any] | None) -> None:
        if rate_limit:
            with self._lock:
                self._budget = replace(
                    self._budget, cost_points=self._budget.cost_points + rate_limit["cost"]
                )


def _is_worth_waiting(error: BaseException) -> bool:
    return (
        isinstance(error, TransientError | RateLimited)
        and error.wait_s(dt.datetime.now(dt.UTC)) <= MAX_WAIT_S
    )
