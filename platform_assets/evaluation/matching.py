"""Match quality on real contributions: who is ranked for a project when all traces of their work on it are hidden.

The protocol belongs here; features, vectors and scores are the product's own, and so are the measures.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.clients.embedder import Embedder
from platform_assets.evaluation.measures import ndcg_at, recall_at, reciprocal_rank
from platform_assets.matching.features import (
    DeveloperFeatures,
    ProjectFeatures,
    developer_features,
    project_features,
)
from platform_assets.matching.scoring import DEFAULT_WEIGHTS, Weights
from platform_assets.matching.top_k import rank_candidates
from platform_assets.profiles.skills import skill_profiles
from platform_assets.profiles.vectors import (
    developer_facets,
    developer_vectors,
    project_text,
    project_vectors,
)
from platform_assets.profiles.vocabulary import Vocabulary, packaged_vocabulary, skill_slug
from platform_assets.sandbox.gitmatch import read_contributions, read_projects, read_qrels

NDCG_DEPTH = 10
RECALL_DEPTH = 100
MEASURES = (f"ndcg@{NDCG_DEPTH}", "mrr", f"recall@{RECALL_DEPTH}")


@dataclass(frozen=True)
class Marketplace:
    """A data folder in the shape of the product's tables.

    Attributes:
        repositories: Rows like those of `platform.developer_repositories`.
        vectors: Rows of `platform.developer_vectors`, at most one per row of `repositories`.
        skill_profiles: Rows of `platform.skill_profiles`, from all rows of `repositories`.
        projects: The query projects, by id.
        language_skills: Language → skill id.
        as_of: The day of the latest contribution.
    """

    repositories: pd.DataFrame
    vectors: pd.DataFrame
    skill_profiles: pd.DataFrame
    projects: Mapping[str, ProjectFeatures]
    language_skills: Mapping[str, str]
    as_of: dt.date


def evaluate_matching(
    folder: Path, run_path: Path | None = None, *, weights: Weights = DEFAULT_WEIGHTS
) -> dict[str, Any]:
    """Rank the developers of a folder for each of its projects, and measure the rankings.

    Args:
        folder: `contributions.jsonl.gz`, `projects.jsonl` and, where there are labels, `qrels.csv`.
        run_path: Where to write the rankings as CSV `query,rank,item,score`; None writes nothing.
        weights: What the terms of the score are worth.

    Returns:
        `queries`: projects with a relevant developer in their pool, 0 without labels; the means of `ndcg@10`, `mrr`
        and `recall@100` over them; `per_query`: project → the same measures. A measure is None where it has no
        meaning: without labels, or with no relevant developer in the pool.
    """
    marketplace = read_marketplace(folder)
    rankings = {project: rank_pool(marketplace, project, weights=weights) for project in marketplace.projects}
    if run_path is not None:
        write_run(rankings, run_path)
    grades = _grades(read_qrels(folder)) if (folder / "qrels.csv").exists() else {}
    return summarize(rankings, grades)


def read_marketplace(folder: Path) -> Marketplace:
    """Read a folder and embed its texts."""
    contributions = read_contributions(folder)
    projects = read_projects(folder)
    as_of = max(contributions["last"])
    repositories = repositories_from(contributions, projects, as_of=as_of)
    language_skills = _language_skills(contributions, projects, packaged_vocabulary())
    postings = pd.DataFrame(
        {
            "project_id": projects["project"],
            "title": projects["project"],
            "description": projects["readme"],
        }
    )
    facets = developer_facets(_developers(()), repositories)
    texts = sorted(
        {facet.text for facet in facets}
        | {project_text(title, text) for title, text in zip(postings["title"], postings["description"])}
    )
    embedder = Embedder()
    text_vectors = dict(zip(texts, embedder.encode(texts)))
    vectors = developer_vectors(
        facets, text_vectors, _skill_profiles(repositories.iloc[:0], as_of), {}, model=embedder.model_name
    )
    features = project_features(
        projects=postings,
        requirements=_requirements(projects, language_skills),
        vectors=project_vectors(postings, text_vectors, model=embedder.model_name),
    )
    return Marketplace(
        repositories=repositories,
        vectors=vectors,
        skill_profiles=_skill_profiles(repositories, as_of),
        projects={project.project_id: project for project in features},
        language_skills=language_skills,
        as_of=as_of,
    )


def repositories_from(contributions: pd.DataFrame, projects: pd.DataFrame, *, as_of: dt.date) -> pd.DataFrame:
    """Contributions in the shape of `platform.developer_repositories`.

    A known README is the description. Commits count as spread evenly from the first to the last day.
    """
    readme_of = dict(zip(projects["project"], projects["readme"]))
    return pd.DataFrame(
        {
            "developer_id": contributions["developer"],
            "repository": contributions["repo"],
            "description": [readme_of.get(repository) for repository in contributions["repo"]],
            "topics": contributions["path_terms"],
            "languages": contributions["languages"],
            "is_fork": False,
            "commits_count": contributions["commits"],
            "commits_last_year_count": [
                _commits_since(as_of - dt.timedelta(days=364), first, last, commits)
                for first, last, commits in zip(
                    contributions["first"], contributions["last"], contributions["commits"]
                )
            ],
            "first_contributed_on": contributions["first"],
            "last_contributed_on": contributions["last"],
            "subjects": contributions["subjects"],
        }
    )


def _commits_since(day: dt.date, first: dt.date, last: dt.date, commits: int) -> int:
    within = max(0, (last - max(first, day)).days + 1)
    return round(commits * within / ((last - first).days + 1))


def features_without(marketplace: Marketplace, project: str) -> DeveloperFeatures:
    """Features of the developers with work elsewhere, as if nobody had ever worked on the project."""
    is_hidden = marketplace.repositories["repository"] == project
    repositories = marketplace.repositories[~is_hidden]
    # Only who has hidden work is weighed again; nobody else's skills depend on it.
    touched = set(marketplace.repositories.loc[is_hidden, "developer_id"])
    kept = marketplace.skill_profiles
    skills = pd.concat(
        [
            kept[~kept["developer_id"].isin(touched)],
            _skill_profiles(repositories[repositories["developer_id"].isin(touched)], marketplace.as_of),
        ]
    )
    return developer_features(
        developers=pd.DataFrame({"developer_id": repositories["developer_id"].unique()}),
        repositories=repositories,
        vectors=marketplace.vectors[marketplace.vectors["facet"] != project],
        skill_profiles=skills,
        language_skills=marketplace.language_skills,
        as_of=marketplace.as_of,
    )


def rank_pool(marketplace: Marketplace, project: str, *, weights: Weights = DEFAULT_WEIGHTS) -> pd.DataFrame:
    """The whole pool of a project, best first: rows as in `platform.match_candidates`."""
    developers = features_without(marketplace, project)
    everybody = np.ones(len(developers.developer_ids), dtype=np.bool_)
    return rank_candidates(
        [marketplace.projects[project]],
        developers,
        lambda _: everybody,
        k=max(1, len(everybody)),
        reserve=0,
        as_of=marketplace.as_of,
        weights=weights,
    )


def summarize(
    rankings: Mapping[str, pd.DataFrame], grades: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """Measures per project and their means; ideal DCG and recall count the relevant developers in the pool."""
    per_query: dict[str, dict[str, float | None]] = {}
    for project, ranking in rankings.items():
        pool = list(ranking["developer_id"])
        in_pool = set(pool)
        relevant: dict[Hashable, float] = {
            developer: grade
            for developer, grade in grades.get(project, {}).items()
            if grade > 0 and developer in in_pool
        }
        values = (
            (
                ndcg_at(NDCG_DEPTH, pool, relevant),
                reciprocal_rank(pool, relevant),
                recall_at(RECALL_DEPTH, pool, relevant),
            )
            if relevant
            else (None, None, None)
        )
        per_query[project] = dict(zip(MEASURES, values))
    measured = [values for values in per_query.values() if values["mrr"] is not None]
    means = {
        name: float(np.mean([values[name] for values in measured])) if measured else None for name in MEASURES
    }
    return {"queries": len(measured), **means, "per_query": per_query}


def write_run(rankings: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write whole rankings as CSV `query,rank,item,score`."""
    run = pd.concat(
        [
            ranking.rename(columns={"project_id": "query", "developer_id": "item"})
            for ranking in rankings.values()
        ]
        or [pd.DataFrame(columns=["query", "rank", "item", "score"])]
    )
    run.to_csv(path, columns=["query", "rank", "item", "score"], index=False, float_format="%.6f")


