"""Writes a DataFrame into a table so that only rows that differ are touched: COPY, then one MERGE.

Also keeps `monitoring.quarantined_rows`, which is itself such a table. Connections are `database`'s; what makes a row
bad is `quarantine`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import ColumnElementColumnDefault

from platform_assets.clients.copy_rows import (
    COPY_HEADER,
    COPY_TRAILER,
    NULL_FIELD,
    EncodedColumn,
    boolean_field,
    encode_column,
    join_rows,
)
from platform_assets.clients.quarantine import (
    BadRow,
    BadRowsError,
    KeyCheck,
    check_keys,
    describe_bad_rows,
    row_keys,
)
from platform_assets.tables.monitoring import quarantined_rows

MINIMUM_POSTGRES = 17
"""The first with `MERGE … RETURNING` and `WHEN NOT MATCHED BY SOURCE`."""

_CHUNK_ROWS = 10_000
"""Encoded at a time, while the server takes in the rows before."""

_STAGE = "upsert_stage"
_IS_GOOD = "is_good"

DeleteMissing = bool | sa.ColumnElement[bool]


@dataclass(frozen=True)
class WriteCounts:
    """What an upsert did, in rows.

    Attributes:
        inserted: New keys.
        updated: Known keys with another value in a column.
        unchanged: Rows that were there already, and were not touched.
        deleted: Rows of the scope that the frame no longer has.
        quarantined: Rows of the frame that were set aside.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    quarantined: int = 0

    @property
    def written(self) -> int:
        """Rows that were touched; 0 when the same work is done again."""
        return self.inserted + self.updated + self.deleted

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)

    def __add__(self, other: WriteCounts) -> WriteCounts:
        mine, theirs = self.as_dict(), other.as_dict()
        return WriteCounts(**{name: mine[name] + theirs[name] for name in mine})


def is_among(column: sa.Column[str], values: Collection[str]) -> sa.ColumnElement[bool]:
    """Condition that a text column has one of any number of values; `IN` takes a parameter for each, 65,535 at most."""
    return column == sa.any_(_text_array(sorted(values)))


def is_not_among(column: sa.Column[str], values: Collection[str]) -> sa.ColumnElement[bool]:
    """Condition that a text column has none of any number of values."""
    return column != sa.all_(_text_array(sorted(values)))


def are_among(columns: Sequence[sa.Column[str]], keys: Collection[tuple[str, ...]]) -> sa.ColumnElement[bool]:
    """Whether columns of text together hold one of any number of keys."""
    ordered = sorted(keys)
    parts = [_text_array([key[position] for key in ordered]) for position in range(len(columns))]
    listed = sa.func.unnest(*parts).table_valued(*(column.name for column in columns)).render_derived()
    return sa.tuple_(*columns).in_(sa.select(*listed.c))


def _text_array(values: Sequence[str]) -> sa.BindParameter[Any]:
    return sa.bindparam(None, values, type_=sa.ARRAY(sa.Text))


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    frame: pd.DataFrame,
    *,
    delete_missing: DeleteMissing = False,
    quarantine_as: str | None = None,
) -> WriteCounts:
    """Make the table hold the frame's rows, within the caller's transaction. `Database.upsert` tells the rules."""
    # Whatever goes wrong, the caller's transaction is as it was before and can go on.
    with connection.begin_nested():
        return _upsert(connection, table, frame, delete_missing, quarantine_as, lock_name=table.fullname)


def write_quarantine(
    connection: sa.Connection,
    source: str,
    bad_rows: Sequence[BadRow],
    *,
    good_keys: Sequence[str] | None = None,
) -> WriteCounts:
    """Set rows aside, and let go of those that have come good.

    Args:
        connection: The caller's transaction.
        source: Table or feed that the rows come from.
        bad_rows: Rows to set aside.
        good_keys: Keys (of `row_keys`) that are good now and leave. None means that the source was read whole: every
            row of it that is not among `bad_rows` leaves.
    """
    table = quarantined_rows
    frame = pd.DataFrame(
        {
            "source": [source] * len(bad_rows),
            "row_key": [row.row_key for row in bad_rows],
            "reason": [row.reason for row in bad_rows],
            "payload": [row.payload for row in bad_rows],
        },
        dtype=object,
    )
    of_source = table.c.source == source
    if good_keys is None:
        gone: DeleteMissing = of_source
    else:
        known = set(connection.scalars(sa.select(table.c.row_key).where(of_source)))
        gone = of_source & is_among(table.c.row_key, known.intersection(good_keys))
    # A lock for each source: writers of different tables need not wait for each other.
    return _upsert(connection, table, frame, gone, None, lock_name=f"{table.fullname}/{source}")


