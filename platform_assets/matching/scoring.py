"""The match score, and the one routine that scores pairs.

    score = skills + meaning + title + breadth + rate + availability + reputation + recency

skills        share of what is asked that the developer is sure to bring, related skills in part: Σ share · confidence
meaning       cosine of the project's text with the nearest side of the developer's work
title         words of the title among those of the work of the developer and their colleagues, by rarity
breadth       log(1 + repositories): having done more
rate          +1 for work at no cost, 0 at half of what the client can pay, -1 at all of it or more
availability  +1 when all the wanted hours a week are free, -1 when none
reputation    mean rating above or below the prior, shrunk by the number of ratings, from -1 to 1
recency       +1 for a contribution today, 0 after one half-life, towards -1 after many

each times its weight, in natural log-odds under a choice model in which a project picks a developer with probability ∝
exp(score). A missing input is neutral: it adds nothing, and its term is None instead of 0. Terms are rounded to 1e-6 and
the score is their sum, so reasons add up to the score. The first three are sums of products of numbers on grids
(`repositories.on_grid`) that float64 holds exactly, so a pair's score is the same bits however pairs are put together.
Who may be matched at all is `filters`; the search for the best is `top_k`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.project_rows import ProjectRows, project_rows
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SCORE_DECIMALS = 6
UNITS_PER_POINT = 10**SCORE_DECIMALS
"""Terms are kept as whole millionths, so that their sum is exact."""

TERMS = ("skills", "meaning", "title", "breadth", "rate", "availability", "reputation", "recency")

PRIOR_RATING = 4.0
PRIOR_RATINGS_COUNT = 5.0
"""A new developer counts as rated 4 of 5 by five clients; own ratings move that by their number."""

RECENCY_HALF_LIFE_DAYS = 365.0

_FACETS_AT_ONCE = 8_192

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Scores of pairs.

    Attributes:
        units: Each term in millionths, shape (pairs, terms), int64, in the order of `TERMS`.
        known: Whether the inputs of each term are there, shape (pairs, terms).
    """

    units: Integers
    known: Mask

    @property
    def totals(self) -> Integers:
        """Scores in millionths, shape (pairs,)."""
        totals: Integers = self.units.sum(axis=1)
        return totals

    @property
    def points(self) -> Floats:
        """Scores, shape (pairs,)."""
        points: Floats = self.totals / UNITS_PER_POINT
        return points

    def reasons(self, row: int) -> dict[str, float | None]:
        """Term → its part of the score; None where an input is missing, which counts as 0."""
        return {
            term: self.units[row, i] / UNITS_PER_POINT if self.known[row, i] else None
            for i, term in enumerate(TERMS)
        }

    def rows(self, positions: Integers) -> Scores:
        """The scores of some pairs, in the given order."""
        return Scores(self.units[positions], self.known[positions])


