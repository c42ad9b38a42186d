"""Weights of the match score, learned from what clients did, and put to use only when unseen projects bear them out.

Also which weights are in use. What a term is, is `scoring`; upkeep of the database is `upkeep`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.evaluation.measures import ndcg_at, paired_bootstrap
from platform_assets.matching.outcomes import Grades
from platform_assets.matching.pair_scores import ProjectScores
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights, weights_from_values
from platform_assets.tables.matching_service import matching_weights

Floats = npt.NDArray[np.float64]

MIN_PROJECTS_COUNT = 50
"""Projects with outcomes below which nothing is learned: the interval of a mean over fewer is wider than any gain."""

NDCG_DEPTH = 10
FOLDS_COUNT = 5
PRIOR_PROJECTS_COUNT = 20
"""How many projects' outcomes the weights in use are worth: the fewer there are, the less a weight moves."""

LARGEST_FACTOR = 4.0
"""One decision changes no weight by more: the next one, on the lists that it made, may go on."""

WEIGHT_DECIMALS = 4

PACKAGED, LEARNED = "packaged", "outcomes"


def current_weights(database: Database, as_of: dt.date) -> Weights:
    """The weights of the match score that are in use on a day.

    New ones are in use from the day after their decision, so that all scores of a day are of one kind. Weights of terms
    that the score no longer has are left out, and terms that they lack have their packaged weight.
    """
    table = matching_weights
    found = database.read(
        sa.select(table.c.version, table.c.weights, table.c.source)
        .where(table.c.in_use_from <= as_of)
        .order_by(table.c.in_use_from.desc(), table.c.decided_on.desc(), table.c.version)
        .limit(1)
    )
    if found.empty or found["source"].iloc[0] == PACKAGED:
        return DEFAULT_WEIGHTS
    known = DEFAULT_WEIGHTS.values()
    values = {name: value for name, value in found["weights"].iloc[0].items() if name in known}
    return weights_from_values(values, reason=f"learned from outcomes, version {found['version'].iloc[0]}")


@dataclass(frozen=True)
class Trial:
    """What came of learning weights.

    Attributes:
        is_adopted: Whether the learned weights are better on projects that they were not learned from.
        reason: Why, in one sentence.
        weights: The learned weights; those in use when nothing was learned.
        numbers: What was measured.
    """

    is_adopted: bool
    reason: str
    weights: dict[str, float]
    numbers: dict[str, Any]

    @property
    def decision(self) -> str:
        """`adopted` or `kept`."""
        return "adopted" if self.is_adopted else "kept"


def try_weights(
    scored: Sequence[ProjectScores],
    grades: Grades,
    weights: Weights,
    *,
    seed: str,
    min_projects_count: int = MIN_PROJECTS_COUNT,
) -> Trial:
    """Learn weights from outcomes and judge them on projects that they were not learned from.

    For each of `FOLDS_COUNT` parts of the projects, weights are learned on the others and compared with those in use by
    nDCG@10 on the developers whom the client looked at. They are adopted when the lower end of the paired bootstrap's
    95 % interval of the difference is above 0; what is adopted is then learned from all projects.

    Args:
        scored: Scores under the weights in use.
        grades: What clients did; see `outcome_grades`.
        weights: The weights in use.
        seed: Seeds the parts, such as the day.
        min_projects_count: Projects below which nothing is learned.
    """
    queries = [query for each in scored if (query := _query(each, grades)) is not None]
    in_use = weights.values()
    numbers: dict[str, Any] = {
        "projects_with_outcomes": len(queries),
        "pairs_looked_at": sum(len(query.grades) for query in queries),
    }
    if len(queries) < min_projects_count:
        reason = f"{len(queries)} projects with outcomes that tell developers apart; {min_projects_count} are needed"
        return Trial(False, reason, in_use, numbers)
    fold_of = [_fold(query.project_id, seed) for query in queries]
    learned_without = [
        learn_factors([query for query, own in zip(queries, fold_of) if own != fold])
        for fold in range(FOLDS_COUNT)
    ]
    before = np.array([_ndcg(query, np.ones(len(TERMS))) for query in queries])
    after = np.array([_ndcg(query, learned_without[fold]) for query, fold in zip(queries, fold_of)])
    interval = paired_bootstrap(after - before)
    factors = dict(zip(TERMS, learn_factors(queries).tolist()))
    learned = {name: round(value * factors.get(name, 1.0), WEIGHT_DECIMALS) for name, value in in_use.items()}
    numbers |= {
        "ndcg_in_use": round(float(before.mean()), 4),
        "ndcg_learned": round(float(after.mean()), 4),
        "ndcg_gain": round(interval.mean, 4),
        "ndcg_gain_low": round(interval.low, 4),
        "ndcg_gain_high": round(interval.high, 4),
        "factors": {term: round(factor, 3) for term, factor in factors.items()},
    }
    is_adopted = interval.low > 0 and learned != in_use
    comparison = (
        f"nDCG@{NDCG_DEPTH} on unseen projects {after.mean():.3f} against {before.mean():.3f} "
        f"(gain {interval.mean:+.3f}, 95 % from {interval.low:+.3f} to {interval.high:+.3f})"
    )
    verdict = "better beyond chance" if is_adopted else "not better beyond chance"
    return Trial(is_adopted, f"{comparison}: {verdict}", learned, numbers)


