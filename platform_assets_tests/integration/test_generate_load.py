import datetime as dt
import re

import pytest
import sqlalchemy as sa

from platform_assets.clients.contract import contract_problems, read_contract
from platform_assets.clients.database import Database, WriteCounts
from platform_assets.sandbox.generator.generate import generate_world
from platform_assets.sandbox.load import load_marketplace
from platform_assets.sandbox.world import World
from platform_assets.tables import marketplace
from platform_assets.tables.contract_doc import render_contract

ANCHOR = dt.date(2026, 11, 1)


def world_of(seed: int, developers_count: int = 60) -> World:
    return generate_world(seed=seed, developers_count=developers_count, projects_count=20, anchor=ANCHOR)


def written(counts: WriteCounts) -> int:
    return counts.inserted + counts.updated + counts.deleted


def test_loading_fills_the_contract_and_loading_again_writes_nothing(database: Database):
    world = world_of(1)
    first = load_marketplace(database, world)
    assert {name: counts.inserted for name, counts in first.items()} == {
        name: len(frame) for name, frame in world.marketplace.items()
    }
    assert contract_problems(database) == []
    assert {written(counts) for counts in load_marketplace(database, world).values()} == {0}


def test_another_world_takes_the_place_of_the_first(database: Database):
    load_marketplace(database, world_of(1))
    other = world_of(2, developers_count=30)
    load_marketplace(database, other)
    for table in marketplace.metadata.tables.values():
        keys = [column.name for column in table.primary_key.columns]
        stored = database.read(sa.select(*table.primary_key.columns))
        expected = other.marketplace[table.name]
        assert set(zip(*(stored[key] for key in keys))) == set(zip(*(expected[key] for key in keys)))


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE marketplace.blocks",
        "ALTER TABLE marketplace.payments DROP COLUMN attempts_count",
        "ALTER TABLE marketplace.payments ADD COLUMN note text",
        "ALTER TABLE marketplace.developers ALTER COLUMN hourly_rate_minor TYPE numeric",
        "ALTER TABLE marketplace.developers ALTER COLUMN display_name SET NOT NULL",
        "ALTER TABLE marketplace.developers DROP CONSTRAINT developers_pkey",
    ],
)
def test_tables_of_another_shape_are_made_anew(database: Database, change: str):
    world = world_of(1)
    load_marketplace(database, world)
    with database.transaction() as connection:
        connection.execute(sa.text(change))
    load_marketplace(database, world)
    assert contract_problems(database) == []
    assert {written(counts) for counts in load_marketplace(database, world).values()} == {0}


def test_only_the_planted_rows_are_set_aside(database: Database):
    world = generate_world(seed=20261101, developers_count=1_000, projects_count=200, anchor=ANCHOR)
    load_marketplace(database, world)
    set_aside_counts = {
        table.name: len(read_contract(database, table).set_aside_keys)
        for table in marketplace.metadata.tables.values()
    }
    assert set_aside_counts == {**dict.fromkeys(world.marketplace, 0), "developers": 3}


def test_the_views_of_the_contract_page_meet_the_contract(database: Database):
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                """
                CREATE SCHEMA app;
                CREATE ROLE platform_reader;
                CREATE TABLE app.freelancers (
                    id bigint PRIMARY KEY, full_name varchar(80), github text, about text, hourly_rate numeric(8, 2),
                    tz text, closed_at timestamp, takes_work boolean NOT NULL, busy_until date, stars real,
                    reviews integer NOT NULL, created_at timestamp NOT NULL, changed_at timestamp NOT NULL
                );
                CREATE TABLE app.freelancer_tags (freelancer_id bigint, label text);
                INSERT INTO app.freelancers VALUES
                    (1, 'A', ' ada ', NULL, 49.90, 'Europe/Lisbon', NULL, true, '2026-03-31', 4.5, 2, now(), now()),
                    (2, 'B', ' ', '', NULL, NULL, now(), false, NULL, NULL, 0, now(), now());
                INSERT INTO app.freelancer_tags VALUES (1, 'Rust'), (1, 'C');
                """
            )
        )
        for statement in re.findall(r"```sql\n(.*?)```", render_contract(), flags=re.DOTALL):
            connection.execute(sa.text(statement.replace("::", "\\:\\:")))
    missing = {table.name for table in marketplace.metadata.tables.values()} - {"developers", "blocks"}
    assert {problem.split()[0] for problem in contract_problems(database)} == {
        f"marketplace.{name}" for name in missing
    }
    ada, other = read_contract(database, marketplace.developers).rows.to_dict("records")
    assert (ada["github_login"], ada["hourly_rate_minor"], ada["currency"]) == ("ada", 4990, "EUR")
    assert list(ada["declared_skills"]) == ["C", "Rust"]
    assert list(other["declared_skills"]) == []
    assert not other["is_active"]
    assert len(read_contract(database, marketplace.blocks).rows) == 0
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                "DROP SCHEMA marketplace CASCADE; DROP OWNED BY platform_reader; DROP ROLE platform_reader"
            )
        )
