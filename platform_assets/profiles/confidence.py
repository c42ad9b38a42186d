"""Skill confidence: from the history of a developer with a skill to the probability that they use it within a year.

A logistic model on transformed history, with a shrunken offset per skill; its coefficients are data
(`confidence.json`, fitted by `benchmarks/fit_confidence.py` on public git histories before 2023). Where histories come
from is `skill_evidence`; whether forecasts came true is `calibration`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

COUNTED_COLUMNS = {
    "commits_count": "Commits attributed to the skill; may be fractional.",
    "commits_last_year_count": "Those of the last 365 days.",
    "commits_total_last_year_count": "Commits of any kind in the last 365 days.",
    "active_months": "Calendar months with a commit with the skill.",
    "days_since_last_use": "Days from the latest commit with the skill to the day of the forecast.",
    "tenure_days": "Days since the first commit of any kind.",
}
"""What speaks for a skill: own commits so far as they count, after discounts."""

MEASURE_COLUMNS = {
    "commits_total_count": "Commits of any kind.",
    "commits_before_last_year_count": "Commits attributed to the skill before the last 365 days.",
    "days_since_last_commit": "Days from the latest commit of any kind.",
    "career_days": "Days since the first commit of any kind.",
}
"""What it is measured against: all own commits, whatever they count."""

HISTORY_COLUMNS = {"skill_id": "The skill.", **COUNTED_COLUMNS, **MEASURE_COLUMNS}
"""Columns of a history, one row per developer and skill, all of them as of the day of the forecast.

Without discounts the two kinds tell of the same commits. With them, what is counted can only be less, and later."""

DIRECTIONS: Mapping[str, int] = {
    "share": 1,
    "log_share": 1,
    "log_days_since_last_use": -1,
    "recency_1000d": 1,
    "log_commits_last_year": 1,
    "log_commits_total_last_year": 1,
    "log_commits_before_last_year": -1,
    "log_tenure_days": 1,
    "log_active_months_ratio": 1,
}
"""Feature → sign of its weight. More counted work, or more recent, never lowers a confidence; more to be measured
against never raises it."""

_DAYS_PER_MONTH = 30.4


@dataclass(frozen=True)
class Model:
    """Coefficients of the logistic model, and the line that corrects its log-odds.

    Attributes:
        intercept: Log-odds at zero.
        weights: Weight of each feature of `history_features`, by name; signs as in `DIRECTIONS`.
        skill_offsets: Log-odds added for a skill; 0 for one that was not in the fit.
        calibration_intercept: Added to the corrected log-odds.
        calibration_slope: Factor of the log-odds, above 0.
    """

    intercept: float
    weights: Mapping[str, float]
    skill_offsets: Mapping[str, float]
    calibration_intercept: float = 0.0
    calibration_slope: float = 1.0

    @cached_property
    def model_id(self) -> str:
        """Identifies the coefficients: models that forecast alike have one id."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


@cache
def shipped_model() -> Model:
    """The model that ships with the product."""
    text = resources.files("platform_assets.profiles").joinpath("confidence.json").read_text("utf-8")
    coefficients = json.loads(text)
    return Model(coefficients["intercept"], coefficients["weights"], coefficients["skill_offsets"])


def history_features(history: pd.DataFrame) -> pd.DataFrame:
    """Transformed history, one column per weight of the model.

    Counts and days enter by their logarithm; recency also relative to the developer's own latest commit, so that a
    pause of the person is not held against one skill.

    Args:
        history: `HISTORY_COLUMNS`, finite and not negative.
    """
    columns = history[[name for name in HISTORY_COLUMNS if name != "skill_id"]].astype(float)
    share = (columns["commits_count"] / columns["commits_total_count"].clip(lower=1)).clip(upper=1)
    pause_days = (columns["days_since_last_use"] - columns["days_since_last_commit"]).clip(lower=0)
    career_months = columns["career_days"] / _DAYS_PER_MONTH + 1
    return pd.DataFrame(
        {
            "share": share,
            "log_share": np.log(share + 0.001),
            "log_days_since_last_use": np.log1p(columns["days_since_last_use"]),
            "recency_1000d": np.exp(-pause_days / 1000),
            "log_commits_last_year": np.log1p(columns["commits_last_year_count"] / 5),
            "log_commits_total_last_year": np.log1p(columns["commits_total_last_year_count"] / 30),
            "log_commits_before_last_year": np.log1p(columns["commits_before_last_year_count"]),
            "log_tenure_days": np.log1p(columns["tenure_days"]),
            "log_active_months_ratio": np.log(
                (columns["active_months"] / career_months).clip(upper=1) + 0.01
            ),
        }
    )


def log_odds_parts(history: pd.DataFrame, *, model: Model | None = None) -> pd.DataFrame:
    """What the log-odds of each forecast are made of; the columns of a row add up to them.

    Returns:
        `start` (the intercept), the features by name, `skill` (its offset) and `calibration` (the correction).

    Raises:
        ValueError: A column is missing, or a value is negative, missing or not finite.
    """
    _require_history(history)
    model = model or shipped_model()
    features = history_features(history)
    parts = pd.DataFrame(
        {
            "start": np.full(len(history), model.intercept),
            **{name: weight * features[name] for name, weight in model.weights.items()},
            "skill": history["skill_id"].map(model.skill_offsets).fillna(0.0).astype(float),
        },
        index=history.index,
    )
    raw = added(parts)
    corrected = model.calibration_intercept + model.calibration_slope * raw
    return parts.assign(calibration=corrected - raw)


def confidence(history: pd.DataFrame, *, model: Model | None = None) -> Floats:
    """Probability that each developer uses the skill in the 365 days after the day of the forecast.

    It holds for developers who stay active (at least 3 commits of any kind in those days): whether somebody stops
    working altogether is another question.

    Args:
        history: `HISTORY_COLUMNS`, one row per developer and skill.
        model: Coefficients; default is the shipped model.

    Returns:
        Probabilities between 0 and 1, shape (rows,).

    Raises:
        ValueError: A column is missing, or a value is negative, missing or not finite.
    """
    return sigmoid(log_odds(history, model=model))


def log_odds(history: pd.DataFrame, *, model: Model | None = None) -> Floats:
    """Log-odds of each forecast, of which `confidence` is the probability; same arguments and errors."""
    return added(log_odds_parts(history, model=model))


def sigmoid(values: Floats) -> Floats:
    """Probability of given log-odds, without overflow."""
    probability: Floats = 0.5 * (1 + np.tanh(0.5 * values))
    return probability


def added(parts: pd.DataFrame) -> Floats:
    """The sum of each row's parts."""
    # Column by column: the sum of a row must not depend on how many rows there are.
    total = np.zeros(len(parts))
    for name in parts:
        total += parts[name].to_numpy(dtype=np.float64)
    return total


def _require_history(history: pd.DataFrame) -> None:
    missing = [column for column in HISTORY_COLUMNS if column not in history.columns]
    if missing:
        raise ValueError(f"A history needs the columns {', '.join(missing)}")
    numbers = history[[column for column in HISTORY_COLUMNS if column != "skill_id"]]
    values = numbers.to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        columns = [column for column, is_bad in zip(numbers.columns, bad.any(axis=0)) if is_bad]
        raise ValueError(f"A history has negative or missing values in {', '.join(columns)}")
