"""Which world the sandbox shows: loads it into the marketplace tables and into the local APIs, once.

Used in sandbox mode only.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import TYPE_CHECKING

import sqlalchemy as sa
from filelock import FileLock

from platform_assets.clients.database import Database
from platform_assets.settings import Settings
from platform_assets.tables.monitoring import quarantined_rows
from platform_assets.tables.payments import gateway_cursors, gateway_transactions

if TYPE_CHECKING:
    from platform_assets.sandbox.world import World


def loaded_world(database: Database) -> dict[str, str] | None:
    """Name, anchor and content hash of the loaded world; None when none is.

    The marker is the comment of the schema that holds the world, so that one never outlives the other.
    """
    comment = database.read(
        sa.text(
            "SELECT obj_description(oid, 'pg_namespace') AS marker FROM pg_namespace WHERE nspname = 'marketplace'"
        )
    )["marker"]
    try:
        marker: dict[str, str] = json.loads(comment.iloc[0])
    except (IndexError, TypeError, json.JSONDecodeError):
        return None
    return marker


def _mark(connection: sa.Connection, marker: dict[str, str] | None) -> None:
    # COMMENT takes no parameters; the literal is quoted by SQLAlchemy.
    text = sa.null() if marker is None else sa.literal(json.dumps(marker))
    literal = text.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"COMMENT ON SCHEMA marketplace IS {literal}".replace("%", "%%"))


def ensure_marketplace(settings: Settings, database: Database) -> None:
    """Load the generated marketplace unless a world is loaded already; then this costs one small query."""
    if loaded_world(database) is not None:
        return
    with _world_lock(settings):
        # Asked again: while another process loads a world there is none, and that one must stay.
        if loaded_world(database) is None:
            _load(settings, database, generated_world(settings))


def deliver_webhooks(settings: Settings, database: Database) -> None:
    """Apply what happened at the gateway since the last time to the marketplace, as the application's webhook would."""
    from platform_assets.sandbox.process import state_path
    from platform_assets.sandbox.state import SandboxState
    from platform_assets.sandbox.webhook import deliver_events

    with SandboxState(state_path(settings.home)) as state:
        deliver_events(state, database)


def generated_world(settings: Settings) -> World:
    """The generated marketplace, anchored to the day that it was first anchored to, so that it stays the same."""
    from platform_assets.sandbox.generator.generate import generate_world

    return generate_world(
        seed=settings.sandbox_seed,
        developers_count=settings.sandbox_developers,
        projects_count=settings.sandbox_projects,
        anchor=settings.sandbox_anchor or _first_anchor(settings),
    )


def load_world(settings: Settings, database: Database, world: World) -> None:
    """Make `world` the one that the sandbox shows; loading the same one again changes nothing."""
    with _world_lock(settings):
        _load(settings, database, world)


def _world_lock(settings: Settings) -> FileLock:
    settings.home.joinpath("sandbox").mkdir(parents=True, exist_ok=True)
    return FileLock(settings.home / "sandbox" / "world.lock")


def _load(settings: Settings, database: Database, world: World) -> None:
    from platform_assets.sandbox.load import load_marketplace, world_hash
    from platform_assets.sandbox.process import state_path
    from platform_assets.sandbox.state import SandboxState

    marker = {"name": world.name, "anchor": world.anchor.isoformat(), "sha256": world_hash(world)}
    with SandboxState(state_path(settings.home)) as state:
        is_another = loaded_world(database) != marker
        if is_another:
            # The marker goes first and comes last: a load that was cut off is done again.
            with database.transaction() as connection:
                connection.execute(sa.schema.CreateSchema("marketplace", if_not_exists=True))
                _mark(connection, None)
            load_marketplace(database, world)
        # The APIs' state has a marker of its own, and keeps what was changed in it since.
        state.replace_world(world)
        if is_another:
            with database.transaction() as connection:
                # After the APIs, or a run in between would read the last world's gateway once more. Another world has
                # another account: how far the last one was read, and what was set aside, means nothing for it.
                for table in (gateway_cursors, gateway_transactions, quarantined_rows):
                    connection.execute(sa.delete(table))
                _mark(connection, marker)


def _first_anchor(settings: Settings) -> dt.date:
    """The day on which the generated marketplace was first made here; written down at first use."""
    path = settings.home / "sandbox" / "anchor"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(f"anchor.{os.getpid()}")
        written.write_text(settings.as_of_day.isoformat(), encoding="utf-8")
        # In one step, so that nobody reads half of it, whoever is killed when.
        written.replace(path)
    return dt.date.fromisoformat(path.read_text(encoding="utf-8").strip())
