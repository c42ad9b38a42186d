"""The numbers of queues, of recovery and of keeping processes alive: what is stuck, how long is too long, how much is done at once.

Only data; the comparison stands in `thresholds.py`, what is done about it in `monitoring/queues/` and `supervision/`.
"""

from __future__ import annotations

import datetime as dt

from platform_assets.thresholds import Severity, at_most

# Queues, ticks and recovery

OLDEST_QUEUED_S = {
    "ai_services": at_most(
        3600,
        "s",
        Severity.WARN,
        "a refresh of everything holds its queue for so long at most; more is a stuck run",
    ),
    "matching": at_most(1800, "s", Severity.WARN, "matches are refreshed every half an hour"),
    "payments": at_most(1800, "s", Severity.WARN, "payments run one after another, each for minutes"),
    "monitoring": at_most(900, "s", Severity.WARN, "what watches may not wait; three looks of five minutes"),
    "communications": at_most(300, "s", Severity.WARN, "a message that waits for longer is no alert"),
}
OUTSTANDING_TICKS = at_most(
    0, "schedules", Severity.WARN, "schedules whose latest tick was missed or failed; their work is not done"
)
SENSOR_LAG_S = at_most(
    120, "s", Severity.WARN, "sensors look every half a minute; two minutes late, failures go unnoticed"
)
LEAKED_SLOTS = at_most(
    0, "slots", Severity.WARN, "a slot held for a run that is not going on keeps its queue from working"
)
UNSETTLED_RECOVERIES = at_most(
    0, "actions", Severity.WARN, "an action that did not help, or of which that is not known, wants a person"
)
REPAIR_S = at_most(
    1800,
    "s",
    Severity.WARN,
    "median of a day; three looks of ten minutes from a problem to the proof that it is gone",
)

STUCK_P99_FACTOR = 3.0
STUCK_LEAST_SAMPLE = 30
STUCK_FLOOR_S = 900.0
"""A run is stuck after three times what 99 in 100 runs of its job take, and not before a quarter of an hour: jobs that take
seconds vary by more than their share on a busy machine. Fewer than 30 runs have no 99th percentile worth the name."""

STUCK_WITHOUT_HISTORY_S = 4 * 3600.0
STUCK_SILENCE_S = 900.0
STUCK_CHANGING_S = 600.0
"""Starting and cancelling take seconds; Dagster itself gives up on a start after three minutes."""

HISTORY_DAYS = 14

QUEUED_TOO_LONG_S = 1800.0
HURRIED_TAG = "platform/hurried"
HURRIED_PRIORITY = 10

LEAKED_SLOT_GRACE_S = 180.0
"""Dagster frees slots by itself two minutes after a run's end, where that is switched on."""

ZOMBIE_GRACE_S = 60.0
MISSED_GRACE_S = 600.0
"""A tick is made up for when it has been missing for so long and the next one is no nearer: it would do the same work."""

CODE_LOCATION_SILENT_S = 180.0

RECOVERY_TRIES = 3
RECOVERY_ACTIONS_PER_RUN = 25
RECOVERY_FORCEFUL_PER_RUN = 5
"""More runs than this do not break by themselves at once: what is wrong then is something else, and killing would add to it."""

RECOVERY_HELD_UP_AFTER = dt.timedelta(minutes=20)
"""Two rounds of ten minutes: the run that recovers waits in a queue that it may have to free."""

RECOVERY_VERIFY_S = 900.0
"""An action that has shown no effect after this long has none."""

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
