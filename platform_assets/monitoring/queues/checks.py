"""Checks of queues, ticks and recovery: measured here, bounded in `recovery_thresholds.py`."""

import datetime as dt
from collections.abc import Callable

import sqlalchemy as sa

from platform_assets import recovery_thresholds as bounds
from platform_assets.asset_checks import Measurement, freshness_check, table_check
from platform_assets.clients.database import Database
from platform_assets.monitoring.checking.model import TOLD_BY
from platform_assets.monitoring.queues.ledger import IN_VAIN, UNSETTLED
from platform_assets.resources import Clock
from platform_assets.tables.queues import queue_recovery, task_queue_metrics, tick_metrics

NO_DAEMON = "no daemon has evaluated a schedule or sensor within the hour"

TICKS_OF = dt.timedelta(hours=1)


def _oldest_queued(queue: str) -> Callable[[Database, Clock], Measurement]:
    table = task_queue_metrics

    def measure(database: Database, clock: Clock) -> Measurement:
        rows = database.read(
            sa.select(table.c.oldest_queued_age_s, table.c.queued_count, table.c.drain_s)
            .where(table.c.queue == queue, table.c.measured_at <= clock.read())
            .order_by(table.c.measured_at.desc())
            .limit(1)
        )
        if rows.empty:
            return Measurement(None, not_evaluated_because="the queue was never measured")
        [row] = rows.to_dict("records")
        waiting = int(row["queued_count"])
        return Measurement(row["oldest_queued_age_s"] if waiting else 0.0, {"queued_count": waiting})

    return measure


def _leaked_slots(database: Database, clock: Clock) -> Measurement:
    table = task_queue_metrics
    latest = sa.select(sa.func.max(table.c.measured_at)).where(table.c.measured_at <= clock.read())
    rows = database.read(
        sa.select(table.c.queue, table.c.slots_leaked_count).where(
            table.c.measured_at == latest.scalar_subquery()
        )
    )
    if rows.empty:
        return Measurement(None, not_evaluated_because="no queue was ever measured")
    leaked = rows[rows["slots_leaked_count"] > 0]
    return Measurement(float(rows["slots_leaked_count"].sum()), {"queues": sorted(leaked["queue"])})


def _read_ticks(database: Database, clock: Clock, kind: str) -> list[dict[str, object]]:
    table, now = tick_metrics, clock.read()
    latest = sa.select(sa.func.max(table.c.measured_at)).where(table.c.measured_at <= now)
    frame = database.read(
        sa.select(table).where(
            table.c.kind == kind,
            table.c.is_on,
            table.c.measured_at == latest.scalar_subquery(),
            table.c.measured_at > now - TICKS_OF,
        )
    )
    return frame.astype(object).where(frame.notna(), None).to_dict("records")  # type: ignore[return-value]


def _outstanding_ticks(database: Database, clock: Clock) -> Measurement:
    rows = _read_ticks(database, clock, "schedule")
    if not rows:
        return Measurement(None, not_evaluated_because=NO_DAEMON)
    names = sorted(str(row["name"]) for row in rows if row["outstanding_since"] is not None)
    return Measurement(
        len(names),
        {"schedules": names, "schedules_on_count": len(rows), TOLD_BY: "an alert for each schedule"},
    )


def _sensor_lag(database: Database, clock: Clock) -> Measurement:
    rows = _read_ticks(database, clock, "sensor")
    lags = {str(row["name"]): float(str(row["lag_s"])) for row in rows if row["lag_s"] is not None}
    if not lags:
        return Measurement(None, not_evaluated_because=NO_DAEMON)
    slowest = max(lags, key=lambda name: lags[name])
    return Measurement(lags[slowest], {"sensor": slowest, TOLD_BY: "an alert for each sensor"})


def _unsettled(database: Database, clock: Clock) -> Measurement:
    """Actions of the last day that did not help, unless a later one on the same subject did."""
    table, later = queue_recovery, queue_recovery.alias("later")
    now = clock.read()
    has_worked_since = sa.exists().where(
        later.c.subject == table.c.subject,
        later.c.recovery_id > table.c.recovery_id,
        later.c.state == "worked",
    )
    in_vain = table.c.state.in_(IN_VAIN) & (table.c.claimed_at > now - dt.timedelta(days=1))
    undecided = table.c.state.in_(UNSETTLED) & (
        table.c.claimed_at < now - dt.timedelta(seconds=2 * bounds.RECOVERY_VERIFY_S)
    )
    rows = database.read(
        sa.select(table.c.action, table.c.subject, table.c.state, table.c.error)
        .where(in_vain | undecided, ~has_worked_since)
        .order_by(table.c.recovery_id.desc())
    )
    subjects = rows.drop_duplicates(["action", "subject"])
    told = [f"{row.action} {row.subject}: {row.state}" for row in subjects.head(20).itertuples()]
    return Measurement(len(subjects), {"actions": told})


def _repair_time(database: Database, clock: Clock) -> Measurement:
    table = queue_recovery
    frame = database.read(
        sa.select(
            sa.cast(sa.func.percentile_cont(0.5).within_group(table.c.repair_s), sa.Double).label("median_s"),
            sa.func.count(table.c.repair_s).label("worked_count"),
        ).where(table.c.claimed_at > clock.read() - dt.timedelta(days=1))
    )
    worked_count = int(frame["worked_count"].iloc[0])
    if not worked_count:
        return Measurement(0.0, {"why": "nothing had to be mended in the last day"})
    return Measurement(float(frame["median_s"].iloc[0]), {"repaired_count": worked_count})


CHECKS = [
    freshness_check("task_queue_metrics"),
    freshness_check("queue_recovery"),
    *(
        table_check(
            asset="task_queue_metrics",
            name=f"oldest_queued_{queue}",
            threshold=threshold,
            description=f"How long the oldest queued run of {queue} has waited.",
            measure=_oldest_queued(queue),
        )
        for queue, threshold in bounds.OLDEST_QUEUED_S.items()
    ),
    table_check(
        asset="task_queue_metrics",
        name="leaked_slots",
        threshold=bounds.LEAKED_SLOTS,
        description="Slots of pools that are held for runs which are not going on.",
        measure=_leaked_slots,
    ),
    table_check(
        asset="task_queue_metrics",
        name="outstanding_ticks",
        threshold=bounds.OUTSTANDING_TICKS,
        description="Schedules whose latest due tick was missed or failed; each has an alert of its own.",
        measure=_outstanding_ticks,
    ),
    table_check(
        asset="task_queue_metrics",
        name="sensor_lag",
        threshold=bounds.SENSOR_LAG_S,
        description="How long the next tick of the slowest sensor is overdue.",
        measure=_sensor_lag,
    ),
    table_check(
        asset="queue_recovery",
        name="unsettled",
        threshold=bounds.UNSETTLED_RECOVERIES,
        description="Actions of the last day that did not help, or of which that is not known.",
        measure=_unsettled,
    ),
    table_check(
        asset="queue_recovery",
        name="repair_time",
        threshold=bounds.REPAIR_S,
        description="Median time of the last day from a problem's beginning to the proof that it is gone.",
        measure=_repair_time,
    ),
]
