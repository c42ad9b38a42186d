"""What the supervisor says of itself in a file of the home folder, for whoever asks from outside: `stop` and `health`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from platform_assets.monitoring.runs.processes import process_start

STALE_S = 15.0
"""The file is written every few seconds; a supervisor that has not written it for this long hangs."""


@dataclass(frozen=True)
class ProcessStatus:
    """How a supervised process stands.

    Attributes:
        name: Its name, such as `daemon`.
        title: What a person calls it.
        pid: Its process id; None between an end and the next start.
        is_up: Whether it has answered since it was started.
        silent_s: Seconds since its last answer; None when it never answered.
        ends_count: How often it ended by itself in the last minutes.
    """

    name: str
    title: str
    pid: int | None
    is_up: bool
    silent_s: float | None
    ends_count: int


@dataclass(frozen=True)
class SupervisorStatus:
    """How a supervisor and its processes stand.

    Attributes:
        pid: Its process id.
        process_start: When it began (see `monitoring.runs.processes`).
        host: Address of the webserver.
        port: Its port; None for none.
        written_at: When this was written (seconds since the epoch).
        processes: Its processes.
    """

    pid: int
    process_start: str
    host: str
    port: int | None
    written_at: float
    processes: Sequence[ProcessStatus]

    @property
    def is_alive(self) -> bool:
        """Whether that supervisor still runs; its process id may be another process's by now."""
        return process_start(self.pid) == self.process_start

    @property
    def age_s(self) -> float:
        """Seconds since it was written; never below 0."""
        return max(0.0, time.time() - self.written_at)


def status_path(home: Path) -> Path:
    """Where a home's supervisor writes."""
    return home / "supervisor.json"


def write_status(home: Path, status: SupervisorStatus) -> None:
    """Replace the file in one step, so that no reader sees half of it."""
    path = status_path(home)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(status)), encoding="utf-8")
    temporary.replace(path)


def read_status(home: Path) -> SupervisorStatus | None:
    """What was written last; None where no supervisor ran, or another version of it."""
    try:
        content = json.loads(status_path(home).read_text(encoding="utf-8"))
        processes = [ProcessStatus(**process) for process in content.pop("processes")]
        return SupervisorStatus(**content, processes=processes)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