def _upsert(
    connection: sa.Connection,
    table: sa.Table,
    frame: pd.DataFrame,
    delete_missing: DeleteMissing,
    quarantine_as: str | None,
    *,
    lock_name: str,
) -> WriteCounts:
    columns = _columns_to_write(table, frame)
    key = list(table.primary_key.columns)
    _create_stage(connection, columns)
    keys = check_keys(key, frame)
    problems = _copy_to_stage(connection, frame, columns, keys)
    if problems and quarantine_as is None:
        raise BadRowsError(table.fullname, describe_bad_rows(frame, problems, [c.name for c in key]))
    # Two merges that both find a key missing would both insert it.
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(lock_name, 0))))
    merged = connection.execute(_Merge(table, columns, delete_missing))
    counts: dict[str, int] = {row.action: row.rows_count for row in merged}
    connection.execute(sa.text(f"DROP TABLE pg_temp.{_STAGE}"))
    if quarantine_as is not None:
        _keep_quarantine(connection, table, frame, problems, quarantine_as, is_whole=delete_missing is True)
    inserted, updated = counts.get("INSERT", 0), counts.get("UPDATE", 0)
    return WriteCounts(
        inserted=inserted,
        updated=updated,
        unchanged=len(frame) - len(problems) - inserted - updated,
        deleted=counts.get("DELETE", 0),
        quarantined=len(problems),
    )


def _is_bookkeeping(column: sa.Column[Any]) -> bool:
    return bool(column.info.get("bookkeeping"))


def _is_given(column: sa.Column[Any]) -> bool:
    return not _is_bookkeeping(column) or column.info["bookkeeping"] == "given"


def _columns_to_write(table: sa.Table, frame: pd.DataFrame) -> list[sa.Column[Any]]:
    """The frame's columns in the table, key first, without those that the table keeps itself."""
    unknown = [str(name) for name in frame.columns if name not in table.columns]
    needed = [
        column.name
        for column in table.columns
        if not column.nullable and column.server_default is None and column.name not in frame
    ]
    problems = [
        *([f"{table.fullname} has no column {', '.join(unknown)}"] if unknown else []),
        *([f"it lacks {', '.join(needed)}"] if needed else []),
        *(["a column occurs twice"] if not frame.columns.is_unique else []),
    ]
    if problems:
        raise ValueError(f"The frame can't be written to {table.fullname}: {'; '.join(problems)}.")
    return sorted(
        (c for c in table.columns if c.name in frame and _is_given(c)),
        key=lambda column: not column.primary_key,
    )


def _create_stage(connection: sa.Connection, columns: Sequence[sa.Column[Any]]) -> None:
    # Without constraints or indexes: bad rows are known without them, and they would slow the copy down.
    stage = sa.Table(
        _STAGE,
        sa.MetaData(),
        *(sa.Column(column.name, column.type) for column in columns),
        sa.Column(_IS_GOOD, sa.Boolean),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    stage.create(connection, checkfirst=False)


def _copy_to_stage(
    connection: sa.Connection, frame: pd.DataFrame, columns: Sequence[sa.Column[Any]], keys: KeyCheck
) -> dict[int, str]:
    """Send the good rows, and the bad ones as a marked key alone, so that they don't count as missing.

    Returns:
        Row position → what is wrong with it.
    """
    problems: dict[int, str] = {}
    statement = f"COPY pg_temp.{_STAGE} FROM STDIN (FORMAT BINARY)"
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(COPY_HEADER)
            for start in range(0, len(frame), _CHUNK_ROWS):
                chunk = slice(start, start + _CHUNK_ROWS)
                encoded = [
                    *(EncodedColumn(column.fields[chunk]) for column in keys.columns),
                    *(encode_column(c, frame[c.name].iloc[chunk]) for c in columns[len(keys.columns) :]),
                ]
                bad = _problems_of_chunk(encoded, keys, range(start, min(start + _CHUNK_ROWS, len(frame))))
                problems |= {start + offset: problem for offset, problem in bad.items()}
                copy.write(_rows_to_send(encoded, bad, len(keys.columns)))
            copy.write(COPY_TRAILER)
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, connection_invalidated=driver.closed
        ) from error
    return problems


