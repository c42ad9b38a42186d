"""A block of projects that sees developers chunk by chunk and keeps the pairs that may still be among the best.

Every pair has a lower bound L and an upper bound U of its score. If `count` developers who may be matched with a project
have L ≥ t, then whoever has U < t is not among its `count` best; t only rises as developers come in. How approximate
scores and their bounds come about is `kernels`; what a pair is worth in the end is `scoring`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.kernels import (
    BFLOAT16,
    DeveloperSide,
    Kernel,
    ProjectSide,
    Rough,
    rough_products,
    sparse_products,
)
from platform_assets.matching.project_rows import ProjectRows
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import Scores, availability_terms, rate_terms, score_rows
from platform_assets.matching.weights import Weights

Mask = npt.NDArray[np.bool_]

PairFilter = Callable[[Integers, Integers], Mask]
"""Positions of the projects and of the developers of pairs → which of them may be matched."""

_GROUP = 16
"""Developers whose best stands for all of them when a first threshold is looked for."""

_WANTED_TIMES = (3, 12, 48)
"""Pairs with which a first threshold is looked for, in multiples of those wanted: more where filters refuse more."""

_PAIRS_AT_ONCE = 2**18


@dataclass(frozen=True)
class _Survivors:
    """Pairs that may still be among the best; arrays of one length.

    Attributes:
        rows: Row of the project within its block.
        developers: Position of the developer.
        lower: Lower bound of the score.
        upper: Upper bound of the score.
    """

    rows: Integers
    developers: Integers
    lower: Floats
    upper: Floats

    def kept(self, mask: Mask) -> _Survivors:
        return _Survivors(self.rows[mask], self.developers[mask], self.lower[mask], self.upper[mask])

    def joined(self, others: list[_Survivors]) -> _Survivors:
        everything = [self, *others]
        return _Survivors(
            np.concatenate([some.rows for some in everything]),
            np.concatenate([some.developers for some in everything]),
            np.concatenate([some.lower for some in everything]),
            np.concatenate([some.upper for some in everything]),
        )


_NOBODY = _Survivors(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


class ProjectBlock:
    """Projects that stand together, their thresholds and what may be among their best. One thread at a time uses it."""

    def __init__(
        self,
        projects: ProjectRows,
        side: ProjectSide,
        rows: slice,
        *,
        count: int,
        at_least: Floats,
        weights: Weights,
        kernel: Kernel,
    ) -> None:
        """Start with nobody seen.

        Args:
            projects: All projects.
            side: All projects as the kernel reads them.
            rows: Which of them are the block's.
            count: How many developers each project wants.
            at_least: Score below which a project's pairs don't matter, shape (all projects,).
            weights: What terms are worth.
            kernel: What approximates.
        """
        self._projects = projects
        self._side = side
        self._span = rows
        self._error = side.error[rows]
        self._count = count
        self._weights = weights
        self._kernel = kernel
        self._thresholds = at_least[rows].astype(np.float64)
        self._survivors = _NOBODY
        # What a pair's rate and availability add at most: nothing where the project does not say what it wants.
        self._largest_rest = weights.rate.value * ~np.isnan(
            projects.affordable_rate_minor[rows]
        ) + weights.availability.value * ~np.isnan(projects.hours_per_week[rows])

    def see(
        self,
        developers: DeveloperFeatures,
        positions: Integers,
        side: DeveloperSide,
        allowed: PairFilter,
    ) -> None:
        """Compare the projects with a chunk of developers."""
        rough = _comparable(rough_products(self._side, self._span, side, self._kernel), self._kernel)
        rows, columns, values = sparse_products(self._side, self._span, side)
        chunk = _Chunk(
            developers,
            positions,
            rough,
            np.empty(rough.shape, dtype=np.bool_),
            rows,
            columns * rough.shape[1] + rows,
            values,
        )
        for times in _WANTED_TIMES:
            unbounded = np.flatnonzero(np.isneginf(self._thresholds))
            if not len(unbounded) or len(positions) < _GROUP * self._count:
                break
            self._promising(chunk, unbounded, times * self._count)
            self._raise_thresholds(self._look(chunk, allowed))
        self._possible(chunk)
        found = self._look(chunk, allowed)
        survivors = self._survivors.joined(found)
        self._raise_thresholds([survivors])
        self._survivors = survivors.kept(survivors.upper >= self._thresholds[survivors.rows])

    def best(self, developers: DeveloperFeatures, at_least: Floats) -> tuple[Integers, Integers, Scores]:
        """Rows and developers of each project's best among all that were seen, best first, with their exact scores."""
        first = self._span.start
        order = np.argsort(self._survivors.rows, kind="stable")
        rows, positions = self._survivors.rows[order] + first, self._survivors.developers[order]
        scores = score_rows(self._projects, developers, rows, positions, weights=self._weights)
        order = np.lexsort((positions, -scores.totals, rows))
        places = np.arange(len(order)) - np.searchsorted(rows, rows)
        kept = order[(places < self._count) & (scores.points[order] >= at_least[rows[order]])]
        return rows[kept], positions[kept], scores.rows(kept)

    def _promising(self, chunk: _Chunk, rows: Integers, count: int) -> None:
        """Mark about `count` pairs of high approximate score of each of some rows: they give a first threshold."""
        groups = len(chunk.rough) // _GROUP
        grouped = chunk.rough[: groups * _GROUP].reshape(_GROUP, groups, chunk.width).max(axis=0)
        place = groups - min(groups, count)
        # No pair of another row reaches the largest number there is.
        largest = np.inf if chunk.rough.dtype.kind == "f" else np.iinfo(chunk.rough.dtype).max
        thresholds = np.full(chunk.width, largest, dtype=chunk.rough.dtype)
        thresholds[rows] = np.partition(np.ascontiguousarray(grouped[:, rows].T), place, axis=1)[:, place]
        np.greater_equal(chunk.rough, thresholds, out=chunk.marked)

    def _possible(self, chunk: _Chunk) -> None:
        """Mark the pairs whose upper bound may reach the threshold: all others surely don't."""
        relative = self._kernel.result_roundoff
        needed = self._thresholds - self._error - self._largest_rest
        np.greater_equal(chunk.rough, _at_most(needed / (1 + relative), self._kernel), out=chunk.marked)
        rough = _values(chunk.rough.ravel()[chunk.sparse_pairs], self._kernel)
        upper = rough + relative * np.abs(rough) + chunk.sparse_values
        lifted = chunk.sparse_pairs[upper >= needed[chunk.sparse_rows]]
        chunk.marked.ravel()[lifted] = True

    def _look(self, chunk: _Chunk, allowed: PairFilter) -> list[_Survivors]:
        """Bounds of those of the marked pairs that may be matched and reach the threshold."""
        pairs = np.flatnonzero(chunk.marked)
        sparse_part = np.zeros(len(pairs), dtype=np.float32)
        is_marked = chunk.marked.ravel()[chunk.sparse_pairs]
        sparse_part[np.searchsorted(pairs, chunk.sparse_pairs[is_marked])] = chunk.sparse_values[is_marked]
        return [
            self._bounded(chunk, pairs[start:end], sparse_part[start:end], allowed)
            for start in range(0, len(pairs), _PAIRS_AT_ONCE)
            for end in [start + _PAIRS_AT_ONCE]
        ]

    def _bounded(self, chunk: _Chunk, pairs: Integers, sparse_part: Rough, allowed: PairFilter) -> _Survivors:
        places = pairs // chunk.width
        rows, positions = pairs - places * chunk.width, chunk.positions[places]
        may_match = allowed(rows + self._span.start, positions)
        pairs, rows, positions = pairs[may_match], rows[may_match], positions[may_match]
        project_rows = rows + self._span.start
        rough = _values(chunk.rough.ravel()[pairs], self._kernel)
        weights = self._weights
        score = (
            rough
            + sparse_part[may_match]
            + weights.rate.value
            * np.nan_to_num(rate_terms(self._projects, chunk.developers, project_rows, positions))
            + weights.availability.value
            * np.nan_to_num(availability_terms(self._projects, chunk.developers, project_rows, positions))
        )
        off = self._error[rows] + self._kernel.result_roundoff * np.abs(rough)
        survivors = _Survivors(rows, positions, score - off, score + off)
        return survivors.kept(survivors.upper >= self._thresholds[rows])

    def _raise_thresholds(self, found: list[_Survivors]) -> None:
        """Let each threshold be the `count`-th largest lower bound of its row, if that is higher."""
        for some in found:
            counts = np.bincount(some.rows, minlength=len(self._thresholds))
            # Row and bound in one whole number, as sorting numbers is many times quicker than sorting by keys.
            ordered = np.sort((some.rows << 32) | _falling(some.lower))
            rows = np.flatnonzero(counts >= self._count)
            places = (np.cumsum(counts) - counts)[rows] + self._count - 1
            bounds = _from_falling(ordered[places] & 0xFFFFFFFF)
            self._thresholds[rows] = np.maximum(self._thresholds[rows], bounds)


