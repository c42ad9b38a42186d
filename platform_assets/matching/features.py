"""Frames of the tables → the arrays that the score reads: developers and projects.

A developer's features depend on the developer's own rows and on `CorpusStatistics` alone, to the last bit; so do a
project's. What a number is worth is `scoring`; who may be matched is `filters`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.developer_rows import (
    facets_of,
    on_vector_grid,
    positions_of,
    skills_of,
    words_of,
)
from platform_assets.matching.repositories import (
    SHARE_BITS,
    Floats,
    Integers,
    WordCounts,
    count_words,
    on_grid,
    split_words,
)
from platform_assets.matching.statistics import CorpusStatistics
from platform_assets.matching.vectors import Vectors, checked_vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_TITLE_RARITY = 2.0
"""A long title matches no better for its length: beyond two rare words, matches count as a share of the title."""


@dataclass(frozen=True)
class DeveloperFeatures:
    """What the score knows of developers. A facet is one side of a developer's work, usually one repository.

    Attributes:
        developer_ids: Ids in ascending order; every array over developers has this order.
        facet_developer: Position of each facet's developer, ascending, shape (facets,). Facets here have a vector.
        facet_names: Name of each facet.
        vectors: Unit vectors of facets on the grid, shape (facets, dimensions).
        repositories_count: Repositories a developer is known by, shape (developers,).
        skills: How sure it is that a developer brings a skill, or a related one in part, from 0 to 1 on the grid, shape
            (developers, skills), columns of a row ascending.
        skill_columns: Skill id → column of `skills`.
        words: How much a word is among those of a developer's work, from 0 to 1 on the grid, shape (developers, words),
            columns of a row ascending.
        word_columns: Word → column of `words`.
        hourly_rate_minor: Asked rate; NaN when not stated.
        currencies: Currency of the rate; empty when there is none.
        capacity_hours: Hours a week open for work; NaN when unknown.
        rating_average: Mean rating from 0 to 5; NaN when never rated.
        rating_count: Number of ratings.
        idle_days: Days since the latest contribution; NaN when none is known.
    """

    developer_ids: tuple[str, ...]
    facet_developer: Integers
    facet_names: tuple[str, ...]
    vectors: Vectors
    repositories_count: Integers
    skills: csr_matrix
    skill_columns: Mapping[str, int]
    words: csr_matrix
    word_columns: Mapping[str, int]
    hourly_rate_minor: Floats
    currencies: npt.NDArray[np.str_]
    capacity_hours: Floats
    rating_average: Floats
    rating_count: Floats
    idle_days: Floats

    @property
    def dimensions(self) -> int:
        """Length of a vector; 0 when there is none."""
        return int(self.vectors.shape[1])

    @cached_property
    def _currency_index(self) -> tuple[npt.NDArray[np.str_], Integers]:
        names, codes = np.unique(self.currencies, return_inverse=True)
        return names, codes.astype(np.int64)

    @property
    def currency_names(self) -> tuple[str, ...]:
        """The currencies that occur, ascending."""
        return tuple(str(name) for name in self._currency_index[0])

    @property
    def currency_codes(self) -> Integers:
        """Place of each developer's currency among `currency_names`, shape (developers,)."""
        return self._currency_index[1]

    @cached_property
    def facet_starts(self) -> Integers:
        """Position of each developer's first facet, and the number of facets at the end, shape (developers + 1,)."""
        counts = np.bincount(self.facet_developer, minlength=len(self.developer_ids))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True)
class ProjectFeatures:
    """What the score knows of one project.

    Attributes:
        project_id: Its id.
        vector: Unit vector on the grid; None when the text has none.
        skills: Skill id → share of what is asked, by importance and rarity, on the grid; the shares add up to 1.
        words: Word of the title → its rarity on the grid, scaled down where they add up to more than `MAX_TITLE_RARITY`.
        affordable_rate_minor: Highest rate, or what budget and expected hours leave for an hour; None when open.
        currency: Currency of the rate; None when there is none.
        hours_per_week: Hours a week of work; None when open.
    """

    project_id: str
    vector: Vectors | None
    skills: Mapping[str, float]
    words: Mapping[str, float]
    affordable_rate_minor: float | None = None
    currency: str | None = None
    hours_per_week: int | None = None


