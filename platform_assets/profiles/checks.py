"""What is measured on the profile assets but those of skills (`skill_checks`); bounds are in `thresholds.py`."""

import math
from functools import partial
from typing import Any

import dagster as dg
import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.asset_checks import (
    Measurement,
    check_result,
    freshness_check,
    holding,
    last_materialization_metadata,
    open_project_coverage,
    quarantine_checks,
    share,
    static_metadata,
    table_check,
)
from platform_assets.clients.database import Database
from platform_assets.profiles import text_checks
from platform_assets.profiles.github_profiles import GOOD_STATES
from platform_assets.profiles.skill_checks import CHECKS as SKILL_CHECKS
from platform_assets.resources import Clock
from platform_assets.tables import marketplace, monitoring
from platform_assets.tables import platform as tables
from platform_assets.tables.github_budget import github_budgets
from platform_assets.tables.skill_graph import skill_edges

_COMMON_SKILL_DEVELOPERS = 20

_GONE_STATES = ("not_found", "deleted", "suspended")
"""There is nothing to read, so that what is known of such an account may grow old."""


def _profile_age(database: Database, clock: Clock) -> Measurement:
    """95th percentile of hours since a linked developer's profile was read; unknown if too many never were."""
    developers, profiles = marketplace.developers, tables.developer_profiles
    # From the marketplace's side: an account that was never even asked for has no profile yet.
    rows = database.read(
        sa.select(developers.c.developer_id, profiles.c.fetched_at)
        .outerjoin_from(developers, profiles, profiles.c.developer_id == developers.c.developer_id)
        .where(
            sa.func.trim(developers.c.github_login) != "",
            sa.func.coalesce(profiles.c.state, "").not_in(_GONE_STATES),
            ~_is_set_aside(developers),
        )
    )
    if rows.empty:
        return Measurement(0.0, {"linked_developers": 0})
    ages = (clock.read() - rows["fetched_at"]).dt.total_seconds() / 3600
    oldest = float(ages.fillna(float("inf")).quantile(0.95, interpolation="higher"))
    return Measurement(
        oldest if math.isfinite(oldest) else None,
        {"linked_developers": len(rows), "never_read": int(ages.isna().sum())},
    )


def _is_set_aside(source: sa.Table) -> sa.ColumnElement[bool]:
    aside = monitoring.quarantined_rows
    return sa.exists().where(
        aside.c.source == source.fullname, aside.c.row_key == next(iter(source.primary_key.columns))
    )


def _failed_accounts(database: Database, _: Clock) -> Measurement:
    table = tables.developer_profiles
    states = database.read(
        sa.select(table.c.developer_id, table.c.github_login, table.c.state).where(
            table.c.github_login.is_not(None)
        )
    )
    failed = states[~states["state"].isin(GOOD_STATES)]
    return share(
        len(failed),
        len(states),
        {"accounts": [f"{row.github_login}: {row.state}" for row in failed.head(20).itertuples()]},
        of_none=0.0,
    )


def _remaining_quota(database: Database, clock: Clock) -> Measurement:
    """Share of the hour's GraphQL points that GitHub has left, over all tokens; all of it when none was used."""
    table = github_budgets
    rows = database.read(
        sa.select(table.c.token_fingerprint, table.c.limit_points, table.c.remaining_points).where(
            table.c.resource == "graphql", table.c.reset_at > clock.read()
        )
    )
    return share(
        int(rows["remaining_points"].sum()),
        int(rows["limit_points"].sum()),
        {"tokens": len(rows)},
        of_none=1.0,
    )


