"""What can go wrong with a remote service, classified once for every client.

    ServiceError
    ├── PermanentError      the same call never succeeds: a person or a change is needed
    │   ├── QueryTooLargeError   the same call never succeeds, a smaller one may
    │   └── InvalidAnswerError   (gemini) an answer that is not what was asked for
    ├── TransientError      a rerun with backoff may succeed
    │   └── NoAnswerInTimeError  (gemini) no answer within the client's limit
    └── RateLimited         a rerun at `retry_at` may succeed

Here stand the exceptions and, per service, one pure function that says which of them an error of its library is.
Retrying is the clients' business; no network access here. No text holds a header or a secret.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from platform_assets.errors import PlatformError

DETAIL_CHARS = 300
"""How much of an answer a message may quote; an error page would drown the rest."""

DEFAULT_WAIT = dt.timedelta(minutes=1)
"""Wait after a limit that names no time: the least that GitHub asks for after a secondary limit."""

# Keys and tokens by their published prefixes, and whatever follows an authorization scheme.
_SECRETS = re.compile(
    r"\b(?:(?:sk|rk|pk|whsec)_\S+|gh[opsur]_\w+|github_pat_\w+|\w+_secret_\w+|(?:Bearer|Basic|token)\s+\S{8,})"
)


_MOMENT = "%Y-%m-%d %H:%M:%S"
_STATED_MOMENT = re.compile(r"\(not before (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\)")


class Kind(StrEnum):
    """Whether and when a rerun can help."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"


class ServiceError(PlatformError):
    """A remote service did not do what was asked.

    Attributes:
        service: Name of the service, such as `GitHub`.
        action: What was tried, such as `read 20 accounts`.
        status: HTTP status; None when no answer came.
        detail: What came back, shortened and without secrets.
        retry_at: Before this moment (UTC) a rerun is pointless; None when the service named none.
    """

    kind: ClassVar[Kind]
    advice: ClassVar[str]

    def __init__(
        self,
        *,
        service: str,
        action: str,
        detail: str,
        status: int | None = None,
        retry_at: dt.datetime | None = None,
    ) -> None:
        self.service = service
        self.action = action
        self.status = status
        self.detail = shown(detail)
        self.retry_at = retry_at
        answer = f"HTTP {status}: {self.detail}" if status else self.detail
        when = f" (not before {retry_at:{_MOMENT}} UTC)" if retry_at else ""
        super().__init__(f"{service}: could not {action}: {answer}. {self.advice}{when}.")

    def wait_s(self, now: dt.datetime) -> float:
        """Seconds from `now` until a rerun makes sense; 0 when the service named no time."""
        return max(0.0, (self.retry_at - now).total_seconds()) if self.retry_at else 0.0


class PermanentError(ServiceError):
    """The same call never succeeds."""

    kind = Kind.PERMANENT
    advice = "A rerun does not help"


class QueryTooLargeError(PermanentError):
    """The service refuses the size of one call; a smaller one may pass."""

    advice = "The same query never passes, a smaller one may"


class TransientError(ServiceError):
    """A rerun with backoff may succeed."""

    kind = Kind.TRANSIENT
    advice = "A rerun may help"


class RateLimited(ServiceError):  # noqa: N818  (a state that passes, not a fault)
    """The service wants fewer calls; `retry_at` is always set."""

    kind = Kind.RATE_LIMITED
    advice = "A rerun helps once the limit is lifted"


def shown(text: str) -> str:
    """`text` on one line, shortened, with whatever looks like a secret blotted out."""
    line = " ".join(_SECRETS.sub("[secret]", text).split())
    return line if len(line) <= DETAIL_CHARS else line[: DETAIL_CHARS - 1] + "…"


def stated_retry_at(message: str) -> dt.datetime | None:
    """The moment (UTC) before which, by the text of a `ServiceError`, a rerun is pointless; None when it states none."""
    stated = _STATED_MOMENT.search(message)
    return dt.datetime.strptime(stated[1], _MOMENT).replace(tzinfo=dt.UTC) if stated else None


