"""Measures against values worked by hand, and against scikit-learn's on random data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, ndcg_score, roc_auc_score

from platform_assets.evaluation import measures


def test_reciprocal_rank_is_of_the_first_relevant_item() -> None:
    assert measures.reciprocal_rank(["a", "b", "c"], {"c", "b"}) == 1 / 2
    assert measures.reciprocal_rank(["a"], {"x"}) == 0
    assert measures.reciprocal_rank([], {"x"}) == 0


def test_r_precision_divides_by_what_could_be_found() -> None:
    ranking = ["a", "x", "b", "y", "z", "c"]
    assert measures.r_precision_at(5, ranking, {"a", "b", "c"}) == 2 / 3
    assert measures.r_precision_at(2, ranking, {"a", "b", "c"}) == 1 / 2
    assert measures.recall_at(2, ranking, {"a", "b", "c"}) == 1 / 3


def test_ndcg_by_hand() -> None:
    grades = {"a": 3, "b": 2, "c": 1}
    found = 3 / math.log2(2) + 0 / math.log2(3) + 7 / math.log2(4)
    ideal = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    assert measures.ndcg_at(3, ["b", "x", "a"], grades) == pytest.approx(found / ideal)
    assert measures.ndcg_at(10, ["a", "b", "c"], grades) == pytest.approx(1)
    assert measures.ndcg_at(1, ["x", "a"], grades) == 0


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 4, 30)
    scores = rng.permutation(30)
    ranking = [int(i) for i in np.argsort(-scores)]
    expected = ndcg_score([2.0**grades - 1], [scores], k=10)
    relevant = {i: float(grade) for i, grade in enumerate(grades) if grade}
    assert measures.ndcg_at(10, ranking, relevant) == pytest.approx(expected)


def test_measures_of_a_query_without_relevant_items_are_undefined() -> None:
    with pytest.raises(ValueError, match="undefined"):
        measures.r_precision_at(5, ["a"], set())
    with pytest.raises(ValueError, match="undefined"):
        measures.recall_at(5, ["a"], set())
    with pytest.raises(ValueError, match="undefined"):
        measures.ndcg_at(5, ["a"], {})


def test_auc_counts_a_tie_as_one_half() -> None:
    assert measures.area_under_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    assert measures.area_under_roc([0, 1], [0.5, 0.5]) == 0.5
    assert measures.area_under_roc([0, 1, 1], [0.5, 0.5, 0.9]) == 0.75


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=60))
def test_auc_and_brier_agree_with_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    outcomes = [int(outcome) for outcome, _ in rows]
    probabilities = [score / 5 for _, score in rows]
    assert measures.brier_score(outcomes, probabilities) == pytest.approx(
        brier_score_loss(outcomes, probabilities, labels=[0, 1])
    )
    if len(set(outcomes)) == 2:
        assert measures.area_under_roc(outcomes, probabilities) == pytest.approx(
            roc_auc_score(outcomes, probabilities)
        )


def test_auc_of_one_class_is_undefined() -> None:
    with pytest.raises(ValueError, match="alike"):
        measures.area_under_roc([1, 1], [0.2, 0.3])


def test_calibration_error_by_hand() -> None:
    # Bins 0.0-0.1 (0.05 against 0), 0.7-0.8 (0.75 against one in two), and the last one, which includes 1.
    outcomes = [0, 1, 0, 1]
    probabilities = [0.05, 0.75, 0.75, 1.0]
    expected = (abs(0.05 - 0) + abs(1.5 - 1) + abs(1.0 - 1)) / 4
    assert measures.expected_calibration_error(outcomes, probabilities) == pytest.approx(expected)
    assert measures.expected_calibration_error([0, 1], [0.5, 0.5]) == 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        measures.brier_score([0, 1], [0.5])
    with pytest.raises(ValueError, match="belong together"):
        measures.brier_score([], [])
    with pytest.raises(ValueError, match="not a number"):
        measures.brier_score([0], [float("nan")])
    with pytest.raises(ValueError, match="0 to 1"):
        measures.expected_calibration_error([0], [1.5])


def test_bootstrap_covers_the_mean_and_is_repeatable() -> None:
    differences = np.random.default_rng(3).normal(0.5, 1, 200)
    interval = measures.paired_bootstrap(differences, resamples=2_000)
    assert interval == measures.paired_bootstrap(differences, resamples=2_000)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == pytest.approx(differences.mean())
    # Normal theory: mean ± 1.96 · standard error.
    half = 1.96 * differences.std() / math.sqrt(200)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert interval.p_value < 0.01


def test_bootstrap_draws_whole_groups() -> None:
    differences = np.repeat(np.random.default_rng(3).normal(0, 1, 20), 10)
    by_row = measures.paired_bootstrap(differences, resamples=1_000)
    by_group = measures.paired_bootstrap(differences, groups=list(np.repeat(range(20), 10)), resamples=1_000)
    assert by_group.high - by_group.low > 2 * (by_row.high - by_row.low)
    with pytest.raises(ValueError, match="belong together"):
        measures.paired_bootstrap([1.0, 2.0], groups=["a"])


def test_the_bootstrap_of_two_aucs_tells_a_better_system_and_draws_whole_groups() -> None:
    rng = np.random.default_rng(0)
    outcomes = rng.integers(0, 2, 600)
    groups = [f"g{i // 4}" for i in range(600)]
    good, poor = outcomes + rng.normal(0, 1, 600), outcomes + rng.normal(0, 3, 600)

    found = measures.auc_bootstrap(outcomes, good, poor, groups=groups, resamples=300)
    same = measures.auc_bootstrap(outcomes, good, good, groups=groups, resamples=50)

    expected = measures.area_under_roc(outcomes, good) - measures.area_under_roc(outcomes, poor)
    assert found.mean == pytest.approx(expected)
    assert 0 < found.low < found.mean < found.high
    assert (same.low, same.high, same.p_value) == (0, 0, 1)
