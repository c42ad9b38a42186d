"""Frames of the tables → the arrays that the score reads: developers, their facets, repositories and projects.

What repositories are like is `repositories`; what a number is worth is `scoring`; who may be matched is `filters`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.errors import PlatformError
from platform_assets.matching.repositories import (
    Floats,
    Integers,
    rarity,
    repository_skills,
    repository_words,
    sparse_matrix,
    split_words,
)

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Vectors = npt.NDArray[np.float32]

NO_REPOSITORY = -1


class MatchingInputError(PlatformError):
    """The tables hold something that can't be scored: a vector that is not finite, not of length 1, or of odd size."""


@dataclass(frozen=True)
class DeveloperFeatures:
    """What the score knows of developers. A facet is one side of a developer's work, usually one repository.

    Attributes:
        developer_ids: Ids in ascending order; every array over developers has this order.
        facet_developer: Position of each facet's developer, ascending, shape (facets,).
        facet_names: Name of each facet.
        facet_repository: Position of each facet's repository, or `NO_REPOSITORY`, shape (facets,).
        vectors: Unit vectors of facets, shape (facets, dimensions); zero where `has_vector` is false.
        has_vector: Whether a facet has a vector, shape (facets,).
        repository_skills: Skills of repositories, unit rows weighted by rarity, shape (repositories, skills).
        repository_words: Words of repositories, weighted by use, shape (repositories, words).
        skill_ids: Skill id → column of `repository_skills` and `confidences`.
        skill_rarity: Rarity of each skill among repositories from 0 (everywhere) to 1 (nowhere), shape (skills,).
        words: Word → column of `repository_words`.
        word_rarity: Rarity of each word from 0 to 1, shape (words,).
        confidences: Confidence of each developer in each skill, shape (developers, skills).
        confidence_rarity: Rarity of each skill among developers' profiles from 0 to 1, shape (skills,).
        has_skills: Whether a developer has a skill profile, shape (developers,).
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
    facet_repository: Integers
    vectors: Vectors
    has_vector: npt.NDArray[np.bool_]
    repository_skills: csc_matrix
    repository_words: csc_matrix
    skill_ids: Mapping[str, int]
    skill_rarity: Floats
    words: Mapping[str, int]
    word_rarity: Floats
    confidences: csc_matrix
    confidence_rarity: Floats
    has_skills: npt.NDArray[np.bool_]
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


@dataclass(frozen=True)
class ProjectFeatures:
    """What the score knows of one project.

    Attributes:
        project_id: Its id.
        vector: Unit vector; None when the text has none.
        requirements: Skill id → importance from 0 to 1.
        title_words: Distinct words of the title.
        max_hourly_rate_minor: Highest rate; None when open.
        currency: Currency of the rate; None when there is none.
        hours_per_week: Hours a week of work; None when open.
    """

    project_id: str
    vector: Vectors | None
    requirements: Mapping[str, float]
    title_words: frozenset[str]
    max_hourly_rate_minor: int | None = None
    currency: str | None = None
    hours_per_week: int | None = None


def developer_features(
    *,
    developers: pd.DataFrame,
    repositories: pd.DataFrame,
    vectors: pd.DataFrame,
    skill_profiles: pd.DataFrame,
    language_skills: Mapping[str, str],
    as_of: dt.date,
) -> DeveloperFeatures:
    """Join the tables of the developer side.

    Args:
        developers: `marketplace.developers`; columns beyond `developer_id` may be absent and are then unknown.
        repositories: `platform.developer_repositories`.
        vectors: `platform.developer_vectors`.
        skill_profiles: `platform.skill_profiles`.
        language_skills: Language as GitHub names it → skill id; languages that are not in it are left out.
        as_of: The day from which idle time is counted.

    Returns:
        The features; rows of developers that are not in `developers` are left out.

    Raises:
        MatchingInputError: A vector can't be used.
    """
    developers = developers.drop_duplicates("developer_id").sort_values("developer_id", ignore_index=True)
    ids = tuple(developers["developer_id"])
    position = {developer_id: i for i, developer_id in enumerate(ids)}
    repositories = _of_known(repositories, position).sort_values(["developer_id", "repository"])
    vectors = _of_known(vectors, position)
    skill_profiles = _of_known(skill_profiles, position)

    names = sorted(set(repositories["repository"]))
    repository_position = {name: i for i, name in enumerate(names)}
    row_repository = np.array(
        [repository_position[name] for name in repositories["repository"]], dtype=np.int64
    )
    row_developer = np.array([position[d] for d in repositories["developer_id"]], dtype=np.int64)
    skill_ids = {
        skill: i for i, skill in enumerate(sorted({*language_skills.values(), *skill_profiles["skill_id"]}))
    }
    skills, skill_rarity = repository_skills(
        repositories, row_repository, len(names), language_skills, skill_ids
    )
    words, word_columns, word_rarity = repository_words(
        repositories, row_repository, row_developer, len(names)
    )
    facets = _facets(repositories, vectors, position, repository_position)
    confidences = sparse_matrix(
        skill_profiles["confidence"].to_numpy(dtype=np.float64),
        [position[d] for d in skill_profiles["developer_id"]],
        [skill_ids[s] for s in skill_profiles["skill_id"]],
        (len(ids), len(skill_ids)),
    )
    has_skills = np.zeros(len(ids), dtype=np.bool_)
    has_skills[[position[d] for d in skill_profiles["developer_id"]]] = True
    return DeveloperFeatures(
        developer_ids=ids,
        facet_developer=facets.developer,
        facet_names=facets.names,
        facet_repository=facets.repository,
        vectors=_with_repository_mean(facets),
        has_vector=facets.has_vector,
        repository_skills=skills.tocsc(),
        repository_words=words.tocsc(),
        skill_ids=skill_ids,
        skill_rarity=skill_rarity,
        words=word_columns,
        word_rarity=word_rarity,
        confidences=confidences.tocsc(),
        confidence_rarity=rarity(np.asarray((confidences > 0).sum(axis=0)).ravel(), len(ids)),
        has_skills=has_skills,
        hourly_rate_minor=_numbers(developers, "hourly_rate_minor"),
        currencies=texts_of(developers["currency"] if "currency" in developers else [None] * len(ids)),
        capacity_hours=_numbers(developers, "capacity_hours_per_week"),
        rating_average=_numbers(developers, "rating_average"),
        rating_count=np.nan_to_num(_numbers(developers, "rating_count")),
        idle_days=_idle_days(repositories, row_developer, len(ids), as_of),
    )


def project_features(
    *, projects: pd.DataFrame, requirements: pd.DataFrame, vectors: pd.DataFrame
) -> tuple[ProjectFeatures, ...]:
    """Join the tables of the project side, ordered by project id.

    Args:
        projects: `marketplace.projects`; columns beyond `project_id` and `title` may be absent and are then unknown.
        requirements: `platform.project_requirements`.
        vectors: `platform.project_vectors`.

    Raises:
        MatchingInputError: A vector can't be used.
    """
    asked = {
        project_id: dict(zip(rows["skill_id"], rows["weight"].astype(float)))
        for project_id, rows in requirements.groupby("project_id")
    }
    matrix = _checked_vectors(vectors["vector"], vectors["project_id"])
    vector_of = dict(zip(vectors["project_id"], matrix))
    return tuple(
        ProjectFeatures(
            project_id=row["project_id"],
            vector=vector_of.get(row["project_id"]),
            requirements=asked.get(row["project_id"], {}),
            title_words=frozenset(split_words(row["title"])),
            max_hourly_rate_minor=_whole(row.get("max_hourly_rate_minor")),
            currency=_text(row.get("currency")),
            hours_per_week=_whole(row.get("hours_per_week")),
        )
        for row in projects.sort_values("project_id").to_dict("records")
    )


def _of_known(frame: pd.DataFrame, position: Mapping[str, int]) -> pd.DataFrame:
    return frame[frame["developer_id"].isin(list(position))]


@dataclass(frozen=True)
class _Facets:
    developer: Integers
    names: tuple[str, ...]
    repository: Integers
    own: Vectors
    has_vector: npt.NDArray[np.bool_]


def _facets(
    repositories: pd.DataFrame,
    vectors: pd.DataFrame,
    position: Mapping[str, int],
    repository_position: Mapping[str, int],
) -> _Facets:
    """A developer's repositories and vectors, joined by name: either may be missing."""
    matrix = _checked_vectors(vectors["vector"], vectors["developer_id"])
    row_of = {key: i for i, key in enumerate(zip(vectors["developer_id"], vectors["facet"]))}
    keys = sorted({*zip(repositories["developer_id"], repositories["repository"]), *row_of})
    own = np.zeros((len(keys), matrix.shape[1]), dtype=np.float32)
    has_vector = np.zeros(len(keys), dtype=np.bool_)
    for i, key in enumerate(keys):
        if key in row_of:
            own[i], has_vector[i] = matrix[row_of[key]], True
    return _Facets(
        developer=np.array([position[developer] for developer, _ in keys], dtype=np.int64),
        names=tuple(name for _, name in keys),
        repository=np.array(
            [repository_position.get(name, NO_REPOSITORY) for _, name in keys], dtype=np.int64
        ),
        own=own,
        has_vector=has_vector,
    )


