"""Writes a world's marketplace into Postgres, where an application would have written it. Sandbox only.

The schema `marketplace` belongs to the user's application everywhere else, and nothing but this module creates it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.sandbox.world import World
from platform_assets.tables import marketplace


def load_marketplace(database: Database, world: World) -> dict[str, WriteCounts]:
    """Make the marketplace tables hold exactly this world, in one transaction.

    Tables that are missing are created. If one of them has another shape than the contract, as after an upgrade, all are
    made anew. The same world again writes nothing.

    Returns:
        What was written, by table name.
    """
    with database.transaction() as connection:
        connection.execute(sa.schema.CreateSchema(str(marketplace.metadata.schema), if_not_exists=True))
        if not _is_up_to_date(connection):
            marketplace.metadata.drop_all(connection)
        marketplace.metadata.create_all(connection)
        return {
            table.name: database.upsert(
                table, world.marketplace[table.name], delete_missing=True, connection=connection
            )
            for table in marketplace.metadata.sorted_tables
        }


def world_hash(world: World) -> str:
    """SHA-256 over everything in a world: two worlds with the same hash show the same."""
    digest = hashlib.sha256()
    parts: list[object] = [world.name, world.anchor]
    parts += [[name, _plain(frame)] for name, frame in sorted(world.marketplace.items())]
    parts += [list(map(vars, group)) for group in (world.github_users, world.github_repositories)]
    parts += [list(map(vars, world.github_contributions)), world.stripe_objects]
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, default=_as_text).encode())
    return digest.hexdigest()


def _plain(frame: pd.DataFrame) -> list[Any]:
    return [list(frame.columns), *(frame[column].astype(object).tolist() for column in frame.columns)]


def _as_text(value: object) -> str:
    if isinstance(value, dt.date):  # points in time included
        return value.isoformat()
    if value is pd.NA:
        return "NA"
    raise TypeError(f"a world can't hold a {type(value).__name__}")


def _is_up_to_date(connection: sa.Connection) -> bool:
    """Whether every table that exists has the columns, types and nullability of the contract."""
    inspector = sa.inspect(connection)
    for table in marketplace.metadata.tables.values():
        if not inspector.has_table(table.name, table.schema):
            continue
        existing = {
            column["name"]: (column["type"].compile(connection.dialect), column["nullable"])
            for column in inspector.get_columns(table.name, table.schema)
        }
        wanted = {
            column.name: (column.type.compile(connection.dialect), column.nullable)
            for column in table.columns
        }
        key = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
        if existing != wanted or key != [column.name for column in table.primary_key.columns]:
            return False
    return True
