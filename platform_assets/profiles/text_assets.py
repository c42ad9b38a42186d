"""The asset of skills that developers' own texts show. What their repositories show is `skill_assets`."""

from functools import partial
from typing import Any

import dagster as dg

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database
from platform_assets.clients.embedder import Embedder
from platform_assets.clients.gemini import GeminiClient
from platform_assets.clients.github import GithubClient
from platform_assets.profiles.developer_texts import developer_texts
from platform_assets.profiles.embedder_calls import recorded_calls
from platform_assets.profiles.readmes import own_repositories, refresh_readmes
from platform_assets.profiles.text_refresh import refresh_text_skills
from platform_assets.profiles.vocabulary_store import refresh_vocabulary
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import marketplace, skill_texts
from platform_assets.tables import platform as tables
from platform_assets.tables.github_accounts import github_accounts

GROUP = "profiles"


@table_asset(
    skill_texts.developer_text_skills,
    group=GROUP,
    kinds={"github", "gemini", "huggingface"},
    deps=["developer_profiles"],
)
def developer_text_skills(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    github: dg.ResourceParam[GithubClient | None],
    gemini: dg.ResourceParam[GeminiClient | None],
    embedder: dg.ResourceParam[Embedder],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """READMEs are those of the developer's own repositories, no forks, with own commits; read when there is new work.

    Gemini reads each text once, within its share of the day's tokens, and of an answer only skills count that the text
    bears out. Where it is off, over budget or failing, it is what the text spells or its first sentences mean.
    """
    developers = read_contract(database, marketplace.developers)
    contracts = read_contract(database, marketplace.contracts).rows
    projects = read_contract(database, marketplace.projects).rows
    repositories = read_table(database, tables.developer_repositories)
    vocabulary = refresh_vocabulary(
        database,
        repositories,
        [*developers.rows["declared_skills"], *projects["declared_skills"], *contracts["skills_used"]],
    )
    profiles = read_table(database, tables.developer_profiles)
    own = own_repositories(repositories, read_table(database, github_accounts))
    readmes = refresh_readmes(
        database,
        github,
        own,
        known=read_table(database, skill_texts.readme_texts),
        read_clock=clock.read,
    )
    if readmes.failure:
        context.log.warning("READMEs that were not read wait for the next run: %s", readmes.failure)
    texts = developer_texts(
        developers.rows,
        profiles,
        own,
        read_table(database, skill_texts.readme_texts),
        vocabulary,
        model=embedder.model_name,
    )
    computed_before = embedder.texts_computed_count
    with recorded_calls(database, embedder, purpose=skill_texts.developer_text_skills.name):
        done = refresh_text_skills(
            database,
            gemini,
            embedder,
            texts,
            vocabulary,
            known=read_table(database, skill_texts.developer_text_readings),
            set_aside=developers.set_aside_keys,
            purpose=skill_texts.developer_text_skills.name,
            now=clock.read,
            tell=partial(context.log.info, "%d of %d texts read"),
        )
    told: dict[str, Any] = {}
    if readmes.failure is not None:
        told["github_failure"] = readmes.failure
    if done.reading.failure is not None:
        context.log.warning("The embedding extractor stands in where Gemini failed: %s", done.reading.failure)
        told["gemini_failure"] = done.reading.failure
    return written(
        database,
        skill_texts.developer_text_skills,
        readmes.counts + done.counts,
        texts_known=len(texts),
        texts_read=done.read_count,
        texts_read_by_gemini=done.gemini_count,
        texts_waiting_for_gemini=sum(done.reasons.values()),
        texts_computed=embedder.texts_computed_count - computed_before,
        readmes_due=readmes.due_count,
        readmes_asked_for=readmes.asked_count,
        gemini_calls=sum(done.reading.calls.values()),
        gemini_answers_kept=done.reading.kept_count,
        gemini_tokens=done.reading.tokens_count,
        gemini_skills_rejected=done.rejected_count,
        **told,
    )


ASSETS = [developer_text_skills]
