"""Which rows are bad, and why: rows that a table can't hold, and rows that break a domain's rules.

Pure; storing them is `upsert.write_quarantine`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.copy_rows import NULL_FIELD, EncodedColumn, encode_column
from platform_assets.clients.jsonable import to_jsonable
from platform_assets.errors import PlatformError

_KEY_MAX_BYTES = 2_600
"""A row of a B-tree index may have 2,704 bytes; some go to its head."""

_ROW_KEY_MAX_LENGTH = 500
_ROWS_NAMED_IN_ERROR = 10


@dataclass(frozen=True)
class BadRow:
    """One row that is set aside.

    Attributes:
        row_key: Its key as text (a JSON list if it has several columns), or a hash of the row when it has none.
        reason: Why, columns named.
        payload: The row as it came; a list where several rows came under one key.
    """

    row_key: str
    reason: str
    payload: dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Rule:
    """A rule of a domain.

    Attributes:
        reason: What is wrong with a row that breaks it, such as `hourly_rate_minor is negative`.
        is_broken: Gives for a frame which rows break it; missing counts as kept.
    """

    reason: str
    is_broken: Callable[[pd.DataFrame], pd.Series[Any]]


class BadRowsError(PlatformError):
    """Rows that a table can't hold, and that nobody asked to set aside; nothing was written.

    Attributes:
        bad_rows: Those rows.
    """

    def __init__(self, table: str, bad_rows: Sequence[BadRow]) -> None:
        """Tell the first of them by key and reason."""
        self.bad_rows = tuple(bad_rows)
        named = "\n".join(f"  {row.row_key}: {row.reason}" for row in bad_rows[:_ROWS_NAMED_IN_ERROR])
        more = len(bad_rows) - _ROWS_NAMED_IN_ERROR
        super().__init__(
            f"{table} can't hold {len(bad_rows)} of the rows; nothing was written:\n{named}"
            + (f"\n  and {more} more" if more > 0 else "")
        )


@dataclass(frozen=True)
class KeyCheck:
    """The encoded key of every row.

    Attributes:
        columns: The key's columns, encoded.
        problems: Row position → what is wrong with its key.
    """

    columns: tuple[EncodedColumn, ...]
    problems: Mapping[int, str]


def check_keys(key: Sequence[sa.Column[Any]], frame: pd.DataFrame) -> KeyCheck:
    """Encode the key columns and find rows whose key is missing, unusable or not theirs alone.

    Of several rows with one key none is taken: which of them is right can't be known.
    """
    columns = tuple(encode_column(column, frame[column.name]) for column in key)
    problems: defaultdict[int, list[str]] = defaultdict(list)
    for column in columns:
        for position, problem in column.problems.items():
            problems[position].append(problem)
    keys = list(zip(*(column.fields for column in columns)))
    if sum(max(map(len, column.fields), default=0) for column in columns) > _KEY_MAX_BYTES:
        for position, fields in enumerate(keys):
            if sum(map(len, fields)) > _KEY_MAX_BYTES:
                problems[position].append(f"the key is longer than {_KEY_MAX_BYTES} bytes")
    if len(set(keys)) < len(keys):
        rows_count = Counter(keys)
        for position, fields in enumerate(keys):
            if rows_count[fields] > 1 and NULL_FIELD not in fields:
                problems[position].append(f"{rows_count[fields]} rows have this key")
    return KeyCheck(columns, {position: "; ".join(reasons) for position, reasons in problems.items()})


def find_bad_rows(table: sa.Table, frame: pd.DataFrame) -> dict[int, str]:
    """Find the rows that a table can't hold: types, ranges, nulls, dimensions, repeated keys.

    Args:
        table: The table; columns that are not in the frame are not looked at.
        frame: Rows, with at least the key's columns.

    Returns:
        Row position → reasons, columns named.
    """
    key = list(table.primary_key.columns)
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for position, problem in check_keys(key, frame).problems.items():
        reasons[position].append(problem)
    for column in table.columns:
        if column.name in frame and column not in key:
            for position, problem in encode_column(column, frame[column.name]).problems.items():
                reasons[position].append(problem)
    return {position: "; ".join(reasons[position]) for position in sorted(reasons)}


def validate_rows(
    frame: pd.DataFrame, rules: Iterable[Rule], *, key: Sequence[str]
) -> tuple[pd.DataFrame, list[BadRow]]:
    """Part rows that keep a domain's rules from those that break one, or whose key is missing or repeated.

    Returns:
        The good rows, index kept, and the bad ones.
    """
    columns = list(key)
    checks = [
        *(_not_null(column) for column in columns),
        Rule("several rows have this key", lambda rows: _is_repeated(rows[columns])),
        *rules,
    ]
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for rule in checks:
        is_broken = rule.is_broken(frame).fillna(False).to_numpy(dtype=bool)
        for position in np.flatnonzero(is_broken).tolist():
            reasons[position].append(rule.reason)
    problems = {position: "; ".join(reasons[position]) for position in sorted(reasons)}
    is_good = np.ones(len(frame), dtype=bool)
    is_good[list(problems)] = False
    return frame[is_good], describe_bad_rows(frame, problems, key)


def _not_null(column: str) -> Rule:
    return Rule(f"{column} is null", lambda rows: rows[column].isna())


def _is_repeated(keys: pd.DataFrame) -> pd.Series[Any]:
    return keys.duplicated(keep=False) & keys.notna().all(axis=1)


def describe_bad_rows(frame: pd.DataFrame, problems: Mapping[int, str], key: Sequence[str]) -> list[BadRow]:
    """The rows to set aside; rows that share a key become one, with all their contents.

    Args:
        frame: All rows.
        problems: Row position → what is wrong.
        key: The key's columns.
    """
    positions = list(problems)
    rows = frame.iloc[positions]
    by_key: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for position, row_key, row in zip(positions, row_keys(rows, key), _records(rows)):
        by_key[row_key].append((problems[position], to_jsonable(row)))
    return [
        BadRow(
            row_key=row_key,
            reason="; ".join(dict.fromkeys(reason for reason, _ in found)),
            payload=found[0][1] if len(found) == 1 else [payload for _, payload in found],
        )
        for row_key, found in by_key.items()
    ]


def row_keys(frame: pd.DataFrame, key: Sequence[str]) -> list[str]:
    """The key of every row as the quarantine names it."""
    if not len(frame):
        return []
    columns = [frame[name] for name in key]
    is_missing = np.logical_or.reduce([column.isna().to_numpy(dtype=bool) for column in columns]).tolist()
    named = [_name_key(values) for values in zip(*(column.astype(object).tolist() for column in columns))]
    if any(is_missing):
        # Equal rows get equal names at every run, so that nothing is counted twice.
        for position, row in enumerate(_records(frame)):
            if is_missing[position]:
                named[position] = f"row:{_hash(to_jsonable(row))}"
    return named


def _name_key(values: tuple[Any, ...]) -> str:
    plain = [to_jsonable(value) for value in values]
    name = str(plain[0]) if len(plain) == 1 else json.dumps(plain, ensure_ascii=False)
    return name if len(name) <= _ROW_KEY_MAX_LENGTH else f"key:{_hash(plain)}"


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    # By column: `to_dict("records")` turns missing integers and dates into other things on the way.
    names = [str(name) for name in frame.columns]
    columns = [
        [None if null else value for value, null in zip(column.astype(object).tolist(), column.isna())]
        for _, column in frame.items()
    ]
    return [dict(zip(names, values)) for values in zip(*columns)]
