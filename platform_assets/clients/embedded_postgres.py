"""Starts, finds and stops the embedded Postgres of a home folder; any process may ask, at any time.

Whoever needs the server first starts it under a lock; all others connect. Nothing here stops a server but
`stop_postgres`. What lies on disk is `postgres_cluster`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import filelock
import psycopg

from platform_assets.clients.postgres_cluster import (
    PLATFORM_DATABASE,
    SERVER_SETTINGS,
    SUPERUSER,
    Cluster,
    EmbeddedPostgresError,
    as_server_user,
    binary,
    check_socket_folder,
    make_socket_folder,
    prepare_cluster,
    readable_errors,
    server_environment,
)

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "ensure_postgres",
    "find_postgres",
    "postgres_status",
    "stop_postgres",
]

_START_TIMEOUT_S = 60.0
"""Recovery after a crash replays at most some hundred MB of log."""

_LOCK_TIMEOUT_S = 150.0
"""Longer than creating and starting may take, so that only a stuck process is given up on."""

_STOP_TIMEOUT_S = 20.0
"""For each of two ways to stop."""

_PROBE_TIMEOUT_S = 5
_POLL_S = 0.02
_POLL_MAX_S = 0.5
_LOG_MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running server.

    Attributes:
        home: The platform's folder it belongs to.
        socket_folder: Folder of its Unix socket, open to this user alone.
        pid: Its process id.
    """

    home: Path
    socket_folder: Path
    pid: int

    def url(self, database: str = PLATFORM_DATABASE) -> str:
        """SQLAlchemy URL for psycopg 3; the databases are `platform` and `dagster`."""
        return self._url("postgresql+psycopg", database)

    def psycopg2_url(self, database: str = PLATFORM_DATABASE) -> str:
        """SQLAlchemy URL for psycopg2, which Dagster's own storage needs."""
        return self._url("postgresql+psycopg2", database)

    def _url(self, driver: str, database: str) -> str:
        return f"{driver}://{SUPERUSER}@/{quote(database)}?host={quote(str(self.socket_folder))}"


@dataclass(frozen=True)
class PostgresStatus:
    """What is known of a home's server without starting it.

    Attributes:
        state: `absent` (never created), `stopped`, `unavailable` (it lives but does not answer, for instance while it
            starts or recovers) or `running`.
        pid: Process id of a living server.
        log: Where the server writes what it says.
    """

    state: Literal["absent", "stopped", "unavailable", "running"]
    pid: int | None
    log: Path


@dataclass(frozen=True)
class _PidFile:
    """What a server writes about itself into `postmaster.pid`."""

    pid: int
    data: Path
    socket_folder: Path


def ensure_postgres(home: Path) -> EmbeddedPostgres:
    """The home's server, created and started if need be.

    Safe to call from many processes at once. A running server is found in some milliseconds.

    Args:
        home: The platform's folder; created if it does not exist.

    Raises:
        EmbeddedPostgresError: It can't be created, started or reached.
    """
    cluster = Cluster(home.resolve())
    with readable_errors(cluster, f"use the embedded Postgres in {cluster.home}"):
        running = _find_running(cluster)
        if running is not None:
            return running
        cluster.home.mkdir(parents=True, exist_ok=True)
        cluster.folder.mkdir(mode=0o700, exist_ok=True)
        cluster.log.parent.mkdir(exist_ok=True)
        with _start_lock(cluster):
            owner_uid = prepare_cluster(cluster)
            return _start_or_join(cluster, owner_uid)


def find_postgres(home: Path) -> EmbeddedPostgres | None:
    """The home's server if it runs and answers; nothing is started or changed.

    Raises:
        EmbeddedPostgresError: It is another user's.
    """
    cluster = Cluster(home.resolve())
    with readable_errors(cluster, f"look at the embedded Postgres in {cluster.home}"):
        return _find_running(cluster)


def stop_postgres(home: Path) -> bool:
    """Stop the home's server: open transactions are rolled back, then it ends in order.

    One that does not end in order, such as one that can't recover, is ended at once; nothing committed is lost by that.

    Returns:
        Whether there was a server to stop.

    Raises:
        EmbeddedPostgresError: It did not end, or is another user's.
    """
    cluster = Cluster(home.resolve())
    with readable_errors(cluster, f"stop the embedded Postgres in {cluster.home}"):
        if not cluster.data.exists():
            return False
        with _start_lock(cluster):
            pid_file = _read_pid_file(cluster)
            if pid_file is None or not _is_alive(cluster):
                return False
            # Postgres's "fast" and "immediate" shutdown.
            for how in (signal.SIGINT, signal.SIGQUIT):
                with suppress(
                    ProcessLookupError
                ):  # killed already, and its backends are still on their way out
                    os.kill(pid_file.pid, how)
                if _is_gone_in_time(cluster):
                    with suppress(OSError):  # only an empty folder goes
                        pid_file.socket_folder.rmdir()
                    return True
            raise EmbeddedPostgresError(
                f"Postgres (process {pid_file.pid}) was asked to stop, twice, and did not. Its log, {cluster.log}, "
                f"ends with:\n{cluster.log_tail()}\nEnd the process yourself; the next start recovers."
            )


