"""The numbers that monitoring compares with: health of services, queues, alerts, notifications, recovery, retention.

A block for each topic. Only data; the comparison stands in `thresholds.py`, what is measured in `monitoring/`.
"""

from __future__ import annotations

import datetime as dt

from platform_assets.thresholds import Severity, at_least, at_most

# Notifications

GROUP_WAIT = dt.timedelta(seconds=15)
"""What happens within it to one team is told in one message; a quarter of the minute in which the first has to be out."""

RETRY_FIRST_WAIT = dt.timedelta(seconds=10)
RETRY_WAIT_FACTOR = 2
RETRY_LONGEST_WAIT = dt.timedelta(minutes=10)
"""How long a channel rests after a failure. Ten minutes is what a channel that has come back may at worst wait to be used."""

DOWN_AFTER_FAILURES = 2
"""Failures in a row after which the fallback takes over: what is grouped for 15 seconds and refused twice, once at each look,
is still told within the minute. A single failure is no outage."""

DIVERT_AFTER = dt.timedelta(hours=1)
"""A message that waits for longer, for whatever reason, goes to the fallback."""

LEASE = dt.timedelta(seconds=60)
"""Three times the longest send: who has not come back by then never will, and its message is anybody's."""

CLOCK_SLACK = dt.timedelta(minutes=5)
"""What was queued further in the future than this was queued by a clock that has been put back since."""

CANARY_EVERY = dt.timedelta(hours=1)
DEADMAN_EVERY = dt.timedelta(minutes=1)
DAEMON_SILENCE = dt.timedelta(minutes=5)
"""Dagster's own measure: its daemons write a heartbeat every 30 seconds, and count as gone after five minutes."""

CRITICAL_PATIENCE = dt.timedelta(minutes=2)
"""A critical event that nobody was told of for longer means that not all is well."""

EVENTS_SHOWN = 20
"""A message lists so many events, the worst first, and counts the rest: it has to be read on a telephone."""

TOLD_WITHIN_S = 60.0
"""From an event to the first receipt."""

UNDELIVERED_AGE_S = at_most(
    300,
    "seconds",
    Severity.ERROR,
    "the oldest event that nobody has been told of; five minutes are a dead channel and a fallback that did not help",
)
TOLD_IN_TIME_RATIO = at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "events of the last day that were told within a minute; more than one in twenty late is no accident",
)
FAILED_DELIVERIES = at_most(
    0, "messages", Severity.WARN, "messages of the last day that no channel took: somebody has to look"
)
CANARY_LATENCY_S = at_most(
    60, "seconds", Severity.WARN, "from what happened to the channel's receipt, by the last canary"
)
