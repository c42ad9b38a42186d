"""Fast approximate scores of many developers with many projects, and a proven bound on how far off they are.

The score is laid out as one matrix product: the dimensions of the vectors, the skills and words that cost most to look up
one by one, what a developer brings to every project, upper bounds of what depends on the pair in other ways (`ceilings`),
and minus what a project already knows to be out of reach, as small numbers are rounded less. What is left, skills and
words that few have, is a sparse product. Which pairs are looked at again is `blocks`.

The bound. Let a and b be rows of the two sides with n columns, â and b̂ what is left of them in the kernel's format with
unit roundoff u (2⁻⁸ for bfloat16, which has 8 significant bits, 2⁻²⁴ for float32). A sum of n products in float32, in any
order, is off by at most γₙ Σ|âᵢb̂ᵢ| with γₙ = n·2⁻²⁴ / (1 - n·2⁻²⁴) (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). So

    |product - Σaᵢbᵢ| ≤ Σ|âᵢ - aᵢ||b̂ᵢ| + Σ|aᵢ||b̂ᵢ - bᵢ| + γₙ Σ|âᵢb̂ᵢ|.

|b̂ᵢ - bᵢ| ≤ u|bᵢ|, and what rounding took from a project is computed, not estimated. Vectors have length 1, so their part of
the sums is bounded by Cauchy-Schwarz; developers' skills and words lie between 0 and 1, where numbers of the format are
at most u apart, so that rounding moves them by u/2 at most; all other columns are numbers of the format to begin with. A
result in bfloat16 is rounded once more, and again when the sparse product is added to it, by at most u / (1 - u) of itself
each time; before that it may be larger than the sum by as much as the sparse product. The largest of several
approximations is off by no more than the worst of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from platform_assets.matching.ceilings import Ceilings, ceilings_of, plan_ceilings
from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.project_rows import ProjectRows
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, recency_terms, reputation_terms
from platform_assets.matching.weights import Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DENSE_COLUMNS = 251
"""Ceilings, skills and words in the matrix product: 640 columns, with 384 dimensions, four of standing and one of offset."""

STANDING_PARTS = 4
"""Numbers of the kernel's format whose sum stands for a developer's standing: four of 8 bits are as good as float32."""

_SAMPLED = 16
"""One of so many entries of developers' skills and words is looked at to tell which are common."""

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


