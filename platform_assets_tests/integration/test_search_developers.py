"""The application's search function on a real Postgres: exactly as many rows as can be had, whatever the filters leave."""

import datetime as dt

import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.matching.search import (
    EXACT_SEARCH,
    SearchFilters,
    acceptable_time_zones,
    latest_start,
    search_developers,
)
from platform_assets.matching.service_health import recall_of
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables
from platform_assets.tables.matching_service import SEARCH_INDEX

DEVELOPERS_COUNT = 3_000
DAY = dt.date(2026, 11, 1)
CENTERS = np.random.default_rng(4).normal(size=(50, tables.EMBEDDING_DIMENSIONS))
ANYBODY = SearchFilters(available_by=DAY)


@pytest.fixture(scope="module")
def people(new_database):
    """Developers with three sides each, in clusters; one in a hundred asks for less than 20 an hour."""
    rng = np.random.default_rng(5)
    with new_database() as url:
        database = Database(url)
        with database.transaction() as connection:
            connection.execute(sa.schema.CreateSchema("marketplace"))
            marketplace.metadata.create_all(connection)
        ids = [f"d{i:05}" for i in range(DEVELOPERS_COUNT)]
        moment = pd.Timestamp("2026-01-01", tz="UTC")
        developers = pd.DataFrame(
            {
                "developer_id": ids,
                "declared_skills": [[] for _ in ids],
                "hourly_rate_minor": pd.array(
                    [None if i % 10 == 1 else 1_900 if i % 100 == 0 else 6_000 for i in range(len(ids))],
                    dtype="Int64",
                ),
                "currency": ["USD" if i % 3 == 0 else "EUR" for i in range(len(ids))],
                "time_zone": ["Asia/Tokyo" if i % 4 == 0 else "Europe/Lisbon" for i in range(len(ids))],
                "is_active": [i % 20 != 7 for i in range(len(ids))],
                "available_from": [None if i % 20 == 9 else DAY for i in range(len(ids))],
                "rating_count": 0,
                "joined_at": moment,
                "updated_at": moment,
            }
        )
        database.upsert(marketplace.developers, developers)
        rows = []
        for i, developer_id in enumerate(ids):
            for facet in range(3):
                vector = CENTERS[i % 50] + rng.normal(scale=0.8, size=tables.EMBEDDING_DIMENSIONS)
                rows.append(
                    (
                        developer_id,
                        f"o/{facet}",
                        "m",
                        "h",
                        (vector / np.linalg.norm(vector)).astype(np.float32),
                    )
                )
        names = ["developer_id", "facet", "model", "inputs_sha256", "vector"]
        database.upsert(tables.developer_vectors, pd.DataFrame(rows, columns=names))
        with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("ANALYZE")
        yield database
        database.close()


