"""The local processes around Dagster: its home folder, `make ui`, `make stop`, and the file to source."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from platform_assets.errors import PlatformError
from platform_assets.settings import PROJECT_ROOT, Settings

HOST = "127.0.0.1"

STOP_TIMEOUT_S = 15.0

CODE_LOCATION = "platform_assets.definitions"

SUPERSEDED = "ignore:Function `dev_command`"
"""`dagster dev` recommends another tool at each start, which a user of this one need not read."""


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


def port_is_free(port: int) -> bool:
    """Whether nothing listens on the port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def serve(settings: Settings, *, port: int) -> int:
    """Run Dagster's UI and daemon until interrupted.

    Returns:
        The exit status of `dagster dev`.

    Raises:
        LocalUiError: The port is taken.
    """
    if not port_is_free(port):
        raise LocalUiError(
            f"Port {port} on {HOST} is taken. Choose another: make ui PORT={port + 1} (or platform-assets ui --port {port + 1})."
        )
    home = prepare_dagster_home(settings)
    from platform_assets.resources import open_database

    open_database(settings).close()
    record = settings.home / "ui.json"
    command = [sys.executable, "-m", "dagster", "dev", "-h", HOST, "-p", str(port), "-m", CODE_LOCATION]
    process = subprocess.Popen(  # noqa: S603  (our own interpreter, fixed arguments)
        command,
        # In the project's folder it would warn of the other dagster.yaml.
        cwd=home,
        env={**os.environ, "PYTHONWARNINGS": SUPERSEDED},
    )
    record.write_text(json.dumps({"pid": process.pid, "port": port}), encoding="utf-8")
    print(
        f"The UI comes up at http://{HOST}:{port} (Ctrl-C stops it, the embedded servers stay).", flush=True
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end_tree(process.pid)
        record.unlink(missing_ok=True)


def _end_tree(pid: int) -> None:
    """End `dagster dev` and what it started: webserver, daemon and code server would outlive it."""
    try:
        parent = psutil.Process(pid)
        tree = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=STOP_TIMEOUT_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _stop_ui(settings: Settings) -> bool:
    record = settings.home / "ui.json"
    try:
        process = psutil.Process(int(json.loads(record.read_text(encoding="utf-8"))["pid"]))
        # The number may have been given to another process since.
        is_ours = "dagster" in process.cmdline()
    except (FileNotFoundError, ValueError, KeyError, psutil.Error):
        is_ours = False
    if is_ours:
        _end_tree(process.pid)
    record.unlink(missing_ok=True)
    return is_ours


def stop_everything(settings: Settings) -> list[str]:
    """Stop the UI and the embedded servers of this folder; says what was stopped."""
    from platform_assets.clients.embedded_postgres import stop_postgres
    from platform_assets.sandbox.process import stop_sandbox

    stopped = {
        "Dagster's UI and daemon": _stop_ui(settings),
        "the local APIs": stop_sandbox(settings.home),
        "the embedded Postgres": stop_postgres(settings.home),
    }
    return [f"Stopped {what}." for what, was_running in stopped.items() if was_running] or [
        "Nothing was running."
    ]
