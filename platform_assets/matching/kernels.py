"""Fast approximate scores of many developers with many projects, and a proven bound on how far off they are.

The score is laid out as one matrix product: the dimensions of the vectors, the skills and words that cost most to look up
one by one, what a developer brings to every project, upper bounds of what depends on the pair in other ways (`ceilings`),
and minus what a project already knows to be out of reach, as small numbers are rounded less. What is left, skills and
words that few have, is a sparse product. Which pairs are looked at again is `blocks`.

The bound. Let a and b be rows of the two sides with n columns, â and b̂ what is left of them in the kernel's format with
unit roundoff u (2⁻⁹ for bfloat16, 2⁻²⁴ for float32). A sum of n products in float32, in any order, is off by at most
γₙ Σ|âᵢb̂ᵢ| with γₙ = n·2⁻²⁴ / (1 - n·2⁻²⁴) (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). So

    |product - Σaᵢbᵢ| ≤ Σ|âᵢ - aᵢ||b̂ᵢ| + Σ|aᵢ||b̂ᵢ - bᵢ| + γₙ Σ|âᵢb̂ᵢ|.

|b̂ᵢ - bᵢ| ≤ u|bᵢ|, and what rounding took from a project is computed, not estimated. Vectors have length 1, so their part of
the sums is bounded by Cauchy-Schwarz; developers' skills and words lie between 0 and 1; all other columns are numbers of
the format to begin with. A result in bfloat16 is rounded once more, and again when the sparse product is added to it, by
at most u / (1 - u) of itself each time. The largest of several approximations is off by no more than the worst of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from platform_assets.matching.ceilings import Ceilings, ceilings_of, plan_ceilings
from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.project_rows import ProjectRows
from platform_assets.matching.repositories import Floats, Integers, sparse_matrix
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, recency_terms, reputation_terms
from platform_assets.matching.weights import Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DENSE_COLUMNS = 251
"""Ceilings, skills and words in the matrix product: 640 columns, with 384 dimensions, four of standing and one of offset."""

STANDING_PARTS = 4
"""Numbers of the kernel's format whose sum stands for a developer's standing: four of 8 bits are as good as float32."""

_LARGE_WORK = 2.0**34
"""Multiplications from which loading torch, a second or two, pays."""

Rough = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Kernel:
    """A number format and its matrix product.

    Attributes:
        name: `bfloat16` or `float32`.
        unit_roundoff: Largest relative error of a number put into the format.
        result_roundoff: Largest error of a result relative to itself, beyond that of the sum, each time it is rounded.
    """

    name: str
    unit_roundoff: float
    result_roundoff: float


BFLOAT16 = Kernel("bfloat16", 2.0**-9, 2.0**-9 / (1 - 2.0**-9))
FLOAT32 = Kernel("float32", 2.0**-24, 0.0)


def best_kernel(developers_count: int, projects_count: int, dimensions: int) -> Kernel:
    """bfloat16 where the processor multiplies it in hardware and there is enough to multiply."""
    if float(developers_count) * projects_count * (dimensions + DENSE_COLUMNS) < _LARGE_WORK:
        return FLOAT32
    import torch

    return BFLOAT16 if torch.cpu._is_amx_tile_supported() else FLOAT32


@dataclass(frozen=True)
class Columns:
    """What the columns beside the vectors' stand for.

    Attributes:
        skill_slots: Slot of each skill; dense ones come first, then sparse ones; -1 for one that nobody asks for.
        word_slots: Slot of each word, counted on with those of skills.
        dense_count: Number of dense slots.
        sparse_count: Number of sparse slots.
        ceilings: Groups of projects whose terms are bounded together.
    """

    skill_slots: Integers
    word_slots: Integers
    dense_count: int
    sparse_count: int
    ceilings: Ceilings


def plan_columns(projects: ProjectRows, developers: DeveloperFeatures, *, most_dense: int) -> Columns:
    """Make dense what would cost most lookups: developers who have it times projects that ask for it."""
    ceilings = plan_ceilings(projects)
    cost = np.concatenate(
        [
            _entries(projects.skills) * _entries(developers.skills),
            _entries(projects.words) * _entries(developers.words),
        ]
    )
    order = np.argsort(-cost, kind="stable")
    used = int(np.count_nonzero(cost))
    slots = np.full(len(cost), -1, dtype=np.int64)
    slots[order[:used]] = np.arange(used)
    skills_count = developers.skills.shape[1]
    dense_count = min(used, max(0, most_dense - ceilings.count))
    return Columns(slots[:skills_count], slots[skills_count:], dense_count, used - dense_count, ceilings)


@dataclass(frozen=True)
class _Lexical:
    """Skills and words that have a slot: entries of rows, arrays of one length."""

    rows: Integers
    slots: Integers
    values: Rough

    def dense(self, count: int, out: Rough) -> None:
        """Put those of the first `count` slots into a matrix."""
        is_dense = self.slots < count
        out[self.rows[is_dense], self.slots[is_dense]] = self.values[is_dense]

    def sparse_by_slot(self, columns: Columns, rows_count: int) -> csr_matrix:
        """The others as a matrix of shape (sparse slots, rows)."""
        from scipy.sparse import csr_matrix

        is_sparse = np.flatnonzero(self.slots >= columns.dense_count)
        slots = self.slots[is_sparse] - columns.dense_count
        # Sorting 16 bits takes a fraction of the time.
        narrow = slots.astype(np.uint16 if columns.sparse_count <= 2**16 else np.int64)
        order = is_sparse[np.argsort(narrow, kind="stable")]
        starts = np.concatenate([[0], np.cumsum(np.bincount(slots, minlength=columns.sparse_count))])
        return csr_matrix(
            (self.values[order], self.rows[order], starts), shape=(columns.sparse_count, rows_count)
        )


def _lexical(
    skills: csr_matrix,
    words: csr_matrix,
    span: slice,
    columns: Columns,
    *,
    skill_weight: float = 1.0,
    word_weight: float = 1.0,
) -> _Lexical:
    """Weighted skills and words of a span of rows."""
    parts = [
        _slotted(skills, span, columns.skill_slots, skill_weight),
        _slotted(words, span, columns.word_slots, word_weight),
    ]
    return _Lexical(*(np.concatenate(arrays) for arrays in zip(*parts)))


def _slotted(
    matrix: csr_matrix, span: slice, slot_of: Integers, weight: float
) -> tuple[Integers, Integers, Rough]:
    """Rows counted from the span's first, slots and weighted values of the entries that have a slot."""
    starts = matrix.indptr[span.start : span.stop + 1]
    entries = slice(starts[0], starts[-1])
    slots = slot_of[matrix.indices[entries]]
    has_slot = np.flatnonzero(slots >= 0)
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[has_slot]
    return rows, slots[has_slot], (weight * matrix.data[entries][has_slot]).astype(np.float32)


