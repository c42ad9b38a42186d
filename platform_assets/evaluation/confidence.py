"""Skill confidence measured on histories whose outcome is known: the product's model, nothing fitted here.

The reading of the file and the protocol belong here; the model is `profiles.confidence`, measures are `measures`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.evaluation import measures
from platform_assets.evaluation.data_errors import EvaluationDataError
from platform_assets.evaluation.run_files import write_run_file
from platform_assets.profiles.confidence import HISTORY_COLUMNS, confidence
from platform_assets.profiles.vocabulary import packaged_vocabulary, skill_slug

FILE_NAME = "skill_calibration.csv.gz"
LABEL = "label_used_next_365d"

# Column of the file → column of a history. What is not named here is never read as an input.
_COLUMNS = {
    "commits_lang": "commits_count",
    "commits_total": "commits_total_count",
    "days_since_last_lang": "days_since_last_use",
    "days_since_last_any": "days_since_last_commit",
    "active_months_lang": "active_months",
    "tenure_days": "tenure_days",
    "commits_lang_last365": "commits_last_year_count",
    "commits_total_last365": "commits_total_last_year_count",
}
_MOST_ROWS_NAMED = 5


def evaluate_confidence(folder: Path, run_path: Path | None = None) -> dict[str, Any]:
    """Forecast each row's outcome and compare.

    Args:
        folder: Holds `skill_calibration.csv.gz`.
        run_path: Where to write the forecasts as CSV `row,probability`, row from 0; None writes nothing.

    Returns:
        `rows`, `auc`, `brier` and `ece` (10 bins of equal width). The measures are None when the file has no labels,
        `auc` also when all outcomes are alike.

    Raises:
        EvaluationDataError: The file is missing or malformed; all problems are listed.
        RunFileError: The results can't be written.
    """
    histories, outcomes = read_histories(folder / FILE_NAME)
    probabilities = confidence(histories)
    if run_path is not None:
        run = pd.DataFrame({"row": np.arange(len(histories)), "probability": probabilities})
        write_run_file(run, run_path)
    if outcomes is None:
        return {"rows": len(histories), "auc": None, "brier": None, "ece": None}
    return {
        "rows": len(histories),
        "auc": measures.area_under_roc(outcomes, probabilities) if outcomes.nunique() == 2 else None,
        "brier": measures.brier_score(outcomes, probabilities),
        "ece": measures.expected_calibration_error(outcomes, probabilities),
    }


def read_histories(path: Path) -> tuple[pd.DataFrame, pd.Series[int] | None]:
    """Histories and outcomes of a file, in its order; the outcomes are None when it has no labels.

    Returns:
        `HISTORY_COLUMNS`, and 1 for used, 0 for not used, per row.

    Raises:
        EvaluationDataError: The file is missing or malformed; all problems are listed.
    """
    rows = _read_text(path)
    problems = [
        f"{path.name}: the column {column} is missing"
        for column in ("language", *_COLUMNS)
        if column not in rows.columns
    ]
    if rows.empty:
        problems.append(f"{path.name}: there are no rows")
    if problems:
        raise EvaluationDataError(problems)
    numbers = rows[list(_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    for column, values in numbers.items():
        is_bad = ~np.isfinite(values.to_numpy(dtype=np.float64)) | (values < 0).to_numpy()
        problems += _bad_rows(path, str(column), "not a number from 0 up", is_bad)
    problems += _bad_rows(path, "language", "empty", (rows["language"].str.strip() == "").to_numpy())
    outcomes = None
    if LABEL in rows.columns and (rows[LABEL] != "").any():
        is_bad = ~pd.to_numeric(rows[LABEL], errors="coerce").isin((0, 1)).to_numpy()
        problems += _bad_rows(path, LABEL, "neither 0 nor 1", is_bad)
        if not is_bad.any():
            outcomes = pd.to_numeric(rows[LABEL]).astype(int)
    if problems:
        raise EvaluationDataError(problems)
    histories = numbers.rename(columns=_COLUMNS)
    # Nothing is discounted here, so that what counts and what it is measured against are the same commits.
    histories["career_days"] = histories["tenure_days"]
    histories["commits_before_last_year_count"] = (
        histories["commits_count"] - histories["commits_last_year_count"]
    ).clip(lower=0)
    vocabulary = packaged_vocabulary()
    skills = {name: vocabulary.resolve(name) or skill_slug(name) for name in rows["language"].unique()}
    histories["skill_id"] = rows["language"].map(skills)
    return histories[list(HISTORY_COLUMNS)], outcomes


def _read_text(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise EvaluationDataError([f"{path} is missing"]) from None
    except (OSError, EOFError, ValueError) as error:
        raise EvaluationDataError([f"{path.name} can't be read: {error}"]) from error


def _bad_rows(path: Path, column: str, problem: str, is_bad: np.ndarray[Any, Any]) -> list[str]:
    rows = np.flatnonzero(is_bad)
    if not len(rows):
        return []
    named = ", ".join(str(row) for row in rows[:_MOST_ROWS_NAMED])
    more = f" and {len(rows) - _MOST_ROWS_NAMED} more" if len(rows) > _MOST_ROWS_NAMED else ""
    return [f"{path.name}: {column} is {problem} in rows {named}{more} (from 0)"]
