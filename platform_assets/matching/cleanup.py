"""Removes what no version of the lists needs any more: superseded versions with their changes, statistics of past days."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.tables.matching import match_changes, match_cleanups, match_statistics, match_versions

KEPT_DAYS = 7
"""How long a superseded, refused or abandoned version can be looked into; the live one stays however old it is."""


@dataclass(frozen=True)
class Cleaned:
    """What a cleanup removed.

    Attributes:
        versions_count: Versions.
        changes_count: Changes of these versions, and older ones of the live version.
        statistics_count: Days of statistics.
        freed_bytes: Size of all these rows, in bytes; the tables give it to new rows.
    """

    versions_count: int
    changes_count: int
    statistics_count: int
    freed_bytes: int

    @property
    def rows_count(self) -> int:
        """All rows together."""
        return self.versions_count + self.changes_count + self.statistics_count


def clean_up(database: Database, *, as_of: dt.date, now: dt.datetime, kept_days: int = KEPT_DAYS) -> Cleaned:
    """Remove what is older than `kept_days`, and write down how much it was.

    Args:
        database: The database.
        as_of: The current day: statistics of the days before are of no use.
        now: The present moment.
        kept_days: Age in days from which a version that is not live is removed.
    """
    versions, changes, statistics = match_versions, match_changes, match_statistics
    before = now - dt.timedelta(days=kept_days)
    old = sa.select(versions.c.version_id).where(versions.c.ended_at < before)
    with database.transaction() as connection:
        changes_count, changes_bytes = _delete(connection, changes, changes.c.version_id.in_(old))
        versions_count, versions_bytes = _delete(
            connection, versions, (versions.c.ended_at < before) & (versions.c.state != "published")
        )
        statistics_count, statistics_bytes = _delete(connection, statistics, statistics.c.as_of < as_of)
        cleaned = Cleaned(
            versions_count,
            changes_count,
            statistics_count,
            changes_bytes + versions_bytes + statistics_bytes,
        )
        connection.execute(sa.insert(match_cleanups).values(cleaned_at=now, **asdict(cleaned)))
    return cleaned


def _delete(connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> tuple[int, int]:
    """Rows removed, and their size in bytes."""
    size = sa.func.pg_column_size(sa.literal_column(f"{table.name}.*"))
    deleted = sa.delete(table).where(condition).returning(size.label("bytes")).cte("deleted")
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(deleted.c.bytes), 0)).select_from(deleted)
    ).one()
    return int(row[0]), int(row[1])
