"""Keeps the sandbox's servers alive while the supervisor runs: the embedded Postgres and the local APIs.

Whoever needs one starts it, too; so a server that was started anew by somebody else counts as one that had ended.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from platform_assets.clients.embedded_postgres import ensure_postgres, find_postgres
from platform_assets.sandbox.process import ensure_sandbox, find_sandbox
from platform_assets.settings import Settings
from platform_assets.supervision.incidents import Incident, IncidentBook
from platform_assets.supervision.services import LOCAL_APIS, POSTGRES, TITLES


@dataclass
class _Server:
    name: str
    find: Callable[[], int | None]
    """Gives the process id of one that answers."""
    ensure: Callable[[], int]
    """Starts it if need be; gives its process id."""
    pid: int | None = None
    seen_at: dt.datetime | None = None


class ServerKeeper:
    """Looks after the servers of a home folder."""

    def __init__(self, settings: Settings, book: IncidentBook, now: Callable[[], dt.datetime]) -> None:
        """Prepare; nothing is looked at yet."""
        self._book = book
        self._now = now
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
        known = server.pid
        if pid is None or known not in (None, pid):
            noticed_at = self._now()
            if known is not None:
                self._book.note(
                    Incident(
                        server.name,
                        TITLES[server.name],
                        last_seen_at=server.seen_at or noticed_at,
                        noticed_at=noticed_at,
                        reason=f"ended or hung (process {known})",
                    )
                )
                # Told once, however long it takes to bring it back.
                server.pid = None
            pid = pid or server.ensure()
        server.pid, server.seen_at = pid, self._now()
        if known != pid:
            self._book.note_recovery(server.name, now=server.seen_at)