@dataclass(frozen=True)
class _Chunk:
    """A chunk of developers as a block sees it. A pair is a number: place of the developer × width + row of the project.

    Attributes:
        developers: All developers.
        positions: Which of them are the chunk's.
        rough: Approximate dense scores, in a form in which larger is better, shape (developers, rows).
        marked: Pairs to look at, of the same shape.
        sparse_rows: Rows of pairs that share a sparse skill or word, ascending.
        sparse_pairs: The pairs.
        sparse_values: What that adds to their score.
    """

    developers: DeveloperFeatures
    positions: Integers
    rough: npt.NDArray[Any]
    marked: Mask
    sparse_rows: Integers
    sparse_pairs: Integers
    sparse_values: Rough

    @property
    def width(self) -> int:
        return int(self.rough.shape[1])


def _comparable(product: Any, kernel: Kernel) -> npt.NDArray[Any]:
    """Numbers that compare as the products do, among positive ones; a negative one is below all positive ones.

    NumPy has no bfloat16, but floating-point numbers without a sign sort like the whole numbers that their bits spell.
    """
    if kernel is not BFLOAT16:
        rough: npt.NDArray[Any] = product
        return rough
    import torch

    bits: npt.NDArray[Any] = product.view(torch.int16).numpy()
    return bits


