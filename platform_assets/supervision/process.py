"""One supervised child process: started in a session of its own, logged to a file that is rotated, ended with all it started.

When to start and to end it is `supervisor.py`'s to decide.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOG_MAX_BYTES = 10_000_000
_LOG_TAIL_BYTES = 4_000


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        name: Identifies the process, such as `code_server`.
        title: What a person calls it.
        words: Program and arguments.
        folder: Its working directory.
        log: Where its output goes.
        environment: Variables beside those of this process.
    """

    name: str
    title: str
    words: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]


class ChildProcess:
    """A running or ended child; it can't outlive this process, whatever ends that."""

    def __init__(self, command: Command) -> None:
        """Start it. To be called from the main thread: the kernel ties the child to the thread that starts it."""
        self.command = command
        command.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(command.log)
        with command.log.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603  (our own interpreter, fixed arguments)
                [sys.executable, "-m", "platform_assets.supervision.bound", str(os.getpid()), *command.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=command.folder,
                env={**os.environ, **command.environment},
                # Ctrl-C in the terminal is for the supervisor, which ends its children in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is its session's, too."""
        return self._popen.pid

    def read_end(self) -> int | None:
        """Its exit status, negative for a signal; None while it lives."""
        return self._popen.poll()

    def kill(self) -> None:
        """End it at once; what it started lives on."""
        self._popen.kill()
        self._popen.wait()


def describe_end(status: int) -> str:
    """How a process ended, for a person."""
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


def rotate(log: Path) -> None:
    """Set a grown log aside as `.1`; writers go on in the emptied file, since they append."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_MAX_BYTES:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def log_tail(log: Path) -> str:
    """The last lines of a log, for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-12:])


def find_descendants(session_ids: Collection[int]) -> list[psutil.Process]:
    """Living processes below this one that belong to some sessions: children, and what they started and left behind.

    Servers that outlive whoever starts them, such as the embedded Postgres, have sessions of their own.
    """
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) in session_ids and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_together(session_ids: Collection[int], *, timeout_s: float) -> int:
    """Ask everything in some sessions to end, and end what does not.

    Returns:
        How many had to be killed.
    """
    processes = find_descendants(session_ids)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(processes, timeout=timeout_s)
    # Looked for again: what was asked to end may have started something.
    alive = find_descendants(session_ids)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=timeout_s)
    return len(alive)


def reap_orphans(own_pids: Collection[int]) -> None:
    """Wait for adopted processes that have ended, so that none stays in the process table."""
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if process.pid not in own_pids and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)
