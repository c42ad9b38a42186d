"""Scores of chosen pairs, outside of any list: for what tuning learns from, and for a text that is no project yet.

Reads the rows and hands them to `features` and `scoring`, which know what a number is worth.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database, is_among
from platform_assets.matching.features import (
    DeveloperFeatures,
    ProjectFeatures,
    developer_features,
    project_features,
)
from platform_assets.matching.scoring import Scores, Weights, score_developers
from platform_assets.spelling import normalize_alias
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables


@dataclass(frozen=True)
class Draft:
    """A text that is no posted project, as far as the score knows projects.

    Attributes:
        title: Its first words, which are compared with the words of developers' work.
        vector: Its unit vector.
        requirements: Skill id → weight from 0 to 1.
        max_hourly_rate_minor: Highest rate; None when open.
        currency: Currency of the rate; None when there is none.
    """

    title: str
    vector: npt.NDArray[np.float32]
    requirements: Mapping[str, float]
    max_hourly_rate_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class ProjectScores:
    """Scores of one project with some developers.

    Attributes:
        project_id: The project.
        developer_ids: The developers, ascending.
        scores: Their scores in the same order, term by term.
    """

    project_id: str
    developer_ids: tuple[str, ...]
    scores: Scores


def score_known_pairs(
    database: Database, pairs: Mapping[str, Collection[str]], *, as_of: dt.date, weights: Weights
) -> list[ProjectScores]:
    """Scores of projects with developers, by project id; what can't be scored any more is left out.

    Scored is a project with a vector or requirements, whatever its status, and a developer of the marketplace.

    Args:
        database: The platform's database.
        pairs: Project id → developer ids.
        as_of: Day for which the scores hold.
        weights: What terms are worth.
    """
    rows = read_contract(database, marketplace.projects).rows
    requirements, vectors = (
        _read(database, table, only=pairs) for table in (tables.project_requirements, tables.project_vectors)
    )
    known = {*requirements["project_id"], *vectors["project_id"]}
    projects = project_features(
        projects=rows[rows["project_id"].isin(list(known))], requirements=requirements, vectors=vectors
    )
    if not projects:
        return []
    developers = _read_developers(database, as_of)
    scored = [_score(project, developers, pairs[project.project_id], weights) for project in projects]
    return [each for each in scored if each.developer_ids]


def score_draft(
    database: Database, draft: Draft, developer_ids: Collection[str], *, as_of: dt.date, weights: Weights
) -> ProjectScores:
    """Scores of a text with chosen developers."""
    draft_id = "draft"
    [project] = project_features(
        projects=pd.DataFrame(
            [
                {
                    "project_id": draft_id,
                    "title": draft.title,
                    "max_hourly_rate_minor": draft.max_hourly_rate_minor,
                    "currency": draft.currency,
                }
            ]
        ),
        requirements=pd.DataFrame(
            [(draft_id, skill, weight) for skill, weight in draft.requirements.items()],
            columns=["project_id", "skill_id", "weight"],
        ),
        vectors=pd.DataFrame({"project_id": [draft_id], "vector": [draft.vector]}),
    )
    return _score(project, _read_developers(database, as_of), developer_ids, weights)


def _score(
    project: ProjectFeatures, developers: DeveloperFeatures, developer_ids: Collection[str], weights: Weights
) -> ProjectScores:
    position = {developer_id: i for i, developer_id in enumerate(developers.developer_ids)}
    known = tuple(sorted({one for one in developer_ids if one in position}))
    positions = np.array([position[one] for one in known], dtype=np.int64)
    return ProjectScores(
        project.project_id, known, score_developers(project, developers, positions, weights=weights)
    )


def _read_developers(database: Database, as_of: dt.date) -> DeveloperFeatures:
    repositories = _read(database, tables.developer_repositories)
    aliases = _read(database, tables.skill_aliases)
    skill_of = dict(zip(aliases["alias"], aliases["skill_id"]))
    languages = sorted({language for used in repositories["languages"] for language in used})
    return developer_features(
        developers=read_contract(database, marketplace.developers).rows,
        repositories=repositories,
        vectors=_read(database, tables.developer_vectors),
        skill_profiles=_read(database, tables.skill_profiles),
        language_skills={
            language: skill_of[alias]
            for language in languages
            if (alias := normalize_alias(language)) in skill_of
        },
        as_of=as_of,
    )


def _read(database: Database, table: sa.Table, only: Collection[str] | None = None) -> pd.DataFrame:
    """Rows of a derived table by key, without its bookkeeping: all of them, or those of some projects."""
    columns: Sequence[sa.Column[object]] = [
        column for column in table.columns if not column.info.get("bookkeeping")
    ]
    query = sa.select(*columns).order_by(*table.primary_key.columns)
    return database.read(query if only is None else query.where(is_among(table.c.project_id, list(only))))
