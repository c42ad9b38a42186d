"""Derived tables of the skill graph, schema `platform`: its edges, and what of it was projected to Neo4j."""

import sqlalchemy as sa

from platform_assets.tables.platform import as_of, metadata, updated_at

skill_edges = sa.Table(
    "skill_edges",
    metadata,
    sa.Column(
        "skill_id_a", sa.Text, primary_key=True, comment="The skill whose id comes first by code points."
    ),
    sa.Column("skill_id_b", sa.Text, primary_key=True, comment="The other skill."),
    sa.Column(
        "developers_count",
        sa.Integer,
        nullable=False,
        comment="Developers whose profile has both, each with a confidence of at least 0.01.",
    ),
    sa.Column(
        "weight",
        sa.Double,
        nullable=False,
        comment="Normalized pointwise mutual information, shrunk; above 0 (chance), at most 1 (never apart).",
    ),
    as_of(),
    updated_at(),
    sa.CheckConstraint('skill_id_a COLLATE "C" < skill_id_b COLLATE "C"', name="skill_ids_are_ordered"),
    sa.CheckConstraint("weight > 0 AND weight <= 1", name="weight_is_in_range"),
    comment="One row is two skills that developers have together more often than chance would have it.",
)

skill_graph_projection = sa.Table(
    "skill_graph_projection",
    metadata,
    sa.Column(
        "kind",
        sa.Text,
        primary_key=True,
        comment="Label or relationship type: `Skill`, `Developer`, `OCCURS_WITH` or `HAS_SKILL`.",
    ),
    sa.Column("from_id", sa.Text, primary_key=True, comment="Id of the node, or of where the edge starts."),
    sa.Column(
        "to_id", sa.Text, primary_key=True, comment="Id of where the edge ends; an empty text for a node."
    ),
    sa.Column("name", sa.Text, comment="A skill's name; null for all else."),
    sa.Column("weight", sa.Double, comment="Weight of `OCCURS_WITH`, to three decimals; null for all else."),
    sa.Column("developers_count", sa.Integer, comment="Developers of `OCCURS_WITH`; null for all else."),
    sa.Column(
        "confidence", sa.Double, comment="Confidence of `HAS_SKILL`, to two decimals; null for all else."
    ),
    updated_at(),
    comment="One row is one node or edge as Neo4j holds it, as far as the platform wrote or read it.",
)
