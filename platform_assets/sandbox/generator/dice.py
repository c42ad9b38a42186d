"""Random draws for generated worlds: seeded, cheap, and the same in every process.

All draws come from one stream of uniform numbers, so that a world depends on its seed and the order of draws alone.
No knowledge of what is drawn.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from statistics import NormalDist
from typing import Generic, TypeVar
from zlib import crc32

import numpy as np

T = TypeVar("T")

_BLOCK_SIZE = 65_536
_STANDARD_NORMAL = NormalDist()


class Weighted(Generic[T]):
    """Choices with their weights, prepared for many draws."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.choices = tuple(weights)
        self.cumulative = tuple(accumulate(weights.values()))


class Dice:
    """A seeded source of random values.

    Args:
        seed: Seed of the whole world.
        stream: What the draws are for. Streams of one seed are independent of each other, so that a change in one part
            of a world leaves the others as they are.
    """

    def __init__(self, seed: int, stream: str) -> None:
        # crc32 rather than hash(): the latter differs between processes.
        self._generator = np.random.default_rng([seed, crc32(stream.encode())])
        self._uniforms: list[float] = []

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number from `low` to below `high`."""
        if not self._uniforms:
            # One call per block: a call of numpy per number would cost fifty times as much.
            self._uniforms = self._generator.random(_BLOCK_SIZE).tolist()
        return low + (high - low) * self._uniforms.pop()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def normal(self, mean: float, deviation: float) -> float:
        """A normally distributed number."""
        return mean + deviation * _STANDARD_NORMAL.inv_cdf(max(self.uniform(), 1e-12))

    def lognormal(self, median: float, sigma: float) -> float:
        """A positive number with a long tail; `sigma` is the deviation of its logarithm."""
        return median * math.exp(self.normal(0.0, sigma))

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, each as likely as the others."""
        return choices[int(self.uniform() * len(choices))]

    def weighted(self, weighted: Weighted[T]) -> T:
        """One of the choices, by weight."""
        at = bisect_right(weighted.cumulative, self.uniform() * weighted.cumulative[-1])
        return weighted.choices[min(at, len(weighted.choices) - 1)]

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """Up to `count` different choices, in random order."""
        rest = list(choices)
        return [rest.pop(int(self.uniform() * len(rest))) for _ in range(min(count, len(rest)))]
