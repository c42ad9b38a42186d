"""What the projected graph is made of, how each kind of it is said in Cypher, and in which order it is written. Pure.

    (:Developer {developer_id})-[:HAS_SKILL {confidence}]->(:Skill {skill_id, name})
    (:Skill)-[:OCCURS_WITH {weight, developers_count}]->(:Skill)

What has changed, running the statements and remembering it is `graph_projection`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

KEY = ["kind", "from_id", "to_id"]
PROPERTIES = ["name", "weight", "developers_count", "confidence"]


@dataclass(frozen=True)
class NodeKind:
    """A kind of node. Every statement takes `$rows`, maps with `from_id` and the properties.

    Attributes:
        name: Its label.
        key: The property that identifies a node.
        properties: What else a node holds.
    """

    name: str
    key: str
    properties: tuple[str, ...] = ()

    @property
    def constraint(self) -> str:
        """Makes the key unique, which also makes finding a node quick."""
        return (
            f"CREATE CONSTRAINT platform_{self.key} IF NOT EXISTS FOR (n:{self.name}) "
            f"REQUIRE n.{self.key} IS UNIQUE"
        )

    @property
    def merge(self) -> str:
        """Makes the nodes be there, with these properties."""
        return f"UNWIND $rows AS row MERGE (n:{self.name} {{{self.key}: row.from_id}}){_assign('n', self.properties)}"

    @property
    def delete(self) -> str:
        """Removes the nodes, and whatever still hangs on them."""
        return f"UNWIND $rows AS row MATCH (n:{self.name} {{{self.key}: row.from_id}}) DETACH DELETE n"

    @property
    def read(self) -> str:
        """All nodes of the kind; one without a key is somebody else's."""
        return f"{self._match} RETURN n.{self.key} AS from_id, '' AS to_id{_select('n', self.properties)}"

    @property
    def count(self) -> str:
        """How many there are."""
        return f"{self._match} RETURN count(n) AS elements_count"

    @property
    def _match(self) -> str:
        return f"MATCH (n:{self.name}) WHERE n.{self.key} IS NOT NULL"


@dataclass(frozen=True)
class EdgeKind:
    """A kind of edge. Every statement takes `$rows`, maps with `from_id`, `to_id` and the properties.

    Attributes:
        name: Its relationship type.
        start: What it starts at.
        end: What it ends at.
        properties: What an edge holds.
    """

    name: str
    start: NodeKind
    end: NodeKind
    properties: tuple[str, ...] = ()

    @property
    def merge(self) -> str:
        """Makes the edges be there, with these properties; the nodes must be there."""
        return (
            f"UNWIND $rows AS row MATCH (a:{self.start.name} {{{self.start.key}: row.from_id}}) "
            f"MATCH (b:{self.end.name} {{{self.end.key}: row.to_id}}) "
            f"MERGE (a)-[e:{self.name}]->(b){_assign('e', self.properties)}"
        )

    @property
    def delete(self) -> str:
        """Removes the edges, parallel ones too."""
        return (
            f"UNWIND $rows AS row MATCH (:{self.start.name} {{{self.start.key}: row.from_id}})"
            f"-[e:{self.name}]->(:{self.end.name} {{{self.end.key}: row.to_id}}) DELETE e"
        )

    @property
    def read(self) -> str:
        """All edges of the kind between nodes that are ours."""
        return (
            f"{self._match} RETURN a.{self.start.key} AS from_id, b.{self.end.key} AS to_id"
            f"{_select('e', self.properties)}"
        )

    @property
    def count(self) -> str:
        """How many there are."""
        return f"{self._match} RETURN count(e) AS elements_count"

    @property
    def _match(self) -> str:
        return (
            f"MATCH (a:{self.start.name})-[e:{self.name}]->(b:{self.end.name}) "
            f"WHERE a.{self.start.key} IS NOT NULL AND b.{self.end.key} IS NOT NULL"
        )


def _assign(variable: str, properties: tuple[str, ...]) -> str:
    sets = ", ".join(f"{variable}.{name} = row.{name}" for name in properties)
    return f" SET {sets}" if sets else ""


def _select(variable: str, properties: tuple[str, ...]) -> str:
    return "".join(f", {variable}.{name} AS {name}" for name in properties)


Kind = NodeKind | EdgeKind
Action = Literal["merge", "delete"]

SKILL = NodeKind("Skill", "skill_id", ("name",))
DEVELOPER = NodeKind("Developer", "developer_id")
OCCURS_WITH = EdgeKind("OCCURS_WITH", SKILL, SKILL, ("weight", "developers_count"))
HAS_SKILL = EdgeKind("HAS_SKILL", DEVELOPER, SKILL, ("confidence",))

NODES = (SKILL, DEVELOPER)
EDGES = (OCCURS_WITH, HAS_SKILL)
KINDS: tuple[Kind, ...] = (*NODES, *EDGES)


@dataclass(frozen=True)
class Batch:
    """One transaction's worth of work on one kind.

    Attributes:
        kind: What it is about.
        action: `merge` or `delete`; doing either again changes nothing.
        elements: Rows with `KEY` and `PROPERTIES`.
    """

    kind: Kind
    action: Action
    elements: pd.DataFrame

    @property
    def statement(self) -> str:
        """The Cypher to run, once for all rows."""
        return self.kind.merge if self.action == "merge" else self.kind.delete

    @property
    def rows(self) -> list[dict[str, object]]:
        """The statement's `$rows`."""
        columns = [*KEY[1:], *(self.kind.properties if self.action == "merge" else ())]
        return [
            {str(name): value for name, value in row.items()}
            for row in self.elements[columns].to_dict("records")
        ]


def plan_batches(changes: pd.DataFrame, *, batch_rows: int) -> Iterator[Batch]:
    """The changes in an order that never needs what is not there: nodes before their edges, and away in reverse.

    Args:
        changes: Rows with `KEY`, `PROPERTIES` and `action`.
        batch_rows: Rows of one batch at most.

    Yields:
        Batches that hold every change once, by key within their kind.
    """
    ordered = changes.sort_values(KEY)
    groups = {key: group[[*KEY, *PROPERTIES]] for key, group in ordered.groupby(["action", "kind"])}
    orders: tuple[tuple[Action, tuple[Kind, ...]], ...] = (("merge", KINDS), ("delete", KINDS[::-1]))
    for action, kinds in orders:
        for kind in kinds:
            elements = groups.get((action, kind.name), changes.iloc[:0])
            for start in range(0, len(elements), batch_rows):
                yield Batch(kind, action, elements.iloc[start : start + batch_rows])
