"""Files of rankings and forecasts, for whoever scores them elsewhere. What stands in them is told by who writes them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from platform_assets.errors import PlatformError


class RunFileError(PlatformError):
    """The results can't be written where they were asked for."""


def write_run_file(rows: pd.DataFrame, path: Path) -> None:
    """Write rows as CSV with a head.

    Raises:
        RunFileError: The file can't be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            rows.to_csv(file, index=False)
    except OSError as error:
        raise RunFileError(f"{path} can't be written: {error.strerror}") from error
