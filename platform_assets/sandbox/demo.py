"""Which world the sandbox shows: loads it into the marketplace tables and into the local APIs, once.

Used in sandbox mode only.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import sqlalchemy as sa
from filelock import FileLock

from platform_assets.clients.database import Database
from platform_assets.settings import Settings
from platform_assets.tables import platform as tables

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


def _mark(database: Database, marker: dict[str, str] | None) -> None:
    with database.transaction() as connection:
        # COMMENT takes no parameters; the literal is quoted by SQLAlchemy.
        text = sa.null() if marker is None else sa.literal(json.dumps(marker))
        literal = text.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        connection.exec_driver_sql(f"COMMENT ON SCHEMA marketplace IS {literal}".replace("%", "%%"))


def ensure_marketplace(settings: Settings, database: Database) -> None:
    """Load the generated marketplace unless a world is loaded already; then this costs one small file read."""
    if loaded_world(database) is None:
        load_world(settings, database, generated_world(settings))


def generated_world(settings: Settings) -> World:
    """The generated marketplace, anchored to the day that it was first anchored to, so that it stays the same."""
    from platform_assets.sandbox.generate import generate_world

    return generate_world(
        seed=settings.sandbox_seed,
        developers_count=settings.sandbox_developers,
        projects_count=settings.sandbox_projects,
        anchor=settings.sandbox_anchor or _first_anchor(settings),
    )


def load_world(settings: Settings, database: Database, world: World) -> None:
    """Make `world` the one that the sandbox shows; loading the same one again changes nothing."""
    from platform_assets.sandbox.load import load_marketplace, world_hash
    from platform_assets.sandbox.process import state_path
    from platform_assets.sandbox.state import SandboxState

    marker = {"name": world.name, "anchor": world.anchor.isoformat(), "sha256": world_hash(world)}
    settings.home.joinpath("sandbox").mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "sandbox" / "world.lock"):
        state = SandboxState(state_path(settings.home))
        if loaded_world(database) != marker:
            # The marker goes first and comes last: a load that was cut off is done again.
            with database.transaction() as connection:
                connection.execute(sa.schema.CreateSchema("marketplace", if_not_exists=True))
                # Another world has another gateway account: how far the last one was read means nothing for it.
                connection.execute(sa.delete(tables.gateway_cursors))
                connection.execute(sa.delete(tables.gateway_transactions))
            _mark(database, None)
            load_marketplace(database, world)
            _mark(database, marker)
        # The APIs' state has a marker of its own, and keeps what was changed in it since.
        state.replace_world(world)


def _first_anchor(settings: Settings) -> dt.date:
    """The day on which the generated marketplace was first made here; written down at first use."""
    path = settings.home / "sandbox" / "anchor"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(settings.as_of_day.isoformat(), encoding="utf-8")
    return dt.date.fromisoformat(path.read_text(encoding="utf-8").strip())
