"""Times every HTTP call of the payment gateway's library: what was asked for, how long it took, how it ended.

Only measuring; keeping what was measured is `payments/gateway_metrics.py`'s. Neither ids, content nor secrets are kept.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import stripe

Outcome = Literal["ok", "transient", "rate_limited", "permanent"]

_ID = re.compile(r"^[a-z]+_\w+$")


@dataclass(frozen=True)
class GatewayCall:
    """One HTTP call.

    Attributes:
        operation: Method and path without ids, such as `POST /v1/payment_intents/{id}/confirm`.
        started_at: When it began (UTC).
        latency_ms: How long it took, in milliseconds.
        outcome: How it ended.
    """

    operation: str
    started_at: dt.datetime
    latency_ms: float
    outcome: Outcome


class CallLog:
    """Collects calls until someone keeps them; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[GatewayCall] = []

    def add(self, call: GatewayCall) -> None:
        """Note a call."""
        with self._lock:
            self._calls.append(call)

    def take(self) -> list[GatewayCall]:
        """The calls since the last time, oldest first; they are forgotten here."""
        with self._lock:
            calls, self._calls = self._calls, []
        return calls


def outcome_of(status: int | None) -> Outcome:
    """How a call ended, by its HTTP status; None when no answer came.

    A declined card (402) and an object that is not there (404) are answers.
    """
    if status is None or status in (408, 409, 425) or status >= 500:
        return "transient"
    if status == 429:
        return "rate_limited"
    return "ok" if status < 400 or status in (402, 404) else "permanent"


def operation_of(method: str, url: str) -> str:
    """Method and path of a call, with `{id}` for every id."""
    parts = urlsplit(url).path.split("/")
    start = parts.index("v1") if "v1" in parts else 0
    path = "/".join(
        "{id}" if _ID.match(part) and any(c.isdigit() for c in part) else part for part in parts[start:]
    )
    return f"{method.upper()} /{path}"


def timed_http_client(*, timeout_s: float, log: CallLog) -> stripe.RequestsClient:
    """The library's own HTTP client, which notes every call it makes, repeats included."""
    import stripe

    class TimedClient(stripe.RequestsClient):
        # As in the library, this one lacks the parameter that only its base class knows.
        def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:  # type: ignore[override]
            status: int | None = None
            started_at, started = dt.datetime.now(dt.UTC), time.monotonic()
            try:
                answer = super().request(method, url, headers, post_data)
                status = answer[1]
            finally:
                log.add(
                    GatewayCall(
                        operation_of(method, url),
                        started_at,
                        (time.monotonic() - started) * 1000,
                        outcome_of(status),
                    )
                )
            return answer

    return TimedClient(timeout=timeout_s)
