"""Projects laid out as rows, in the columns of the developers they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.repositories import Floats, Integers, sparse_matrix
from platform_assets.matching.vectors import MatchingInputError, Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class ProjectRows:
    """Arrays over projects, in the order in which they were given.

    Attributes:
        vectors: Unit vectors, zero where there is none, shape (projects, dimensions).
        has_vector: Whether a project has one.
        skills: Shares of what is asked, shape (projects, the developers' skills), columns of a row ascending.
        asks: Whether a project asks for any skill.
        words: Rarities of the title's words, shape (projects, the developers' words), columns of a row ascending.
        has_title: Whether the title holds any word.
        affordable_rate_minor: Highest rate; NaN when open.
        currency_code: Its currency among `DeveloperFeatures.currency_codes`; -1 for one that no developer has.
        hours_per_week: Wanted hours; NaN when open.
    """

    vectors: Vectors
    has_vector: npt.NDArray[np.bool_]
    skills: csr_matrix
    asks: npt.NDArray[np.bool_]
    words: csr_matrix
    has_title: npt.NDArray[np.bool_]
    affordable_rate_minor: Floats
    currency_code: Integers
    hours_per_week: Floats


def project_rows(projects: Sequence[ProjectFeatures], developers: DeveloperFeatures) -> ProjectRows:
    """Lay out projects.

    Raises:
        MatchingInputError: A project's vector is not as long as the developers'.
    """
    dimensions = developers.dimensions
    vectors = np.zeros((len(projects), dimensions), dtype=np.float32)
    for row, project in enumerate(projects):
        if project.vector is None or not dimensions:
            continue
        if len(project.vector) != dimensions:
            raise MatchingInputError(
                f"The vector of project {project.project_id} has {len(project.vector)} dimensions, developers' have "
                f"{dimensions}: were they made by two models? Materialize the vectors again"
            )
        vectors[row] = project.vector
    code_of = {currency: code for code, currency in enumerate(developers.currency_names)}
    return ProjectRows(
        vectors=vectors,
        has_vector=np.array([project.vector is not None for project in projects], dtype=np.bool_),
        skills=_rows([project.skills for project in projects], developers.skill_columns),
        asks=np.array([bool(project.skills) for project in projects], dtype=np.bool_),
        words=_rows([project.words for project in projects], developers.word_columns),
        has_title=np.array([bool(project.words) for project in projects], dtype=np.bool_),
        affordable_rate_minor=np.array(
            [_or_nan(project.affordable_rate_minor) for project in projects], dtype=np.float64
        ),
        currency_code=np.array(
            [code_of.get(project.currency or "", -1) for project in projects], dtype=np.int64
        ),
        hours_per_week=np.array(
            [_or_nan(project.hours_per_week or None) for project in projects], dtype=np.float64
        ),
    )


def _rows(values: Sequence[Mapping[str, float]], columns: Mapping[str, int]) -> csr_matrix:
    known = [
        (row, columns[name], value)
        for row, named in enumerate(values)
        for name, value in named.items()
        if name in columns
    ]
    matrix = sparse_matrix(
        [value for _, _, value in known],
        [row for row, _, _ in known],
        [column for _, column, _ in known],
        (len(values), len(columns)),
    )
    matrix.sort_indices()
    return matrix


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
