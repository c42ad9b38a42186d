"""The assets of services: their health, and the performance of those that answer with a model; thin."""

from functools import partial
from typing import Any

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedder import Embedder
from platform_assets.clients.gemini import GeminiClient
from platform_assets.monitoring.services import ai_records, dagster_parts, records, tables_shown
from platform_assets.monitoring.services.ai_metrics import Model, metric_rows
from platform_assets.monitoring.services.health import State, health_rows
from platform_assets.monitoring.services.probes import ServiceOpeners, probe_services
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, table_asset
from platform_assets.tables import service_health as tables

GROUP = "monitoring"


def _keep(database: Database, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Add the rows of one moment; measured twice at the same moment, the later ones count."""
    with database.transaction() as connection:
        connection.execute(sa.delete(table).where(table.c.measured_at == rows[0]["measured_at"]))
        connection.execute(sa.insert(table), rows)


@table_asset(tables.service_health_metrics, group=GROUP, kinds={"dagster", "github", "stripe", "gemini"})
def service_health_metrics(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    services: dg.ResourceParam[ServiceOpeners],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Every service is asked at once by one cheap call of its own client; who hangs delays nobody.

    A state changes after two looks in a row that say so, and real calls that fail count as well.
    """
    now = clock.read()
    # By hand, nobody promised that a daemon runs.
    is_scheduled = dagster_parts.SCHEDULE_TAG in context.run.tags
    more = {
        "dagster_daemons": partial(
            dagster_parts.ask_daemons, context.instance, now=now, is_expected=is_scheduled
        ),
        "code_location": partial(dagster_parts.ask_code_location, context.run),
        "notifications": partial(records.ask_outbox, database, now=now, is_delivered=is_scheduled),
    }
    probes = probe_services(services, more=more)
    rows = health_rows(
        probes, records.read_past_looks(database, now=now), records.read_traffic(database, now=now), now=now
    )
    _keep(database, tables.service_health_metrics, rows)
    for row in rows:
        if row["state"] == State.DOWN:
            context.log.warning("%s is down: %s", row["service"], row["message"])
    latencies: dict[str, Any] = {
        f"{row['service']}_latency_ms": row["latency_ms"] for row in rows if row["latency_ms"] is not None
    }
    return measured(
        database,
        tables.service_health_metrics,
        len(rows),
        services=dg.MetadataValue.md(tables_shown.health_table(rows)),
        **{f"{state}_count": sum(row["state"] == state for row in rows) for state in State},
        **latencies,
    )


@table_asset(tables.ai_service_metrics, group=GROUP, kinds={"gemini", "huggingface"})
def ai_service_metrics(
    database: dg.ResourceParam[Database],
    gemini: dg.ResourceParam[GeminiClient | None],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """From the log of calls, the last hour and the last day; accuracy from the samples that people have labelled."""
    now = clock.read()
    in_use = [Model(ai_records.EMBEDDER, embedder.model_name)]
    if gemini is not None:
        in_use.append(Model(ai_records.GEMINI, gemini.model))
    known = ai_records.read_known(
        database,
        tokens_per_day={ai_records.GEMINI: gemini.tokens_per_day} if gemini is not None else {},
        embedder_model=embedder.model_name,
        now=now,
    )
    rows = metric_rows(ai_records.read_summaries(database, now=now), in_use, known, now=now)
    _keep(database, tables.ai_service_metrics, rows)
    tokens_left = {
        f"{service}_tokens_left_count": budget.left_count for service, budget in known.budgets.items()
    }
    return measured(
        database,
        tables.ai_service_metrics,
        len(rows),
        models=dg.MetadataValue.md(tables_shown.ai_table(rows)),
        calls_of_last_hour=sum(row["calls_count"] for row in rows if row["window_hours"] == 1),
        **tokens_left,
    )


ASSETS = [service_health_metrics, ai_service_metrics]
