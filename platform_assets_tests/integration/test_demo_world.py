"""Which world the sandbox shows: switching it in Postgres and in the local APIs together."""

import dataclasses
import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from filelock import FileLock

from platform_assets.clients.database import Database
from platform_assets.sandbox.demo import ensure_marketplace, load_world, loaded_world
from platform_assets.sandbox.generator.generate import generate_world
from platform_assets.sandbox.process import state_path
from platform_assets.sandbox.state import SandboxState, SandboxStateError
from platform_assets.settings import Settings

FIRST, SECOND = (
    generate_world(seed=seed, developers_count=10, projects_count=3, anchor=dt.date(2026, 11, 1))
    for seed in (1, 2)
)
READ_FROM_THE_APIS = (
    "INSERT INTO platform.gateway_cursors (object_type, read_through) VALUES ('charge', now())",
    "INSERT INTO platform.gateway_transactions (object_id, object_type, amount_minor, currency, created_at) "
    "VALUES ('ch_1', 'charge', 1, 'USD', now())",
    "INSERT INTO monitoring.quarantined_rows (source, row_key, reason, payload) "
    "VALUES ('stripe.objects', 'ch_2', 'odd', '{}'), ('github.accounts', 'a', 'odd', '{}')",
)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, sandbox_developers=10, sandbox_projects=3)


def execute(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def read_keys(database: Database) -> list[str]:
    return database.read(
        sa.text(
            "SELECT object_type AS key FROM platform.gateway_cursors UNION ALL SELECT object_id FROM "
            "platform.gateway_transactions UNION ALL SELECT row_key FROM monitoring.quarantined_rows ORDER BY 1"
        )
    )["key"].tolist()


def shown_by_the_apis(settings):
    with SandboxState(state_path(settings.home)) as state:
        logins = {row[0] for row in state.connection.execute("SELECT login FROM github_users")}
    return next(world for world in (FIRST, SECOND) if {user.login for user in world.github_users} == logins)


def test_nothing_that_was_read_from_the_apis_of_another_world_stays(database, settings):
    load_world(settings, database, FIRST)
    execute(database, *READ_FROM_THE_APIS)

    load_world(settings, database, FIRST)
    assert read_keys(database) == ["a", "ch_1", "ch_2", "charge"]

    load_world(settings, database, SECOND)
    assert read_keys(database) == []
    assert shown_by_the_apis(settings) is SECOND


def test_a_load_that_breaks_off_is_done_again_by_whoever_comes_next(database, settings):
    load_world(settings, database, FIRST)
    broken = dataclasses.replace(SECOND, github_users=SECOND.github_users * 2)

    with pytest.raises(SandboxStateError):
        load_world(settings, database, broken)

    assert loaded_world(database) is None
    ensure_marketplace(settings, database)
    assert loaded_world(database) is not None


def test_whoever_finds_no_world_waits_for_the_one_that_is_being_loaded(database, settings):
    state_path(settings.home).parent.mkdir()
    with ThreadPoolExecutor() as pool:
        with FileLock(state_path(settings.home).with_name("world.lock")):
            loads = [
                pool.submit(load_world, settings, database, SECOND),
                pool.submit(ensure_marketplace, settings, database),
            ]
            time.sleep(0.3)
        for load in loads:
            load.result()

    assert shown_by_the_apis(settings) is SECOND


def test_a_lost_state_of_the_apis_is_made_again(database, settings):
    load_world(settings, database, FIRST)
    for file in state_path(settings.home).parent.glob("state.sqlite3*"):
        file.unlink()

    load_world(settings, database, FIRST)

    assert shown_by_the_apis(settings) is FIRST


def test_the_generated_marketplace_keeps_its_first_anchor(database, settings):
    ensure_marketplace(settings, database)
    before = loaded_world(database)
    later = settings.model_copy(update={"as_of": settings.as_of_day + dt.timedelta(days=9)})

    execute(database, "DROP SCHEMA marketplace CASCADE")
    ensure_marketplace(later, database)

    assert loaded_world(database) == before
