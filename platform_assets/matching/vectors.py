"""Vectors of the tables → checked unit rows on the grid on which their products are exact."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from platform_assets.errors import PlatformError
from platform_assets.matching.repositories import VECTOR_BITS, Floats, on_grid

Vectors = npt.NDArray[np.float32]


class MatchingInputError(PlatformError):
    """The tables hold something that can't be scored: a vector that is not finite, not of length 1, or of odd size."""


def checked_vectors(vectors: Iterable[Any], owners: Iterable[Hashable]) -> Vectors:
    """Vectors of a column as rows, shape (rows, dimensions); (0, 0) when there is none.

    Raises:
        MatchingInputError: One is not finite, not of length 1, or not as long as the others.
    """
    rows = [np.asarray(vector, dtype=np.float32) for vector in vectors]
    if not rows:
        return np.zeros((0, 0), dtype=np.float32)
    owners = list(owners)
    for owner, row in zip(owners, rows):
        if row.ndim != 1 or row.shape != rows[0].shape:
            raise MatchingInputError(
                f"The vector of {owner} has shape {row.shape}, others {rows[0].shape}: were they made by two models? "
                "Materialize the vectors again"
            )
    matrix = np.stack(rows)
    # A sum with a value that is not finite is not finite either, and compares as false.
    is_unit = np.abs(np.sqrt(np.einsum("ij,ij->i", matrix, matrix)) - 1.0) <= 1e-2
    if not is_unit.all():
        raise MatchingInputError(
            f"The vector of {owners[int(np.argmin(is_unit))]} is not a finite vector of length 1"
        )
    return matrix


def unit_rows(rows: Floats) -> Vectors:
    """Rows at length 1 on the vectors' grid; a row of zeros stays.

    Where the rows lie on the grid and are at most 2 long, their squares add up exactly: the result of a row depends on
    that row alone, to the last bit.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return on_grid(unit, VECTOR_BITS).astype(np.float32)
