"""Silences: wishes that some alerts notify nobody for a time. Each has matchers, an author, a reason and an end.

Whether an alert is told is decided in `alerts.py` and `upkeep.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import sqlalchemy as sa

from platform_assets.monitoring.alerting.severity import Severity, rank
from platform_assets.tables.monitoring import alert_silences


@dataclass(frozen=True, kw_only=True)
class Matchers:
    """Which alerts are meant; what is None leaves all, and every other must fit.

    Attributes:
        owner: The team that answers for the subject.
        source: What raised the alert.
        subject_glob: A pattern with `*`, `?` and `[…]` for the subject, such as `matches:*`.
        max_severity: The highest severity that is meant, so that what grows worse is told all the same.
    """

    owner: str | None = None
    source: str | None = None
    subject_glob: str | None = None
    max_severity: Severity | None = None

    def fit(self, *, owner: str, source: str, subject: str, severity: str) -> bool:
        """Whether an alert is meant."""
        return (
            (self.owner is None or self.owner == owner)
            and (self.source is None or self.source == source)
            and (self.subject_glob is None or fnmatchcase(subject, self.subject_glob))
            and (self.max_severity is None or rank(severity) <= rank(self.max_severity))
        )


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A silence as it is kept.

    Attributes:
        silence_id: Its id.
        matchers: Which alerts it is about.
        author: Who wants it.
        reason: Why.
        starts_at: From when on it holds (UTC).
        ends_at: Until when (UTC); a silence that was taken back ends there.
    """

    silence_id: int
    matchers: Matchers
    author: str
    reason: str
    starts_at: dt.datetime
    ends_at: dt.datetime

    def holds_at(self, moment: dt.datetime) -> bool:
        """Whether it is in force; at its end it is not."""
        return self.starts_at <= moment < self.ends_at


def silence_of(
    silences: Iterable[Silence], *, owner: str, source: str, subject: str, severity: str
) -> int | None:
    """The silence that keeps an alert quiet longest, of those in force; None when none does."""
    fitting = [
        silence
        for silence in silences
        if silence.matchers.fit(owner=owner, source=source, subject=subject, severity=severity)
    ]
    return max(fitting, key=lambda each: (each.ends_at, each.silence_id)).silence_id if fitting else None


def read_silences(connection: sa.Connection, *, now: dt.datetime, with_future: bool = False) -> list[Silence]:
    """The silences in force, those that end last first.

    Args:
        connection: The caller's transaction.
        now: The present moment.
        with_future: Also those that have not begun.
    """
    table = alert_silences
    end = sa.func.least(table.c.ends_at, table.c.cancelled_at)
    query = (
        sa.select(table, end.label("real_end"))
        .where(end > now)
        .order_by(end.desc(), table.c.silence_id.desc())
    )
    if not with_future:
        query = query.where(table.c.starts_at <= now)
    return [
        Silence(
            silence_id=row.silence_id,
            matchers=Matchers(
                owner=row.owner,
                source=row.source,
                subject_glob=row.subject_glob,
                max_severity=row.max_severity,
            ),
            author=row.author,
            reason=row.reason,
            starts_at=row.starts_at,
            ends_at=row.real_end,
        )
        for row in connection.execute(query)
    ]


def add_silence(
    connection: sa.Connection,
    matchers: Matchers,
    *,
    author: str,
    reason: str,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    now: dt.datetime,
) -> int:
    """Keep a silence; gives its id.

    Raises:
        ValueError: It ends before it starts or is over already, or names no alerts.
    """
    if ends_at <= max(starts_at, now):
        raise ValueError("a silence must end after its start and after now")
    if matchers == Matchers():
        raise ValueError("a silence must say which alerts it is about; the subject * is all of them")
    new = sa.insert(alert_silences).values(
        owner=matchers.owner,
        source=matchers.source,
        subject_glob=matchers.subject_glob,
        max_severity=matchers.max_severity,
        author=author,
        reason=reason,
        created_at=now,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    return int(connection.execute(new.returning(alert_silences.c.silence_id)).scalar_one())


def cancel_silence(connection: sa.Connection, silence_id: int, *, by: str, now: dt.datetime) -> bool:
    """Take a silence back before its end.

    Returns:
        Whether there was one that had not ended.
    """
    table = alert_silences
    cancelled = connection.execute(
        sa.update(table)
        .where(table.c.silence_id == silence_id, table.c.cancelled_at.is_(None), table.c.ends_at > now)
        .values(cancelled_at=now, cancelled_by=by)
    )
    return cancelled.rowcount == 1
