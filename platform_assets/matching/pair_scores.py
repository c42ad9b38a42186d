"""Scores of chosen pairs, outside of any list: for what tuning learns from, and for a text that is no project yet.

Reads the rows through `inputs` and hands them to `scoring`, which knows what a number is worth.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.clients.database import Database
from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures, project_features
from platform_assets.matching.inputs import (
    read_market,
    read_model,
    read_projects,
    read_side,
    read_statistics,
)
from platform_assets.matching.scoring import Scores, score_pairs
from platform_assets.matching.weights import Weights


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
    market = read_market(database, as_of)
    # Without a vote of its own: the day's statistics are those of the lists, if there are any yet.
    statistics = read_statistics(database, market, model=read_model(database), keep=False)
    rows = market.all_projects
    projects = [
        project
        for project in read_projects(database, rows[rows["project_id"].isin(list(pairs))], statistics)
        if project.vector is not None or project.skills
    ]
    wanted = {developer_id for project in projects for developer_id in pairs[project.project_id]}
    developers = read_side(database, market, statistics, only=wanted).features
    scored = [_score(project, developers, pairs[project.project_id], weights) for project in projects]
    return [each for each in scored if each.developer_ids]


def score_draft(
    database: Database, draft: Draft, developer_ids: Collection[str], *, as_of: dt.date, weights: Weights
) -> ProjectScores:
    """Scores of a text with chosen developers."""
    market = read_market(database, as_of)
    statistics = read_statistics(database, market, model=read_model(database), keep=False)
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
        statistics=statistics,
    )
    developers = read_side(database, market, statistics, only=developer_ids).features
    return _score(project, developers, developer_ids, weights)


def _score(
    project: ProjectFeatures, developers: DeveloperFeatures, developer_ids: Collection[str], weights: Weights
) -> ProjectScores:
    position = {developer_id: i for i, developer_id in enumerate(developers.developer_ids)}
    known = tuple(sorted({one for one in developer_ids if one in position}))
    pairs = np.array([(0, position[one]) for one in known], dtype=np.int64).reshape(-1, 2)
    return ProjectScores(
        project.project_id, known, score_pairs([project], developers, pairs, weights=weights)
    )
