"""For developers: `python -m platform_assets.migrations "add a table"` writes the next version's file.

It holds the difference between the tables in the code and the versions so far, found in a scratch database of the
embedded server. Read and mend the file before use.
"""

import argparse

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres
from platform_assets.migrations.migrate import alembic_config, head_revision, upgrade
from platform_assets.settings import load_settings

_SCRATCH = "platform_next_migration"


def _main() -> None:
    from alembic import command

    parser = argparse.ArgumentParser(description="Write the next version of the schema.")
    parser.add_argument("message", help="what changes, in a few words")
    message = parser.parse_args().message
    server = ensure_postgres(load_settings().home)
    maintenance = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {_SCRATCH} WITH (FORCE)"))
        connection.execute(sa.text(f"CREATE DATABASE {_SCRATCH}"))
    upgrade(server.url(_SCRATCH))
    database = Database(server.url(_SCRATCH))
    with database.transaction() as connection:
        command.revision(
            alembic_config(connection), message, autogenerate=True, rev_id=f"{int(head_revision()) + 1:04d}"
        )
    database.close()
    with maintenance.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {_SCRATCH} WITH (FORCE)"))
    maintenance.dispose()


if __name__ == "__main__":
    _main()
