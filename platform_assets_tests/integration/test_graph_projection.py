"""The projection over Bolt, by the official driver, to a server that answers as Neo4j; it is killed on the way."""

import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from neo4j_server import PASSWORD, USER, Neo4jServer, package_folder

from platform_assets.clients.database import Database
from platform_assets.clients.graph import GraphClient
from platform_assets.clients.http_errors import PermanentError, ServiceError, TransientError
from platform_assets.doctor import examine
from platform_assets.profiles.graph_elements import KINDS, Batch
from platform_assets.profiles.graph_projection import RECONCILE_TAG, Projection, project
from platform_assets.settings import Settings
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_graph import skill_edges, skill_graph_projection

AS_OF = dt.date(2026, 11, 1)
SKILLS = ("css", "git", "go", "python", "react")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jServer]:
    if package_folder() is None:
        assert "CI" not in os.environ, "arcadedb-embedded is not installed"
        pytest.skip("no server that speaks Bolt")
    server = Neo4jServer(tmp_path_factory.mktemp("neo4j"))
    server.start()
    yield server
    server.kill()


def client(server: Neo4jServer, **options: Any) -> GraphClient:
    return GraphClient(
        **{
            "uri": server.uri,
            "user": USER,
            "password": PASSWORD,
            "timeout_s": 10,
            "retry_limit_s": 1,
            **options,
        }
    )


@pytest.fixture
def graph(server: Neo4jServer) -> Iterator[GraphClient]:
    """A client of an empty graph."""
    with client(server) as graph:
        graph.write("MATCH (n) DETACH DELETE n", action="empty the graph")
        yield graph


def write_marketplace(database: Database, developers: int = 20, confidence: float = 0.5) -> None:
    """Developers with three skills each, and two edges between skills."""
    skills = pd.DataFrame({"skill_id": SKILLS, "kind": "other", "source": "packaged"})
    rows = [
        (f"dev-{number:02d}", SKILLS[(number + step) % len(SKILLS)], confidence)
        for number in range(developers)
        for step in range(3)
    ]
    profiles = pd.DataFrame(rows, columns=["developer_id", "skill_id", "confidence"]).assign(
        sources=[["github"]] * len(rows), commits_count=1.0, commits_share=0.1, as_of=AS_OF
    )
    edges = pd.DataFrame(
        {
            "skill_id_a": ["css", "go"],
            "skill_id_b": ["react", "python"],
            "developers_count": [7, 3],
            "weight": [0.81234, 0.2],
            "as_of": AS_OF,
        }
    )
    database.upsert(tables.skills, skills.assign(name=skills["skill_id"].str.title()), delete_missing=True)
    database.upsert(tables.skill_profiles, profiles, delete_missing=True)
    database.upsert(skill_edges, edges, delete_missing=True)


def contents(graph: GraphClient) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in Neo4j, by kind."""
    return {
        kind.name: sorted(tuple(row.values()) for row in graph.read(kind.read, action="look"))
        for kind in KINDS
    }


def expected(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """The same, from Postgres."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with database.transaction() as connection:
            return sorted(tuple(row) for row in connection.exec_driver_sql(query))

    return {
        "Skill": rows("SELECT skill_id, '', name FROM platform.skills"),
        "Developer": rows("SELECT DISTINCT developer_id, '' FROM platform.skill_profiles"),
        "OCCURS_WITH": rows(
            "SELECT skill_id_a, skill_id_b, round(weight::numeric, 3)::float8, developers_count FROM platform.skill_edges"
        ),
        "HAS_SKILL": rows(
            "SELECT developer_id, skill_id, round(confidence::numeric, 2)::float8 FROM platform.skill_profiles"
        ),
    }


def assert_projected(database: Database, graph: GraphClient, done: Projection) -> None:
    assert done.differing_count == 0
    assert contents(graph) == expected(database)


