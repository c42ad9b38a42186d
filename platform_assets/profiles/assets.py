"""The profile assets: accounts, what projects ask for, the skill graph; and the list of all of the domain.

Skills are in `skill_assets`, texts in `text_assets`, vectors in `vector_assets`. Thin Dagster functions that read, call
pure functions, write, and say what changed.
"""

from dataclasses import asdict
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import ContractRead, read_contract
from platform_assets.clients.database import Database, WriteCounts, is_among, is_not_among
from platform_assets.clients.embedder import Embedder
from platform_assets.clients.gemini import GeminiClient
from platform_assets.clients.github import GithubClient
from platform_assets.clients.graph import GraphClient
from platform_assets.profiles import (
    accuracy,
    cache_assets,
    requirements,
    skill_assets,
    text_assets,
    vector_assets,
)
from platform_assets.profiles.embedder_calls import recorded_calls
from platform_assets.profiles.gemini_answers import read_texts
from platform_assets.profiles.graph_projection import RECONCILE_TAG, project
from platform_assets.profiles.refresh import developers_in_demand, refresh_profiles
from platform_assets.profiles.skill_graph import skill_edges
from platform_assets.profiles.text_assets import GROUP
from platform_assets.profiles.vector_assets import read_skill_vectors
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.profiles.vocabulary_store import read_vocabulary
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables
from platform_assets.tables import skill_graph as graph_tables
from platform_assets.tables.github_accounts import github_accounts
from platform_assets.tables.skill_texts import labelled_samples
from platform_assets.tables.text_measurements import extraction_accuracy

OPEN = "open"


def _gone(table: sa.Table, read: ContractRead) -> sa.ColumnElement[bool]:
    """Rows whose developer or project is no longer in the marketplace; one that is set aside is not gone."""
    return is_not_among(next(iter(table.primary_key.columns)), read.present_keys)


def _delete_gone(database: Database, read: ContractRead, *of: sa.Table) -> WriteCounts:
    with database.transaction() as connection:
        deleted = [connection.execute(sa.delete(table).where(_gone(table, read))).rowcount for table in of]
    return WriteCounts(deleted=sum(deleted))


def _replaceable(table: sa.Table, read: ContractRead) -> sa.ColumnElement[bool]:
    """Rows that a full recomputation may delete: all but those of developers or projects that are set aside."""
    return is_not_among(next(iter(table.primary_key.columns)), read.set_aside_keys)


