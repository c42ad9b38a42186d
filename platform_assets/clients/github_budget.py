"""GitHub's limits as arithmetic: what a token may still spend, which token a call goes to, and how long to wait.

Pure: no clock, no database, no network. Who keeps the numbers is `github_ledger.py`. The limits are GitHub's own:
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api and
https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

CONCURRENT_CALLS_COUNT = 100
"""Calls in flight that GitHub allows a token over both APIs."""

DEFAULT_LIMIT_POINTS = 5_000
"""Points an hour that a token has until an answer says otherwise."""

SECONDARY_POINTS_PER_MINUTE = {"graphql": 2_000, "core": 900}
"""Points that GitHub allows a token in any minute. A query without a mutation, and a GET, is one."""

BURST_POINTS = 200
"""Calls that may go out at once. What comes after is paced, so that burst and refill together never exceed the minute."""

WAIT_MIN = dt.timedelta(minutes=1)
WAIT_MAX = dt.timedelta(hours=1)
"""GitHub asks for at least a minute after a secondary limit that names no time, and for exponentially more after that."""

IN_FLIGHT_RETRY = dt.timedelta(milliseconds=50)


class Reason(StrEnum):
    """Why no call may go out now."""

    PACE = "pace"
    """Too many calls this minute; passes within a second."""
    IN_FLIGHT = "in flight"
    """Too many calls are being answered; passes within seconds."""
    SPENT = "spent"
    """The points that may be spent are spent; passes at the reset."""
    BLOCKED = "blocked"
    """GitHub refused a call and named a time, or must be given one."""


@dataclass(frozen=True)
class Refusal:
    """No token may make the call before `retry_at`."""

    reason: Reason
    retry_at: dt.datetime


@dataclass(frozen=True)
class Observed:
    """What an answer's headers say of the primary limit."""

    limit_points: int
    remaining_points: int
    reset_at: dt.datetime


@dataclass(frozen=True)
class Call:
    """A call in flight, and the primary points that are set aside for it."""

    call_id: str
    token_fingerprint: str
    resource: str
    points: int
    expires_at: dt.datetime


