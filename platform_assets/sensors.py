"""Every sensor: thin, calls `monitoring/`.

A plain sensor reads what has happened since its cursor, instead of one of Dagster's run-status sensors: when its body
raises, the cursor stays, and the next tick does the work again.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG

from platform_assets.clients.database import Database, is_transient
from platform_assets.clients.deadman import DeadmanSwitch
from platform_assets.clients.http_errors import ServiceError
from platform_assets.communications.canary import ping_if_well, queue_canary
from platform_assets.communications.channels import Channels
from platform_assets.communications.delivery import deliver_due
from platform_assets.failures import explain
from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.alerting.check_alerts import alert_on_checks
from platform_assets.monitoring.alerting.exposure import ImpactReader
from platform_assets.monitoring.alerting.topology import read_topology
from platform_assets.monitoring.alerting.upkeep import look_after_alerts
from platform_assets.monitoring.checking.states import read_check_states
from platform_assets.monitoring.queues.acting import RECOVERY_TAG
from platform_assets.monitoring.queues.ledger import Unsettled, read_unsettled, settle
from platform_assets.monitoring.queues.recovery import ActionKind
from platform_assets.monitoring.runs.history import (
    ATTEMPT_TAG,
    QUEUE_TAG,
    FinishedRun,
    read_finished_runs,
)
from platform_assets.monitoring.runs.records import (
    DueRetry,
    find_known_runs,
    read_due_retries,
    record_run,
    settle_requested,
)
from platform_assets.monitoring_thresholds import CANARY_EVERY, DEADMAN_EVERY
from platform_assets.recovery_thresholds import RECOVERY_HELD_UP_AFTER
from platform_assets.resources import Clock
from platform_assets.schedules import ANALYTICS_JOB, CHECKS_JOB, DELIVERIES_JOB, RECOVERY_JOB, UNFINISHED
from platform_assets.settings import RecoveryMode
from platform_assets.table_assets import PLATFORM_OWNER, owner_of_queue

if TYPE_CHECKING:
    # What define_asset_job returns has no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

RUNS_PER_TICK = 1_000
"""A burst of so many takes a quarter of a minute, which leaves time for slower machines within Dagster's limit of a minute.
What is left over comes next; a tick that is cut off has recorded what it got to."""

RETRIES_PER_TICK = 20

REFUSED_SHOWN = 20
"""Runs that an alert on refused runs names."""

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
        impacts = _read_impacts(context, database, now)
        seen_through = _record_runs(database, finished, seen_through, impacts, clock)
        look_after_alerts(database, impacts.topology, now=clock.read())
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


def _read_impacts(context: dg.SensorEvaluationContext, database: Database, now: dt.datetime) -> ImpactReader:
    assert context.repository_def is not None  # the daemon and the tests both give it
    return ImpactReader(database, read_topology(context.repository_def.asset_graph), now=now)


def _record_runs(
    database: Database,
    finished: Sequence[FinishedRun],
    seen_through: dt.datetime,
    impacts: ImpactReader,
    clock: Clock,
) -> dt.datetime:
    """Record each run; gives up to where none has to be looked at again.

    A run that can't be recorded keeps nobody from the others: it gets an alert, and is tried again at every tick. When
    it is the database that fails, the tick does, and all comes again.
    """
    refused: dict[str, str] = {}
    for run in finished:
        try:
            record_run(database, run, owner=owner_of_queue(run.queue), impacts=impacts, now=clock.read())
        except Exception as error:
            if is_transient(error):
                raise
            refused[run.run_id] = explain(error) or f"{type(error).__name__}: {error}"
        if not refused:
            seen_through = max(seen_through, run.updated_at)
    _alert_on_refused(database, refused, now=clock.read())
    return seen_through


def _alert_on_refused(database: Database, refused: Mapping[str, str], *, now: dt.datetime) -> None:
    fingerprint = "sensor:watch_runs:refused_runs"
    with database.transaction() as connection:
        if not refused:
            resolve_alert(connection, fingerprint=fingerprint, now=now, reason="every run is recorded")
            return
        raise_alert(
            connection,
            fingerprint=fingerprint,
            severity="high",
            source="sensor",
            subject="watch_runs",
            owner=PLATFORM_OWNER,
            title=f"{len(refused)} ended runs can't be recorded, so nobody is told how they ended",
            details={"errors": dict(list(refused.items())[:REFUSED_SHOWN])},
            now=now,
        )


def _is_launched(instance: dg.DagsterInstance, retry: DueRetry) -> bool:
    # The retry row stays due until its run is there: a daemon that dies before it launches one loses nothing.
    tags = {ROOT_RUN_ID_TAG: retry.root_run_id, ATTEMPT_TAG: str(retry.attempt)}
    return bool(instance.get_runs(dg.RunsFilter(tags=tags), limit=1))


def _run_request(retry: DueRetry) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{retry.root_run_id}:{retry.attempt}",
        job_name=retry.job_name,
        # A selection of assets would leave out the checks of all others.
        asset_selection=None
        if retry.job_name == CHECKS_JOB
        else [dg.AssetKey(name) for name in retry.assets] or None,
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
    now = clock.read()
    impacts = _read_impacts(context, database, now)
    assert context.repository_def is not None  # as above
    states = read_check_states(context.repository_def.asset_graph, context.instance)
    told = alert_on_checks(database, states, impacts, now=now)
    upkeep = look_after_alerts(database, impacts.topology, now=now)
    return dg.SkipReason(
        f"{told.raised_count} alerts raised, {told.resolved_count + upkeep.resolved_count} resolved, "
        f"{upkeep.open_count} open"
    )


@dg.sensor(
    job_name=DELIVERIES_JOB,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Delivers notifications, sends the canary of the hour, gives a sign of life to the outside.",
)
def deliver_notifications(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[Database],
    channels: dg.ResourceParam[Channels],
    deadman: dg.ResourceParam[DeadmanSwitch | None],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """Messages go out from here, since a run would wait behind others; what was delivered is reported by one an hour."""
    now = clock.read()
    done = json.loads(context.cursor) if context.cursor else {}
    queue_canary(database, channels.book, now=now)
    report = deliver_due(database, channels, now=now)
    if deadman is not None and _is_time(done.get("pinged_at"), DEADMAN_EVERY, now):
        problems = _ping(context, database, channels, deadman, now)
        if not problems:
            done["pinged_at"] = now.isoformat()
    requests = []
    if _is_time(done.get("reported_at"), CANARY_EVERY, now):
        requests.append(dg.RunRequest(tags={QUEUE_TAG: "communications"}))
        done["reported_at"] = now.isoformat()
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps(done),
        skip_reason=None if requests else dg.SkipReason(str(report)),
    )


def _is_time(last: str | None, every: dt.timedelta, now: dt.datetime) -> bool:
    # A moment in the future was written by a clock that has been put back since.
    return last is None or not dt.timedelta(0) <= now - dt.datetime.fromisoformat(last) < every


def _ping(
    context: dg.SensorEvaluationContext,
    database: Database,
    channels: Channels,
    deadman: DeadmanSwitch,
    now: dt.datetime,
) -> list[str]:
    heartbeats = {
        daemon: dt.datetime.fromtimestamp(status.timestamp, tz=dt.UTC)
        for daemon, status in context.instance.get_daemon_heartbeats().items()
    }
    try:
        problems = ping_if_well(database, channels.book, deadman, heartbeats=heartbeats, now=now)
    except ServiceError as error:
        problems = [str(error)]
    for problem in problems:
        context.log.warning("No sign of life: %s", problem)
    return problems


def _watch_recovery(
    jobs: "Sequence[UnresolvedAssetJobDefinition]",
) -> dg.SensorDefinition:
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
        from platform_assets.monitoring.queues.recover import recover
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
        from platform_assets.payments.assets import analytics_run_tags

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
    return [_watch_runs(jobs), watch_checks, _watch_recovery(jobs), deliver_notifications]
