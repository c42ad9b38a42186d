"""Measures upserts against a bare COPY of the same rows: `python -m benchmarks.upsert --json`.

Both run on an embedded Postgres in a folder of its own, in turn, and the best of some rounds counts. The bare COPY
goes through the same encoding, into an identical empty table with the same primary key, and is committed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import psycopg
import sqlalchemy as sa

from platform_assets.clients.copy_rows import COPY_HEADER, COPY_TRAILER, encode_column, join_rows
from platform_assets.clients.database import Database, WriteCounts
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.tables.platform import updated_at

_ROUNDS = 5
_CHANGED_SHARE = 0.01
_CHUNK_ROWS = 10_000


@dataclass(frozen=True)
class UpsertMeasurement:
    """What was measured; times are the best of all rounds, in seconds.

    Attributes:
        rows: Rows of the frame.
        columns: Its columns, key included.
        copy_s: Bare COPY into an empty table with the same primary key.
        upsert_first_s: Upsert into an empty table.
        upsert_again_s: The same rows once more.
        upsert_changed_s: The same rows, one in a hundred changed.
        rate_ratio: Rows per second of the first upsert over those of the bare COPY.
        again_written: Rows that the second upsert touched.
        again_faster: Whether it took less time than the first.
    """

    rows: int
    columns: int
    copy_s: float
    upsert_first_s: float
    upsert_again_s: float
    upsert_changed_s: float
    rate_ratio: float
    again_written: int
    again_faster: bool


def make_table(columns_count: int) -> sa.Table:
    """A table with a text key and columns of the kinds that the platform's own have, in turn."""
    kinds: list[sa.types.TypeEngine[Any]] = [
        sa.Text(),
        sa.BigInteger(),
        sa.Double(),
        sa.Integer(),
        sa.Boolean(),
        sa.Date(),
        sa.DateTime(timezone=True),
    ]
    values = [
        sa.Column(f"value_{position}", kinds[position % len(kinds)], nullable=False)
        for position in range(columns_count - 1)
    ]
    return sa.Table(
        "upserted", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), *values, updated_at()
    )


def make_frame(table: sa.Table, rows_count: int) -> pd.DataFrame:
    """Rows for the table, the same at every call."""
    random = np.random.default_rng(2026)
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = {"id": [f"developer-{number:07d}" for number in random.permutation(rows_count)]}
    for column in table.columns:
        if not column.name.startswith("value_"):
            continue
        numbers = random.integers(0, 1_000_000, rows_count)
        match column.type:
            case sa.Text():
                values: Any = [f"some words about {number}" for number in numbers]
            case sa.Boolean():
                values = numbers % 2 == 0
            case sa.Double():
                values = numbers / 7
            case sa.Date():
                values = start.tz_localize(None) + pd.to_timedelta(numbers % 3_000, unit="D")
            case sa.DateTime():
                values = start + pd.to_timedelta(numbers, unit="s")
            case _:
                values = numbers
        frame[column.name] = values
    return pd.DataFrame(frame)


def bare_copy(database: Database, table: sa.Table, frame: pd.DataFrame) -> None:
    """Copy the rows straight into the table."""
    columns = [table.columns[str(name)] for name in frame.columns]
    names = ", ".join(column.name for column in columns)
    with database.transaction() as connection:
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        statement = f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)"
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(COPY_HEADER)
            for start in range(0, len(frame), _CHUNK_ROWS):
                chunk = frame.iloc[start : start + _CHUNK_ROWS]
                copy.write(
                    join_rows([encode_column(column, chunk[column.name]).fields for column in columns])
                )
            copy.write(COPY_TRAILER)


def measure(database: Database, rows_count: int, columns_count: int) -> UpsertMeasurement:
    """Measure all four, in turn."""
    table = make_table(columns_count)
    frame = make_frame(table, rows_count)
    changed = frame.copy()
    is_changed = np.arange(rows_count) % round(1 / _CHANGED_SHARE) == 0
    changed.loc[is_changed, "value_0"] = "other words"
    times: dict[str, list[float]] = {"copy": [], "first": [], "again": [], "changed": []}
    again = WriteCounts()
    for _ in range(_ROUNDS):
        _empty(database, table)
        times["copy"].append(_seconds(lambda: bare_copy(database, table, frame)))
        _empty(database, table)
        times["first"].append(_seconds(lambda: database.upsert(table, frame)))
        start = time.perf_counter()
        again += database.upsert(table, frame)
        times["again"].append(time.perf_counter() - start)
        times["changed"].append(_seconds(lambda: database.upsert(table, changed)))
    best = {name: min(seconds) for name, seconds in times.items()}
    return UpsertMeasurement(
        rows=rows_count,
        columns=columns_count,
        copy_s=round(best["copy"], 4),
        upsert_first_s=round(best["first"], 4),
        upsert_again_s=round(best["again"], 4),
        upsert_changed_s=round(best["changed"], 4),
        rate_ratio=round(best["copy"] / best["first"], 3),
        again_written=again.written,
        again_faster=best["again"] < best["first"],
    )


def _empty(database: Database, table: sa.Table) -> None:
    with database.transaction() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-") as home:
        database = Database(ensure_postgres(Path(home)).url())
        try:
            measurement = asdict(measure(database, arguments.rows, arguments.columns))
        finally:
            database.close()
            stop_postgres(Path(home))
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>18}  {value}")


if __name__ == "__main__":
    main()
