"""Reads from Dagster what became of the last evaluations of checks: of all of them in one query.

How checks stand now is `states.py`'s; how a history is drawn, `sparklines.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster_shared.serdes.errors import DeserializationError

from platform_assets.monitoring.checking.metadata import finite, plain_metadata, service_level
from platform_assets.monitoring.checking.model import NOT_EVALUATED, Evaluation


def read_histories(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey], *, limit: int
) -> dict[dg.AssetCheckKey, tuple[Evaluation, ...]]:
    """The last completed evaluations of checks, from the oldest.

    Dagster's own API reads them check by check, which is a query for each.

    Args:
        instance: Where they are recorded.
        keys: The checks.
        limit: Most evaluations of each.

    Returns:
        The histories; a check that was never evaluated is not in it.
    """
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)  # as all that Dagster brings are
    wanted = {(key.asset_key.to_string(), key.name): key for key in keys}
    histories: defaultdict[dg.AssetCheckKey, list[Evaluation]] = defaultdict(list)
    with storage.index_connection() as connection:
        for row in connection.execute(_latest(limit)).mappings():
            key = wanted.get((row["asset_key"], row["check_name"]))
            if key is not None:
                histories[key].append(_evaluation(row, key))
    return {key: tuple(history) for key, history in histories.items()}


def _latest(limit: int) -> sa.Select[Any]:
    table = AssetCheckExecutionsTable
    ranked = (
        sa.select(
            table.c.id,
            sa.func.row_number()
            .over(partition_by=(table.c.asset_key, table.c.check_name), order_by=table.c.id.desc())
            .label("place"),
        )
        .where(table.c.execution_status.in_([status.value for status in COMPLETED]))
        .subquery()
    )
    # The texts of the events are long: only those of the places that count are read.
    return (
        sa.select(table)
        .join(ranked, ranked.c.id == table.c.id)
        .where(ranked.c.place <= limit)
        .order_by(table.c.id)
    )


def _evaluation(row: sa.RowMapping, key: dg.AssetCheckKey) -> Evaluation:
    at = (row["evaluation_event_timestamp"] or row["create_timestamp"]).replace(tzinfo=dt.UTC)
    passed = row["execution_status"] == "SUCCEEDED"
    try:
        evaluation = AssetCheckExecutionRecord.from_db_row(row, key).evaluation
    except DeserializationError:
        # Another release wrote it; that it was evaluated, and how it ended, is known all the same.
        return Evaluation(at, passed)
    if evaluation is None:
        return Evaluation(at, passed)
    if NOT_EVALUATED in evaluation.metadata:
        return Evaluation(at, None)
    recorded = plain_metadata(evaluation.metadata)
    return Evaluation(at, passed, finite(recorded.get("value")) if service_level(recorded) else None)
