"""What is needed to follow a GitHub account, schema `platform`: its lasting id, and what a cheap look is compared with."""

import sqlalchemy as sa

from platform_assets.tables.platform import metadata, updated_at

github_accounts = sa.Table(
    "github_accounts",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column(
        "node_id", sa.Text, nullable=False, comment="GraphQL's id of the account, which survives a rename."
    ),
    sa.Column("current_login", sa.Text, nullable=False, comment="The account's login when it was last seen."),
    sa.Column(
        "work_read_on", sa.Date, nullable=False, comment="UTC day on which its commits were last read."
    ),
    sa.Column(
        "work_complete_on", sa.Date, nullable=False, comment="UTC day on which all its years were last read."
    ),
    sa.Column(
        "watched_from",
        sa.Date,
        nullable=False,
        comment="Commits since this UTC day are counted to see a change.",
    ),
    sa.Column(
        "watched_commits_count",
        sa.Integer,
        nullable=False,
        comment="How many they were when they were last read.",
    ),
    updated_at(),
    comment="One row is one developer's GitHub account as it is followed from one read to the next.",
)