def question(seed):
    """What somebody might ask: something near what some developers do."""
    vector = CENTERS[seed] + np.random.default_rng(seed).normal(scale=0.8, size=tables.EMBEDDING_DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def exact(database, vector, filters, limit):
    query = "[" + ",".join(map(str, vector.tolist())) + "]"
    return database.read(EXACT_SEARCH, filters.parameters(query, limit))["developer_id"].tolist()


NARROW = {
    "cheap, in dollars": SearchFilters(DAY, max_hourly_rate_minor=2_000, currency="USD"),
    "nobody's currency": SearchFilters(DAY, max_hourly_rate_minor=99_999, currency="JPY"),
    "far zone": SearchFilters(DAY, time_zones=("Asia/Tokyo",)),
    "all but three": SearchFilters(
        DAY, excluded_developer_ids=tuple(f"d{i:05}" for i in range(DEVELOPERS_COUNT - 3))
    ),
    "anybody": ANYBODY,
}


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("limit", [1, 20, 200])
def test_a_search_gives_as_many_as_are_wanted_wherever_so_many_pass(people, name, limit):
    filters, recalls = NARROW[name], []
    for seed in range(5):
        vector = question(seed)
        wanted = exact(people, vector, filters, limit)

        found = search_developers(people, vector, filters, limit=limit)

        assert len(found) == len(wanted)
        assert found["developer_id"].is_unique
        assert found["similarity"].is_monotonic_decreasing
        recalls.append(recall_of(found["developer_id"].tolist(), wanted))
    assert np.mean(recalls) >= 0.8


def test_an_index_that_gives_up_early_costs_no_row(people):
    """With a scan limit of one tuple the index finds next to nobody: the exact answer steps in."""
    vector, filters = question(1), NARROW["cheap, in dollars"]
    query = "[" + ",".join(map(str, vector.tolist())) + "]"
    with people.engine.connect() as connection:
        connection.exec_driver_sql("SELECT '[1]'::vector")
        for setting in ("enable_seqscan = off", "enable_sort = off", "hnsw.max_scan_tuples = 1"):
            connection.exec_driver_sql(f"SET LOCAL {setting}")
        found = connection.execute(
            sa.text(
                "SELECT developer_id FROM platform.search_developers(CAST(:query AS vector), 20, 2000, 'USD', :day)"
            ),
            {"query": query, "day": DAY},
        )
        ids = [row.developer_id for row in found]

    assert ids == exact(people, vector, filters, 20)
    assert ids


def test_the_index_is_what_answers_a_search_without_narrow_filters(people):
    before = index_scans(people)

    search_developers(people, question(2), ANYBODY, limit=5)

    assert index_scans(people) > before


def index_scans(database):
    with database.engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        connection.commit()
        return connection.scalar(
            sa.text("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = :name"),
            {"name": SEARCH_INDEX},
        )


def test_the_nearest_side_of_a_developers_work_is_named(people):
    side = tables.developer_vectors
    _, [vector] = people.read_vectors(
        sa.select(side.c.developer_id, side.c.vector).where(
            side.c.developer_id == "d00010", side.c.facet == "o/2"
        )
    )

    found = search_developers(people, vector, ANYBODY, limit=1)

    assert (found["developer_id"].iloc[0], found["facet"].iloc[0]) == ("d00010", "o/2")
    assert found["similarity"].iloc[0] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("NULL", "no direction"),
        ("'[0,0]'::vector", "no direction"),
        ("'[1,2]'::vector", "different vector dimensions"),
        ("'[1,2]'::vector, 0", "max_results is 0"),
        ("'[1,2]'::vector, 5, 100", "without rate_currency"),
    ],
)
def test_a_question_that_means_nothing_is_refused_with_its_reason(people, arguments, told):
    with pytest.raises(sa.exc.DBAPIError, match=told) as refused, people.transaction() as connection:
        connection.exec_driver_sql(f"SELECT * FROM platform.search_developers({arguments})")

    assert isinstance(refused.value.orig, psycopg.Error)


def test_a_reader_of_the_application_may_search_and_no_more(people):
    with people.engine.connect() as connection:
        for statement in (
            "CREATE ROLE reader",
            "GRANT USAGE ON SCHEMA platform, marketplace TO reader",
            "GRANT SELECT ON platform.developer_vectors, marketplace.developers TO reader",
            "SET LOCAL ROLE reader",
            # Whatever search path the application has.
            "SET LOCAL search_path = pg_temp",
        ):
            connection.exec_driver_sql(statement)
        query = "[" + ",".join(["1"] * tables.EMBEDDING_DIMENSIONS) + "]"
        rows = connection.execute(
            sa.text("SELECT * FROM platform.search_developers(CAST(:query AS public.vector), 3)"),
            {"query": query},
        ).all()
        connection.rollback()

    assert len(rows) == 3


def test_time_zones_that_share_enough_hours_are_acceptable_and_unknown_ones_pass():
    zones = ["Asia/Tokyo", "Europe/Lisbon", "Europe/Berlin", "Mars/Olympus"]

    assert acceptable_time_zones(zones, "Europe/Paris", 4, as_of=DAY) == (
        "Europe/Berlin",
        "Europe/Lisbon",
        "Mars/Olympus",
    )
    assert acceptable_time_zones(zones, None, 4, as_of=DAY) is None
    assert acceptable_time_zones(zones, "Europe/Paris", None, as_of=DAY) is None


def test_a_start_in_the_past_counts_from_today():
    assert latest_start(dt.date(2020, 1, 1), DAY) == latest_start(None, DAY) == dt.date(2026, 11, 15)
    assert latest_start(dt.date(2026, 12, 1), DAY) == dt.date(2026, 12, 15)
