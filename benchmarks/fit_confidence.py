"""Fits the confidence model: `python -m benchmarks.fit_confidence --data FOLDER --json [--write]`.

The folder holds `skill_calibration.csv.gz`. Prints how the model does on developers and years it has not seen, beside
plain logistic models on the same 8 numbers, with paired bootstraps by developer and the calibration error that chance
alone shows; `--write` fits it on everything and replaces the shipped coefficients.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.evaluation import measures
from platform_assets.evaluation.confidence import FILE_NAME, read_histories
from platform_assets.profiles.confidence import DIRECTIONS, Model, confidence, history_features, sigmoid

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Forecast = Callable[[Integers, Integers], Floats]

WEIGHT_PENALTY = 3.0
"""Ridge on the weights of standardized features: as good as any between 1 and 10, by developer and by year."""

OFFSET_PENALTY = 3.0
"""Ridge on the offset of a skill: as if 3 further rows, half of them used, stood beside its own, roughly."""

EIGHT_NUMBERS = (
    "commits_count",
    "commits_total_count",
    "days_since_last_use",
    "days_since_last_commit",
    "active_months",
    "tenure_days",
    "commits_last_year_count",
    "commits_total_last_year_count",
)
"""What the file tells of a history, beside the share of commits that follows from it."""

_FOLDS = 10
_COEFFICIENTS = Path(__file__).resolve().parent.parent / "platform_assets" / "profiles" / "confidence.json"


def fit(histories: pd.DataFrame, outcomes: Integers) -> Model:
    """Ridge logistic regression on the transformed history, with a penalized offset per skill.

    Weights have the sign of `DIRECTIONS` or are 0, so that no discount can raise a confidence.
    """
    from scipy.optimize import minimize

    features = history_features(histories)
    values = features.to_numpy(dtype=np.float64)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    skills = sorted(histories["skill_id"].unique())
    one_hot = (histories["skill_id"].to_numpy()[:, None] == np.array(skills, dtype=object)).astype(np.float64)
    design = np.hstack([np.ones((len(values), 1)), (values - mean) / scale, one_hot])
    penalty = np.concatenate(
        [[0.0], np.full(len(mean), WEIGHT_PENALTY), np.full(len(skills), OFFSET_PENALTY)]
    )

    def loss(beta: Floats) -> tuple[float, Floats]:
        log_odds = design @ beta
        value = np.logaddexp(0, log_odds).sum() - outcomes @ log_odds + 0.5 * (penalty * beta * beta).sum()
        return float(value), design.T @ (sigmoid(log_odds) - outcomes) + penalty * beta

    bounds = [
        (None, None),
        *((0.0, None) if DIRECTIONS[str(name)] > 0 else (None, 0.0) for name in features.columns),
        *[(None, None)] * len(skills),
    ]
    beta = minimize(
        loss,
        np.zeros(design.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000},
    ).x
    weights = beta[1 : 1 + len(mean)] / scale
    return Model(
        intercept=float(beta[0] - weights @ mean),
        weights={str(name): float(weight) for name, weight in zip(features.columns, weights)},
        skill_offsets={skill: float(offset) for skill, offset in zip(skills, beta[1 + len(mean) :])},
    )


def plain_logistic(histories: pd.DataFrame, outcomes: Integers, *, logarithms: bool) -> Forecast:
    """The yardstick: scikit-learn's logistic regression on the standardized numbers or their logarithms."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers = histories[list(EIGHT_NUMBERS)].assign(
        share=histories["commits_count"] / histories["commits_total_count"]
    )
    values = (
        np.log1p(numbers.to_numpy(dtype=np.float64)) if logarithms else numbers.to_numpy(dtype=np.float64)
    )

    def forecast(train: Integers, test: Integers) -> Floats:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5_000))
        probabilities: Floats = model.fit(values[train], outcomes[train]).predict_proba(values[test])[:, 1]
        return probabilities

    return forecast


