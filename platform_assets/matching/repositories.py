"""The words of repositories, how rare a thing is, and numbers on a grid on which sums are exact.

What the whole marketplace tells about repositories is `statistics`; what a developer's are worth is `scoring`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

VECTOR_BITS = 24
SHARE_BITS = 20

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


def on_grid(values: npt.ArrayLike, bits: int) -> Floats:
    """Values rounded to multiples of 2^-bits.

    A product of two values on grids of 2^-a and 2^-b is a multiple of 2^-(a+b). As long as every partial sum of such
    products stays below 2^(53-a-b), float64 holds each of them exactly: the sum is the same in whatever order, blocks or
    library it is computed. Vectors have 24 bits and partial sums of at most 4, all else has 20 and far less than 2^13.
    """
    scale = 2.0**bits
    rounded: Floats = np.rint(np.asarray(values, dtype=np.float64) * scale) / scale
    return rounded


@dataclass(frozen=True)
class WordCounts:
    """In how many texts of a row of `platform.developer_repositories` each word occurs.

    Attributes:
        words: The words, ascending.
        counts: Shape (rows, words); texts are the row's commit subjects, and its topics taken together.
    """

    words: tuple[str, ...]
    counts: csr_matrix

    def rows(self, positions: Integers) -> WordCounts:
        """The counts of some rows, in the given order; words that only others have stay, with nothing in them."""
        return WordCounts(self.words, self.counts[positions])


def count_words(repositories: pd.DataFrame) -> WordCounts:
    """Count the words of `topics` and `subjects`, row by row."""
    mentions = [
        Counter(word for text in (" ".join(topics), *subjects) for word in set(split_words(text)))
        for topics, subjects in zip(repositories["topics"], repositories["subjects"])
    ]
    words = sorted(set().union(*mentions))
    column_of = {word: column for column, word in enumerate(words)}
    return WordCounts(
        tuple(words),
        sparse_matrix(
            [count for row in mentions for count in row.values()],
            [row for row, counts in enumerate(mentions) for _ in counts],
            [column_of[word] for row in mentions for word in row],
            (len(mentions), len(words)),
        ),
    )


def sparse_matrix(
    values: Sequence[float] | npt.NDArray[np.floating], rows: Any, columns: Any, shape: tuple[int, int]
) -> csr_matrix:
    """Values at rows and columns, float64 unless they are an array of another type; those at the same place add up."""
    from scipy.sparse import csr_matrix

    array = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=np.float64)
    return csr_matrix((array, (rows, columns)), shape=shape)
