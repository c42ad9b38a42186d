"""The asset that sweeps the API and model caches, and what of them is in use."""

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database
from platform_assets.clients.embedder import Embedder, text_sha256
from platform_assets.clients.gemini import DEVELOPER_PROMPT, PROJECT_PROMPT, GeminiClient, sent_text
from platform_assets.profiles import caches, vectors
from platform_assets.profiles.extraction import label_text
from platform_assets.profiles.placed_projects import OPEN, placed_projects
from platform_assets.profiles.readmes import own_repositories
from platform_assets.profiles.requirements import project_texts
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, read_table, table_asset
from platform_assets.tables import marketplace, skill_texts
from platform_assets.tables import platform as tables
from platform_assets.tables.github_accounts import github_accounts
from platform_assets.tables.text_measurements import cache_sweeps


@table_asset(
    cache_sweeps,
    name="cache_cleanup",
    group="profiles",
    kinds={"gemini", "github", "huggingface"},
    deps=["developer_text_skills", "project_requirements", "developer_vectors", "project_vectors"],
)
def cache_cleanup(
    database: dg.ResourceParam[Database],
    gemini: dg.ResourceParam[GeminiClient | None],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Answers, embeddings and READMEs that nothing uses any more go by age, and by size the oldest first.

    What the present developers, projects and skills are read from is never deleted.
    """
    now = clock.read()
    done = [
        caches.sweep(database, caches.AI_ANSWERS, _answers_in_use(database, gemini), now=now),
        caches.sweep(database, caches.TEXT_EMBEDDINGS, _embeddings_in_use(database, embedder), now=now),
        caches.sweep(database, caches.README_TEXTS, _readmes_in_use(database), now=now),
    ]
    return measured(
        database,
        cache_sweeps,
        len(done),
        rows_freed=sum(each.rows_expired + each.rows_evicted for each in done),
        bytes_freed=sum(each.bytes_freed for each in done),
        bytes_kept=sum(each.bytes_kept for each in done),
        bytes_on_disk=sum(each.bytes_on_disk for each in done),
    )


def _answers_in_use(database: Database, gemini: GeminiClient | None) -> set[tuple[str, ...]]:
    """Keys of answers on present texts. Those of a row that is set aside are in use too; off, so is any model's."""
    projects = read_contract(database, marketplace.projects)
    open_rows = projects.rows[projects.rows["status"] == OPEN]
    samples = read_table(database, skill_texts.labelled_samples)
    readings = read_table(database, skill_texts.developer_text_readings)
    of_projects = {text_sha256(sent_text(text)) for text in [*project_texts(open_rows), *samples["text"]]}
    of_developers = set(readings["text_sha256"])
    answers = database.read(sa.select(*tables.ai_answers.primary_key.columns))
    return {
        (model, version, sha)
        for model, version, sha in answers.itertuples(index=False, name=None)
        if (gemini is None or model == gemini.model)
        and (
            (version == PROJECT_PROMPT.version and sha in of_projects)
            or (version == DEVELOPER_PROMPT.version and sha in of_developers)
        )
    }


def _embeddings_in_use(database: Database, embedder: Embedder) -> set[tuple[str, ...]]:
    """Keys of the present model's vectors of skills, sides of developers' work, and projects that have one."""
    developers = read_contract(database, marketplace.developers)
    projects = read_contract(database, marketplace.projects)
    facets = vectors.developer_facets(developers.rows, read_table(database, tables.developer_repositories))
    of_projects = vectors.project_inputs(placed_projects(database, projects.rows), model=embedder.model_name)
    texts = {
        *read_table(database, tables.skills)["name"].map(label_text),
        *(facet.text for facet in facets),
        *of_projects["text"],
    }
    return {(embedder.model_name, text_sha256(text)) for text in texts}


def _readmes_in_use(database: Database) -> set[tuple[str, ...]]:
    own = own_repositories(
        read_table(database, tables.developer_repositories), read_table(database, github_accounts)
    )
    return {(repository,) for repository in own["repository"]}


ASSETS = [cache_cleanup]
