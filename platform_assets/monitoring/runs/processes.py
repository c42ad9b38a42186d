"""Tells a process from every other one: the machine, its boot, the process id and when it began. No database, no Dagster."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_STARTTIME = 19
"""Place of `starttime` (ticks since the boot) among the fields behind the name: proc_pid_stat(5), field 22."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process as no other one is called.

    Attributes:
        host: Name of its machine.
        boot_id: Since when process ids count there: the machine's boot, and the namespace of a container.
        pid: Its id.
        start: When it began, in the machine's own units, which no change of the clock touches.
    """

    host: str
    boot_id: str
    pid: int
    start: str

    @property
    def is_local(self) -> bool:
        """Whether this process can see it: process ids of another machine, boot or container mean nothing here."""
        return (self.host, self.boot_id) == (socket.gethostname(), boot_id())

    @property
    def is_alive(self) -> bool:
        """Whether a local process still lives; an id that was given to another process since does not count."""
        return process_start(self.pid) == self.start


def this_process() -> ProcessIdentity:
    """The identity of the process that asks."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), boot_id(), pid, process_start(pid) or "")


@functools.cache
def boot_id() -> str:
    """Changes whenever process ids begin anew: at each boot, and in each container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux
        return f"{psutil.boot_time():.0f}"


def process_start(pid: int) -> str | None:
    """When a process began, in the machine's own units; None when it has ended, waited for or not."""
    try:
        # The name, in parentheses, may hold anything.
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _process_start_by_psutil(pid)
    return None if fields[0] in "ZX" else fields[_STARTTIME]


def _process_start_by_psutil(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
