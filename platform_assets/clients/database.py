"""The client of a Postgres database: DataFrames out, DataFrames in, transactions, and which failures may pass.

How rows are written is `upsert`, what makes them bad is `quarantine`. No table and no query of a domain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import pandas as pd
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from pgvector.sqlalchemy import Vector
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.string import TextBinaryLoader
from sqlalchemy.pool import ConnectionPoolEntry

from platform_assets.clients.quarantine import BadRow, BadRowsError, Rule, validate_rows
from platform_assets.clients.upsert import (
    MINIMUM_POSTGRES,
    DeleteMissing,
    WriteCounts,
    are_among,
    is_among,
    is_not_among,
    upsert,
    write_quarantine,
)

__all__ = [
    "MINIMUM_POSTGRES",
    "BadRow",
    "BadRowsError",
    "Database",
    "Rule",
    "WriteCounts",
    "are_among",
    "is_among",
    "is_not_among",
    "is_transient",
    "is_transient_report",
    "validate_rows",
    "write_quarantine",
]

_DRIVER = "postgresql+psycopg"
_RESULT_FORMAT = "platform_result_format"
_VECTOR_OID = "platform_vector_oid"


class _Oid:
    """Type ids of Postgres, which never change: src/include/catalog/pg_type.dat."""

    BOOL = 16
    NAME = 19
    INT8 = 20
    INT2 = 21
    INT4 = 23
    TEXT = 25
    FLOAT4 = 700
    FLOAT8 = 701
    BPCHAR = 1042
    VARCHAR = 1043
    DATE = 1082
    TIMESTAMP = 1114
    TIMESTAMPTZ = 1184


_WIDENED_BY_NULL = {_Oid.BOOL, _Oid.INT2, _Oid.INT4, _Oid.INT8}

_TRANSIENT_SQLSTATES = (
    "08",  # connection exceptions
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53300",  # too many connections
    "55P03",  # lock not available
    "57P01",  # the server is shut down
    "57P02",  # another process of it crashed
    "57P03",  # it can't take connections now
)

_PASSING_REFUSALS = (
    "starting up",
    "shutting down",
    "recovery",
    "not yet accepting",
    "too many clients",
    "too many connections",
    "remaining connection slots",
)


class Database:
    """A Postgres database. Nothing connects before it is needed; safe to share between threads."""

    def __init__(
        self, url: str | sa.URL, *, connect_timeout_s: int = 10, statement_timeout_s: int = 300
    ) -> None:
        """Prepare a client.

        Args:
            url: SQLAlchemy or libpq URL of a Postgres database; the driver is always psycopg 3.
            connect_timeout_s: Longest wait for a connection.
            statement_timeout_s: Longest time of one statement, waiting for locks included.
        """
        if isinstance(url, str):
            # libpq knows both names of the scheme, SQLAlchemy one.
            url = sa.make_url(url.replace("postgres://", "postgresql://", 1))
        self.engine = sa.create_engine(
            url.set(drivername=_DRIVER),
            # A server that was restarted since is noticed before the connection is used.
            pool_pre_ping=True,
            # Parameters are people's data.
            hide_parameters=True,
            connect_args={
                "connect_timeout": connect_timeout_s,
                "application_name": "platform_assets",
                # A network that swallows packets is noticed within a minute, not when TCP gives up after hours.
                "keepalives_idle": 20,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 50_000,
            },
        )
        self._statement_timeout_ms = statement_timeout_s * 1000
        sa.event.listen(self.engine, "connect", self._set_up_session)
        sa.event.listen(self.engine, "before_cursor_execute", _prepare_frame_read)

    def _set_up_session(self, connection: psycopg.Connection[Any], entry: ConnectionPoolEntry) -> None:
        # Set by statement, since poolers such as PgBouncer refuse them as connection options.
        row = connection.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('TimeZone', 'UTC', false),"
            " to_regtype('vector')::oid",
            [str(self._statement_timeout_ms)],
        ).fetchone()
        connection.commit()
        entry.info[_VECTOR_OID] = row[2] if row else None

    def read(self, query: sa.Executable, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Run a query in a transaction of its own.

        Returns:
            A frame whose dtypes depend on the query's column types, not on the rows, but for integers and booleans,
            where a null makes the difference: integers are int64, or Int64 with nulls; booleans bool, or boolean
            with nulls; floats float64 (null is NaN); text str (null is NaN); dates datetime64[s] at midnight without a
            zone, and points in time datetime64[us, UTC] (null is NaT). All else are objects (null is None): arrays are
            lists, JSON what it holds, vectors one-dimensional float32 arrays, numerics Decimals.
        """
        # Vectors are slow to read as text; other types of the user's own may have no readable binary form.
        result_format = Format.BINARY if _selects_vector(query) else Format.TEXT
        with self.engine.connect() as connection:
            connection = connection.execution_options(**{_RESULT_FORMAT: result_format})
            result = connection.execute(query, dict(parameters) if parameters else None)
            cursor = result.cursor
            assert cursor is not None  # the result has not been read yet
            names = list(result.keys())
            type_oids: list[Any] = [description[1] for description in cursor.description]
            rows = cursor.fetchall()
        columns = zip(*rows) if rows else ([] for _ in names)
        frame = pd.DataFrame(
            {i: _series(list(values), oid) for i, (values, oid) in enumerate(zip(columns, type_oids))},
            copy=False,
        )
        frame.columns = pd.Index(names)
        return frame

    def read_vectors(
        self, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> tuple[list[Any], NDArray[np.float32]]:
        """Run a query for two columns, an id and a vector.

        Returns:
            The ids, and a matrix (ids × dimensions) of float32; 0 × 0 when there are no rows.
        """
        frame = self.read(query, parameters)
        ids, vectors = (frame.iloc[:, position].tolist() for position in (0, 1))
        return ids, np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose work is committed at the end, or rolled back if anything is raised."""
        with self.engine.begin() as connection:
            yield connection

    def upsert(
        self,
        table: sa.Table,
        frame: pd.DataFrame,
        *,
        delete_missing: DeleteMissing = False,
        connection: sa.Connection | None = None,
        quarantine_as: str | None = None,
    ) -> WriteCounts:
        """Make the table hold the frame's rows, in one transaction, touching only rows that differ.

        Rows are matched by the table's primary key. A row differs if any of the frame's columns does; columns with
        `info["bookkeeping"]` are the table's own: they are never compared nor taken from the frame, and those with an
        `onupdate` get it when the row really changes; where it is `given`, the frame's value is written when the row is. Columns that the frame lacks keep their value, and get their
        default in new rows. Writers of the same table wait for each other.

        Args:
            table: Where to write.
            frame: The rows; columns as in the table. See `copy_rows.encode_column` for what is null and what fits.
            delete_missing: Which rows that are not in the frame to delete: none, all, or those for which a condition
                on the table's columns holds. An empty frame then deletes all of these, so a frame that could not be
                read must never get here.
            connection: A transaction to take part in; by default one of its own.
            quarantine_as: Set rows that the table can't hold aside under this name in `monitoring.quarantined_rows`,
                and write the rest. What is stored under a bad row's key stays as it is. A row leaves the quarantine
                when it comes in good under the same name, or, with `delete_missing=True`, no longer at all.

        Raises:
            BadRowsError: The table can't hold some rows, and `quarantine_as` is not given.
            ValueError: The frame has columns that the table lacks, or lacks some that it needs.
        """
        if connection is not None:
            return upsert(
                connection, table, frame, delete_missing=delete_missing, quarantine_as=quarantine_as
            )
        with self.transaction() as own:
            return upsert(own, table, frame, delete_missing=delete_missing, quarantine_as=quarantine_as)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back all connections; the next use opens new ones."""
        self.engine.dispose()


def _selects_vector(query: sa.Executable) -> bool:
    return isinstance(query, sa.SelectBase) and any(
        isinstance(column.type, Vector) for column in query.exported_columns
    )


class _VectorLoader(Loader):
    """pgvector's binary format: dimensions and a reserved word of 16 bits each, then big-endian float32."""

    format = Format.BINARY

    def load(self, data: Buffer) -> NDArray[np.float32]:
        return np.frombuffer(data, dtype=">f4", offset=4).astype(np.float32)


class _VectorTextLoader(Loader):
    """The same in text, `[1,2,3]`, for queries that are given as text."""

    def load(self, data: Buffer) -> NDArray[np.float32]:
        return np.array(bytes(data)[1:-1].split(b","), dtype=np.float32)


def _prepare_frame_read(
    connection: sa.Connection,
    cursor: psycopg.Cursor[Any],
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    result_format = connection.get_execution_options().get(_RESULT_FORMAT)
    if result_format is None:
        return
    cursor.format = result_format
    vector_oid = connection.info.get(_VECTOR_OID)
    if vector_oid is not None:
        cursor.adapters.register_loader(vector_oid, _VectorLoader)
        cursor.adapters.register_loader(vector_oid, _VectorTextLoader)
    # Types of the user's own, such as enumerations, as text in both formats.
    cursor.adapters.register_loader(0, TextBinaryLoader)


def _series(values: list[Any], type_oid: int) -> pd.Series[Any]:
    has_null = None in values if type_oid in _WIDENED_BY_NULL else False
    match type_oid:
        case _Oid.INT2 | _Oid.INT4 | _Oid.INT8:
            return pd.Series(values, dtype="Int64" if has_null else "int64")
        case _Oid.BOOL:
            return pd.Series(values, dtype="boolean" if has_null else "bool")
        case _Oid.FLOAT4 | _Oid.FLOAT8:
            return pd.Series(values, dtype="float64")
        case _Oid.TEXT | _Oid.VARCHAR | _Oid.BPCHAR | _Oid.NAME:
            return pd.Series(values, dtype="str")
        case _Oid.DATE:
            return pd.Series(np.array(values, dtype="datetime64[D]"), dtype="datetime64[s]")
        case _Oid.TIMESTAMP:
            return pd.Series(np.array(values, dtype="datetime64[us]"))
        case _Oid.TIMESTAMPTZ:
            # Sessions run in UTC, so dropping the zone changes nothing.
            naive = [value and value.replace(tzinfo=None) for value in values]
            return pd.Series(np.array(naive, dtype="datetime64[us]")).dt.tz_localize("UTC")
        case _:
            return pd.Series(values, dtype=object)


def is_transient(error: BaseException) -> bool:
    """Whether the same database work can succeed when it is simply done again.

    So for a connection that is lost or can't be made, a server that starts, stops or is full, a deadlock, a
    serialization failure and a lock that was not free in time. Not for wrong credentials, a missing database, a
    statement that ran too long or data that does not fit. Looks through what SQLAlchemy wraps.
    """
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(error, sa.exc.TimeoutError):
        return True  # all connections of the pool were in use
    if not isinstance(original, psycopg.Error):
        return False
    if original.sqlstate is not None:
        return original.sqlstate.startswith(_TRANSIENT_SQLSTATES)
    return isinstance(original, psycopg.OperationalError) and _can_pass(str(original))


def is_transient_report(class_name: str, message: str) -> bool | None:
    """What `is_transient` says, of an error that only its class name and text are left of, as in a stored event.

    Returns:
        None when it is no error of the database.
    """
    name = class_name.rpartition(".")[2]
    original = getattr(psycopg.errors, name, None) or getattr(psycopg, name, None)
    if not isinstance(original, type) or not issubclass(original, psycopg.Error):
        return None
    if original.sqlstate is not None:
        return original.sqlstate.startswith(_TRANSIENT_SQLSTATES)
    return issubclass(original, psycopg.OperationalError) and _can_pass(message)


def _can_pass(message: str) -> bool:
    # Without a state there was no session. `FATAL` is a server that answered and refused; only some of it passes.
    return "FATAL" not in message or any(reason in message for reason in _PASSING_REFUSALS)
