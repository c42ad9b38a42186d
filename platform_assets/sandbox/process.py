"""The sandbox server as a process: started on demand by whoever needs it first, found again by everyone else.

Knows nothing of Dagster nor of what the server serves, and imports little, because every worker asks it.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.errors import PlatformError

if TYPE_CHECKING:
    from platform_assets.settings import Settings

SANDBOX_GITHUB_TOKEN = "sandbox-token"  # noqa: S105  (the local API takes any)
SANDBOX_STRIPE_KEY = "sk_test_sandbox"
SANDBOX_GEMINI_KEY = "AIza-sandbox"
"""What clients show to the local APIs; worth nothing anywhere else."""

START_TIMEOUT_S = 60.0
HANG_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
_PROBE_TIMEOUT_S = 5.0
_PROC = Path("/proc/self/cmdline")
_LOG_TAIL_CHARACTERS = 2_000


class SandboxError(PlatformError):
    """The sandbox server can't be had; the message says what was tried and what came back."""


@dataclass(frozen=True)
class SandboxEndpoints:
    """Where a running sandbox is reached."""

    github_url: str
    stripe_url: str
    gemini_url: str
    notifications_url: str
    pid: int


@dataclass(frozen=True)
class _Record:
    """What a server wrote of itself when it began to listen."""

    pid: int
    port: int
    token: str
    config: dict[str, Any]


def ensure_sandbox(settings: Settings) -> SandboxEndpoints:
    """The running sandbox of a home folder; started when there is none. Safe from any number of processes at once.

    When the faults or the limit in the settings differ from those that the server was last given by settings, they
    are set anew, so that a changed variable takes effect without a restart.

    Raises:
        SandboxError: The folder can't be written or the server does not come up.
    """
    home = settings.home.absolute()
    record = _read_record(home)
    if record and record.config == _config(settings) and _is_healthy(record):
        return _endpoints(record)
    with _lock(home):
        record = _read_record(home)
        if record and _is_healthy(record):
            if record.config != _config(settings):
                _configure(home, record, settings)
            return _endpoints(record)
        if record and _is_our_process(record):
            if _recovers(record):
                return _endpoints(record)
            _end(record)  # its state is on disk: a new one takes over
        return _endpoints(_start(settings, home, port=record.port if record else 0))


def find_sandbox(home: Path) -> SandboxEndpoints | None:
    """The running sandbox of a home folder if it answers; nothing is started or changed."""
    record = _read_record(home.absolute())
    return _endpoints(record) if record and _is_healthy(record) else None


def stop_sandbox(home: Path) -> bool:
    """End the recorded server, and nothing else.

    Returns:
        Whether one was running.

    Raises:
        SandboxError: It does not end.
    """
    home = home.absolute()
    if not record_path(home).exists():
        return False
    with _lock(home):
        record = _read_record(home)
        if record is None or not (_is_healthy(record) or _is_our_process(record)):
            return False
        _end(record)
    return True


def state_path(home: Path) -> Path:
    """The SQLite file of a home folder's sandbox."""
    return home / "sandbox" / "state.sqlite3"


def record_path(home: Path) -> Path:
    """Where a server records how it is reached; the last port survives a restart here."""
    return home / "sandbox" / "server.json"


