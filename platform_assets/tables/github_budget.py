"""What GitHub's limits leave to each token, schema `monitoring`: shared by every process that calls GitHub.

How the rows are used is `clients/github_ledger.py`. A token stands here by a fingerprint, never by itself.
"""

import sqlalchemy as sa

from platform_assets.tables.monitoring import metadata
from platform_assets.tables.platform import Instant


def _key() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column(
            "token_fingerprint", sa.Text, primary_key=True, comment="First 16 hex digits of its SHA-256."
        ),
        sa.Column(
            "resource",
            sa.Text,
            primary_key=True,
            comment="`graphql` or `core` (REST), which GitHub limits apart.",
        ),
    )


github_budgets = sa.Table(
    "github_budgets",
    metadata,
    *_key(),
    sa.Column("limit_points", sa.Integer, comment="Points an hour; null before the first answer."),
    sa.Column("remaining_points", sa.Integer, comment="Points left by the headers of this hour's answers."),
    sa.Column(
        "unseen_points",
        sa.Integer,
        nullable=False,
        comment="Points of this hour's calls without an answer, which no header may have counted.",
    ),
    sa.Column("reset_at", Instant, comment="When the points are full again; null before the first answer."),
    sa.Column(
        "burst_points",
        sa.Double,
        nullable=False,
        comment="Secondary points that could be spent at once at `burst_at`; they refill evenly.",
    ),
    sa.Column("burst_at", Instant, nullable=False, comment="When `burst_points` was computed."),
    sa.Column("blocked_until", Instant, comment="No call before; null when never refused."),
    sa.Column(
        "limits_in_row_count",
        sa.Integer,
        nullable=False,
        comment="Refusals since the last answered call; each doubles an unstated wait.",
    ),
    sa.CheckConstraint("resource IN ('graphql', 'core')", name="resource_is_known"),
    comment="One row is what GitHub leaves to one token for one of its two APIs.",
)

github_calls = sa.Table(
    "github_calls",
    metadata,
    sa.Column("call_id", sa.Text, primary_key=True, comment="Random id of the call."),
    sa.Column("token_fingerprint", sa.Text, nullable=False, comment="The token that it is made with."),
    sa.Column("resource", sa.Text, nullable=False, comment="`graphql` or `core`."),
    sa.Column("points", sa.Integer, nullable=False, comment="Primary points set aside for it."),
    sa.Column(
        "expires_at",
        Instant,
        nullable=False,
        comment="When a call that was never settled, as of a killed process, stops counting as in flight.",
    ),
    comment="One row is one call in flight and the points set aside for it.",
)
