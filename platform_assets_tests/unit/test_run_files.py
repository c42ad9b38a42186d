"""Files of results: whatever a name holds comes back, and a place that can't be written is told."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from platform_assets.evaluation.run_files import RunFileError, write_run_file


def test_results_that_cannot_be_written_are_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"nowhere/run\.csv can't be written: No such file"):
        write_run_file(pd.DataFrame({"row": [0]}), tmp_path / "nowhere" / "run.csv")


def test_names_survive_the_run_file(tmp_path: Path) -> None:
    rows = pd.DataFrame({"item": ['a,"b"', "two\nlines", "old\r\nend", "日本語 🎉", "NA"], "rank": range(5)})
    write_run_file(rows, tmp_path / "run.csv")
    with (tmp_path / "run.csv").open(encoding="utf-8", newline="") as file:
        assert [row["item"] for row in csv.DictReader(file)] == list(rows["item"])
