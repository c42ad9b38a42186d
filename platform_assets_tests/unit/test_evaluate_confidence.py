"""Evaluation of confidences: the protocol's keys, and clear errors for bad files."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from platform_assets.evaluation.confidence import FILE_NAME, LABEL, evaluate_confidence
from platform_assets.evaluation.data_errors import EvaluationDataError
from platform_assets.evaluation.measures import expected_calibration_error

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

ROW = {
    "cutoff": 2024,
    "developer": "d1",
    "language": "Go",
    "commits_lang": 40,
    "commits_total": 100,
    "share": 0.4,
    "days_since_last_lang": 30,
    "days_since_last_any": 10,
    "active_months_lang": 8,
    "tenure_days": 900,
    "commits_lang_last365": 10,
    "commits_total_last365": 30,
    LABEL: 1,
    "commits_next_365d": 7,
}


def _folder(tmp_path: Path, *rows: dict[str, object]) -> Path:
    pd.DataFrame(rows).to_csv(tmp_path / FILE_NAME, index=False)
    return tmp_path


def test_measures_and_forecasts_belong_together(tmp_path: Path) -> None:
    forgotten = ROW | {"commits_lang": 1, "commits_lang_last365": 0, "days_since_last_lang": 800, LABEL: 0}
    run = tmp_path / "run.csv"
    result = evaluate_confidence(_folder(tmp_path, ROW, forgotten), run)
    written = pd.read_csv(run)
    assert list(written.columns) == ["row", "probability"]
    assert written["row"].tolist() == [0, 1]
    p, q = written["probability"]
    assert p > q
    assert result == {
        "rows": 2,
        "auc": 1.0,
        "brier": pytest.approx(((1 - p) ** 2 + q**2) / 2),
        "ece": pytest.approx(expected_calibration_error([1, 0], [p, q])),
    }


def test_labels_change_no_forecast(tmp_path: Path) -> None:
    forecasts = []
    for name, row in {
        "used": ROW,
        "not_used": ROW | {LABEL: 0, "commits_next_365d": 0},
        "absent": {key: value for key, value in ROW.items() if key not in (LABEL, "commits_next_365d")},
        "empty": ROW | {LABEL: None},
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        result = evaluate_confidence(_folder(folder, row), folder / "run.csv")
        forecasts.append((folder / "run.csv").read_text())
        json.dumps(result, allow_nan=False)
        assert (result["brier"] is None) == (name in ("absent", "empty"))
    assert len(set(forecasts)) == 1


def test_outcomes_that_are_all_alike_have_no_auc(tmp_path: Path) -> None:
    result = evaluate_confidence(_folder(tmp_path, ROW, ROW))
    assert result["auc"] is None
    assert result["brier"] is not None


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationDataError, match="is missing"):
        evaluate_confidence(tmp_path)


def test_a_file_that_is_no_gzip_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("language\n")
    with pytest.raises(EvaluationDataError, match="can't be read"):
        evaluate_confidence(tmp_path)


def test_every_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationDataError) as raised:
        evaluate_confidence(_folder(tmp_path, {"developer": "d1", "commits_total": 3}))
    assert len(raised.value.problems) == 8
    assert "commits_lang is missing" in str(raised.value)


def test_every_bad_value_is_named(tmp_path: Path) -> None:
    bad = ROW | {"tenure_days": "long", "commits_lang": -3, "language": " ", LABEL: 2}
    with pytest.raises(EvaluationDataError) as raised:
        evaluate_confidence(_folder(tmp_path, ROW, bad))
    assert len(raised.value.problems) == 4
    assert all("rows 1 (from 0)" in problem for problem in raised.value.problems)


def test_a_file_without_rows_is_told(tmp_path: Path) -> None:
    pd.DataFrame(columns=list(ROW)).to_csv(tmp_path / FILE_NAME, index=False)
    with pytest.raises(EvaluationDataError, match="no rows"):
        evaluate_confidence(tmp_path)


def test_the_shipped_model_holds_on_public_histories() -> None:
    if not (SHARED / FILE_NAME).exists():
        assert "CI" not in os.environ, f"{SHARED / FILE_NAME} is missing"
        pytest.skip("no shared data")
    result = evaluate_confidence(SHARED)
    # Fitted on these rows: a guard against a broken feature, not a measurement.
    assert result["auc"] > 0.87
    assert result["brier"] < 0.138
    assert result["ece"] < 0.02
