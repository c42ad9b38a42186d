"""The caches of APIs and models, and what a sweep of one deletes: what is old or too much, never what is in use.

What is in use is the caller's to say, as keys. Logs and measurements are no caches.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from platform_assets.clients.database import Database, are_among
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_texts import readme_texts
from platform_assets.tables.text_measurements import cache_sweeps

MIB = 1024**2


@dataclass(frozen=True)
class Cache:
    """A table whose rows can be had again.

    Attributes:
        table: The table.
        dated: The column by which a row's age counts.
        keep: How long a row stays that nothing uses.
        max_bytes: Above it rows that nothing uses go, the oldest first; what is in use stays, however much it is.
    """

    table: sa.Table
    dated: sa.Column[Any]
    keep: dt.timedelta
    max_bytes: int

    @property
    def key(self) -> list[sa.Column[Any]]:
        """The columns that tell rows apart."""
        return list(self.table.primary_key.columns)


# An answer costs money, and texts come back: a project is closed and opened, a bio is changed and changed back.
AI_ANSWERS = Cache(
    tables.ai_answers, tables.ai_answers.c.answered_at, keep=dt.timedelta(days=90), max_bytes=1024 * MIB
)
# A vector costs half a millisecond and has 1.6 kB: 2 GiB are a million texts.
TEXT_EMBEDDINGS = Cache(
    tables.text_embeddings,
    tables.text_embeddings.c.updated_at,
    keep=dt.timedelta(days=7),
    max_bytes=2048 * MIB,
)
# At most 20,000 characters each, which Postgres compresses.
README_TEXTS = Cache(readme_texts, readme_texts.c.asked_at, keep=dt.timedelta(days=30), max_bytes=2048 * MIB)

CACHES = (AI_ANSWERS, TEXT_EMBEDDINGS, README_TEXTS)


@dataclass(frozen=True)
class Sweep:
    """What one sweep kept and freed; see `monitoring.cache_sweeps`."""

    cache: str
    rows_kept: int
    rows_referenced: int
    rows_expired: int
    rows_evicted: int
    bytes_freed: int
    bytes_kept: int
    bytes_on_disk: int


def sweep(
    database: Database, cache: Cache, referenced: Collection[tuple[str, ...]], *, now: dt.datetime
) -> Sweep:
    """Delete what is old or too much of a cache, and record it.

    Args:
        database: Where the cache is.
        cache: Which one.
        referenced: Keys of the rows that are in use; these are never deleted.
        now: The present moment (UTC).
    """
    table = cache.table
    # Of a whole row, what is stored apart for its length included.
    size = sa.func.pg_column_size(sa.literal_column(f"{table.name}.*"))
    in_use = are_among(cache.key, referenced)
    with database.transaction() as connection:
        rows_expired, bytes_expired = _delete(
            connection, table, ~in_use & (cache.dated < now - cache.keep), size
        )
        rows_evicted = bytes_evicted = 0
        kept = _measure(connection, table, size, in_use)
        if kept.bytes_count > cache.max_bytes:
            running = sa.func.sum(size).over(order_by=[cache.dated.desc(), *cache.key])
            ranked = sa.select(*cache.key, running.label("running")).where(~in_use).subquery()
            room = max(0, cache.max_bytes - kept.used_bytes)
            is_too_much = sa.tuple_(*cache.key).in_(
                sa.select(*(ranked.c[column.name] for column in cache.key)).where(ranked.c.running > room)
            )
            rows_evicted, bytes_evicted = _delete(connection, table, is_too_much, size)
        done = Sweep(
            cache=table.fullname,
            rows_kept=kept.rows_count - rows_evicted,
            rows_referenced=kept.used_count,
            rows_expired=rows_expired,
            rows_evicted=rows_evicted,
            bytes_freed=bytes_expired + bytes_evicted,
            bytes_kept=kept.bytes_count - bytes_evicted,
            bytes_on_disk=_integer(
                connection.scalar(
                    sa.select(sa.func.pg_total_relation_size(sa.cast(table.fullname, postgresql.REGCLASS)))
                )
            ),
        )
        connection.execute(sa.insert(cache_sweeps), {"swept_at": now, **asdict(done)})
    return done


@dataclass(frozen=True)
class _Kept:
    rows_count: int
    bytes_count: int
    used_count: int
    used_bytes: int


def _measure(
    connection: sa.Connection, table: sa.Table, size: sa.ColumnElement[Any], in_use: sa.ColumnElement[bool]
) -> _Kept:
    sizes = sa.select(size.label("size"), in_use.label("in_use")).select_from(table).subquery()
    count, total = sa.func.count(), sa.func.sum(sizes.c.size)
    row = connection.execute(
        sa.select(count, total, count.filter(sizes.c.in_use), total.filter(sizes.c.in_use)).select_from(sizes)
    ).one()
    return _Kept(*map(_integer, row))


def _delete(
    connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool], size: sa.ColumnElement[Any]
) -> tuple[int, int]:
    """Rows and bytes that were deleted."""
    gone = sa.delete(table).where(condition).returning(size.label("size")).cte("gone")
    row = connection.execute(sa.select(sa.func.count(), sa.func.sum(gone.c.size)).select_from(gone)).one()
    return _integer(row[0]), _integer(row[1])


def _integer(value: Any) -> int:
    """A sum over no rows is null."""
    return int(value or 0)
