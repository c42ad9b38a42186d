"""How calls get to GitHub and back: PyGithub's requester, timeouts, retries, tokens and their limits, and outages.

What is asked, and what an answer means, is in `github.py`, `github_queries.py` and `github_rest.py`.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from platform_assets.clients.github_budget import Call, Reason, Refusal, fingerprint, observed
from platform_assets.clients.github_ledger import Ledger, MemoryLedger, Timing
from platform_assets.clients.github_values import RateBudget
from platform_assets.clients.http_errors import (
    BudgetSpentError,
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
    """Sends calls to one GitHub server, each with the token that has most left; threads may share it.

    Args:
        url: REST root, such as `https://api.github.com`.
        tokens: The tokens; they appear in no message.
        timeout_s: Limit of each call, in seconds.
        backoff_s: First wait before a repeat; it doubles each time, with jitter.
        attempts_count: How often a call is tried.
        ledger: The books over the tokens' limits.
        keep_ratio: Share of every token's hourly points to leave to others.
        timing: Clock and waiting.
    """

    def __init__(
        self,
        *,
        url: str,
        tokens: Sequence[str],
        timeout_s: float,
        backoff_s: float = BACKOFF_S,
        attempts_count: int = ATTEMPTS_COUNT,
        ledger: Ledger | None = None,
        keep_ratio: float = 0.0,
        timing: Timing | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"The GitHub URL must begin with http:// or https://, but it is {url!r}")
        if not tokens:
            raise ValueError("GitHub needs at least one token")
        self._url = url.rstrip("/")
        self._tokens = {fingerprint(token): token for token in tokens}
        self._timeout_s = timeout_s
        self._attempts_count = attempts_count
        self._wait = wait_exponential_jitter(multiplier=backoff_s, max=BACKOFF_MAX_S, jitter=backoff_s)
        self.timing = timing or Timing()
        self.ledger = ledger or MemoryLedger()
        self._keep_ratio = keep_ratio
        # A `requests` session is not made for several threads at once, so each call borrows one of its token's.
        self._idle: defaultdict[str, queue.LifoQueue[Requester]] = defaultdict(queue.LifoQueue)
        self._lock = threading.Lock()
        self._budget = RateBudget()
        self._failures_in_row_count = 0
        # The headers of the answer that this thread got last, for the books.
        self._answered = threading.local()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The tokens as they stand in the ledger."""
        return tuple(self._tokens)

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
        for idle in list(self._idle.values()):
            while not idle.empty():
                idle.get_nowait().close()

    def query(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        points: int,
        action: str,
        read: Callable[[Answer], T],
    ) -> T:
        """Send a GraphQL document.

        Args:
            document: The document; it should ask for `rateLimit`.
            variables: Its variables.
            points: What it costs at most.
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

        return self._attempt(send, resource="graphql", points=points, action=action)

    def get(
        self,
        path: str,
        *,
        action: str,
        parameters: Mapping[str, Any] | None = None,
        etag: str | None = None,
        points: int = 1,
        with_token: str | None = None,
    ) -> Answer:
        """Get a REST resource; status 304 says that it still has `etag`.

        Args:
            path: Path below the root, or a whole address.
            action: What is tried, for messages.
            parameters: Parameters of the query.
            etag: What is known already.
            points: What it costs: 1, or 0 for what GitHub gives for free.
            with_token: Fingerprint of the token to use; by default the one that has most left.

        Raises:
            ServiceError: The call failed, after its repeats where they make sense; `status` 404 says not found.
        """
        headers = {"If-None-Match": etag} if etag else {}
        return self._attempt(
            lambda requester: self._request(requester, "GET", path, parameters=parameters, headers=headers),
            resource="core",
            points=points,
            action=action,
            with_token=with_token,
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
        self._answered.headers = answer_headers
        if status >= 400:
            # An error page of a proxy is text, not JSON.
            data = json.loads(text) if text.startswith("{") else {"message": text}
            raise requester.createException(status, answer_headers, data)
        return Answer(status, answer_headers, json.loads(text) if text else None)

    def _attempt(
        self,
        send: Callable[[Requester], T],
        *,
        resource: str,
        points: int,
        action: str,
        with_token: str | None = None,
    ) -> T:
        def once() -> T:
            call = self._reserved(resource, points, action, with_token)
            self._answered.headers = {}
            refusal: RateLimited | None = None
            try:
                with self._borrowed(call.token_fingerprint) as requester:
                    return self._classified(send, requester, action)
            except RateLimited as error:
                refusal = error
                raise self._blocked(call, error) from None
            finally:
                # After the block: nobody may slip in between the end of the call and the block that it brought.
                self.ledger.settle(
                    call,
                    observed(self._answered.headers),
                    is_refused=refusal is not None,
                    now=self.timing.read_clock(),
                )

        retrying = Retrying(
            stop=stop_after_attempt(self._attempts_count),
            wait=self._wait_s,
            retry=retry_if_exception(self._is_worth_waiting),
            sleep=self.timing.sleep,
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

    def _classified(self, send: Callable[[Requester], T], requester: Requester, action: str) -> T:
        try:
            return send(requester)
        except ServiceError:
            raise
        except Exception as error:
            # Not chained: the library's error carries the request, and with it the token.
            raise classify_github_error(error, action=action, now=self.timing.read_clock()) from None

    def _reserved(self, resource: str, points: int, action: str, with_token: str | None) -> Call:
        """A call that may go out; waits while the limits ask for moments only."""
        fingerprints = [with_token] if with_token else list(self._tokens)
        while True:
            now = self.timing.read_clock()
            granted = self.ledger.reserve(
                fingerprints,
                resource,
                points,
                now=now,
                lasts_s=2 * self._timeout_s,
                keep_ratio=self._keep_ratio if resource == "graphql" else 0.0,
            )
            if not isinstance(granted, Refusal):
                return granted
            if granted.reason in (Reason.PACE, Reason.IN_FLIGHT):
                self.timing.sleep((granted.retry_at - now).total_seconds())
                continue
            error = BudgetSpentError if granted.reason is Reason.SPENT else RateLimited
            raise error(
                service="GitHub",
                action=action,
                detail="the points to spend this hour are spent"
                if granted.reason is Reason.SPENT
                else "every token is blocked after an earlier refusal",
                retry_at=granted.retry_at,
            )

    def _blocked(self, call: Call, error: RateLimited) -> RateLimited:
        """The error with the moment at which the token may be used again."""
        until = self.ledger.block(
            call,
            is_secondary=error.is_secondary,
            stated=error.retry_at if error.is_wait_stated else None,
            now=self.timing.read_clock(),
        )
        return RateLimited(
            service=error.service,
            action=error.action,
            status=error.status,
            detail=error.detail,
            retry_at=until,
            is_secondary=error.is_secondary,
        )

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if self._has_other_token(error) or not isinstance(error, ServiceError):
            return self._wait(state)
        return max(error.wait_s(self.timing.read_clock()), self._wait(state))

    def _is_worth_waiting(self, error: BaseException) -> bool:
        if self._has_other_token(error):
            return True
        if not isinstance(error, TransientError | RateLimited):
            return False
        return error.wait_s(self.timing.read_clock()) <= MAX_WAIT_S

    def _has_other_token(self, error: BaseException | None) -> bool:
        """Whether GitHub refused a call that another token may make; the ledger's own refusals speak for all."""
        return isinstance(error, RateLimited) and error.status is not None and len(self._tokens) > 1

    @contextmanager
    def _borrowed(self, token_fingerprint: str) -> Iterator[Requester]:
        idle = self._idle[token_fingerprint]
        try:
            requester = idle.get_nowait()
        except queue.Empty:
            requester = self._connect(self._tokens[token_fingerprint])
        try:
            yield requester
        finally:
            idle.put(requester)

    def _connect(self, token: str) -> Requester:
        from github import Auth
        from github.Requester import Requester

        # PyGithub's own retry sleeps through a rate limit for up to an hour and its spacing serializes calls: both off.
        # `github.Github` around it would only insist on a timeout in whole seconds.
        return Requester(
            auth=Auth.Token(token),
            base_url=self._url,
            timeout=self._timeout_s,  # type: ignore[arg-type]  # handed on to requests, which takes fractions
            user_agent="platform-assets",
            per_page=100,
            verify=True,
            retry=None,
            pool_size=None,
        )

    def _note_headers(self, headers: Mapping[str, str]) -> None:
        seen = observed(headers)
        with self._lock:
            budget = replace(self._budget, calls_count=self._budget.calls_count + 1)
            if seen:
                budget = replace(
                    budget, remaining=seen.remaining_points, limit=seen.limit_points, reset_at=seen.reset_at
                )
            self._budget = budget

    def _spend(self, rate_limit: Mapping[str, Any] | None) -> None:
        if rate_limit:
            with self._lock:
                self._budget = replace(
                    self._budget, cost_points=self._budget.cost_points + rate_limit["cost"]
                )
