"""The local APIs' own SQLite state: opening the file, its tables, and loading a world into them.

It outlives Postgres and every worker, as a real GitHub or a real gateway would. What the APIs read and change is in
`github_store` and `stripe_store`; nothing here knows HTTP.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from platform_assets.errors import PlatformError
from platform_assets.sandbox.github.time import format_instant
from platform_assets.sandbox.stripe.objects import completed
from platform_assets.sandbox.world import World

SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 10.0

_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE github_users (
        login TEXT PRIMARY KEY COLLATE NOCASE, database_id INTEGER NOT NULL UNIQUE, name TEXT, bio TEXT,
        company TEXT, location TEXT, followers_count INTEGER NOT NULL, created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL, suspended_at TEXT, private_commits_count INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE github_repositories (
        name_with_owner TEXT PRIMARY KEY COLLATE NOCASE, owner TEXT NOT NULL COLLATE NOCASE,
        database_id INTEGER NOT NULL UNIQUE, description TEXT, is_fork INTEGER NOT NULL,
        is_archived INTEGER NOT NULL, stars_count INTEGER NOT NULL, topics TEXT NOT NULL, languages TEXT NOT NULL,
        created_at TEXT NOT NULL, pushed_at TEXT NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX github_repositories_owner ON github_repositories (owner)",
    """CREATE TABLE github_contributions (
        login TEXT NOT NULL COLLATE NOCASE, name_with_owner TEXT NOT NULL COLLATE NOCASE,
        commits_count INTEGER NOT NULL, first_on TEXT NOT NULL, last_on TEXT NOT NULL, subjects TEXT NOT NULL,
        PRIMARY KEY (login, name_with_owner)) WITHOUT ROWID""",
    "CREATE INDEX github_contributions_repository ON github_contributions (name_with_owner)",
    # `sequence` keeps the order of objects made in the same second. The columns beside `body` are what lists
    # filter by, taken from it.
    """CREATE TABLE stripe_objects (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, object TEXT NOT NULL,
        created INTEGER NOT NULL, customer TEXT, payment_intent TEXT, charge TEXT, source TEXT, type TEXT,
        currency TEXT, available_on INTEGER, body TEXT NOT NULL)""",
    "CREATE INDEX stripe_objects_newest ON stripe_objects (object, created DESC, sequence DESC)",
    "CREATE INDEX stripe_objects_intent ON stripe_objects (payment_intent)",
    "CREATE INDEX stripe_objects_customer ON stripe_objects (customer)",
    "CREATE INDEX stripe_objects_charge ON stripe_objects (charge)",
    "CREATE INDEX stripe_objects_source ON stripe_objects (source)",
    """CREATE TABLE stripe_idempotency (
        key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
        request_id TEXT NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID""",
)

_CONTENT_TABLES = (
    "github_users",
    "github_repositories",
    "github_contributions",
    "stripe_objects",
    "stripe_idempotency",
    "meta",
)


class SandboxStateError(PlatformError):
    """The state file can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class LoadedWorld:
    """Which world the state holds: its name, its anchor day, and a hash of what was loaded."""

    name: str
    anchor: dt.date
    content_sha256: str


class SandboxState:
    """An open connection to the state file, for one thread.

    Args:
        path: The SQLite file; it and its folder are created when missing.

    Raises:
        SandboxStateError: The file can't be opened or written, is no database, or was made by another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise SandboxStateError(f"The sandbox's state {path} can't be opened: {error}") from error
        try:
            self.connection.row_factory = sqlite3.Row
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise SandboxStateError(f"The sandbox's state {path} can't be used: {error}") from error
        except SandboxStateError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the state stays."""
        self.connection.close()

    def _prepare(self) -> None:
        _use_write_ahead_log(self.connection)
        self.connection.execute("PRAGMA synchronous = NORMAL")
        if self._version() != SCHEMA_VERSION:
            with self.transaction():
                self._create_tables()

    def _version(self) -> int:
        version: int = self.connection.execute("PRAGMA user_version").fetchone()[0]
        return version

    def _create_tables(self) -> None:
        version = self._version()  # asked again: another process may have been faster
        if version == SCHEMA_VERSION:
            return
        if version != 0:
            raise SandboxStateError(
                f"The sandbox's state {self.path} was made by another release: it has version {version}, and this one "
                f"needs {SCHEMA_VERSION}. Run `platform-assets stop`, delete the platform's folder (PLATFORM_HOME, or "
                "else .platform; without PLATFORM_DATABASE_URL it holds demo data only), and run again."
            )
        for statement in _SCHEMA:
            self.connection.execute(statement)
        self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written, or nothing; other writers wait meanwhile."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside belongs to one moment, even while another process loads a world."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")

    def loaded_world(self) -> LoadedWorld | None:
        """Which world is loaded; None before the first one."""
        meta = dict(self.connection.execute("SELECT name, value FROM meta").fetchall())
        if not meta:
            return None
        return LoadedWorld(
            name=meta["world"],
            anchor=dt.date.fromisoformat(meta["anchor"]),
            content_sha256=meta["content_sha256"],
        )

    def replace_world(self, world: World) -> bool:
        """Load a world's GitHub and Stripe parts in place of the present one, atomically.

        Loading the world that is there already changes nothing, so that payments made since stay.

        Returns:
            Whether anything was loaded.

        Raises:
            SandboxStateError: Two rows have the same key; the present world stays.
        """
        rows = _rows_of(world)
        loaded = LoadedWorld(name=world.name, anchor=world.anchor, content_sha256=_content_sha256(rows))
        if self.loaded_world() == loaded:
            return False
        try:
            with self.transaction() as connection:
                for table in _CONTENT_TABLES:
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608  (a constant of this module)
                for table, values in rows.items():
                    _insert_all(connection, table, values)
                _insert_all(
                    connection,
                    "meta",
                    [
                        {"name": "world", "value": loaded.name},
                        {"name": "anchor", "value": loaded.anchor.isoformat()},
                        {"name": "content_sha256", "value": loaded.content_sha256},
                    ],
                )
        except sqlite3.IntegrityError as error:
            raise SandboxStateError(f"The world {world.name!r} can't be loaded: {error}") from error
        return True


def stripe_row(body: Mapping[str, Any]) -> dict[str, Any]:
    """The table row of a Stripe object: its JSON and the columns that lists filter by."""

    def reference(field: str) -> Any:
        value = body.get(field)
        return value["id"] if isinstance(value, Mapping) else value

    return {
        "id": body["id"],
        "object": body["object"],
        "created": int(body["created"]),
        "customer": reference("customer"),
        "payment_intent": reference("payment_intent"),
        "charge": reference("charge"),
        "source": reference("source"),
        "type": body.get("type"),
        "currency": body.get("currency"),
        "available_on": body.get("available_on"),
        "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False),
    }


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            # SQLite does not wait by its busy timeout when two processes change the mode of a new file at once.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _rows_of(world: World) -> dict[str, list[dict[str, Any]]]:
    return {
        "github_users": [
            {
                "login": user.login,
                "database_id": user.database_id,
                "name": user.name,
                "bio": user.bio,
                "company": user.company,
                "location": user.location,
                "followers_count": user.followers_count,
                "created_at": _instant(user.created_at),
                "updated_at": _instant(user.updated_at),
                "suspended_at": _instant(user.suspended_at) if user.suspended_at else None,
                "private_commits_count": user.private_commits_count,
            }
            for user in world.github_users
        ],
        "github_repositories": [
            {
                "name_with_owner": repository.name_with_owner,
                "owner": repository.name_with_owner.partition("/")[0],
                "database_id": repository.database_id,
                "description": repository.description,
                "is_fork": int(repository.is_fork),
                "is_archived": int(repository.is_archived),
                "stars_count": repository.stars_count,
                "topics": json.dumps(repository.topics),
                "languages": json.dumps(dict(repository.languages)),
                "created_at": _instant(repository.created_at),
                "pushed_at": _instant(repository.pushed_at),
            }
            for repository in world.github_repositories
        ],
        "github_contributions": [
            {
                "login": contribution.login,
                "name_with_owner": contribution.name_with_owner,
                "commits_count": contribution.commits_count,
                "first_on": contribution.first_on.isoformat(),
                "last_on": contribution.last_on.isoformat(),
                "subjects": json.dumps(contribution.subjects),
            }
            for contribution in world.github_contributions
        ],
        "stripe_objects": [stripe_row(completed(body)) for body in world.stripe_objects],
    }


def _instant(moment: dt.datetime) -> str:
    """An instant as GitHub writes it; one without an offset is meant in UTC."""
    return format_instant(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _content_sha256(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    digest = hashlib.sha256()
    for table, values in rows.items():
        digest.update(table.encode())
        digest.update(json.dumps(values, separators=(",", ":")).encode())
    return digest.hexdigest()


def _insert_all(connection: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608  (names of this module)
        [tuple(row.values()) for row in rows],
    )
