"""Puts sums of whole numbers side by side without leaving whole numbers. Pure; what is summed is the callers' business."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import pandas as pd


def aligned(sums: Mapping[str, pd.Series[int]]) -> pd.DataFrame:
    """Sums over the union of their keys, 0 where one has none.

    Pandas' own alignment passes through floats, which hold whole numbers up to 2^53 alone: a year's sales in rupiah can
    be more.

    Args:
        sums: Name to sums; each has every key at most once, and all have the same kind of keys.

    Returns:
        A column of int64 for each, ordered by key.
    """
    keys: pd.Index = functools.reduce(lambda one, other: one.union(other), (s.index for s in sums.values()))
    return pd.DataFrame(
        {name: values.reindex(keys, fill_value=0).astype("int64") for name, values in sums.items()},
        index=keys,
    ).sort_index()