BFLOAT16 = Kernel("bfloat16", 2.0**-8, 2.0**-8 / (1 - 2.0**-8))
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
        dense: Of the columns of developers' skills, and of those of their words: which are in the matrix product.
        sparse: The same of all others that any project asks for.
        ceilings: Groups of projects whose terms are bounded together.
    """

    dense: tuple[Integers, Integers]
    sparse: tuple[Integers, Integers]
    ceilings: Ceilings


def plan_columns(projects: ProjectRows, developers: DeveloperFeatures, *, most_dense: int) -> Columns:
    """Make dense what would cost most lookups: developers who have it times projects that ask for it."""
    ceilings = plan_ceilings(projects)
    asked = np.concatenate([_holders(projects.skills), _holders(projects.words)])
    held = np.concatenate([_holders(developers.skills, _SAMPLED), _holders(developers.words, _SAMPLED)])
    order = np.argsort(-asked * (1 + held), kind="stable")[: np.count_nonzero(asked)]
    dense_count = max(0, most_dense - ceilings.count)
    skills_count = developers.skills.shape[1]

    def of_both(chosen: Integers) -> tuple[Integers, Integers]:
        chosen = np.sort(chosen)
        first_word = int(np.searchsorted(chosen, skills_count))
        return chosen[:first_word], chosen[first_word:] - skills_count

    return Columns(of_both(order[:dense_count]), of_both(order[dense_count:]), ceilings)


def _holders(matrix: csr_matrix, step: int = 1) -> Integers:
    """In how many rows each column occurs, of every so manieth entry."""
    return np.bincount(matrix.indices[::step], minlength=matrix.shape[1]).astype(np.int64)


def _dense_columns(skills: csr_matrix, words: csr_matrix, columns: Columns) -> list[Rough]:
    """The dense skills, and the dense words, shape (rows, columns)."""
    return [
        matrix[:, chosen].astype(np.float32).toarray()
        for matrix, chosen in zip((skills, words), columns.dense)
    ]


def _sparse_columns(skills: csr_matrix, words: csr_matrix, columns: Columns) -> csr_matrix:
    """The sparse skills and words side by side, shape (rows, sparse columns)."""
    from scipy.sparse import hstack

    own = [matrix[:, chosen].astype(np.float32) for matrix, chosen in zip((skills, words), columns.sparse)]
    joined: csr_matrix = hstack(own, format="csr")
    return joined


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
    skills, words = worth["skills"] * projects.skills, worth["title"] * projects.words
    sparse = _sparse_columns(skills, words, columns)
    lexical = np.hstack(_dense_columns(skills, words, columns))
    meaning = worth["meaning"] * projects.vectors.astype(np.float64)
    rest = np.hstack(
        [lexical, np.ones((count, STANDING_PARTS)), columns.ceilings.memberships(), np.zeros((count, 1))]
    )
    dense = _in_format(np.hstack([meaning, rest]).astype(np.float32), kernel)
    kept = _out_of_format(dense)
    unit = kernel.unit_roundoff
    # A hundredth more than 1 covers developers' vectors whose length was rounded to the grid, and roundoff.
    length, lost = (
        1.01 * np.linalg.norm(part, axis=1) for part in (meaning, kept[:, : meaning.shape[1]] - meaning)
    )
    lost += 1.01 * np.abs(kept[:, meaning.shape[1] :] - rest).sum(axis=1)
    asked = lexical.sum(axis=1, dtype=np.float64)
    asked_sparsely = np.asarray(sparse.sum(axis=1), dtype=np.float64).ravel()
    largest = length + asked + asked_sparsely + largest_standing + worth["rate"] + worth["availability"]
    sums = dense.shape[1] * 2.0**-24
    # Every term of the score is rounded to millionths; the standing's parts err far less than one.
    rounding = (len(TERMS) + 1) / UNITS_PER_POINT
    # Sparse products are summed in float32, fewer than a hundred for a pair.
    sparse_rounding = 2.0**-17 * asked_sparsely
    return ProjectSide(
        dense,
        sparse,
        # Twice the largest, as the offset is one more number to sum.
        lost + unit * (length + asked / 2) + sums / (1 - sums) * 2.02 * largest + sparse_rounding + rounding,
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
    positions: Integers,
    columns: Columns,
    standings: Floats,
    weights: Weights,
    kernel: Kernel,
) -> DeveloperSide:
    """Lay out some developers."""
    counts = np.diff(developers.facet_starts)[positions]
    order = np.argsort(-counts, kind="stable")
    positions, counts = positions[order], counts[order]
    skills, words = developers.skills[positions], developers.words[positions]
    ceilings = ceilings_of(columns.ceilings, projects, developers, positions, weights)
    rest = np.hstack(
        [
            *_dense_columns(skills, words, columns),
            _parts(standings[positions]),
            ceilings,
            np.ones((len(positions), 1), dtype=np.float32),
        ]
    )
    dense = []
    for place in range(max(1, int(counts.max(initial=0)))):
        some = positions[: int(np.count_nonzero(counts > place))] if place else positions
        dense.append(_beside(_vectors_at(developers, some, place), rest[: len(some)], kernel))
    return DeveloperSide(
        positions,
        dense,
        _sparse_columns(skills, words, columns).T.tocsr(),
        np.pad(ceilings, ((0, 0), (0, 1))),
    )


def _vectors_at(developers: DeveloperFeatures, positions: Integers, place: int) -> Rough:
    """The vectors at a place in developers' lists, zero where a list ends before it."""
    facets = developers.facet_starts[positions] + place
    is_missing = facets >= developers.facet_starts[positions + 1]
    if is_missing.all():
        return np.zeros((len(positions), developers.dimensions), dtype=np.float32)
    vectors: Rough = developers.vectors[np.where(is_missing, 0, facets)]
    vectors[is_missing] = 0.0
    return vectors


def _beside(vectors: Rough, rest: Rough, kernel: Kernel) -> Any:
    """Vectors and all else, side by side in the kernel's format."""
    if kernel is FLOAT32:
        return np.hstack([vectors, rest])
    import torch

    side = torch.empty((len(vectors), vectors.shape[1] + rest.shape[1]), dtype=torch.bfloat16)
    side[:, : vectors.shape[1]] = torch.from_numpy(vectors)
    side[:, vectors.shape[1] :] = torch.from_numpy(rest)
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


def _in_format(matrix: Rough, kernel: Kernel) -> Any:
    if kernel is FLOAT32:
        return matrix
    import torch

    return torch.from_numpy(matrix).to(torch.bfloat16)


def _out_of_format(matrix: Any) -> Floats:
    values: Floats = np.asarray(
        matrix if isinstance(matrix, np.ndarray) else matrix.float().numpy(), np.float64
    )
    return values
