"""Fails runs whose process is gone, again and again, so that they are run again within seconds."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.instance import require_storage
from platform_assets.monitoring.runs.dead_runs import fail_run, find_dead_runs
from platform_assets.monitoring.runs.heartbeats import forget_old_heartbeats
from platform_assets.settings import Settings
from platform_assets.supervision.incidents import utc_now

_FORGET_S = 3600.0


class LostRuns:
    """Looks for lost runs; remembers since when looking has worked."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        database: Database,
        *,
        tell: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is read yet."""
        self._settings = settings
        self._instance = instance
        self._database = database
        self._tell = tell
        self._watched_since: dt.datetime | None = None
        self._forgot_at = float("-inf")

    def fail(self) -> None:
        """Look once.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: A database is away. Whoever could not say that it lives gets time to.
        """
        now = utc_now()
        # A clock that was set back must not make silence of what was none.
        watched_since = min(self._watched_since or now, now)
        self._watched_since = None
        # Dagster itself would repeat a failing connection for a quarter of a minute, with a traceback each time.
        require_storage(self._settings)
        dead_runs = find_dead_runs(self._instance, self._database, now=now, watched_since=watched_since)
        self._watched_since = watched_since
        for dead in dead_runs:
            if fail_run(self._instance, dead):
                self._tell(f"Run {dead.run_id[:8]} of {dead.job_name} is lost: {dead.reason}")
        if time.monotonic() - self._forgot_at > _FORGET_S:
            forget_old_heartbeats(self._database)
            self._forgot_at = time.monotonic()
