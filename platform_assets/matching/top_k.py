"""The exact best developers of each project under the score and the filters, in bounded memory.

Which pairs need a second look is `preselection`; what a pair is worth is decided by the one routine in `scoring`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.project_rows import project_rows
from platform_assets.matching.repositories import Integers
from platform_assets.matching.scoring import UNITS_PER_POINT, Scores, score_rows
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights

MATCH_COLUMNS = ("project_id", "developer_id", "rank", "score", "reasons", "as_of")

PairFilter = Callable[[Integers, Integers], npt.NDArray[np.bool_]]
"""Positions of the projects and of the developers of pairs → which of them may be matched."""


@dataclass(frozen=True)
class BestPairs:
    """The best pairs of each project: by project, then by score downwards, ties by developer.

    Attributes:
        projects: Position of each pair's project, ascending.
        developers: Position of each pair's developer.
        scores: Their scores.
    """

    projects: Integers
    developers: Integers
    scores: Scores


def best_pairs(
    projects: Sequence[ProjectFeatures],
    developers: DeveloperFeatures,
    allowed: PairFilter,
    *,
    count: int,
    weights: Weights = DEFAULT_WEIGHTS,
) -> BestPairs:
    """The `count` best developers of each project among those who may be matched.

    Raises:
        MatchingInputError: Vectors of projects and developers have different lengths.
    """
    rows = project_rows(projects, developers)
    found: list[tuple[Integers, Integers, Scores]] = []
    everybody = np.arange(len(developers.developer_ids))
    for row in range(len(projects)):
        own = np.full(len(everybody), row)
        positions = everybody[allowed(own, everybody)]
        own = own[: len(positions)]
        scores = score_rows(rows, developers, own, positions, weights=weights)
        order = np.lexsort((positions, -scores.totals))[:count]
        found.append((own[order], positions[order], scores.rows(order)))
    none = np.empty(0, dtype=np.int64)
    scores_none = score_rows(rows, developers, none, none, weights=weights)
    return BestPairs(
        projects=np.concatenate([none, *(own for own, _, _ in found)]),
        developers=np.concatenate([none, *(positions for _, positions, _ in found)]),
        scores=Scores(
            np.concatenate([scores_none.units, *(scores.units for _, _, scores in found)]),
            np.concatenate([scores_none.known, *(scores.known for _, _, scores in found)]),
        ),
    )


def rank_candidates(
    projects: Sequence[ProjectFeatures],
    developers: DeveloperFeatures,
    allowed: PairFilter,
    *,
    k: int,
    reserve: int,
    as_of: dt.date,
    weights: Weights = DEFAULT_WEIGHTS,
) -> pd.DataFrame:
    """Rows of `platform.match_candidates`: for each project the K + R best developers who may be matched.

    Args:
        projects: Projects to find developers for.
        developers: Developers to choose from.
        allowed: Which pairs pass the filters; asked for any pairs, any number of times, from several threads.
        k: Places of the list.
        reserve: Places behind it.
        as_of: Day for which the scores hold.
        weights: What terms are worth.

    Returns:
        `project_id`, `developer_id`, `rank` from 1, `score`, `reasons`, `as_of`; by score downwards, ties by developer
        id. A project has fewer rows when fewer developers may be matched, and none when nobody may.

    Raises:
        ValueError: `k` is below 1 or `reserve` below 0.
        MatchingInputError: Vectors of projects and developers have different lengths.
    """
    if k < 1 or reserve < 0:
        raise ValueError(f"k={k} must be at least 1, reserve={reserve} at least 0")
    best = best_pairs(projects, developers, allowed, count=k + reserve, weights=weights)
    firsts = np.searchsorted(best.projects, best.projects)
    return pd.DataFrame(
        {
            "project_id": [projects[row].project_id for row in best.projects],
            "developer_id": [developers.developer_ids[position] for position in best.developers],
            "rank": np.arange(len(firsts)) - firsts + 1,
            "score": best.scores.totals / UNITS_PER_POINT,
            "reasons": [best.scores.reasons(row) for row in range(len(best.projects))],
            "as_of": as_of,
        },
        columns=list(MATCH_COLUMNS),
    )


def last_kept_scores(candidates: pd.DataFrame, *, places: int) -> dict[str, float]:
    """Project → score of its last place, for projects whose list is full.

    Whoever is not in such a list scores at most that, and at an equal score comes later by id. Where the list is not
    full, it holds everybody who may be matched.
    """
    last = candidates[candidates["rank"] == places]
    return dict(zip(last["project_id"], last["score"].astype(float)))


def publish(candidates: pd.DataFrame, k: int) -> pd.DataFrame:
    """Rows of `platform.matches`: the first K candidates of each project."""
    return candidates[candidates["rank"] <= k].reset_index(drop=True)
