"""Which process runs what, and which processes had to be started again."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def upgrade() -> None:
    op.create_table(
        "run_heartbeats",
        _required("run_id", sa.Text(), comment="Dagster's id of the run."),
        _required("host", sa.Text(), comment="Name of the machine that its process runs on."),
        _required(
            "boot_id",
            sa.Text(),
            comment="Since when process ids count on that machine: its boot and process namespace.",
        ),
        _required("pid", sa.Integer(), comment="Id of the process."),
        _required(
            "process_start",
            sa.Text(),
            comment="When the process began, in the machine's own units: an id that was given again has another one.",
        ),
        _required("first_beat_at", INSTANT, comment="When it first said that it lives."),
        _required("beat_at", INSTANT, comment="When it last said so, by the database's clock."),
        sa.PrimaryKeyConstraint("run_id"),
        schema="monitoring",
        comment="One row is one run that a process worked on, and the last sign of life of that process.",
    )
    op.create_index("ix_run_heartbeats_beat", "run_heartbeats", ["beat_at"], schema="monitoring")
    op.create_table(
        "process_incidents",
        _required(
            "process", sa.Text(), comment="`code_server`, `daemon`, `webserver`, `postgres` or `local_apis`."
        ),
        _required("noticed_at", INSTANT, comment="When the supervisor saw that it had ended or hung."),
        _required("reason", sa.Text(), comment="How it ended, in one line for a person."),
        _required("last_seen_at", INSTANT, comment="When it was last known to be well; it ended after this."),
        sa.Column("recovered_at", INSTANT, comment="When it answered again; null while it does not."),
        _required("recorded_at", INSTANT, comment="When this row could first be written."),
        sa.PrimaryKeyConstraint("process", "noticed_at"),
        schema="monitoring",
        comment="One row is one time that a process of the platform ended or hung without having been asked to.",
    )
    op.create_index(
        "ix_process_incidents_recovered", "process_incidents", ["recovered_at"], schema="monitoring"
    )


def downgrade() -> None:
    op.drop_table("process_incidents", schema="monitoring")
    op.drop_table("run_heartbeats", schema="monitoring")
