"""Corrections are used when, and only when, they are surely better on developers that their fit has not seen."""

import numpy as np
import pytest

from platform_assets.evaluation import measures
from platform_assets.profiles.calibration import (
    MIN_DEVELOPERS,
    MIN_FORECASTS,
    MIN_MEASURED,
    Line,
    consider_recalibration,
    fit_line,
    measure_quality,
)

UNCHANGED = Line()


def forecasts(
    *, developers: int = 150, each: int = 10, truth: Line = UNCHANGED, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Log-odds of forecasts, outcomes that come true as the line says, and whose they are."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 2, developers * each)
    outcomes = (rng.random(len(log_odds)) < truth.probabilities(log_odds)).astype(float)
    return log_odds, outcomes, [f"d{i // each}" for i in range(len(log_odds))]


@pytest.mark.parametrize("truth", [Line(-1.0, 1.0), Line(0.0, 0.3), Line(0.7, 2.0)])
def test_a_miscalibrated_model_is_corrected(truth: Line) -> None:
    found = consider_recalibration(*forecasts(truth=truth), in_use=Line())

    assert found is not None
    assert found.is_better
    assert found.brier < found.brier_in_use
    assert (found.line.intercept, found.line.slope) == pytest.approx((truth.intercept, truth.slope), abs=0.35)


@pytest.mark.parametrize("seed", range(8))
def test_a_calibrated_model_is_kept(seed: int) -> None:
    found = consider_recalibration(*forecasts(seed=seed), in_use=Line())

    assert found is not None
    assert not found.is_better


def test_a_correction_that_is_in_use_already_is_not_replaced_by_its_like() -> None:
    truth = Line(-1.0, 0.5)
    found = consider_recalibration(*forecasts(truth=truth), in_use=truth)

    assert found is not None
    assert not found.is_better


@pytest.mark.parametrize(("developers", "each"), [(MIN_DEVELOPERS - 1, 40), (MIN_FORECASTS // 10 - 1, 10)])
def test_too_few_outcomes_or_people_change_nothing(developers: int, each: int) -> None:
    data = forecasts(developers=developers, each=each, truth=Line(-2.0, 0.2))

    assert consider_recalibration(*data, in_use=Line()) is None


def test_outcomes_that_are_all_alike_change_nothing() -> None:
    log_odds, outcomes, developers = forecasts()

    assert consider_recalibration(log_odds, np.zeros_like(outcomes), developers, in_use=Line()) is None


def test_a_correction_that_turns_evidence_round_is_never_used() -> None:
    found = consider_recalibration(*forecasts(truth=Line(0.0, -1.0)), in_use=Line())

    assert found is not None
    assert found.gain.low > 0
    assert not found.is_better


def test_few_people_with_many_forecasts_do_not_make_it_sure() -> None:
    # Each of sixty people has an outcome of their own for all of their forecasts: sixty observations, not 1,200.
    rng = np.random.default_rng(1)
    mood = rng.random(60) < 0.5
    developers = [f"d{i // 20}" for i in range(1_200)]
    outcomes = np.repeat(mood, 20).astype(float)

    found = consider_recalibration(rng.normal(0, 0.3, 1_200), outcomes, developers, in_use=Line(0.25, 1.0))

    assert found is not None
    assert not found.is_better


def test_a_certain_forecast_does_not_break_the_fit() -> None:
    log_odds, outcomes, developers = forecasts()
    log_odds[:5] = [np.inf, -np.inf, 900.0, -900.0, 0.0]

    assert consider_recalibration(log_odds, outcomes, developers, in_use=Line()) is not None
    assert fit_line(log_odds[5:], outcomes[5:]).slope == pytest.approx(1, abs=0.2)


def test_quality_is_measured_on_enough_outcomes_only() -> None:
    log_odds, outcomes, developers = forecasts()
    few = MIN_MEASURED - 1
    quality = measure_quality(outcomes, Line().probabilities(log_odds), developers)

    assert measure_quality(outcomes[:few], Line().probabilities(log_odds[:few]), developers[:few]) is None
    assert quality is not None
    assert (quality.forecasts_count, quality.developers_count) == (1_500, 150)
    assert quality.ece <= quality.ece_reference_high
    assert quality.auc is not None
    assert quality.auc > 0.8


def test_outcomes_that_are_all_alike_have_no_auc() -> None:
    log_odds, outcomes, developers = forecasts()
    quality = measure_quality(np.ones_like(outcomes), Line().probabilities(log_odds), developers)

    assert quality is not None
    assert quality.auc is None
    assert quality.ece > quality.ece_reference_high


def test_the_reference_holds_what_calibrated_forecasters_show() -> None:
    log_odds, _, _ = forecasts()
    probabilities = Line().probabilities(log_odds)
    reference = measures.calibrated_reference(probabilities)
    errors = [
        measures.expected_calibration_error(
            forecasts(seed=seed)[1], Line().probabilities(forecasts(seed=seed)[0])
        )
        for seed in range(100, 140)
    ]

    assert reference.low < reference.mean < reference.high
    assert np.mean([reference.low <= error <= reference.high for error in errors]) > 0.8
