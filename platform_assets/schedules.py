"""The timetable: every schedule with its cadence, queue and what it does when its last run is still going.

A queue is a Dagster pool (on the assets) and a run tag (here). Only wiring; the work is the assets'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.monitoring.runs.history import QUEUE_TAG
from platform_assets.profiles.graph_projection import RECONCILE_TAG
from platform_assets.resources import Clock

if TYPE_CHECKING:
    # What define_asset_job returns has no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


class Overlap(StrEnum):
    """What happens to a tick whose last run is still going."""

    SKIP = "skip"
    """The running one will see the same changes: skip, and say so."""
    SERIALIZE = "serialize"
    """Every tick counts: queue behind the running one (the pool admits one at a time)."""


@dataclass(frozen=True)
class Entry:
    """One line of the timetable.

    Attributes:
        name: The task's name, which is the schedule's.
        cron: When, in UTC; minutes are staggered so that ticks do not all fall together.
        queue: The queue that its runs belong to.
        selection: The assets it materializes, with their checks.
        overlap: What happens when its last run is still going.
        tags: More tags of its runs.
        every_check: Whether it evaluates every check of the platform, and not only its assets'.
    """

    name: str
    cron: str
    queue: str
    selection: tuple[str, ...]
    overlap: Overlap
    tags: Mapping[str, str] = field(default_factory=dict)
    every_check: bool = False

    @property
    def job_name(self) -> str:
        """Name of the job that the schedule launches."""
        return f"{self.name}_job"


VECTORS = ("skill_embeddings", "developer_vectors", "project_vectors")
GRAPH = ("skill_graph", "skill_graph_projection")

TIMETABLE: tuple[Entry, ...] = (
    Entry("update_developer_profiles", "3 * * * *", "ai_services", ("developer_profiles",), Overlap.SKIP),
    Entry(
        "periodic_skill_profile_updates",
        "8,38 * * * *",
        "ai_services",
        (
            "developer_text_skills",
            "skill_evidence",
            "skill_profiles",
            "project_requirements",
            *VECTORS,
            *GRAPH,
        ),
        Overlap.SKIP,
    ),
    Entry("validate_skill_confidence", "35 */2 * * *", "ai_services", ("skill_confidence",), Overlap.SKIP),
    Entry(
        "refresh_skill_embeddings",
        "20 3 * * *",
        "ai_services",
        (*VECTORS, *GRAPH),
        Overlap.SKIP,
        tags={RECONCILE_TAG: "true"},
    ),
    Entry("cleanup_expired_cache", "50 */6 * * *", "ai_services", ("cache_cleanup",), Overlap.SKIP),
    Entry(
        "precompute_matching_results",
        "18,48 * * * *",
        "matching",
        ("match_candidates", "matches"),
        Overlap.SKIP,
    ),
    Entry("update_matching_analytics", "53 * * * *", "matching", ("matching_analytics",), Overlap.SKIP),
    Entry("optimize_matching_performance", "35 4,16 * * *", "matching", ("matching_tuning",), Overlap.SKIP),
    Entry(
        "monitor_matching_service_health",
        "*/5 * * * *",
        "matching",
        ("matching_service_health",),
        Overlap.SKIP,
    ),
    Entry(
        "cleanup_expired_matching_cache",
        "35 */6 * * *",
        "matching",
        ("matching_cache_cleanup",),
        Overlap.SKIP,
    ),
    Entry("check_overdue_payments", "12 * * * *", "payments", ("overdue_payments",), Overlap.SERIALIZE),
    Entry(
        "reconcile_gateway_payments",
        "25 */6 * * *",
        "payments",
        ("gateway_transactions", "payment_reconciliation"),
        Overlap.SERIALIZE,
    ),
    Entry(
        "retry_failed_payments",
        "35 */2 * * *",
        "payments",
        ("gateway_transactions", "payment_retries"),
        Overlap.SERIALIZE,
    ),
    Entry(
        "update_payment_gateway_metrics",
        "55 * * * *",
        "payments",
        ("gateway_transactions", "gateway_metrics"),
        Overlap.SERIALIZE,
    ),
    Entry(
        "generate_payment_analytics_report",
        "40 2 * * *",
        "payments",
        ("payment_analytics",),
        Overlap.SERIALIZE,
    ),
    Entry("generate_performance_report", "58 * * * *", "monitoring", ("performance_report",), Overlap.SKIP),
    Entry("cleanup_old_metrics", "15 1 * * *", "monitoring", ("metrics_cleanup",), Overlap.SKIP),
    Entry(
        "check_performance_thresholds",
        "*/10 * * * *",
        "monitoring",
        ("performance_benchmarks", "service_level_measurements"),
        Overlap.SKIP,
        every_check=True,
    ),
    Entry(
        "collect_system_health_metrics",
        "2-59/5 * * * *",
        "monitoring",
        ("service_health_metrics",),
        Overlap.SKIP,
    ),
    Entry(
        "collect_ai_service_performance_metrics",
        "6-59/10 * * * *",
        "monitoring",
        ("ai_service_metrics",),
        Overlap.SKIP,
    ),
    Entry(
        "collect_task_queue_metrics", "1-59/5 * * * *", "monitoring", ("task_queue_metrics",), Overlap.SKIP
    ),
    Entry(
        "monitor_and_recover_task_queues", "6-59/10 * * * *", "monitoring", ("queue_recovery",), Overlap.SKIP
    ),
)

DELIVERIES_JOB = "report_notifications_job"
LAUNCHED_BY_SENSORS: Mapping[str, tuple[str, str]] = {
    DELIVERIES_JOB: ("communications", "notification_deliveries"),
}
"""Jobs that no schedule launches, with their queue and asset: messages are due when something has happened."""

PARTITIONED = "payment_analytics"

MAIN_QUEUE = "ai_services"

RETRIES = "payment_retries"
RETRIES_JOB = "retry_failed_payments_job"
ANALYTICS_JOB = "generate_payment_analytics_report_job"
CHECKS_JOB = "check_performance_thresholds_job"
RECOVERY_JOB = "monitor_and_recover_task_queues_job"
MAIN_JOB = "refresh_marketplace"
"""Everything of the main path, for `platform-assets run` and for a first look. The partitioned analytics are not in it,
nor are the retries: what they do at the gateway changes what all else describes, so they have a job that runs before."""


def _selection(entry: Entry) -> dg.AssetSelection:
    assets = dg.AssetSelection.assets(*entry.selection)
    return assets | dg.AssetSelection.all_asset_checks() if entry.every_check else assets


def queue_of_assets() -> dict[str, str]:
    """The queue of each asset on the timetable."""
    return {asset: entry.queue for entry in TIMETABLE for asset in entry.selection}


def build_jobs() -> "list[UnresolvedAssetJobDefinition]":
    """One job per line of the timetable, those that sensors launch, and the main job."""
    jobs = [
        dg.define_asset_job(
            entry.job_name,
            selection=_selection(entry),
            description=f"The work of the schedule `{entry.name}` (queue `{entry.queue}`).",
            tags={QUEUE_TAG: entry.queue, **entry.tags},
        )
        for entry in TIMETABLE
    ]
    main = dg.define_asset_job(
        MAIN_JOB,
        selection=dg.AssetSelection.all() - dg.AssetSelection.assets(PARTITIONED, RETRIES),
        description="Refreshes the whole main path once, checks included.",
        tags={QUEUE_TAG: MAIN_QUEUE},
    )
    launched = [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(asset),
            description=f"Materializes `{asset}` when a sensor asks for it (queue `{queue}`).",
            tags={QUEUE_TAG: queue},
        )
        for name, (queue, asset) in LAUNCHED_BY_SENSORS.items()
    ]
    return [*jobs, *launched, main]


def overlap_skip_reason(entry: Entry, unfinished_run_ids: Sequence[str]) -> str | None:
    """Why a tick is skipped, given the unfinished runs of its job; None when it is to run."""
    if entry.overlap is Overlap.SKIP and unfinished_run_ids:
        return f"run {unfinished_run_ids[0][:8]} of {entry.job_name} is still going and will see the same changes"
    return None


def _unfinished_run_ids(context: dg.ScheduleEvaluationContext, entry: Entry) -> list[str]:
    runs = context.instance.get_runs(dg.RunsFilter(job_name=entry.job_name, statuses=UNFINISHED), limit=1)
    return [run.run_id for run in runs]


def _plain_schedule(entry: Entry) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=entry.name,
        job_name=entry.job_name,
        cron_schedule=entry.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Queue `{entry.queue}`; a tick that finds its last run still going: {entry.overlap}.",
        tags={QUEUE_TAG: entry.queue},
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | dg.RunRequest:
        reason = overlap_skip_reason(entry, _unfinished_run_ids(context, entry))
        return dg.SkipReason(reason) if reason else dg.RunRequest()

    return schedule


def _analytics_schedule(entry: Entry) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=entry.name,
        job_name=entry.job_name,
        cron_schedule=entry.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Queue `{entry.queue}`; every missing day and every day that late data reopened, in one run.",
        tags={QUEUE_TAG: entry.queue},
    )
    def schedule(
        context: dg.ScheduleEvaluationContext,
        database: dg.ResourceParam[Database],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SkipReason | dg.RunRequest:
        from platform_assets.payments.assets import analytics_run_tags

        tags = analytics_run_tags(database, context.instance, clock.as_of)
        return (
            dg.RunRequest(tags=tags)
            if tags
            else dg.SkipReason("every day up to yesterday is computed and current")
        )

    return schedule


def build_schedules(timetable: Sequence[Entry] = TIMETABLE) -> list[dg.ScheduleDefinition]:
    """Every schedule of a timetable, switched on."""
    return [
        _analytics_schedule(entry) if entry.selection == (PARTITIONED,) else _plain_schedule(entry)
        for entry in timetable
    ]
