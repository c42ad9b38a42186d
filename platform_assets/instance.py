"""Dagster's own storage: Postgres in both modes, found through the settings.

`dagster.yaml` names the class.
"""

import os
from typing import Self

import sqlalchemy as sa
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy.engine import make_url

from platform_assets.settings import Settings, load_settings


def storage_url(settings: Settings) -> str:
    """SQLAlchemy URL of Dagster's storage, with the driver that dagster-postgres needs (psycopg2).

    In sandbox mode the embedded server is started if it is not running.
    """
    if settings.dagster_database_url is None:
        from platform_assets.clients.embedded_postgres import ensure_postgres

        return ensure_postgres(settings.home).psycopg2_url("dagster")
    url = make_url(settings.dagster_database_url.get_secret_value())
    return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def require_storage(settings: Settings) -> None:
    """Connect to Dagster's storage once.

    Dagster itself would repeat a failing connection for a quarter of a minute, with a traceback each time.

    Raises:
        sqlalchemy.exc.OperationalError: It can't be reached.
    """
    engine = sa.create_engine(
        storage_url(settings), hide_parameters=True, connect_args={"connect_timeout": 10}
    )
    try:
        engine.connect().close()
    finally:
        engine.dispose()


class PlatformStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` whose URL comes from the platform's settings instead of `dagster.yaml`."""

    @classmethod
    def config_type(cls) -> dict[str, object]:
        """No configuration: the settings have it all."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: object) -> Self:
        """Build the storage from the environment.

        Raises:
            ConfigurationError: The environment is not usable.
            EmbeddedPostgresError: The embedded server can't be started.
        """
        del config_value
        # A range of partitions is one event each; one by one they take longer than the work.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")
        return cls(postgres_url=storage_url(load_settings()), inst_data=inst_data)