@dg.asset_check(
    asset=dg.AssetKey("developer_profiles"),
    name="planned_freshness",
    description="Hours within which every developer is looked at, as the last refresh planned it for GitHub's budget.",
    metadata=static_metadata(thresholds.GITHUB_FRESHNESS_HOURS),
)
def _planned_freshness(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    told = last_materialization_metadata(context.instance, "developer_profiles")
    hours = told.get("planned_freshness_hours")
    details: dict[str, Any] = {
        name: told[name]
        for name in ("points_expected", "points_spendable", "accounts_deferred")
        if name in told
    }
    value = float(hours) if isinstance(hours, int | float) and math.isfinite(hours) else None
    return check_result(
        holding(database, clock, thresholds.GITHUB_FRESHNESS_HOURS), Measurement(value, details)
    )


def _skill_coverage(database: Database, _: Clock) -> Measurement:
    """Share of active developers with repositories or declared skills that have at least one skill."""
    developers, repositories = marketplace.developers, tables.developer_repositories
    has_evidence = sa.or_(
        sa.func.cardinality(developers.c.declared_skills) > 0,
        sa.exists().where(
            repositories.c.developer_id == developers.c.developer_id,
            repositories.c.languages != sa.text("'{}'::jsonb"),
        ),
    )
    has_skill = sa.exists().where(tables.skill_profiles.c.developer_id == developers.c.developer_id)
    counts = database.read(
        sa.select(sa.func.count().label("total"), sa.func.count().filter(has_skill).label("covered")).where(
            developers.c.is_active, has_evidence, ~_is_set_aside(developers)
        )
    ).iloc[0]
    return share(int(counts["covered"]), int(counts["total"]), of_none=1.0)


def _odd_confidences(database: Database, _: Clock) -> Measurement:
    confidence = tables.skill_profiles.c.confidence
    rows = database.read(sa.select(sa.func.count().label("n")).where(sa.not_(confidence.between(0, 1))))
    return Measurement(int(rows["n"].iloc[0]))


def _embedding_coverage(database: Database, _: Clock) -> Measurement:
    skills, embeddings = tables.skills, tables.skill_embeddings
    counts = database.read(
        sa.select(
            sa.func.count().label("total"),
            sa.func.count()
            .filter(sa.exists().where(embeddings.c.skill_id == skills.c.skill_id))
            .label("covered"),
        ).select_from(skills)
    ).iloc[0]
    return share(int(counts["covered"]), int(counts["total"]), of_none=1.0)


def _norm_deviation(table: sa.Table, database: Database, _: Clock) -> Measurement:
    """Largest distance of a vector's length from 1."""
    norm = sa.func.sqrt(-table.c.vector.op("<#>", return_type=sa.Double)(table.c.vector))
    rows = database.read(
        sa.select(sa.func.max(sa.func.abs(norm - 1)).label("worst"), sa.func.count().label("n"))
    )
    worst = rows["worst"].iloc[0]
    return Measurement(float(worst) if worst == worst else 0.0, {"vectors": int(rows["n"].iloc[0])})


def _vector_coverage(database: Database, _: Clock) -> Measurement:
    """Share of developers with repositories that have a vector."""
    repositories, vectors = tables.developer_repositories, tables.developer_vectors
    with_work = sa.select(repositories.c.developer_id).distinct().subquery()
    counts = database.read(
        sa.select(
            sa.func.count().label("total"),
            sa.func.count()
            .filter(sa.exists().where(vectors.c.developer_id == with_work.c.developer_id))
            .label("covered"),
        ).select_from(with_work)
    ).iloc[0]
    return share(int(counts["covered"]), int(counts["total"]), of_none=1.0)


def _graph_coverage(database: Database, _: Clock) -> Measurement:
    """Share of common skills that have an edge; one that most developers have goes with none, and is left out."""
    profiles, edges = tables.skill_profiles, skill_edges
    everyone = sa.select(sa.func.count(profiles.c.developer_id.distinct())).scalar_subquery()
    common = (
        sa.select(profiles.c.skill_id)
        .group_by(profiles.c.skill_id)
        .having(sa.func.count().between(_COMMON_SKILL_DEVELOPERS, everyone / 2))
        .subquery()
    )
    has_edge = sa.exists().where(common.c.skill_id.in_([edges.c.skill_id_a, edges.c.skill_id_b]))
    rows = database.read(sa.select(common.c.skill_id, has_edge.label("covered")))
    without = rows["skill_id"][~rows["covered"].astype(bool)]
    return share(len(rows) - len(without), len(rows), {"skills_without": sorted(without)[:20]}, of_none=1.0)


@dg.asset_check(
    asset=dg.AssetKey("skill_graph_projection"),
    name="counts",
    description="Nodes and edges by which Neo4j differed from Postgres right after the last projection.",
    metadata=static_metadata(thresholds.GRAPH_DIFFERING_ELEMENTS),
)
def _projection_counts(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    # What the run itself counted: counted now, a projection under way would look like a difference.
    told = last_materialization_metadata(context.instance, "skill_graph_projection")
    threshold = holding(database, clock, thresholds.GRAPH_DIFFERING_ELEMENTS)
    if told.get("neo4j") == "off":
        return check_result(threshold, Measurement(0, {"neo4j": "off"}))
    differing = told.get("elements_differing")
    in_neo4j = {name: count for name, count in told.items() if name.endswith("_in_neo4j")}
    return check_result(
        threshold, Measurement(float(differing) if isinstance(differing, int) else None, in_neo4j)
    )


def _gemini_fallback(database: Database, _: Clock) -> Measurement:
    """Share of open projects that the embedding extractor read because Gemini could not."""
    column = tables.requirement_extractions.c.fallback_reason
    rows = database.read(sa.select(column).where(_of_open_project()))[column.name]
    reasons = rows.dropna()
    return share(
        int((reasons != "off").sum()),
        len(rows),
        {"reasons": {str(reason): int(count) for reason, count in reasons.value_counts().items()}},
        of_none=0.0,
    )


def _gemini_agreement(database: Database, _: Clock) -> Measurement:
    """Mean agreement of both readers over open projects; full when Gemini has read none, as when it is off."""
    column = tables.requirement_extractions.c.agreement_ratio
    agreements = database.read(sa.select(column).where(_of_open_project(), column.is_not(None)))[column.name]
    mean = float(agreements.mean()) if len(agreements) else 1.0
    return Measurement(mean, {"projects_compared": len(agreements)})


def _of_open_project() -> sa.ColumnElement[bool]:
    projects = marketplace.projects
    return sa.exists().where(
        projects.c.project_id == tables.requirement_extractions.c.project_id, projects.c.status == "open"
    )


CHECKS = [
    *SKILL_CHECKS,
    *(
        freshness_check(asset)
        for asset in (
            "developer_profiles",
            "skill_embeddings",
            "developer_vectors",
            "project_requirements",
            "project_vectors",
            "skill_graph",
            "skill_graph_projection",
        )
    ),
    table_check(
        asset="skill_graph",
        name="coverage",
        threshold=thresholds.GRAPH_COVERAGE_RATIO,
        description=f"Share of skills that go with another, of those of {_COMMON_SKILL_DEVELOPERS} developers to half of all.",
        measure=_graph_coverage,
    ),
    _projection_counts,
    *text_checks.CHECKS,
    *quarantine_checks("developer_profiles", marketplace.developers),
    *quarantine_checks("project_requirements", marketplace.projects),
    table_check(
        asset="developer_profiles",
        name="profile_age",
        threshold=thresholds.PROFILE_AGE_HOURS,
        description="95th percentile of the hours since a linked developer's profile was last read.",
        measure=_profile_age,
    ),
    table_check(
        asset="developer_profiles",
        name="failed_accounts",
        threshold=thresholds.FAILED_ACCOUNTS_RATIO,
        description="Share of linked accounts that GitHub does not show or that could not be read.",
        measure=_failed_accounts,
    ),
    _planned_freshness,
    table_check(
        asset="developer_profiles",
        name="remaining_quota",
        threshold=thresholds.GITHUB_REMAINING_RATIO,
        description="Share of the hour's GitHub points that is left, over all tokens.",
        measure=_remaining_quota,
    ),
    table_check(
        asset="skill_profiles",
        name="coverage",
        threshold=thresholds.SKILL_COVERAGE_RATIO,
        description="Share of active developers with evidence who have at least one skill.",
        measure=_skill_coverage,
    ),
    table_check(
        asset="skill_profiles",
        name="confidence_range",
        threshold=thresholds.CONFIDENCE_OUT_OF_RANGE_ROWS,
        description="Confidences that are no probabilities.",
        measure=_odd_confidences,
    ),
    table_check(
        asset="skill_embeddings",
        name="coverage",
        threshold=thresholds.EMBEDDING_COVERAGE_RATIO,
        description="Share of skills that have an embedding.",
        measure=_embedding_coverage,
    ),
    *(
        table_check(
            asset=table.name,
            name="unit_length",
            threshold=thresholds.EMBEDDING_NORM_DEVIATION,
            description="Largest distance of a vector's length from 1.",
            measure=partial(_norm_deviation, table),
        )
        for table in (tables.skill_embeddings, tables.developer_vectors, tables.project_vectors)
    ),
    table_check(
        asset="developer_vectors",
        name="coverage",
        threshold=thresholds.VECTOR_COVERAGE_RATIO,
        description="Share of developers with repositories who have a vector.",
        measure=_vector_coverage,
    ),
    table_check(
        asset="project_requirements",
        name="coverage",
        threshold=thresholds.REQUIREMENT_COVERAGE_RATIO,
        description="Share of open projects with at least one requirement.",
        measure=open_project_coverage(tables.project_requirements),
    ),
    table_check(
        asset="project_requirements",
        name="gemini_fallback",
        threshold=thresholds.GEMINI_FALLBACK_RATIO,
        description="Share of open projects that Gemini could not read, off not counted.",
        measure=_gemini_fallback,
    ),
    table_check(
        asset="project_requirements",
        name="gemini_agreement",
        threshold=thresholds.GEMINI_AGREEMENT_RATIO,
        description="Skills that Gemini and the embedding extractor both find, of those that either does.",
        measure=_gemini_agreement,
    ),
    table_check(
        asset="project_vectors",
        name="coverage",
        threshold=thresholds.VECTOR_COVERAGE_RATIO,
        description="Share of open projects that have a vector.",
        measure=open_project_coverage(tables.project_vectors),
    ),
]
