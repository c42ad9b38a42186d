"""Whether confidences come true: Brier score, calibration error and AUC of forecasts, and the line that corrects them.

Pure: forecasts and outcomes come in as columns. Keeping forecasts and reading outcomes is `forecasts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from platform_assets.evaluation import measures
from platform_assets.profiles.confidence import Floats, sigmoid

MIN_MEASURED = 100
"""With fewer outcomes a calibration error says nothing: even a perfect forecaster would show a tenth."""

MIN_FORECASTS = 500
MIN_DEVELOPERS = 50
"""Fewer outcomes, or of fewer people, are not worth a new correction: the shipped one rests on thousands."""

GAIN_CONFIDENCE = 0.99
"""A correction is tried whenever outcomes come in, for years; at 95 % one in forty tries would be luck."""

_FOLDS = 5
# In a forecast of 0 or 1 there is no log-odds to correct.
_EDGE = 1e-6


@dataclass(frozen=True)
class Quality:
    """How well forecasts came true.

    Attributes:
        forecasts_count: Forecasts with an outcome.
        developers_count: Their developers.
        used_ratio: Share that came true.
        brier: Brier score.
        auc: Area under the ROC curve; None when all outcomes are alike.
        ece: Expected calibration error, 10 bins of equal width.
        ece_reference_high: Upper end of the 95 % interval of what a perfectly calibrated forecaster would show.
    """

    forecasts_count: int
    developers_count: int
    used_ratio: float
    brier: float
    auc: float | None
    ece: float
    ece_reference_high: float


@dataclass(frozen=True)
class Line:
    """A correction of log-odds: `intercept + slope × log-odds`; the default changes nothing."""

    intercept: float = 0.0
    slope: float = 1.0

    def probabilities(self, log_odds: Floats) -> Floats:
        """Corrected probabilities of given log-odds."""
        return sigmoid(self.intercept + self.slope * log_odds)


@dataclass(frozen=True)
class Recalibration:
    """A new correction, compared with the one in use on developers that its fit had not seen.

    Attributes:
        line: The correction, fitted on everything.
        forecasts_count: Forecasts that it was fitted on.
        developers_count: Their developers.
        brier_in_use: Brier score of the correction in use.
        brier: Brier score of corrections fitted without the developers that they are measured on.
        gain: By how much the Brier score falls: paired bootstrap by developer, `GAIN_CONFIDENCE`.
    """

    line: Line
    forecasts_count: int
    developers_count: int
    brier_in_use: float
    brier: float
    gain: measures.Interval

    @property
    def is_better(self) -> bool:
        """Whether it is to be used: surely better, and more evidence still means more confidence."""
        return self.gain.low > 0 and self.line.slope > 0


def measure_quality(
    outcomes: npt.ArrayLike, probabilities: npt.ArrayLike, developers: Sequence[str]
) -> Quality | None:
    """How well forecasts came true; None with fewer than `MIN_MEASURED` outcomes."""
    outcome, probability = np.asarray(outcomes, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if len(outcome) < MIN_MEASURED:
        return None
    is_mixed = 0 < outcome.mean() < 1
    return Quality(
        forecasts_count=len(outcome),
        developers_count=len(set(developers)),
        used_ratio=float(outcome.mean()),
        brier=measures.brier_score(outcome, probability),
        auc=measures.area_under_roc(outcome, probability) if is_mixed else None,
        ece=measures.expected_calibration_error(outcome, probability),
        ece_reference_high=measures.calibrated_reference(probability, draws=200).high,
    )


def fit_line(log_odds: Floats, outcomes: Floats) -> Line:
    """The correction under which the outcomes are likeliest: a logistic regression on the log-odds.

    Source: Platt, "Probabilistic outputs for support vector machines" (1999).
    """
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=np.inf).fit(log_odds[:, None], outcomes)
    return Line(float(fitted.intercept_[0]), float(fitted.coef_[0, 0]))


def consider_recalibration(
    log_odds: npt.ArrayLike, outcomes: npt.ArrayLike, developers: Sequence[str], *, in_use: Line
) -> Recalibration | None:
    """Fit a correction and measure it on what it has not seen, beside the one in use.

    Args:
        log_odds: The model's own, not corrected.
        outcomes: 1 for used, 0 for not.
        developers: Whose forecasts they are; folds and resamples keep a developer whole.
        in_use: The correction in use.

    Returns:
        The comparison; None where there are too few outcomes, or all are alike in a fold.
    """
    x = np.clip(np.asarray(log_odds, dtype=np.float64), np.log(_EDGE), -np.log(_EDGE))
    y = np.asarray(outcomes, dtype=np.float64)
    names = sorted(set(developers))
    if len(y) < MIN_FORECASTS or len(names) < MIN_DEVELOPERS:
        return None
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % _FOLDS))
    folds = np.array([fold_of[name] for name in developers])
    if any(y[folds != fold].min() == y[folds != fold].max() for fold in range(_FOLDS)):
        return None
    unseen = np.empty(len(y))
    for fold in range(_FOLDS):
        unseen[folds == fold] = fit_line(x[folds != fold], y[folds != fold]).probabilities(x[folds == fold])
    used = in_use.probabilities(x)
    return Recalibration(
        line=fit_line(x, y),
        forecasts_count=len(y),
        developers_count=len(names),
        brier_in_use=measures.brier_score(y, used),
        brier=measures.brier_score(y, unseen),
        gain=measures.paired_bootstrap(
            (used - y) ** 2 - (unseen - y) ** 2,
            groups=list(developers),
            resamples=2_000,
            confidence=GAIN_CONFIDENCE,
        ),
    )
