"""Assets around the matches: analytics, tuning, and the health of the service; thin, as in `assets`."""

import dataclasses

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database
from platform_assets.matching import analytics, exposure, plots, tuning, upkeep
from platform_assets.matching.assets import GROUP
from platform_assets.matching.candidates import PLACES
from platform_assets.matching.outcomes import events_until, outcome_grades
from platform_assets.matching.pair_scores import score_known_pairs
from platform_assets.matching.search import SearchFilters, latest_start
from platform_assets.matching.service_health import measure_health
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, read_table, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables import matching_service as service_tables
from platform_assets.tables import platform as tables
from platform_assets.tables.matching import matches


@table_asset(
    service_tables.matching_analytics,
    group=GROUP,
    kinds={"pandas"},
    deps=["matches", "project_requirements", "skill_profiles"],
)
def matching_analytics(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Coverage, scores, the funnel from shown to hired, quality against outcomes, exposure, supply and demand by skill.

    The day's rows are computed whole; those of other days stay.
    """
    inputs = analytics.AnalyticsInputs(
        projects=read_contract(database, marketplace.projects).rows,
        developers=read_contract(database, marketplace.developers).rows,
        contracts=read_contract(database, marketplace.contracts).rows,
        events=read_contract(database, marketplace.match_events).rows,
        matches=read_table(database, matches),
        requirements=read_table(database, tables.project_requirements),
        skill_profiles=read_table(database, tables.skill_profiles),
    )
    frame = analytics.measure(inputs, day=clock.as_of, list_places=PLACES.first)
    table = service_tables.matching_analytics
    counts = database.upsert(table, frame, delete_missing=table.c.day == clock.as_of)
    available = analytics.available_developers(inputs.developers, clock.as_of)
    first_places = inputs.matches[inputs.matches["rank"] <= analytics.FIRST_PLACES]
    skills = read_table(database, tables.skills)
    picture = plots.overview(
        frame,
        scores=inputs.matches["score"].to_numpy(dtype=float),
        exposure=exposure.exposures(first_places, available),
        skill_names=dict(zip(skills["skill_id"], skills["name"])),
    )
    return written(
        database,
        table,
        counts,
        as_of=clock.as_of,
        overview=dg.MetadataValue.md(picture),
        **analytics.headline(frame),
    )


@table_asset(
    service_tables.matching_tuning,
    group=GROUP,
    kinds={"scipy"},
    deps=["matches"],
)
def matching_tuning(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Learns the score's weights from outcomes, sets the effort of the search, and vacuums, analyzes or reindexes.

    Weights are put to use, from the next day on, only when they are better on projects that they were not learned from.
    """
    weights = tuning.current_weights(database, clock.as_of)
    events = events_until(read_contract(database, marketplace.match_events).rows, clock.as_of)
    grades = outcome_grades(events)
    scored = score_known_pairs(database, grades, as_of=clock.as_of, weights=weights)
    trial = tuning.try_weights(scored, grades, weights, seed=clock.as_of.isoformat())
    tuning.write_weights(database, trial, as_of=clock.as_of)
    filters = SearchFilters(available_by=latest_start(None, clock.as_of))
    decisions = [
        upkeep.Decision("weights", "match score", trial.decision, trial.reason, trial.numbers),
        upkeep.tune_search(database, filters, seed=clock.as_of.isoformat()),
        *upkeep.keep_up(database),
    ]
    table = service_tables.matching_tuning
    now = clock.read()
    with database.transaction() as connection:
        connection.execute(
            sa.insert(table), [{"decided_at": now, **dataclasses.asdict(each)} for each in decisions]
        )
    return measured(
        database,
        table,
        len(decisions),
        weights_decision=f"{trial.decision}: {trial.reason}",
        **{name: value for name, value in trial.numbers.items() if isinstance(value, int | float)},
        changes_count=sum(decision.decision != "kept" for decision in decisions),
        decisions=dg.MetadataValue.md(_as_table(decisions)),
    )


def _as_table(decisions: list[upkeep.Decision]) -> str:
    lines = ["| topic | subject | decision | why |", "|---|---|---|---|"]
    lines += [f"| {each.topic} | {each.subject} | {each.decision} | {each.reason} |" for each in decisions]
    return "\n".join(lines)


@table_asset(
    service_tables.matching_service_health,
    group=GROUP,
    kinds={"postgres"},
    deps=["matches"],
)
def matching_service_health(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Asks for pages of matches and searches as the application would, and compares the searches with exact ones.

    A query that fails or is slow is part of the measurement.
    """
    now = clock.read()
    health = measure_health(database, now=now, as_of=clock.as_of)
    if health.failure is not None:
        context.log.warning("A query of the application fails: %s", health.failure)
    table = service_tables.matching_service_health
    with database.transaction() as connection:
        connection.execute(sa.insert(table).values(measured_at=now, **health.numbers()))
    return measured(database, table, 1, **health.numbers())


ASSETS = [matching_analytics, matching_tuning, matching_service_health]