def _with_repository_mean(facets: _Facets) -> Vectors:
    """Own work and the mean over the repository's contributors, in equal parts, at unit length.

    A few commit subjects say little of what a repository is for; its contributors together do.
    """
    counted = facets.has_vector & (facets.repository != NO_REPOSITORY)
    means = np.zeros((int(facets.repository.max(initial=-1)) + 1, facets.own.shape[1]))
    np.add.at(means, facets.repository[counted], facets.own[counted].astype(np.float64))
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    means = np.divide(means, norms, out=np.zeros_like(means), where=norms > 0)
    mixed = facets.own.astype(np.float64)
    mixed[counted] += means[facets.repository[counted]]
    norms = np.linalg.norm(mixed, axis=1, keepdims=True)
    unit: Vectors = np.divide(mixed, norms, out=np.zeros_like(mixed), where=norms > 0).astype(np.float32)
    return unit


def _checked_vectors(vectors: Iterable[Any], owners: Iterable[Hashable]) -> Vectors:
    rows = [np.asarray(vector, dtype=np.float32) for vector in vectors]
    if not rows:
        return np.zeros((0, 0), dtype=np.float32)
    for owner, row in zip(owners, rows):
        if row.ndim != 1 or row.shape != rows[0].shape:
            raise MatchingInputError(
                f"The vector of {owner} has shape {row.shape}, others {rows[0].shape}: were they made by two models? "
                "Materialize the vectors again"
            )
        if not np.isfinite(row).all() or abs(float(np.linalg.norm(row)) - 1.0) > 1e-2:
            raise MatchingInputError(f"The vector of {owner} is not a finite vector of length 1")
    return np.stack(rows)


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


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)
