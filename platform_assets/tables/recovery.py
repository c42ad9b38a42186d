"""How runs ended and what was done about it, schema `monitoring`. Alerts and notifications stand in `monitoring.py`."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant

TextList = pg.ARRAY(sa.Text)

run_outcomes = sa.Table(
    "run_outcomes",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="Dagster's id of the run."),
    sa.Column("root_run_id", sa.Text, nullable=False, comment="The first run of this work."),
    sa.Column("attempt", sa.Integer, nullable=False, comment="0 for the first run, then 1, 2, …"),
    sa.Column("job_name", sa.Text, nullable=False, comment="The job."),
    sa.Column("queue", sa.Text, comment="The queue it belonged to; null for a run started by hand."),
    sa.Column("status", sa.Text, nullable=False, comment="`success`, `failure` or `canceled`."),
    sa.Column(
        "cause",
        sa.Text,
        comment="`permanent`, `transient`, `rate_limited` or `infrastructure`; null when it did not fail.",
    ),
    sa.Column("message", sa.Text, comment="Why it failed, in one line; null when it did not."),
    sa.Column("failed_steps", TextList, nullable=False, comment="Steps that failed, in order."),
    sa.Column(
        "unfinished_assets", TextList, nullable=False, comment="Assets that were planned and not written."
    ),
    sa.Column("created_at", Instant, nullable=False, comment="When it was created."),
    sa.Column("started_at", Instant, comment="When it began; null when it never did."),
    sa.Column("ended_at", Instant, nullable=False, comment="When it ended."),
    sa.Column(
        "recorded_at", Instant, nullable=False, comment="When this platform noticed that it had ended."
    ),
    sa.CheckConstraint("status IN ('success', 'failure', 'canceled')", name="status_is_known"),
    sa.CheckConstraint(
        "cause IN ('permanent', 'transient', 'rate_limited', 'infrastructure')", name="cause_is_known"
    ),
    sa.Index("ix_run_outcomes_ended", "ended_at"),
    sa.Index("ix_run_outcomes_root", "root_run_id"),
    comment="One row is one run that has ended.",
)

run_retries = sa.Table(
    "run_retries",
    metadata,
    sa.Column("root_run_id", sa.Text, primary_key=True, comment="The first run of this work."),
    sa.Column("attempt", sa.Integer, primary_key=True, comment="Number of the attempt, from 1."),
    sa.Column(
        "failed_run_id", sa.Text, nullable=False, unique=True, comment="The run whose failure led to it."
    ),
    sa.Column("job_name", sa.Text, nullable=False, comment="The job to run."),
    sa.Column(
        "assets", TextList, nullable=False, comment="Assets to write: those that were left unfinished."
    ),
    sa.Column("tags", pg.JSONB, nullable=False, comment="Tags that the attempt keeps of the failed run."),
    sa.Column("cause", sa.Text, nullable=False, comment="Why the run failed."),
    sa.Column("due_at", Instant, nullable=False, comment="Not to be launched before."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        server_default="due",
        comment="`due`, `requested` (of Dagster) or `superseded` (a later run did the work).",
    ),
    sa.Column("settled_at", Instant, comment="When it was requested or superseded; null until then."),
    sa.CheckConstraint("state IN ('due', 'requested', 'superseded')", name="state_is_known"),
    sa.Index("ix_run_retries_age", "settled_at"),
    comment="One row is one attempt at finishing a failed run's work; it decides that there is only one.",
)
