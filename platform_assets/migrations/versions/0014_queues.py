"""Queues, ticks, and what was done to free stuck work."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def _create_task_queue_metrics() -> None:
    op.create_table(
        "task_queue_metrics",
        _required("measured_at", INSTANT, comment="When it was measured."),
        _required("queue", sa.Text(), comment="The queue, such as `payments`."),
        _required("window_s", sa.Integer(), comment="Seconds up to the measurement that it looks back on."),
        _required("queued_count", sa.Integer(), comment="Runs that wait."),
        _required("running_count", sa.Integer(), comment="Runs that start, go on or are cancelled."),
        _optional(
            "oldest_queued_age_s", sa.Double(), comment="Wait of the oldest queued run; null when none waits."
        ),
        _required("ended_count", sa.Integer(), comment="Runs that ended in the window."),
        _required("failed_count", sa.Integer(), comment="Of these, failed."),
        _optional("failure_ratio", sa.Double(), comment="Share that failed; null when none ended."),
        _required("throughput_per_hour", sa.Double(), comment="Runs that ended, for an hour."),
        _optional(
            "run_time_p50_s", sa.Double(), comment="Median time of a run that ended; null when none did."
        ),
        _optional("run_time_p95_s", sa.Double(), comment="95th percentile of it; null when none ended."),
        _optional(
            "wait_p95_s",
            sa.Double(),
            comment="95th percentile of the wait of the runs that ended; null when none did.",
        ),
        _optional(
            "utilization_ratio",
            sa.Double(),
            comment="Share of the slots' time that runs took up; null when the pool has no limit.",
        ),
        _optional(
            "drain_s",
            sa.Double(),
            comment="Seconds until what waits is done at the window's mean run time; null when none ended to tell by.",
        ),
        _optional(
            "slots_limit", sa.Integer(), comment="Runs that the pool admits at once; null without a limit."
        ),
        _required("slots_taken_count", sa.Integer(), comment="Slots that are taken."),
        _required("slots_waiting_count", sa.Integer(), comment="Runs and steps that wait for one."),
        _required(
            "slots_leaked_count",
            sa.Integer(),
            comment="Slots that are taken by steps of runs that have ended or are gone.",
        ),
        sa.PrimaryKeyConstraint("measured_at", "queue"),
        schema="monitoring",
        comment="One row is one queue at one moment: what waits, what goes on, and how the last window went.",
    )


def _create_tick_metrics() -> None:
    op.create_table(
        "tick_metrics",
        _required("measured_at", INSTANT, comment="When it was measured."),
        _required("kind", sa.Text(), comment="`schedule` or `sensor`."),
        _required("name", sa.Text(), comment="Name of the schedule or sensor."),
        _required("is_on", sa.Boolean(), comment="Whether it is switched on."),
        _required("cadence", sa.Text(), comment="Its cron expression (UTC), or its least interval in s."),
        _required(
            "window_started_at",
            INSTANT,
            comment="From here on ticks were counted: the end of the window before, so that counts add up.",
        ),
        _required("window_ended_at", INSTANT, comment="Up to here, inclusive."),
        _required("expected_count", sa.Integer(), comment="Ticks that were due in the window."),
        _required("missed_count", sa.Integer(), comment="Of these, without a tick."),
        _required("late_count", sa.Integer(), comment="Of these, done later than is usual."),
        _required("failed_count", sa.Integer(), comment="Ticks that failed or were broken off."),
        _optional(
            "lag_s",
            sa.Double(),
            comment="How late the latest tick was done, or how long the sensor's next one is overdue; null before the first.",
        ),
        _optional(
            "last_good_at", INSTANT, comment="Time of the latest good tick that was looked at; null if none."
        ),
        _optional(
            "outstanding_since",
            INSTANT,
            comment="The due time of the latest tick, when it is missed or failed and no later one was good; else null.",
        ),
        _optional("error", sa.Text(), comment="What the latest failed tick said; null when none failed."),
        sa.PrimaryKeyConstraint("measured_at", "kind", "name"),
        sa.CheckConstraint("kind IN ('schedule', 'sensor')", name="kind_is_known"),
        schema="monitoring",
        comment="One row is one schedule or sensor over one window: which ticks were due and what became of them.",
    )


def _create_queue_recovery() -> None:
    op.create_table(
        "queue_recovery",
        _required("recovery_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the action."),
        _required("action", sa.Text(), comment="What was done, such as `fail_orphaned_run`."),
        _required("subject", sa.Text(), comment="To what: a run, a pool, a schedule."),
        _required("attempt", sa.Integer(), comment="How often it has been tried, from 1."),
        _required("reason", sa.Text(), comment="Why, in one sentence."),
        _required(
            "state",
            sa.Text(),
            comment="`claimed` (about to be done), `done`, `worked`, `ineffective` (it did not help) or `failed`.",
        ),
        _required("state_before", postgresql.JSONB(), comment="How the subject stood before."),
        _optional(
            "state_after", postgresql.JSONB(), comment="How it stood when last looked at; null until then."
        ),
        _optional("error", sa.Text(), comment="Why the action failed; null when it did not."),
        _required("problem_since", INSTANT, comment="Since when the problem has been there."),
        _required("claimed_at", INSTANT, comment="When this platform took it up."),
        _optional("settled_at", INSTANT, comment="When it was known whether it worked; null until then."),
        _optional(
            "repair_s",
            sa.Double(),
            comment="From the problem's beginning to the proof that it is gone, in seconds.",
        ),
        sa.PrimaryKeyConstraint("recovery_id"),
        sa.CheckConstraint(
            "state IN ('claimed', 'done', 'worked', 'ineffective', 'failed')", name="state_is_known"
        ),
        schema="monitoring",
        comment="One row is one action that was taken to free stuck work, and whether it worked.",
    )
    op.create_index(
        "ix_queue_recovery_claimed", "queue_recovery", ["claimed_at"], unique=False, schema="monitoring"
    )
    op.create_index(
        "uq_queue_recovery_open",
        "queue_recovery",
        ["subject"],
        unique=True,
        schema="monitoring",
        postgresql_where=sa.text("state IN ('claimed', 'done')"),
    )


def upgrade() -> None:
    _create_task_queue_metrics()
    _create_tick_metrics()
    _create_queue_recovery()


def downgrade() -> None:
    for table in ("queue_recovery", "tick_metrics", "task_queue_metrics"):
        op.drop_table(table, schema="monitoring")
