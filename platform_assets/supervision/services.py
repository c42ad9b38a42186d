"""Which processes the platform has: how each is started, and how it shows that it works.

Keeping them alive is `supervisor.py`'s business.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient
from sqlalchemy.exc import SQLAlchemyError

from platform_assets.monitoring.runs.dead_runs import CODE_LOCATION_NAME
from platform_assets.recovery_thresholds import DAEMON_SILENT_S
from platform_assets.supervision.http_probe import answers_http
from platform_assets.supervision.process import Command

CODE_SERVER, WEBSERVER, DAEMON = "code_server", "webserver", "daemon"
POSTGRES, LOCAL_APIS = "postgres", "local_apis"

TITLES = {
    CODE_SERVER: "The code server",
    WEBSERVER: "The webserver",
    DAEMON: "The daemon",
    POSTGRES: "The embedded Postgres",
    LOCAL_APIS: "The server of the local APIs",
}

_PROBE_TIMEOUT_S = 2

Probe = Callable[[float], bool | None]
"""Whether a process works, given when it was started (UTC, seconds since the epoch); None when that can't be known now."""


@dataclass(frozen=True)
class Service:
    """A process that is kept alive.

    Attributes:
        command: How it is started.
        probe: Whether it works.
        needs: Names of processes that must have answered before it is started for the first time.
    """

    command: Command
    probe: Probe
    needs: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Layout:
    """Where the processes of one platform meet.

    Attributes:
        dagster_home: The instance's folder.
        logs: Folder of their logs.
        socket: Where the code server listens, in a folder that is this user's alone.
        host: Address that the webserver listens on.
        port: Its port; None for none.
        module: What the code server loads.
    """

    dagster_home: Path
    logs: Path
    socket: Path
    host: str
    port: int | None
    module: str


def build_services(layout: Layout, instance: dg.DagsterInstance) -> list[Service]:
    """The processes in the order in which they are started."""
    workspace = _write_workspace(layout)
    client = DagsterGrpcClient(socket=str(layout.socket))
    services = [
        Service(
            _command(
                layout,
                CODE_SERVER,
                *("-m", "dagster", "api", "grpc", "--socket", str(layout.socket), "-m", layout.module),
                # The same name as in the workspace: run workers load it again by this.
                *("--location-name", CODE_LOCATION_NAME),
            ),
            lambda _: _answers_grpc(client),
        )
    ]
    if layout.port is not None:
        address = ("-h", layout.host, "-p", str(layout.port))
        host, port = layout.host, layout.port
        services.append(
            Service(
                _command(layout, WEBSERVER, "-m", "dagster_webserver", *address, "-w", str(workspace)),
                lambda _: answers_http(host, port, timeout_s=_PROBE_TIMEOUT_S),
                needs=(CODE_SERVER,),
            )
        )
    services.append(
        Service(
            _command(layout, DAEMON, "-m", "dagster._daemon", "run", "-w", str(workspace)),
            lambda started_at: _has_beaten(instance, started_at),
            needs=(CODE_SERVER,),
        )
    )
    return services


def _command(layout: Layout, name: str, *words: str) -> Command:
    return Command(
        name,
        TITLES[name],
        (sys.executable, *words),
        # In the project's folder Dagster would warn of the other dagster.yaml.
        layout.dagster_home,
        layout.logs / f"{name}.log",
        {"DAGSTER_HOME": str(layout.dagster_home), "PYTHONUNBUFFERED": "1"},
    )


def _write_workspace(layout: Layout) -> Path:
    path = layout.socket.with_name("workspace.yaml")
    server = {"socket": str(layout.socket), "location_name": CODE_LOCATION_NAME}
    # JSON is YAML, too.
    path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    return path


def _answers_grpc(client: DagsterGrpcClient) -> bool:
    try:
        client.get_server_id(timeout=_PROBE_TIMEOUT_S)
    except DagsterUserCodeUnreachableError:
        return False
    return True


def _has_beaten(instance: dg.DagsterInstance, started_at: float) -> bool | None:
    try:
        beats = [status.timestamp for status in instance.get_daemon_heartbeats().values()]
    except SQLAlchemyError as error:
        logging.getLogger(__name__).debug("Dagster's storage can't be read: %s", type(error).__name__)
        return None
    newest = max(beats, default=0.0)
    return newest > max(started_at, time.time() - DAEMON_SILENT_S)
