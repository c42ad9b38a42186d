"""The exact best developers of each project under the score and the filters, in bounded memory.

Which pairs need a second look is `blocks`; what a pair is worth is decided by the one routine in `scoring`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from platform_assets.matching.blocks import Mask, PairFilter, ProjectBlock
from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.kernels import (
    BFLOAT16,
    DENSE_COLUMNS,
    DeveloperSide,
    Kernel,
    best_kernel,
    developer_side,
    plan_columns,
    project_side,
    standing,
)
from platform_assets.matching.project_rows import project_rows
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, Scores
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights

MATCH_COLUMNS = ("project_id", "developer_id", "rank", "score", "reasons", "as_of")


@dataclass(frozen=True)
class BlockShape:
    """How much is worked on at a time; results do not depend on it.

    Attributes:
        projects: Projects of a block. 256 × 8,192 fills matrix units and stays within caches.
        developers: Developers of a chunk; memory beyond the features themselves grows with it.
        workers: Threads; None is one for each core that the process may use.
        dense_columns: Skills and words in the matrix product; the rest is a sparse product.
        kernel: What approximates; None is the quickest there is.
    """

    projects: int = 256
    developers: int = 8_192
    workers: int | None = None
    dense_columns: int = DENSE_COLUMNS
    kernel: Kernel | None = None

    def __post_init__(self) -> None:
        if min(self.projects, self.developers, 1 if self.workers is None else self.workers) < 1:
            raise ValueError(f"Blocks hold at least one of each: {self}")
        if self.dense_columns < 0:
            raise ValueError(f"There can't be fewer than no dense columns: {self}")


DEFAULT_SHAPE = BlockShape()


@dataclass(frozen=True)
class BestPairs:
    """The best pairs of each project: by project, then by score downwards, ties by developer.

    Attributes:
        projects: Position of each pair's project, ascending.
        developers: Position of each pair's developer.
        scores: Their scores.
    """

    projects: Integers
    developers: Integers
    scores: Scores


def best_pairs(
    projects: Sequence[ProjectFeatures],
    developers: DeveloperFeatures,
    allowed: PairFilter,
    *,
    count: int,
    weights: Weights = DEFAULT_WEIGHTS,
    at_least: Floats | None = None,
    eligible: Mask | None = None,
    shape: BlockShape = DEFAULT_SHAPE,
) -> BestPairs:
    """The `count` best developers of each project among those who may be matched.

    Args:
        projects: Projects to find developers for.
        developers: Developers to choose from.
        allowed: Which pairs pass the filters; asked for any pairs, any number of times, from several threads.
        count: How many developers each project wants.
        weights: What terms are worth.
        at_least: Score below which a project's pairs don't matter, shape (projects,); None when all do. Where it is
            known, most pairs need not be looked at.
        eligible: Developers who pass the filters with some project, shape (developers,); None when that is not known.
        shape: Sizes of blocks.

    Raises:
        ValueError: `count` is below 1.
        MatchingInputError: Vectors of projects and developers have different lengths.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1")
    rows = project_rows(projects, developers)
    floor = np.full(len(projects), -np.inf) if at_least is None else at_least
    kernel = shape.kernel or best_kernel(len(developers.developer_ids), len(projects), developers.dimensions)
    columns = plan_columns(rows, developers, most_dense=shape.dense_columns)
    standings = standing(developers, weights)
    side = project_side(
        rows, columns, weights, kernel, largest_standing=float(np.abs(standings).max(initial=0.0))
    )
    # Half a millionth, lest a threshold that was rounded upwards loses a pair on it.
    below = floor - 0.5 / UNITS_PER_POINT
    blocks = [
        ProjectBlock(rows, side, columns, span, count=count, at_least=below, weights=weights, kernel=kernel)
        for span in _spans(len(projects), shape.projects)
    ]
    # Thresholds are high early when those who bring most to any project come first.
    order = np.argsort(-standings, kind="stable")
    if eligible is not None:
        order = order[eligible[order]]
    chunks = [order[span] for span in _spans(len(order), shape.developers)]

    def laid_out(positions: Integers) -> DeveloperSide:
        return developer_side(rows, developers, positions, columns, standings, weights, kernel)

    with _workers(shape.workers, kernel) as pool:
        # Each chunk is laid out while the one before it is compared.
        coming = [pool.submit(laid_out, chunk) for chunk in chunks[:1]]
        for number in range(len(chunks)):
            chunk_side = coming.pop().result()
            coming += [pool.submit(laid_out, chunk) for chunk in chunks[number + 1 : number + 2]]
            seen = [pool.submit(block.see, developers, chunk_side, allowed) for block in blocks]
            for task in seen:
                task.result()
        found = list(pool.map(lambda block: block.best(developers, floor), blocks))
    return _joined(found)


