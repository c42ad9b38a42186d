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
from platform_assets.evaluation.run_files import write_run_file
from platform_assets.matching.features import (
    DeveloperFeatures,
    ProjectFeatures,
    developer_features,
    project_features,
)
from platform_assets.matching.repositories import WordCounts, count_words
from platform_assets.matching.statistics import corpus_statistics
from platform_assets.matching.top_k import rank_candidates
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights
from platform_assets.profiles.extraction import label_text
from platform_assets.profiles.requirements import extract_without_gemini, project_inputs
from platform_assets.profiles.skill_graph import skill_edges
from platform_assets.profiles.skills import skill_profiles
from platform_assets.profiles.vectors import (
    developer_facets,
    developer_vectors,
    main_repositories,
    project_text,
    project_vectors,
)
from platform_assets.profiles.vocabulary import Vocabulary, packaged_vocabulary, vocabulary_from_frames
from platform_assets.profiles.vocabulary_growth import grow_vocabulary
from platform_assets.sandbox.data_folder.gitmatch import (
    main_languages,
    read_contributions,
    read_projects,
    read_qrels,
)

NDCG_DEPTH = 10
RECALL_DEPTH = 100
MEASURES = (f"ndcg@{NDCG_DEPTH}", "mrr", f"recall@{RECALL_DEPTH}")


@dataclass(frozen=True)
class Marketplace:
    """A data folder in the shape of the product's tables.

    Attributes:
        repositories: Rows like those of `platform.developer_repositories`.
        vectors: Rows of `platform.developer_vectors`, at most one per row of `repositories`, for more repositories of
            a developer than the product looks at: which are the main ones is only known once some are hidden.
        skill_profiles: Rows of `platform.skill_profiles`, from all rows of `repositories`.
        word_counts: Words of `repositories`, row by row.
        projects: The query projects as posted, by `project_id`.
        requirements: Rows of `platform.project_requirements`.
        project_vectors: Rows of `platform.project_vectors`.
        vocabulary: The packaged skills, and what grew from languages.
        as_of: The day of the latest contribution.
    """

    repositories: pd.DataFrame
    vectors: pd.DataFrame
    skill_profiles: pd.DataFrame
    word_counts: WordCounts
    projects: pd.DataFrame
    requirements: pd.DataFrame
    project_vectors: pd.DataFrame
    vocabulary: Vocabulary
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

    Raises:
        DataError: A file is missing or malformed; all problems are listed.
        RunFileError: The rankings can't be written.
    """
    marketplace = read_marketplace(folder)
    rankings = {
        project: rank_pool(marketplace, project, weights=weights)
        for project in marketplace.projects["project_id"]
    }
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
    postings = _postings(projects)
    vocabulary = _vocabulary(repositories, postings)
    facets = developer_facets(_developers(()), repositories, most=len(repositories))
    texts = sorted(
        {facet.text for facet in facets}
        | {project_text(title, text) for title, text in zip(postings["title"], postings["description"])}
    )
    embedder = Embedder()
    text_vectors = dict(zip(texts, embedder.encode(texts)))
    skills = skill_profiles(
        repositories, _developers(repositories["developer_id"].unique()), None, vocabulary, as_of=as_of
    )
    # Nobody states skills, so none is in a vector.
    vectors = developer_vectors(facets, text_vectors, skills.iloc[:0], {}, model=embedder.model_name)
    return Marketplace(
        repositories=repositories,
        vectors=vectors,
        skill_profiles=skills,
        word_counts=count_words(repositories),
        projects=postings.sort_values("project_id", ignore_index=True),
        requirements=_requirements(postings, vocabulary, embedder),
        project_vectors=project_vectors(postings, text_vectors, model=embedder.model_name),
        vocabulary=vocabulary,
        as_of=as_of,
    )


def repositories_from(contributions: pd.DataFrame, projects: pd.DataFrame, *, as_of: dt.date) -> pd.DataFrame:
    """Contributions in the shape of `platform.developer_repositories`.

    A known README is the description. Commits count as spread evenly from the first to the last day. Languages and terms
    are the developer's own, where a fetch from GitHub would show the whole repository's.
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


