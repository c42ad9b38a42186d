from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres
from platform_assets.migrations import migrate
from platform_assets.tables import marketplace, monitoring, platform


@pytest.fixture
def empty_url(new_database) -> Iterator[str]:  # type: ignore[no-untyped-def]  (conftest's own type)
    with new_database(migrated=False) as url:
        yield url


@pytest.fixture
def empty_database(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.close()


def table_names(database: Database) -> set[str]:
    with database.transaction() as connection:
        inspector = sa.inspect(connection)
        return {
            f"{schema}.{name}" for schema in migrate.SCHEMAS for name in inspector.get_table_names(schema)
        }


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    # Otherwise: python -m platform_assets.migrations "what changed"
    with database.transaction() as connection:
        command.check(migrate.alembic_config(connection))


def test_comments_are_in_the_database(database: Database) -> None:
    with database.transaction() as connection:
        inspector = sa.inspect(connection)
        for table in (*platform.metadata.sorted_tables, *monitoring.metadata.sorted_tables):
            comment = inspector.get_table_comment(table.name, table.schema)["text"]
            columns = {c["name"]: c["comment"] for c in inspector.get_columns(table.name, table.schema)}
            assert comment == table.comment
            assert columns == {c.name: c.comment for c in table.columns}
            assert all(columns.values())


def test_down_to_nothing_and_up_again(database: Database, database_url: str) -> None:
    before = table_names(database)
    with database.transaction() as connection:
        migrate.migrate_to(connection, "base")
    assert migrate.current_revision(database) is None
    assert table_names(database) == {"platform.alembic_version"}

    migrate.upgrade(database_url)

    assert table_names(database) == before


def test_the_head_is_the_one_that_alembic_finds(database: Database) -> None:
    with database.transaction() as connection:
        scripts = ScriptDirectory.from_config(migrate.alembic_config(connection))

    assert migrate.head_revision() == scripts.get_current_head() == migrate.current_revision(database)


def test_an_unmigrated_database_is_named_with_the_remedy(empty_database: Database) -> None:
    with pytest.raises(migrate.SchemaBehindError, match=r"revision none.*platform-assets migrate"):
        migrate.require_current(empty_database)


def test_a_newer_database_is_left_alone(database: Database, database_url: str) -> None:
    migrate.require_current(database)
    with database.transaction() as connection:
        connection.execute(sa.text("UPDATE platform.alembic_version SET version_num = '9999'"))

    with pytest.raises(migrate.SchemaBehindError, match="newer than this release"):
        migrate.require_current(database)
    with pytest.raises(migrate.MigrationError, match="newer than this release"):
        migrate.upgrade(database_url)


def test_two_upgrades_at_once_wait_for_each_other(empty_url: str, empty_database: Database) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate.upgrade, [empty_url] * 3))

    migrate.require_current(empty_database)


def test_the_marketplace_is_never_touched(empty_url: str, empty_database: Database) -> None:
    with empty_database.transaction() as connection:
        connection.execute(sa.schema.CreateSchema("marketplace"))
        marketplace.metadata.create_all(connection)
        connection.execute(sa.text("REVOKE ALL ON SCHEMA marketplace FROM PUBLIC"))
    query = sa.text("SELECT oid, relname FROM pg_class WHERE relnamespace = 'marketplace'::regnamespace")
    before = empty_database.read(query)

    migrate.upgrade(empty_url)
    with empty_database.transaction() as connection:
        migrate.migrate_to(connection, "base")

    assert empty_database.read(query).equals(before)


def test_a_role_that_may_not_add_the_extension_is_told_so(
    empty_url: str, empty_database: Database, postgres_home: Path
) -> None:
    name = sa.make_url(empty_url).database
    with empty_database.transaction() as connection:
        connection.execute(sa.text("CREATE ROLE careful LOGIN"))
        for schema in migrate.SCHEMAS:
            connection.execute(sa.text(f"CREATE SCHEMA {schema} AUTHORIZATION careful"))
    url = ensure_postgres(postgres_home).url(str(name)).replace("postgres@", "careful@")

    with pytest.raises(migrate.MigrationError, match="CREATE EXTENSION vector"):
        migrate.upgrade(url)
    assert table_names(empty_database) == set()
    with empty_database.transaction() as connection:
        connection.execute(sa.text("CREATE EXTENSION vector"))
    migrate.upgrade(url)

    migrate.require_current(empty_database)
    with empty_database.transaction() as connection:
        connection.execute(sa.text("DROP OWNED BY careful; DROP ROLE careful"))
