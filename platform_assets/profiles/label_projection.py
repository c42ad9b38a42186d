"""What brings pieces of sentences nearer to the names of the skills that they speak of: a fitted linear map.

Fitted by `benchmarks/fit_label_projection.py` on ESCO's names, alternative labels and definitions, on no labelled sentence.
Scoring is `extraction`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

FILE = "label_projection.npy"

MAPPED_PART = 0.5
"""How much of a piece's vector is the mapped one; the rest is the piece's own, which spellings that no definition has need."""


@cache
def label_projection() -> Floats:
    """The packaged map, shape (384, 384); a row vector is multiplied from the left."""
    with resources.files(__package__).joinpath(FILE).open("rb") as file:
        return np.load(file, allow_pickle=False).astype(np.float32)  # type: ignore[no-any-return]


def toward_labels(vectors: Floats) -> Floats:
    """Vectors of pieces of text whose inner product with a skill's unit vector says how well it fits.

    The product is the mean of two cosines, that of the vector as it is and that of the mapped one. Only to be compared
    with vectors of names.

    Args:
        vectors: Unit vectors by the packaged model, shape (pieces, 384).
    """
    mapped = vectors @ label_projection()
    mapped /= np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)
    combined: Floats = (1 - MAPPED_PART) * vectors + MAPPED_PART * mapped
    return combined