def features_without(marketplace: Marketplace, project: str) -> tuple[ProjectFeatures, DeveloperFeatures]:
    """A project and the developers with work elsewhere, as if nobody had ever worked on the project."""
    is_hidden = (marketplace.repositories["repository"] == project).to_numpy(dtype=np.bool_)
    repositories = marketplace.repositories[~is_hidden]
    developers = pd.DataFrame({"developer_id": repositories["developer_id"].unique()})
    # Only who has hidden work is weighed again; nobody else's skills depend on it.
    touched = set(marketplace.repositories.loc[is_hidden, "developer_id"])
    kept = marketplace.skill_profiles
    weighed_again = skill_profiles(
        repositories, _developers(sorted(touched)), None, marketplace.vocabulary, as_of=marketplace.as_of
    )
    main = main_repositories(repositories)[["developer_id", "repository"]]
    vectors = marketplace.vectors.merge(main.rename(columns={"repository": "facet"}))
    skills = pd.concat([kept[~kept["developer_id"].isin(touched)], weighed_again])
    word_counts = marketplace.word_counts.rows(np.flatnonzero(~is_hidden))
    statistics = corpus_statistics(
        developers_count=len(developers),
        repositories=repositories,
        vectors=vectors,
        skill_profiles=skills,
        skill_edges=skill_edges(skills, as_of=marketplace.as_of),
        word_counts=word_counts,
    )
    (posted,) = project_features(
        projects=marketplace.projects[marketplace.projects["project_id"] == project],
        requirements=marketplace.requirements,
        vectors=marketplace.project_vectors,
        statistics=statistics,
    )
    return posted, developer_features(
        developers=developers,
        repositories=repositories,
        vectors=vectors,
        skill_profiles=skills,
        statistics=statistics,
        as_of=marketplace.as_of,
        word_counts=word_counts,
    )


def rank_pool(marketplace: Marketplace, project: str, *, weights: Weights = DEFAULT_WEIGHTS) -> pd.DataFrame:
    """The whole pool of a project, best first: rows as in `platform.match_candidates`."""
    posted, developers = features_without(marketplace, project)
    return rank_candidates(
        [posted],
        developers,
        lambda projects, _: np.ones(len(projects), dtype=np.bool_),
        k=max(1, len(developers.developer_ids)),
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
    write_run_file(run[["query", "rank", "item", "score"]], path)


def _grades(qrels: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {
        str(project): dict(zip(rows["developer"], rows["grade"].astype(int)))
        for project, rows in qrels.groupby("project")
    }


def _postings(projects: pd.DataFrame) -> pd.DataFrame:
    """The projects as clients would post them: they name the main languages, whose shares nobody would state."""
    return pd.DataFrame(
        {
            "project_id": projects["project"],
            "title": projects["project"],
            "description": projects["readme"],
            "declared_skills": [main_languages(languages) for languages in projects["languages"]],
        }
    )


def _vocabulary(repositories: pd.DataFrame, postings: pd.DataFrame) -> Vocabulary:
    """The product's vocabulary after it met the languages; terms of paths are no topics, and name no skills."""
    without_topics = repositories.assign(
        topics=pd.Series([()] * len(repositories), index=repositories.index, dtype=object)
    )
    grown = grow_vocabulary(packaged_vocabulary(), without_topics, postings["declared_skills"])
    return vocabulary_from_frames(grown.skills, grown.aliases)


def _requirements(postings: pd.DataFrame, vocabulary: Vocabulary, embedder: Embedder) -> pd.DataFrame:
    """Rows of `platform.project_requirements`, as they are where Gemini is switched off: nothing is asked of a service."""
    names = [label_text(skill.name) for skill in vocabulary.skills]
    skill_vectors = dict(zip(vocabulary.by_id, embedder.encode(names)))
    inputs = project_inputs(postings, vocabulary, model=embedder.model_name)
    return extract_without_gemini(inputs, vocabulary, skill_vectors, embedder).requirements


def _developers(developer_ids: Iterable[str]) -> pd.DataFrame:
    """Accounts that say nothing of themselves."""
    rows: list[tuple[str, None, list[str]]] = [(developer_id, None, []) for developer_id in developer_ids]
    return pd.DataFrame(rows, columns=["developer_id", "bio", "declared_skills"], dtype=object)
