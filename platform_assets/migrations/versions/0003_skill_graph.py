"""The skill graph and what of it was projected."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
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
        "skill_edges",
        _required("skill_id_a", sa.Text(), comment="The skill whose id comes first by code points."),
        _required("skill_id_b", sa.Text(), comment="The other skill."),
        _required(
            "developers_count",
            sa.Integer(),
            comment="Developers whose profile has both, each with a confidence of at least 0.01.",
        ),
        _required(
            "weight",
            sa.Double(),
            comment="Normalized pointwise mutual information, shrunk; above 0 (chance), at most 1 (never apart).",
        ),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("skill_id_a", "skill_id_b"),
        sa.CheckConstraint('skill_id_a COLLATE "C" < skill_id_b COLLATE "C"', name="skill_ids_are_ordered"),
        sa.CheckConstraint("weight > 0 AND weight <= 1", name="weight_is_in_range"),
        schema="platform",
        comment="One row is two skills that developers have together more often than chance would have it.",
    )
    op.create_table(
        "skill_graph_projection",
        _required(
            "kind",
            sa.Text(),
            comment="Label or relationship type: `Skill`, `Developer`, `OCCURS_WITH` or `HAS_SKILL`.",
        ),
        _required("from_id", sa.Text(), comment="Id of the node, or of where the edge starts."),
        _required("to_id", sa.Text(), comment="Id of where the edge ends; an empty text for a node."),
        _optional("name", sa.Text(), comment="A skill's name; null for all else."),
        _optional(
            "weight", sa.Double(), comment="Weight of `OCCURS_WITH`, to three decimals; null for all else."
        ),
        _optional(
            "developers_count", sa.Integer(), comment="Developers of `OCCURS_WITH`; null for all else."
        ),
        _optional(
            "confidence",
            sa.Double(),
            comment="Confidence of `HAS_SKILL`, to two decimals; null for all else.",
        ),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("kind", "from_id", "to_id"),
        schema="platform",
        comment="One row is one node or edge as Neo4j holds it, as far as the platform wrote or read it.",
    )


def downgrade() -> None:
    op.drop_table("skill_graph_projection", schema="platform")
    op.drop_table("skill_edges", schema="platform")
