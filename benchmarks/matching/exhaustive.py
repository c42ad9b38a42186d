"""The plain way: every pair that the filters let through is scored by the routine that decides, and sorted."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.matching.world import World
from platform_assets.matching.filters import Filters, allowed_pairs
from platform_assets.matching.scoring import score_pairs
from platform_assets.matching.top_k import BestPairs


def differing_projects(
    world: World, filters: Filters, found: BestPairs, *, count: int, projects: list[int]
) -> list[str]:
    """Projects whose list is not, in every row and every term, that of the plain computation."""
    everybody = np.arange(len(world.developers.developer_ids))
    differing = []
    console = Console(stderr=True)
    for row in track(projects, "Comparing with the exhaustive computation", console=console, transient=True):
        positions = everybody[allowed_pairs(filters, np.full(len(everybody), row), everybody)]
        pairs = np.stack([np.zeros_like(positions), positions], axis=1)
        scores = score_pairs([world.projects[row]], world.developers, pairs)
        order = np.lexsort((positions, -scores.totals))[:count]
        own = found.projects == row
        if not (
            np.array_equal(found.developers[own], positions[order])
            and np.array_equal(found.scores.units[own], scores.units[order])
        ):
            differing.append(world.projects[row].project_id)
    return differing
