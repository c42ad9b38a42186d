"""The exact best developers of each project under the score and the filters, in bounded memory.

A float32 matrix product over blocks of projects only preselects, with a bound on its error; the one routine in `scoring`
decides. What is published of the result is `publish`, plain for now: the first K.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import (
    DEFAULT_WEIGHTS,
    TERMS,
    UNITS_PER_POINT,
    Scores,
    Weights,
    check_dimensions,
    score_developers,
)

PROJECTS_PER_BLOCK = 64

MATCH_COLUMNS = ("project_id", "developer_id", "rank", "score", "reasons", "as_of")


def rank_candidates(
    projects: Sequence[ProjectFeatures],
    developers: DeveloperFeatures,
    allowed: Callable[[ProjectFeatures], npt.NDArray[np.bool_]],
    *,
    k: int,
    reserve: int,
    as_of: dt.date,
    weights: Weights = DEFAULT_WEIGHTS,
    projects_per_block: int = PROJECTS_PER_BLOCK,
) -> pd.DataFrame:
    """Rows of `platform.match_candidates`: for each project the K + R best developers who may be matched.

    Args:
        projects: Projects to find developers for.
        developers: Developers to choose from.
        allowed: Project → who passes its filters, in the order of `developers.developer_ids`.
        k: Places of the list.
        reserve: Places behind it.
        as_of: Day for which the scores hold.
        weights: What terms are worth.
        projects_per_block: How many projects share one matrix product; memory grows with it, results do not change.

    Returns:
        `project_id`, `developer_id`, `rank` from 1, `score`, `reasons`, `as_of`; by score downwards, ties by developer
        id. A project has fewer rows when fewer developers may be matched, and none when nobody may.

    Raises:
        ValueError: `k` is below 1, `reserve` below 0, or a mask has the wrong length.
        MatchingInputError: Vectors of projects and developers have different lengths.
    """
    if k < 1 or reserve < 0 or projects_per_block < 1:
        raise ValueError(
            f"k={k} and projects_per_block={projects_per_block} must be at least 1, reserve={reserve} at least 0"
        )
    rows: list[tuple[object, ...]] = []
    for start in range(0, len(projects), projects_per_block):
        block = projects[start : start + projects_per_block]
        cosines = _block_cosines(block, developers)
        for i, project in enumerate(block):
            mask = allowed(project)
            if mask.shape != (len(developers.developer_ids),):
                raise ValueError(
                    f"The filter of project {project.project_id} has shape {mask.shape}, there are "
                    f"{len(developers.developer_ids)} developers"
                )
            positions, scores = best_developers(
                project,
                developers,
                np.flatnonzero(mask),
                count=k + reserve,
                weights=weights,
                cosines=cosines[:, i],
            )
            rows += [
                (
                    project.project_id,
                    developers.developer_ids[position],
                    rank,
                    total / UNITS_PER_POINT,
                    scores.reasons(row),
                    as_of,
                )
                for rank, (row, position, total) in enumerate(
                    zip(*_order(positions, scores, k + reserve)), start=1
                )
            ]
    return pd.DataFrame(rows, columns=list(MATCH_COLUMNS))


def best_developers(
    project: ProjectFeatures,
    developers: DeveloperFeatures,
    positions: Integers,
    *,
    count: int,
    weights: Weights = DEFAULT_WEIGHTS,
    cosines: Floats | None = None,
) -> tuple[Integers, Scores]:
    """Exact scores of a few developers that surely hold the best `count` of `positions`.

    Args:
        project: The project.
        developers: Features of all developers.
        positions: Who may be matched, ascending.
        count: How many are wanted.
        weights: What terms are worth.
        cosines: Approximate cosines of all facets, off by at most `cosine_error(dimensions)`.

    Returns:
        Positions, and their scores by the routine that decides, in the same order.
    """
    if cosines is not None and len(positions) > count:
        rough = score_developers(project, developers, positions, weights=weights, cosines=cosines).totals
        threshold = np.partition(rough, len(rough) - count)[len(rough) - count]
        positions = positions[rough >= threshold - 2 * _score_error_units(developers.dimensions, weights)]
    return positions, score_developers(project, developers, positions, weights=weights)


def publish(candidates: pd.DataFrame, k: int) -> pd.DataFrame:
    """Rows of `platform.matches`: the first K candidates of each project."""
    return candidates[candidates["rank"] <= k].reset_index(drop=True)


def cosine_error(dimensions: int) -> float:
    """Bound on the error of a float32 dot product of two unit vectors, in any order of summation.

    γ_n = n·u / (1 - n·u) with u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), times
    Σ|aᵢbᵢ| ≤ |a|·|b|, for which 2 % over 1 is allowed, as `features` lets lengths be off by 1 %.
    """
    product = dimensions * 2.0**-24
    return 1.03 * product / (1.0 - product)


def _score_error_units(dimensions: int, weights: Weights) -> int:
    """Bound on the error of a preselection's score, in millionths: log Σ exp moves no more than its largest input."""
    from_cosine = weights.meaning.value * cosine_error(dimensions) * UNITS_PER_POINT
    # Half a millionth of rounding per term on either side, and float64's own error, far below one millionth.
    return int(np.ceil(from_cosine)) + len(TERMS) + 1


def _block_cosines(block: Sequence[ProjectFeatures], developers: DeveloperFeatures) -> Floats:
    """Approximate cosines of all facets with the projects of a block, shape (facets, projects)."""
    matrix = np.zeros((developers.dimensions, len(block)), dtype=np.float32)
    for i, project in enumerate(block):
        check_dimensions(project, developers)
        if project.vector is not None and developers.dimensions:
            matrix[:, i] = project.vector
    return (developers.vectors @ matrix).astype(np.float64)


def _order(positions: Integers, scores: Scores, count: int) -> tuple[Integers, Integers, Integers]:
    """Rows of `scores`, positions and totals of the best; positions ascend with developer ids."""
    rows = np.lexsort((positions, -scores.totals))[:count]
    return rows, positions[rows], scores.totals[rows]
