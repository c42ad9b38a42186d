"""Keeps the sandbox's servers alive while the supervisor runs: the embedded Postgres and the local APIs.

Whoever needs one starts it, too; so a server that was started anew by somebody else counts as one that had ended.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from platform_assets.clients.embedded_postgres import ensure_postgres, find_postgres
from platform_assets.recovery_thresholds import WELL_AFTER_S
from platform_assets.sandbox.process import ensure_sandbox, find_sandbox
from platform_assets.settings import Settings
from platform_assets.supervision.incidents import Incident, IncidentBook, utc_now
from platform_assets.supervision.services import LOCAL_APIS, POSTGRES, TITLES


@dataclass
class _Server:
    """A server and what was last seen of it."""

    name: str
    find: Callable[[], int | None]
    """Gives the process id of one that answers."""
    ensure: Callable[[], int]
    """Starts it if need be; gives its process id."""
    pid: int | None = None
    seen_at: dt.datetime | None = None
    well_since: float = 0.0
    is_told_well: bool = False


class ServerKeeper:
    """Looks after the servers of a home folder."""

    def __init__(self, settings: Settings, book: IncidentBook, *, tell: Callable[[str], None]) -> None:
        """Prepare; nothing is looked at yet."""
        self._book = book
        self._tell = tell
        home = settings.home
        self._servers = [
            _Server(
                POSTGRES,
                lambda: server.pid if (server := find_postgres(home)) else None,
                lambda: ensure_postgres(home).pid,
            ),
            _Server(
                LOCAL_APIS,
                lambda: server.pid if (server := find_sandbox(home)) else None,
                lambda: ensure_sandbox(settings).pid,
            ),
        ]

    def look_after(self) -> None:
        """Start what does not answer.

        Raises:
            PlatformError: One can't be started; the next call tries again.
        """
        for server in self._servers:
            self._look_after(server)

    def _look_after(self, server: _Server) -> None:
        pid = server.find()
        if server.pid is not None and pid != server.pid:
            self._note_end(server)
        if pid is None:
            pid = server.ensure()
        now = utc_now()
        if server.pid is None:
            server.well_since, server.is_told_well = time.monotonic(), False
            self._book.note_recovery(server.name, now=now)
        elif not server.is_told_well and time.monotonic() - server.well_since > WELL_AFTER_S:
            server.is_told_well = True
            self._book.note_well(server.name, now=now)
        server.pid, server.seen_at = pid, now

    def _note_end(self, server: _Server) -> None:
        title, fault = TITLES[server.name], f"ended or hung (process {server.pid})"
        self._tell(f"{title} {fault}; it is started again.")
        noticed_at = utc_now()
        self._book.note(Incident(server.name, title, server.seen_at or noticed_at, noticed_at, reason=fault))
        # Told once, however often starting it is tried.
        server.pid = None
