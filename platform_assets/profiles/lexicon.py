"""Words of skill names: which names a text covers by its own words. Spellings and aliases are `vocabulary`'s."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from platform_assets.spelling import split_words

Floats = npt.NDArray[np.float32]

_SUFFIXES = ("ing", "ed", "ment", "tion", "er")


def stem(word: str) -> str:
    """A word without its plural and one common suffix, so that `programmers` meets `programming`.

    Much lighter than Porter's stemmer: names of skills are short, and what it misses the embeddings find.
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for suffix in _SUFFIXES:
        if len(word) - len(suffix) >= 4 and word.endswith(suffix):
            return word.removesuffix(suffix)
    return word


@dataclass(frozen=True)
class Lexicon:
    """Stemmed words of a list of names, weighted by how rare they are among the names.

    Attributes:
        size: Number of names.
        postings: Stem → positions of the names that have it, and its share of each name's weight.
    """

    size: int
    postings: Mapping[str, tuple[npt.NDArray[np.int64], Floats]]

    @classmethod
    def of(cls, names: Sequence[str]) -> Lexicon:
        """Index names; a word's weight is its inverse document frequency, log(names / names with it)."""
        # Sorted, so that a weight does not hang on the order of a set.
        stems = [sorted({stem(word.norm) for word in split_words(name)}) for name in names]
        frequency = Counter(word for own in stems for word in own)
        # A word that every name has still counts a little, so that no name's weight is 0.
        rarity = {word: math.log(1 + len(names) / count) for word, count in frequency.items()}
        postings: dict[str, list[tuple[int, float]]] = {}
        for position, own in enumerate(stems):
            total = sum(rarity[word] for word in own)
            for word in own:
                postings.setdefault(word, []).append((position, rarity[word] / total))
        return cls(
            len(names),
            {
                word: (
                    np.array([position for position, _ in own], dtype=np.int64),
                    np.array([share for _, share in own], dtype=np.float32),
                )
                for word, own in postings.items()
            },
        )

    def coverage(self, text: str) -> Floats:
        """The weighted share of each name's words that the text contains, from 0 to 1, shape (names,)."""
        shares = np.zeros(self.size, dtype=np.float32)
        for word in sorted({stem(word.norm) for word in split_words(text)} & self.postings.keys()):
            positions, share = self.postings[word]
            shares[positions] += share
        return shares
