"""Brings the graph in Neo4j to what Postgres says, writing only what changed since the last time.

`platform.skill_graph_projection` remembers what Neo4j holds. Each of its rows is written after the transaction that it
tells of: if a run dies in between, the next one writes the same elements once more, which changes nothing. What an element
is and what has to change is `graph_elements`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.clients.graph import GraphClient
from platform_assets.profiles.graph_elements import (
    DEVELOPER,
    EDGES,
    HAS_SKILL,
    KEY,
    KINDS,
    NODES,
    OCCURS_WITH,
    PROPERTIES,
    SKILL,
    Batch,
    plan_batches,
)
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_graph import skill_edges, skill_graph_projection

RECONCILE_TAG = "platform/reconcile"
"""A run with this tag compares with what Neo4j really holds, instead of what was last written there."""

ANYTHING = f"MATCH (n:{SKILL.name}) RETURN n.{SKILL.key} LIMIT 1"

BATCH_ROWS = 5_000
"""Rows of a transaction: Neo4j keeps all of it in memory, and one takes about a second."""


@dataclass(frozen=True)
class Projection:
    """What a projection did and found.

    Attributes:
        counts: What changed in Neo4j, in elements, by what was known of it before.
        drifted_count: Elements of which Neo4j held something else than was remembered; None when it was not read back.
        wanted: Elements that it should hold now, by kind.
        found: Elements in Neo4j afterwards, by kind.
    """

    counts: WriteCounts
    drifted_count: int | None
    wanted: dict[str, int]
    found: dict[str, int]

    @property
    def differing_count(self) -> int:
        """By how many elements the two differ afterwards, over all kinds."""
        return sum(abs(self.found[name] - count) for name, count in self.wanted.items())

    def numbers(self) -> dict[str, int]:
        """What to plot: sizes in Neo4j, by how much they differ, and how much had drifted, where that was looked at."""
        return {
            "nodes_count": sum(self.found[kind.name] for kind in NODES),
            "edges_count": sum(self.found[kind.name] for kind in EDGES),
            **{f"{name}_in_neo4j": count for name, count in self.found.items()},
            "elements_differing": self.differing_count,
            **({} if self.drifted_count is None else {"elements_drifted": self.drifted_count}),
        }


def project(
    database: Database,
    graph: GraphClient,
    *,
    reconcile: bool = False,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[Batch], None] | None = None,
) -> Projection:
    """Make Neo4j hold the skill graph of Postgres.

    Args:
        database: Where the graph comes from, and where is remembered what was projected.
        graph: Where it goes. The labels and relationship types of `graph_elements` belong to the platform there.
        reconcile: Read back what Neo4j holds first, so that whatever was changed there since is put right. A graph that
            is empty is always taken for what it is: nothing in it could be lost.
        batch_rows: Rows of one transaction.
        progress: Called after each transaction.

    Raises:
        ServiceError: Neo4j did not do what was asked. What was committed stays and is remembered.
    """
    for kind in NODES:
        graph.write(kind.constraint, action=f"make {kind.name}.{kind.key} unique")
    drifted_count = None
    if reconcile or not graph.read(ANYTHING, action="see whether it is empty"):
        drifted_count = _remember_actual(database, graph)
    counts = WriteCounts()
    for batch in plan_batches(_read_changes(database), batch_rows=batch_rows):
        graph.write(
            batch.statement, batch.rows, action=f"{batch.action} {len(batch.elements)} × {batch.kind.name}"
        )
        counts += _remember(database, batch)
        if progress is not None:
            progress(batch)
    remembered = _count_remembered(database)
    unchanged = sum(remembered.values()) - counts.inserted - counts.updated
    return Projection(
        counts=counts + WriteCounts(unchanged=unchanged),
        drifted_count=drifted_count,
        wanted=remembered,
        found={
            kind.name: int(graph.read(kind.count, action=f"count {kind.name}")[0]["elements_count"])
            for kind in KINDS
        },
    )


def _count_remembered(database: Database) -> dict[str, int]:
    kind = skill_graph_projection.c.kind
    rows = database.read(sa.select(kind, sa.func.count().label("elements_count")).group_by(kind))
    counts = dict(zip(rows["kind"], rows["elements_count"]))
    return {kind.name: int(counts.get(kind.name, 0)) for kind in KINDS}


def _read_changes(database: Database) -> pd.DataFrame:
    """Elements that Neo4j lacks, holds with other properties, or should not hold: `KEY`, `PROPERTIES` and `action`.

    Compared where both lie: bringing the whole graph here costs more than all that a usual run has to do.
    """
    wanted, known = _wanted().subquery("wanted"), skill_graph_projection
    is_same_key = sa.and_(*(wanted.c[name] == known.c[name] for name in KEY))
    is_lacking, is_gone = known.c.kind.is_(None), wanted.c.kind.is_(None)
    differs = sa.tuple_(*(wanted.c[name] for name in PROPERTIES)).is_distinct_from(
        sa.tuple_(*(known.c[name] for name in PROPERTIES))
    )
    return database.read(
        sa.select(
            *(sa.func.coalesce(wanted.c[name], known.c[name]).label(name) for name in KEY),
            *(wanted.c[name] for name in PROPERTIES),
            sa.case((is_gone, "delete"), else_="merge").label("action"),
        )
        .select_from(wanted.join(known, is_same_key, full=True))
        .where(sa.or_(is_lacking, is_gone, differs))
    )


def _wanted() -> sa.CompoundSelect[Any]:
    """Every element of the graph, by one query, so that no edge is without its nodes."""
    profiles, skills = tables.skill_profiles, tables.skills
    no_name, no_number = sa.null().cast(sa.Text), sa.null().cast(sa.Double)
    no_count = sa.null().cast(sa.Integer)

    def rounded(column: sa.Column[float], digits: int) -> sa.ColumnElement[float]:
        # Nobody reads further, and a day's decay of every confidence would rewrite the whole graph every day.
        return sa.func.round(column.cast(sa.Numeric), digits).cast(sa.Double)

    def is_known(column: sa.Column[str]) -> sa.ColumnElement[bool]:
        return column.in_(sa.select(skills.c.skill_id))

    def select(
        kind: str,
        from_id: sa.ColumnElement[str],
        to_id: sa.ColumnElement[str],
        *properties: sa.ColumnElement[Any],
    ) -> sa.Select[Any]:
        columns: list[sa.ColumnElement[Any]] = [sa.literal(kind), from_id, to_id, *properties]
        return sa.select(*(column.label(name) for name, column in zip((*KEY, *PROPERTIES), columns)))

    nothing = sa.literal("")
    return sa.union_all(
        select(SKILL.name, skills.c.skill_id, nothing, skills.c.name, no_number, no_count, no_number),
        select(
            DEVELOPER.name, profiles.c.developer_id, nothing, no_name, no_number, no_count, no_number
        ).distinct(),
        select(
            OCCURS_WITH.name,
            skill_edges.c.skill_id_a,
            skill_edges.c.skill_id_b,
            no_name,
            rounded(skill_edges.c.weight, 3),
            skill_edges.c.developers_count,
            no_number,
        ).where(is_known(skill_edges.c.skill_id_a), is_known(skill_edges.c.skill_id_b)),
        select(
            HAS_SKILL.name,
            profiles.c.developer_id,
            profiles.c.skill_id,
            no_name,
            no_number,
            no_count,
            rounded(profiles.c.confidence, 2),
        ).where(is_known(profiles.c.skill_id)),
    )


def _remember(database: Database, batch: Batch) -> WriteCounts:
    if batch.action == "merge":
        return database.upsert(skill_graph_projection, batch.elements)
    table = skill_graph_projection
    ids = (
        sa.func.unnest(
            sa.bindparam("from_ids", list(batch.elements["from_id"]), type_=sa.ARRAY(sa.Text)),
            sa.bindparam("to_ids", list(batch.elements["to_id"]), type_=sa.ARRAY(sa.Text)),
        )
        .table_valued("from_id", "to_id")
        .render_derived()
    )
    gone = sa.tuple_(table.c.from_id, table.c.to_id).in_(sa.select(ids.c.from_id, ids.c.to_id))
    with database.transaction() as connection:
        result = connection.execute(sa.delete(table).where(table.c.kind == batch.kind.name, gone))
    return WriteCounts(deleted=result.rowcount)


def _remember_actual(database: Database, graph: GraphClient) -> int:
    """Replace what is remembered by what Neo4j holds; returns how many elements differ."""
    frames = []
    for kind in KINDS:
        rows = graph.read(kind.read, action=f"read every {kind.name}")
        frame = pd.DataFrame(rows, columns=[*KEY[1:], *kind.properties]).assign(kind=kind.name)
        repeated = frame.duplicated(KEY, keep=False)
        if repeated.any():
            # Parallel edges, made by hand: nothing tells them apart, so they go, and the plan makes one anew.
            stray = Batch(kind, "delete", frame[repeated].drop_duplicates(KEY))
            graph.write(stray.statement, stray.rows, action=f"delete repeated {kind.name}")
            frame = frame[~repeated]
        frames.append(frame.reindex(columns=[*KEY, *PROPERTIES]))
    actual = pd.concat(frames, ignore_index=True)
    return database.upsert(skill_graph_projection, actual, delete_missing=True).written
