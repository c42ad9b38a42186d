"""What is measured on the matching assets; bounds are in `thresholds.py`."""

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
from platform_assets.matching.assets import MATCHES_PER_PROJECT
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables


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
        measure=open_project_coverage(tables.matches, at_least=MATCHES_PER_PROJECT),
    ),
]