def score_pairs(
    projects: Sequence[ProjectFeatures],
    developers: DeveloperFeatures,
    pairs: Integers,
    *,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Scores:
    """Score pairs: the routine that decides.

    Args:
        projects: The projects.
        developers: The developers.
        pairs: Position of the project and of the developer of each pair, shape (pairs, 2), in any order.
        weights: What terms are worth.

    Returns:
        The scores, in the order of `pairs`. A pair's do not depend on what else is in `pairs`, `projects` or `developers`.

    Raises:
        MatchingInputError: Vectors of projects and developers have different lengths.
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return score_rows(
        project_rows(projects, developers), developers, pairs[:, 0], pairs[:, 1], weights=weights
    )


def score_rows(
    projects: ProjectRows,
    developers: DeveloperFeatures,
    rows: Integers,
    positions: Integers,
    *,
    weights: Weights,
) -> Scores:
    """Like `score_pairs`, for projects that are laid out as rows already.

    Args:
        projects: The projects.
        developers: The developers.
        rows: Row of each pair's project; quickest when equal rows stand together.
        positions: Position of each pair's developer.
        weights: What terms are worth.
    """
    facets = developers.facet_starts[positions + 1] - developers.facet_starts[positions]
    worth = weights.values()
    repositories_count = developers.repositories_count[positions]
    parts = np.stack(
        [
            worth["skills"] * _row_products(projects.skills, developers.skills, rows, positions),
            worth["meaning"] * _nearest_cosines(projects, developers, rows, positions, facets),
            worth["title"] * _row_products(projects.words, developers.words, rows, positions),
            worth["breadth"] * np.log1p(repositories_count),
            worth["rate"] * rate_terms(projects, developers, rows, positions),
            worth["availability"] * availability_terms(projects, developers, rows, positions),
            worth["reputation"] * reputation_terms(developers)[positions],
            worth["recency"] * recency_terms(developers)[positions],
        ],
        axis=1,
    )
    known = ~np.isnan(parts)
    known[:, 0] = (np.diff(developers.skills.indptr)[positions] > 0) & projects.asks[rows]
    known[:, 1] = (facets > 0) & projects.has_vector[rows]
    known[:, 2] = (np.diff(developers.words.indptr)[positions] > 0) & projects.has_title[rows]
    known[:, 3] = repositories_count > 0
    return Scores(units=np.rint(np.nan_to_num(parts) * UNITS_PER_POINT).astype(np.int64), known=known)


def _row_products(left: csr_matrix, right: csr_matrix, rows: Integers, positions: Integers) -> Floats:
    """Products of the sparse rows of pairs; every partial sum is exact, so that its order is no matter."""
    return np.asarray(left[rows].multiply(right[positions]).sum(axis=1), dtype=np.float64).ravel()


def _nearest_cosines(
    projects: ProjectRows,
    developers: DeveloperFeatures,
    rows: Integers,
    positions: Integers,
    facets_count: Integers,
) -> Floats:
    """Largest cosine of a developer's vectors with the project's; 0 where a side has none."""
    nearest = np.zeros(len(rows))
    pairs = np.flatnonzero((facets_count > 0) & projects.has_vector[rows])
    if not len(pairs):
        return nearest
    counts = facets_count[pairs]
    ends = np.cumsum(counts)
    starts = ends - counts
    within = np.arange(ends[-1]) - np.repeat(starts, counts)
    facets = np.repeat(developers.facet_starts[positions[pairs]], counts) + within
    facet_rows = np.repeat(rows[pairs], counts)
    cosines = np.empty(len(facets))
    # One matrix product for each run of facets that meet the same project.
    turns = np.flatnonzero(np.diff(facet_rows)) + 1
    for start, end in zip([0, *turns], [*turns, len(facets)]):
        vector = projects.vectors[facet_rows[start]].astype(np.float64)
        for first in range(start, end, _FACETS_AT_ONCE):
            last = min(first + _FACETS_AT_ONCE, end)
            cosines[first:last] = developers.vectors[facets[first:last]].astype(np.float64) @ vector
    nearest[pairs] = np.maximum.reduceat(cosines, starts)
    return nearest


def rate_terms(
    projects: ProjectRows, developers: DeveloperFeatures, rows: Integers, positions: Integers
) -> Floats:
    """Rate terms of pairs before their weight, from -1 to 1; NaN when not comparable."""
    comparable = developers.currency_codes[positions] == projects.currency_code[rows]
    value = 1.0 - 2.0 * developers.hourly_rate_minor[positions] / projects.affordable_rate_minor[rows]
    return np.where(comparable, np.clip(value, -1.0, 1.0), np.nan)


def availability_terms(
    projects: ProjectRows, developers: DeveloperFeatures, rows: Integers, positions: Integers
) -> Floats:
    """Availability terms of pairs before their weight, from -1 to 1; NaN when unknown."""
    share = developers.capacity_hours[positions] / projects.hours_per_week[rows]
    return np.clip(2.0 * np.minimum(share, 1.0) - 1.0, -1.0, 1.0)


def reputation_terms(developers: DeveloperFeatures) -> Floats:
    """Reputation terms of developers before their weight, from -1 to 1; NaN when never rated."""
    count = developers.rating_count
    shrunk = (count * developers.rating_average + PRIOR_RATINGS_COUNT * PRIOR_RATING) / (
        count + PRIOR_RATINGS_COUNT
    )
    return np.where(count > 0, np.clip(shrunk - PRIOR_RATING, -1.0, 1.0), np.nan)


def recency_terms(developers: DeveloperFeatures) -> Floats:
    """Recency terms of developers before their weight, from -1 to 1; NaN when no contribution is known."""
    return 2.0 * np.exp2(-developers.idle_days / RECENCY_HALF_LIFE_DAYS) - 1.0
