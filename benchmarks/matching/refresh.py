"""How long a refresh takes when few developers have changed, beside a whole computation: same data, same rows, warm.

`python -m benchmarks.matching.refresh --developers N --projects M --json` on its own; `measure_refresh` for the others.
Reading and publishing are not part of it: both work from loaded arrays to lists.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.matching.world import World, make_world
from platform_assets.matching import refresh
from platform_assets.matching.candidates import PLACES
from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.filters import allowed_pairs, eligible_developers
from platform_assets.matching.lists import cut
from platform_assets.matching.repositories import Integers

CHANGED_RATIO = 0.01


def measure_refresh(
    world: World, *, changed_ratio: float = CHANGED_RATIO, repeats: int = 3, seed: int = 2026
) -> dict[str, Any]:
    """Time a whole and an incremental refresh of the same changes.

    Args:
        world: The marketplace before.
        changed_ratio: Share of the developers who change; they take each other's places, filters included.
        repeats: How often each is timed; the quickest counts.
        seed: Seed of who changes.

    Returns:
        `full_s`, `incremental_s`, `incremental_ratio`, `unchanged_s` (nobody changed), `rescan_ratio`,
        `projects_touched` and `incremental_equals_full`.
    """
    count = len(world.developers.developer_ids)
    rng = np.random.default_rng(seed)
    changed = np.sort(rng.choice(count, size=max(2, round(count * changed_ratio)), replace=False))
    rows = np.arange(count)
    rows[changed] = np.roll(changed, 1)
    after = selected(world, rows, np.arange(count))
    few = selected(world, rows[changed], changed)
    nobody = selected(world, rows[:0], rows[:0])
    base = refresh.full(world.projects, world_side(world), places=PLACES).lists

    def incremental(side: refresh.Side) -> refresh.Refreshed:
        return refresh.incremental(
            base,
            world.projects,
            changed=side,
            gone=(),
            changed_projects=(),
            everyone=lambda: world_side(after),
            places=PLACES,
        )

    full_s, whole = _timed(lambda: refresh.full(world.projects, world_side(after), places=PLACES), repeats)
    incremental_s, found = _timed(lambda: incremental(world_side(few)), repeats)
    unchanged_s, still = _timed(lambda: incremental(world_side(nobody)), repeats)
    return {
        "full_s": full_s,
        "incremental_s": incremental_s,
        "incremental_ratio": incremental_s / full_s,
        "unchanged_s": unchanged_s,
        "unchanged_touches": len(still.touched),
        "developers_changed": len(changed),
        "projects_touched": len(found.touched),
        "rescan_ratio": found.rescan_ratio,
        "incremental_equals_full": _is_equal(found, whole),
    }


def world_side(world: World) -> refresh.Side:
    """The developers of a world as a refresh takes them."""
    rules = world.filters
    return refresh.Side(world.developers, partial(allowed_pairs, rules), eligible_developers(rules))


def selected(world: World, rows: Integers, names: Integers) -> World:
    """Some developers of a world, at the positions `rows`, under the ids at the positions `names`, which ascend."""
    people = world.filters.developers.iloc[rows].assign(
        developer_id=[world.developers.developer_ids[name] for name in names]
    )
    return World(
        _selected_features(world.developers, rows, names),
        world.projects,
        dataclasses.replace(world.filters, developers=people),
    )


def _selected_features(features: DeveloperFeatures, rows: Integers, names: Integers) -> DeveloperFeatures:
    starts = features.facet_starts
    counts = starts[rows + 1] - starts[rows]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    facets = np.repeat(starts[rows], counts) + within
    return dataclasses.replace(
        features,
        developer_ids=tuple(features.developer_ids[name] for name in names),
        facet_developer=np.repeat(np.arange(len(rows)), counts),
        facet_names=tuple(features.facet_names[facet] for facet in facets),
        vectors=features.vectors[facets],
        repositories_count=features.repositories_count[rows],
        skills=features.skills[rows],
        words=features.words[rows],
        hourly_rate_minor=features.hourly_rate_minor[rows],
        currencies=features.currencies[rows],
        capacity_hours=features.capacity_hours[rows],
        rating_average=features.rating_average[rows],
        rating_count=features.rating_count[rows],
        idle_days=features.idle_days[rows],
    )


def _timed(work: Callable[[], refresh.Refreshed], repeats: int) -> tuple[float, refresh.Refreshed]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - started)
    return min(times), result


def _is_equal(found: refresh.Refreshed, whole: refresh.Refreshed) -> bool:
    """Whether the exact places are the same in every number."""
    one, other = (cut(result.lists, PLACES.listed) for result in (found, whole))
    return bool(
        one.project_ids == other.project_ids
        and np.array_equal(
            one.developer_ids[one.entries.developers], other.developer_ids[other.entries.developers]
        )
        and all(
            np.array_equal(getattr(one.entries, name), getattr(other.entries, name))
            for name in ("projects", "units", "known")
        )
    )


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=10_000)
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="always so")
    arguments = parser.parse_args()
    world = make_world(arguments.developers, arguments.projects)
    print(json.dumps(measure_refresh(world, repeats=arguments.repeats)))


if __name__ == "__main__":
    _main()