def developer_features(
    *,
    developers: pd.DataFrame,
    repositories: pd.DataFrame,
    vectors: pd.DataFrame,
    skill_profiles: pd.DataFrame,
    statistics: CorpusStatistics,
    as_of: dt.date,
    word_counts: WordCounts | None = None,
) -> DeveloperFeatures:
    """Join the tables of the developer side.

    Args:
        developers: `marketplace.developers`; columns beyond `developer_id` may be absent and are then unknown.
        repositories: `platform.developer_repositories`.
        vectors: `platform.developer_vectors`.
        skill_profiles: `platform.skill_profiles`.
        statistics: The marketplace's statistics of the day.
        as_of: The day from which idle time is counted.
        word_counts: Words of `repositories`, row by row, where they are known already.

    Returns:
        The features; rows of developers that are not in `developers` are left out.

    Raises:
        MatchingInputError: A vector can't be used.
    """
    developers = developers.drop_duplicates("developer_id").sort_values("developer_id", ignore_index=True)
    ids = tuple(developers["developer_id"])
    position = {developer_id: i for i, developer_id in enumerate(ids)}
    is_known = repositories["developer_id"].isin(position).to_numpy(dtype=np.bool_)
    if word_counts is not None:
        word_counts = word_counts.rows(np.flatnonzero(is_known))
    repositories = repositories[is_known]
    row_developer = positions_of(repositories, position)
    words = words_of(
        repositories, row_developer, len(ids), word_counts or count_words(repositories), statistics
    )
    skills = skills_of(skill_profiles[skill_profiles["developer_id"].isin(position)], position, statistics)
    facets = facets_of(vectors[vectors["developer_id"].isin(position)], position, statistics)
    return DeveloperFeatures(
        developer_ids=ids,
        facet_developer=facets.developer,
        facet_names=facets.names,
        vectors=facets.vectors,
        repositories_count=np.bincount(row_developer, minlength=len(ids)).astype(np.int64),
        skills=skills.matrix,
        skill_columns=skills.columns,
        words=words.matrix,
        word_columns=words.columns,
        hourly_rate_minor=_numbers(developers, "hourly_rate_minor"),
        currencies=texts_of(developers["currency"] if "currency" in developers else [None] * len(ids)),
        capacity_hours=_numbers(developers, "capacity_hours_per_week"),
        rating_average=_numbers(developers, "rating_average"),
        rating_count=np.nan_to_num(_numbers(developers, "rating_count")),
        idle_days=_idle_days(repositories, row_developer, len(ids), as_of),
    )


def project_features(
    *,
    projects: pd.DataFrame,
    requirements: pd.DataFrame,
    vectors: pd.DataFrame,
    statistics: CorpusStatistics,
) -> tuple[ProjectFeatures, ...]:
    """Join the tables of the project side, ordered by project id.

    Args:
        projects: `marketplace.projects`; columns beyond `project_id` and `title` may be absent and are then unknown.
        requirements: `platform.project_requirements`.
        vectors: `platform.project_vectors`.
        statistics: The marketplace's statistics of the day.

    Raises:
        MatchingInputError: A vector can't be used.
    """
    asked = {
        project_id: dict(zip(rows["skill_id"], rows["weight"].astype(float)))
        for project_id, rows in requirements.groupby("project_id")
    }
    matrix = on_vector_grid(checked_vectors(vectors["vector"], vectors["project_id"]))
    vector_of = dict(zip(vectors["project_id"], matrix))
    return tuple(
        ProjectFeatures(
            project_id=row["project_id"],
            vector=vector_of.get(row["project_id"]),
            skills=_asked_shares(asked.get(row["project_id"], {}), statistics),
            words=_title_words(row["title"], statistics),
            affordable_rate_minor=_affordable_rate_minor(row),
            currency=_text(row.get("currency")),
            hours_per_week=_whole(row.get("hours_per_week")),
        )
        for row in projects.sort_values("project_id").to_dict("records")
    )


def _asked_shares(asked: Mapping[str, float], statistics: CorpusStatistics) -> dict[str, float]:
    importance = {
        skill: weight * statistics.skill_rarity.get(skill, 1.0) for skill, weight in sorted(asked.items())
    }
    total = sum(importance.values())
    if total <= 0:
        return {}
    return {skill: float(on_grid(value / total, SHARE_BITS)) for skill, value in importance.items()}


def _title_words(title: str, statistics: CorpusStatistics) -> dict[str, float]:
    words = sorted(set(split_words(title)))
    columns = statistics.word_columns
    rarities = {
        word: float(statistics.word_rarity[columns[word]]) if word in columns else 1.0 for word in words
    }
    known = sum(value for word, value in rarities.items() if word in columns)
    scale = max(1.0, known / MAX_TITLE_RARITY)
    return {word: float(on_grid(value / scale, SHARE_BITS)) for word, value in rarities.items()}


def _affordable_rate_minor(row: Mapping[Any, Any]) -> float | None:
    """The lower of the highest rate and of the budget over the expected hours, where they are known."""
    rates = [_number(row.get("max_hourly_rate_minor"))]
    budget, hours = _number(row.get("budget_minor")), _number(row.get("expected_hours"))
    if budget is not None and hours is not None and hours > 0:
        rates.append(budget / hours)
    known = [rate for rate in rates if rate is not None and rate > 0]
    return min(known, default=None)


def _idle_days(
    repositories: pd.DataFrame, row_developer: Integers, developers_count: int, as_of: dt.date
) -> Floats:
    last = pd.to_datetime(repositories["last_contributed_on"]).to_numpy(dtype="datetime64[D]")
    idle = (np.datetime64(as_of, "D") - last).astype(np.float64)
    days = np.full(developers_count, np.inf)
    np.minimum.at(days, row_developer, np.maximum(idle, 0.0))
    return np.where(np.isfinite(days), days, np.nan)


def _numbers(frame: pd.DataFrame, column: str) -> Floats:
    if column not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=np.nan)


def texts_of(column: Iterable[Any]) -> npt.NDArray[np.str_]:
    """Texts of a nullable column; empty where there is none, of whatever type a column without any text has become."""
    return np.array([value if isinstance(value, str) else "" for value in column], dtype=np.str_)


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)
