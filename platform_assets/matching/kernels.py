"""Fast approximate scores of many developers with many projects, and a proven bound on how far off they are.

The part of the score that is a sum of products is laid out as one matrix product: the dimensions of the vectors, the
skills and words that cost most to look up one by one, and what a developer brings to every project. What is left, skills
and words that few have, is a sparse product. Which pairs are looked at again is `blocks`.

The bound. Let a and b be rows of the two sides with n columns, â and b̂ what is left of them in the kernel's format with
unit roundoff u (2⁻⁹ for bfloat16, 2⁻²⁴ for float32), so that |âᵢ - aᵢ| ≤ u|aᵢ| and |b̂ᵢ - bᵢ| ≤ u|bᵢ|. A sum of n products
in float32, in any order, is off by at most γₙ Σ|âᵢb̂ᵢ| with γₙ = n·2⁻²⁴ / (1 - n·2⁻²⁴) (Higham, Accuracy and Stability of
Numerical Algorithms, section 3.1). So with M ≥ Σ|aᵢbᵢ|

    |product - Σaᵢbᵢ| ≤ ((1 + u)²(1 + γₙ) - 1) · M.

M = meaning weight + Σ of the project's dense columns + largest |standing|: vectors have length 1 (Cauchy-Schwarz) and all
other entries of developers lie between 0 and 1. A bfloat16 result is rounded once more, by at most u / (1 - u) of itself.
The largest of several approximations is off by no more than the worst of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.project_rows import ProjectRows
from platform_assets.matching.repositories import Floats, Integers, sparse_matrix
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, recency_terms, reputation_terms
from platform_assets.matching.weights import Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DENSE_COLUMNS = 252
"""Skills and words in the matrix product. With 384 dimensions and four columns of standing that is 640 columns."""

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
        result_roundoff: Largest error of a result relative to itself, beyond that of the sum.
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
    """Where the skills and words that projects ask for have their place.

    Attributes:
        skill_slots: Slot of each skill; dense ones come first, then sparse ones; -1 for one that nobody asks for.
        word_slots: Slot of each word, counted on with those of skills.
        dense_count: Number of dense slots.
        sparse_count: Number of sparse slots.
    """

    skill_slots: npt.NDArray[np.int32]
    word_slots: npt.NDArray[np.int32]
    dense_count: int
    sparse_count: int


def plan_columns(projects: ProjectRows, developers: DeveloperFeatures, *, most_dense: int) -> Columns:
    """Make dense what would cost most lookups: developers who have it times projects that ask for it."""
    cost = np.concatenate(
        [
            _entries(projects.skills) * _entries(developers.skills),
            _entries(projects.words) * _entries(developers.words),
        ]
    )
    order = np.argsort(-cost, kind="stable")
    used = int(np.count_nonzero(cost))
    slots = np.full(len(cost), -1, dtype=np.int32)
    slots[order[:used]] = np.arange(used, dtype=np.int32)
    skills_count = developers.skills.shape[1]
    dense_count = min(used, most_dense)
    return Columns(slots[:skills_count], slots[skills_count:], dense_count, used - dense_count)


def _lexical(
    skills: csr_matrix, words: csr_matrix, columns: Columns, *, skill_weight: float, word_weight: float
) -> tuple[Rough, csr_matrix]:
    """Weighted skills and words of rows: the dense slots, shape (rows, dense), and the sparse ones, (rows, sparse)."""
    rows_count = skills.shape[0]
    dense = np.zeros((rows_count, columns.dense_count), dtype=np.float32)
    parts = [
        _slotted(skills, columns.skill_slots, skill_weight),
        _slotted(words, columns.word_slots, word_weight),
    ]
    sparse = []
    for rows, slots, values in parts:
        is_dense = slots < columns.dense_count
        dense[rows[is_dense], slots[is_dense]] = values[is_dense]
        sparse.append((rows[~is_dense], slots[~is_dense] - columns.dense_count, values[~is_dense]))
    rows, slots, values = (np.concatenate(arrays) for arrays in zip(*sparse))
    return dense, sparse_matrix(values, rows, slots, (rows_count, columns.sparse_count))


def _slotted(
    matrix: csr_matrix, slot_of: npt.NDArray[np.int32], weight: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Rough]:
    """Rows, slots and weighted values of the entries that have a slot."""
    slots = slot_of[matrix.indices]
    has_slot = np.flatnonzero(slots >= 0)
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))[has_slot]
    return rows, slots[has_slot], (weight * matrix.data[has_slot]).astype(np.float32)


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
        dense: Shape (projects, columns), in the kernel's format.
        sparse: Weighted shares of sparse skills and words, shape (projects, sparse columns).
        error: Bound on the error of each project's products, beyond the result's own rounding, shape (projects,).
    """

    dense: Any
    sparse: csr_matrix
    error: Floats


