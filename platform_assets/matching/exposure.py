"""Who is seen how much, and what a re-rank of lists costs and gains, measured together. Pure.

How lists are re-ranked is `rerank`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.evaluation.measures import ndcg_at
from platform_assets.matching.outcomes import Grades, positive

NDCG_DEPTH = 10

Floats = npt.NDArray[np.float64]


def exposures(lists: pd.DataFrame, population: Sequence[str]) -> Floats:
    """How much each developer of the population is seen: Σ 1 / log2(1 + place) over the lists that hold them.

    Source: Singh & Joachims, "Fairness of Exposure in Rankings" (2018).
    """
    number = {developer_id: i for i, developer_id in enumerate(population)}
    of_population = lists[lists["developer_id"].isin(list(number))]
    weight = 1 / np.log2(1 + of_population["rank"].to_numpy(dtype=np.float64))
    seen = np.bincount(of_population["developer_id"].map(number), weights=weight, minlength=len(number))
    return seen.astype(np.float64)


def gini(values: npt.ArrayLike) -> float:
    """Gini coefficient: 0 when all have the same, towards 1 when one has everything; 0 when nobody has anything.

    Raises:
        ValueError: A value is negative.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if ordered.size and ordered[0] < 0:
        raise ValueError("a Gini coefficient is defined for values that are not negative")
    total = ordered.sum()
    if total <= 0:
        return 0.0
    place = np.arange(1, len(ordered) + 1)
    return float((2 * place - len(ordered) - 1) @ ordered / (len(ordered) * total))


@dataclass(frozen=True)
class Tradeoff:
    """What a re-rank costs and gains against the order of scores.

    Attributes:
        mean_score_loss: How much lower the mean score of the first places is.
        ndcg_loss: 1 - the mean of the first places' DCG over that by score, where a candidate's gain is the probability
            ∝ exp(score) with which the score's own choice model picks them.
        outcome_ndcg_before: nDCG@10 of the order of scores against what clients did; None without outcomes.
        outcome_ndcg_after: The same of the re-ranked lists.
        outcome_projects_count: Projects with an outcome among their candidates.
        gini_before: Gini coefficient of exposure by first places over the population, by score.
        gini_after: The same after the re-rank.
        shown_ratio_before: Share of the population in some list's first places, by score.
        shown_ratio_after: The same after the re-rank.
    """

    mean_score_loss: float
    ndcg_loss: float
    outcome_ndcg_before: float | None
    outcome_ndcg_after: float | None
    outcome_projects_count: int
    gini_before: float
    gini_after: float
    shown_ratio_before: float
    shown_ratio_after: float

    def numbers(self) -> dict[str, float | int]:
        """What is known, by name, for an asset's metadata."""
        return {
            f"rerank_{name}": round(value, 6) for name, value in asdict(self).items() if value is not None
        }


def measure_tradeoff(
    candidates: pd.DataFrame,
    reranked: pd.DataFrame,
    *,
    k: int,
    population: Sequence[str],
    outcomes: Grades,
    first_places: int = NDCG_DEPTH,
) -> Tradeoff:
    """Compare re-ranked lists with the order of scores.

    Args:
        candidates: `platform.match_candidates`.
        reranked: What `rerank` made of them.
        k: Places of a list.
        population: Developers who could be shown.
        outcomes: What clients did; see `outcome_grades`.
        first_places: Depth of the first places.
    """
    by_score = candidates[candidates["rank"] <= k]
    before = by_score[by_score["rank"] <= first_places]
    after = reranked[reranked["rank"] <= first_places]
    outcome_before, outcome_after = (_outcome_ndcg(lists, outcomes) for lists in (by_score, reranked))
    people = set(population)
    return Tradeoff(
        mean_score_loss=_mean(before["score"]) - _mean(after["score"]),
        ndcg_loss=_ndcg_loss(before, after),
        outcome_ndcg_before=_mean_or_none(outcome_before),
        outcome_ndcg_after=_mean_or_none(outcome_after),
        outcome_projects_count=len(outcome_before),
        gini_before=gini(exposures(before, population)),
        gini_after=gini(exposures(after, population)),
        shown_ratio_before=_share_in(before, people),
        shown_ratio_after=_share_in(after, people),
    )


def _ndcg_loss(before: pd.DataFrame, after: pd.DataFrame) -> float:
    best = before.groupby("project_id")["score"].max()

    def discounted(lists: pd.DataFrame) -> pd.DataFrame:
        gains = np.exp(lists["score"] - lists["project_id"].map(best)) / np.log2(1 + lists["rank"])
        return lists.assign(gain=gains).groupby("project_id")[["gain"]].sum()

    return 1.0 - float((discounted(after) / discounted(before))["gain"].mean()) if len(best) else 0.0


def _outcome_ndcg(lists: pd.DataFrame, outcomes: Grades) -> list[float]:
    wanted = lists[lists["project_id"].isin(list(outcomes))]
    measured = []
    for project_id, rows in wanted.sort_values("rank").groupby("project_id"):
        ranking = rows["developer_id"].tolist()
        grades: dict[Hashable, float] = dict(positive(outcomes[str(project_id)]).items())
        if grades:
            measured.append(ndcg_at(NDCG_DEPTH, ranking, grades))
    return measured


def _share_in(lists: pd.DataFrame, people: set[str]) -> float:
    return len(people & set(lists["developer_id"])) / len(people) if people else 0.0


def _mean(values: pd.Series[float]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _mean_or_none(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
