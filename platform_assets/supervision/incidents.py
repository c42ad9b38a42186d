"""Processes that ended or hung: noted in memory as it happens, written with their alerts when the database is there.

The supervisor's main thread notes, its upkeep thread writes. Nothing is lost while the database is away.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.alerting.causes import PROCESS_SOURCE
from platform_assets.table_assets import PLATFORM_OWNER
from platform_assets.tables.supervision import process_incidents


def utc_now() -> dt.datetime:
    """The present moment, which the supervisor's parts note."""
    return dt.datetime.now(dt.UTC)


@dataclass
class Incident:
    """One time that a process ended or hung.

    Attributes:
        process: Its name, such as `daemon`.
        title: What a person calls it.
        last_seen_at: When it was last known to be well (UTC).
        noticed_at: When it was seen that it is not (UTC).
        reason: How it ended.
        is_crash_loop: Whether it keeps ending.
        recovered_at: When it answered again (UTC); None while it does not.
    """

    process: str
    title: str
    last_seen_at: dt.datetime
    noticed_at: dt.datetime
    reason: str
    is_crash_loop: bool = False
    recovered_at: dt.datetime | None = None


class IncidentBook:
    """What happened to processes, and what of it the database has yet to hear."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._new: list[Incident] = []
        self._open: dict[str, list[Incident]] = {}
        self._recovered: list[Incident] = []
        self._well_since: dict[str, dt.datetime] = {}

    def note(self, incident: Incident) -> None:
        """A process ended or hung."""
        with self._lock:
            self._new.append(incident)
            self._open.setdefault(incident.process, []).append(incident)
            self._well_since.pop(incident.process, None)

    def note_recovery(self, process: str, *, now: dt.datetime) -> None:
        """A process answers again."""
        with self._lock:
            for incident in self._open.pop(process, []):
                incident.recovered_at = now
                self._recovered.append(incident)

    def note_well(self, process: str, *, now: dt.datetime) -> None:
        """A process has been well for long enough: what was told of it before, by whomever, is over."""
        with self._lock:
            self._well_since[process] = now

    def write(self, database: Database, *, now: dt.datetime) -> None:
        """Bring the database up to date.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: It can't be written; the next call tries the same again.
        """
        with self._lock:
            new, recovered, well = list(self._new), list(self._recovered), dict(self._well_since)
        if not (new or recovered or well):
            return
        with database.transaction() as connection:
            for incident in new:
                _insert(connection, incident, now)
            for incident in recovered:
                _close(connection, incident)
            for process, since in well.items():
                resolve_alert(connection, fingerprint=fingerprint(process), now=since)
        with self._lock:
            self._new = self._new[len(new) :]
            self._recovered = self._recovered[len(recovered) :]
            for process, since in well.items():
                # It may have ended again while this was written.
                if self._well_since.get(process) == since:
                    del self._well_since[process]


def fingerprint(process: str) -> str:
    """Identifies the alert of a process."""
    return f"process:{process}"


def _insert(connection: sa.Connection, incident: Incident, now: dt.datetime) -> None:
    connection.execute(
        pg.insert(process_incidents)
        .values(
            process=incident.process,
            noticed_at=incident.noticed_at,
            reason=incident.reason,
            last_seen_at=incident.last_seen_at,
            recovered_at=incident.recovered_at,
            recorded_at=now,
        )
        .on_conflict_do_nothing()
    )
    what = (
        "keeps ending and is started again only every half a minute"
        if incident.is_crash_loop
        else "was started again"
    )
    raise_alert(
        connection,
        fingerprint=fingerprint(incident.process),
        severity="critical" if incident.is_crash_loop else "medium",
        source=PROCESS_SOURCE,
        subject=incident.process,
        owner=PLATFORM_OWNER,
        title=f"{incident.title} {what}: it {incident.reason.splitlines()[0]}",
        details={
            "reason": incident.reason,
            "last_seen_at": incident.last_seen_at,
            "noticed_at": incident.noticed_at,
            "recovered_at": incident.recovered_at,
        },
        now=incident.noticed_at,
    )


def _close(connection: sa.Connection, incident: Incident) -> None:
    table = process_incidents
    connection.execute(
        sa.update(table)
        .where(table.c.process == incident.process, table.c.noticed_at == incident.noticed_at)
        .values(recovered_at=incident.recovered_at)
    )
