"""pgvector HNSW in an embedded Postgres under the same filters: nearest developers by vector alone, one query a project."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pgvector.psycopg import register_vector

from benchmarks.matching.faiss_flat import one_vector_each
from benchmarks.matching.world import World
from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.matching.filters import FILTERS, Filters, allowed_pairs

_SETUP = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE nearest (
    position integer PRIMARY KEY, is_active boolean, available_from date, rate double precision, currency text,
    time_zone text, vector vector(384)
);
CREATE TABLE apart (project integer, position integer, PRIMARY KEY (project, position));
CREATE TABLE fits (project integer, time_zone text, PRIMARY KEY (project, time_zone));
"""

_INDEX = "CREATE INDEX ON nearest USING hnsw (vector vector_ip_ops) WITH (m = 24, ef_construction = 128)"
"""With pgvector's defaults, 16 and 64, no list is long enough for a recall of .99 among 100,000."""

_QUERY = """
SELECT position FROM nearest n
WHERE is_active AND available_from <= %(latest)s
  AND (rate IS NULL OR %(highest)s::float8 IS NULL OR (rate <= %(highest)s AND currency = %(currency)s))
  AND EXISTS (SELECT 1 FROM fits f WHERE f.project = %(project)s AND f.time_zone = n.time_zone)
  AND NOT EXISTS (SELECT 1 FROM apart a WHERE a.project = %(project)s AND a.position = n.position)
ORDER BY vector <#> %(vector)s LIMIT %(count)s
"""


@dataclass(frozen=True)
class PgvectorMeasurement:
    """What was measured.

    Attributes:
        build_s: Building the index.
        query_s: All projects' queries; measured on some of them and scaled up.
        recall: Share of the exact nearest under the filters that the queries found.
        ef_search: Smallest tried size of the search list that reached the recall.
        queries: Number of queries measured.
    """

    build_s: float
    query_s: float
    recall: float
    ef_search: int
    queries: int


def measure_pgvector(
    world: World, filters: Filters, *, count: int, queries: int, least_recall: float = 0.99
) -> PgvectorMeasurement:
    """Load, index and query, with lists as long as the recall needs."""
    rows = np.linspace(0, len(world.projects) - 1, queries).astype(np.int64).tolist()
    exact = {row: _exact_nearest(world, filters, row, count) for row in rows}
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-") as home:
        database = Database(ensure_postgres(Path(home)).url())
        try:
            with database.transaction() as connection:
                driver: Any = connection.connection.driver_connection
                driver.execute(_SETUP)
                register_vector(driver)
                _load(driver, world, filters, rows)
                driver.execute("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 2")
                started = time.perf_counter()
                driver.execute(_INDEX)
                build_s = time.perf_counter() - started
            with database.transaction() as connection:
                driver = connection.connection.driver_connection
                register_vector(driver)
                driver.execute("ANALYZE nearest")
                driver.execute("SET hnsw.iterative_scan = strict_order; SET enable_seqscan = off")
                for ef_search in (100, 200, 400, 800, 1000):
                    driver.execute(f"SET hnsw.ef_search = {ef_search}")
                    _query(driver, world, filters, rows[0], count)
                    started = time.perf_counter()
                    found = {row: _query(driver, world, filters, row, count) for row in rows}
                    query_s = (time.perf_counter() - started) / len(rows) * len(world.projects)
                    hits = sum(len(exact[row] & found[row]) for row in rows)
                    recall = hits / max(1, sum(map(len, exact.values())))
                    if recall >= least_recall:
                        break
        finally:
            database.close()
            stop_postgres(Path(home))
    return PgvectorMeasurement(round(build_s, 2), round(query_s, 2), round(recall, 4), ef_search, len(rows))


def _load(driver: Any, world: World, filters: Filters, rows: list[int]) -> None:
    people = filters.developers
    with driver.cursor() as cursor:
        with cursor.copy("COPY nearest FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "bool", "date", "float8", "text", "text", "vector"])
            for position, (row, vector) in enumerate(zip(people.to_dict("records"), one_vector_each(world))):
                copy.write_row(
                    (
                        position,
                        bool(row["is_active"]),
                        None if pd.isna(row["available_from"]) else row["available_from"].date(),
                        None if pd.isna(row["hourly_rate_minor"]) else float(row["hourly_rate_minor"]),
                        row["currency"] if isinstance(row["currency"], str) else None,
                        row["time_zone"],
                        vector,
                    )
                )
        everybody = np.arange(len(people))
        for project in rows:
            own = np.full(len(everybody), project)
            apart = ~(
                FILTERS["already_contracted"](filters, own, everybody)
                & FILTERS["blocked"](filters, own, everybody)
            )
            cursor.executemany(
                "INSERT INTO apart VALUES (%s, %s)",
                [(project, position) for position in np.flatnonzero(apart).tolist()],
            )
            zones = {
                zone: filters.zone_fits[project, number]
                for zone, number in zip(people["time_zone"], filters.zone_numbers)
            }
            cursor.executemany(
                "INSERT INTO fits VALUES (%s, %s)", [(project, zone) for zone, fits in zones.items() if fits]
            )


def _query(driver: Any, world: World, filters: Filters, row: int, count: int) -> set[int]:
    posted = filters.projects.iloc[row]
    highest = posted["max_hourly_rate_minor"]
    found = driver.execute(
        _QUERY,
        {
            "latest": filters.latest_starts[row].astype(object),
            "highest": None if pd.isna(highest) else float(highest),
            "currency": posted["currency"] if isinstance(posted["currency"], str) else None,
            "project": row,
            "vector": world.projects[row].vector,
            "count": count,
        },
    )
    return {position for (position,) in found.fetchall()}


def _exact_nearest(world: World, filters: Filters, row: int, count: int) -> set[int]:
    vector = world.projects[row].vector
    assert vector is not None
    everybody = np.arange(len(world.developers.developer_ids))
    positions = everybody[allowed_pairs(filters, np.full(len(everybody), row), everybody)]
    products = one_vector_each(world)[positions] @ vector
    return set(positions[np.argsort(-products, kind="stable")[:count]].tolist())
