"""Evaluation of skill extraction: the protocol's keys and union of labels, and clear errors for bad files."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from platform_assets.evaluation.data_errors import EvaluationDataError
from platform_assets.evaluation.skills import evaluate_skills

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "skill_extraction"

LABELS = ["JavaScript", "Java (computer programming)", "manage staff", "cook pastry products"]
ANNOTATIONS = [
    ("javascript reactjs java", "javascript", "JavaScript"),
    ("You bake cakes .", "bake cakes", "cook pastry products"),
    ("javascript reactjs java", "reactjs", "LABEL NOT PRESENT"),
    ("javascript reactjs java", "java", "Java (computer programming)"),
    ("javascript reactjs java", "java", "Java (computer programming)"),
    ("We are nice .", "nice", "UNDERSPECIFIED"),
]


def _folder(tmp_path: Path, *columns: str) -> Path:
    (tmp_path / "skills_en_label.txt").write_text("\n".join(LABELS) + "\n\n", "utf-8")
    rows = pd.DataFrame(ANNOTATIONS, columns=["sentence", "span", "label"])
    rows[list(columns)].to_csv(tmp_path / "mini_test_annotations.csv", index=False)
    return tmp_path


def test_labels_of_a_sentence_are_united_and_unknown_ones_do_not_count(tmp_path: Path) -> None:
    run = tmp_path / "run.csv"
    result = evaluate_skills(_folder(tmp_path, "sentence", "span", "label"), run)
    assert list(result) == ["mini_test"]
    assert result["mini_test"].pop("sentences_per_second") > 0
    assert result["mini_test"] == {"sentences": 2, "mrr": 1.0, "rp@5": 1.0, "rp@10": 1.0}
    rows = pd.read_csv(run)
    assert list(rows.columns) == ["query", "rank", "item", "score"]
    assert rows["query"].nunique() == 3
    first = rows[rows["query"] == "javascript reactjs java"]
    assert first["rank"].tolist() == [1, 2, 3, 4]
    assert set(first["item"][:2]) == {"JavaScript", "Java (computer programming)"}
    assert first["score"].is_monotonic_decreasing


@pytest.mark.parametrize("columns", [["sentence"], ["sentence", "span"]])
def test_without_labels_rankings_are_the_same_and_measures_are_null(
    tmp_path: Path, columns: list[str]
) -> None:
    labelled, bare = tmp_path / "labelled", tmp_path / "bare"
    labelled.mkdir()
    bare.mkdir()
    evaluate_skills(_folder(labelled, "sentence", "span", "label"), labelled / "run.csv")
    result = evaluate_skills(_folder(bare, *columns), bare / "run.csv")
    assert (labelled / "run.csv").read_text() == (bare / "run.csv").read_text()
    assert result["mini_test"]["mrr"] is None
    assert result["mini_test"]["rp@5"] is None
    json.dumps(result, allow_nan=False)


def test_every_file_is_measured_by_itself_and_all_go_into_one_run(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "sentence", "label")
    other = pd.DataFrame([("You lead people .", "manage staff")], columns=["sentence", "label"])
    other.to_csv(folder / "other_validation_annotations.csv", index=False)
    result = evaluate_skills(folder, tmp_path / "run.csv")
    assert sorted(result) == ["mini_test", "other_validation"]
    assert pd.read_csv(tmp_path / "run.csv")["query"].nunique() == 4


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / "a_annotations.csv").write_text("text,label\nx,y\n")
    (tmp_path / "b_annotations.csv").write_text("sentence,label\n")
    (tmp_path / "c_annotations.csv").write_text("sentence,label\n ,x\n")
    (tmp_path / "d_annotations.csv").write_bytes(b"sentence,label\n\xff\xfe,x\n")
    with pytest.raises(EvaluationDataError) as raised:
        evaluate_skills(tmp_path)
    message = str(raised.value)
    assert len(raised.value.problems) == 5
    assert "skills_en_label.txt" in message
    assert "a_annotations.csv: the column sentence is missing" in message
    assert "b_annotations.csv: there are no rows" in message
    assert "c_annotations.csv: row 0" in message
    assert "d_annotations.csv can't be read" in message


def test_a_folder_without_annotations_is_told(tmp_path: Path) -> None:
    (tmp_path / "skills_en_label.txt").write_text("Java\n")
    with pytest.raises(EvaluationDataError, match=r"no \*_annotations.csv"):
        evaluate_skills(tmp_path)


def test_the_extractor_holds_on_job_ads() -> None:
    if not SHARED.exists():
        assert "CI" not in os.environ, f"{SHARED} is missing"
        pytest.skip("no shared data")
    result = evaluate_skills(SHARED)
    assert result["tech_validation"]["mrr"] > 0.7
    assert result["tech_validation"]["rp@5"] > 0.72
    assert result["house_validation"]["mrr"] > 0.65
    # Without the fitted map: 0.716 and 0.646.
    assert result["house_validation"]["rp@5"] > 0.66
