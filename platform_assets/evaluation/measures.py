"""Measures of ranking and of probabilities, each after its source. Pure; what is measured on which data is elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


def reciprocal_rank(ranking: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """1 / rank of the first relevant item, 0 when the ranking has none; its mean over queries is MRR.

    Source: Voorhees, "The TREC-8 Question Answering Track Report" (1999).
    """
    for rank, item in enumerate(ranking, start=1):
        if item in relevant:
            return 1 / rank
    return 0.0


def r_precision_at(k: int, ranking: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """Relevant items among the first k, over the most that could be: min(k, number of relevant items).

    Source: Chalkidis et al., "Large-Scale Multi-Label Text Classification on EU Legislation" (2019), RP@K.

    Raises:
        ValueError: Nothing is relevant; such a query is not counted.
    """
    _require_relevant(relevant)
    return sum(item in relevant for item in ranking[:k]) / min(k, len(relevant))


def recall_at(k: int, ranking: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """Share of the relevant items that are among the first k.

    Raises:
        ValueError: Nothing is relevant; such a query is not counted.
    """
    _require_relevant(relevant)
    return sum(item in relevant for item in ranking[:k]) / len(relevant)


def ndcg_at(k: int, ranking: Sequence[Hashable], grades: Mapping[Hashable, float]) -> float:
    """Normalized discounted cumulative gain of the first k: gain 2^grade − 1, discount log2(1 + rank).

    Source: Järvelin & Kekäläinen (2002) for the discount, Burges et al., "Learning to Rank using Gradient Descent"
    (2005) for the gain.

    Args:
        k: Depth.
        ranking: Items, best first.
        grades: Grade of each relevant item that could be ranked; items without one have gain 0.

    Raises:
        ValueError: No grade is above 0; such a query is not counted.
    """
    ideal = sorted((2**grade - 1 for grade in grades.values()), reverse=True)[:k]
    if not ideal or ideal[0] <= 0:
        raise ValueError("nDCG is undefined for a query without a relevant item")
    gains = [2 ** grades.get(item, 0) - 1 for item in ranking[:k]]
    return _discounted(gains) / _discounted(ideal)


def _discounted(gains: Sequence[float]) -> float:
    return float(sum(gain / np.log2(1 + rank) for rank, gain in enumerate(gains, start=1)))


def _require_relevant(relevant: Collection[Hashable]) -> None:
    if not relevant:
        raise ValueError("undefined for a query without a relevant item")


def area_under_roc(outcomes: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Probability that a positive scores above a negative; a tie counts one half.

    Source: Hanley & McNeil (1982), by mid-ranks (Mann–Whitney U).

    Raises:
        ValueError: Only one class is present, or the lengths differ.
    """
    positive, score = _pair(outcomes, scores)
    is_positive = positive == 1
    positives = int(is_positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        raise ValueError("AUC is undefined when all outcomes are alike")
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(size) - (size - 1) / 2
    u = mid_rank[group][is_positive].sum() - positives * (positives + 1) / 2
    return float(u / (positives * negatives))


def brier_score(outcomes: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared difference of probability and outcome. Source: Brier (1950), for two classes.

    Raises:
        ValueError: There are no rows, or the lengths differ.
    """
    outcome, probability = _pair(outcomes, probabilities)
    return float(np.mean((probability - outcome) ** 2))


def expected_calibration_error(
    outcomes: npt.ArrayLike, probabilities: npt.ArrayLike, *, bins: int = 10
) -> float:
    """Mean gap between probability and frequency over bins of equal width, weighted by their rows.

    Bins are closed below; the last one is closed above too. Source: Naeini et al. (2015), Guo et al. (2017).

    Raises:
        ValueError: There are no rows, the lengths differ, or a probability is not between 0 and 1.
    """
    outcome, probability = _pair(outcomes, probabilities)
    if probability.min() < 0 or probability.max() > 1:
        raise ValueError("a probability lies outside 0 to 1")
    bin_of = np.minimum((probability * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=probability - outcome, minlength=bins)
    return float(np.abs(gaps).sum() / len(outcome))


@dataclass(frozen=True)
class Reference:
    """What a measure comes to when chance alone is at work.

    Attributes:
        mean: Its mean.
        low: Lower end of the interval that holds 95 % of the draws.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def calibrated_reference(
    probabilities: npt.ArrayLike, *, bins: int = 10, draws: int = 500, seed: int = 0
) -> Reference:
    """The expected calibration error that a perfectly calibrated forecaster would show on as many rows.

    Outcomes are drawn from the probabilities themselves, independently. Source: Vaicenavicius et al., "Evaluating model
    calibration in classification" (2019), consistency resampling after Bröcker & Smith (2007).

    Raises:
        ValueError: There are no rows, or a probability is not between 0 and 1.
    """
    probability = np.asarray(probabilities, dtype=np.float64)
    rng = np.random.default_rng(seed)
    errors = [
        expected_calibration_error(rng.random(probability.shape) < probability, probability, bins=bins)
        for _ in range(draws)
    ]
    low, high = np.quantile(errors, [0.025, 0.975])
    return Reference(float(np.mean(errors)), float(low), float(high))


def _pair(
    outcomes: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    outcome = np.asarray(outcomes, dtype=np.float64)
    score = np.asarray(scores, dtype=np.float64)
    if outcome.shape != score.shape or outcome.ndim != 1 or outcome.size == 0:
        raise ValueError(f"{outcome.shape} outcomes and {score.shape} scores do not belong together")
    if not (np.isin(outcome, (0, 1)).all() and np.isfinite(score).all()):
        raise ValueError("an outcome is not 0 or 1, or a score is not a number")
    return outcome, score


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: Mean over the units.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p_value: Share of resampled means at or below 0, doubled on the smaller side: how often chance would show a
            difference of the other sign.
    """

    mean: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    differences: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean difference of two systems on the same units.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993); paired by unit as in Koehn (2004).

    Args:
        differences: One difference per unit (query, row), in any order.
        groups: What each unit belongs to (its developer, say); whole groups are drawn. Default: each its own.
        resamples: Number of resamples.
        confidence: Coverage of the interval.
        seed: Seed of the draws.

    Raises:
        ValueError: There are no differences, or groups of another number.
    """
    difference = np.asarray(differences, dtype=np.float64)
    if difference.ndim != 1 or difference.size == 0:
        raise ValueError("a bootstrap needs at least one difference")
    units: Sequence[Hashable] = range(len(difference)) if groups is None else groups
    if len(units) != len(difference):
        raise ValueError(f"{len(difference)} differences and {len(units)} groups do not belong together")
    codes: dict[Hashable, int] = {}
    code = [codes.setdefault(unit, len(codes)) for unit in units]
    sums = np.bincount(code, weights=difference)
    sizes = np.bincount(code).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(0, len(sums), len(sums))
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    return _interval(float(difference.mean()), means, confidence)


def auc_bootstrap(
    outcomes: npt.ArrayLike,
    scores: npt.ArrayLike,
    other_scores: npt.ArrayLike,
    *,
    groups: Sequence[Hashable],
    resamples: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the difference of two systems' AUC on the same rows; whole groups are drawn.

    A draw in which all outcomes are alike has no AUC and is drawn again. Source: as `paired_bootstrap`.

    Args:
        outcomes: 1 or 0 per row.
        scores: The system's scores.
        other_scores: Those of the system that it is compared with.
        groups: What each row belongs to (its developer, say).
        resamples: Number of resamples.
        confidence: Coverage of the interval.
        seed: Seed of the draws.

    Raises:
        ValueError: All outcomes are alike, or the lengths differ.
    """
    outcome, score = _pair(outcomes, scores)
    _, other = _pair(outcomes, other_scores)
    mean = area_under_roc(outcome, score) - area_under_roc(outcome, other)
    rows_of: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    members = [np.array(rows) for rows in rows_of.values()]
    rng = np.random.default_rng(seed)
    differences: list[float] = []
    while len(differences) < resamples:
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        drawn = outcome[rows]
        if drawn.min() != drawn.max():
            differences.append(area_under_roc(drawn, score[rows]) - area_under_roc(drawn, other[rows]))
    return _interval(mean, np.array(differences), confidence)


def _interval(mean: float, means: npt.NDArray[np.float64], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    p_value = min(1.0, 2 * min((means <= 0).mean(), (means >= 0).mean()))
    return Interval(float(mean), float(low), float(high), float(p_value))
