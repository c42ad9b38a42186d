"""DataFrame columns → fields of Postgres's binary COPY format, and which values no field can hold, and why.

Encoding and checking are one: a value is bad exactly if it has no field. Pure; no database here.
The format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import operator
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, Protocol

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql as pg

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
NULL_FIELD = b"\xff\xff\xff\xff"

_TRUE_FIELD = b"\x00\x00\x00\x01\x01"
_FALSE_FIELD = b"\x00\x00\x00\x01\x00"
_TEXT_OID = 25

_EXACT_FLOAT_LIMIT = 2**53
"""Above it not every integer has a float: an id that went through one may be another id."""

_EPOCH_DAY = dt.date(2000, 1, 1)
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass
class EncodedColumn:
    """A column ready for COPY.

    Attributes:
        fields: One field a row, its length word included; the null field where there is a problem.
        problems: Row position → what is wrong, column named.
    """

    fields: list[bytes]
    problems: dict[int, str] = field(default_factory=dict)


class _BadValueError(Exception):
    """A value that its column can't hold. The text says why, without the value, which may be private."""


class _Codec(Protocol):
    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        """The fields of a whole column at once, any where null; None unless all are surely good."""

    def field(self, value: Any) -> bytes:
        """The field of one value that is not null; raises `_BadValueError`."""


def encode_column(column: sa.Column[Any], values: pd.Series[Any]) -> EncodedColumn:
    """Encode a column's values and find those that it can't hold.

    None, NaN, NaT and NA are null. A float that is a whole number is taken for an integer, since pandas makes floats of
    integers with gaps. A point in time must know its time zone.

    Raises:
        TypeError: The column's type is none that has an encoding.
    """
    codec = _codec(column)
    is_null = values.isna().to_numpy(dtype=bool)
    problems: dict[int, str] = {}
    fields = codec.all_fields(values, is_null)
    if fields is None:
        fields = [NULL_FIELD] * len(values)
        for position, value in enumerate(values.astype(object).tolist()):
            if not is_null[position]:
                try:
                    fields[position] = codec.field(value)
                except _BadValueError as error:
                    problems[position] = f"{column.name} {error}"
    for position in np.flatnonzero(is_null).tolist():
        fields[position] = NULL_FIELD
        if not column.nullable:
            problems[position] = f"{column.name} is null"
    return EncodedColumn(fields, problems)


def join_rows(columns: Sequence[Iterable[bytes]]) -> bytes:
    """Rows of the binary format from columns of fields."""
    fields_count = struct.pack(">h", len(columns))
    return b"".join(chain.from_iterable(zip(repeat(fields_count), *columns)))


def boolean_field(value: bool) -> bytes:
    """The field of a boolean."""
    return _TRUE_FIELD if value else _FALSE_FIELD


def _codec(column: sa.Column[Any]) -> _Codec:
    codec: _Codec
    match column.type:
        case sa.SmallInteger():
            codec = _Integers(bits=16)
        case sa.BigInteger():
            codec = _Integers(bits=64)
        case sa.Integer():
            codec = _Integers(bits=32)
        case sa.Float():
            codec = _Floats("f4" if isinstance(column.type, sa.REAL) else "f8")
        case sa.Boolean():
            codec = _Booleans()
        case sa.Date():
            codec = _Dates()
        case sa.DateTime(timezone=True):
            codec = _Instants()
        case sa.String(length=length):
            codec = _Texts(length)
        case pg.JSONB():
            codec = _Documents()
        case pg.ARRAY(item_type=sa.String()):
            codec = _TextLists()
        case Vector(dim=int(dimensions)):
            codec = _Vectors(dimensions)
        case _:
            raise TypeError(
                f"Column {column} is of type {column.type!r}, which has no encoding in {__name__}."
            )
    return codec


def _fixed_width(array: NDArray[Any], code: str) -> list[bytes]:
    records = np.empty(len(array), dtype=[("length", ">i4"), ("value", f">{code}")])
    records["length"] = records.dtype.itemsize - 4
    records["value"] = array
    fields: list[bytes] = records.view(f"V{records.dtype.itemsize}").tolist()
    return fields


