"""Measures matching: `python -m benchmarks.matching --developers 100000 --projects 2000 --json`.

Every system runs on the same data in the same process, warm, in turn, and the best of some rounds counts. The engine's
clock runs from loaded features to the top K with its reasons: laying out both sides, bounds, filters and the exact scores
are inside. Beside it stand the refresh of what changed, and the whole asset with reading and publishing.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.matching import engine, exhaustive, machine
from benchmarks.matching.asset import measure_asset, scratch_database
from benchmarks.matching.faiss_flat import FlatIndex, one_vector_each, project_vectors
from benchmarks.matching.pgvector_hnsw import measure_pgvector
from benchmarks.matching.refresh import measure_refresh
from benchmarks.matching.world import World, make_world

TOP = 50


def measure(
    world: World, *, rounds: int, with_faiss: bool, pgvector_queries: int, checked: int
) -> dict[str, Any]:
    """Measure the systems."""
    found = engine.run_engine(world, engine.fresh_filters(world), count=TOP)
    times: dict[str, list[float]] = {"engine": [], "faiss": []}
    cpu: dict[str, list[float]] = {"engine": [], "faiss": []}
    queries = project_vectors(world)
    flat = FlatIndex(one_vector_each(world)) if with_faiss else None
    if flat is not None:
        flat.search(queries[:100], TOP)
    for _ in range(rounds):
        filters = engine.fresh_filters(world)
        _timed(partial(engine.run_engine, world, filters, count=TOP), times["engine"], cpu["engine"])
        if flat is not None:
            _timed(partial(flat.search, queries, TOP), times["faiss"], cpu["faiss"])
    engine_s = min(times["engine"])
    projects_count = len(world.projects)
    step = max(1, projects_count // checked) if checked else 0
    projects = list(range(0, projects_count, step))[:checked] if step else []
    result: dict[str, Any] = {
        "developers": len(world.developers.developer_ids),
        "vectors": len(world.developers.vectors),
        "projects": projects_count,
        "top": TOP,
        "kernel": engine.kernel_name(world),
        "filters_pass_ratio": round(engine.pass_ratio(world, world.filters), 3),
        "engine_s": round(engine_s, 3),
        "engine_cpu_s": round(min(cpu["engine"]), 3),
        "gemm_rate_ratio": round(
            engine.multiplications(world) / engine_s / machine.gemm_rate(engine.kernel_name(world)), 3
        ),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "checked_projects": len(projects),
        "equal_to_exhaustive": not exhaustive.differing_projects(
            world, world.filters, found, count=TOP, projects=projects
        )
        if projects
        else None,
    }
    if times["faiss"]:
        result |= {
            "faiss_flat_s": round(min(times["faiss"]), 3),
            "faiss_flat_cpu_s": round(min(cpu["faiss"]), 3),
            "ratio_to_faiss_flat": round(engine_s / min(times["faiss"]), 3),
            "cpu_ratio_to_faiss_flat": round(min(cpu["engine"]) / min(cpu["faiss"]), 3),
        }
    if pgvector_queries:
        pgvector = measure_pgvector(world, world.filters, count=TOP, queries=pgvector_queries)
        result |= {f"pgvector_{name}": value for name, value in asdict(pgvector).items()}
    return result


def _timed(work: Callable[[], Any], seconds: list[float], cpu_seconds: list[float]) -> None:
    gc.collect()
    started, cpu_started = time.perf_counter(), time.process_time()
    work()
    seconds.append(time.perf_counter() - started)
    cpu_seconds.append(time.process_time() - cpu_started)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matching",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--developers", type=int, default=100_000)
    parser.add_argument("--projects", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--rounds", type=int, default=3)
    checked = parser.add_mutually_exclusive_group()
    checked.add_argument(
        "--checked", type=int, default=100, help="projects compared with the exhaustive computation (100)"
    )
    checked.add_argument(
        "--check-all",
        action="store_true",
        help="compare all of them: about 0.1 s of CPU time for each at 100,000 developers",
    )
    parser.add_argument("--no-faiss", action="store_true", help="leave FAISS out")
    parser.add_argument(
        "--pgvector-queries", type=int, default=100, help="projects asked of pgvector; 0 leaves it out"
    )
    parser.add_argument("--no-refresh", action="store_true", help="leave the incremental refresh out")
    parser.add_argument("--no-asset", action="store_true", help="leave the asset with its database out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if min(arguments.developers, arguments.projects, arguments.rounds) < 1:
        parser.error("there must be at least one developer, one project and one round")
    world = make_world(arguments.developers, arguments.projects, seed=arguments.seed)
    measured: dict[str, Any] = {
        **machine.features(),
        **measure(
            world,
            rounds=arguments.rounds,
            with_faiss=not arguments.no_faiss,
            pgvector_queries=min(arguments.pgvector_queries, arguments.projects),
            checked=arguments.projects if arguments.check_all else arguments.checked,
        ),
        **({} if arguments.no_refresh else measure_refresh(world)),
    }
    if not arguments.no_asset:
        with scratch_database() as database:
            measured |= measure_asset(
                database, developers_count=arguments.developers, projects_count=arguments.projects
            )
    if arguments.json:
        print(json.dumps(measured))
    else:
        for name, value in measured.items():
            print(f"{name:>26}  {value}")
    if measured["equal_to_exhaustive"] is False:
        sys.exit("The engine's lists are not those of the exhaustive computation")


if __name__ == "__main__":
    main()
