"""How runs ended, and attempts at finishing what failed."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0009"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TEXT_LIST = postgresql.ARRAY(sa.Text())


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "run_outcomes",
        _required("run_id", sa.Text(), comment="Dagster's id of the run."),
        _required("root_run_id", sa.Text(), comment="The first run of this work."),
        _required("attempt", sa.Integer(), comment="0 for the first run, then 1, 2, …"),
        _required("job_name", sa.Text(), comment="The job."),
        _optional("queue", sa.Text(), comment="The queue it belonged to; null for a run started by hand."),
        _required("status", sa.Text(), comment="`success`, `failure` or `canceled`."),
        _optional(
            "cause",
            sa.Text(),
            comment="`permanent`, `transient`, `rate_limited` or `infrastructure`; null when it did not fail.",
        ),
        _optional("message", sa.Text(), comment="Why it failed, in one line; null when it did not."),
        _required("failed_steps", TEXT_LIST, comment="Steps that failed, in order."),
        _required("unfinished_assets", TEXT_LIST, comment="Assets that were planned and not written."),
        _required("created_at", INSTANT, comment="When it was created."),
        _optional("started_at", INSTANT, comment="When it began; null when it never did."),
        _required("ended_at", INSTANT, comment="When it ended."),
        _required("recorded_at", INSTANT, comment="When this platform noticed that it had ended."),
        sa.PrimaryKeyConstraint("run_id"),
        sa.CheckConstraint("status IN ('success', 'failure', 'canceled')", name="status_is_known"),
        sa.CheckConstraint(
            "cause IN ('permanent', 'transient', 'rate_limited', 'infrastructure')", name="cause_is_known"
        ),
        schema="monitoring",
        comment="One row is one run that has ended.",
    )
    op.create_index("ix_run_outcomes_ended", "run_outcomes", ["ended_at"], schema="monitoring")
    op.create_index("ix_run_outcomes_root", "run_outcomes", ["root_run_id"], schema="monitoring")
    op.create_table(
        "run_retries",
        _required("root_run_id", sa.Text(), comment="The first run of this work."),
        _required("attempt", sa.Integer(), comment="Number of the attempt, from 1."),
        _required("failed_run_id", sa.Text(), comment="The run whose failure led to it."),
        _required("job_name", sa.Text(), comment="The job to run."),
        _required("assets", TEXT_LIST, comment="Assets to write: those that were left unfinished."),
        _required("tags", postgresql.JSONB(), comment="Tags that the attempt keeps of the failed run."),
        _required("cause", sa.Text(), comment="Why the run failed."),
        _required("due_at", INSTANT, comment="Not to be launched before."),
        _required(
            "state",
            sa.Text(),
            comment="`due`, `requested` (of Dagster) or `superseded` (a later run did the work).",
            server_default="due",
        ),
        _optional("settled_at", INSTANT, comment="When it was requested or superseded; null until then."),
        sa.PrimaryKeyConstraint("root_run_id", "attempt"),
        sa.CheckConstraint("state IN ('due', 'requested', 'superseded')", name="state_is_known"),
        sa.UniqueConstraint("failed_run_id"),
        schema="monitoring",
        comment="One row is one attempt at finishing a failed run's work; it decides that there is only one.",
    )


def downgrade() -> None:
    op.drop_table("run_retries", schema="monitoring")
    op.drop_table("run_outcomes", schema="monitoring")