def _problems_of_chunk(encoded: Sequence[EncodedColumn], keys: KeyCheck, positions: range) -> dict[int, str]:
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    if keys.problems:
        for offset, position in enumerate(positions):
            if position in keys.problems:
                reasons[offset].append(keys.problems[position])
    for column in encoded:
        for offset, problem in column.problems.items():
            reasons[offset].append(problem)
    return {offset: "; ".join(reasons[offset]) for offset in sorted(reasons)}


def _rows_to_send(encoded: Sequence[EncodedColumn], bad: Mapping[int, str], key_columns_count: int) -> bytes:
    is_good = [boolean_field(True)] * len(encoded[0].fields)
    for offset in bad:
        is_good[offset] = boolean_field(False)
        for column in encoded[key_columns_count:]:
            column.fields[offset] = NULL_FIELD
    return join_rows([*(column.fields for column in encoded), is_good])


def _keep_quarantine(
    connection: sa.Connection,
    table: sa.Table,
    frame: pd.DataFrame,
    problems: Mapping[int, str],
    source: str,
    *,
    is_whole: bool,
) -> None:
    has_some = connection.scalar(sa.select(sa.exists().where(quarantined_rows.c.source == source)))
    if not (problems or has_some):
        return
    key = [column.name for column in table.primary_key.columns]
    is_good = np.ones(len(frame), dtype=bool)
    is_good[list(problems)] = False
    write_quarantine(
        connection,
        source,
        describe_bad_rows(frame, problems, key),
        good_keys=None if is_whole else row_keys(frame[is_good], key),
    )


class _Merge(sa.Executable, sa.ClauseElement):
    """From the stage into the table; gives how many rows were inserted, updated and deleted, by action."""

    inherit_cache = False

    def __init__(
        self, table: sa.Table, columns: Sequence[sa.Column[Any]], delete_missing: DeleteMissing
    ) -> None:
        self.table = table
        self.columns = columns
        self.delete_missing = delete_missing


@compiles(_Merge, "postgresql")
def _compile_merge(merge: _Merge, compiler: SQLCompiler, **options: Any) -> str:
    def target(column: sa.Column[Any]) -> str:
        return compiler.process(column, **options)

    def name(column: sa.Column[Any]) -> str:
        return compiler.preparer.quote(column.name)

    def staged(column: sa.Column[Any]) -> str:
        return f"{_STAGE}.{name(column)}"

    key = [column for column in merge.columns if column.primary_key]
    values = [column for column in merge.columns if not column.primary_key]
    compared = [column for column in values if not _is_bookkeeping(column)]
    touched = [
        f"{name(column)} = {compiler.process(column.onupdate.arg, **options)}"
        for column in merge.table.columns
        if _is_bookkeeping(column) and isinstance(column.onupdate, ColumnElementColumnDefault)
    ]
    lines = [
        f"MERGE INTO {compiler.preparer.format_table(merge.table)} USING pg_temp.{_STAGE}",
        f"ON {' AND '.join(f'{target(c)} = {staged(c)}' for c in key)}",
    ]
    if compared:
        lines += [
            f"WHEN MATCHED AND {_STAGE}.{_IS_GOOD}",
            f"AND ({', '.join(map(target, compared))}) IS DISTINCT FROM ({', '.join(map(staged, compared))})",
            f"THEN UPDATE SET {', '.join([*(f'{name(c)} = {staged(c)}' for c in values), *touched])}",
        ]
    lines += [
        f"WHEN NOT MATCHED AND {_STAGE}.{_IS_GOOD}",
        f"THEN INSERT ({', '.join(map(name, merge.columns))}) VALUES ({', '.join(map(staged, merge.columns))})",  # noqa: S608  (names are quoted, values are bound)
    ]
    if merge.delete_missing is not False:
        scope = sa.true() if merge.delete_missing is True else merge.delete_missing
        lines.append(f"WHEN NOT MATCHED BY SOURCE AND {compiler.process(scope, **options)} THEN DELETE")
    lines.append("RETURNING merge_action() AS action")
    return f"WITH merged AS ({' '.join(lines)}) SELECT action, count(*) AS rows_count FROM merged GROUP BY action"  # noqa: S608  (see above)