def execute(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql(statement)


def test_everything_is_projected_once_and_then_only_what_changed(
    database: Database, graph: GraphClient
) -> None:
    write_marketplace(database)
    first = project(database, graph)
    assert_projected(database, graph, first)
    assert first.counts.inserted == 5 + 20 + 2 + 60

    again = project(database, graph)
    assert again.counts.written == 0
    assert again.counts.unchanged == first.counts.inserted

    execute(database, "UPDATE platform.skill_profiles SET confidence = 0.9 WHERE developer_id = 'dev-03'")
    execute(database, "UPDATE platform.skill_edges SET developers_count = 8 WHERE skill_id_a = 'css'")
    execute(database, "UPDATE platform.skills SET name = 'Golang' WHERE skill_id = 'go'")
    changed = project(database, graph)
    assert (changed.counts.inserted, changed.counts.updated, changed.counts.deleted) == (0, 3 + 1 + 1, 0)
    assert_projected(database, graph, changed)


def test_what_is_gone_from_postgres_goes_from_neo4j_with_its_edges(
    database: Database, graph: GraphClient
) -> None:
    write_marketplace(database)
    project(database, graph)
    execute(database, "DELETE FROM platform.skill_profiles WHERE developer_id < 'dev-05' OR skill_id = 'css'")
    execute(database, "DELETE FROM platform.skill_edges WHERE skill_id_a = 'css'")
    execute(database, "DELETE FROM platform.skills WHERE skill_id = 'css'")

    done = project(database, graph)

    assert done.counts.inserted == done.counts.updated == 0
    assert_projected(database, graph, done)


def test_a_change_below_what_anybody_reads_is_none(database: Database, graph: GraphClient) -> None:
    write_marketplace(database)
    project(database, graph)
    execute(database, "UPDATE platform.skill_profiles SET confidence = confidence + 0.001")

    assert project(database, graph).counts.written == 0


@pytest.mark.parametrize("batches_done", (1, 4, 8, 10))
def test_a_server_that_is_killed_half_way_is_told_and_the_next_run_repairs(
    database: Database, graph: GraphClient, server: Neo4jServer, batches_done: int
) -> None:
    write_marketplace(database)
    seen: list[Batch] = []

    def kill_half_way(batch: Batch) -> None:
        seen.append(batch)
        if len(seen) == batches_done:
            server.kill()

    with pytest.raises(TransientError, match=r"Neo4j: could not (merge|count) .* A rerun may help") as caught:
        project(database, graph, batch_rows=10, progress=kill_half_way)
    assert PASSWORD not in str(caught.value)
    assert len(seen) == batches_done
    server.start()
    again = project(database, graph, batch_rows=10)

    # Nothing that was committed is written once more.
    assert again.counts.inserted == 87 - sum(len(batch.elements) for batch in seen)
    assert_projected(database, graph, again)


@pytest.mark.parametrize("change", ["merge", "delete"])
def test_a_run_that_dies_after_the_commit_and_before_it_is_remembered_does_no_harm(
    database: Database, graph: GraphClient, change: str
) -> None:
    write_marketplace(database)
    project(database, graph)
    before = database.read(skill_graph_projection.select())
    write_marketplace(database, developers=25 if change == "merge" else 15, confidence=0.7)
    project(database, graph)
    # What the dead run knew.
    database.upsert(skill_graph_projection, before.drop(columns="updated_at"), delete_missing=True)

    assert_projected(database, graph, project(database, graph))


def test_what_others_change_in_neo4j_is_noticed_and_put_right_by_reconciling(
    database: Database, graph: GraphClient
) -> None:
    write_marketplace(database)
    project(database, graph)
    for statement in (
        "MATCH (d:Developer {developer_id: 'dev-01'}) DETACH DELETE d",
        "MATCH (:Developer {developer_id: 'dev-02'})-[e:HAS_SKILL]->() SET e.confidence = 0.0",
        "MATCH (s:Skill {skill_id: 'go'}) SET s.name = 'Something else'",
        "MERGE (:Skill {skill_id: 'stray'})",
        "MATCH (a:Skill {skill_id: 'css'}), (b:Skill {skill_id: 'react'}) CREATE (a)-[:OCCURS_WITH {weight: 1.0}]->(b)",
        "CREATE (:Skill {title: 'not ours'})",
    ):
        graph.write(statement, action="meddle")

    unaware = project(database, graph)
    assert unaware.counts.written == 0
    # One developer with three edges is missing, one skill and one edge are too many.
    assert unaware.differing_count == 1 + 3 + 1 + 1
    reconciled = project(database, graph, reconcile=True)

    assert reconciled.drifted_count == 1 + 3 + 3 + 1 + 1 + 1
    assert_projected(database, graph, reconciled)
    assert graph.read("MATCH (s:Skill {title: 'not ours'}) RETURN count(s) AS n", action="look") == [{"n": 1}]


def test_an_emptied_graph_is_filled_again_at_the_next_run(database: Database, graph: GraphClient) -> None:
    write_marketplace(database)
    project(database, graph)
    graph.write("MATCH (n) DETACH DELETE n", action="empty the graph")

    assert_projected(database, graph, project(database, graph))


def test_an_empty_marketplace_empties_the_graph(database: Database, graph: GraphClient) -> None:
    write_marketplace(database)
    project(database, graph)
    for table in ("skill_profiles", "skill_edges", "skills"):
        execute(database, f"DELETE FROM platform.{table}")

    done = project(database, graph)

    assert not any(contents(graph).values())
    assert done.differing_count == 0


def test_odd_names_arrive_as_they_are(database: Database, graph: GraphClient) -> None:
    write_marketplace(database)
    odd = "C++ \"'`}) DETACH DELETE n // \\ ‮ 🐍 日本"
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE platform.skills SET name = %s WHERE skill_id = 'go'", (odd,))

    assert_projected(database, graph, project(database, graph))


def test_a_wrong_password_is_permanent_and_not_shown(server: Neo4jServer, graph: GraphClient) -> None:
    with client(server, password="hunter2") as refused, pytest.raises(PermanentError) as caught:
        refused.read_agent()

    assert "the user or the password is refused" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_stops_answering_is_given_up_in_time(server: Neo4jServer, graph: GraphClient) -> None:
    with client(server, timeout_s=1, transaction_limit_s=1) as impatient:
        impatient.read("RETURN 1 AS one", action="look")
        server.freeze()
        start = time.monotonic()
        try:
            with pytest.raises(TransientError, match="Neo4j: could not look"):
                impatient.read("RETURN 1 AS one", action="look")
        finally:
            server.thaw()
            # The driver warns of a session whose connection is closed under it.
            for thread in threading.enumerate():
                if thread.name == "neo4j":
                    thread.join(timeout=10)

    assert time.monotonic() - start < 8


def test_wrong_cypher_is_permanent(graph: GraphClient) -> None:
    with pytest.raises(PermanentError, match="could not look"):
        graph.read("THIS IS NO CYPHER", action="look")


def test_a_server_that_is_not_there_is_transient() -> None:
    with (
        GraphClient(
            uri="bolt://127.0.0.1:9", user=USER, password="hunter2", timeout_s=2, retry_limit_s=0
        ) as nobody,
        pytest.raises(ServiceError) as caught,
    ):
        nobody.read("RETURN 1 AS one", action="look")

    assert isinstance(caught.value, TransientError)
    assert "hunter2" not in str(caught.value)


def test_the_doctor_asks_neo4j(server: Neo4jServer, tmp_path: Any) -> None:
    def finding(**options: Any) -> Any:
        [found] = [
            finding for finding in examine(Settings(home=tmp_path, **options)) if finding.subject == "neo4j"
        ]
        return found

    production = {
        "database_url": "postgresql://127.0.0.1:1/none",
        "github_token": "off",
        "stripe_api_key": "off",
    }
    answered = finding(**production, neo4j_uri=server.uri, neo4j_user=USER, neo4j_password=PASSWORD)
    refused = finding(**production, neo4j_uri=server.uri, neo4j_user=USER, neo4j_password="hunter2")

    assert (answered.state, finding(**production, neo4j_uri="off").state) == ("ok", "off")
    assert "Neo4j" in answered.message
    assert refused.state == "problem"
    assert "hunter2" not in refused.message


@pytest.fixture
def connected(settled: Any, graph: GraphClient) -> Any:
    """The platform over the small world, with a Neo4j."""

    def run(**tags: str) -> Any:
        return settled.run("skill_graph", "skill_graph_projection", graph=graph, tags=tags)

    return run


def test_the_asset_projects_tells_what_is_there_and_reconciles_when_its_run_says_so(
    settled: Any, graph: GraphClient, connected: Any
) -> None:
    first = connected()
    told = first.metadata("skill_graph_projection")
    assert first.is_success
    assert told["neo4j"] == "on"
    assert told["elements_differing"] == 0
    assert told["nodes_count"] > 0
    assert contents(graph) == expected(settled.database)
    assert connected().rows_written("skill_graph_projection") == 0

    graph.write("MATCH (d:Developer) WITH d LIMIT 3 DETACH DELETE d", action="meddle")
    unaware = connected()
    assert ("skill_graph_projection", "counts") in unaware.broken_checks(dg.AssetCheckSeverity.ERROR)
    reconciled = connected(**{RECONCILE_TAG: "true"})
    assert reconciled.metadata("skill_graph_projection")["elements_drifted"] > 3
    assert ("skill_graph_projection", "counts") not in reconciled.broken_checks(dg.AssetCheckSeverity.ERROR)
    assert contents(graph) == expected(settled.database)
