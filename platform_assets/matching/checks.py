"""What is measured on the matching assets; bounds are in `thresholds.py`."""

import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.asset_checks import Measurement, freshness_check, quarantine_checks, share, table_check
from platform_assets.clients.database import Database
from platform_assets.matching.assets import MATCHES_PER_PROJECT
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables


def _project_coverage(database: Database, table: sa.Table, *, at_least: int) -> Measurement:
    """Share of open projects that have so many rows in the table."""
    projects = marketplace.projects
    rows_count = (
        sa.select(sa.func.count())
        .where(table.c.project_id == projects.c.project_id)
        .scalar_subquery()
        .label("rows_count")
    )
    rows = database.read(sa.select(projects.c.project_id, rows_count).where(projects.c.status == "open"))
    short = rows["project_id"][rows["rows_count"] < at_least]
    return share(len(rows) - len(short), len(rows), {"projects_without": sorted(short)[:20]}, of_none=1.0)


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


CHECKS = [
    freshness_check("match_candidates"),
    freshness_check("matches"),
    *quarantine_checks("match_candidates", marketplace.contracts),
    *quarantine_checks("match_candidates", marketplace.blocks),
    table_check(
        asset="match_candidates",
        name="coverage",
        threshold=thresholds.MATCH_COVERAGE_RATIO,
        description="Share of open projects with at least one candidate.",
        measure=lambda database, _: _project_coverage(database, tables.match_candidates, at_least=1),
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
        measure=lambda database, _: _project_coverage(database, tables.matches, at_least=1),
    ),
    table_check(
        asset="matches",
        name="full_lists",
        threshold=thresholds.FULL_MATCH_COVERAGE_RATIO,
        description="Share of open projects whose list of matches is full.",
        measure=lambda database, _: _project_coverage(database, tables.matches, at_least=MATCHES_PER_PROJECT),
    ),
]
