"""The profile assets: thin Dagster functions that read, call pure functions, write, and say what changed."""

from functools import partial
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import ContractRead, read_contract
from platform_assets.clients.database import Database, WriteCounts, is_among, is_not_among
from platform_assets.clients.embedder import Embedder, text_sha256
from platform_assets.clients.gemini import GeminiClient
from platform_assets.clients.github import GithubClient
from platform_assets.clients.graph import GraphClient
from platform_assets.profiles import requirements, skills, vectors
from platform_assets.profiles.embeddings import embed_texts
from platform_assets.profiles.extraction import label_text
from platform_assets.profiles.gemini_answers import read_texts
from platform_assets.profiles.graph_projection import RECONCILE_TAG, project
from platform_assets.profiles.refresh import developers_in_demand, refresh_profiles
from platform_assets.profiles.skill_graph import skill_edges
from platform_assets.profiles.vocabulary import Vocabulary, vocabulary_from_frames
from platform_assets.profiles.vocabulary_growth import grow_vocabulary
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables
from platform_assets.tables import skill_graph as graph_tables
from platform_assets.tables.github_accounts import github_accounts

GROUP = "profiles"

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


def _read_vocabulary(database: Database) -> Vocabulary:
    return vocabulary_from_frames(
        read_table(database, tables.skills), read_table(database, tables.skill_aliases)
    )


@table_asset(
    tables.skill_profiles,
    group=GROUP,
    kinds={"pandas"},
    deps=["developer_profiles"],
)
def skill_profiles(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Own commits, declared skills, the bio and past contracts are weighed into one calibrated confidence.

    New names met on the way join the vocabulary in `platform.skills`.
    """
    developers = read_contract(database, marketplace.developers)
    contracts = read_contract(database, marketplace.contracts).rows
    projects = read_contract(database, marketplace.projects).rows
    repositories = read_table(database, tables.developer_repositories)
    grown = grow_vocabulary(
        _read_vocabulary(database),
        repositories,
        [*developers.rows["declared_skills"], *projects["declared_skills"], *contracts["skills_used"]],
    )
    with database.transaction() as connection:
        grown_counts = database.upsert(tables.skills, grown.skills, connection=connection) + database.upsert(
            tables.skill_aliases, grown.aliases, connection=connection
        )
    frame = skills.skill_profiles(
        repositories, developers.rows, contracts, _read_vocabulary(database), as_of=clock.as_of
    )
    counts = database.upsert(
        tables.skill_profiles,
        frame,
        delete_missing=_replaceable(tables.skill_profiles, developers),
        quarantine_as="skill_profiles",
    )
    return written(
        database,
        tables.skill_profiles,
        counts,
        as_of=clock.as_of,
        developers_count=int(frame["developer_id"].nunique()),
        mean_confidence=float(frame["confidence"].mean()) if len(frame) else 0.0,
        vocabulary_rows_written=grown_counts.written,
    )


@table_asset(
    tables.skill_embeddings,
    group=GROUP,
    kinds={"huggingface"},
    deps=["skill_profiles"],
)
def skill_embeddings(
    database: dg.ResourceParam[Database], embedder: dg.ResourceParam[Embedder]
) -> dg.MaterializeResult[None]:
    """The skill's name, embedded by the packaged all-MiniLM-L6-v2; each distinct text is computed once."""
    known = read_table(database, tables.skills)
    texts = [label_text(name) for name in known["name"]]
    embedded = embed_texts(database, embedder, texts)
    frame = pd.DataFrame(
        {
            "skill_id": known["skill_id"],
            "model": embedder.model_name,
            "text_sha256": [text_sha256(text) for text in texts],
            "vector": list(embedded.vectors),
        }
    )
    counts = database.upsert(tables.skill_embeddings, frame, delete_missing=True)
    return written(database, tables.skill_embeddings, counts, texts_computed=embedded.computed_count)


def _skill_vectors(database: Database, model: str) -> dict[str, vectors.Vector]:
    table = tables.skill_embeddings
    ids, matrix = database.read_vectors(
        sa.select(table.c.skill_id, table.c.vector).where(table.c.model == model)
    )
    return dict(zip(ids, matrix))


@table_asset(
    tables.developer_vectors,
    group=GROUP,
    kinds={"huggingface", "numpy"},
    deps=["developer_profiles", "skill_profiles", "skill_embeddings"],
)
def developer_vectors(
    database: dg.ResourceParam[Database], embedder: dg.ResourceParam[Embedder]
) -> dg.MaterializeResult[None]:
    """Made of texts, and of skills weighted by confidence.

    A side of a developer's work is a repository, or what they say of themselves.
    """
    developers = read_contract(database, marketplace.developers)
    facets = vectors.developer_facets(developers.rows, read_table(database, tables.developer_repositories))
    texts = sorted({facet.text for facet in facets})
    embedded = embed_texts(database, embedder, texts)
    frame = vectors.developer_vectors(
        facets,
        dict(zip(texts, embedded.vectors)),
        read_table(database, tables.skill_profiles),
        _skill_vectors(database, embedder.model_name),
        model=embedder.model_name,
    )
    counts = database.upsert(
        tables.developer_vectors, frame, delete_missing=_replaceable(tables.developer_vectors, developers)
    )
    return written(
        database,
        tables.developer_vectors,
        counts,
        developers_count=int(frame["developer_id"].nunique()),
        texts_computed=embedded.computed_count,
    )


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
    vocabulary = _read_vocabulary(database)
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
    found = requirements.extract_projects(
        due,
        known,
        reading,
        vocabulary,
        _skill_vectors(database, embedder.model_name),
        embedder,
        extractor=extractor,
    )
    with database.transaction() as connection:
        counts = deleted + database.upsert(
            tables.project_requirements,
            found.requirements,
            delete_missing=is_among(tables.project_requirements.c.project_id, found.read_project_ids),
            connection=connection,
        )
        database.upsert(tables.requirement_extractions, found.extractions, connection=connection)
    told: dict[str, Any] = {}
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


@table_asset(
    tables.project_vectors,
    group=GROUP,
    kinds={"huggingface"},
    deps=["project_requirements"],
)
def project_vectors(
    database: dg.ResourceParam[Database], embedder: dg.ResourceParam[Embedder]
) -> dg.MaterializeResult[None]:
    """Title and the beginning of the description of open projects, without markup, embedded."""
    projects = read_contract(database, marketplace.projects)
    rows = projects.rows[projects.rows["status"] == OPEN]
    texts = sorted(
        {vectors.project_text(title, text) for title, text in zip(rows["title"], rows["description"])} - {""}
    )
    embedded = embed_texts(database, embedder, texts)
    frame = vectors.project_vectors(rows, dict(zip(texts, embedded.vectors)), model=embedder.model_name)
    counts = database.upsert(
        tables.project_vectors, frame, delete_missing=_replaceable(tables.project_vectors, projects)
    )
    return written(database, tables.project_vectors, counts, texts_computed=embedded.computed_count)


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
    skill_profiles,
    skill_embeddings,
    developer_vectors,
    project_requirements,
    project_vectors,
    skill_graph,
    skill_graph_projection,
]
