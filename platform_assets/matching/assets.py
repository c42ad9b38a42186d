"""The matching assets: thin Dagster functions that refresh, publish and clean up, and say what changed."""

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.matching.candidates import refresh_candidates
from platform_assets.matching.cleanup import clean_up
from platform_assets.matching.publication import ACCEPT_TAG, Alerts, Outcome
from platform_assets.matching.published import refresh_matches
from platform_assets.matching.tuning import current_weights
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, table_asset, written
from platform_assets.tables import matching as tables

GROUP = "matching"


@table_asset(
    tables.match_candidates,
    group=GROUP,
    kinds={"numpy"},
    deps=[
        "developer_profiles",
        "skill_profiles",
        "developer_vectors",
        "project_requirements",
        "project_vectors",
        "skill_graph",
    ],
)
def match_candidates(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
    alerts: dg.ResourceParam[Alerts],
) -> dg.MaterializeResult[None]:
    """The exact best developers of each open project: filters first, then an additive score whose parts are kept.

    Within a day only developers and projects that changed are scored; the places are those of a whole computation. A
    new version is published at once, and only if coverage, exactness and churn pass.
    """
    outcome = refresh_candidates(
        database,
        as_of=clock.as_of,
        now=clock.read,
        alerts=alerts,
        is_accepted=ACCEPT_TAG in context.run.tags,
        weights=current_weights(database, clock.as_of),
    )
    return _told(context, database, clock, outcome, tables.match_candidates)


@table_asset(tables.matches, group=GROUP, kinds={"pandas"}, deps=["match_candidates"])
def matches(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
    alerts: dg.ResourceParam[Alerts],
) -> dg.MaterializeResult[None]:
    """What is shown of each project's candidates, published in one transaction: readers never see a mixture.

    If coverage, churn or exposure of a new version do not pass, the last good one stays and an alert says why.
    """
    outcome = refresh_matches(
        database,
        as_of=clock.as_of,
        now=clock.read,
        alerts=alerts,
        is_accepted=ACCEPT_TAG in context.run.tags,
    )
    return _told(context, database, clock, outcome, tables.matches)


def _told(
    context: dg.AssetExecutionContext, database: Database, clock: Clock, outcome: Outcome, table: sa.Table
) -> dg.MaterializeResult[None]:
    if outcome.state == "refused":
        context.log.warning(
            "The new version of %s was held back, and the last good one stays; the alert says why", table.name
        )
    return written(
        database, table, outcome.counts, as_of=clock.as_of, version_state=outcome.state, **outcome.details
    )


@table_asset(tables.match_cleanups, name="matching_cache_cleanup", group=GROUP, kinds=set(), deps=["matches"])
def matching_cache_cleanup(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Superseded versions of the lists, their changes, and statistics of past days, removed."""
    cleaned = clean_up(database, as_of=clock.as_of, now=clock.read())
    return measured(
        database,
        tables.match_cleanups,
        1,
        rows_removed=cleaned.rows_count,
        versions_removed=cleaned.versions_count,
        changes_removed=cleaned.changes_count,
        freed_bytes=cleaned.freed_bytes,
    )


ASSETS = [match_candidates, matches, matching_cache_cleanup]
