"""What the supervisor does beside keeping processes alive, in a thread of its own, since any of it may wait for a database.

It asks processes whether they work, keeps the sandbox's servers alive, fails runs whose process is gone, and writes what
happened.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Sequence

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.failures import explain
from platform_assets.instance import require_storage
from platform_assets.monitoring.runs.dead_runs import fail_run, find_dead_runs
from platform_assets.monitoring.runs.heartbeats import forget_old_heartbeats
from platform_assets.settings import Settings
from platform_assets.supervision.incidents import IncidentBook, utc_now
from platform_assets.supervision.servers import ServerKeeper

LOOK_S = 2.0
"""Between two looks at everything."""

_FORGET_S = 3600.0

logger = logging.getLogger(__name__)


class Upkeep:
    """One look at everything after the other, until it is stopped."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        database: Database,
        book: IncidentBook,
        *,
        look_at_processes: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            settings: The settings.
            instance: Where runs are recorded.
            database: The platform's database.
            book: What happened to processes.
            look_at_processes: Asks every process whether it works.
            tell: Takes a line for a person.
        """
        self._settings = settings
        self._instance = instance
        self._database = database
        self._book = book
        self._look_at_processes = look_at_processes
        self._tell = tell
        self._servers = ServerKeeper(settings, book, tell=tell) if settings.is_sandbox else None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._watched_since: dt.datetime | None = None
        self._forgot_at = float("-inf")
        self._troubles: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, timeout_s: float) -> None:
        """End after the look that is going on."""
        self._stopped.set()
        self._thread.join(timeout=timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(LOOK_S)

    def look(self) -> None:
        """Everything once; what fails is told once, and tried again with the next look."""
        duties: Sequence[tuple[str, Callable[[], None]]] = (
            ("The local servers", self._servers.look_after if self._servers else _nothing),
            ("The processes", self._look_at_processes),
            ("The database", self._write),
            ("Lost runs", self._fail_dead_runs),
        )
        for name, do in duties:
            try:
                do()
            except Exception as error:
                # Whatever it is, the other duties go on; what nobody foresaw is logged whole.
                trouble = explain(error)
                if trouble is None:
                    trouble = f"failed with {type(error).__name__}"
                    logger.exception("%s: an unforeseen error", name)
                if self._troubles.get(name) != trouble:
                    self._tell(f"{name}: {trouble}")
                self._troubles[name] = trouble
                if name in ("The database", "Lost runs"):
                    self._watched_since = None
            else:
                if self._troubles.pop(name, None) is not None:
                    self._tell(f"{name}: all is well again")

    def _write(self) -> None:
        self._book.write(self._database, now=utc_now())

    def _fail_dead_runs(self) -> None:
        # Dagster itself repeats a failing connection for a quarter of a minute, with a traceback each time.
        require_storage(self._settings)
        now = utc_now()
        self._watched_since = min(self._watched_since or now, now)
        for dead in find_dead_runs(
            self._instance, self._database, now=now, watched_since=self._watched_since
        ):
            if fail_run(self._instance, dead):
                self._tell(f"Run {dead.run_id[:8]} of {dead.job_name} is lost: {dead.reason}")
        if time.monotonic() - self._forgot_at > _FORGET_S:
            forget_old_heartbeats(self._database)
            self._forgot_at = time.monotonic()


def _nothing() -> None:
    return
