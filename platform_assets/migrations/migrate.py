"""Brings a database's schema to this release's version, and says which version it has.

Only what changes a schema imports Alembic: asking for versions must stay cheap when definitions load.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.errors import PlatformError

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMAS = ("platform", "monitoring")
VERSION_SCHEMA = "platform"

_FOLDER = Path(__file__).resolve().parent
_LOCK_NAME = "platform_assets/migrate"
_TIMEOUT_S = 3600
"""A migration may rewrite a large table, and a second one waits for the first."""


class SchemaBehindError(PlatformError):
    """The database's schema is not of this release's version."""


class MigrationError(PlatformError):
    """The schema can't be brought to this release's version."""


def head_revision() -> str:
    """This release's version of the schema."""
    # Files are numbered in order, `0001_initial.py`; a test compares this with Alembic's own reading.
    return max(path.name for path in (_FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


def current_revision(database: Database) -> str | None:
    """The version of a database's schema; None if it was never migrated."""
    with database.transaction() as connection:
        return _current_revision(connection)


def require_current(database: Database) -> None:
    """Raise unless the database's schema is of this release's version.

    Raises:
        SchemaBehindError: It is older, newer or not there; the message gives the remedy.
    """
    current, head = current_revision(database), head_revision()
    if current is not None and current > head:
        raise SchemaBehindError(_too_new(current, head))
    if current != head:
        raise SchemaBehindError(
            f"The database's schema is at revision {current or 'none'}, and this release needs {head}. "
            "Run `platform-assets migrate`."
        )


def upgrade(url: str) -> None:
    """Bring the schema to this release's version, all or nothing; nothing happens if it is there already.

    Several may run at once: they wait for each other.

    Raises:
        MigrationError: The schema is of a newer release, or pgvector is missing and can't be added.
    """
    database = Database(url, statement_timeout_s=_TIMEOUT_S)
    try:
        if current_revision(database) == head_revision():
            return
        with database.transaction() as connection:
            connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(_LOCK_NAME, 0)))
            )
            current, head = _current_revision(connection), head_revision()
            if current is not None and current > head:
                raise MigrationError(_too_new(current, head))
            _prepare(connection)
            migrate_to(connection, "head")
    finally:
        database.close()


def migrate_to(connection: sa.Connection, revision: str) -> None:
    """Run migrations up to `head` or down to `base` or a revision, within the caller's transaction."""
    from alembic import command

    run = command.upgrade if revision == "head" else command.downgrade
    run(alembic_config(connection), revision)


def alembic_config(connection: sa.Connection) -> Config:
    """Alembic's configuration, which needs no file."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    return config


def _current_revision(connection: sa.Connection) -> str | None:
    if connection.scalar(sa.select(sa.func.to_regclass(f"{VERSION_SCHEMA}.alembic_version"))) is None:
        return None
    version = sa.literal_column("version_num", sa.Text)
    return connection.scalar(
        sa.select(version).select_from(sa.table("alembic_version", schema=VERSION_SCHEMA))
    )


def _prepare(connection: sa.Connection) -> None:
    for schema in SCHEMAS:
        # `IF NOT EXISTS` would still ask for a right that a careful administrator does not give.
        if connection.scalar(sa.select(sa.func.to_regnamespace(schema))) is None:
            connection.execute(sa.schema.CreateSchema(schema))
    if connection.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
        return
    try:
        connection.execute(sa.text("CREATE EXTENSION vector"))
    except sa.exc.DBAPIError as error:
        raise MigrationError(
            f"The database has no extension `vector`, and adding it failed: {error.orig}. Install pgvector on the "
            "database server if it is missing there, and let a superuser run `CREATE EXTENSION vector` in this database. "
            "Then run `platform-assets migrate` again; nothing has been changed."
        ) from error


def _too_new(current: str, head: str) -> str:
    return (
        f"The database's schema is at revision {current}, which is newer than this release's {head}. "
        "Install the release that migrated it, or a later one."
    )
