"""What repositories are like: their skills and words, shared by everybody who works on them.

Also how rare a thing is. Who works where, with what vectors, is `features`; what a likeness is worth is `scoring`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NEIGHBOUR_WEIGHT = 1.0
"""How much the words of related repositories count beside a repository's own: as much, before relatedness (≤ 1)."""

PRESENT_SHARE = 0.02
"""A repository has a skill from this share of its code on."""

_WORD = re.compile(r"[^\W\d_][^\W_]+")


def split_words(text: str) -> list[str]:
    """Words of two and more characters that begin with a letter, in folded case; `_`, `-` and `/` part words."""
    return _WORD.findall(text.casefold())


def rarity(holders_count: npt.ArrayLike, total_count: int) -> Floats:
    """How rare something is that `holders_count` of `total_count` have: 1 - log(1 + holders) / log(1 + total).

    Inverse document frequency scaled to 0 … 1, so that weights keep their meaning when the marketplace grows.
    """
    held = np.asarray(holders_count, dtype=np.float64)
    if total_count == 0:
        return np.zeros_like(held)
    rare: Floats = 1.0 - np.log1p(held) / np.log1p(float(total_count))
    return rare


def repository_skills(
    repositories: pd.DataFrame,
    row_repository: Integers,
    repositories_count: int,
    language_skills: Mapping[str, str],
    skill_ids: Mapping[str, int],
) -> tuple[csr_matrix, Floats]:
    """Square roots of skill shares × rarity, unit rows; a share is the mean over a repository's contributors.

    The root keeps a second language from vanishing beside the first.
    """
    contributors = np.bincount(row_repository, minlength=repositories_count)
    rows, columns, values = [], [], []
    for row, languages in zip(row_repository, repositories["languages"]):
        total = float(sum(languages.values()))
        for language, amount in languages.items():
            skill = language_skills.get(language)
            if skill is not None and total > 0:
                rows.append(row)
                columns.append(skill_ids[skill])
                values.append(amount / total / contributors[row])
    shares = sparse_matrix(values, rows, columns, (repositories_count, len(skill_ids)))
    skill_rarity = rarity(np.asarray((shares > PRESENT_SHARE).sum(axis=0)).ravel(), repositories_count)
    weighted = shares.sqrt().tocoo()
    weighted.data *= skill_rarity[weighted.col]
    norms = np.sqrt(np.bincount(weighted.row, weights=weighted.data**2, minlength=repositories_count))
    nonzero = weighted.data > 0
    unit = weighted.data[nonzero] / norms[weighted.row[nonzero]]
    shape = (repositories_count, len(skill_ids))
    return sparse_matrix(unit, weighted.row[nonzero], weighted.col[nonzero], shape), skill_rarity


def repository_words(
    repositories: pd.DataFrame, row_repository: Integers, row_developer: Integers, repositories_count: int
) -> tuple[csr_matrix, Mapping[str, int], Floats]:
    """Square roots of how often a contributor of the repository, or of related ones, uses a word.

    Repositories are related by shared contributors (cosine of their contributor sets): who works on one of them
    is close to the others' subject.
    """
    texts = [
        [" ".join(topics), *subjects]
        for topics, subjects in zip(repositories["topics"], repositories["subjects"])
    ]
    mentions = [_texts_with_words(row) for row in texts]
    vocabulary = {word: i for i, word in enumerate(sorted(set().union(*mentions) if mentions else set()))}
    contributors = np.bincount(row_repository, minlength=repositories_count)
    rows = [row for row, counts in zip(row_repository, mentions) for _ in counts]
    columns = [vocabulary[word] for counts in mentions for word in counts]
    values = [
        count / contributors[row]
        for row, counts in zip(row_repository, mentions)
        for count in counts.values()
    ]
    use = sparse_matrix(values, rows, columns, (repositories_count, len(vocabulary)))
    word_rarity = rarity(np.asarray((use > 0).sum(axis=0)).ravel(), repositories_count)

    worked = sparse_matrix(
        np.ones(len(row_repository)),
        row_repository,
        row_developer,
        (repositories_count, int(row_developer.max(initial=-1)) + 1),
    )
    shared = (worked @ worked.T).tocoo()
    related = shared.data / np.sqrt(contributors[shared.row] * contributors[shared.col])
    related[shared.row == shared.col] = 0.0
    neighbours = sparse_matrix(related, shared.row, shared.col, (repositories_count, repositories_count))
    return (use + NEIGHBOUR_WEIGHT * (neighbours @ use)).sqrt(), vocabulary, word_rarity


def _texts_with_words(texts: Sequence[str]) -> Mapping[str, int]:
    """Word → number of texts that have it, by word: what adds up in an order that hangs on hashes is never the same."""
    counts = Counter(word for text in texts for word in set(split_words(text)))
    return dict(sorted(counts.items()))


def sparse_matrix(
    values: Sequence[float] | Floats, rows: Any, columns: Any, shape: tuple[int, int]
) -> csr_matrix:
    """Values at rows and columns; those at the same place add up."""
    from scipy.sparse import csr_matrix

    return csr_matrix((np.asarray(values, dtype=np.float64), (rows, columns)), shape=shape)