def write_record(path: Path, *, pid: int, port: int, token: str, config: dict[str, Any]) -> None:
    """Replace a server's record in one step, so that no reader sees half of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps({"pid": pid, "port": port, "token": token, "config": config}))
    temporary.replace(path)


def _config(settings: Settings) -> dict[str, Any]:
    """`ServerConfig` as JSON, spelled out here because that module needs the web framework."""
    faults = {
        "error_rate": settings.sandbox_error_rate,
        "latency_ms": settings.sandbox_latency_ms,
        "timeout_rate": settings.sandbox_timeout_rate,
        "invalid_rate": 0.0,
        "limited_rate": 0.0,
        "after_effect_ratio": 0.5,
    }
    return {
        "faults": {"github": faults, "stripe": faults, "gemini": faults},
        "github_limit": settings.sandbox_github_limit,
        "gemini_limit": settings.sandbox_gemini_limit,
        "seed": settings.sandbox_seed,
    }


def _lock(home: Path) -> Any:
    from filelock import FileLock, Timeout  # a running server is found without them

    folder = home / "sandbox"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / "server.lock", timeout=START_TIMEOUT_S + STOP_TIMEOUT_S).acquire()
    except Timeout as error:
        raise SandboxError(f"Another process has been starting the sandbox for too long: {error}") from error
    except (OSError, NotImplementedError) as error:
        raise SandboxError(f"The sandbox can't be started: {folder} can't be written: {error}") from error


def _read_record(home: Path) -> _Record | None:
    try:
        return _Record(**json.loads(record_path(home).read_text()))
    except (OSError, ValueError, TypeError):
        return None  # never started here, or made by another version: a new server writes its own


def _endpoints(record: _Record) -> SandboxEndpoints:
    root = f"http://127.0.0.1:{record.port}"
    return SandboxEndpoints(
        github_url=f"{root}/github",
        stripe_url=f"{root}/stripe",
        gemini_url=f"{root}/gemini",
        notifications_url=f"{root}/notifications",
        pid=record.pid,
    )


def _call(record: _Record, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", record.port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _is_healthy(record: _Record) -> bool:
    """Whether the recorded server answers, and is that very one: a port and a pid may belong to someone else now."""
    try:
        status, health = _call(record, "GET", "/_sandbox/health")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return (
        status == 200
        and isinstance(health, dict)
        and health.get("token") == record.token
        and health.get("pid") == record.pid
    )


def _recovers(record: _Record) -> bool:
    """Whether a server that lives but did not answer does so after all; a busy machine is no reason to replace it."""
    deadline = time.monotonic() + HANG_TIMEOUT_S
    while time.monotonic() < deadline and _is_our_process(record):
        if _is_healthy(record):
            return True
        time.sleep(0.05)
    return False


def _is_our_process(record: _Record) -> bool:
    """Whether the recorded process lives and was started with the recorded token, even if it does not answer."""
    try:
        command = Path(f"/proc/{record.pid}/cmdline").read_text()
    except OSError:
        command = "" if _PROC.exists() else _ps(record.pid, "args")
    return record.token in command


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, its files and port with it; one that only waits for its parent is."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:  # someone else started it, or it was waited for already
        pass
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].strip()
    except OSError:
        state = "" if _PROC.exists() else _ps(pid, "stat")
    return state == "" or state[0] in "ZX"


def _ps(pid: int, column: str) -> str:
    """A column of the process list, on systems without `/proc`; empty when there is no such process."""
    listing = subprocess.run(  # noqa: S603  (a fixed command and a number)
        ["ps", "-o", f"{column}=", "-p", str(pid)],  # noqa: S607  (where it lies differs by system)
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROBE_TIMEOUT_S,
    )
    return listing.stdout.strip()


def _configure(home: Path, record: _Record, settings: Settings) -> None:
    config = _config(settings)
    body = {**config["faults"], **{name: value for name, value in config.items() if name != "faults"}}
    status, answer = _call(record, "PUT", "/_sandbox/faults", body)
    if status != 200:
        raise SandboxError(f"The sandbox refused its settings: {answer}")
    write_record(record_path(home), pid=record.pid, port=record.port, token=record.token, config=config)


def _end(record: _Record) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            if _has_ended(record.pid):
                return
            time.sleep(0.02)
    raise SandboxError(f"The sandbox server (process {record.pid}) does not end")


def _reap(pid: int) -> int | None:
    """The exit status of a child of ours that has ended; None while it runs or when someone else started it."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def _start(settings: Settings, home: Path, *, port: int) -> _Record:
    token = secrets.token_hex(16)
    log = home / "logs" / "sandbox.log"
    command = [sys.executable, "-m", "platform_assets.sandbox.server", "--home", str(home), "--token", token]
    command += ["--port", str(port), "--config", json.dumps(_config(settings))]
    # The server needs none of the platform's variables, and a long-lived process should not carry its secrets.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORM_")}
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # Not Popen: the server outlives this process on purpose, which Popen takes for a leak.
            pid = os.posix_spawn(
                sys.executable,
                command,
                environment,
                setsid=True,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
                ],
            )
    except OSError as error:
        raise SandboxError(f"The sandbox server can't be started in {home}: {error}") from error
    deadline = time.monotonic() + START_TIMEOUT_S
    exit_status = None
    while time.monotonic() < deadline and exit_status is None:
        record = _read_record(home)
        if record and record.token == token and _is_healthy(record):
            return record
        time.sleep(0.02)
        exit_status = _reap(pid)
    if exit_status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    reason = "did not answer in time" if exit_status is None else f"ended with status {exit_status}"
    raise SandboxError(f"The sandbox server {reason}. The end of {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:].strip() or "(empty)"
