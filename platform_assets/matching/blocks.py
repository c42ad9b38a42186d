"""A block of projects that sees developers chunk by chunk and keeps the pairs that may still be among the best.

Every pair has a lower bound L and an upper bound U of its score. If `count` developers who may be matched with a project
have L ≥ t, then whoever has U < t is not among its `count` best; t only rises as developers come in. How approximate
scores and their bounds come about is `kernels`; what a pair is worth in the end is `scoring`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.kernels import (
    BFLOAT16,
    Columns,
    DeveloperSide,
    Kernel,
    ProjectSide,
    Rough,
    rough_products,
)
from platform_assets.matching.project_rows import ProjectRows
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import Scores, availability_terms, rate_terms, score_rows
from platform_assets.matching.weights import Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Mask = npt.NDArray[np.bool_]

PairFilter = Callable[[Integers, Integers], Mask]
"""Positions of the projects and of the developers of pairs → which of them may be matched."""

_GROUP = 16
"""Developers whose best stands for all of them when a first threshold is looked for."""

_FIRST_TIMES = 3
"""Pairs with which a first threshold is looked for, in multiples of those wanted."""

_ATTEMPTS = 3
_SAFETY, _MOST_TIMES_MORE = 1.3, 8
"""How often it is looked for, each time with as many more as filters refused, and some more."""

_ABOVE_OFFSET = 0.25
"""Where the smallest sum that matters is to lie: above 0, so that numbers compare as their bits do, and near it."""

_ROUNDINGS = 2.01
"""How often a result is rounded: by the product, and when the sparse product is added; and the product of the two."""

_PAIRS_AT_ONCE = 2**18


@dataclass(frozen=True)
class Survivors:
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

    def kept(self, mask: Mask) -> Survivors:
        """Some of them."""
        return Survivors(self.rows[mask], self.developers[mask], self.lower[mask], self.upper[mask])

    def joined(self, other: Survivors) -> Survivors:
        """These and others."""
        return Survivors(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.developers, other.developers]),
            np.concatenate([self.lower, other.lower]),
            np.concatenate([self.upper, other.upper]),
        )


_NOBODY = Survivors(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


class ProjectBlock:
    """Projects that stand together, their thresholds and what may be among their best. One thread at a time uses it.

    Attributes:
        survivors: The pairs that may be among the best.
    """

    def __init__(
        self,
        projects: ProjectRows,
        side: ProjectSide,
        columns: Columns,
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
            columns: What the kernel's columns stand for.
            rows: Which of the projects are the block's.
            count: How many developers each project wants.
            at_least: Score below which a project's pairs don't matter, shape (all projects,).
            weights: What terms are worth.
            kernel: What approximates.
        """
        self._projects = projects
        self._side = side
        self._span = rows
        self._error = side.error[rows]
        self._groups = (columns.ceilings.rate_groups[rows], columns.ceilings.hours_groups[rows])
        self._count = count
        self._weights = weights
        self._kernel = kernel
        self._relative = _ROUNDINGS * kernel.result_roundoff
        self._thresholds = at_least[rows].astype(np.float64)
        self.survivors = _NOBODY

    def see(self, developers: DeveloperFeatures, side: DeveloperSide, allowed: PairFilter) -> None:
        """Compare the projects with a chunk of developers."""
        chunk = self._compared(developers, side)
        self._find_thresholds(chunk, allowed)
        needed = self._thresholds - chunk.error - chunk.offsets
        self._look(chunk, _at_most(needed / (1 + self._relative), self._kernel), allowed)

    def best(self, developers: DeveloperFeatures, at_least: Floats) -> tuple[Integers, Integers, Scores]:
        """Rows and developers of each project's best among all that were seen, best first, with their exact scores."""
        first = self._span.start
        order = np.argsort(self.survivors.rows, kind="stable")
        rows, positions = self.survivors.rows[order] + first, self.survivors.developers[order]
        scores = score_rows(self._projects, developers, rows, positions, weights=self._weights)
        order = np.lexsort((positions, -scores.totals, rows))
        places = np.arange(len(order)) - np.searchsorted(rows, rows)
        kept = order[(places < self._count) & (scores.points[order] >= at_least[rows[order]])]
        return rows[kept], positions[kept], scores.rows(kept)

    def _compared(self, developers: DeveloperFeatures, side: DeveloperSide) -> _Chunk:
        """Approximate sums of the chunk's pairs, each less than its project's offset."""
        dense = self._side.dense[self._span]
        reach = np.minimum(self._thresholds, self._side.largest[self._span]) - self._error
        offsets = _on_grid(np.where(np.isneginf(reach), 0.0, reach - _ABOVE_OFFSET))
        # Of the block's own rows.
        dense[:, -1] = _like(-offsets, dense)
        rough = _comparable(rough_products(dense, side, self._kernel), self._kernel)
        # Developer by developer, as the sums lie in memory.
        product = self._side.sparse[self._span] @ side.sparse
        error = self._error + self._kernel.result_roundoff * _row_maxima(product)
        sparse = product.tocsc()
        pairs = np.repeat(np.arange(len(rough)) * len(offsets), np.diff(sparse.indptr)) + sparse.indices
        sums = rough.ravel()
        sums[pairs] = _rounded(_values(sums[pairs], self._kernel) + sparse.data, self._kernel)
        return _Chunk(
            developers, side, rough, offsets, error, np.full(len(offsets), _largest(rough), rough.dtype)
        )

    def _find_thresholds(self, chunk: _Chunk, allowed: PairFilter) -> None:
        """Look at pairs of high approximate score of projects that know of nobody yet."""
        groups = len(chunk.rough) // _GROUP
        wanted = np.full(len(self._thresholds), _FIRST_TIMES * self._count)
        for _ in range(_ATTEMPTS):
            rows = np.flatnonzero(np.isneginf(self._thresholds))
            if not len(rows) or groups < self._count:
                break
            grouped = chunk.rough[: groups * _GROUP].reshape(_GROUP, groups, -1).max(axis=0)[:, rows].T
            ordered = np.sort(grouped, axis=1)
            lowest = np.full(len(self._thresholds), _largest(chunk.rough), dtype=chunk.rough.dtype)
            lowest[rows] = ordered[np.arange(len(rows)), groups - np.minimum(groups, wanted[rows])]
            self._look(chunk, lowest, allowed)
            found = np.bincount(self.survivors.rows, minlength=len(wanted))
            more = _SAFETY * self._count / np.maximum(found, 1)
            wanted = np.ceil(wanted * np.clip(more, _SAFETY, _MOST_TIMES_MORE)).astype(np.int64)

    def _look(self, chunk: _Chunk, lowest: npt.NDArray[Any], allowed: PairFilter) -> None:
        """Bound the pairs whose sums reach their row's lowest and that were not looked at before."""
        marked = chunk.rough >= lowest
        seen = chunk.looked_down_to < _largest(chunk.rough)
        if seen.any():
            marked &= chunk.rough < chunk.looked_down_to
        np.minimum(chunk.looked_down_to, lowest, out=chunk.looked_down_to)
        pairs = np.flatnonzero(marked)
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            found = self._bounded(chunk, pairs[start : start + _PAIRS_AT_ONCE], allowed)
            survivors = self.survivors.joined(found)
            self._raise_thresholds(survivors)
            self.survivors = survivors.kept(survivors.upper >= self._thresholds[survivors.rows])

    def _bounded(self, chunk: _Chunk, pairs: Integers, allowed: PairFilter) -> Survivors:
        """Bounds of those of the pairs that may be matched and reach the threshold."""
        places, rows = np.divmod(pairs, chunk.rough.shape[1])
        positions = chunk.side.positions[places]
        may_match = allowed(rows + self._span.start, positions)
        pairs, places, rows, positions = (some[may_match] for some in (pairs, places, rows, positions))
        project_rows = rows + self._span.start
        rough = _values(chunk.rough.ravel()[pairs], self._kernel).astype(np.float64)
        ceilings = chunk.side.ceilings
        terms = [
            self._weights.rate.value * rate_terms(self._projects, chunk.developers, project_rows, positions),
            self._weights.availability.value
            * availability_terms(self._projects, chunk.developers, project_rows, positions),
        ]
        score = rough + chunk.offsets[rows]
        for term, groups in zip(terms, self._groups):
            score += np.nan_to_num(term) - ceilings[places, groups[rows]]
        off = chunk.error[rows] + self._relative * np.abs(rough)
        survivors = Survivors(rows, positions, score - off, score + off)
        return survivors.kept(survivors.upper >= self._thresholds[rows])

    def _raise_thresholds(self, found: Survivors) -> None:
        """Let each threshold be the `count`-th largest lower bound of its row, if that is higher."""
        counts = np.bincount(found.rows, minlength=len(self._thresholds))
        # Row and bound in one whole number, as sorting numbers is many times quicker than sorting by keys.
        ordered = np.sort((found.rows << 32) | _falling(found.lower))
        rows = np.flatnonzero(counts >= self._count)
        places = (np.cumsum(counts) - counts)[rows] + self._count - 1
        bounds = _from_falling(ordered[places] & 0xFFFFFFFF)
        self._thresholds[rows] = np.maximum(self._thresholds[rows], bounds)


