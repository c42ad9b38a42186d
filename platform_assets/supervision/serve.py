"""Joins the supervisor's parts: one home folder, its instance and its processes, from the first line to the last."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import click
import dagster as dg
from filelock import FileLock, Timeout

from platform_assets.clients.database import Database
from platform_assets.communications.delivery import deliver_due
from platform_assets.local_ui import CODE_LOCATION, HOST, LocalUiError, port_is_free, prepare_dagster_home
from platform_assets.main_run import open_instance
from platform_assets.monitoring.runs.processes import process_start
from platform_assets.resources import database_url, open_channels, open_database
from platform_assets.settings import Settings
from platform_assets.supervision.health_server import serving_health
from platform_assets.supervision.incidents import IncidentBook, utc_now
from platform_assets.supervision.lost_runs import LostRuns
from platform_assets.supervision.rounds import Rounds
from platform_assets.supervision.servers import ServerKeeper
from platform_assets.supervision.services import DAEMON, Layout, build_services
from platform_assets.supervision.status import (
    ProcessStatus,
    SupervisorStatus,
    read_status,
    status_path,
    write_status,
)
from platform_assets.supervision.supervisor import Supervisor

_ROUND_STOP_S = 5.0

_LONGEST_BASE = 60
"""A socket's path has some 100 bytes."""


def serve(settings: Settings, *, host: str = HOST, port: int | None, health_port: int | None = None) -> None:
    """Keep code server, webserver, daemon and, in the sandbox, the local servers alive until a signal comes.

    Args:
        settings: The settings.
        host: Address that the webserver listens on.
        port: Its port; None for no webserver.
        health_port: Port of `/health`; None for none.

    Raises:
        LocalUiError: The port is taken, or another supervisor is at work in the same folder.
    """
    with _only_supervisor(settings.home):
        for taken in (port, health_port):
            if taken is not None and not port_is_free(taken, host):
                raise LocalUiError(
                    f"Port {taken} on {host} is taken. Choose another: make ui PORT={taken + 1} "
                    f"(or platform-assets ui --port {taken + 1})."
                )
        dagster_home = prepare_dagster_home(settings)
        open_database(settings).close()
        with (
            _socket_folder(settings.home) as folder,
            open_instance(settings) as instance,
            Database(database_url(settings), connect_timeout_s=5) as database,
        ):
            logs = settings.home.resolve() / "logs"
            layout = Layout(
                dagster_home=dagster_home,
                logs=logs,
                socket=folder / "code.sock",
                host=host,
                port=port,
                module=CODE_LOCATION,
            )
            book = IncidentBook()
            supervisor = Supervisor(build_services(layout, instance), book, tell=_tell)
            if port is not None:
                _tell(f"The UI comes up at http://{host}:{port}")
            _tell(f"Logs are in {logs}. Ctrl-C stops everything but the embedded servers.")
            rounds = [
                Rounds(
                    "lookout",
                    _duties(settings, instance, database, supervisor, layout),
                    every_s=2,
                    tell=_tell,
                ),
                # Apart, since a channel may keep it waiting.
                Rounds(
                    "deliveries",
                    {"Notifications": _deliveries(settings, database, supervisor)},
                    every_s=5,
                    tell=_tell,
                ),
            ]
            with _maybe_serving_health(settings, host, health_port):
                for each in rounds:
                    each.start()
                try:
                    supervisor.run()
                finally:
                    for each in rounds:
                        each.stop(timeout_s=_ROUND_STOP_S)
                    status_path(settings.home).unlink(missing_ok=True)


def _duties(
    settings: Settings,
    instance: dg.DagsterInstance,
    database: Database,
    supervisor: Supervisor,
    layout: Layout,
) -> dict[str, Callable[[], None]]:
    book = supervisor.book

    def look_at_processes() -> None:
        supervisor.probe_all()
        write_status(settings.home, _status(supervisor, layout))

    servers = {}
    if settings.is_sandbox:
        servers = {"The local servers": ServerKeeper(settings, book, tell=_tell).look_after}
    return {
        **servers,
        "The processes": look_at_processes,
        "The database": lambda: book.write(database, now=utc_now()),
        "Lost runs": LostRuns(settings, instance, database, tell=_tell).fail,
    }


def _deliveries(settings: Settings, database: Database, supervisor: Supervisor) -> Callable[[], None]:
    channels = open_channels(settings)

    def deliver() -> None:
        # While it is up the daemon delivers.
        if not supervisor.is_up(DAEMON):
            deliver_due(database, channels, now=utc_now())

    return deliver


def _maybe_serving_health(
    settings: Settings, host: str, port: int | None
) -> AbstractContextManager[int | None]:
    return nullcontext() if port is None else serving_health(settings, host=host, port=port)


@contextmanager
def _only_supervisor(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / "supervisor.lock", timeout=0):
            yield
    except Timeout:
        status = read_status(home)
        where = f" (process {status.pid}, port {status.port})" if status else ""
        raise LocalUiError(
            f"The platform is already served from {home}{where}. Stop it first: platform-assets stop"
        ) from None


@contextmanager
def _socket_folder(home: Path) -> Iterator[Path]:
    """A folder that is open to this user alone: whoever reaches the code server may run code as this user.

    Its name is short, as sockets need it, and always the same for a home, since Dagster keeps it with its schedules.
    """
    name = f"platform-code-{os.geteuid()}-{hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]}"
    base = tempfile.gettempdir()
    folder = Path(base if len(base) < _LONGEST_BASE else "/tmp") / name  # noqa: S108  (owner and mode are checked)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise LocalUiError(f"{folder} must be a folder that is this user's alone (mode 700). Remove it.")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _status(supervisor: Supervisor, layout: Layout) -> SupervisorStatus:
    now = time.monotonic()
    return SupervisorStatus(
        pid=os.getpid(),
        process_start=process_start(os.getpid()) or "",
        host=layout.host,
        port=layout.port,
        written_at=time.time(),
        processes=[
            ProcessStatus(
                name=each.name,
                title=each.service.command.title,
                pid=child.pid if (child := each.child) else None,
                is_up=each.is_up,
                silent_s=None if (answered_at := each.last_answer_at) is None else now - answered_at,
                ends_count=len(each.history.ended_at),
            )
            for each in supervisor.supervised
        ],
    )


def _tell(line: str) -> None:
    click.echo(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {line}")
