"""The numbers that monitoring compares with: health of services, queues, alerts, notifications, recovery, retention.

A block for each topic. Only data; the comparison stands in `thresholds.py`, what is measured in `monitoring/`.
"""

from __future__ import annotations

import datetime as dt

from platform_assets.thresholds import Severity, at_most

# Retention: how long what was measured is kept as it was, before it is rolled up by hour or goes.

RAW_METRICS_KEPT = dt.timedelta(days=14)
"""Measured every few minutes: long enough to compare a week with the one before."""

CALLS_KEPT = dt.timedelta(days=60)
"""Single calls of AI services and the gateway: service levels look back 28 days, and a dispute is answered within weeks."""

DERIVED_METRICS_KEPT = dt.timedelta(days=90)
"""Hourly and rarer figures: a quarter."""

RUN_OUTCOMES_KEPT = dt.timedelta(days=90)
"""How runs ended and were run again; what is usual for a job is read from them."""

ALERTS_KEPT = dt.timedelta(days=180)
"""Alerts that are resolved, with what was told of them."""

ROLLUPS_KEPT = dt.timedelta(days=400)
"""Hourly roll-ups, and the record of sweeps: a year and a month, so that each month has last year's beside it."""

RUN_HISTORY_KEPT = dt.timedelta(days=14)
"""Dagster's runs with their events, check evaluations and logs: some 60 MB a day at this timetable."""

ROLLUP_ROWS_DIFFERING = at_most(
    0,
    "rows",
    Severity.ERROR,
    "rows are purged only when their roll-up says the same; where it does not, they stay, and somebody must look",
)
RETENTION_OVERDUE_DAYS = at_most(
    2, "days", Severity.WARN, "beyond the retention period; a sweep a day leaves at most one"
)
