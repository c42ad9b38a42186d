"""What every table-writing asset has in common: name, description, schema, owner, queue, freshness.

Everything comes from the SQLAlchemy table and the thresholds, so that no asset repeats it. No business logic.
"""

import datetime as dt
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.thresholds import FRESHNESS_HOURS

PLATFORM_OWNER = "team:platform"
"""Answers for the platform itself, and for what belongs to no domain."""

OWNERS = {
    "profiles": "team:talent-data",
    "matching": "team:matching",
    "payments": "team:finance-data",
    "monitoring": PLATFORM_OWNER,
    "communications": PLATFORM_OWNER,
}

QUEUE_OF_GROUP = {
    "profiles": "ai_services",
    "matching": "matching",
    "payments": "payments",
    "monitoring": "monitoring",
    "communications": "communications",
}


def owner_of_queue(queue: str | None) -> str:
    """The team that answers for the runs of a queue."""
    owners = {QUEUE_OF_GROUP[group]: owner for group, owner in OWNERS.items()}
    return owners.get(queue or "", PLATFORM_OWNER)


def column_schema(table: sa.Table) -> dg.TableSchema:
    """The table's columns as the Dagster UI shows them: type, description, nullability, key."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.comment,
                constraints=dg.TableColumnConstraints(
                    nullable=bool(column.nullable), unique=column.primary_key and len(table.primary_key) == 1
                ),
            )
            for column in table.columns
        ]
    )


def table_asset(
    table: sa.Table,
    *,
    group: str,
    kinds: set[str],
    name: str | None = None,
    deps: Iterable[str] = (),
    partitions: dg.PartitionsDefinition[str] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """A decorator: the asset that writes `table`.

    Args:
        table: The table; its comment says what a row is, its columns become the schema.
        group: The domain's folder; gives owner and queue.
        kinds: Icons in the UI, beside `postgres`.
        name: The asset's name; by default the table's.
        deps: Names of the assets that it reads.
        partitions: Partitions, where it has any.

    Returns:
        A decorator for a function that writes the table and returns a `MaterializeResult`. The function's docstring
        tells in the UI how rows come about.
    """
    name = name or table.name
    freshness = FRESHNESS_HOURS[name]

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            # Backfill policies are marked as beta; the pinned version is what the tests run against.
            warnings.simplefilter("ignore", dg.BetaWarning)
            return dg.asset(
                name=name,
                description=f"{table.comment}\n\n{inspect.cleandoc(function.__doc__ or '')}",
                group_name=group,
                owners=[OWNERS[group]],
                kinds=kinds | {"postgres"},
                pool=QUEUE_OF_GROUP[group],
                deps=[dg.AssetKey(name) for name in deps],
                partitions_def=partitions,
                # One run covers any range: the work is set work in SQL, not one query a partition.
                backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
                freshness_policy=dg.FreshnessPolicy.time_window(
                    fail_window=dt.timedelta(hours=freshness.bound)
                ),
                metadata={
                    "dagster/column_schema": column_schema(table),
                    "dagster/table_name": table.fullname,
                },
            )(function)

    return decorate


def read_table(database: Database, table: sa.Table) -> pd.DataFrame:
    """All rows of a derived table by key, without its bookkeeping columns.

    The order matters: floats added in another order differ in the last bit, and rows would be written anew for it.
    """
    columns = [column for column in table.columns if not column.info.get("bookkeeping")]
    return database.read(sa.select(*columns).order_by(*table.primary_key.columns))


def written(
    database: Database,
    table: sa.Table,
    counts: WriteCounts,
    *,
    as_of: dt.date | None = None,
    **more: dg.MetadataValue[Any] | str | float | int,
) -> dg.MaterializeResult[None]:
    """The result of a table write: row count and what changed, as numbers that the UI plots over time."""
    metadata: Mapping[str, Any] = {
        "dagster/row_count": _count_rows(database, table),
        "rows_inserted": counts.inserted,
        "rows_updated": counts.updated,
        "rows_unchanged": counts.unchanged,
        "rows_deleted": counts.deleted,
        "rows_quarantined": counts.quarantined,
        **({"as_of": as_of.isoformat()} if as_of else {}),
        **more,
    }
    return dg.MaterializeResult(metadata=metadata)


def measured(
    database: Database, table: sa.Table, rows_count: int, **more: dg.MetadataValue[Any] | str | float | int
) -> dg.MaterializeResult[None]:
    """The result of an asset that appends what it measured: every run adds rows, and none of them is derived data."""
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": _count_rows(database, table),
            "rows_measured": rows_count,
            **more,
        }
    )


def _count_rows(database: Database, table: sa.Table) -> int:
    return int(database.read(sa.select(sa.func.count().label("n")).select_from(table))["n"].iloc[0])
