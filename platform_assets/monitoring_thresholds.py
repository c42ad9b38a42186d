"""The numbers that monitoring compares with: health of services, queues, alerts, notifications, recovery, retention.

A block for each topic. Only data; the comparison stands in `thresholds.py`, what is measured in `monitoring/`.
"""

from __future__ import annotations

# The supervisor: processes that end are started again.

RESTART_WAIT_S = 1.0
RESTART_LONGEST_WAIT_S = 30.0
"""A process that ended is started again at once; when it ends again, after waits that double between these."""

WELL_AFTER_S = 60.0
"""A process that has answered for this long is well again: its alert is resolved, and its waits begin anew."""

CRASH_LOOP_ENDS = 5
CRASH_LOOP_WINDOW_S = 300.0
"""Ends within the window that make a crash loop. The waits alone add up to 15 s for five ends: a restart that helps does so earlier."""

HUNG_S = 60.0
"""A process that lives and has not answered for this long is ended and started again; a busy machine is slow, not silent."""

START_LIMIT_S = 180.0
"""A process that has not answered for the first time after this long is ended and started again: loading everything takes
5 s of an idle machine."""

# What `platform-assets health` calls a problem.

DAEMON_SILENT_S = 120.0
"""Dagster's daemons beat every 30 s; one that works through a long tick is late."""

TICKS_LATE_S = 660.0
"""The most frequent schedules tick every 5 minutes: two ticks missed, and a minute."""

OUTBOX_LATE_S = 300.0
"""A notification that has been due for this long should have been delivered, or its channels are known to fail."""
