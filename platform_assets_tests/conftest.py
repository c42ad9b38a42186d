"""Fixtures that many tests share: a real embedded Postgres, and fresh migrated databases on it."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import dagster as dg
import hypothesis
import pytest
import small_world
import sqlalchemy as sa
from sandbox_server import change_behaviour, running_sandbox

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import EmbeddedPostgres, ensure_postgres, stop_postgres
from platform_assets.clients.embedder import Embedder
from platform_assets.migrations import migrate
from platform_assets.sandbox.load import load_marketplace
from platform_assets.sandbox.process import SandboxEndpoints
from platform_assets.settings import Settings

NewDatabase = Callable[..., AbstractContextManager[str]]

_TEMPLATE = "migrated_template"

# A busy machine is no reason for a property not to hold.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def postgres_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder with a running embedded Postgres."""
    home = tmp_path_factory.mktemp("home with spaces")
    ensure_postgres(home)
    yield home
    stop_postgres(home)


@pytest.fixture(scope="session")
def new_database(postgres_home: Path) -> NewDatabase:
    """Gives a context with the URL of a new database, dropped at the end: migrated, empty, or a copy of another one."""
    server = ensure_postgres(postgres_home)
    _run(server, f"CREATE DATABASE {_TEMPLATE}")
    migrate.upgrade(server.url(_TEMPLATE))
    numbers = itertools.count()

    @contextmanager
    def make(*, migrated: bool = True, template: str | None = None) -> Iterator[str]:
        name = f"test_{next(numbers)}"
        template = template or (_TEMPLATE if migrated else "template1")
        _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
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


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The packaged model, loaded once for all tests that need vectors."""
    return Embedder()


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxEndpoints]:
    """A local API server that shows the small world."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), loaded=small_world.WORLD) as endpoints:
        yield endpoints


@pytest.fixture
def endpoints(sandbox_server: SandboxEndpoints) -> Iterator[SandboxEndpoints]:
    """The local API server without faults, for a test that may set some."""
    yield sandbox_server
    well = {
        "error_rate": 0.0,
        "latency_ms": 0.0,
        "timeout_rate": 0.0,
        "invalid_rate": 0.0,
        "limited_rate": 0.0,
    }
    change_behaviour(
        sandbox_server, github=well, stripe=well, gemini=well, github_limit=5_000, gemini_limit=4_000
    )


NewPlatform = Callable[[str], AbstractContextManager[small_world.Platform]]


@pytest.fixture(scope="session")
def open_platform(
    sandbox_server: SandboxEndpoints, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory
) -> NewPlatform:
    """Gives a context with the platform over the database of a URL."""
    settings = Settings(home=tmp_path_factory.mktemp("unused"))

    @contextmanager
    def make(url: str) -> Iterator[small_world.Platform]:
        database = Database(url)
        with dg.DagsterInstance.ephemeral() as instance:
            yield small_world.Platform(database, instance, sandbox_server, embedder, settings)
        database.close()

    return make


@pytest.fixture(scope="session")
def loaded_template(new_database: NewDatabase) -> Iterator[str]:
    """Name of a database with the small world's marketplace and nothing derived."""
    with new_database() as url:
        database = Database(url)
        load_marketplace(database, small_world.WORLD)
        database.close()
        yield sa.make_url(url).database or ""


@pytest.fixture(scope="session")
def settled_template(
    new_database: NewDatabase, loaded_template: str, open_platform: NewPlatform
) -> Iterator[str]:
    """Name of a database with the small world and everything that the main job derives from it."""
    with new_database(template=loaded_template) as url:
        with open_platform(url) as platform:
            outcome = platform.run()
            assert outcome.is_success, {step: outcome.failure(step) for step in outcome.failed_steps()}
        yield sa.make_url(url).database or ""


@pytest.fixture
def fresh(
    new_database: NewDatabase,
    loaded_template: str,
    open_platform: NewPlatform,
    endpoints: SandboxEndpoints,
) -> Iterator[small_world.Platform]:
    """The platform over the small world, with nothing derived yet."""
    with new_database(template=loaded_template) as url, open_platform(url) as platform:
        yield platform


@pytest.fixture
def settled(
    new_database: NewDatabase,
    settled_template: str,
    open_platform: NewPlatform,
    endpoints: SandboxEndpoints,
) -> Iterator[small_world.Platform]:
    """The platform over the small world, everything derived once."""
    with new_database(template=settled_template) as url, open_platform(url) as platform:
        yield platform


def _run(server: EmbeddedPostgres, statement: str) -> None:
    engine = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
