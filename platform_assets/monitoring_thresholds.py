"""The numbers that monitoring compares with: service levels, services, notifications, retention, reports.

A block for each topic. Only data; the comparison stands in `thresholds.py`, what is measured in `monitoring/`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from platform_assets.thresholds import Severity, Threshold, at_least, at_most

# Service levels: objectives over 28 days, and how fast their error budgets may be spent.

SERVICE_LEVEL_WINDOW = dt.timedelta(days=28)
"""Four whole weeks, so that every window has as many weekends: sre.google/workbook/implementing-slos."""

BURN_WINDOWS: dict[str, dt.timedelta] = {
    "5min": dt.timedelta(minutes=5),
    "30min": dt.timedelta(minutes=30),
    "1h": dt.timedelta(hours=1),
    "2h": dt.timedelta(hours=2),
    "6h": dt.timedelta(hours=6),
    "1d": dt.timedelta(days=1),
    "3d": dt.timedelta(days=3),
}


@dataclass(frozen=True)
class BurnAlert:
    """A pair of windows, and the speed at which both must spend the error budget for an alert.

    The long one says that it matters, the short one that it still goes on.

    Attributes:
        burn_rate: The speed, in multiples of the one that spends the budget in exactly 28 days.
        long: Name of the long window.
        short: Name of the short one.
        alert_severity: Severity of the alert.
        severity: Severity of the check.
    """

    burn_rate: float
    long: str
    short: str
    alert_severity: Literal["low", "medium", "high", "critical"]
    severity: Severity


# 14.4, 6 and 1 are those of sre.google/workbook/alerting-on-slos, table 5-8; 3 over a day stands between the last two.
BURN_ALERTS = (
    BurnAlert(14.4, "1h", "5min", "critical", Severity.ERROR),
    BurnAlert(6.0, "6h", "30min", "high", Severity.ERROR),
    BurnAlert(3.0, "1d", "2h", "medium", Severity.WARN),
    BurnAlert(1.0, "3d", "6h", "low", Severity.WARN),
)
"""From the fastest to the slowest."""

BURN_MIN_MOMENTS = 10
"""A long window with events at fewer moments says nothing. One look at many things is one moment."""

BURN_MIN_BAD_EVENTS = 2
"""One bad event is an incident of its own, with an alert of its own; where events are few it would look like a fire."""

BURN_PACE = at_most(
    1.0,
    "of the alerting burn rate",
    Severity.WARN,
    "both windows of a pair spend the error budget so fast that little is left when somebody comes to look",
)

MATCH_SEARCH_MS = at_most(
    300, "ms", Severity.WARN, "95th percentile of an ad-hoc search; a person waits for the answer"
)
NOTIFICATION_SECONDS = at_most(
    60, "seconds", Severity.WARN, "from the event to its first delivery; who is told later reads it elsewhere"
)
OVERRIDE_AGE_DAYS = at_most(
    90,
    "days",
    Severity.WARN,
    "an exception that has stood for a quarter is the rule, and belongs in the release with its reason",
)

SERVICE_LEVELS: dict[str, Threshold] = {
    "runs_ai_services": at_least(
        0.99, "ratio", Severity.WARN, "outside services fail now and then; reruns mend it"
    ),
    "runs_matching": at_least(
        0.99, "ratio", Severity.WARN, "all in our own database: one in a hundred is a restart"
    ),
    "runs_payments": at_least(
        0.99, "ratio", Severity.WARN, "the gateway fails now and then; a day has some 40 runs"
    ),
    "runs_monitoring": at_least(0.99, "ratio", Severity.WARN, "who watches may miss one look in a hundred"),
    "freshness_ai_services": at_least(
        0.99, "ratio", Severity.WARN, "seven hours of 28 days, whatever the asset's bound"
    ),
    "freshness_matching": at_least(
        0.99, "ratio", Severity.WARN, "seven hours of 28 days, whatever the asset's bound"
    ),
    "freshness_payments": at_least(
        0.99, "ratio", Severity.WARN, "seven hours of 28 days, whatever the asset's bound"
    ),
    "freshness_monitoring": at_least(
        0.99, "ratio", Severity.WARN, "seven hours of 28 days, whatever the asset's bound"
    ),
    "checks_ai_services": at_least(
        0.98, "ratio", Severity.WARN, "looks at which a check of severity ERROR passes"
    ),
    "checks_matching": at_least(
        0.98, "ratio", Severity.WARN, "looks at which a check of severity ERROR passes"
    ),
    "checks_payments": at_least(
        0.98, "ratio", Severity.WARN, "looks at which a check of severity ERROR passes"
    ),
    "checks_monitoring": at_least(
        0.98, "ratio", Severity.WARN, "looks at which a check of severity ERROR passes"
    ),
    "match_pages": at_least(0.999, "ratio", Severity.WARN, "a client who gets no page goes elsewhere"),
    "match_search_latency": at_least(
        0.99, "ratio", Severity.WARN, "one look in a hundred may fall on a vacuum"
    ),
    "gateway_calls": at_least(
        0.99, "ratio", Severity.WARN, "what the gateway refuses for a while is asked for again"
    ),
    "gemini_calls": at_least(
        0.95, "ratio", Severity.WARN, "a text in twenty may fail: the other extractor reads it"
    ),
    "notifications": at_least(0.99, "ratio", Severity.WARN, "an alert that nobody hears of is none"),
    "service_postgres": at_least(0.999, "ratio", Severity.WARN, "everything rests on it"),
    "service_dagster_daemons": at_least(
        0.995, "ratio", Severity.WARN, "without them nothing is refreshed; a restart takes a look"
    ),
    "service_code_location": at_least(
        0.995, "ratio", Severity.WARN, "without it nothing is refreshed; a restart takes a look"
    ),
    "service_github": at_least(0.99, "ratio", Severity.WARN, "profiles wait for it, and may"),
    "service_gemini": at_least(0.99, "ratio", Severity.WARN, "there is another extractor"),
    "service_stripe": at_least(0.995, "ratio", Severity.WARN, "retries and reconciliation wait for it"),
    "service_neo4j": at_least(0.99, "ratio", Severity.WARN, "a projection: Postgres has it all"),
}
"""Share of good events that each service level promises over 28 days. What counts as an event is `monitoring/levels/levels.py`'s."""

