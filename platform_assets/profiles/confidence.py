"""Skill confidence: from the history of a developer with a skill to the probability that they use it within a year.

A logistic model on transformed history, with a shrunken offset per skill; its coefficients are data
(`confidence.json`, fitted by `benchmarks/fit_confidence.py` on public git histories before 2023). Where histories come
from is `skills`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

HISTORY_COLUMNS = {
    "skill_id": "The skill.",
    "commits_count": "Own commits attributed to the skill, above 0; may be fractional.",
    "commits_total_count": "All own commits.",
    "days_since_last_use": "Days from the latest commit with the skill to the day of the forecast.",
    "days_since_last_commit": "Days from the latest commit of any kind.",
    "active_months": "Calendar months with a commit with the skill.",
    "tenure_days": "Days since the first commit of any kind.",
    "commits_last_year_count": "Own commits attributed to the skill in the last 365 days.",
    "commits_total_last_year_count": "All own commits in the last 365 days.",
}
"""Columns of a history, one row per developer and skill, all of them as of the day of the forecast."""

_DAYS_PER_MONTH = 30.4


@dataclass(frozen=True)
class Model:
    """Coefficients of the logistic model.

    Attributes:
        intercept: Log-odds at zero.
        weights: Weight of each feature of `history_features`, by name.
        skill_offsets: Log-odds added for a skill; 0 for one that was not in the fit.
    """

    intercept: float
    weights: Mapping[str, float]
    skill_offsets: Mapping[str, float]


@cache
def shipped_model() -> Model:
    """The model that ships with the product."""
    text = resources.files("platform_assets.profiles").joinpath("confidence.json").read_text("utf-8")
    coefficients = json.loads(text)
    return Model(coefficients["intercept"], coefficients["weights"], coefficients["skill_offsets"])


def history_features(history: pd.DataFrame) -> pd.DataFrame:
    """Transformed history, one column per weight of the model.

    Counts and days enter by their logarithm; recency also by two exponential decays, relative to the developer's own
    latest commit, so that a pause of the person is not held against one skill.

    Args:
        history: `HISTORY_COLUMNS`, finite and not negative.
    """
    commits = history["commits_count"].astype(float)
    last_year = history["commits_last_year_count"].astype(float)
    total = history["commits_total_count"].astype(float)
    share = (commits / total.clip(lower=1)).clip(upper=1)
    pause_days = (history["days_since_last_use"] - history["days_since_last_commit"]).clip(lower=0)
    tenure_months = history["tenure_days"] / _DAYS_PER_MONTH + 1
    return pd.DataFrame(
        {
            "share": share,
            "log_share": np.log(share + 0.001),
            "log_days_since_last_use": np.log1p(history["days_since_last_use"]),
            "recency_90d": np.exp(-pause_days / 90),
            "recency_365d": np.exp(-pause_days / 365),
            "log_tenure_days": np.log1p(history["tenure_days"]),
            "log_commits_last_year": np.log1p(last_year),
            "log_commits_total_last_year": np.log1p(history["commits_total_last_year_count"]),
            "used_last_year": last_year.clip(upper=1),
            "log_active_months_ratio": np.log(
                (history["active_months"] / tenure_months).clip(upper=1) + 0.01
            ),
            "log_commits_before_last_year": np.log1p((commits - last_year).clip(lower=0)),
        }
    )


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
    _require_history(history)
    model = model or shipped_model()
    features = history_features(history)
    log_odds = np.full(len(history), model.intercept)
    for name, weight in model.weights.items():
        log_odds += weight * features[name].to_numpy(dtype=np.float64)
    log_odds += history["skill_id"].map(model.skill_offsets).fillna(0.0).to_numpy(dtype=np.float64)
    return sigmoid(log_odds)


def sigmoid(log_odds: Floats) -> Floats:
    """Probability of given log-odds, without overflow."""
    probability: Floats = 0.5 * (1 + np.tanh(0.5 * log_odds))
    return probability


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
