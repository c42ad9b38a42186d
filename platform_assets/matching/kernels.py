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
from platform_assets.matching.repositories import Floats, Integers
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
            _holders(projects.skills) * _holders(developers.skills),
            _holders(projects.words) * _holders(developers.words),
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
class _Entries:
    """Skills or words of a span of rows that have a slot: arrays of one length, in the order of rows.

    Attributes:
        rows: Row, counted from the span's first.
        slots: Slot.
        values: Value.
    """

    rows: Integers
    slots: Integers
    values: Rough

    def chosen(self, mask: npt.NDArray[np.bool_]) -> _Entries:
        return _Entries(self.rows[mask], self.slots[mask], self.values[mask])


def _entries(matrix: csr_matrix, span: slice, slot_of: Integers, weight: float) -> _Entries:
    starts = matrix.indptr[span.start : span.stop + 1]
    places = slice(starts[0], starts[-1])
    slots = slot_of[matrix.indices[places]]
    has_slot = np.flatnonzero(slots >= 0)
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[has_slot]
    values = matrix.data[places][has_slot].astype(np.float32)
    return _Entries(rows, slots[has_slot], values if weight == 1.0 else np.float32(weight) * values)


def _lexical(
    skills: csr_matrix,
    words: csr_matrix,
    span: slice,
    columns: Columns,
    out: Rough,
    *,
    skill_weight: float = 1.0,
    word_weight: float = 1.0,
) -> csr_matrix:
    """Put weighted skills and words of a span of rows that are dense into a matrix, and give the sparse ones."""
    from scipy.sparse import csr_matrix

    rows_count = span.stop - span.start
    sparse = []
    for matrix, slot_of, weight in (
        (skills, columns.skill_slots, skill_weight),
        (words, columns.word_slots, word_weight),
    ):
        entries = _entries(matrix, span, slot_of, weight)
        is_dense = entries.slots < columns.dense_count
        dense = entries.chosen(is_dense)
        out[dense.rows, dense.slots] = dense.values
        sparse.append(entries.chosen(~is_dense))
    # Both are in the order of rows: an entry's place is its own plus that of the other's entries before it.
    counts = [np.bincount(each.rows, minlength=rows_count) for each in sparse]
    ends = [np.cumsum(count) for count in counts]
    places = [
        np.arange(len(sparse[0].rows)) + (ends[1] - counts[1])[sparse[0].rows],
        np.arange(len(sparse[1].rows)) + ends[0][sparse[1].rows],
    ]
    total = len(places[0]) + len(places[1])
    values, slots = np.empty(total, dtype=np.float32), np.empty(total, dtype=np.int64)
    for each, place in zip(sparse, places):
        values[place] = each.values
        slots[place] = each.slots - columns.dense_count
    starts = np.concatenate([[0], ends[0] + ends[1]])
    return csr_matrix((values, slots, starts), shape=(rows_count, columns.sparse_count))


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
    slotted = np.zeros((count, columns.dense_count), dtype=np.float32)
    sparse = _lexical(
        projects.skills,
        projects.words,
        slice(0, count),
        columns,
        slotted,
        skill_weight=worth["skills"],
        word_weight=worth["title"],
    )
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
        first: Position of the first of them; the others follow.
        dense: What they are by their first vector, in the kernel's format, shape (developers, columns).
        further: The same by their second vectors, by their third, and so on, each with the places of those who have one.
        sparse: What they have of the sparse columns, shape (developers, sparse columns).
        ceilings: What their terms add at most in each group of projects, 0 in the last, shape (developers, groups + 1).
    """

    first: int
    dense: Any
    further: list[tuple[Integers, Any]]
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
    positions = np.arange(span.start, span.stop)
    ceilings = ceilings_of(columns.ceilings, projects, developers, positions, weights)
    slots = columns.dense_count
    rest = np.zeros((len(positions), slots + STANDING_PARTS + ceilings.shape[1] + 1), dtype=np.float32)
    sparse = _lexical(developers.skills, developers.words, span, columns, rest)
    rest[:, slots : slots + STANDING_PARTS] = _parts(standings[positions])
    rest[:, slots + STANDING_PARTS : -1] = ceilings
    rest[:, -1] = 1.0
    facets_count = np.diff(developers.facet_starts)[span]
    further = []
    for place in range(1, int(facets_count.max(initial=0))):
        owners = np.flatnonzero(facets_count > place)
        vectors = _vectors_at(developers, positions[owners], place)
        further.append((owners, _beside(vectors, rest[owners], kernel)))
    return DeveloperSide(
        span.start,
        _beside(_vectors_at(developers, positions, 0), rest, kernel),
        further,
        sparse,
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
        rough: Rough = developers.dense @ right
        for owners, dense in developers.further:
            rough[owners] = np.maximum(rough[owners], dense @ right)
        return rough
    import torch

    product = torch.mm(developers.dense, right)
    for owners, dense in developers.further:
        rows = torch.from_numpy(owners)
        product.index_copy_(0, rows, torch.maximum(product.index_select(0, rows), torch.mm(dense, right)))
    return product


def _holders(matrix: csr_matrix) -> Integers:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def _in_format(matrix: Rough, kernel: Kernel) -> Any:
    if kernel is FLOAT32:
        return matrix
    import torch

    return torch.from_numpy(matrix).to(torch.bfloat16)


def _out_of_format(matrix: Any) -> Floats:
    values: Floats = np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.float().numpy(), np.float64)
    return values
