"""Fits the weights of a match's work terms on real contributions, and says what each term is worth.

`python -m benchmarks.fit_matching --data <folder>` prints one JSON object. Terms are fitted by maximum likelihood of a
choice model, P(developer) ∝ exp(weights · terms), the model that the score is built on. Quality is measured on each project
with weights fitted on the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from platform_assets.evaluation.matching import (
    MEASURES,
    Marketplace,
    features_without,
    rank_pool,
    read_marketplace,
    summarize,
)
from platform_assets.evaluation.measures import paired_bootstrap
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, score_pairs
from platform_assets.matching.weights import Weights, weights_from_values
from platform_assets.sandbox.data_folder.gitmatch import read_qrels

Floats = npt.NDArray[np.float64]

WORK_TERMS = ("skills", "meaning", "title", "breadth")
"""What git histories can tell of; nobody in them has a rate, free hours or ratings."""

RIDGE = 0.05
"""Penalty on squared weights of terms scaled to deviation 1: keeps a term that tells little near 0."""

VARIANTS: dict[str, tuple[str, ...]] = {
    "all": WORK_TERMS,
    **{f"without {term}": tuple(other for other in WORK_TERMS if other != term) for term in WORK_TERMS},
    **{f"{term} alone": (term,) for term in WORK_TERMS},
}


@dataclass(frozen=True)
class Query:
    """A project with its pool: terms before weights, shape (developers, 4), and the share each developer is wanted."""

    terms: Floats
    wanted: Floats


def read_queries(marketplace: Marketplace, grades: dict[str, dict[str, int]]) -> dict[str, Query]:
    """The projects that have a relevant developer in their pool."""
    unweighted = weights_from_values(dict.fromkeys(TERMS, 1.0), reason="terms before weights")
    columns = [TERMS.index(term) for term in WORK_TERMS]
    queries = {}
    for project in map(str, marketplace.projects["project_id"]):
        posted, developers = features_without(marketplace, project)
        known = grades.get(project, {})
        # The root of the gain: a contributor of hundreds of commits counts more, but does not stand for all.
        gains = np.sqrt([2.0 ** known.get(developer, 0) - 1.0 for developer in developers.developer_ids])
        if gains.sum() > 0:
            pairs = np.array([(0, position) for position in range(len(gains))])
            scores = score_pairs([posted], developers, pairs, weights=unweighted)
            queries[project] = Query(scores.units[:, columns] / UNITS_PER_POINT, gains / gains.sum())
    return queries


def fit(queries: Sequence[Query], terms: Sequence[str]) -> dict[str, float]:
    """Weights of the given terms, not negative; the others are 0."""
    from scipy.optimize import minimize

    columns = [WORK_TERMS.index(term) for term in terms]
    scale = np.concatenate([query.terms for query in queries])[:, columns].std(axis=0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, gradient = RIDGE * float(weights @ weights), 2 * RIDGE * weights
        for query in queries:
            scaled = query.terms[:, columns] / scale
            evidence = scaled @ weights
            evidence -= evidence.max()
            chance = np.exp(evidence)
            total = float(chance.sum())
            value -= float(query.wanted @ (evidence - np.log(total))) / len(queries)
            gradient = gradient - scaled.T @ (query.wanted - chance / total) / len(queries)
        return value, gradient

    start = np.ones(len(columns))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(columns)).x / scale
    return dict.fromkeys(WORK_TERMS, 0.0) | dict(zip(terms, map(float, found)))


def _work_weights(values: dict[str, float]) -> Weights:
    """Weights of work alone: the data knows neither rates nor ratings, and is no marketplace of today."""
    others = {term: 0.0 for term in TERMS if term not in WORK_TERMS}
    return weights_from_values(values | others, reason="fitted")


def cross_validate(
    marketplace: Marketplace,
    queries: dict[str, Query],
    grades: dict[str, dict[str, int]],
    terms: Sequence[str],
) -> dict[str, Any]:
    """Measures of each project under weights fitted on all others."""
    rankings = {}
    for project in queries:
        others = [query for name, query in queries.items() if name != project]
        rankings[project] = rank_pool(marketplace, project, weights=_work_weights(fit(others, terms)))
    return summarize(rankings, grades)


def _differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    projects = sorted(left["per_query"])
    return {
        name: asdict(
            paired_bootstrap([left["per_query"][p][name] - right["per_query"][p][name] for p in projects])
        )
        for name in MEASURES
    }


def main() -> None:
    """Print weights, ablations and paired bootstrap intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true", help="the only format there is")
    arguments = parser.parse_args()
    marketplace = read_marketplace(arguments.data)
    grades = {
        str(project): dict(zip(rows["developer"], rows["grade"].astype(int)))
        for project, rows in read_qrels(arguments.data).groupby("project")
    }
    queries = read_queries(marketplace, grades)
    results = {name: cross_validate(marketplace, queries, grades, terms) for name, terms in VARIANTS.items()}
    print(
        json.dumps(
            {
                "queries": len(queries),
                "weights": fit(list(queries.values()), WORK_TERMS),
                "left_one_out": {
                    name: {
                        **{measure: result[measure] for measure in MEASURES},
                        "all_minus_this": _differences(results["all"], result) if name != "all" else None,
                    }
                    for name, result in results.items()
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
