"""GitHub's rate limits: hourly windows per token and resource with their headers, and the secondary limits on bursts.

What a GraphQL query costs is in `cost.py`. All of it lives in memory: a restarted server has forgotten it. The numbers:
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_S = 3600

CONCURRENT_CALLS = 100
POINTS_PER_MINUTE = {"core": 900, "graphql": 2_000}
CPU_S_PER_MINUTE = {"core": 90.0, "graphql": 60.0}
"""GitHub's secondary limits of a token: calls in flight over both APIs, and per minute points and seconds of CPU time."""


@dataclass
class Window:
    """One token's hour of one resource: `core` (REST) or `graphql`."""

    resource: str
    limit: int
    resets_at: int
    used: int = 0

    @property
    def remaining(self) -> int:
        """What is left of it."""
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        """The headers that every answer carries."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.resets_at),
            "x-ratelimit-resource": self.resource,
        }

    def as_json(self) -> dict[str, int]:
        """The form of `GET /rate_limit`."""
        return {
            "limit": self.limit,
            "used": self.used,
            "remaining": self.remaining,
            "reset": self.resets_at,
        }


@dataclass
class Minute:
    """What a token spent of one resource's secondary limits in the last 60 seconds."""

    points: deque[float] = field(default_factory=deque)
    cpu: deque[tuple[float, float]] = field(default_factory=deque)

    def forget_before(self, moment: float) -> None:
        """Drop what was spent before."""
        while self.points and self.points[0] <= moment:
            self.points.popleft()
        while self.cpu and self.cpu[0][0] <= moment:
            self.cpu.popleft()


class Limiter:
    """The windows of all tokens.

    Args:
        limit: Calls (REST) or points (GraphQL) an hour; a change holds for windows that are open, too.
        clock: Gives the seconds since 1970; a measurement may bring its own.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.clock = clock
        self._in_flight: dict[str, int] = {}
        self._minutes: dict[tuple[str, str], Minute] = {}
        self._windows: dict[tuple[str, str], Window] = {}

    def enter(self, token: str, resource: str) -> str | None:
        """Begin a call; gives the secondary limit that refuses it, if one does. Each entered call must `leave`."""
        now, minute = self.clock(), self._minutes.setdefault((token, resource), Minute())
        minute.forget_before(now - 60)
        self._in_flight[token] = self._in_flight.get(token, 0) + 1
        if self._in_flight[token] > CONCURRENT_CALLS:
            return "too many concurrent requests"
        if len(minute.points) >= POINTS_PER_MINUTE[resource]:
            return "too many requests in a minute"
        if sum(seconds for _, seconds in minute.cpu) >= CPU_S_PER_MINUTE[resource]:
            return "too much compute time in a minute"
        minute.points.append(now)
        return None

    def leave(self, token: str) -> None:
        """End a call."""
        self._in_flight[token] -= 1

    def charge_cpu(self, token: str, resource: str, seconds: float) -> None:
        """Note what a call took. GitHub publishes no prices, but says that the response time is a rough measure of it."""
        minute = self._minutes.setdefault((token, resource), Minute())
        minute.cpu.append((self.clock(), seconds))

    def window(self, token: str, resource: str) -> Window:
        """The open window of a token; a new one when the last has passed."""
        now = self.clock()
        key = (hashlib.sha256(token.encode()).hexdigest(), resource)
        window = self._windows.get(key)
        if window is None or now >= window.resets_at:
            window = Window(resource=resource, limit=self.limit, resets_at=int(now) + WINDOW_S)
            self._windows[key] = window
        window.limit = self.limit
        return window


def user_id(token: str) -> int:
    """The number by which messages name a token's owner."""
    return int(hashlib.sha256(token.encode()).hexdigest()[:6], 16)
