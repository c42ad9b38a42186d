"""What matching takes from the marketplace as a whole: rarities, related skills, and repositories that people share.

Computed once a day and handed to feature building, so that between two days a changed developer changes the scores of
nobody else. What one developer or project is like is `features`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.repositories import (
    SHARE_BITS,
    VECTOR_BITS,
    Floats,
    Integers,
    WordCounts,
    count_words,
    on_grid,
    rarity,
    sparse_matrix,
)
from platform_assets.matching.vectors import checked_vectors, unit_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

RELATED_SKILLS = 5
"""Neighbours of a skill that count in part: the sixth is rarely one that could stand in for it."""

REPOSITORY_WORDS = 256
"""Words that a shared repository is known by: they are stored with each of its contributors."""


@dataclass(frozen=True)
class CorpusStatistics:
    """Statistics of one day.

    Attributes:
        skill_rarity: Skill → rarity among developers' profiles, from 0 (all have it) to 1; a skill that is not in it is
            as rare as can be.
        related_skills: Skill → its strongest neighbours in the skill graph with their weights, from 0 to 1.
        words: Words of repositories, ascending.
        word_rarity: Rarity of each word among repositories, shape (words,).
        repositories: Names of repositories on which several developers work, ascending.
        repository_words: In how many texts of one of their contributors, or of those of related repositories, a word
            occurs on average, shape (repositories, words).
        repository_vectors: Direction of the mean of their contributors' vectors, zero where nobody has one, shape
            (repositories, dimensions).
    """

    skill_rarity: Mapping[str, float]
    related_skills: Mapping[str, Sequence[tuple[str, float]]]
    words: tuple[str, ...]
    word_rarity: Floats
    repositories: tuple[str, ...]
    repository_words: csr_matrix
    repository_vectors: npt.NDArray[np.float32]

    @cached_property
    def version(self) -> str:
        """SHA-256 of the contents."""
        digest = hashlib.sha256()
        for name, array in self._arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def word_columns(self) -> Mapping[str, int]:
        """Word → its column."""
        return {word: column for column, word in enumerate(self.words)}

    @cached_property
    def repository_rows(self) -> Mapping[str, int]:
        """Repository → its row."""
        return {name: row for row, name in enumerate(self.repositories)}

    def to_bytes(self) -> bytes:
        """The statistics as one compressed file of arrays, for `from_bytes`."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **self._arrays())
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> CorpusStatistics:
        """Statistics as `to_bytes` wrote them; the version is the same."""
        from scipy.sparse import csr_matrix

        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            words, repositories = _texts(arrays["words"]), _texts(arrays["repositories"])
            related: dict[str, list[tuple[str, float]]] = {}
            for skill, other, weight in zip(
                _texts(arrays["related_of"]), _texts(arrays["related_to"]), arrays["related_weights"].tolist()
            ):
                related.setdefault(skill, []).append((other, weight))
            return cls(
                skill_rarity=dict(zip(_texts(arrays["skills"]), arrays["skill_rarity"].tolist())),
                related_skills={skill: tuple(others) for skill, others in related.items()},
                words=words,
                word_rarity=arrays["word_rarity"],
                repositories=repositories,
                repository_words=csr_matrix(
                    (arrays["use"], arrays["use_columns"], arrays["use_starts"]),
                    shape=(len(repositories), len(words)),
                ),
                repository_vectors=arrays["repository_vectors"],
            )

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        edges = [
            (skill, other, weight)
            for skill, others in sorted(self.related_skills.items())
            for other, weight in others
        ]
        skills = sorted(self.skill_rarity)
        return {
            "skills": _encoded(skills),
            "skill_rarity": np.array([self.skill_rarity[skill] for skill in skills], dtype=np.float64),
            "related_of": _encoded([skill for skill, _, _ in edges]),
            "related_to": _encoded([other for _, other, _ in edges]),
            "related_weights": np.array([weight for _, _, weight in edges], dtype=np.float64),
            "words": _encoded(self.words),
            "word_rarity": self.word_rarity,
            "repositories": _encoded(self.repositories),
            "use": self.repository_words.data,
            "use_columns": self.repository_words.indices.astype(np.int64),
            "use_starts": self.repository_words.indptr.astype(np.int64),
            "repository_vectors": self.repository_vectors,
        }