def project_side(
    projects: ProjectRows, columns: Columns, weights: Weights, kernel: Kernel, *, largest_standing: float
) -> ProjectSide:
    """Lay out the projects, weights included."""
    worth = weights.values()
    lexical, sparse = _lexical(
        projects.skills,
        projects.words,
        columns,
        skill_weight=worth["skills"],
        word_weight=worth["title"],
    )
    ones = np.ones((len(lexical), STANDING_PARTS))
    dense = np.hstack([worth["meaning"] * projects.vectors, lexical, ones])
    count = dense.shape[1] * 2.0**-24
    relative = (1 + kernel.unit_roundoff) ** 2 * (1 + count / (1 - count)) - 1
    # A hundredth more than the weight of meaning covers vectors whose length was rounded to the grid.
    largest = 1.01 * worth["meaning"] + lexical.sum(axis=1) + largest_standing
    # Every term of the score is rounded to millionths; the standing's parts err far less than one.
    rounding = (len(TERMS) + 1) / UNITS_PER_POINT
    # Sparse products are summed in float32, fewer than a hundred for a pair.
    sparse_rounding = 2.0**-17 * np.asarray(sparse.sum(axis=1), dtype=np.float64).ravel()
    return ProjectSide(
        _in_format(dense.astype(np.float32), kernel),
        sparse,
        relative * largest + sparse_rounding + rounding,
    )


@dataclass(frozen=True)
class DeveloperSide:
    """Some developers' side of the product.

    Attributes:
        dense: One matrix per place in developers' lists of vectors, in the kernel's format: the first holds all, the
            next those with a second vector, and so on; developers stand in the order of falling numbers of vectors.
        sparse: What they have of the sparse columns, transposed, shape (sparse columns, developers).
    """

    dense: list[Any]
    sparse: csr_matrix


def developer_side(
    developers: DeveloperFeatures,
    positions: Integers,
    columns: Columns,
    standings: Floats,
    kernel: Kernel,
) -> DeveloperSide:
    """Lay out developers, who stand in the order of falling numbers of vectors."""
    starts = developers.facet_starts
    facets_count = starts[positions + 1] - starts[positions]
    lexical, sparse = _lexical(
        developers.skills[positions], developers.words[positions], columns, skill_weight=1.0, word_weight=1.0
    )
    rest = np.hstack([lexical, _parts(standings[positions])])
    dense = [_beside(_vectors_at(developers, positions, facets_count, 0), rest, kernel)]
    for place in range(1, int(facets_count.max(initial=0))):
        some = positions[: int(np.count_nonzero(facets_count > place))]
        dense.append(_beside(_vectors_at(developers, some, facets_count, place), rest, kernel))
    return DeveloperSide(dense, sparse.T.tocsr())


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


def rough_products(projects: ProjectSide, rows: slice, developers: DeveloperSide, kernel: Kernel) -> Any:
    """Approximate dense part of the score of some projects, shape (developers, projects), in the kernel's format.

    The projects stand on the right: libraries rearrange that side for the matrix units, and it is the smaller one.
    """
    right = projects.dense[rows].T
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


def sparse_products(
    projects: ProjectSide, rows: slice, developers: DeveloperSide
) -> tuple[Integers, Integers, Rough]:
    """What sparse skills and words add to pairs of a block of projects with the developers.

    Returns:
        Rows of the projects, ascending, and places of the developers of pairs that share any; and what they add.
    """
    product = projects.sparse[rows] @ developers.sparse
    own = np.repeat(np.arange(product.shape[0], dtype=np.int64), np.diff(product.indptr))
    return own, product.indices.astype(np.int64), product.data


def _entries(matrix: csr_matrix) -> Integers:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def _in_format(matrix: Rough, kernel: Kernel) -> Any:
    if kernel is FLOAT32:
        return matrix
    import torch

    return torch.from_numpy(matrix).to(torch.bfloat16)