def _grades(qrels: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {
        str(project): dict(zip(rows["developer"], rows["grade"].astype(int)))
        for project, rows in qrels.groupby("project")
    }


def _language_skills(
    contributions: pd.DataFrame, projects: pd.DataFrame, vocabulary: Vocabulary
) -> dict[str, str]:
    """Skill id of each language; one that the vocabulary does not know becomes a skill, as a first sight of it would."""
    named = [*contributions["languages"], *projects["languages"]]
    languages = sorted({language for shares in named for language in shares})
    return {language: vocabulary.resolve(language) or skill_slug(language) for language in languages}


def _requirements(projects: pd.DataFrame, language_skills: Mapping[str, str]) -> pd.DataFrame:
    """Each project asks for the skills of its languages, by their share."""
    rows = [
        (project, language_skills[language], amount / sum(languages.values()))
        for project, languages in zip(projects["project"], projects["languages"])
        for language, amount in languages.items()
    ]
    frame = pd.DataFrame(rows, columns=["project_id", "skill_id", "weight"])
    summed: pd.DataFrame = frame.groupby(["project_id", "skill_id"], as_index=False).sum()
    return summed


def _developers(developer_ids: Iterable[str]) -> pd.DataFrame:
    """Accounts that say nothing of themselves."""
    rows: list[tuple[str, None, list[str]]] = [(developer_id, None, []) for developer_id in developer_ids]
    return pd.DataFrame(rows, columns=["developer_id", "bio", "declared_skills"], dtype=object)


def _skill_profiles(repositories: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    developers = _developers(repositories["developer_id"].unique())
    return skill_profiles(repositories, developers, None, packaged_vocabulary(), as_of=as_of)