def standing(developers: DeveloperFeatures, weights: Weights) -> Floats:
    """What a developer brings to every project: breadth, reputation and recency, weighted, shape (developers,)."""
    worth = weights.values()
    total: Floats = (
        worth["breadth"] * np.log1p(developers.repositories_count)
        + worth["reputation"] * np.nan_to_num(reputation_terms(developers))
        + worth["recency"] * np.nan_to_num(recency_terms(developers))
    )
    return total


@dataclass(frozen=True)
class ProjectSide:
    """The projects' side of the product.

    Attributes:
        dense: Shape (projects, columns), in the kernel's format; the last column is minus the offset, 0 to begin with.
        sparse: Weighted shares of sparse skills and words, shape (projects, sparse columns).
        error: Bound on the error of each project's products, beyond the result's own rounding, shape (projects,).
        largest: Bound on each project's scores, shape (projects,).
    """

    dense: Any
    sparse: csr_matrix
    error: Floats
    largest: Floats


def project_side(
    projects: ProjectRows, columns: Columns, weights: Weights, kernel: Kernel, *, largest_standing: float
) -> ProjectSide:
    """Lay out the projects, weights included."""
    worth = weights.values()
    count = len(projects.vectors)
    lexical = _lexical(
        projects.skills,
        projects.words,
        slice(0, count),
        columns,
        skill_weight=worth["skills"],
        word_weight=worth["title"],
    )
    slotted = np.zeros((count, columns.dense_count), dtype=np.float32)
    lexical.dense(columns.dense_count, slotted)
    sparse = lexical.sparse_by_slot(columns, count).T.tocsr()
    meaning = worth["meaning"] * projects.vectors.astype(np.float64)
    rest = np.hstack(
        [slotted, np.ones((count, STANDING_PARTS)), columns.ceilings.memberships(), np.zeros((count, 1))]
    )
    dense = _in_format(np.hstack([meaning, rest]).astype(np.float32), kernel)
    kept = _out_of_format(dense)
    unit = kernel.unit_roundoff
    # A hundredth more than 1 covers developers' vectors whose length was rounded to the grid, and roundoff.
    length, lost = (
        1.01 * np.linalg.norm(part, axis=1) for part in (meaning, kept[:, : meaning.shape[1]] - meaning)
    )
    lost += 1.01 * np.abs(kept[:, meaning.shape[1] :] - rest).sum(axis=1)
    asked = slotted.sum(axis=1, dtype=np.float64)
    asked_sparsely = np.asarray(sparse.sum(axis=1), dtype=np.float64).ravel()
    largest = length + asked + asked_sparsely + largest_standing + worth["rate"] + worth["availability"]
    sums = dense.shape[1] * 2.0**-24
    # Every term of the score is rounded to millionths; the standing's parts err far less than one.
    rounding = (len(TERMS) + 1) / UNITS_PER_POINT
    # Before the sparse product is added, a result may be larger than the sum by as much. Sparse products are summed in
    # float32, fewer than a hundred for a pair.
    sparse_rounding = (kernel.result_roundoff + 2.0**-17) * asked_sparsely
    return ProjectSide(
        dense,
        sparse,
        # Twice the largest, as the offset is one more number to sum.
        lost + unit * (length + asked) + sums / (1 - sums) * 2.02 * largest + sparse_rounding + rounding,
        largest,
    )