def postgres_status(home: Path) -> PostgresStatus:
    """Whether the home's server runs; nothing is started or changed."""
    cluster = Cluster(home.resolve())
    with readable_errors(cluster, f"look at the embedded Postgres in {cluster.home}"):
        if not cluster.data.exists():
            return PostgresStatus("absent", None, cluster.log)
        if not _is_alive(cluster):
            return PostgresStatus("stopped", None, cluster.log)
        pid_file = _read_pid_file(cluster)
        answers = pid_file is not None and _probe(pid_file.socket_folder) is None
        return PostgresStatus(
            "running" if answers else "unavailable", pid_file.pid if pid_file else None, cluster.log
        )


def _find_running(cluster: Cluster) -> EmbeddedPostgres | None:
    pid_file = _read_pid_file(cluster)
    # A copied home brings along the pid file of the server it was copied from.
    if pid_file is None or pid_file.data != cluster.data:
        return None
    try:
        answers = _probe(pid_file.socket_folder) is None
    except EmbeddedPostgresError:
        # Another user's server; when that one is dead, what it left does not matter.
        if _is_alive(cluster):
            raise
        return None
    return EmbeddedPostgres(cluster.home, pid_file.socket_folder, pid_file.pid) if answers else None


def _read_pid_file(cluster: Cluster) -> _PidFile | None:
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
        # pid, data directory, start time, port, socket directory: src/include/utils/pidfile.h of Postgres.
        pid, data, socket_folder = int(lines[0]), lines[1], lines[4]
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    # The server adds the folder once it listens.
    return _PidFile(pid, Path(data), Path(socket_folder)) if socket_folder else None


def _probe(socket_folder: Path) -> str | None:
    """What keeps the server from answering `SELECT 1`, or None if it answers."""
    try:
        check_socket_folder(socket_folder)
        with psycopg.connect(
            host=str(socket_folder),
            port=5432,
            user=SUPERUSER,
            dbname=PLATFORM_DATABASE,
            connect_timeout=_PROBE_TIMEOUT_S,
        ) as connection:
            connection.execute("SELECT 1")
    except (FileNotFoundError, psycopg.OperationalError) as error:
        return str(error)
    return None


@contextmanager
def _start_lock(cluster: Cluster) -> Iterator[None]:
    try:
        with filelock.FileLock(cluster.start_lock, timeout=_LOCK_TIMEOUT_S):
            yield
    except filelock.Timeout as error:
        raise EmbeddedPostgresError(
            f"Another process has been starting or stopping Postgres for {_LOCK_TIMEOUT_S:.0f} s (it holds "
            f"{cluster.start_lock}). End that process and run again. The server's log ends with:\n{cluster.log_tail()}"
        ) from error


@contextmanager
def _server_lock(cluster: Cluster) -> Iterator[int | None]:
    """The file descriptor of the server's lock, or None while a process of a server holds it.

    The server and all its backends inherit the descriptor, and with it the lock. So it is free exactly when none of
    them lives, whatever stale pid files say: process ids are reused, above all in containers.
    """
    descriptor = os.open(cluster.server_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_free = True
        except BlockingIOError:
            is_free = False
        yield descriptor if is_free else None
    finally:
        os.close(descriptor)


def _is_alive(cluster: Cluster) -> bool:
    with _server_lock(cluster) as descriptor:
        return descriptor is None


def _start_or_join(cluster: Cluster, owner_uid: int) -> EmbeddedPostgres:
    deadline = time.monotonic() + _START_TIMEOUT_S
    answer: str | None = "it has not said where it listens"
    pause_s = _POLL_S
    launched: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        with _server_lock(cluster) as descriptor:
            if descriptor is not None:
                if launched is not None:
                    raise _start_error(cluster, f"it ended with status {launched.wait()}")
                launched = _launch(cluster, owner_uid, descriptor)
        pid_file = _read_pid_file(cluster)
        if pid_file is not None:
            answer = _probe(pid_file.socket_folder)
            if answer is None:
                return EmbeddedPostgres(cluster.home, pid_file.socket_folder, pid_file.pid)
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, _POLL_MAX_S)
    raise _start_error(
        cluster, f"it did not answer within {_START_TIMEOUT_S:.0f} s; the last try said: {answer}"
    )


def _launch(cluster: Cluster, owner_uid: int, server_lock: int) -> subprocess.Popen[bytes]:
    # The lock says that no process of this cluster lives: what a killed server left can't belong to anyone.
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    socket_folder = make_socket_folder(cluster)
    for stale in socket_folder.glob(".s.PGSQL.*"):
        stale.unlink()
    if cluster.log.exists() and cluster.log.stat().st_size > _LOG_MAX_BYTES:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    settings = {**SERVER_SETTINGS, "unix_socket_directories": str(socket_folder)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with cluster.log.open("ab") as log:
        server = subprocess.Popen(  # noqa: S603  (our own binary, no shell)
            as_server_user([binary("postgres"), "-D", cluster.data, *options], owner_uid),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cluster.folder,
            env=server_environment(),
            pass_fds=(server_lock,),
            # Ctrl-C in the terminal of whoever came first is not meant for the server.
            start_new_session=True,
        )
    # The server outlives this call and perhaps this process; if not, it must not stay behind as a zombie.
    threading.Thread(target=server.wait, name="embedded-postgres-reaper", daemon=True).start()
    return server


def _is_gone_in_time(cluster: Cluster) -> bool:
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while _is_alive(cluster):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _start_error(cluster: Cluster, what_happened: str) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"Postgres was started on {cluster.data}, but {what_happened}\n"
        f"Its log, {cluster.log}, ends with:\n{cluster.log_tail()}\n"
        "Mend what it names and run again. What is lost with the folder can be computed again, so as a last resort "
        "move it away."
    )