def retry_after(headers: Mapping[str, str], *, now: dt.datetime) -> dt.datetime | None:
    """The moment that a `Retry-After` header names: seconds or an HTTP date (RFC 9110, 10.2.3); None without one."""
    value = _header(headers, "retry-after")
    if value is None:
        return None
    if value.isdigit():
        # No service means more than a year; beyond it the date arithmetic would overflow.
        return now + dt.timedelta(seconds=min(int(value), 366 * 86_400))
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def moment_of(headers: Mapping[str, str]) -> dt.datetime | None:
    """When an answer was given, by its `Date` header; None without a readable one."""
    try:
        return email.utils.parsedate_to_datetime(_header(headers, "date") or "")
    except ValueError:
        return None


def classify_github_error(error: Exception, *, action: str, now: dt.datetime) -> ServiceError:
    """What an error of PyGithub, or of requests below it, means.

    Args:
        error: What was raised.
        action: What was tried, for the message.
        now: The moment it was raised; a stated wait is counted from here.

    Returns:
        The classified error, to be raised or kept.
    """
    import requests
    from github import GithubException

    if isinstance(error, GithubException):
        return _github_answer(
            error.status, _github_message(error), dict(error.headers or {}), action=action, now=now
        )
    if isinstance(error, requests.exceptions.SSLError | requests.exceptions.InvalidURL):
        return PermanentError(service="GitHub", action=action, detail=_network_detail(error))
    # A body that breaks off is no valid JSON, and PyGithub lets the parser's error through.
    if isinstance(error, requests.RequestException | json.JSONDecodeError):
        return TransientError(service="GitHub", action=action, detail=_network_detail(error))
    return PermanentError(service="GitHub", action=action, detail=f"{type(error).__name__}: {error}")


def classify_graphql_error(
    error: Mapping[str, Any], *, headers: Mapping[str, str], action: str, now: dt.datetime
) -> ServiceError:
    """What one entry of a GitHub GraphQL answer's `errors` means; `NOT_FOUND` is the caller's to treat as a state."""
    # Errors of execution have a `type`, those of validation a code among their extensions.
    extensions = error.get("extensions") or {}
    code = str(error.get("type") or extensions.get("code") or "")
    detail = f"{code}: {error.get('message', '')}".removeprefix(": ")
    fields: dict[str, Any] = {"service": "GitHub", "action": action, "status": 200, "detail": detail}
    match code:
        case "RATE_LIMITED" | "RATE_LIMIT":  # GitHub has sent both
            return RateLimited(**fields, retry_at=_github_limit(headers, now=now))
        case "RESOURCE_LIMITS_EXCEEDED" | "MAX_NODE_LIMIT_EXCEEDED":
            return QueryTooLargeError(**fields)
        case "" | "SERVICE_UNAVAILABLE" | "INTERNAL" | "TIMEOUT":
            # Without a code it is "Something went wrong while executing your query", GitHub's word for a timeout.
            return TransientError(**fields, retry_at=retry_after(headers, now=now))
        case _:
            return PermanentError(**fields)


def classify_stripe_error(error: Exception, *, action: str, now: dt.datetime) -> ServiceError:
    """What an error of the Stripe library means.

    Args:
        error: What was raised.
        action: What was tried, for the message.
        now: The moment it was raised; a stated wait is counted from here.

    Returns:
        The classified error, to be raised or kept.
    """
    import requests
    import stripe

    if not isinstance(error, stripe.StripeError):
        return PermanentError(service="Stripe", action=action, detail=f"{type(error).__name__}: {error}")
    headers = error.headers or {}
    status = error.http_status
    fields: dict[str, Any] = {"service": "Stripe", "action": action, "status": status}
    if isinstance(error, stripe.AuthenticationError):
        # Stripe's own text quotes a part of the key.
        return PermanentError(**fields, detail="the API key is invalid, expired or revoked")
    detail = shown(error.user_message or error.http_body or type(error).__name__)
    if isinstance(error, stripe.APIConnectionError):
        # `should_retry` is false when no connection can ever be made, as with a bad certificate.
        # It is false as well for a body that broke off, which is whole the next time.
        is_cut = isinstance(error.__cause__, requests.exceptions.ChunkedEncodingError)
        cls = TransientError if error.should_retry or is_cut else PermanentError
        return cls(**fields, detail=detail)
    if isinstance(error, stripe.RateLimitError) or status == 429:
        return RateLimited(
            **fields, detail=detail, retry_at=retry_after(headers, now=now) or now + DEFAULT_WAIT
        )
    # 409 is a conflict with another call in flight; an error with a good status or none is a broken answer.
    is_broken = isinstance(error, stripe.APIError) and (status or 0) < 400
    if is_broken or _is_transient(status) or status == 409:
        return TransientError(**fields, detail=detail, retry_at=retry_after(headers, now=now))
    return PermanentError(**fields, detail=detail)