@dataclass(frozen=True)
class Budget:
    """What GitHub leaves to one token for one API; the fields are the columns of `monitoring.github_budgets`."""

    token_fingerprint: str
    resource: str
    burst_at: dt.datetime
    burst_points: float = BURST_POINTS
    limit_points: int | None = None
    remaining_points: int | None = None
    unseen_points: int = 0
    reset_at: dt.datetime | None = None
    blocked_until: dt.datetime | None = None
    limits_in_row_count: int = 0

    def limit(self) -> int:
        """Points an hour."""
        return DEFAULT_LIMIT_POINTS if self.limit_points is None else self.limit_points

    def free_points(self, in_flight: Collection[Call], *, now: dt.datetime) -> int:
        """Primary points left that no call in flight has set aside; all of them once the hour is over."""
        is_over = self.reset_at is None or self.reset_at <= now
        left = self.limit() if is_over or self.remaining_points is None else self.remaining_points
        if not is_over or self.reset_at is None:
            left -= self.unseen_points
        return left - sum(call.points for call in self._own(in_flight))

    def burst(self, now: dt.datetime) -> float:
        """Secondary points that may be spent at once."""
        refill_per_s = (SECONDARY_POINTS_PER_MINUTE[self.resource] - BURST_POINTS) / 60
        # A clock that was set back refills nothing.
        passed_s = max(0.0, (now - self.burst_at).total_seconds())
        return min(float(BURST_POINTS), self.burst_points + passed_s * refill_per_s)

    def refusal(
        self, points: int, in_flight: Collection[Call], *, now: dt.datetime, keep_ratio: float
    ) -> Refusal | None:
        """Why this token may not make a call of so many points; None when it may.

        Args:
            points: Primary points of the call.
            in_flight: Calls in flight of every token and API.
            now: The moment (UTC).
            keep_ratio: Share of the limit to leave to others.
        """
        if self.blocked_until is not None and self.blocked_until > now:
            return Refusal(Reason.BLOCKED, self.blocked_until)
        if points > 0 and self.free_points(in_flight, now=now) - points < self.limit() * keep_ratio:
            return Refusal(Reason.SPENT, self._reset_after(now))
        if (
            sum(call.token_fingerprint == self.token_fingerprint for call in in_flight)
            >= CONCURRENT_CALLS_COUNT
        ):
            return Refusal(Reason.IN_FLIGHT, now + IN_FLIGHT_RETRY)
        missing = 1 - self.burst(now)
        if missing > 0:
            refill_per_s = (SECONDARY_POINTS_PER_MINUTE[self.resource] - BURST_POINTS) / 60
            return Refusal(Reason.PACE, now + dt.timedelta(seconds=missing / refill_per_s, microseconds=1))
        return None

    def started(self, *, now: dt.datetime) -> Budget:
        """After a call went out."""
        return replace(self, burst_points=self.burst(now) - 1, burst_at=max(now, self.burst_at))

    def answered(self, call: Call, observed: Observed | None, *, is_refused: bool) -> Budget:
        """After a call ended. One without headers may have been charged, so it counts as if it was."""
        if observed is None:
            return replace(self, unseen_points=self.unseen_points + call.points)
        after = self.seen(observed)
        return after if is_refused else replace(after, limits_in_row_count=0)

    def seen(self, observed: Observed) -> Budget:
        """After headers were read; answers overtake each other, and within an hour the least is the latest."""
        remaining, unseen = observed.remaining_points, 0
        reset_at = observed.reset_at
        if self.reset_at is None:
            unseen = self.unseen_points
        if self.reset_at is not None and self.remaining_points is not None:
            # The header is in whole seconds and may differ by one between answers of the same hour.
            drift_s = (observed.reset_at - self.reset_at).total_seconds()
            if drift_s < -1:
                return self
            if drift_s <= 1:
                remaining = min(remaining, self.remaining_points)
                unseen = self.unseen_points
                reset_at = max(reset_at, self.reset_at)
        return replace(
            self,
            limit_points=observed.limit_points,
            remaining_points=remaining,
            unseen_points=unseen,
            reset_at=reset_at,
        )

    def told(self, observed: Observed) -> Budget:
        """After GitHub was asked while no call was in flight: whatever was spent is in its answer."""
        return replace(
            self,
            limit_points=observed.limit_points,
            remaining_points=observed.remaining_points,
            unseen_points=0,
            reset_at=observed.reset_at,
        )

    def blocked(self, until: dt.datetime) -> Budget:
        """After a refusal; a shorter block never lifts a longer one."""
        longest = until if self.blocked_until is None else max(until, self.blocked_until)
        return replace(self, blocked_until=longest, limits_in_row_count=self.limits_in_row_count + 1)

    def _own(self, in_flight: Collection[Call]) -> list[Call]:
        return [
            call
            for call in in_flight
            if call.token_fingerprint == self.token_fingerprint and call.resource == self.resource
        ]

    def _reset_after(self, now: dt.datetime) -> dt.datetime:
        if self.reset_at is not None and self.reset_at > now:
            return self.reset_at + dt.timedelta(seconds=1)
        return now + dt.timedelta(hours=1)


def choose(
    budgets: Collection[Budget],
    points: int,
    in_flight: Collection[Call],
    *,
    now: dt.datetime,
    keep_ratio: float,
) -> Budget | Refusal:
    """The token with most points left that may make a call now, or the refusal that passes first."""
    refusals = []
    for budget in sorted(
        budgets, key=lambda one: (-one.free_points(in_flight, now=now), one.token_fingerprint)
    ):
        refusal = budget.refusal(points, in_flight, now=now, keep_ratio=keep_ratio)
        if refusal is None:
            return budget
        refusals.append(refusal)
    return min(refusals, key=lambda refusal: refusal.retry_at)


def unstated_wait(limits_in_row_count: int, *, jitter_ratio: float) -> dt.timedelta:
    """How long to wait after a secondary limit that names no time: a minute, doubled each time, and jitter on top.

    Args:
        limits_in_row_count: Refusals before this one since a call was last answered.
        jitter_ratio: From 0 to 1; up to a quarter of the wait is added, so that processes do not return together.
    """
    wait: dt.timedelta = min(WAIT_MIN * 2.0 ** min(limits_in_row_count, 10), WAIT_MAX)
    return wait * (1 + jitter_ratio / 4)


def fingerprint(token: str) -> str:
    """What stands for a token wherever the token itself must not."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def observed(headers: Mapping[str, str]) -> Observed | None:
    """What an answer's headers say of the primary limit; None when they say nothing, as those of a proxy."""
    limit, remaining, reset = (
        headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")
    )
    if not (limit.isdigit() and remaining.isdigit() and reset.isdigit()):
        return None
    return Observed(int(limit), int(remaining), dt.datetime.fromtimestamp(int(reset), tz=dt.UTC))
