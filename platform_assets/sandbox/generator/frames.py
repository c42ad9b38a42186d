"""Rows of the marketplace contract as frames with the types that the database client expects. No values are made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa


def contract_frame(table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of one table as a frame with its columns.

    Integers and floats are nullable, instants are in UTC, days are `datetime.date`, arrays are lists.

    Raises:
        KeyError: A row lacks a column.
    """
    rows = list(rows)
    return pd.DataFrame(
        {
            column.name: pd.Series([row[column.name] for row in rows], dtype=_dtype(column))
            for column in table.columns
        }
    )


def _dtype(column: sa.Column[Any]) -> Any:
    match column.type:
        case sa.Integer():
            return pd.Int64Dtype()
        case sa.Float():
            return pd.Float64Dtype()
        case sa.Boolean():
            return bool
        case sa.DateTime():
            return pd.DatetimeTZDtype(unit="us", tz="UTC")
        case _:
            return object