@table_asset(
    tables.developer_profiles,
    group=GROUP,
    kinds={"github"},
)
def developer_profiles(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    github: dg.ResourceParam[GithubClient | None],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """New and changed accounts are read from GitHub by GraphQL; a failed read keeps what was known.

    Known ones are looked at once a day, a hundred for a point of the hour's budget, four fifths of which may be spent, the
    most needed first. Own work by repository goes to `platform.developer_repositories`.
    """
    developers = read_contract(database, marketplace.developers)
    deleted = _delete_gone(
        database, developers, tables.developer_repositories, tables.developer_profiles, github_accounts
    )
    if github is None:
        context.log.warning("GitHub is switched off: nothing is read, what is known stays.")
    done = refresh_profiles(
        database,
        github,
        developers.rows,
        known=read_table(database, tables.developer_profiles),
        known_accounts=read_table(database, github_accounts),
        wanted_ids=developers_in_demand(database),
        read_clock=clock.read,
        tell=partial(context.log.info, "%d of %d accounts read"),
    )
    if done.accounts_deferred:
        context.log.warning(
            "%d accounts wait for the next hour; the most needed came first.", done.accounts_deferred
        )
    return written(database, tables.developer_profiles, deleted + done.counts, **done.numbers())


@table_asset(
    tables.project_requirements,
    group=GROUP,
    kinds={"gemini", "huggingface"},
    deps=["skill_embeddings"],
)
def project_requirements(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    gemini: dg.ResourceParam[GeminiClient | None],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """What the client declared, and what title and description ask for according to Gemini.

    Of an answer only skills count that the text bears out. Where Gemini is off, over budget or failing, it is what the
    text names by spelling or resembles by embedding; Gemini reads it as soon as it can. Only open projects whose text
    or vocabulary changed are read again.
    """
    projects = read_contract(database, marketplace.projects)
    deleted = _delete_gone(database, projects, tables.requirement_extractions, tables.project_requirements)
    vocabulary = read_vocabulary(database)
    texts = requirements.project_inputs(
        projects.rows[projects.rows["status"] == OPEN], vocabulary, model=embedder.model_name
    )
    known = read_table(database, tables.requirement_extractions)
    extractor = requirements.gemini_extractor(gemini.model) if gemini else None
    due = requirements.due_inputs(texts, known, extractor=extractor)
    reading = read_texts(
        database, gemini, list(due["text"]), purpose=tables.project_requirements.name, now=clock.read
    )
    if reading.failure:
        context.log.warning("The embedding extractor stands in where Gemini failed: %s", reading.failure)
    computed_before = embedder.texts_computed_count
    skill_vectors = read_skill_vectors(database, embedder.model_name)
    with recorded_calls(database, embedder, purpose=tables.project_requirements.name):
        found = requirements.extract_projects(
            due, known, reading, vocabulary, skill_vectors, embedder, extractor=extractor
        )
    with database.transaction() as connection:
        counts = deleted + database.upsert(
            tables.project_requirements,
            found.requirements,
            delete_missing=is_among(tables.project_requirements.c.project_id, found.read_project_ids),
            connection=connection,
        )
        database.upsert(tables.requirement_extractions, found.extractions, connection=connection)
    told = _measure_accuracy(database, gemini, embedder, vocabulary, clock)
    if reading.failure is not None:
        told["gemini_failure"] = reading.failure
    if found.agreement_ratio is not None:
        told["gemini_agreement_ratio"] = found.agreement_ratio
    return written(
        database,
        tables.project_requirements,
        counts,
        projects_open=len(texts),
        projects_read=len(found.read_project_ids),
        projects_read_by_gemini=found.gemini_projects_count,
        projects_without_gemini=int(due["text"].isin(list(reading.reasons)).sum()),
        texts_computed=embedder.texts_computed_count - computed_before,
        gemini_calls=sum(reading.calls.values()),
        gemini_calls_without_answer=sum(count for name, count in reading.calls.items() if name != "ok"),
        gemini_answers_kept=reading.kept_count,
        gemini_tokens=reading.tokens_count,
        gemini_skills_rejected=found.rejected_count,
        **told,
    )


def _measure_accuracy(
    database: Database,
    gemini: GeminiClient | None,
    embedder: Embedder,
    vocabulary: Vocabulary,
    clock: Clock,
) -> dict[str, Any]:
    """Measure the extractor in use on the labelled samples where there are any, and tell what came out."""
    samples = read_table(database, labelled_samples)
    inputs = accuracy.sample_inputs(samples)
    extractor = requirements.gemini_extractor(gemini.model) if gemini else requirements.EXTRACTOR
    sha256 = accuracy.samples_sha256(samples, vocabulary, extractor=extractor)
    rows = database.read(
        sa.select(extraction_accuracy).order_by(extraction_accuracy.c.measurement_id.desc()).limit(1)
    )
    latest = None if rows.empty else rows.iloc[0].to_dict()
    if inputs.empty or not accuracy.wants_measuring(sha256, latest, extractor=extractor, now=clock.read()):
        return {}
    reading = read_texts(
        database, gemini, list(inputs["text"]), purpose=extraction_accuracy.name, now=clock.read
    )
    found = requirements.extract_projects(
        inputs,
        pd.DataFrame(columns=requirements.EXTRACTION_COLUMNS),
        reading,
        vocabulary,
        read_skill_vectors(database, embedder.model_name),
        embedder,
        extractor=extractor,
    )
    used = set(found.extractions["extractor"])
    measured = accuracy.measure_accuracy(samples, found.requirements, vocabulary)
    with database.transaction() as connection:
        connection.execute(
            sa.insert(extraction_accuracy),
            {
                "measured_at": clock.read(),
                "extractor": used.pop() if len(used) == 1 else "mixed",
                "inputs_sha256": sha256,
                **asdict(measured),
            },
        )
    return {"samples_measured": measured.samples_count}


@table_asset(
    graph_tables.skill_edges,
    name="skill_graph",
    group=GROUP,
    kinds={"pandas"},
    deps=["skill_profiles"],
)
def skill_graph(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Developers' skills, weighted by confidence, are compared with what chance would give; common skills don't swamp.

    Each skill keeps its strongest neighbours alone.
    """
    profiles = read_table(database, tables.skill_profiles)
    frame = skill_edges(profiles, as_of=clock.as_of)
    counts = database.upsert(graph_tables.skill_edges, frame, delete_missing=True)
    degrees = pd.concat([frame["skill_id_a"], frame["skill_id_b"]]).value_counts()
    return written(
        database,
        graph_tables.skill_edges,
        counts,
        as_of=clock.as_of,
        skills_count=int(profiles["skill_id"].nunique()),
        skills_connected=len(degrees),
        largest_degree=int(degrees.max()) if len(degrees) else 0,
        mean_weight=float(frame["weight"].mean()) if len(frame) else 0.0,
    )


@table_asset(
    graph_tables.skill_graph_projection,
    group=GROUP,
    kinds={"neo4j"},
    deps=["skill_profiles", "skill_graph"],
)
def skill_graph_projection(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    graph: dg.ResourceParam[GraphClient | None],
) -> dg.MaterializeResult[None]:
    """Skills, developers and their edges go to Neo4j, only what changed; the daily run compares with what is there.

    Without Neo4j nothing is projected, and nothing else changes.
    """
    table = graph_tables.skill_graph_projection
    if graph is None:
        context.log.info("Neo4j is off (PLATFORM_NEO4J_URI): the skill graph stays in Postgres alone.")
        return written(database, table, WriteCounts(), neo4j="off")
    done = project(
        database,
        graph,
        reconcile=RECONCILE_TAG in context.run.tags,
        progress=lambda batch: context.log.info(
            "%s %d × %s", batch.action, len(batch.elements), batch.kind.name
        ),
    )
    return written(
        database,
        table,
        done.counts,
        as_of=None,
        neo4j="on",
        **done.numbers(),
    )


ASSETS = [
    developer_profiles,
    *text_assets.ASSETS,
    *skill_assets.ASSETS,
    *vector_assets.ASSETS,
    project_requirements,
    skill_graph,
    skill_graph_projection,
    *cache_assets.ASSETS,
]
