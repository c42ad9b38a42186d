"""What a process says of itself while it works on a run: who it is, and every few seconds that it still lives.

Whose process is gone is `dead_runs.py`'s to find. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database, is_among
from platform_assets.monitoring.runs.processes import ProcessIdentity, this_process
from platform_assets.tables.supervision import run_heartbeats

BEAT_S = 10.0
"""Between two signs of life; each is one small statement."""

_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_S = 5

_KEPT = dt.timedelta(days=2)
"""A row outlives its run only so that the last moments of a run are covered, too."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life of a run's process.

    Attributes:
        process: Which process works on the run.
        age_s: Seconds since then by the database's clock, which all machines share; never below 0.
    """

    process: ProcessIdentity
    age_s: float


@contextmanager
def beating(url: str, run_id: str) -> Iterator[None]:
    """Say every few seconds that this process works on the run.

    Never fails, holds up or outlives the run: a database that is away is tried again with the next beat.

    Args:
        url: SQLAlchemy URL of the platform's database.
        run_id: Dagster's id of the run.
    """
    stopped = threading.Event()
    thread = threading.Thread(
        target=_beat_until, args=(stopped, url, run_id), name=f"heartbeat-{run_id[:8]}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=_CONNECT_TIMEOUT_S + _STATEMENT_TIMEOUT_S)


def _beat_until(stopped: threading.Event, url: str, run_id: str) -> None:
    process = this_process()
    database = Database(url, connect_timeout_s=_CONNECT_TIMEOUT_S, statement_timeout_s=_STATEMENT_TIMEOUT_S)
    is_away = False
    while True:
        try:
            beat(database, run_id, process)
            is_away = False
        except sa.exc.SQLAlchemyError as error:
            if not is_away:
                logger.warning("The heartbeat of run %s can't be written: %s", run_id, type(error).__name__)
            is_away = True
        if stopped.wait(BEAT_S):
            break
    database.close()


def beat(database: Database, run_id: str, process: ProcessIdentity) -> None:
    """Write one sign of life; the process that wrote last is the one that works on the run."""
    table = run_heartbeats
    moment = sa.func.clock_timestamp()
    new = pg.insert(table).values(
        run_id=run_id,
        host=process.host,
        boot_id=process.boot_id,
        pid=process.pid,
        process_start=process.start,
        first_beat_at=moment,
        beat_at=moment,
    )
    changed = {name: new.excluded[name] for name in ("host", "boot_id", "pid", "process_start", "beat_at")}
    with database.transaction() as connection:
        connection.execute(new.on_conflict_do_update(index_elements=[table.c.run_id], set_=changed))


def read_heartbeats(database: Database, run_ids: Sequence[str]) -> dict[str, Heartbeat]:
    """The last signs of life by run; a run that has none is not in it."""
    table = run_heartbeats
    age = sa.func.greatest(0, sa.extract("epoch", sa.func.clock_timestamp() - table.c.beat_at))
    rows = database.read(
        sa.select(
            table.c.run_id,
            table.c.host,
            table.c.boot_id,
            table.c.pid,
            table.c.process_start,
            sa.cast(age, sa.Double).label("age_s"),
        ).where(is_among(table.c.run_id, run_ids))
    )
    return {
        row["run_id"]: Heartbeat(
            ProcessIdentity(row["host"], row["boot_id"], row["pid"], row["process_start"]), row["age_s"]
        )
        for row in rows.to_dict("records")
    }


def forget_old_heartbeats(database: Database) -> int:
    """Delete the rows of runs that ended long ago; returns their number."""
    with database.transaction() as connection:
        old = run_heartbeats.c.beat_at < sa.func.clock_timestamp() - _KEPT
        return connection.execute(sa.delete(run_heartbeats).where(old)).rowcount