def _values(comparable: npt.NDArray[Any], kernel: Kernel) -> Floats:
    """The products that `_comparable` stands for."""
    if kernel is BFLOAT16:
        comparable = (comparable.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return comparable.astype(np.float64)


def _at_most(values: Floats, kernel: Kernel) -> npt.NDArray[Any]:
    """Comparable numbers not above the given values; the lowest of all where the order does not hold."""
    below = np.nextafter(values.astype(np.float32), np.float32(-np.inf))
    if kernel is not BFLOAT16:
        return below
    # Half of a positive float32 cut off is a bfloat16 not above it.
    bits = (below.view(np.uint32) >> 16).astype(np.uint16).view(np.int16)
    return np.where(below > 0, bits, np.int16(-(2**15)))


def _falling(values: Floats) -> Integers:
    """Whole numbers of 32 bits that are smaller for larger values, each value rounded down to float32."""
    bits = np.nextafter(values.astype(np.float32), np.float32(-np.inf)).view(np.int32).astype(np.int64)
    rising = np.where(bits < 0, 0x7FFFFFFF - (bits & 0x7FFFFFFF), bits + 0x80000000)
    falling: Integers = 0xFFFFFFFF - rising
    return falling


def _from_falling(falling: Integers) -> Floats:
    """The values of `_falling`."""
    rising = 0xFFFFFFFF - falling
    bits = np.where(rising < 0x80000000, (0x7FFFFFFF - rising) | 0x80000000, rising - 0x80000000)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)
