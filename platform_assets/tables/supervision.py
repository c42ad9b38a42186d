"""Which process runs what, and which processes had to be started again, schema `monitoring`. How runs ended is `recovery.py`'s."""

import sqlalchemy as sa

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant

run_heartbeats = sa.Table(
    "run_heartbeats",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="Dagster's id of the run."),
    sa.Column("host", sa.Text, nullable=False, comment="Name of the machine that its process runs on."),
    sa.Column(
        "boot_id",
        sa.Text,
        nullable=False,
        comment="Since when process ids count on that machine: its boot and process namespace.",
    ),
    sa.Column("pid", sa.Integer, nullable=False, comment="Id of the process."),
    sa.Column(
        "process_start",
        sa.Text,
        nullable=False,
        comment="When the process began, in the machine's own units: an id that was given again has another one.",
    ),
    sa.Column("first_beat_at", Instant, nullable=False, comment="When it first said that it lives."),
    sa.Column("beat_at", Instant, nullable=False, comment="When it last said so, by the database's clock."),
    sa.Index("ix_run_heartbeats_beat", "beat_at"),
    comment="One row is one run that a process worked on, and the last sign of life of that process.",
)

process_incidents = sa.Table(
    "process_incidents",
    metadata,
    sa.Column(
        "process",
        sa.Text,
        primary_key=True,
        comment="`code_server`, `daemon`, `webserver`, `postgres` or `local_apis`.",
    ),
    sa.Column(
        "noticed_at", Instant, primary_key=True, comment="When the supervisor saw that it had ended or hung."
    ),
    sa.Column("reason", sa.Text, nullable=False, comment="How it ended, in one line for a person."),
    sa.Column(
        "last_seen_at",
        Instant,
        nullable=False,
        comment="When it was last known to be well; it ended after this.",
    ),
    sa.Column("recovered_at", Instant, comment="When it answered again; null while it does not."),
    sa.Column("recorded_at", Instant, nullable=False, comment="When this row could first be written."),
    sa.Index("ix_process_incidents_recovered", "recovered_at"),
    comment="One row is one time that a process of the platform ended or hung without having been asked to.",
)
