"""Reads what the performance report tells of: one query a topic, over a window that ends now. No words, no advice."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.tables.monitoring import ai_calls, notification_outbox, system_alerts
from platform_assets.tables.payment_operations import gateway_calls
from platform_assets.tables.payments import gateway_transactions
from platform_assets.tables.queues import queue_recovery, task_queue_metrics
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.retention import retention_sweeps
from platform_assets.tables.service_health import ai_service_metrics, service_health_metrics
from platform_assets.tables.service_levels import service_level_measurements


@dataclass(frozen=True)
class Figures:
    """What was measured in the window; one frame a topic, empty where nothing was.

    Attributes:
        since: Start of the window (UTC).
        until: Its end, when the figures were read.
        levels: Service levels as last measured: `level`, `objective_ratio`, `good_count`, `total_count`,
            `budget_left_ratio`, `burn_rate_1h`, `burn_rate_1d`, `burning_at`.
        services: Services as last looked at: `service`, `state`, `state_since`, `latency_ms`, `error_ratio`, `message`.
        jobs: Ended runs by job: `job_name`, `queue`, `runs_count`, `failed_count`, `run_time_p50_s`, `run_time_p95_s`,
            `run_time_max_s`, `cause`, `message` (both of the last failure).
        hours: Ended runs by `hour`: `runs_count`, `failed_count`; every hour of the window.
        queues: Queues as last measured: `queue`, `queued_count`, `oldest_queued_age_s`, `utilization_ratio`, `wait_p95_s`.
        alerts: Open alerts, the worst first: `alert_id`, `severity`, `owner`, `title`, `occurrences_count`,
            `first_seen_at`, `is_acknowledged`.
        alerts_opened_count: Alerts first seen in the window.
        alerts_resolved_count: Alerts resolved in it.
        deliveries: One row: `queued_count`, `sent_count`, `failed_count`, `waiting_count`, `seconds_p50`, `seconds_p95`.
        reruns: Attempts at failed work that came due in the window, by `cause`: `attempts_count`, `succeeded_count`.
        repairs: What was done to free stuck work: `action`, `actions_count`, `worked_count`, `failed_count`, `repair_p50_s`.
        ai: Calls of AI services by `service` and `model`: `calls_count`, `failed_count`, `latency_p95_ms`,
            `prompt_tokens`, `output_tokens`.
        quotas: Budgets of tokens that are spent before the day ends: `service`, `tokens_left_count`, `runs_out_at`.
        gateway: Calls of the payment gateway: `gateway`, `calls_count`, `failed_count`, `latency_p95_ms`.
        fees: What the gateway charged, by `currency`: `fees_minor`, `transactions_count`.
        database_bytes: Size of the platform's database.
        freed_bytes: What the last sweep of old rows freed; None before the first.
    """

    since: dt.datetime
    until: dt.datetime
    levels: pd.DataFrame
    services: pd.DataFrame
    jobs: pd.DataFrame
    hours: pd.DataFrame
    queues: pd.DataFrame
    alerts: pd.DataFrame
    alerts_opened_count: int
    alerts_resolved_count: int
    deliveries: pd.DataFrame
    reruns: pd.DataFrame
    repairs: pd.DataFrame
    ai: pd.DataFrame
    quotas: pd.DataFrame
    gateway: pd.DataFrame
    fees: pd.DataFrame
    database_bytes: int
    freed_bytes: int | None


def read_figures(database: Database, *, since: dt.datetime, until: dt.datetime) -> Figures:
    """Everything from `since` to `until`; what is measured now and then, as it was last measured in that time."""
    return Figures(
        since=since,
        until=until,
        levels=database.read(
            _latest(service_level_measurements, service_level_measurements.c.level, since, until)
        ),
        services=database.read(
            _latest(service_health_metrics, service_health_metrics.c.service, since, until)
        ),
        jobs=_read_jobs(database, since, until),
        hours=_read_hours(database, since, until),
        queues=database.read(_latest(task_queue_metrics, task_queue_metrics.c.queue, since, until)),
        alerts=_read_alerts(database),
        alerts_opened_count=_count(database, _within(system_alerts.c.first_seen_at, since, until)),
        alerts_resolved_count=_count(database, _within(system_alerts.c.resolved_at, since, until)),
        deliveries=_read_deliveries(database, since, until),
        reruns=_read_reruns(database, since, until),
        repairs=_read_repairs(database, since, until),
        ai=_read_ai(database, since, until),
        quotas=_read_quotas(database, since, until),
        gateway=_read_gateway(database, since, until),
        fees=_read_fees(database, since, until),
        database_bytes=_read_size(database),
        freed_bytes=_read_freed(database),
    )


def _within(at: sa.ColumnElement[Any], since: dt.datetime, until: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.and_(at > since, at <= until)


def _latest(table: sa.Table, key: sa.Column[Any], since: dt.datetime, until: dt.datetime) -> sa.Select[Any]:
    """The last row of each key in the window."""
    at = table.c.measured_at
    return sa.select(table).where(_within(at, since, until)).ext(pg.distinct_on(key)).order_by(key, at.desc())


def _quantile(ratio: float, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.percentile_cont(ratio).within_group(value)


def _seconds(later: sa.ColumnElement[Any], earlier: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.extract("epoch", later - earlier), sa.Double)


def _read_jobs(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = run_outcomes.c
    run_time_s = _seconds(table.ended_at, table.started_at)
    failed = table.status == "failure"
    last_first = table.ended_at.desc()
    return database.read(
        sa.select(
            table.job_name,
            sa.func.max(table.queue).label("queue"),
            sa.func.count().label("runs_count"),
            sa.func.count().filter(failed).label("failed_count"),
            _quantile(0.5, run_time_s).label("run_time_p50_s"),
            _quantile(0.95, run_time_s).label("run_time_p95_s"),
            sa.func.max(run_time_s).label("run_time_max_s"),
            sa.func.array_agg(pg.aggregate_order_by(table.cause, last_first)).filter(failed).label("causes"),
            sa.func.array_agg(pg.aggregate_order_by(table.message, last_first))
            .filter(failed)
            .label("messages"),
        )
        .where(_within(table.ended_at, since, until))
        .group_by(table.job_name)
        .order_by(_quantile(0.95, run_time_s).desc().nulls_last(), table.job_name)
    )


def _read_hours(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = run_outcomes.c
    hours = sa.func.generate_series(
        sa.func.date_trunc("hour", since, "UTC"), until, dt.timedelta(hours=1)
    ).table_valued("hour", name="hour")
    is_of_hour = sa.and_(
        table.ended_at >= hours.c.hour,
        table.ended_at < hours.c.hour + dt.timedelta(hours=1),
        _within(table.ended_at, since, until),
    )
    return database.read(
        sa.select(
            hours.c.hour,
            sa.func.count(table.run_id).label("runs_count"),
            sa.func.count(table.run_id).filter(table.status == "failure").label("failed_count"),
        )
        .select_from(hours.outerjoin(run_outcomes, is_of_hour))
        .group_by(hours.c.hour)
        .order_by(hours.c.hour)
    )


def _read_alerts(database: Database) -> pd.DataFrame:
    table = system_alerts.c
    rank = sa.func.array_position(pg.array(["critical", "high", "medium", "low"]), table.severity)
    return database.read(
        sa.select(
            table.alert_id,
            table.severity,
            table.owner,
            table.title,
            table.occurrences_count,
            table.first_seen_at,
            table.acknowledged_at.is_not(None).label("is_acknowledged"),
        )
        .where(table.state == "open")
        .order_by(rank, table.first_seen_at)
    )


def _read_deliveries(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = notification_outbox.c
    sent = table.state == "sent"
    seconds = _seconds(table.sent_at, table.created_at)
    return database.read(
        sa.select(
            sa.func.count().label("queued_count"),
            sa.func.count().filter(sent).label("sent_count"),
            sa.func.count().filter(table.state == "failed").label("failed_count"),
            sa.func.count().filter(table.state.in_(["pending", "routed"])).label("waiting_count"),
            _quantile(0.5, seconds).label("seconds_p50"),
            _quantile(0.95, seconds).label("seconds_p95"),
        ).where(_within(table.created_at, since, until), table.state != "dropped")
    )


def _read_reruns(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    retry, outcome = run_retries.c, run_outcomes.c
    return database.read(
        sa.select(
            retry.cause,
            sa.func.count().label("attempts_count"),
            sa.func.count().filter(outcome.status == "success").label("succeeded_count"),
        )
        .select_from(
            run_retries.outerjoin(
                run_outcomes,
                sa.and_(outcome.root_run_id == retry.root_run_id, outcome.attempt == retry.attempt),
            )
        )
        .where(_within(retry.due_at, since, until), retry.state != "superseded")
        .group_by(retry.cause)
        .order_by(retry.cause)
    )


def _read_repairs(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = queue_recovery.c
    return database.read(
        sa.select(
            table.action,
            sa.func.count().label("actions_count"),
            sa.func.count().filter(table.state == "worked").label("worked_count"),
            sa.func.count().filter(table.state.in_(["ineffective", "failed"])).label("failed_count"),
            _quantile(0.5, table.repair_s).label("repair_p50_s"),
        )
        .where(_within(table.claimed_at, since, until))
        .group_by(table.action)
        .order_by(table.action)
    )


def _read_ai(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = ai_calls.c
    return database.read(
        sa.select(
            table.service,
            table.model,
            sa.func.count().label("calls_count"),
            sa.func.count().filter(table.outcome != "ok").label("failed_count"),
            _quantile(0.95, table.latency_ms).label("latency_p95_ms"),
            sa.func.coalesce(sa.func.sum(table.prompt_tokens), 0).label("prompt_tokens"),
            sa.func.coalesce(sa.func.sum(table.output_tokens), 0).label("output_tokens"),
        )
        .where(_within(table.started_at, since, until))
        .group_by(table.service, table.model)
        .order_by(table.service, table.model)
    )


def _read_quotas(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = ai_service_metrics
    latest = _latest(table, table.c.service, since, until).subquery()
    return database.read(
        sa.select(latest.c.service, latest.c.tokens_left_count, latest.c.runs_out_at).where(
            latest.c.runs_out_at.is_not(None)
        )
    )


def _read_gateway(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = gateway_calls.c
    return database.read(
        sa.select(
            table.gateway,
            sa.func.count().label("calls_count"),
            sa.func.count().filter(table.outcome != "ok").label("failed_count"),
            _quantile(0.95, table.latency_ms).label("latency_p95_ms"),
        )
        .where(_within(table.started_at, since, until))
        .group_by(table.gateway)
        .order_by(table.gateway)
    )


def _read_fees(database: Database, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    table = gateway_transactions.c
    return database.read(
        sa.select(
            table.currency,
            sa.func.sum(table.fee_minor).label("fees_minor"),
            sa.func.count().label("transactions_count"),
        )
        .where(
            table.object_type == "balance_transaction",
            table.fee_minor != 0,
            _within(table.created_at, since, until),
        )
        .group_by(table.currency)
        .order_by(table.currency)
    )


def _count(database: Database, condition: sa.ColumnElement[bool]) -> int:
    rows = database.read(sa.select(sa.func.count().label("n")).select_from(system_alerts).where(condition))
    return int(rows["n"].iloc[0])


def _read_size(database: Database) -> int:
    size = sa.func.pg_database_size(sa.func.current_database()).label("size")
    return int(database.read(sa.select(size))["size"].iloc[0])


def _read_freed(database: Database) -> int | None:
    table = retention_sweeps.c
    last = sa.select(sa.func.max(table.swept_at)).scalar_subquery()
    freed = database.read(sa.select(sa.func.sum(table.bytes_freed).label("n")).where(table.swept_at == last))[
        "n"
    ].dropna()
    return None if freed.empty else int(freed.iloc[0])
