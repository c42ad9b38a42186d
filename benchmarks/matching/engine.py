"""The platform's own engine: the whole score under all filters, from loaded arrays to the top K."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.matching.world import World
from platform_assets.matching.filters import Filters, allowed_pairs, eligible_developers
from platform_assets.matching.kernels import best_kernel
from platform_assets.matching.top_k import BestPairs, BlockShape, best_pairs


def fresh_filters(world: World) -> Filters:
    """Filters of which nothing is prepared yet: what they derive from the tables is inside the clock."""
    filters = world.filters
    return Filters(filters.developers, filters.projects, filters.contracts, filters.blocks, filters.as_of)


def run_engine(world: World, filters: Filters, *, count: int, threads: int | None = None) -> BestPairs:
    """The best developers of every project, with a thread for each core or as many as given."""
    return best_pairs(
        world.projects,
        world.developers,
        partial(allowed_pairs, filters),
        count=count,
        eligible=eligible_developers(filters),
        shape=BlockShape(workers=threads),
    )


def kernel_name(world: World) -> str:
    """What the engine approximates with at this size, on this machine."""
    return best_kernel(
        len(world.developers.developer_ids), len(world.projects), world.developers.dimensions
    ).name


def multiplications(world: World) -> float:
    """Multiplications and additions of a matrix product of all vectors with all projects' vectors."""
    developers = world.developers
    return 2.0 * len(developers.vectors) * len(world.projects) * developers.dimensions


def pass_ratio(world: World, filters: Filters, *, sample: int = 200_000) -> float:
    """Share of pairs that the filters let through, in a sample."""
    rng = np.random.default_rng(0)
    projects = rng.integers(0, len(world.projects), size=sample)
    developers = rng.integers(0, len(world.developers.developer_ids), size=sample)
    return float(allowed_pairs(filters, projects, developers).mean())
