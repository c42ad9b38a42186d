"""Measures the projection to Neo4j: `python -m benchmarks.graph_projection --json`.

The graph is random, of the given size; then one developer in a hundred changes, with all
their skills, and one in a hundred of the edges between skills. Without
`--uri` a server that speaks Bolt as Neo4j does is started in a folder of its own (package `arcadedb-embedded`).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.clients.graph import GraphClient
from platform_assets.migrations import migrate
from platform_assets.profiles.graph_projection import Projection, project
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_graph import skill_edges
from platform_assets_tests.neo4j_server import PASSWORD, USER, Neo4jServer

_SKILLS = 1_000
_SKILL_EDGES = 10_000
_CHANGED_SHARE = 0.01
_AS_OF = pd.Timestamp("2026-11-01").date()


@dataclass(frozen=True)
class ProjectionMeasurement:
    """What was measured; times in seconds, reading from Postgres and counting in Neo4j included.

    Attributes:
        server: What the server calls itself.
        developers: Developers in the graph.
        edges: Edges of both kinds.
        first_s: Everything, into an empty graph.
        again_s: Nothing changed.
        again_written: Elements that this wrote.
        changed_s: One in a hundred changed.
        changed_written: Elements that this wrote or deleted.
        changed_ratio: `changed_s` over `first_s`.
        reconcile_s: Nothing changed, and the whole graph read back.
        elements_differing: By how many elements Neo4j and Postgres differ at the end.
    """

    server: str
    developers: int
    edges: int
    first_s: float
    again_s: float
    again_written: int
    changed_s: float
    changed_written: int
    changed_ratio: float
    reconcile_s: float
    elements_differing: int


def make_profiles(developers: int, edges: int, random: np.random.Generator) -> pd.DataFrame:
    """Developers' skills, as many each; common skills more often than rare ones."""
    each = edges // developers
    popularity = 1 / np.arange(1, _SKILLS + 1)
    popularity /= popularity.sum()
    chosen = [random.choice(_SKILLS, each, replace=False, p=popularity) for _ in range(developers)]
    return pd.DataFrame(
        {
            "developer_id": np.repeat([f"developer-{number:06d}" for number in range(developers)], each),
            "skill_id": [f"skill-{number:04d}" for number in np.concatenate(chosen)],
            "confidence": random.random(developers * each),
            "sources": [["github"]] * (developers * each),
            "commits_count": 1.0,
            "commits_share": 1 / each,
            "as_of": _AS_OF,
        }
    )


def make_edges(random: np.random.Generator) -> pd.DataFrame:
    """Pairs of skills."""
    pairs = np.array([(a, b) for a in range(_SKILLS) for b in range(a + 1, min(a + 40, _SKILLS))])
    pairs = pairs[random.choice(len(pairs), _SKILL_EDGES, replace=False)]
    return pd.DataFrame(
        {
            "skill_id_a": [f"skill-{number:04d}" for number in pairs[:, 0]],
            "skill_id_b": [f"skill-{number:04d}" for number in pairs[:, 1]],
            "developers_count": random.integers(3, 500, len(pairs)),
            "weight": random.uniform(0.01, 1, len(pairs)),
            "as_of": _AS_OF,
        }
    )


def change_profiles(profiles: pd.DataFrame) -> pd.DataFrame:
    """One developer in a hundred has other confidences; one in twenty of those has left, and another one has come."""
    ids = profiles["developer_id"].unique()
    changed = ids[: round(len(ids) * _CHANGED_SHARE)]
    gone = changed[: len(changed) // 20]
    is_changed, is_gone = profiles["developer_id"].isin(changed), profiles["developer_id"].isin(gone)
    return profiles.assign(
        confidence=profiles["confidence"].mask(is_changed, 1 - 0.9 * profiles["confidence"]),
        developer_id=profiles["developer_id"].mask(is_gone, "new-" + profiles["developer_id"]),
    )


def change_edges(edges: pd.DataFrame) -> pd.DataFrame:
    """One edge in a hundred has another weight; one in twenty of those is gone."""
    changed = round(len(edges) * _CHANGED_SHARE)
    is_changed = np.arange(len(edges)) < changed
    return edges.assign(weight=edges["weight"].mask(is_changed, 1 - 0.9 * edges["weight"])).iloc[
        changed // 20 :
    ]


def measure(database: Database, graph: GraphClient, developers: int, edges: int) -> ProjectionMeasurement:
    """Project four times: everything, nothing, what changed, and with everything read back."""
    random = np.random.default_rng(2026)
    profiles, pairs = make_profiles(developers, edges - _SKILL_EDGES, random), make_edges(random)
    skills = pd.DataFrame({"skill_id": [f"skill-{number:04d}" for number in range(_SKILLS)]})
    skills = skills.assign(name=skills["skill_id"].str.title(), kind="other", source="packaged")
    database.upsert(tables.skills, skills)
    database.upsert(tables.skill_profiles, profiles)
    database.upsert(skill_edges, pairs)
    server = graph.read_agent()
    first_s, first = _timed(database, graph)
    again_s, again = _timed(database, graph)

    database.upsert(tables.skill_profiles, change_profiles(profiles), delete_missing=True)
    database.upsert(skill_edges, change_edges(pairs), delete_missing=True)
    changed_s, changed = _timed(database, graph)
    reconcile_s, reconciled = _timed(database, graph, reconcile=True)
    return ProjectionMeasurement(
        server=server,
        developers=developers,
        edges=sum(first.wanted[name] for name in ("HAS_SKILL", "OCCURS_WITH")),
        first_s=round(first_s, 3),
        again_s=round(again_s, 3),
        again_written=again.counts.written,
        changed_s=round(changed_s, 3),
        changed_written=changed.counts.written,
        changed_ratio=round(changed_s / first_s, 4),
        reconcile_s=round(reconcile_s, 3),
        elements_differing=reconciled.differing_count,
    )


def _timed(database: Database, graph: GraphClient, *, reconcile: bool = False) -> tuple[float, Projection]:
    start = time.perf_counter()
    done = project(database, graph, reconcile=reconcile)
    return time.perf_counter() - start, done


@contextmanager
def _server(uri: str | None) -> Iterator[GraphClient]:
    if uri is not None:
        user, password = os.environ["PLATFORM_NEO4J_USER"], os.environ["PLATFORM_NEO4J_PASSWORD"]
        with GraphClient(uri=uri, user=user, password=password, timeout_s=20) as graph:
            yield graph
        return
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-graph-") as home:
        server = Neo4jServer(Path(home))
        try:
            server.start()
            with GraphClient(uri=server.uri, user=USER, password=PASSWORD, timeout_s=20) as graph:
                yield graph
        finally:
            server.kill()


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=10_000)
    parser.add_argument("--edges", type=int, default=100_000)
    parser.add_argument(
        "--uri", help="an empty Neo4j; PLATFORM_NEO4J_USER and PLATFORM_NEO4J_PASSWORD say who asks"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-") as home, _server(arguments.uri) as graph:
        url = ensure_postgres(Path(home)).url()
        migrate.upgrade(url)
        database = Database(url)
        try:
            measurement = asdict(measure(database, graph, arguments.developers, arguments.edges))
        finally:
            database.close()
            stop_postgres(Path(home))
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>18}  {value}")


if __name__ == "__main__":
    main()
