"""GitHub's primary rate limit: hourly windows per token and resource, and the headers that tell of them.

What a GraphQL query costs is in `github_cost`. Windows live in memory: a restarted server has forgotten them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

WINDOW_S = 3600


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


class Limiter:
    """The windows of all tokens.

    Args:
        limit: Calls (REST) or points (GraphQL) an hour; a change holds for windows that are open, too.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._windows: dict[tuple[str, str], Window] = {}

    def window(self, token: str, resource: str, *, now: float) -> Window:
        """The open window of a token; a new one when the last has passed."""
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
