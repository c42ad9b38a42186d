"""Versions of the lists: what they were computed from, what came of each, and what changed."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "match_spares",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("rank", sa.Integer(), comment="Place from 1; ties by developer id."),
        _required("score", sa.Double(), comment="Sum of the parts in `reasons`, rounded to 1e-6."),
        _required("reasons", postgresql.JSONB(), comment="Each term's part of the score; they add up to it."),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id", "developer_id"),
        schema="platform",
        comment="One row is one developer just behind a project's candidates, who moves up without a scan of everybody.",
    )
    op.create_table(
        "match_bounds",
        _required("project_id", sa.Text(), comment="The marketplace's project."),
        _optional(
            "score",
            sa.Double(),
            comment="Whoever is permitted and not listed stands behind this score; null when everybody permitted is listed.",
        ),
        _optional(
            "developer_id", sa.Text(), comment="Of those with just this score, the last who is listed by id."
        ),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("project_id"),
        schema="platform",
        comment="One row says how far down a project's candidates and spares are known to be complete.",
    )
    op.create_table(
        "match_inputs",
        _required("side", sa.Text(), comment="`developer` or `project`."),
        _required("item_id", sa.Text(), comment="Id of the developer or project."),
        _required("score_digest", sa.BigInteger(), comment="Hash of every row that its scores are made of."),
        _required("filter_digest", sa.BigInteger(), comment="Hash of every row that filters look at."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("side", "item_id"),
        sa.CheckConstraint("side IN ('developer', 'project')", name="side_is_known"),
        schema="platform",
        comment="One row says what the candidates were computed from, by developer and by project.",
    )
    op.create_table(
        "match_statistics",
        _required("as_of", sa.Date(), comment="UTC day for which they hold."),
        _required("model", sa.Text(), comment="Model of the vectors; empty when there were none."),
        _required("version", sa.Text(), comment="Hash of the content."),
        _required("payload", postgresql.BYTEA(), comment="The statistics, compressed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("as_of", "model"),
        schema="platform",
        comment="One row holds what is common and what is rare among everybody's work, as of one day.",
    )
    op.create_table(
        "match_versions",
        _required("version_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the version."),
        _required("list_name", sa.Text(), comment="`match_candidates` or `matches`."),
        _required(
            "state",
            sa.Text(),
            comment="`building`, `published`, `superseded`, `refused` (a gate held it back) or `abandoned` (its run ended early).",
        ),
        _required("method", sa.Text(), comment="`full` or `incremental`: everybody, or only what changed."),
        _required("as_of", sa.Date(), comment="UTC day for which it was computed."),
        _required("basis", sa.Text(), comment="What every row hangs on: statistics, weights, shape."),
        _optional(
            "base_version_id", sa.BigInteger(), comment="The version that it was to replace; null for none."
        ),
        _optional("rows_count", sa.BigInteger(), comment="Rows of the list; null until published."),
        _optional("content_digest", sa.BigInteger(), comment="Hash of its rows; null until published."),
        _optional(
            "gates", postgresql.JSONB(), comment="What each gate measured, its bound, and whether it held."
        ),
        _required("started_at", INSTANT, comment="When building began."),
        _optional("ended_at", INSTANT, comment="When it was published, refused or found abandoned."),
        sa.PrimaryKeyConstraint("version_id"),
        sa.CheckConstraint(
            "state IN ('building', 'published', 'superseded', 'refused', 'abandoned')", name="state_is_known"
        ),
        sa.CheckConstraint("list_name IN ('match_candidates', 'matches')", name="list_is_known"),
        sa.CheckConstraint("method IN ('full', 'incremental')", name="method_is_known"),
        schema="monitoring",
        comment="One row is one version of a list that was built, and what became of it.",
    )
    op.create_index(
        "uq_match_versions_live",
        "match_versions",
        ["list_name"],
        unique=True,
        schema="monitoring",
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "match_changes",
        _required("version_id", sa.BigInteger(), comment="The version that brought the change."),
        _required("project_id", sa.Text(), comment="The project."),
        _required("developer_id", sa.Text(), comment="The developer."),
        _required("change", sa.Text(), comment="`entered`, `left` or `moved`."),
        _required(
            "cause",
            sa.Text(),
            comment="Why, such as `developer_changed`, `project_opened`, `displaced`, or `filtered:` and the filters' names.",
        ),
        _optional("rank_before", sa.Integer(), comment="Place before; null when not listed."),
        _optional("rank_after", sa.Integer(), comment="Place after; null when not listed."),
        _optional("score_before", sa.Double(), comment="Score before; null when not listed."),
        _optional("score_after", sa.Double(), comment="Score after; null when not listed."),
        sa.PrimaryKeyConstraint("version_id", "project_id", "developer_id"),
        sa.CheckConstraint("change IN ('entered', 'left', 'moved')", name="change_is_known"),
        schema="monitoring",
        comment="One row is one change of a list's first places from one version to the next.",
    )
    op.create_table(
        "match_cleanups",
        _required("cleanup_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the cleanup."),
        _required("cleaned_at", INSTANT, comment="When it ran."),
        _required("versions_count", sa.BigInteger(), comment="Versions removed."),
        _required("changes_count", sa.BigInteger(), comment="Changes removed with them."),
        _required("statistics_count", sa.BigInteger(), comment="Days of statistics removed."),
        _required("freed_bytes", sa.BigInteger(), comment="Size of the removed rows, in bytes."),
        sa.PrimaryKeyConstraint("cleanup_id"),
        schema="monitoring",
        comment="One row is one removal of what no version needs any more.",
    )


def downgrade() -> None:
    for table in ("match_cleanups", "match_changes", "match_versions"):
        op.drop_table(table, schema="monitoring")
    for table in ("match_statistics", "match_inputs", "match_bounds", "match_spares"):
        op.drop_table(table, schema="platform")
