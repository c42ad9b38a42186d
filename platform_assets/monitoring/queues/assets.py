"""The assets of queues and their recovery; thin: read, one function, write, metadata."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.queues.ledger import RepairTime, read_repair_times
from platform_assets.monitoring.queues.measuring import measure_ticks
from platform_assets.monitoring.queues.model import QUEUES
from platform_assets.monitoring.queues.queue_metrics import QueueMetrics, measure_queues
from platform_assets.monitoring.queues.reading import read_ended_runs, read_pools, read_unfinished_runs
from platform_assets.monitoring.queues.recover import Round, recover
from platform_assets.monitoring.queues.tick_alerts import write_ticks
from platform_assets.monitoring.queues.ticks import TickMetrics
from platform_assets.monitoring.queues.timetable import code_timetable, owners_of_tickers
from platform_assets.resources import Clock
from platform_assets.settings import RecoveryMode
from platform_assets.table_assets import measured, table_asset
from platform_assets.tables import queues as tables

GROUP = "monitoring"

WINDOW = dt.timedelta(hours=1)
"""What the figures of a queue look back on: long enough for a percentile, short enough to be of now."""


@table_asset(tables.task_queue_metrics, group=GROUP, kinds={"dagster"})
def task_queue_metrics(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Measured on Dagster's own record of runs, pools and ticks; windows of an hour overlap.

    What became of the ticks of each schedule and sensor goes to `monitoring.tick_metrics`, and the alerts of those whose
    latest tick is missed or failed are brought in line with it. While the daemon is down there is nothing to judge them by.
    """
    now = clock.read()
    instance = context.instance
    rows = measure_queues(
        read_unfinished_runs(instance),
        read_ended_runs(instance, since=now - WINDOW),
        read_pools(instance, QUEUES),
        now=now,
        window=WINDOW,
    )
    ticks = measure_ticks(instance, database, code_timetable(), now=now)
    table = tables.task_queue_metrics
    with database.transaction() as connection:
        connection.execute(sa.delete(table).where(table.c.measured_at == now))
        connection.execute(sa.insert(table), [{"measured_at": now, **asdict(row)} for row in rows])
        write_ticks(connection, ticks, owners=owners_of_tickers(), now=now)
    return measured(
        database,
        table,
        len(rows),
        queued_count=sum(row.queued_count for row in rows),
        running_count=sum(row.running_count for row in rows),
        ended_count=sum(row.ended_count for row in rows),
        failed_count=sum(row.failed_count for row in rows),
        missed_ticks_count=sum(tick.missed_count for tick in ticks),
        queues=dg.MetadataValue.md(_queue_table(rows)),
        ticks=dg.MetadataValue.md(_tick_table(ticks)),
    )


@table_asset(tables.queue_recovery, group=GROUP, kinds={"dagster"}, deps=["task_queue_metrics"])
def queue_recovery(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
    recovery_mode: dg.ResourceParam[RecoveryMode],
) -> dg.MaterializeResult[None]:
    """Stuck, orphaned and superseded runs, leaked slots, processes that outlive their run, missed ticks.

    Each action is committed before it is carried out, at most one at a time on one thing, and looked at again until it
    is known whether it helped. `PLATFORM_RECOVERY=dry-run` only names what would be done.
    """
    now = clock.read()
    done = recover(
        context.instance,
        database,
        code_timetable(),
        mode=recovery_mode,
        own_run_id=context.run.run_id,
        now=now,
    )
    for outcome in done.taken:
        context.log.info("%s %s: %s", outcome.action.kind, outcome.action.subject, outcome.state)
    return measured(
        database,
        tables.queue_recovery,
        len(done.taken) if recovery_mode == "on" else 0,
        mode=recovery_mode,
        left_count=len(done.left),
        actions=dg.MetadataValue.md(_action_table(done)),
        repair_times=dg.MetadataValue.md(
            _repair_table(read_repair_times(database, since=now - dt.timedelta(days=1)))
        ),
    )


def _queue_table(rows: Sequence[QueueMetrics]) -> str:
    return _table(
        ("queue", "queued", "running", "oldest wait", "ended", "failed", "p95", "used", "slots", "leaked"),
        (
            (
                row.queue,
                row.queued_count,
                row.running_count,
                _seconds(row.oldest_queued_age_s),
                row.ended_count,
                row.failed_count,
                _seconds(row.run_time_p95_s),
                "–" if row.utilization_ratio is None else f"{row.utilization_ratio:.0%}",
                f"{row.slots_taken_count}/{'∞' if row.slots_limit is None else row.slots_limit}",
                row.slots_leaked_count,
            )
            for row in rows
        ),
    )


def _tick_table(rows: Sequence[TickMetrics]) -> str:
    if not rows:
        return "Dagster's daemon is not running, so no tick was due."
    return _table(
        ("name", "cadence", "expected", "missed", "late", "failed", "lag", "outstanding since"),
        (
            (
                row.name if row.is_on else f"{row.name} (off)",
                f"`{row.cadence}`",
                row.expected_count,
                row.missed_count,
                row.late_count,
                row.failed_count,
                _seconds(row.lag_s),
                f"{row.outstanding_since:%Y-%m-%d %H:%M:%S}" if row.outstanding_since else "–",
            )
            for row in rows
        ),
    )


def _action_table(done: Round) -> str:
    if done.skipped_because is not None:
        return f"Nothing was looked at: {done.skipped_because}."
    outcomes = [*done.settled, *done.taken]
    if not (outcomes or done.left):
        return "Nothing is stuck."
    return _table(
        ("action", "subject", "state", "why"),
        [
            *((each.action.kind, each.action.subject, each.state, each.action.reason) for each in outcomes),
            *((each.action.kind, each.action.subject, "left", each.reason) for each in done.left),
        ],
    )


def _repair_table(times: Sequence[RepairTime]) -> str:
    if not times:
        return "Nothing had to be mended in the last day."
    return _table(
        ("action", "taken", "worked", "median time to repair"),
        ((each.action, each.actions_count, each.worked_count, _seconds(each.median_s)) for each in times),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '¦') for cell in line)} |" for line in lines)


def _seconds(value_s: float | None) -> str:
    return "–" if value_s is None else f"{value_s:,.1f} s"


ASSETS = [task_queue_metrics, queue_recovery]