@dataclass(frozen=True)
class _Chunk:
    """A chunk of developers as a block sees it. A pair is a number: place of the developer × width + row of the project.

    Attributes:
        developers: All developers.
        side: Those of the chunk.
        rough: Approximate sums, of which a term may be too high, in a form in which larger is better, shape (developers,
            rows).
        offsets: What sums are short of scores, for each row.
        error: Bound on the error of sums beyond their own roundings, for each row.
        looked_down_to: Pairs with sums from this on have been looked at, for each row.
    """

    developers: DeveloperFeatures
    side: DeveloperSide
    rough: npt.NDArray[Any]
    offsets: Floats
    error: Floats
    looked_down_to: npt.NDArray[Any]


def _row_maxima(matrix: csr_matrix) -> Floats:
    """Largest entry of each row, 0 where there is none; entries are not negative."""
    maxima = np.zeros(matrix.shape[0])
    rows = np.flatnonzero(np.diff(matrix.indptr))
    if len(rows):
        maxima[rows] = np.maximum.reduceat(matrix.data, matrix.indptr[rows])
    return maxima


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


def _values(comparable: npt.NDArray[Any], kernel: Kernel) -> Rough:
    """The products that `_comparable` stands for."""
    if kernel is BFLOAT16:
        comparable = (comparable.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return comparable


def _rounded(values: Rough, kernel: Kernel) -> npt.NDArray[Any]:
    """Values in the form of `_comparable`, each rounded to the nearest of the kernel's format."""
    if kernel is not BFLOAT16:
        return values
    import torch

    return _comparable(torch.from_numpy(values).to(torch.bfloat16), kernel)


def _largest(rough: npt.NDArray[Any]) -> Any:
    """What no comparable number reaches."""
    return np.inf if rough.dtype.kind == "f" else np.iinfo(rough.dtype).max


def _on_grid(values: Floats) -> Floats:
    """Values cut to 8 significant bits: numbers of every kernel's format."""
    return (
        (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000))
        .view(np.float32)
        .astype(np.float64)
    )


def _like(values: Floats, dense: Any) -> Any:
    """Values as a column of the kernel's matrix."""
    if isinstance(dense, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values).to(dense.dtype)


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
