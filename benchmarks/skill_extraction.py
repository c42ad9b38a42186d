"""Measures skill extraction: `python -m benchmarks.skill_extraction --data FOLDER --json`.

The folder is the one of `platform-assets evaluate skills`: sentences of job ads with labels, and the vocabulary to rank. Beside
the measures stand their intervals by bootstrap over sentences, and what each part of the score adds, as paired differences
on the same sentences; a part is left out by its weight, nothing is fitted anew.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from platform_assets.clients.embedder import Embedder
from platform_assets.evaluation.measures import r_precision_at, reciprocal_rank
from platform_assets.evaluation.skills import AnnotatedFile, read_folder
from platform_assets.profiles import extraction, label_projection
from platform_assets.profiles.extraction import label_text, rank_skills

Floats = npt.NDArray[np.float64]

_RESAMPLES = 10_000
_SEED = 20261101

PARTS = {
    "label_projection": (label_projection, "MAPPED_PART", 0.0),
    "whole_sentence": (extraction, "SENTENCE_WEIGHT", 0.0),
    "word_coverage": (extraction, "COVERAGE_WEIGHT", 0.0),
    # So small that the soft maximum is the maximum.
    "soft_maximum": (extraction, "SOFTNESS", 0.01),
}
"""Part of the score → the constant that weighs it, and its value without the part."""


@contextmanager
def left_out(part: str) -> Iterator[None]:
    """Score without one part."""
    module, name, value = PARTS[part]
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def measure(folder: Path, *, ablations: bool) -> dict[str, Any]:
    """Measures by file, with intervals; differences of the ablations by file and over all."""
    labels, files = read_folder(folder)
    embedder = Embedder()
    started = time.perf_counter()
    label_vectors = embedder.encode([label_text(label) for label in labels])
    vocabulary_s = time.perf_counter() - started

    def scores(file: AnnotatedFile) -> tuple[Floats, float]:
        counted = [(text, gold) for text, gold in zip(file.sentences, file.gold or ()) if gold]
        started = time.perf_counter()
        ranked = rank_skills([text for text, _ in counted], labels, label_vectors, embedder)
        elapsed_s = time.perf_counter() - started
        rows = [
            (reciprocal_rank(ranking, gold), r_precision_at(5, ranking, gold))
            for (_, gold), ranking in zip(counted, _names(ranked.positions, labels))
        ]
        return np.array(rows).reshape(-1, 2), len(counted) / elapsed_s

    full = {file.name: scores(file) for file in files if file.gold}
    result: dict[str, Any] = {
        "vocabulary": len(labels),
        "vocabulary_embedded_s": vocabulary_s,
        "files": {
            name: {
                "sentences": len(values),
                "mrr": _interval(values[:, 0]),
                "rp@5": _interval(values[:, 1]),
                "sentences_per_second": rate,
            }
            for name, (values, rate) in full.items()
        },
    }
    if ablations:
        result["what_each_part_adds"] = {}
        for part in PARTS:
            with left_out(part):
                without = {file.name: scores(file)[0] for file in files if file.gold}
            gains = {name: full[name][0] - without[name] for name in full}
            gains["all"] = np.concatenate(list(gains.values()))
            result["what_each_part_adds"][part] = {
                name: {"mrr": _interval(gain[:, 0]), "rp@5": _interval(gain[:, 1])}
                for name, gain in gains.items()
            }
    return result


def _names(positions: npt.NDArray[np.int64], labels: Sequence[str]) -> list[list[str]]:
    return [[labels[i] for i in row] for row in positions]


def _interval(values: Floats) -> dict[str, float]:
    """Mean, and its 95 % percentile interval over resampled sentences."""
    rng = np.random.default_rng(_SEED)
    means = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="Folder with the sentences and the vocabulary."
    )
    parser.add_argument("--no-ablations", action="store_true", help="Leave out what each part adds.")
    parser.add_argument("--json", action="store_true", default=True, help="Print JSON (always so).")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.data, ablations=not arguments.no_ablations), indent=2))


if __name__ == "__main__":
    main()