def classify_neo4j_error(error: Exception, *, action: str, now: dt.datetime) -> ServiceError:
    """What an error of the Neo4j driver means.

    Args:
        error: What was raised.
        action: What was tried, for the message.
        now: The moment it was raised; a wait is counted from here.

    Returns:
        The classified error, to be raised or kept.
    """
    from neo4j import exceptions

    fields: dict[str, Any] = {"service": "Neo4j", "action": action}
    if isinstance(error, exceptions.Neo4jError):
        detail = f"{error.code}: {error.message}"
        if error.code == "Neo.ClientError.Security.AuthenticationRateLimit":
            return RateLimited(**fields, detail=detail, retry_at=now + DEFAULT_WAIT)
        if isinstance(error, exceptions.AuthError):
            return PermanentError(**fields, detail="the user or the password is refused")
        cls = TransientError if error.is_retryable() else PermanentError
        return cls(**fields, detail=detail)
    if isinstance(error, exceptions.ConfigurationError | exceptions.UnsupportedServerProduct):
        return PermanentError(**fields, detail=str(error))
    # What is left of the driver's own, and of the system below it, is a connection that is lost or can't be made.
    if isinstance(error, exceptions.DriverError | OSError):
        return TransientError(**fields, detail=_network_detail(error))
    return PermanentError(**fields, detail=f"{type(error).__name__}: {error}")


def _github_answer(
    status: int, message: str, headers: Mapping[str, str], *, action: str, now: dt.datetime
) -> ServiceError:
    fields: dict[str, Any] = {"service": "GitHub", "action": action, "status": status}
    if status == 401:
        return PermanentError(**fields, detail="the token is invalid, expired or revoked")
    if status == 429 or (status == 403 and _is_github_limit(message, headers)):
        return RateLimited(**fields, detail=message, retry_at=_github_limit(headers, now=now))
    if _is_transient(status):
        return TransientError(**fields, detail=message, retry_at=retry_after(headers, now=now))
    return PermanentError(**fields, detail=message)


def _is_transient(status: int | None) -> bool:
    return status is not None and (status in (408, 425) or status >= 500)


def _is_github_limit(message: str, headers: Mapping[str, str]) -> bool:
    # A 403 is otherwise a lack of rights. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    lower = message.lower()
    return (
        "rate limit" in lower
        or "abuse detection" in lower
        or _header(headers, "retry-after") is not None
        or _header(headers, "x-ratelimit-remaining") == "0"
    )


def _github_limit(headers: Mapping[str, str], *, now: dt.datetime) -> dt.datetime:
    """When a limit is lifted, in GitHub's own order: `Retry-After`, the reset of a spent limit, or a minute."""
    stated = retry_after(headers, now=now)
    if stated:
        return stated
    reset = _header(headers, "x-ratelimit-reset")
    if _header(headers, "x-ratelimit-remaining") == "0" and reset and reset.isdigit():
        # One second more, as the reset falls somewhere within the second.
        return max(now, dt.datetime.fromtimestamp(int(reset) + 1, tz=dt.UTC))
    return now + DEFAULT_WAIT


def _github_message(error: Any) -> str:
    data = error.data
    if isinstance(data, Mapping):
        return str(data.get("message") or data.get("data") or error.message or "no message")
    return str(data or error.message or "no message")


def _network_detail(error: Exception) -> str:
    # The class says timeout, refused or reset; the text repeats the address, which may hold credentials.
    return f"{type(error).__name__} (no usable answer)"


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)
