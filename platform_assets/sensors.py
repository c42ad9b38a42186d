"""Every sensor: thin, calls `monitoring/`.

A plain sensor reads what has happened since its cursor, instead of one of Dagster's run-status sensors: when its body
raises, the cursor stays, and the next tick does the work again.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.check_alerts import alert_on_checks
from platform_assets.monitoring.checking.states import read_check_states
from platform_assets.monitoring.runs.history import ATTEMPT_TAG, read_finished_runs
from platform_assets.monitoring.runs.records import (
    DueRetry,
    find_known_runs,
    read_due_retries,
    record_run,
    settle_requested,
)
from platform_assets.resources import Clock
from platform_assets.table_assets import owner_of_queue

if TYPE_CHECKING:
    # What define_asset_job returns has no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

RUNS_PER_TICK = 300
"""A tick must end within Dagster's limit of a minute; what is left over comes next."""

RETRIES_PER_TICK = 20

FIRST_LOOK_BACK = dt.timedelta(days=1)
"""How far back a platform without a cursor looks: long enough for a daily run."""


def _watch_runs(jobs: "Sequence[UnresolvedAssetJobDefinition]") -> dg.SensorDefinition:
    @dg.sensor(
        jobs=jobs,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records how runs ended, raises and resolves their alerts, and runs what failed again by its cause.",
    )
    def watch_runs(
        context: dg.SensorEvaluationContext,
        database: dg.ResourceParam[Database],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        """Every run that has ended leaves one outcome; what a rerun can help is asked for when it is due."""
        now = clock.read()
        seen_through = dt.datetime.fromisoformat(context.cursor) if context.cursor else now - FIRST_LOOK_BACK
        finished = read_finished_runs(
            context.instance,
            seen_through=seen_through,
            find_known=lambda run_ids: find_known_runs(database, run_ids),
            limit=RUNS_PER_TICK,
        )
        for run in finished:
            record_run(database, run, owner=owner_of_queue(run.queue), now=now)
            seen_through = max(seen_through, run.updated_at)
        due = read_due_retries(database, now=now, limit=RETRIES_PER_TICK)
        launched = {
            (retry.root_run_id, retry.attempt) for retry in due if _is_launched(context.instance, retry)
        }
        settle_requested(database, launched, now=now)
        return dg.SensorResult(
            run_requests=[
                _run_request(retry) for retry in due if (retry.root_run_id, retry.attempt) not in launched
            ],
            cursor=seen_through.isoformat(),
        )

    return watch_runs


def _is_launched(instance: dg.DagsterInstance, retry: DueRetry) -> bool:
    # The retry row stays due until its run is there: a daemon that dies before it launches one loses nothing.
    tags = {ROOT_RUN_ID_TAG: retry.root_run_id, ATTEMPT_TAG: str(retry.attempt)}
    return bool(instance.get_runs(dg.RunsFilter(tags=tags), limit=1))


def _run_request(retry: DueRetry) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{retry.root_run_id}:{retry.attempt}",
        job_name=retry.job_name,
        asset_selection=[dg.AssetKey(name) for name in retry.assets] or None,
        tags={
            **retry.tags,
            ROOT_RUN_ID_TAG: retry.root_run_id,
            PARENT_RUN_ID_TAG: retry.failed_run_id,
            ATTEMPT_TAG: str(retry.attempt),
        },
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises an alert for every asset check that fails, and resolves it when the check passes again.",
)
def watch_checks(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.SkipReason:
    """A failed check leaves its run green, so that nothing else would tell."""
    assert context.repository_def is not None  # the daemon and the tests both give it
    states = read_check_states(context.repository_def.asset_graph, context.instance)
    told = alert_on_checks(database, states, now=clock.read())
    return dg.SkipReason(f"{told.raised_count} alerts raised, {told.resolved_count} resolved")


def build_sensors(jobs: "Sequence[UnresolvedAssetJobDefinition]") -> list[dg.SensorDefinition]:
    """Every sensor, switched on.

    Args:
        jobs: The jobs that may be run again.
    """
    return [_watch_runs(jobs), watch_checks]
