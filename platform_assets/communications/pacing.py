"""When a channel may be tried: its rate limit, and its rest after failures. Pure."""

from __future__ import annotations

import datetime as dt

from platform_assets.monitoring_thresholds import (
    DOWN_AFTER_FAILURES,
    RETRY_FIRST_WAIT,
    RETRY_LONGEST_WAIT,
    RETRY_WAIT_FACTOR,
)

_MINUTE = dt.timedelta(minutes=1)
_FARTHEST = 2 * _MINUTE
"""A limit is never used up for more than a minute ahead, by a clock that differs a little perhaps."""


def is_down(failures_count: int) -> bool:
    """Whether a channel counts as not working, so that its fallback takes over."""
    return failures_count >= DOWN_AFTER_FAILURES


def failed_until(
    failures_count: int, *, now: dt.datetime, retry_at: dt.datetime | None = None
) -> dt.datetime:
    """Until when a channel rests after so many failures in a row.

    Args:
        failures_count: From 1.
        now: The moment of the last one.
        retry_at: When the channel itself wants to be tried again.
    """
    # The exponent is bounded as well: a channel that is never mended counts for years.
    wait: dt.timedelta = min(
        RETRY_FIRST_WAIT * RETRY_WAIT_FACTOR ** min(failures_count - 1, 16), RETRY_LONGEST_WAIT
    )
    return max(now + wait, retry_at or now)


def may_try(
    resting_until: dt.datetime | None,
    paced_until: dt.datetime | None,
    messages_per_minute: int,
    *,
    now: dt.datetime,
) -> bool:
    """Whether a message may be sent now.

    Moments further away than they could have been set belong to a clock that has been put back since, and count for nothing.
    """
    if resting_until is not None and now < resting_until <= now + 2 * RETRY_LONGEST_WAIT:
        return False
    if paced_until is None or paced_until > now + _FARTHEST:
        return True
    return paced_until - now <= _MINUTE - _gap(messages_per_minute)


def paced_until(
    paced_until: dt.datetime | None, messages_per_minute: int, *, now: dt.datetime
) -> dt.datetime:
    """How far ahead the rate limit is used up after one more message.

    The generic cell rate algorithm (ITU-T I.371): a minute's messages may go at once, then one in each gap.
    """
    start = now
    if paced_until is not None and paced_until <= now + _FARTHEST:
        start = max(paced_until, now)
    return start + _gap(messages_per_minute)


def _gap(messages_per_minute: int) -> dt.timedelta:
    return _MINUTE / messages_per_minute
