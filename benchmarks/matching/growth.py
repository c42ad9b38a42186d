"""How the engine's time grows with the number of developers: `python -m benchmarks.matching.growth --plot docs/….svg`.

Each size is measured in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def measure_size(
    developers: int, projects: int, *, rounds: int, checked: int, with_faiss: bool
) -> dict[str, Any]:
    """What `python -m benchmarks.matching` measures at a size."""
    command = [sys.executable, "-m", "benchmarks.matching", "--json", "--pgvector-queries", "0"]
    command += ["--no-refresh", "--no-asset"]
    command += ["--developers", str(developers), "--projects", str(projects)]
    command += ["--rounds", str(rounds), "--checked", str(checked)]
    if not with_faiss:
        command.append("--no-faiss")
    done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this project's own module
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Draw time over size, and FAISS where it was measured."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0))
    sizes = [result["developers"] for result in results]
    axes.plot(
        sizes, [result["engine_s"] for result in results], marker="o", label="whole score and filters, exact"
    )
    flat = [result for result in results if "faiss_flat_s" in result]
    if flat:
        axes.plot(
            [result["developers"] for result in flat],
            [result["faiss_flat_s"] for result in flat],
            marker="s",
            linestyle="--",
            label="FAISS IndexFlatIP, vectors alone",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="developers",
        ylabel="seconds",
        title=f"Top {results[0]['top']} of {results[0]['projects']:,} projects, {results[0]['cores']} cores",
    )
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Parse the command line, measure, draw, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matching.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--projects", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--checked", type=int, default=20, help="projects compared with the plain computation"
    )
    parser.add_argument("--no-faiss", action="store_true")
    parser.add_argument("--plot", type=Path, help="SVG file to draw to")
    arguments = parser.parse_args()
    results = [
        measure_size(
            size,
            arguments.projects,
            rounds=arguments.rounds,
            checked=arguments.checked,
            with_faiss=not arguments.no_faiss,
        )
        for size in sorted(arguments.sizes)
    ]
    if arguments.plot is not None:
        plot(results, arguments.plot)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
