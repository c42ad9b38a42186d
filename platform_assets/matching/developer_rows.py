"""What a developer's own rows say, word by word, skill by skill and vector by vector, joined with the day's statistics.

Which tables that is and what else is known of developers is `features`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from platform_assets.matching.repositories import (
    SHARE_BITS,
    VECTOR_BITS,
    Floats,
    Integers,
    WordCounts,
    on_grid,
    sparse_matrix,
)
from platform_assets.matching.statistics import CorpusStatistics
from platform_assets.matching.vectors import Vectors, checked_vectors, unit_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

RELATED_SHARE = 0.5
"""What a skill's closest neighbour counts for where the skill itself is missing; set by judgement."""


@dataclass(frozen=True)
class NamedColumns:
    """A sparse matrix over developers, and name → column."""

    matrix: csr_matrix
    columns: Mapping[str, int]


@dataclass(frozen=True)
class Facets:
    """Sides of developers' work that have a vector, by developer and name.

    Attributes:
        developer: Position of each facet's developer, ascending.
        names: Their names.
        vectors: Their unit vectors, on the grid.
    """

    developer: Integers
    names: tuple[str, ...]
    vectors: Vectors


def positions_of(frame: pd.DataFrame, position: Mapping[str, int]) -> Integers:
    """Position of each row's developer."""
    return np.array([position[developer] for developer in frame["developer_id"]], dtype=np.int64)


def words_of(
    repositories: pd.DataFrame,
    row_developer: Integers,
    developers_count: int,
    counts: WordCounts,
    statistics: CorpusStatistics,
) -> NamedColumns:
    """The best of a developer's repositories for each word: √n, at most 1, for n texts that hold it.

    In a shared repository n is the larger of the contributors' mean, as the statistics have it, and half of the
    developer's own texts: single commits say less of what it is about. Word by word, so that a word counts once however
    many repositories it is found in.
    """
    names = [*statistics.words, *sorted(set(counts.words) - statistics.word_columns.keys())]
    columns = {word: column for column, word in enumerate(names)}
    column_of = np.array([columns[word] for word in counts.words], dtype=np.int64)
    shared_row = np.array(
        [statistics.repository_rows.get(name, -1) for name in repositories["repository"]], dtype=np.int64
    )
    shared = statistics.repository_words[shared_row[shared_row >= 0]].tocoo()
    own = counts.counts.tocoo()
    own_texts = np.where(shared_row[own.row] >= 0, 0.5, 1.0) * own.data
    rows = np.concatenate([row_developer[own.row], row_developer[shared_row >= 0][shared.row]])
    found = np.concatenate([column_of[own.col], shared.col.astype(np.int64)])
    use = np.minimum(1.0, np.sqrt(np.concatenate([own_texts, shared.data])))
    return NamedColumns(_largest(rows, found, use, (developers_count, len(names))), columns)


def _largest(rows: Integers, columns: Integers, values: Floats, shape: tuple[int, int]) -> csr_matrix:
    """The largest value at each place, on the grid; values lie between 0 and 1."""
    from scipy.sparse import csr_matrix

    # Place and value in one whole number, as sorting numbers is many times quicker than sorting by keys.
    value_bits = SHARE_BITS + 1
    numbers = np.rint(values * 2.0**SHARE_BITS).astype(np.int64)
    packed = np.sort(((rows * shape[1] + columns) << value_bits) | numbers)
    places = packed >> value_bits
    packed = packed[np.append(places[1:] != places[:-1], True)[: len(places)]]
    places = packed >> value_bits
    largest = (packed & ((1 << value_bits) - 1)) / 2.0**SHARE_BITS
    return csr_matrix((largest, (places // max(1, shape[1]), places % max(1, shape[1]))), shape=shape)


def skills_of(
    profiles: pd.DataFrame, position: Mapping[str, int], statistics: CorpusStatistics
) -> NamedColumns:
    """Confidences, and for skills next to those a part of them, where it is more than the skill's own."""
    from scipy.sparse import csr_matrix

    names = sorted(
        {
            *statistics.skill_rarity,
            *profiles["skill_id"],
            *(other for others in statistics.related_skills.values() for other, _ in others),
        }
    )
    columns = {skill: column for column, skill in enumerate(names)}
    shape = (len(position), len(names))
    own = sparse_matrix(
        on_grid(np.clip(profiles["confidence"].to_numpy(dtype=np.float64), 0.0, 1.0), SHARE_BITS),
        positions_of(profiles, position),
        [columns[skill] for skill in profiles["skill_id"]],
        shape,
    )
    matrix = csr_matrix(own)
    # One neighbour of each skill at a time: the maximum over them needs no room for their sum.
    for place in range(max(map(len, statistics.related_skills.values()), default=0)):
        steps = [
            (columns[other], columns[skill], weight)
            for skill, others in statistics.related_skills.items()
            if skill in columns
            for other, weight in others[place : place + 1]
        ]
        step = sparse_matrix(
            [RELATED_SHARE * weight for _, _, weight in steps],
            [other for other, _, _ in steps],
            [skill for _, skill, _ in steps],
            (len(names), len(names)),
        )
        part = own @ step
        part.data = on_grid(part.data, SHARE_BITS)
        matrix = matrix.maximum(part)
    matrix = csr_matrix(matrix)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return NamedColumns(matrix, columns)


def facets_of(vectors: pd.DataFrame, position: Mapping[str, int], statistics: CorpusStatistics) -> Facets:
    """Own work and the mean over the repository's contributors, in equal parts.

    A few commit subjects say little of what a repository is for; its contributors together do.
    """
    vectors = vectors.sort_values(["developer_id", "facet"])
    own = on_vector_grid(checked_vectors(vectors["vector"], vectors["developer_id"]))
    mixed = own.astype(np.float64)
    means = statistics.repository_vectors
    shared = np.array([statistics.repository_rows.get(name, -1) for name in vectors["facet"]], dtype=np.int64)
    # After a change of the model, means of the old one stay out until the statistics are computed again.
    if means.shape[1] == own.shape[1]:
        mixed[shared >= 0] += means[shared[shared >= 0]]
    return Facets(positions_of(vectors, position), tuple(vectors["facet"]), unit_rows(mixed))


def on_vector_grid(vectors: Vectors) -> Vectors:
    """Vectors, whose length the check lets be off by 1 %, at length 1 on the grid."""
    return unit_rows(on_grid(vectors, VECTOR_BITS))
