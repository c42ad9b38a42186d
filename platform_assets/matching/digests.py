"""Hashes of rows, computed where the rows are: SQL expressions that tell whether any number of rows is as it was.

Which rows are compared is `inputs`' and `publication`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from platform_assets.clients.database import Database

_SEED = sa.cast(0, sa.BigInteger)


def row_digest(table: sa.Table, names: Iterable[str]) -> sa.ColumnElement[int]:
    """Hash of a row's columns and of its table's name, which keeps equal rows of two tables apart."""
    columns = [sa.cast(table.c[name], table.c[name].type) for name in names]
    row = sa.func.row(sa.cast(table.fullname, sa.Text), *columns)
    return sa.func.hash_record_extended(row, _SEED, type_=sa.BigInteger)


def stored_digest(table: sa.Table) -> sa.ColumnElement[int]:
    """Hash of where a row of a real table is stored and of the transaction that wrote it: all that is read is its header.

    Postgres writes a changed row anew, so that what is equal has not changed, while a row that is only moved differs. A
    transaction's number comes back after 2³² others.
    """
    row = sa.func.row(sa.cast(table.fullname, sa.Text), sa.literal_column("ctid"), sa.literal_column("xmin"))
    return sa.func.hash_record_extended(row, _SEED, type_=sa.BigInteger)


def record_digest(digests: Iterable[sa.ColumnElement[int]]) -> sa.ColumnElement[int]:
    """One hash of several, in their order."""
    return sa.func.hash_record_extended(sa.func.row(*digests), _SEED, type_=sa.BigInteger)


def joint_digest(digests: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """An aggregate: one hash of many, in any order; with their number, since two equal ones cancel each other out."""
    together = sa.func.coalesce(sa.func.bit_xor(digests, type_=sa.BigInteger), 0)
    return together.bitwise_xor(sa.func.hashint8extended(sa.func.count(digests), _SEED, type_=sa.BigInteger))


def content_digest(source: Database | sa.Connection, tables: Sequence[sa.Table]) -> int:
    """Hash of everything that tables hold, but for their bookkeeping."""
    total = 0
    for table in tables:
        names = [column.name for column in table.columns if not column.info.get("bookkeeping")]
        query = sa.select(joint_digest(row_digest(table, names)).label("digest"))
        if isinstance(source, Database):
            total ^= int(source.read(query)["digest"].iloc[0])
        else:
            total ^= int(source.execute(query).scalar_one())
    return total
