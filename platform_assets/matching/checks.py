"""What is measured on the matching assets; bounds are in `thresholds.py`."""

from collections.abc import Callable

import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.asset_checks import (
    Measurement,
    freshness_check,
    open_project_coverage,
    quarantine_checks,
    table_check,
)
from platform_assets.clients.database import Database
from platform_assets.matching.candidates import PLACES
from platform_assets.resources import Clock
from platform_assets.tables import marketplace
from platform_assets.tables import matching as tables


def _reasons_residual(database: Database) -> Measurement:
    """Largest difference between a score and the sum of its reasons."""
    rows = database.read(
        sa.text(
            "SELECT max(abs(score - coalesce((SELECT sum(value::float8) FROM jsonb_each_text(reasons)), 0))) AS worst, "
            "count(*) AS rows_count FROM platform.match_candidates"
        )
    )
    worst = rows["worst"].iloc[0]
    return Measurement(float(worst) if worst == worst else 0.0, {"rows": int(rows["rows_count"].iloc[0])})


def _unpublished_versions(list_name: str) -> Callable[[Database, Clock], Measurement]:
    """What to measure for the versions of a list that were held back since the live one was published."""
    table = tables.match_versions
    live = (
        sa.select(table.c.version_id)
        .where(table.c.list_name == list_name, table.c.state == "published")
        .scalar_subquery()
    )
    query = (
        sa.select(table.c.version_id, table.c.gates)
        .where(
            table.c.list_name == list_name,
            table.c.state == "refused",
            table.c.version_id > sa.func.coalesce(live, 0),
        )
        .order_by(table.c.version_id)
    )

    def measure(database: Database, _: Clock) -> Measurement:
        refused = database.read(query)
        broken = {
            f"{name}: {gate['value']:.4g} (bound {gate['bound']:g})"
            for measured in refused["gates"]
            for name, gate in measured.items()
            if not gate["holds"]
        }
        return Measurement(float(len(refused)), {"broken_gates": sorted(broken)})

    return measure


def _oldest_superseded(database: Database, clock: Clock) -> Measurement:
    """Age of the oldest version that is not live."""
    table = tables.match_versions
    rows = database.read(
        sa.select(sa.func.min(table.c.ended_at).label("oldest"), sa.func.count().label("versions")).where(
            table.c.state.in_(["superseded", "refused", "abandoned"])
        )
    )
    versions_count = int(rows["versions"].iloc[0])
    age = (clock.read() - rows["oldest"].iloc[0]).total_seconds() / 86_400 if versions_count else 0.0
    return Measurement(max(0.0, age), {"versions": versions_count})


CHECKS = [
    freshness_check("match_candidates"),
    freshness_check("matches"),
    freshness_check("matching_cache_cleanup"),
    *(
        table_check(
            asset=list_name,
            name="published",
            threshold=thresholds.UNPUBLISHED_VERSIONS,
            description="New versions that were held back because a gate did not hold.",
            measure=_unpublished_versions(list_name),
        )
        for list_name in ("match_candidates", "matches")
    ),
    table_check(
        asset="matching_cache_cleanup",
        name="oldest_version",
        threshold=thresholds.SUPERSEDED_AGE_DAYS,
        description="Age of the oldest version that is kept although it is not live.",
        measure=_oldest_superseded,
    ),
    *quarantine_checks("match_candidates", marketplace.contracts),
    *quarantine_checks("match_candidates", marketplace.blocks),
    table_check(
        asset="match_candidates",
        name="coverage",
        threshold=thresholds.MATCH_COVERAGE_RATIO,
        description="Share of open projects with at least one candidate.",
        measure=open_project_coverage(tables.match_candidates),
    ),
    table_check(
        asset="match_candidates",
        name="reasons_add_up",
        threshold=thresholds.REASONS_RESIDUAL,
        description="Largest difference between a score and the sum of its reasons.",
        measure=lambda database, _: _reasons_residual(database),
    ),
    table_check(
        asset="matches",
        name="coverage",
        threshold=thresholds.MATCH_COVERAGE_RATIO,
        description="Share of open projects with at least one match.",
        measure=open_project_coverage(tables.matches),
    ),
    table_check(
        asset="matches",
        name="full_lists",
        threshold=thresholds.FULL_MATCH_COVERAGE_RATIO,
        description="Share of open projects whose list of matches is full.",
        measure=open_project_coverage(tables.matches, at_least=PLACES.first),
    ),
]
