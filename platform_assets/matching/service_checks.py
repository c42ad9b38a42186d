"""What is measured on the assets around the matches; bounds are in `thresholds.py`."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.asset_checks import (
    Measurement,
    freshness_check,
    quarantine_checks,
    share,
    table_check,
)
from platform_assets.clients.database import Database
from platform_assets.resources import Clock
from platform_assets.tables import marketplace
from platform_assets.tables.matching_service import (
    matching_analytics,
    matching_service_health,
    matching_tuning,
)

Health = sa.Row[Any]
"""A row of `monitoring.matching_service_health`."""

TOPICS = ("weights", "search_index", "upkeep")


def _analytics(metric: str, segment: str) -> Callable[[Database, Clock], Measurement]:
    """The latest value of a metric; what had nothing to be measured on is told as such, and is no failure."""
    table = matching_analytics

    def measure(database: Database, _: Clock) -> Measurement:
        latest = sa.select(sa.func.max(table.c.day)).scalar_subquery()
        rows = database.read(
            sa.select(table.c.value, table.c.items_count, table.c.day).where(
                table.c.day == latest, table.c.metric == metric, table.c.segment == segment
            )
        )
        if rows.empty:
            return Measurement(None, {"why": "there was nothing to measure it on"})
        return Measurement(
            float(rows["value"].iloc[0]),
            {"items_count": int(rows["items_count"].iloc[0]), "day": str(rows["day"].iloc[0])[:10]},
        )

    return measure


def _latest_health(
    measure: Callable[[Health], Measurement],
) -> Callable[[Database, Clock], Measurement]:
    """What to measure on the latest row of the service's health."""
    table = matching_service_health

    def measure_latest(database: Database, _: Clock) -> Measurement:
        with database.transaction() as connection:
            row = connection.execute(
                sa.select(table).order_by(table.c.measured_at.desc(), table.c.measurement_id.desc()).limit(1)
            ).one_or_none()
        return Measurement(None, {"why": "never measured"}) if row is None else measure(row)

    return measure_latest


def _latency(row: Health) -> Measurement:
    if not row.pages_count:
        return Measurement(0.0, {"why": "there is no open project"})
    return Measurement(row.latency_p95_ms, {"pages": row.pages_count, "p50_ms": row.latency_p50_ms or "none"})


def _errors(row: Health) -> Measurement:
    failed, asked = row.errors_count + row.search_errors_count, row.pages_count + row.searches_count
    return share(failed, asked, {"failure": row.failure or "none"}, of_none=0.0)


def _staleness(row: Health) -> Measurement:
    if row.stalest_days is None and not row.errors_count:
        return Measurement(0.0, {"why": "no list has a match"})
    return Measurement(row.stalest_days)


def _recall(row: Health) -> Measurement:
    if not row.searches_count:
        return Measurement(1.0, {"why": "no open project has a vector"})
    return Measurement(row.search_recall, {"searches": row.searches_count})


def _undecided(database: Database, _: Clock) -> Measurement:
    table = matching_tuning
    latest = sa.select(sa.func.max(table.c.decided_at)).scalar_subquery()
    rows = database.read(
        sa.select(table.c.topic, table.c.subject, table.c.decision, table.c.reason)
        .where(table.c.decided_at == latest)
        .order_by(table.c.decision_id)
    )
    told = [f"{row.topic} · {row.subject}: {row.decision} ({row.reason})" for row in rows.itertuples()]
    return Measurement(len(set(TOPICS) - set(rows["topic"])), {"decisions": told})


CHECKS = [
    freshness_check("matching_analytics"),
    freshness_check("matching_tuning"),
    freshness_check("matching_service_health"),
    *quarantine_checks("matching_analytics", marketplace.match_events),
    table_check(
        asset="matching_analytics",
        name="exposure_gini",
        threshold=thresholds.FIRST_PLACES_GINI,
        description="Gini coefficient of available developers' exposure in first places.",
        measure=_analytics("exposure_gini", "first_places"),
    ),
    table_check(
        asset="matching_analytics",
        name="ndcg_against_outcomes",
        threshold=thresholds.PUBLISHED_NDCG,
        description="nDCG@10 of the published lists against whom clients went on with.",
        measure=_analytics("ndcg_at_10", "published"),
    ),
    table_check(
        asset="matching_tuning",
        name="every_topic_decided",
        threshold=thresholds.UNDECIDED_TOPICS,
        description="Topics on which the latest run decided nothing.",
        measure=_undecided,
    ),
    table_check(
        asset="matching_service_health",
        name="page_latency",
        threshold=thresholds.MATCH_PAGE_MS,
        description="95th percentile of the time of a page of matches, as the application asks for it.",
        measure=_latest_health(_latency),
    ),
    table_check(
        asset="matching_service_health",
        name="page_errors",
        threshold=thresholds.MATCH_PAGE_ERROR_RATIO,
        description="Share of pages and searches that failed or timed out.",
        measure=_latest_health(_errors),
    ),
    table_check(
        asset="matching_service_health",
        name="empty_pages",
        threshold=thresholds.EMPTY_PAGE_RATIO,
        description="Share of pages without a match.",
        measure=_latest_health(lambda row: share(row.empty_count, row.pages_count, of_none=0.0)),
    ),
    table_check(
        asset="matching_service_health",
        name="staleness",
        threshold=thresholds.STALEST_MATCHES_DAYS,
        description="Days since the day for which the oldest list was computed.",
        measure=_latest_health(_staleness),
    ),
    table_check(
        asset="matching_service_health",
        name="search_recall",
        threshold=thresholds.SEARCH_RECALL_RATIO,
        description="Share of the exact answer that the search by index finds under projects' own filters.",
        measure=_latest_health(_recall),
    ),
]
