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
from platform_assets.monitoring.queues.acting import RECOVERY_TAG
from platform_assets.monitoring.queues.ledger import Unsettled, read_unsettled, settle
from platform_assets.monitoring.queues.recover import recover
from platform_assets.monitoring.queues.recovery import ActionKind
from platform_assets.monitoring.runs.history import ATTEMPT_TAG, read_finished_runs
from platform_assets.monitoring.runs.records import (
    DueRetry,
    find_known_runs,
    read_due_retries,
    record_run,
    settle_requested,
)
from platform_assets.payments.assets import analytics_run_tags
from platform_assets.resources import Clock
from platform_assets.schedules import ANALYTICS_JOB, RECOVERY_JOB, UNFINISHED
from platform_assets.settings import RecoveryMode
from platform_assets.table_assets import owner_of_queue

if TYPE_CHECKING:
    # What define_asset_job returns has no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

RUNS_PER_TICK = 300
"""A tick must end within Dagster's limit of a minute; what is left over comes next."""

RETRIES_PER_TICK = 20

FIRST_LOOK_BACK = dt.timedelta(days=1)
"""How far back a platform without a cursor looks: long enough for a daily run."""

RECOVERY_HELD_UP_AFTER = dt.timedelta(minutes=10)
"""A run of the recovery takes seconds and comes every ten minutes."""


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


def _watch_recovery(jobs: "Sequence[UnresolvedAssetJobDefinition]") -> dg.SensorDefinition:
    @dg.sensor(
        jobs=jobs,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Launches what makes up for missed ticks, and recovers by itself when the run that recovers is held up."
        ),
    )
    def watch_recovery(
        context: dg.SensorEvaluationContext,
        database: dg.ResourceParam[Database],
        clock: dg.ResourceParam[Clock],
        recovery_mode: dg.ResourceParam[RecoveryMode],
    ) -> dg.SensorResult:
        """The recovery's own run waits in a queue that it may have to free; no queue holds a sensor up."""
        # The timetable knows every sensor, this one too.
        from platform_assets.monitoring.queues.timetable import code_timetable

        now = clock.read()
        held_up = context.instance.get_run_ids(
            dg.RunsFilter(
                job_name=RECOVERY_JOB, statuses=UNFINISHED, created_before=now - RECOVERY_HELD_UP_AFTER
            ),
            limit=1,
        )
        last = dt.datetime.fromisoformat(context.cursor) if context.cursor else None
        if held_up and (last is None or abs(now - last) >= RECOVERY_HELD_UP_AFTER):
            recover(
                context.instance, database, code_timetable(), mode=recovery_mode, own_run_id=None, now=now
            )
            last = now
        requests = [
            _launch_request(context.instance, database, clock, each) for each in _due_launches(database)
        ]
        return dg.SensorResult(
            run_requests=[request for request in requests if request is not None],
            cursor=last.isoformat() if last else None,
        )

    return watch_recovery


def _due_launches(database: Database) -> list[Unsettled]:
    return [each for each in read_unsettled(database, kind=ActionKind.LAUNCH_MISSED) if each.is_done]


def _launch_request(
    instance: dg.DagsterInstance, database: Database, clock: Clock, due: Unsettled
) -> dg.RunRequest | None:
    tags = {RECOVERY_TAG: str(due.recovery_id)}
    # The request stays until its run is there: a daemon that dies before it launches one loses nothing.
    if instance.get_run_ids(dg.RunsFilter(tags=tags), limit=1):
        return None
    job_name = str(due.action.details["job_name"])
    if job_name == ANALYTICS_JOB:
        days = analytics_run_tags(database, instance, clock.as_of)
        if not days:
            settle(
                database,
                due,
                is_repaired=True,
                state_after={"why": "every day up to yesterday is computed and current"},
                now=clock.read(),
            )
            return None
        tags |= days
    return dg.RunRequest(run_key=f"recovery:{due.recovery_id}", job_name=job_name, tags=tags)


def build_sensors(jobs: "Sequence[UnresolvedAssetJobDefinition]") -> list[dg.SensorDefinition]:
    """Every sensor, switched on.

    Args:
        jobs: The jobs that may be run again.
    """
    return [_watch_runs(jobs), watch_checks, _watch_recovery(jobs)]
