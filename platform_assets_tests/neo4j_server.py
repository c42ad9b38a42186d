"""A graph server that speaks Bolt as Neo4j does, for tests and benchmarks: ArcadeDB with the Java that its package brings.

It is a process of its own, so that it can be killed, stopped and started again over the same data.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

USER = "root"
PASSWORD = "correct-horse-battery"

_START_LIMIT_S = 60
_JAVA_OPTIONS = (
    "-Xmx512m",
    "--add-modules=jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.awt.headless=true",
)


def package_folder() -> Path | None:
    """Where the server's package is installed; None if it is not."""
    spec = importlib.util.find_spec("arcadedb_embedded")
    return Path(spec.origin).parent if spec and spec.origin else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Neo4jServer:
    """One server over one folder; `start` again after `kill` finds what was committed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        self._http_port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"bolt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections and has its database."""
        folder = package_folder()
        assert folder is not None
        self.home.mkdir(parents=True, exist_ok=True)
        settings = {
            "server.rootPath": self.home,
            "server.rootPassword": PASSWORD,
            "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "server.defaultDatabases": f"graph[{USER}]",
            "server.httpIncomingHost": "127.0.0.1",
            "server.httpIncomingPort": self._http_port,
            "bolt.host": "127.0.0.1",
            "bolt.port": self.port,
            "bolt.defaultDatabase": "graph",
        }
        with (self.home / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    folder / "jre" / "bin" / "java",
                    *_JAVA_OPTIONS,
                    *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
                    *("-cp", f"{folder / 'jars'}/*", "com.arcadedb.server.ArcadeDBServer"),
                ],
                cwd=self.home,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def _wait(self) -> None:
        from neo4j import GraphDatabase
        from neo4j.exceptions import DriverError, Neo4jError

        deadline = time.monotonic() + _START_LIMIT_S
        while True:
            try:
                with (
                    GraphDatabase.driver(self.uri, auth=(USER, PASSWORD)) as driver,
                    driver.session() as session,
                ):
                    session.run("RETURN 1").consume()
            except (DriverError, Neo4jError) as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (self.home / "output.txt").read_text(errors="replace")[-2_000:]
                    raise AssertionError(f"the graph server did not start: {said}") from error
                time.sleep(0.2)
            else:
                return

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)
