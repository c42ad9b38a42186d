"""What is measured on the performance report; bounds are in `monitoring_thresholds.py`."""

import sqlalchemy as sa

from platform_assets.asset_checks import Measurement, freshness_check, table_check
from platform_assets.clients.database import Database
from platform_assets.monitoring_thresholds import FAILED_RUNS_LEAST, FAILED_RUNS_RATIO
from platform_assets.resources import Clock
from platform_assets.tables.performance_report import performance_reports

ASSET = "performance_report"


def _failed_runs(database: Database, _: Clock) -> Measurement:
    """Share of the 24 hours' runs that failed; of few runs it says nothing."""
    table = performance_reports.c
    last = database.read(
        sa.select(table.runs_count, table.failed_runs_count).order_by(table.generated_at.desc()).limit(1)
    )
    if last.empty:
        return Measurement(None)
    runs_count, failed_count = (int(last[name].iloc[0]) for name in ("runs_count", "failed_runs_count"))
    if runs_count < FAILED_RUNS_LEAST:
        return Measurement(
            None, {"total": runs_count}, f"fewer than {FAILED_RUNS_LEAST} runs have ended in 24 hours"
        )
    return Measurement(failed_count / runs_count, {"count": failed_count, "total": runs_count})


CHECKS = [
    freshness_check(ASSET),
    table_check(
        asset=ASSET,
        name="failed_runs",
        threshold=FAILED_RUNS_RATIO,
        description="Share of the runs of 24 hours that failed, of all queues together.",
        measure=_failed_runs,
    ),
]