@dataclass(frozen=True)
class DeveloperSide:
    """Some developers' side of the product.

    Attributes:
        positions: Who they are, in the order of falling numbers of vectors.
        dense: One matrix per place in developers' lists of vectors, in the kernel's format: the first holds all, the
            next those with a second vector, and so on.
        sparse: What they have of the sparse columns, transposed, shape (sparse columns, developers).
        ceilings: What their terms add at most in each group of projects, 0 in the last, shape (developers, groups + 1).
    """

    positions: Integers
    dense: list[Any]
    sparse: csr_matrix
    ceilings: Rough


def developer_side(
    projects: ProjectRows,
    developers: DeveloperFeatures,
    span: slice,
    columns: Columns,
    standings: Floats,
    weights: Weights,
    kernel: Kernel,
) -> DeveloperSide:
    """Lay out the developers of a span."""
    starts = developers.facet_starts[span.start : span.stop + 1]
    counts = np.diff(starts)
    order = np.argsort(-counts, kind="stable")
    positions, facets_count = span.start + order, counts[order]
    place_of = np.empty_like(order)
    place_of[order] = np.arange(len(order))
    lexical = _lexical(developers.skills, developers.words, span, columns)
    lexical = _Lexical(place_of[lexical.rows], lexical.slots, lexical.values)
    ceilings = ceilings_of(columns.ceilings, projects, developers, positions, weights)
    slots = columns.dense_count
    rest = np.zeros((len(order), slots + STANDING_PARTS + ceilings.shape[1] + 1), dtype=np.float32)
    lexical.dense(slots, rest)
    rest[:, slots : slots + STANDING_PARTS] = _parts(standings[positions])
    rest[:, slots + STANDING_PARTS : -1] = ceilings
    rest[:, -1] = 1.0
    dense = [_beside(_vectors_at(developers, positions, facets_count, 0), rest, kernel)]
    for place in range(1, int(facets_count.max(initial=0))):
        some = positions[: int(np.count_nonzero(facets_count > place))]
        dense.append(_beside(_vectors_at(developers, some, facets_count, place), rest, kernel))
    return DeveloperSide(
        positions,
        dense,
        lexical.sparse_by_slot(columns, len(order)),
        np.pad(ceilings, ((0, 0), (0, 1))),
    )


def _vectors_at(
    developers: DeveloperFeatures, positions: Integers, facets_count: Integers, place: int
) -> Rough:
    """The vectors at a place in developers' lists, zero where the list ends before it; lists do not grow longer."""
    with_vector = min(len(positions), int(np.count_nonzero(facets_count > place)))
    vectors: Rough = developers.vectors[developers.facet_starts[positions[:with_vector]] + place]
    missing = len(positions) - with_vector
    return np.pad(vectors, ((0, missing), (0, 0))) if missing else vectors


def _beside(vectors: Rough, rest: Rough, kernel: Kernel) -> Any:
    """Vectors and the first rows of all else, side by side in the kernel's format."""
    if kernel is FLOAT32:
        return np.hstack([vectors, rest[: len(vectors)]])
    import torch

    side = torch.empty((len(vectors), vectors.shape[1] + rest.shape[1]), dtype=torch.bfloat16)
    side[:, : vectors.shape[1]] = torch.from_numpy(vectors)
    side[:, vectors.shape[1] :] = torch.from_numpy(rest[: len(vectors)])
    return side


def _parts(values: Floats) -> Rough:
    """Numbers of at most 8 significant bits whose sum is a value, up to 2⁻²⁸ of it, shape (values, parts)."""
    parts = np.empty((len(values), STANDING_PARTS), dtype=np.float32)
    rest = values.copy()
    for part in parts.T:
        # bfloat16 is the upper half of a float32.
        part[:] = (rest.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
        rest -= part
    return parts


def rough_products(projects: Any, developers: DeveloperSide, kernel: Kernel) -> Any:
    """Approximate dense part of the score of some projects, shape (developers, projects), in the kernel's format.

    The projects stand on the right: libraries rearrange that side for the matrix units, and it is the smaller one.
    """
    right = projects.T
    if kernel is FLOAT32:
        rough: Rough = developers.dense[0] @ right
        for further in developers.dense[1:]:
            np.maximum(rough[: len(further)], further @ right, out=rough[: len(further)])
        return rough
    import torch

    product = torch.mm(developers.dense[0], right)
    for further in developers.dense[1:]:
        head = product[: len(further)]
        torch.maximum(head, torch.mm(further, right), out=head)
    return product


def _entries(matrix: csr_matrix) -> Integers:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def _in_format(matrix: Rough, kernel: Kernel) -> Any:
    if kernel is FLOAT32:
        return matrix
    import torch

    return torch.from_numpy(matrix).to(torch.bfloat16)


def _out_of_format(matrix: Any) -> Floats:
    values: Floats = np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.float().numpy(), np.float64)
    return values
