"""Fixtures that many tests share: a real embedded Postgres, and fresh migrated databases on it."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import EmbeddedPostgres, ensure_postgres, stop_postgres
from platform_assets.migrations import migrate

NewDatabase = Callable[..., AbstractContextManager[str]]

_TEMPLATE = "migrated_template"


@pytest.fixture(scope="session")
def postgres_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder with a running embedded Postgres."""
    home = tmp_path_factory.mktemp("home with spaces")
    ensure_postgres(home)
    yield home
    stop_postgres(home)


@pytest.fixture(scope="session")
def new_database(postgres_home: Path) -> NewDatabase:
    """Gives a context with the URL of a new database, migrated or empty, that is dropped at the end."""
    server = ensure_postgres(postgres_home)
    _run(server, f"CREATE DATABASE {_TEMPLATE}")
    migrate.upgrade(server.url(_TEMPLATE))
    numbers = itertools.count()

    @contextmanager
    def make(*, migrated: bool = True) -> Iterator[str]:
        name = f"test_{next(numbers)}"
        _run(server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template1'}")
        yield server.url(name)
        _run(server, f"DROP DATABASE {name} WITH (FORCE)")

    return make


@pytest.fixture
def database_url(new_database: NewDatabase) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    with new_database() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A client of a fresh, migrated database for one test."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="module")
def module_database(new_database: NewDatabase) -> Iterator[Database]:
    """A client of a migrated database that the tests of a module share, for properties that run often."""
    with new_database() as url:
        database = Database(url)
        yield database
        database.close()


def _run(server: EmbeddedPostgres, statement: str) -> None:
    engine = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
