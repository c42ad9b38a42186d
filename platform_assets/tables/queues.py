"""Queues, ticks and what was done to free stuck work, schema `monitoring`. How runs ended stands in `recovery.py`."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant

task_queue_metrics = sa.Table(
    "task_queue_metrics",
    metadata,
    sa.Column("measured_at", Instant, primary_key=True, comment="When it was measured."),
    sa.Column("queue", sa.Text, primary_key=True, comment="The queue, such as `payments`."),
    sa.Column(
        "window_s", sa.Integer, nullable=False, comment="Seconds up to the measurement that it looks back on."
    ),
    sa.Column("queued_count", sa.Integer, nullable=False, comment="Runs that wait."),
    sa.Column(
        "running_count", sa.Integer, nullable=False, comment="Runs that start, go on or are cancelled."
    ),
    sa.Column(
        "oldest_queued_age_s", sa.Double, comment="Wait of the oldest queued run; null when none waits."
    ),
    sa.Column("ended_count", sa.Integer, nullable=False, comment="Runs that ended in the window."),
    sa.Column("failed_count", sa.Integer, nullable=False, comment="Of these, failed."),
    sa.Column("failure_ratio", sa.Double, comment="Share that failed; null when none ended."),
    sa.Column("throughput_per_hour", sa.Double, nullable=False, comment="Runs that ended, for an hour."),
    sa.Column("run_time_p50_s", sa.Double, comment="Median time of a run that ended; null when none did."),
    sa.Column("run_time_p95_s", sa.Double, comment="95th percentile of it; null when none ended."),
    sa.Column(
        "wait_p95_s",
        sa.Double,
        comment="95th percentile of the wait of the runs that ended; null when none did.",
    ),
    sa.Column(
        "utilization_ratio",
        sa.Double,
        comment="Share of the slots' time that runs took up; null when the pool has no limit.",
    ),
    sa.Column(
        "drain_s",
        sa.Double,
        comment="Seconds until what waits is done at the window's mean run time; null when none ended to tell by.",
    ),
    sa.Column("slots_limit", sa.Integer, comment="Runs that the pool admits at once; null without a limit."),
    sa.Column("slots_taken_count", sa.Integer, nullable=False, comment="Slots that are taken."),
    sa.Column("slots_waiting_count", sa.Integer, nullable=False, comment="Runs and steps that wait for one."),
    sa.Column(
        "slots_leaked_count",
        sa.Integer,
        nullable=False,
        comment="Slots that are taken by steps of runs that have ended or are gone.",
    ),
    comment="One row is one queue at one moment: what waits, what goes on, and how the last window went.",
)

tick_metrics = sa.Table(
    "tick_metrics",
    metadata,
    sa.Column("measured_at", Instant, primary_key=True, comment="When it was measured."),
    sa.Column("kind", sa.Text, primary_key=True, comment="`schedule` or `sensor`."),
    sa.Column("name", sa.Text, primary_key=True, comment="Name of the schedule or sensor."),
    sa.Column("is_on", sa.Boolean, nullable=False, comment="Whether it is switched on."),
    sa.Column(
        "cadence", sa.Text, nullable=False, comment="Its cron expression (UTC), or its least interval in s."
    ),
    sa.Column(
        "window_started_at",
        Instant,
        nullable=False,
        comment="From here on ticks were counted: the end of the window before, so that counts add up.",
    ),
    sa.Column("window_ended_at", Instant, nullable=False, comment="Up to here, inclusive."),
    sa.Column("expected_count", sa.Integer, nullable=False, comment="Ticks that were due in the window."),
    sa.Column("missed_count", sa.Integer, nullable=False, comment="Of these, without a tick."),
    sa.Column("late_count", sa.Integer, nullable=False, comment="Of these, done later than is usual."),
    sa.Column("failed_count", sa.Integer, nullable=False, comment="Ticks that failed or were broken off."),
    sa.Column(
        "lag_s",
        sa.Double,
        comment="How late the latest tick was done, or how long the sensor's next one is overdue; null before the first.",
    ),
    sa.Column(
        "last_good_at", Instant, comment="Time of the latest good tick that was looked at; null if none."
    ),
    sa.Column(
        "outstanding_since",
        Instant,
        comment="The due time of the latest tick, when it is missed or failed and no later one was good; else null.",
    ),
    sa.Column("error", sa.Text, comment="What the latest failed tick said; null when none failed."),
    sa.CheckConstraint("kind IN ('schedule', 'sensor')", name="kind_is_known"),
    comment="One row is one schedule or sensor over one window: which ticks were due and what became of them.",
)

queue_recovery = sa.Table(
    "queue_recovery",
    metadata,
    sa.Column(
        "recovery_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the action."
    ),
    sa.Column("action", sa.Text, nullable=False, comment="What was done, such as `fail_orphaned_run`."),
    sa.Column("subject", sa.Text, nullable=False, comment="To what: a run, a pool, a schedule."),
    sa.Column("attempt", sa.Integer, nullable=False, comment="How often it has been tried, from 1."),
    sa.Column("reason", sa.Text, nullable=False, comment="Why, in one sentence."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="`claimed` (about to be done), `done`, `worked`, `ineffective` (it did not help) or `failed`.",
    ),
    sa.Column("state_before", pg.JSONB, nullable=False, comment="How the subject stood before."),
    sa.Column("state_after", pg.JSONB, comment="How it stood when last looked at; null until then."),
    sa.Column("error", sa.Text, comment="Why the action failed; null when it did not."),
    sa.Column("problem_since", Instant, nullable=False, comment="Since when the problem has been there."),
    sa.Column("claimed_at", Instant, nullable=False, comment="When this platform took it up."),
    sa.Column("settled_at", Instant, comment="When it was known whether it worked; null until then."),
    sa.Column(
        "repair_s",
        sa.Double,
        comment="From the problem's beginning to the proof that it is gone, in seconds.",
    ),
    sa.CheckConstraint(
        "state IN ('claimed', 'done', 'worked', 'ineffective', 'failed')", name="state_is_known"
    ),
    # Whoever races to act: one action at a time on one thing.
    sa.Index(
        "uq_queue_recovery_open",
        "subject",
        unique=True,
        postgresql_where=sa.text("state IN ('claimed', 'done')"),
    ),
    sa.Index("ix_queue_recovery_claimed", "claimed_at"),
    comment="One row is one action that was taken to free stuck work, and whether it worked.",
)
