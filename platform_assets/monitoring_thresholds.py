"""The numbers that monitoring compares with: health of services, queues, alerts, notifications, recovery, retention.

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
    "service_dagster": at_least(
        0.995, "ratio", Severity.WARN, "without it nothing is refreshed; restarts take a look"
    ),
    "service_github": at_least(0.99, "ratio", Severity.WARN, "profiles wait for it, and may"),
    "service_gemini": at_least(0.99, "ratio", Severity.WARN, "there is another extractor"),
    "service_stripe": at_least(0.995, "ratio", Severity.WARN, "retries and reconciliation wait for it"),
    "service_neo4j": at_least(0.99, "ratio", Severity.WARN, "a projection: Postgres has it all"),
}
"""Share of good events that each service level promises over 28 days. What counts as an event is `monitoring/levels/levels.py`'s."""
