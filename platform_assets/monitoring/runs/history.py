"""Reads from Dagster which runs have ended, how, and what they left undone.

Why a run failed is `failure_causes.py`'s to say; what is kept of it, `records.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    ROOT_RUN_ID_TAG,
)

from platform_assets.monitoring.runs.failure_causes import FailedStep, SeenError

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

ATTEMPT_TAG = "platform/attempt"
"""Number of a re-execution, from 1; a run without it is a first run."""

QUEUE_TAG = "platform/queue"

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)

OVERLAP = dt.timedelta(minutes=1)
"""Runs are looked for again from this long before the latest one seen: writers commit out of order."""

_PAGE_RUNS = 500

_WORK_TAGS = frozenset({ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG, PARTITION_NAME_TAG})
"""Dagster's own tags that say what work a run has; its others tell of this run alone."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended.

    Attributes:
        run_id: Dagster's id.
        root_run_id: The first run of this work; its own id for a first run.
        attempt: 0 for a first run.
        job_name: The job.
        queue: The queue that it belonged to; None for one started by hand without.
        status: `success`, `failure` or `canceled`.
        failed: What failed in it, in order.
        planned_assets: Assets that it was to write.
        unfinished_assets: Those of them that it did not write.
        tags: Tags that a re-execution must keep.
        created_at: When it was created (UTC).
        started_at: When it began (UTC); None when it never did.
        ended_at: When it ended (UTC).
        updated_at: When Dagster last wrote of it (UTC); the order in which runs are seen.
    """

    run_id: str
    root_run_id: str
    attempt: int
    job_name: str
    queue: str | None
    status: str
    failed: tuple[FailedStep, ...]
    planned_assets: tuple[str, ...]
    unfinished_assets: tuple[str, ...]
    tags: dict[str, str]
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime
    updated_at: dt.datetime


def read_finished_runs(
    instance: dg.DagsterInstance,
    *,
    seen_through: dt.datetime,
    find_known: Callable[[Sequence[str]], Collection[str]],
    limit: int,
) -> list[FinishedRun]:
    """Runs that have ended and are not known yet, in the order in which Dagster wrote that they had.

    Args:
        instance: Where runs are recorded.
        seen_through: Every run that was written of up to here has been seen.
        find_known: Which of some run ids are known.
        limit: Most runs to return; the next call goes on.
    """
    finished: list[FinishedRun] = []
    after = seen_through - OVERLAP
    while len(finished) < limit:
        records = instance.get_run_records(
            dg.RunsFilter(statuses=list(ENDED), updated_after=after),
            limit=_PAGE_RUNS,
            order_by="update_timestamp",
            ascending=True,
        )
        known = find_known([record.dagster_run.run_id for record in records])
        new = [record for record in records if record.dagster_run.run_id not in known]
        finished += [_finished(instance, record) for record in new[: limit - len(finished)]]
        if len(records) < _PAGE_RUNS:
            break
        after = _utc(records[-1].update_timestamp)
    return finished


def _finished(instance: dg.DagsterInstance, record: dg.RunRecord) -> FinishedRun:
    run = record.dagster_run
    created_at, updated_at = _utc(record.create_timestamp), _utc(record.update_timestamp)
    failed: tuple[FailedStep, ...] = ()
    planned: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    if run.status is not dg.DagsterRunStatus.SUCCESS:
        failed, planned, unfinished = _read_events(instance, run.run_id)
    return FinishedRun(
        run_id=run.run_id,
        root_run_id=run.tags.get(ROOT_RUN_ID_TAG, run.run_id),
        attempt=_attempt(run.tags.get(ATTEMPT_TAG)),
        job_name=run.job_name,
        queue=run.tags.get(QUEUE_TAG),
        status=run.status.value.lower(),
        failed=failed,
        planned_assets=planned,
        unfinished_assets=unfinished,
        tags={
            name: value
            for name, value in run.tags.items()
            if name in _WORK_TAGS or not name.startswith(("dagster/", ".dagster/"))
        },
        created_at=created_at,
        started_at=_moment(record.start_time),
        ended_at=_moment(record.end_time) or updated_at,
        updated_at=updated_at,
    )


def _read_events(
    instance: dg.DagsterInstance, run_id: str
) -> tuple[tuple[FailedStep, ...], tuple[str, ...], tuple[str, ...]]:
    """What failed in a run, the assets that it was to write, and those of them that it did not."""
    kinds = {
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
    }
    failed: dict[str, FailedStep] = {}
    planned: dict[str, None] = {}
    written: set[str] = set()
    for record in instance.get_records_for_run(run_id, of_type=kinds).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        asset = event.asset_key.to_user_string() if event.asset_key else ""
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            planned[asset] = None
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            written.add(asset)
        else:
            errors = _chain(getattr(event.event_specific_data, "error", None))
            # The run's own failure repeats that of its steps; alone it tells of what no step got to.
            if event.step_key is not None or (errors and not failed):
                failed[event.step_key or ""] = FailedStep(event.step_key or "", errors)
    return tuple(failed.values()), tuple(planned), tuple(asset for asset in planned if asset not in written)


def _chain(error: SerializableErrorInfo | None) -> tuple[SeenError, ...]:
    chain = []
    while error is not None:
        # Dagster's text begins with module and class.
        message = error.message.strip()
        _, separator, rest = message.partition(f"{error.cls_name}: ")
        chain.append(SeenError(error.cls_name or "", rest if separator else message))
        error = error.cause or error.context
    return tuple(chain)


def _attempt(tag: str | None) -> int:
    return int(tag) if tag is not None and tag.isdigit() else 0


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _moment(timestamp: float | None) -> dt.datetime | None:
    return None if timestamp is None else dt.datetime.fromtimestamp(timestamp, tz=dt.UTC)
