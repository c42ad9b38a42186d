"""GitHub's limits by token, calls in flight, and what is needed to follow an account."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

STATE = "How the account was found; see docs/github.md."
STATE_BEFORE = "`fetched`, `not_linked`, `not_found` or `failed`."
FETCHED_AT = "When GitHub last brought or confirmed what the row holds; kept when a later read fails."
FETCHED_AT_BEFORE = "When the profile was last read from GitHub; kept when a later read fails."


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "github_budgets",
        _required("token_fingerprint", sa.Text(), comment="First 16 hex digits of its SHA-256."),
        _required("resource", sa.Text(), comment="`graphql` or `core` (REST), which GitHub limits apart."),
        _optional("limit_points", sa.Integer(), comment="Points an hour; null before the first answer."),
        _optional(
            "remaining_points", sa.Integer(), comment="Points left by the headers of this hour's answers."
        ),
        _required(
            "unseen_points",
            sa.Integer(),
            comment="Points of this hour's calls without an answer, which no header may have counted.",
        ),
        _optional(
            "reset_at", INSTANT, comment="When the points are full again; null before the first answer."
        ),
        _required(
            "burst_points",
            sa.Double(),
            comment="Secondary points that could be spent at once at `burst_at`; they refill evenly.",
        ),
        _required("burst_at", INSTANT, comment="When `burst_points` was computed."),
        _optional("blocked_until", INSTANT, comment="No call before; null when never refused."),
        _required(
            "limits_in_row_count",
            sa.Integer(),
            comment="Refusals since the last answered call; each doubles an unstated wait.",
        ),
        sa.PrimaryKeyConstraint("token_fingerprint", "resource"),
        sa.CheckConstraint("resource IN ('graphql', 'core')", name="resource_is_known"),
        schema="monitoring",
        comment="One row is what GitHub leaves to one token for one of its two APIs.",
    )
    op.create_table(
        "github_calls",
        _required("call_id", sa.Text(), comment="Random id of the call."),
        _required("token_fingerprint", sa.Text(), comment="The token that it is made with."),
        _required("resource", sa.Text(), comment="`graphql` or `core`."),
        _required("points", sa.Integer(), comment="Primary points set aside for it."),
        _required(
            "expires_at",
            INSTANT,
            comment="When a call that was never settled, as of a killed process, stops counting as in flight.",
        ),
        sa.PrimaryKeyConstraint("call_id"),
        schema="monitoring",
        comment="One row is one call in flight and the points set aside for it.",
    )
    op.create_table(
        "github_accounts",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("node_id", sa.Text(), comment="GraphQL's id of the account, which survives a rename."),
        _required("current_login", sa.Text(), comment="The account's login when it was last seen."),
        _required("work_read_on", sa.Date(), comment="UTC day on which its commits were last read."),
        _required("work_complete_on", sa.Date(), comment="UTC day on which all its years were last read."),
        _required(
            "watched_from", sa.Date(), comment="Commits since this UTC day are counted to see a change."
        ),
        _required(
            "watched_commits_count", sa.Integer(), comment="How many they were when they were last read."
        ),
        _required(
            "updated_at", INSTANT, comment="When this row last changed.", server_default=sa.text("now()")
        ),
        sa.PrimaryKeyConstraint("developer_id"),
        schema="platform",
        comment="One row is one developer's GitHub account as it is followed from one read to the next.",
    )
    _comment("state", STATE, was=STATE_BEFORE)
    _comment("fetched_at", FETCHED_AT, was=FETCHED_AT_BEFORE)


def downgrade() -> None:
    _comment("fetched_at", FETCHED_AT_BEFORE, was=FETCHED_AT)
    _comment("state", STATE_BEFORE, was=STATE)
    op.drop_table("github_accounts", schema="platform")
    op.drop_table("github_calls", schema="monitoring")
    op.drop_table("github_budgets", schema="monitoring")


def _comment(column: str, comment: str, *, was: str) -> None:
    op.alter_column("developer_profiles", column, schema="platform", comment=comment, existing_comment=was)
