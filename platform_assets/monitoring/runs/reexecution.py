"""What follows from a failed run: another attempt at a moment that fits the cause, or none. Pure.

Keeping and launching attempts is `records.py`'s and the sensor's business.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from platform_assets.monitoring.runs.failure_causes import Cause, Diagnosis

MAX_ATTEMPTS = {Cause.TRANSIENT: 4, Cause.RATE_LIMITED: 6, Cause.INFRASTRUCTURE: 3}
"""Most attempts after the first run. Transient: the waits add up to half an hour, which outlasts a restart, not an outage.
Rate limits end by themselves, so they get more. A process that is killed a fourth time is killed for what it does."""

FIRST_WAIT = dt.timedelta(minutes=1)
WAIT_FACTOR = 2
LONGEST_WAIT = dt.timedelta(minutes=30)
JITTER_RATIO = 0.25
"""Waits are lengthened by up to this part, so that runs that failed together do not come back together."""


@dataclass(frozen=True)
class Decision:
    """What is done about a failed run.

    Attributes:
        attempt: Number of the next attempt, from 1; None when there is none.
        due_at: Not to be launched before (UTC); None without an attempt.
        is_quarantined: Whether attempts were made and are used up: only a person can go on.
        reason: One sentence for a person.
    """

    attempt: int | None
    due_at: dt.datetime | None
    is_quarantined: bool
    reason: str


def decide(diagnosis: Diagnosis, *, root_run_id: str, attempts_made: int, now: dt.datetime) -> Decision:
    """Decide what follows from a failure.

    Args:
        diagnosis: Why the run failed.
        root_run_id: The first run of this work; spreads the jitter.
        attempts_made: Attempts after the first run that have been made.
        now: When the failure became known.
    """
    cause = diagnosis.cause
    if cause is Cause.PERMANENT:
        return Decision(None, None, is_quarantined=False, reason="a rerun would fail for the same reason")
    if attempts_made >= MAX_ATTEMPTS[cause]:
        return Decision(
            None,
            None,
            is_quarantined=True,
            reason=f"{attempts_made} attempts after the first run have failed, the last one with a cause that is {cause}",
        )
    attempt = attempts_made + 1
    if cause is Cause.INFRASTRUCTURE:
        return Decision(attempt, now, is_quarantined=False, reason="the work itself did not fail")
    wait = _wait(root_run_id, attempt)
    if cause is Cause.RATE_LIMITED and diagnosis.retry_at is not None:
        # After the limit ends, and not all at once.
        due_at = max(diagnosis.retry_at, now) + wait * JITTER_RATIO
        return Decision(attempt, due_at, is_quarantined=False, reason="the limit ends by then")
    due_at = max(now + wait, diagnosis.retry_at or now)
    return Decision(attempt, due_at, is_quarantined=False, reason="the cause may have passed by then")


def _wait(root_run_id: str, attempt: int) -> dt.timedelta:
    wait: dt.timedelta = min(FIRST_WAIT * WAIT_FACTOR ** (attempt - 1), LONGEST_WAIT)
    # A hash instead of a die: the same failure gets the same moment, however often it is recorded.
    digest = hashlib.sha256(f"{root_run_id}:{attempt}".encode()).digest()
    return wait * (1 + JITTER_RATIO * int.from_bytes(digest[:4]) / 2**32)