def _sized(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def _filled(values: pd.Series[Any], is_null: NDArray[np.bool_], filler: Any) -> list[Any]:
    objects: list[Any] = values.astype(object).tolist()
    for position in np.flatnonzero(is_null).tolist():
        objects[position] = filler
    return objects


def _numeric_array(values: pd.Series[Any], is_null: NDArray[np.bool_]) -> NDArray[Any] | None:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return None
    array = (values.fillna(0) if is_null.any() else values).to_numpy()
    return array if array.dtype.kind in "iuf" else None


def _wrong_type(value: Any, wanted: str) -> _BadValueError:
    return _BadValueError(f"is of type {type(value).__name__}, not {wanted}")


@dataclass(frozen=True)
class _Integers:
    bits: int

    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        array = _numeric_array(values, is_null)
        if array is None or not len(array):
            return None
        if array.dtype.kind == "f":
            is_exact = (np.abs(array) <= _EXACT_FLOAT_LIMIT) & (array == np.floor(array))
            if not is_exact.all():
                return None
        # Compared as Python's integers, which have no width of their own.
        if int(array.min()) < -(2 ** (self.bits - 1)) or int(array.max()) >= 2 ** (self.bits - 1):
            return None
        return _fixed_width(array, f"i{self.bits // 8}")

    def field(self, value: Any) -> bytes:
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            raise _wrong_type(value, "a whole number")
        if isinstance(value, float | np.floating):
            if not float(value).is_integer():
                raise _BadValueError("is not a whole number" if np.isfinite(value) else "is not finite")
            if abs(float(value)) > _EXACT_FLOAT_LIMIT:
                raise _BadValueError("is a float too large to stand for one integer")
        size = self.bits // 8
        try:
            return _sized(int(value).to_bytes(size, "big", signed=True))
        except OverflowError:
            raise _BadValueError(f"is out of range for {self.bits} bits") from None


@dataclass(frozen=True)
class _Floats:
    code: str

    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        array = _numeric_array(values, is_null)
        if array is None:
            return None
        with np.errstate(over="ignore"):
            array = array.astype(self.code)
        return _fixed_width(array, self.code) if np.isfinite(array).all() else None

    def field(self, value: Any) -> bytes:
        if isinstance(value, bool | np.bool_) or not isinstance(
            value, int | float | np.number | decimal.Decimal
        ):
            raise _wrong_type(value, "a number")
        try:
            with np.errstate(over="ignore"):
                number = np.array(float(value), dtype=f">{self.code}")
        except OverflowError:
            number = np.array(np.inf)
        if not np.isfinite(number):
            raise _BadValueError("is not finite, or out of range")
        return _sized(number.tobytes())


class _Booleans:
    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        if not pd.api.types.is_bool_dtype(values.dtype):
            return None
        array = (values.fillna(False) if is_null.any() else values).to_numpy()
        return _fixed_width(array, "u1") if array.dtype == bool else None

    def field(self, value: Any) -> bytes:
        if not isinstance(value, bool | np.bool_):
            raise _wrong_type(value, "a boolean")
        return boolean_field(bool(value))


@dataclass(frozen=True)
class _Texts:
    max_length: int | None

    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        texts = _filled(values, is_null, "")
        if self.max_length is not None or not set(map(type, texts)) <= {str}:
            return None
        try:
            payloads = list(map(str.encode, texts))
        except UnicodeEncodeError:
            return None
        if b"\x00" in b"".join(payloads):
            return None
        lengths = np.fromiter(map(len, payloads), dtype=">i4", count=len(payloads))
        return list(map(operator.add, lengths.view("V4").tolist(), payloads))

    def field(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise _wrong_type(value, "text")
        if self.max_length is not None and len(value) > self.max_length:
            raise _BadValueError(f"is longer than {self.max_length} characters")
        return _sized(_encode_text(value))


def _encode_text(text: str) -> bytes:
    if "\x00" in text:
        raise _BadValueError("contains a NUL character")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _BadValueError("contains half of a surrogate pair") from None


class _Dates:
    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        if values.dtype.kind == "M" and isinstance(values.dtype, np.dtype):
            instants = values.to_numpy()
            days = instants.astype("datetime64[D]")
            if not (is_null | (days == instants)).all():
                return None
        else:
            dates = _filled(values, is_null, _EPOCH_DAY)
            if not set(map(type, dates)) <= {dt.date}:
                return None
            days = np.array(dates, dtype="datetime64[D]")
        since_epoch = np.where(is_null, 0, (days - np.datetime64(_EPOCH_DAY, "D")).astype(np.int64))
        if (np.abs(since_epoch) >= 2**31).any():
            return None
        return _fixed_width(since_epoch, "i4")

    def field(self, value: Any) -> bytes:
        if isinstance(value, dt.datetime):
            if value.tzinfo is not None or value.time() != dt.time():
                raise _BadValueError("is a point in time, not a day")
            value = value.date()
        if not isinstance(value, dt.date):
            raise _wrong_type(value, "a date")
        return _sized(struct.pack(">i", (value - _EPOCH_DAY).days))


class _Instants:
    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        if not isinstance(values.dtype, pd.DatetimeTZDtype):
            return None
        instants = values.dt.tz_convert(None).to_numpy().astype("datetime64[us]")
        since_epoch = (instants - np.datetime64(_EPOCH.replace(tzinfo=None), "us")).astype(np.int64)
        return _fixed_width(since_epoch, "i8")

    def field(self, value: Any) -> bytes:
        if not isinstance(value, dt.datetime):
            raise _wrong_type(value, "a point in time")
        if value.tzinfo is None:
            raise _BadValueError("has no time zone")
        return _sized(struct.pack(">q", (value - _EPOCH) // _MICROSECOND))


class _OneByOne:
    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        return None


class _Documents(_OneByOne):
    _JSONB_VERSION = b"\x01"

    def field(self, value: Any) -> bytes:
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise _BadValueError(f"is not JSON: {error}") from None
        if _ESCAPED_NUL.search(text):
            raise _BadValueError("contains a NUL character")
        return _sized(self._JSONB_VERSION + _encode_text(text))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"it holds a {type(value).__name__}")


class _TextLists(_OneByOne):
    def field(self, value: Any) -> bytes:
        if not isinstance(value, list | tuple | np.ndarray):
            raise _wrong_type(value, "a list")
        for item in value:
            if not isinstance(item, str):
                raise _BadValueError(f"holds an item of type {type(item).__name__}, not text")
        items = [_sized(_encode_text(item)) for item in value]
        # Dimensions, has-nulls flag, type of the items; then, unless empty, size and first index.
        head = struct.pack(">iii", 1 if items else 0, 0, _TEXT_OID)
        return _sized(b"".join([head, struct.pack(">ii", len(items), 1), *items]) if items else head)


@dataclass(frozen=True)
class _Vectors:
    dimensions: int

    def all_fields(self, values: pd.Series[Any], is_null: NDArray[np.bool_]) -> list[bytes] | None:
        vectors = _filled(values, is_null, np.zeros(self.dimensions, dtype=np.float32))
        if {getattr(vector, "shape", None) for vector in vectors} != {(self.dimensions,)}:
            return None
        matrix = np.stack(vectors)
        if matrix.dtype.kind not in "iuf":
            return None
        with np.errstate(over="ignore"):
            matrix = matrix.astype(np.float32)
        if not np.isfinite(matrix).all():
            return None
        head = struct.pack(">ihh", 4 + 4 * self.dimensions, self.dimensions, 0)
        payloads = matrix.astype(">f4").view(f"V{4 * self.dimensions}").ravel().tolist()
        return [head + payload for payload in payloads]

    def field(self, value: Any) -> bytes:
        if not isinstance(value, list | tuple | np.ndarray):
            raise _wrong_type(value, "a vector")
        try:
            vector = np.asarray(value)
        except ValueError:
            raise _BadValueError("is not one row of numbers") from None
        if vector.ndim != 1 or vector.dtype.kind not in "iuf":
            raise _BadValueError("is not one row of numbers")
        if len(vector) != self.dimensions:
            raise _BadValueError(f"has {len(vector)} dimensions, not {self.dimensions}")
        with np.errstate(over="ignore"):
            vector = vector.astype(">f4")
        if not np.isfinite(vector).all():
            raise _BadValueError("is not finite")
        return _sized(struct.pack(">hh", self.dimensions, 0) + vector.tobytes())
