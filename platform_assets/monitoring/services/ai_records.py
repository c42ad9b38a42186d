"""Reads what is on record of AI services: their calls, the tokens of the day, and how right they were.

What follows from it is `ai_metrics.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.monitoring.services.ai_metrics import (
    WINDOWS_HOURS,
    Accuracy,
    Budget,
    CallSummary,
    Confidence,
    Known,
    Model,
)
from platform_assets.tables.monitoring import AI_CALL_TOKENS, ai_calls
from platform_assets.tables.skill_evidence import confidence_measurements
from platform_assets.tables.text_measurements import extraction_accuracy

GEMINI = "gemini"
EMBEDDER = "embedder"


def read_summaries(database: Database, *, now: dt.datetime) -> list[CallSummary]:
    """The calls of each model, by window; a model without calls in a window has none."""
    with database.transaction() as connection:
        return [
            summary
            for hours in WINDOWS_HOURS
            for summary in _read_window(connection, now - dt.timedelta(hours=hours), now, hours)
        ]


def _read_window(
    connection: sa.Connection, since: dt.datetime, now: dt.datetime, hours: int
) -> list[CallSummary]:
    table = ai_calls
    count = sa.func.count()
    is_answered = table.c.outcome.in_(("ok", "invalid"))
    latencies = (
        sa.func.percentile_cont(pg.array([0.5, 0.95, 0.99]))
        .within_group(table.c.latency_ms)
        .filter(is_answered)
    )

    def total(column: sa.Column[int]) -> sa.Cast[int]:
        return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)

    query = (
        sa.select(
            table.c.service,
            table.c.model,
            count.label("calls_count"),
            total(table.c.texts_count).label("texts_count"),
            latencies.label("latencies"),
            *(
                count.filter(table.c.outcome == outcome).label(f"{outcome}_count")
                for outcome in ("failed", "timeout", "rate_limited", "invalid")
            ),
            total(table.c.prompt_tokens).label("prompt_tokens_count"),
            total(table.c.output_tokens).label("output_tokens_count"),
        )
        .where(table.c.started_at > since, table.c.started_at <= now)
        .group_by(table.c.service, table.c.model)
    )
    summaries = []
    for row in connection.execute(query):
        values = row._asdict()
        p50, p95, p99 = values.pop("latencies") or (None, None, None)
        summaries.append(
            CallSummary(
                **values,
                window_hours=hours,
                latency_p50_ms=p50,
                latency_p95_ms=p95,
                latency_p99_ms=p99,
            )
        )
    return summaries


def read_known(
    database: Database, *, tokens_per_day: Mapping[str, int], embedder_model: str, now: dt.datetime
) -> Known:
    """Budgets, accuracy and confidence.

    Args:
        database: Has the records.
        tokens_per_day: Service → tokens that it may spend on a UTC day.
        embedder_model: Name of the embedding model.
        now: The present moment.
    """
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with database.transaction() as connection:
        return Known(
            budgets={
                service: Budget(limit, _read_spent(connection, service, midnight, now))
                for service, limit in tokens_per_day.items()
            },
            accuracies=_read_accuracies(connection, embedder_model),
            confidence=_read_confidence(connection),
        )


def _read_spent(connection: sa.Connection, service: str, midnight: dt.datetime, now: dt.datetime) -> int:
    query = sa.select(sa.func.coalesce(sa.func.sum(AI_CALL_TOKENS), 0)).where(
        ai_calls.c.service == service, ai_calls.c.started_at >= midnight, ai_calls.c.started_at <= now
    )
    return int(connection.execute(query).scalar_one())


def _read_accuracies(connection: sa.Connection, embedder_model: str) -> dict[Model, Accuracy]:
    """The latest accuracy of each model; what several models read together is nobody's."""
    table = extraction_accuracy
    latest = sa.select(sa.func.max(table.c.measurement_id)).group_by(table.c.extractor)
    # Oldest first: of two versions of an extractor the latest measured one counts.
    rows = connection.execute(
        sa.select(table).where(table.c.measurement_id.in_(latest)).order_by(table.c.measurement_id)
    )
    return {
        model: Accuracy(row.samples_count, row.precision, row.recall, row.rp_at_5, row.measured_at)
        for row in rows
        if (model := _model_of(row.extractor, embedder_model)) is not None
    }


def _model_of(extractor: str, embedder_model: str) -> Model | None:
    """The model of an extractor's name: `gemini/<version> <model>`, or `spelling+embedding/<version>`."""
    kind, _, rest = extractor.partition("/")
    match kind:
        case "gemini":
            return Model(GEMINI, rest.partition(" ")[2])
        case "spelling+embedding":
            return Model(EMBEDDER, embedder_model)
        case _:
            return None


def _read_confidence(connection: sa.Connection) -> Confidence | None:
    table = confidence_measurements
    row = connection.execute(
        sa.select(table.c.brier, table.c.ece).order_by(table.c.measured_on.desc()).limit(1)
    ).one_or_none()
    return None if row is None else Confidence(row.brier, row.ece)