def corpus_statistics(
    *,
    developers_count: int,
    repositories: pd.DataFrame,
    vectors: pd.DataFrame,
    skill_profiles: pd.DataFrame,
    skill_edges: pd.DataFrame,
    word_counts: WordCounts | None = None,
) -> CorpusStatistics:
    """Compute the statistics of a marketplace.

    Args:
        developers_count: Number of developers, with and without a profile.
        repositories: `platform.developer_repositories`.
        vectors: `platform.developer_vectors`.
        skill_profiles: `platform.skill_profiles`.
        skill_edges: `platform.skill_edges`.
        word_counts: Words of `repositories`, row by row, where they are known already.

    Raises:
        MatchingInputError: A vector can't be used.
    """
    holders = skill_profiles.loc[skill_profiles["confidence"] > 0, "skill_id"].value_counts()
    skills = sorted(holders.index)
    counts = count_words(repositories) if word_counts is None else word_counts
    # Sums of floats depend on their order.
    order = np.lexsort((repositories["developer_id"], repositories["repository"]))
    repositories, counts = repositories.iloc[order], counts.rows(order)
    row_repository, names = pd.factorize(repositories["repository"], sort=True)
    contributors = np.bincount(row_repository, minlength=len(names))
    use = _mean_use(counts, row_repository, contributors)
    word_rarity = rarity(np.asarray((use > 0).sum(axis=0)).ravel(), len(names))
    shared = np.flatnonzero(contributors > 1)
    shared_names = tuple(str(name) for name in names[shared])
    related_use = _relatedness(repositories, row_repository, contributors) @ use
    repository_words = _telling_words((use + related_use)[shared].tocsr(), word_rarity)
    return CorpusStatistics(
        skill_rarity=dict(zip(skills, rarity(holders.loc[skills], developers_count).tolist())),
        related_skills=_related_skills(skill_edges),
        words=counts.words,
        word_rarity=on_grid(word_rarity, SHARE_BITS),
        repositories=shared_names,
        repository_words=repository_words,
        repository_vectors=_mean_directions(vectors, shared_names),
    )


def _mean_use(counts: WordCounts, row_repository: Integers, contributors: Integers) -> csr_matrix:
    """Mean over a repository's contributors, shape (repositories, words)."""
    rows = np.arange(len(row_repository))
    shape = (len(contributors), len(row_repository))
    mean = sparse_matrix(1.0 / contributors[row_repository], row_repository, rows, shape)
    use: csr_matrix = mean @ counts.counts
    return use


def _telling_words(use: csr_matrix, word_rarity: Floats) -> csr_matrix:
    """The words of each repository that are used most for their rarity, `REPOSITORY_WORDS` at most."""
    from scipy.sparse import csr_matrix

    rows = np.repeat(np.arange(use.shape[0]), np.diff(use.indptr))
    order = np.lexsort((use.indices, -np.sqrt(use.data) * word_rarity[use.indices], rows))
    rank = np.arange(len(rows)) - use.indptr[rows]
    kept = order[rank < REPOSITORY_WORDS]
    telling = csr_matrix((use.data[kept], (rows[kept], use.indices[kept])), shape=use.shape)
    telling.sort_indices()
    return telling


def _relatedness(repositories: pd.DataFrame, row_repository: Integers, contributors: Integers) -> csr_matrix:
    """Cosine of repositories' sets of contributors: who works on one of them is close to the others' subject."""
    row_developer, developers = pd.factorize(repositories["developer_id"])
    worked = sparse_matrix(
        np.ones(len(row_repository)), row_repository, row_developer, (len(contributors), len(developers))
    )
    together = (worked @ worked.T).tocoo()
    cosines = together.data / np.sqrt(contributors[together.row] * contributors[together.col])
    cosines[together.row == together.col] = 0.0
    return sparse_matrix(cosines, together.row, together.col, (len(contributors), len(contributors)))


def _mean_directions(vectors: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.float32]:
    matrix = on_grid(checked_vectors(vectors["vector"], vectors["developer_id"]), VECTOR_BITS)
    row_of = {name: row for row, name in enumerate(names)}
    rows = np.array([row_of.get(facet, -1) for facet in vectors["facet"]], dtype=np.int64)
    sums = np.zeros((len(names), matrix.shape[1]))
    # Sums of numbers on a grid are exact, in whatever order the rows come.
    np.add.at(sums, rows[rows >= 0], matrix[rows >= 0])
    return unit_rows(sums)


def _related_skills(edges: pd.DataFrame) -> dict[str, tuple[tuple[str, float], ...]]:
    directed = pd.concat(
        [
            edges[["skill_id_a", "skill_id_b", "weight"]].set_axis(["skill", "other", "weight"], axis=1),
            edges[["skill_id_b", "skill_id_a", "weight"]].set_axis(["skill", "other", "weight"], axis=1),
        ]
    ).sort_values(["skill", "weight", "other"], ascending=[True, False, True])
    strongest = directed.groupby("skill").head(RELATED_SKILLS)
    return {
        str(skill): tuple(zip(rows["other"], rows["weight"].astype(float)))
        for skill, rows in strongest.groupby("skill")
    }


def _encoded(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Texts as bytes with their ends: any text survives, trailing NUL characters, too."""
    parts = [text.encode("utf-8", errors="surrogatepass") for text in texts]
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    header = np.array([len(parts)], dtype=np.int64).tobytes() + ends.tobytes()
    return np.frombuffer(header + b"".join(parts), dtype=np.uint8)


def _texts(encoded: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    raw = encoded.tobytes()
    count = int(np.frombuffer(raw[:8], dtype=np.int64)[0])
    ends = np.frombuffer(raw[8 : 8 + 8 * count], dtype=np.int64).tolist()
    body = raw[8 + 8 * count :]
    return tuple(
        body[start:end].decode("utf-8", errors="surrogatepass") for start, end in zip([0, *ends[:-1]], ends)
    )
