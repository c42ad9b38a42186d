"""The assets that place skills, developers and projects in the embedding space: only what changed, all of it once a day."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database, WriteCounts, are_among, is_not_among
from platform_assets.clients.embedder import Embedder, text_sha256
from platform_assets.profiles import vectors
from platform_assets.profiles.embedder_calls import recorded_calls
from platform_assets.profiles.embedding_audit import audited_texts, was_audited
from platform_assets.profiles.embeddings import EmbeddedTexts, embed_texts
from platform_assets.profiles.extraction import label_text
from platform_assets.profiles.graph_projection import RECONCILE_TAG
from platform_assets.profiles.placed_projects import placed_projects
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables

GROUP = "profiles"


class _Placing:
    """One run of an asset that embeds texts: of what changed, or of everything, verified, once a day and the first time."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        database: Database,
        embedder: Embedder,
        clock: Clock,
        table: sa.Table,
    ) -> None:
        self._database, self._embedder, self._clock, self._table = database, embedder, clock, table
        self.is_audit = RECONCILE_TAG in context.run.tags or not was_audited(
            database, table.name, embedder.model_name
        )
        self.texts_computed = 0

    def stored(self) -> pd.DataFrame:
        """The table's rows without their vectors."""
        columns = [column for column in self._table.columns if column.name not in ("vector", "updated_at")]
        return self._database.read(sa.select(*columns))

    def is_due(self, inputs: pd.DataFrame, key: list[str]) -> npt.NDArray[np.bool_]:
        """Which rows are to be made."""
        if self.is_audit:
            return np.ones(len(inputs), dtype=np.bool_)
        return vectors.changed_rows(inputs, self.stored(), key)

    def embed(self, texts: Iterable[str]) -> dict[str, vectors.Vector]:
        """Text → unit vector."""
        distinct = sorted(set(texts))
        with recorded_calls(self._database, self._embedder, purpose=self._table.name):
            embedded = self._embed(distinct)
        self.texts_computed += embedded.computed_count
        return dict(zip(distinct, embedded.vectors))

    def _embed(self, texts: list[str]) -> EmbeddedTexts:
        if not self.is_audit:
            return embed_texts(self._database, self._embedder, texts)
        return audited_texts(
            self._database,
            self._embedder,
            texts,
            asset=self._table.name,
            as_of=self._clock.as_of,
            audited_at=self._clock.read(),
        )

    def told(self) -> dict[str, Any]:
        """What was computed, for the result."""
        return {"texts_computed": self.texts_computed, "is_verified": self.is_audit}


@table_asset(
    tables.skill_embeddings,
    group=GROUP,
    kinds={"huggingface"},
    deps=["skill_profiles"],
)
def skill_embeddings(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """The skill's name, embedded by the packaged all-MiniLM-L6-v2; each distinct text is computed once.

    The daily run verifies every vector, and a random sample against fresh ones.
    """
    table = tables.skill_embeddings
    placing = _Placing(context, database, embedder, clock, table)
    known = read_table(database, tables.skills)
    texts = known["name"].map(label_text)
    inputs = pd.DataFrame(
        {
            "skill_id": known["skill_id"],
            "model": embedder.model_name,
            "text_sha256": [text_sha256(text) for text in texts],
        }
    )
    due = placing.is_due(inputs, ["skill_id"])
    vector_of = placing.embed(texts[due])
    counts = database.upsert(
        table,
        inputs[due].assign(vector=pd.Series(texts[due]).map(vector_of)),
        delete_missing=is_not_among(table.c.skill_id, list(known["skill_id"])),
    )
    return written(database, table, counts, **placing.told())


def read_skill_vectors(database: Database, model: str) -> dict[str, vectors.Vector]:
    """Skill id → unit vector by a model."""
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
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Made of texts, and of skills weighted by confidence.

    A side of a developer's work is a repository, or what they say of themselves. The daily run verifies every vector.
    """
    table = tables.developer_vectors
    placing = _Placing(context, database, embedder, clock, table)
    developers = read_contract(database, marketplace.developers)
    facets = vectors.developer_facets(developers.rows, read_table(database, tables.developer_repositories))
    profiles = read_table(database, tables.skill_profiles)
    skill_vectors = read_skill_vectors(database, embedder.model_name)
    inputs = vectors.facet_inputs(facets, profiles, skill_vectors, model=embedder.model_name)
    due = [
        facet for facet, is_due in zip(facets, placing.is_due(inputs, ["developer_id", "facet"])) if is_due
    ]
    frame = vectors.developer_vectors(
        due,
        placing.embed(facet.text for facet in due),
        profiles,
        skill_vectors,
        model=embedder.model_name,
    )
    counts = _delete_facets(database, placing.stored(), facets, set_aside=developers.set_aside_keys)
    counts += database.upsert(table, frame)
    return written(
        database,
        table,
        counts,
        developers_count=len({facet.developer_id for facet in facets}),
        **placing.told(),
    )


def _delete_facets(
    database: Database,
    stored: pd.DataFrame,
    facets: Iterable[vectors.Facet],
    *,
    set_aside: frozenset[str],
) -> WriteCounts:
    """Delete what is no side of anybody's work any more; what is known of those who are set aside stays."""
    table = tables.developer_vectors
    present = {(facet.developer_id, facet.name) for facet in facets}
    gone = [
        key
        for key in zip(stored["developer_id"], stored["facet"])
        if key not in present and key[0] not in set_aside
    ]
    with database.transaction() as connection:
        is_gone = are_among([table.c.developer_id, table.c.facet], gone)
        return WriteCounts(deleted=connection.execute(sa.delete(table).where(is_gone)).rowcount)


@table_asset(
    tables.project_vectors,
    group=GROUP,
    kinds={"huggingface"},
    deps=["project_requirements"],
)
def project_vectors(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Title and the beginning of the description of projects, without markup, embedded.

    Of open ones, and of closed ones whose clients have looked at developers, from which the match score learns. The daily
    run verifies every vector.
    """
    table = tables.project_vectors
    placing = _Placing(context, database, embedder, clock, table)
    projects = read_contract(database, marketplace.projects)
    rows = placed_projects(database, projects.rows)
    inputs = vectors.project_inputs(rows, model=embedder.model_name)
    due = inputs[placing.is_due(inputs, ["project_id"])]
    frame = vectors.project_vectors(
        rows[rows["project_id"].isin(due["project_id"])],
        placing.embed(due["text"]),
        model=embedder.model_name,
    )
    kept = projects.set_aside_keys.union(inputs["project_id"])
    counts = database.upsert(table, frame, delete_missing=is_not_among(table.c.project_id, list(kept)))
    return written(database, table, counts, **placing.told())


ASSETS = [skill_embeddings, developer_vectors, project_vectors]