def _spans(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _joined(found: Sequence[tuple[Integers, Integers, Scores]]) -> BestPairs:
    nobody = np.empty(0, dtype=np.int64)
    return BestPairs(
        projects=np.concatenate([nobody, *(rows for rows, _, _ in found)]),
        developers=np.concatenate([nobody, *(positions for _, positions, _ in found)]),
        scores=Scores(
            np.concatenate(
                [np.empty((0, len(TERMS)), dtype=np.int64), *(scores.units for _, _, scores in found)]
            ),
            np.concatenate(
                [np.empty((0, len(TERMS)), dtype=np.bool_), *(scores.known for _, _, scores in found)]
            ),
        ),
    )


@contextmanager
def _workers(count: int | None, kernel: Kernel) -> Iterator[ThreadPoolExecutor]:
    """Threads that share the cores, so that libraries must not start more of their own."""
    from threadpoolctl import threadpool_limits

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(count or cores, initializer=partial(_keep_to_one_core, kernel)) as pool,
    ):
        yield pool


def _keep_to_one_core(kernel: Kernel) -> None:
    if kernel is BFLOAT16:
        import torch

        # Holds for the calling thread alone.
        torch.set_num_threads(1)


def rank_candidates(
    projects: Sequence[ProjectFeatures],
    developers: DeveloperFeatures,
    allowed: PairFilter,
    *,
    k: int,
    reserve: int,
    as_of: dt.date,
    weights: Weights = DEFAULT_WEIGHTS,
    shape: BlockShape = DEFAULT_SHAPE,
) -> pd.DataFrame:
    """Rows of `platform.match_candidates`: for each project the K + R best developers who may be matched.

    Args:
        projects: Projects to find developers for.
        developers: Developers to choose from.
        allowed: Which pairs pass the filters; asked for any pairs, any number of times, from several threads.
        k: Places of the list.
        reserve: Places behind it.
        as_of: Day for which the scores hold.
        weights: What terms are worth.
        shape: Sizes of blocks.

    Returns:
        `project_id`, `developer_id`, `rank` from 1, `score`, `reasons`, `as_of`; by score downwards, ties by developer
        id. A project has fewer rows when fewer developers may be matched, and none when nobody may.

    Raises:
        ValueError: `k` is below 1 or `reserve` below 0.
        MatchingInputError: Vectors of projects and developers have different lengths.
    """
    if k < 1 or reserve < 0:
        raise ValueError(f"k={k} must be at least 1, reserve={reserve} at least 0")
    best = best_pairs(projects, developers, allowed, count=k + reserve, weights=weights, shape=shape)
    firsts = np.searchsorted(best.projects, best.projects)
    return pd.DataFrame(
        {
            "project_id": [projects[row].project_id for row in best.projects],
            "developer_id": [developers.developer_ids[position] for position in best.developers],
            "rank": np.arange(len(firsts)) - firsts + 1,
            "score": best.scores.totals / UNITS_PER_POINT,
            "reasons": [best.scores.reasons(row) for row in range(len(best.projects))],
            "as_of": as_of,
        },
        columns=list(MATCH_COLUMNS),
    )


def last_kept_scores(candidates: pd.DataFrame, *, places: int) -> dict[str, float]:
    """Project → score of its last place, for projects whose list is full.

    Whoever is not in such a list scores at most that, and at an equal score comes later by id. Where the list is not
    full, it holds everybody who may be matched.
    """
    last = candidates[candidates["rank"] == places]
    return dict(zip(last["project_id"], last["score"].astype(float)))
