"""The numbers that monitoring compares with: health of services, queues, alerts, notifications, recovery, retention.

A block for each topic. Only data; the comparison stands in `thresholds.py`, what is measured in `monitoring/`.
"""

from __future__ import annotations

from platform_assets.thresholds import Severity, Threshold, at_most

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
