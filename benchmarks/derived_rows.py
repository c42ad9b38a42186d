"""What the platform has derived, as values that can be compared: which rows two derivations do not have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.tables.platform import metadata

Snapshot = dict[str, list[dict[str, str]]]
"""By table its rows, each by column as text, without what tells when it was written."""

_OF_THE_USER = {"labelled_samples", "exchange_rates"}
"""Filled by people, never derived."""


def _derived_tables() -> list[sa.Table]:
    return [table for table in metadata.sorted_tables if table.name not in _OF_THE_USER]


def empty_derived(database: Database) -> None:
    """Empty every derived table, so that a refresh has everything to do."""
    names = ", ".join(f"{table.schema}.{table.name}" for table in _derived_tables())
    with database.transaction() as connection:
        connection.execute(sa.text(f"TRUNCATE {names} CASCADE"))


def read_snapshot(database: Database) -> Snapshot:
    """Every derived row."""
    snapshot: Snapshot = {}
    for table in _derived_tables():
        columns = [
            sa.cast(column, sa.Text).label(column.name)
            for column in table.columns
            if not column.info.get("bookkeeping")
        ]
        rows = database.read(sa.select(*columns)).to_dict("records")
        snapshot[table.name] = [{str(name): str(value) for name, value in row.items()} for row in rows]
    return snapshot


def unsteady_columns(first: Snapshot, second: Snapshot) -> dict[str, set[str]]:
    """Columns whose values two undisturbed derivations from the same do not share, such as moments of a call."""
    found: dict[str, set[str]] = {}
    for table, rows in first.items():
        columns = rows[0].keys() if rows else ()
        for column in columns:
            if _values(rows, column) != _values(second[table], column):
                found.setdefault(table, set()).add(column)
    return found


def _values(rows: list[dict[str, str]], column: str) -> Counter[str]:
    return Counter(row[column] for row in rows)


def count_differences(reference: Snapshot, found: Snapshot, *, but: Mapping[str, set[str]]) -> int:
    """Rows that only one of two has, or has more often; for tables of another number of rows, at least that difference.

    Args:
        reference: What should be there.
        found: What is there.
        but: By table, columns that are not compared.
    """
    total = 0
    for table, rows in reference.items():
        skipped = but.get(table, set())
        expected, actual = _as_counter(rows, skipped), _as_counter(found[table], skipped)
        total += (expected - actual).total() + (actual - expected).total()
    return total


def _as_counter(rows: list[dict[str, str]], skipped: set[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(value for name, value in row.items() if name not in skipped) for row in rows)
