"""Reads from Dagster what became of the last evaluations of checks: of all of them in one query.

How checks stand now is `states.py`'s; how a history is drawn, `sparklines.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster_shared.check import CheckError
from dagster_shared.serdes.errors import DeserializationError

from platform_assets.monitoring.checking.metadata import finite, plain_metadata, service_level
from platform_assets.monitoring.checking.model import NOT_EVALUATED, Evaluation
from platform_assets.thresholds import Severity

_UNREADABLE = (DeserializationError, CheckError, TypeError, ValueError)
"""What Dagster raises over an event with a class, a field or a form that it does not know."""


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


@dataclass(frozen=True)
class Verdict:
    """What the last completed evaluation of a check said.

    Attributes:
        passed: Whether the service level is kept; None when there was nothing to measure.
        severity: How serious it is when it is not.
    """

    passed: bool | None
    severity: Severity


RECENT_EVALUATIONS = 5_000
"""As many evaluations are looked through for the last one of each check: some fifteen rounds of them all."""


def read_latest_verdicts(instance: dg.DagsterInstance) -> dict[dg.AssetCheckKey, Verdict]:
    """What the last completed evaluation of each check said, whatever is planned or under way.

    Only among the latest evaluations, by the primary key: to look through all that there are takes longer every day.
    """
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)  # as all that Dagster brings are
    table = AssetCheckExecutionsTable
    query = sa.select(table).order_by(table.c.id.desc()).limit(RECENT_EVALUATIONS)
    verdicts: dict[dg.AssetCheckKey, Verdict] = {}
    completed = {status.value for status in COMPLETED}
    with storage.index_connection() as connection:
        for row in connection.execute(query).mappings():
            asset = dg.AssetKey.from_db_string(row["asset_key"])
            if asset is None or row["execution_status"] not in completed:
                continue
            key = dg.AssetCheckKey(asset, row["check_name"])
            if key not in verdicts and (verdict := _verdict(row, key)) is not None:
                verdicts[key] = verdict
    return verdicts


def _verdict(row: sa.RowMapping, key: dg.AssetCheckKey) -> Verdict | None:
    evaluation = _read(row, key)
    if evaluation is None:
        return None
    passed = None if NOT_EVALUATED in evaluation.metadata else evaluation.passed
    return Verdict(passed, Severity(evaluation.severity.value))


def _read(row: sa.RowMapping, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """What the evaluation recorded; None where another release wrote it in a form that this one can't read."""
    try:
        return AssetCheckExecutionRecord.from_db_row(row, key).evaluation
    except _UNREADABLE:
        return None


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
    evaluation = _read(row, key)
    if evaluation is None:
        # That it was evaluated, and how it ended, is known all the same.
        return Evaluation(at, passed)
    if NOT_EVALUATED in evaluation.metadata:
        return Evaluation(at, None)
    recorded = plain_metadata(evaluation.metadata)
    return Evaluation(at, passed, finite(recorded.get("value")) if service_level(recorded) else None)
