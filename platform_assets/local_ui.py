"""Around Dagster on this machine: its home folder, `make stop`, and the file to source. Serving is `supervision/`'s."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import sys
import time
from pathlib import Path

from platform_assets.errors import PlatformError
from platform_assets.settings import PROJECT_ROOT, Settings

HOST = "127.0.0.1"

STOP_TIMEOUT_S = 45.0
"""Longer than the supervisor gives what it stops, twice."""

_STOP_POLL_S = 0.1

CODE_LOCATION = "platform_assets.definitions"


class LocalUiError(PlatformError):
    """The UI can't be started here."""


def dagster_home(settings: Settings) -> Path:
    """Folder of the Dagster instance: in production that of DAGSTER_HOME where one is set, else our own."""
    if not settings.is_sandbox and os.environ.get("DAGSTER_HOME"):
        return Path(os.environ["DAGSTER_HOME"])
    return settings.home.resolve() / "dagster"


def prepare_dagster_home(settings: Settings) -> Path:
    """Make sure that the Dagster instance's folder has its `dagster.yaml`, and point this process at it."""
    home = dagster_home(settings)
    config = home / "dagster.yaml"
    if not config.exists():
        source = PROJECT_ROOT / "dagster.yaml"
        if not source.exists():
            raise LocalUiError(
                f"No dagster.yaml in {home} and none beside the package: copy the project's there."
            )
        home.mkdir(parents=True, exist_ok=True)
        config.unlink(missing_ok=True)  # a link whose target has moved
        with contextlib.suppress(FileExistsError):  # another process was as fast
            config.symlink_to(source)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def write_activation(settings: Settings) -> Path:
    """Write the file that a shell sources before using the `dagster` command in the project's folder."""
    home = prepare_dagster_home(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    path = settings.home / "env"
    activate = Path(sys.executable).parent / "activate"
    lines = (
        # The servers of this home, whatever the shell had before.
        f"export PLATFORM_HOME={shlex.quote(str(settings.home.resolve()))}",
        f"export DAGSTER_HOME={shlex.quote(str(home))}",
        # `dagster asset …` reads neither workspace.yaml nor pyproject.toml.
        f"export DAGSTER_MODULE_NAME={CODE_LOCATION}",
        f". {shlex.quote(str(activate))}",
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def port_is_free(port: int, host: str = HOST) -> bool:
    """Whether nothing listens on the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _stop_supervisor(settings: Settings) -> bool:
    from platform_assets.monitoring.runs.processes import process_start
    from platform_assets.supervision.status import read_status, status_path

    status = read_status(settings.home)
    if status is None or not status.is_alive:
        status_path(settings.home).unlink(missing_ok=True)
        return False
    # Asked to end, it ends its processes first; when it is killed they end with it.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(status.pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            if process_start(status.pid) != status.process_start:
                status_path(settings.home).unlink(missing_ok=True)
                return True
            time.sleep(_STOP_POLL_S)
    raise LocalUiError(f"The supervisor (process {status.pid}) does not end. End it yourself.")


def stop_everything(settings: Settings) -> list[str]:
    """Stop the UI and the embedded servers of this folder; says what was stopped."""
    from platform_assets.clients.embedded_postgres import stop_postgres
    from platform_assets.sandbox.process import stop_sandbox

    stopped = {
        "Dagster's UI and daemon": _stop_supervisor(settings),
        "the local APIs": stop_sandbox(settings.home),
        "the embedded Postgres": stop_postgres(settings.home),
    }
    return [f"Stopped {what}." for what, was_running in stopped.items() if was_running] or [
        "Nothing was running."
    ]