def _report(outcomes: Integers, probabilities: Floats) -> dict[str, Any]:
    return {
        "rows": len(outcomes),
        "auc": measures.area_under_roc(outcomes, probabilities),
        "brier": measures.brier_score(outcomes, probabilities),
        "ece": measures.expected_calibration_error(outcomes, probabilities),
        "ece_if_perfect": asdict(measures.calibrated_reference(probabilities)),
    }


def validate(
    histories: pd.DataFrame,
    outcomes: Integers,
    developers: list[str],
    cutoffs: Integers,
) -> dict[str, Any]:
    """Forecasts for developers left out (10 folds), and for the last year by the years before it."""

    def shipped(train: Integers, test: Integers) -> Floats:
        return confidence(histories.iloc[test], model=fit(histories.iloc[train], outcomes[train]))

    systems: dict[str, Forecast] = {
        "model": shipped,
        "logistic_8_numbers": plain_logistic(histories, outcomes, logarithms=False),
        "logistic_8_logarithms": plain_logistic(histories, outcomes, logarithms=True),
    }
    names = sorted(set(developers))
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % _FOLDS))
    folds = np.array([fold_of[developer] for developer in developers])
    last = cutoffs.max()
    splits = {
        "by_developer": [(_rows(folds != f), _rows(folds == f)) for f in range(_FOLDS)],
        "last_year": [(_rows(cutoffs < last), _rows(cutoffs == last))],
        "last_year_new_developers": [
            (
                _rows((cutoffs < last) & (folds != f)),
                _rows((cutoffs == last) & (folds == f)),
            )
            for f in range(_FOLDS)
        ],
    }
    results: dict[str, Any] = {}
    for split, parts in splits.items():
        rows = np.concatenate([test for _, test in parts])
        forecasts = {
            name: np.concatenate([forecast(train, test) for train, test in parts])
            for name, forecast in systems.items()
        }
        results[split] = {name: _report(outcomes[rows], p) for name, p in forecasts.items()}
        groups = [developers[row] for row in rows]
        ours = forecasts["model"]
        for name in list(systems)[1:]:
            gain = (forecasts[name] - outcomes[rows]) ** 2 - (ours - outcomes[rows]) ** 2
            results[split][f"gain_over_{name}"] = {
                "brier": asdict(measures.paired_bootstrap(gain, groups=groups)),
                "auc": asdict(measures.auc_bootstrap(outcomes[rows], ours, forecasts[name], groups=groups)),
            }
    return results


def main() -> None:
    """Fit, validate, print, and write the coefficients when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder with skill_calibration.csv.gz.")
    parser.add_argument("--json", action="store_true", default=True, help="Print JSON (always so).")
    parser.add_argument("--write", action="store_true", help="Replace the shipped coefficients.")
    arguments = parser.parse_args()
    histories, labels = read_histories(arguments.data / FILE_NAME)
    if labels is None:
        parser.error("the data has no labels")
    keys = pd.read_csv(arguments.data / FILE_NAME, usecols=["developer", "cutoff"], dtype={"developer": str})
    outcomes = np.asarray(labels, dtype=np.int64)
    results = validate(
        histories, outcomes, list(keys["developer"]), np.asarray(keys["cutoff"], dtype=np.int64)
    )
    if arguments.write:
        model = fit(histories, outcomes)
        coefficients = {name: asdict(model)[name] for name in ("intercept", "weights", "skill_offsets")}
        text = json.dumps(_rounded(coefficients), indent=2, sort_keys=True)
        _COEFFICIENTS.write_text(text + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


def _rows(is_in: npt.NDArray[np.bool_]) -> Integers:
    return np.flatnonzero(is_in).astype(np.int64)


def _rounded(coefficients: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: round(number, 6) for key, number in value.items()}
        if isinstance(value, dict)
        else round(value, 6)
        for name, value in coefficients.items()
    }


if __name__ == "__main__":
    main()
