"""Tables of matching: what is published, what a refresh keeps to do only what changed, and what became of each version.

Lists and what they are computed from are derived data, schema `platform`; versions and changes are operations, schema
`monitoring`.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables import monitoring, platform
from platform_assets.tables.platform import Instant, as_of, updated_at


def _match_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("project_id", sa.Text, primary_key=True, comment="The marketplace's project."),
        sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
        sa.Column("rank", sa.Integer, nullable=False, comment="Place from 1; ties by developer id."),
        sa.Column(
            "score", sa.Double, nullable=False, comment="Sum of the parts in `reasons`, rounded to 1e-6."
        ),
        sa.Column(
            "reasons", pg.JSONB, nullable=False, comment="Each term's part of the score; they add up to it."
        ),
        as_of(),
        updated_at(),
    ]


match_candidates = sa.Table(
    "match_candidates",
    platform.metadata,
    *_match_columns(),
    comment="One row is one developer among a project's best under score and filters, reserve places included.",
)

matches = sa.Table(
    "matches",
    platform.metadata,
    *_match_columns(),
    sa.Column(
        "placement",
        sa.Text,
        nullable=False,
        server_default="score",
        comment="How the row got its place: by `score`, `capped`, as `newcomer` or `explored` (see matching.rerank).",
    ),
    comment="One row is one published match of a project and a developer.",
)

match_spares = sa.Table(
    "match_spares",
    platform.metadata,
    *_match_columns(),
    comment="One row is one developer just behind a project's candidates, who moves up without a scan of everybody.",
)

match_bounds = sa.Table(
    "match_bounds",
    platform.metadata,
    sa.Column("project_id", sa.Text, primary_key=True, comment="The marketplace's project."),
    sa.Column(
        "score",
        sa.Double,
        comment="Whoever is permitted and not listed stands behind this score; null when everybody permitted is listed.",
    ),
    sa.Column(
        "developer_id", sa.Text, comment="Of those with just this score, the last who is listed by id."
    ),
    updated_at(),
    comment="One row says how far down a project's candidates and spares are known to be complete.",
)

match_inputs = sa.Table(
    "match_inputs",
    platform.metadata,
    sa.Column("side", sa.Text, primary_key=True, comment="`developer` or `project`."),
    sa.Column("item_id", sa.Text, primary_key=True, comment="Id of the developer or project."),
    sa.Column(
        "score_digest",
        sa.BigInteger,
        nullable=False,
        comment="Hash of every row that its scores are made of.",
    ),
    sa.Column(
        "filter_digest", sa.BigInteger, nullable=False, comment="Hash of every row that filters look at."
    ),
    updated_at(),
    sa.CheckConstraint("side IN ('developer', 'project')", name="side_is_known"),
    comment="One row says what the candidates were computed from, by developer and by project.",
)

match_statistics = sa.Table(
    "match_statistics",
    platform.metadata,
    sa.Column("as_of", sa.Date, primary_key=True, comment="UTC day for which they hold."),
    sa.Column(
        "model", sa.Text, primary_key=True, comment="Model of the vectors; empty when there were none."
    ),
    sa.Column("version", sa.Text, nullable=False, comment="Hash of the content."),
    sa.Column("payload", pg.BYTEA, nullable=False, comment="The statistics, compressed."),
    updated_at(),
    comment="One row holds what is common and what is rare among everybody's work, as of one day.",
)

match_versions = sa.Table(
    "match_versions",
    monitoring.metadata,
    sa.Column(
        "version_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the version."
    ),
    sa.Column("list_name", sa.Text, nullable=False, comment="`match_candidates` or `matches`."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="`building`, `published`, `superseded`, `refused` (a gate held it back) or `abandoned` (its run ended early).",
    ),
    sa.Column(
        "method", sa.Text, nullable=False, comment="`full` or `incremental`: everybody, or only what changed."
    ),
    sa.Column("as_of", sa.Date, nullable=False, comment="UTC day for which it was computed."),
    sa.Column(
        "basis", sa.Text, nullable=False, comment="What every row hangs on: statistics, weights, shape."
    ),
    sa.Column("base_version_id", sa.BigInteger, comment="The version that it was to replace; null for none."),
    sa.Column("rows_count", sa.BigInteger, comment="Rows of the list; null until published."),
    sa.Column("content_digest", sa.BigInteger, comment="Hash of its rows; null until published."),
    sa.Column("gates", pg.JSONB, comment="What each gate measured, its bound, and whether it held."),
    sa.Column("started_at", Instant, nullable=False, comment="When building began."),
    sa.Column("ended_at", Instant, comment="When it was published, refused or found abandoned."),
    sa.Column(
        "inputs_digest",
        sa.BigInteger,
        comment="Hash of all that it was computed from; null where that is not kept.",
    ),
    sa.CheckConstraint("list_name IN ('match_candidates', 'matches')", name="list_is_known"),
    sa.CheckConstraint(
        "state IN ('building', 'published', 'superseded', 'refused', 'abandoned')", name="state_is_known"
    ),
    sa.CheckConstraint("method IN ('full', 'incremental')", name="method_is_known"),
    # One live version of each list, whatever races to publish.
    sa.Index(
        "uq_match_versions_live",
        "list_name",
        unique=True,
        postgresql_where=sa.text("state = 'published'"),
    ),
    comment="One row is one version of a list that was built, and what became of it.",
)

match_changes = sa.Table(
    "match_changes",
    monitoring.metadata,
    sa.Column("version_id", sa.BigInteger, primary_key=True, comment="The version that brought the change."),
    sa.Column("project_id", sa.Text, primary_key=True, comment="The project."),
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The developer."),
    sa.Column("change", sa.Text, nullable=False, comment="`entered`, `left` or `moved`."),
    sa.Column(
        "cause",
        sa.Text,
        nullable=False,
        comment="Why, such as `developer_changed`, `project_opened`, `displaced`, or `filtered:` and the filters' names.",
    ),
    sa.Column("rank_before", sa.Integer, comment="Place before; null when not listed."),
    sa.Column("rank_after", sa.Integer, comment="Place after; null when not listed."),
    sa.Column("score_before", sa.Double, comment="Score before; null when not listed."),
    sa.Column("score_after", sa.Double, comment="Score after; null when not listed."),
    sa.CheckConstraint("change IN ('entered', 'left', 'moved')", name="change_is_known"),
    comment="One row is one change of a list's first places from one version to the next.",
)

match_cleanups = sa.Table(
    "match_cleanups",
    monitoring.metadata,
    sa.Column(
        "cleanup_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the cleanup."
    ),
    sa.Column("cleaned_at", Instant, nullable=False, comment="When it ran."),
    sa.Column("versions_count", sa.BigInteger, nullable=False, comment="Versions removed."),
    sa.Column("changes_count", sa.BigInteger, nullable=False, comment="Changes removed with them."),
    sa.Column("statistics_count", sa.BigInteger, nullable=False, comment="Days of statistics removed."),
    sa.Column("freed_bytes", sa.BigInteger, nullable=False, comment="Size of the removed rows, in bytes."),
    sa.Index("ix_match_cleanups_age", "cleaned_at"),
    comment="One row is one removal of what no version needs any more.",
)
