"""A whole platform of its own for a benchmark: a home folder, its servers, and a supervisor with everything below it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from dagster_graphql import DagsterGraphQLClient

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres
from platform_assets.supervision.status import SupervisorStatus, read_status

START_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Served:
    """A platform at work.

    Attributes:
        home: Its folder.
        port: Of its webserver.
        supervisor: The process that keeps it alive.
    """

    home: Path
    port: int
    supervisor: psutil.Process

    @property
    def graphql(self) -> DagsterGraphQLClient:
        """A client of its webserver."""
        return DagsterGraphQLClient("127.0.0.1", port_number=self.port, timeout=30)

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of its webserver to a GraphQL query."""
        answer: dict[str, Any] = self.graphql._execute(query, dict(variables or {}))
        return answer

    def status(self) -> SupervisorStatus | None:
        """What the supervisor says of its processes."""
        return read_status(self.home)

    def pid_of(self, name: str) -> int | None:
        """Process id of a supervised process that answers."""
        status = self.status()
        found = [process for process in status.processes if process.name == name] if status else []
        return found[0].pid if found and found[0].is_up else None

    def is_all_up(self) -> bool:
        """Whether every supervised process answers."""
        status = self.status()
        return status is not None and bool(status.processes) and all(each.is_up for each in status.processes)

    def processes(self) -> list[psutil.Process]:
        """Every process of the platform: the supervisor's, and the servers that outlive it."""
        roots = [
            self.supervisor,
            psutil.Process(postgres_pid(self.home)),
            psutil.Process(local_apis_pid(self.home)),
        ]
        found = {process.pid: process for root in roots for process in (root, *root.children(recursive=True))}
        return list(found.values())

    def database(self) -> Database:
        """A client of its database."""
        return Database(ensure_postgres(self.home).url("platform"), connect_timeout_s=5)

    def storage(self) -> Database:
        """A client of Dagster's storage."""
        return Database(ensure_postgres(self.home).url("dagster"), connect_timeout_s=5)


def postgres_pid(home: Path) -> int:
    """Process id of the embedded Postgres."""
    return int((home / "postgres" / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def local_apis_pid(home: Path) -> int:
    """Process id of the server of the local APIs."""
    return int(json.loads((home / "sandbox" / "server.json").read_text(encoding="utf-8"))["pid"])


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of the platform's commands: none of the caller's own settings."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PLATFORM_", "DAGSTER_"))
    }
    return {**kept, "PLATFORM_HOME": str(home), **settings}


def command(*words: str) -> list[str]:
    """A command of the platform."""
    return [sys.executable, "-m", "platform_assets.cli", *words]


@contextmanager
def serving(home: Path, variables: Mapping[str, str]) -> Iterator[Served]:
    """The platform with everything on, while the context lasts; its servers are stopped, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own interpreter, fixed arguments)
            command("serve", "--port", str(port)), env=dict(variables), stdout=log, stderr=log
        )
    served = Served(home, port, psutil.Process(process.pid))
    try:
        wait_for(served.is_all_up, timeout_s=START_TIMEOUT_S, what="everything to be up")
        yield served
    finally:
        subprocess.run(  # noqa: S603
            command("stop"), env=dict(variables), check=False, timeout=120, stdout=subprocess.DEVNULL
        )
        process.wait(timeout=60)


def wait_for(is_so: Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.5) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It was not in time.
    """
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout_s:.0f} s for {what}.")
        time.sleep(every_s)