@dataclass(frozen=True)
class Query:
    """The developers of one project whom the client looked at.

    Attributes:
        project_id: The project.
        developer_ids: The developers.
        parts: Each term's part of the score in use, shape (developers, terms).
        grades: What the client did, shape (developers,).
    """

    project_id: str
    developer_ids: tuple[str, ...]
    parts: Floats
    grades: npt.NDArray[np.int64]


def learn_factors(queries: Sequence[Query]) -> Floats:
    """Factors of the terms in the order of `TERMS`, by which a client's choices become most likely.

    Pairwise logistic loss (Burges et al., "Learning to Rank using Gradient Descent", 2005) over pairs of developers of
    one project of whom the client went further with one, each project weighing the same, plus a ridge towards factors
    of 1: without evidence the weights in use stay. Factors lie between 0 and `LARGEST_FACTOR`.
    """
    from scipy.optimize import minimize

    differences, weights = [np.zeros((0, len(TERMS)))], [np.zeros(0)]
    for query in queries:
        better, worse = np.nonzero(query.grades[:, None] > query.grades[None, :])
        differences.append(query.parts[better] - query.parts[worse])
        weights.append(np.full(len(better), 1.0 / max(1, len(better))))
    ahead, weight = np.concatenate(differences), np.concatenate(weights)
    weight = weight / max(1.0, weight.sum())
    ridge = PRIOR_PROJECTS_COUNT / (max(1, len(queries)) * len(TERMS))

    def loss(factors: Floats) -> tuple[float, Floats]:
        margin = ahead @ factors
        wrong = np.exp(-np.logaddexp(0.0, margin))
        away = factors - 1.0
        value = weight @ np.logaddexp(0.0, -margin) + ridge * (away @ away)
        return float(value), -(weight * wrong) @ ahead + 2 * ridge * away

    found = minimize(
        loss,
        np.ones(len(TERMS)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, LARGEST_FACTOR)] * len(TERMS),
    )
    factors: Floats = np.asarray(found.x, dtype=np.float64)
    return factors


def weights_row(trial: Trial, *, as_of: dt.date) -> pd.DataFrame:
    """The row of `platform.matching_weights` of learned weights."""
    return _row(trial.weights, LEARNED, trial.numbers, as_of, as_of + dt.timedelta(days=1))


def packaged_row(as_of: dt.date) -> pd.DataFrame:
    """The row of `platform.matching_weights` of the weights that the platform comes with."""
    return _row(DEFAULT_WEIGHTS.values(), PACKAGED, {}, as_of, as_of)


def _row(
    values: Mapping[str, float],
    source: str,
    evidence: Mapping[str, Any],
    decided_on: dt.date,
    in_use_from: dt.date,
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "version": weights_from_values(values, reason=source).version,
                "weights": dict(values),
                "source": source,
                "evidence": dict(evidence),
                "decided_on": decided_on,
                "in_use_from": in_use_from,
            }
        ]
    )


def _query(scored: ProjectScores, grades: Grades) -> Query | None:
    """A project as a query; None where no developer was preferred to another."""
    own = grades.get(scored.project_id, {})
    rows = [row for row, developer_id in enumerate(scored.developer_ids) if developer_id in own]
    reached = np.array([own[scored.developer_ids[row]] for row in rows], dtype=np.int64)
    if not len(rows) or reached.min() == reached.max():
        return None
    return Query(
        scored.project_id,
        tuple(scored.developer_ids[row] for row in rows),
        scored.scores.units[rows] / UNITS_PER_POINT,
        reached,
    )


def _fold(project_id: str, seed: str) -> int:
    return (
        int.from_bytes(hashlib.sha256(f"{seed} {project_id}".encode(errors="replace")).digest()[:8])
        % FOLDS_COUNT
    )


def _ndcg(query: Query, factors: Floats) -> float:
    order = np.lexsort((np.array(query.developer_ids), -(query.parts @ factors)))
    ids = query.developer_ids
    return ndcg_at(
        NDCG_DEPTH,
        [ids[row] for row in order],
        {developer_id: float(grade) for developer_id, grade in zip(ids, query.grades.tolist())},
    )


def write_weights(database: Database, trial: Trial, *, as_of: dt.date) -> None:
    """Keep what is in use: the packaged weights from the beginning, and learned ones when they are adopted.

    Weights that come back after others get a new day of use; of the decisions of one day the last one counts.
    """
    table = matching_weights
    with database.transaction() as connection:
        if not connection.scalar(sa.select(sa.func.count()).select_from(table)):
            database.upsert(table, packaged_row(as_of), connection=connection)
        if trial.is_adopted:
            database.upsert(
                table,
                weights_row(trial, as_of=as_of),
                delete_missing=(table.c.decided_on == as_of) & (table.c.source == LEARNED),
                connection=connection,
            )