# Retention.

ROLLUP_ROWS_DIFFERING = at_most(
    0,
    "rows",
    Severity.ERROR,
    "rows are purged only when their roll-up says the same; where it does not, they stay, and somebody must look",
)
RETENTION_OVERDUE_DAYS = at_most(
    2, "days", Severity.WARN, "beyond the retention period; a sweep a day leaves at most one"
)

# Performance report.

FAILED_RUNS_RATIO = at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "of all runs of a day; single failures are alerts of their own, so many are a common cause",
)
FAILED_RUNS_LEAST = 50
"""A share of fewer runs says nothing."""

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

# Health of services, and performance of those that answer with a model.

WORSE_LOOKS_COUNT = 2
"""Looks in a row that make a service's state worse: one lost packet is no outage, and two looks are ten minutes at most."""

BETTER_LOOKS_COUNT = 2
"""Looks in a row that make it better: who answers every other time is not well."""

LOOK_GAP_MINUTES = 20
"""Looks further apart are not in a row: what was between them nobody knows. Three looks missed at every five minutes."""

TRAFFIC_WINDOW_MINUTES = 15
"""How far back real calls tell how a service is now; longer, and it would seem ill long after it has recovered."""

TRAFFIC_MIN_CALLS_COUNT = 5
"""Fewer calls say nothing about a rate."""

POOR_ABOVE: dict[str, Threshold] = {
    # A number of a service's look → what makes the look a poor one.
    "latency_ms": at_most(
        2_000,
        "ms",
        Severity.WARN,
        "cheap calls answer within a second; at two, hundreds of them take minutes",
    ),
    "failed_calls_ratio": at_most(
        0.2, "ratio", Severity.WARN, "single calls fail anywhere; one in five is what repeats no longer hide"
    ),
    "connections_used_ratio": at_most(
        0.9,
        "ratio",
        Severity.WARN,
        "the platform takes up to ten; the last tenth may be gone at the next peak",
    ),
    "replication_lag_s": at_most(
        60, "s", Severity.WARN, "a standby that is a minute behind loses a minute of payments at a failover"
    ),
    "oldest_due_age_s": at_most(
        120, "s", Severity.WARN, "a notification goes out within a minute; two are a deliverer that is late"
    ),
}

DAEMON_HEARTBEAT_S = 180
"""Age at which a daemon's heartbeat counts as missed: each beats every 30 seconds, and a long tick may hold it up."""

UNDELIVERED_FAILED_S = 900
"""Age of the oldest notification that is due at which delivery counts as failed: its retries are through by then."""

_LEVELS = "0 is healthy, 1 degraded, 2 down"
SERVICE_DEGRADED = at_most(0, "level", Severity.WARN, f"{_LEVELS}: it answers, but not as it should")
SERVICE_DOWN = at_most(0, "level", Severity.ERROR, f"{_LEVELS}: work that needs it fails or waits")
SERVICE_REPLACED = at_most(
    0, "level", Severity.WARN, f"{_LEVELS}: what needs it goes on without, in a simpler way or later"
)

SERVICES_DOWN: dict[str, Threshold] = {
    # Service → what it means that it is down.
    "postgres": SERVICE_DOWN,
    "dagster_daemons": SERVICE_DOWN,
    "code_location": SERVICE_DOWN,
    "github": SERVICE_DOWN,
    "stripe": SERVICE_DOWN,
    "neo4j": SERVICE_REPLACED,
    "gemini": SERVICE_REPLACED,
    "embedder": SERVICE_DOWN,
    "notifications": SERVICE_DOWN,
}

AI_FAILED_RATIO: dict[str, Threshold] = {
    "gemini": at_most(
        0.05,
        "ratio",
        Severity.WARN,
        "calls of the last hour without an answer; one in twenty may fail, more is an outage",
    ),
    "embedder": at_most(0, "ratio", Severity.ERROR, "it runs here: what fails is our own fault"),
}
AI_LATENCY_P95_MS: dict[str, Threshold] = {
    "gemini": at_most(
        10_000,
        "ms",
        Severity.WARN,
        "an answer takes one to three seconds; at ten, a refresh misses its half hour",
    ),
}
AI_BUDGET_SPENT_HOURS = at_most(
    0,
    "hours",
    Severity.WARN,
    "hours of this UTC day without a budget, at the pace so far; new texts are read less well in these",
)
