"""The client of a Neo4j database: Cypher in retried transactions over Bolt. No query of a domain stands here."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

from platform_assets.clients.http_errors import TransientError, classify_neo4j_error

if TYPE_CHECKING:
    import neo4j

T = TypeVar("T")

TRANSACTION_LIMIT_S = 120.0
"""The server ends a transaction that takes longer; the longest is reading a whole graph back."""

RETRY_LIMIT_S = 30.0
"""For so long the driver repeats, with growing waits, a transaction that lost a conflict, its leader or its connection."""


class GraphClient:
    """Reads and writes one Neo4j database, the user's home database; threads may share it.

    Args:
        uri: Where it is, such as `neo4j+s://graph.example.com`; without credentials.
        user: Whom to log in as.
        password: Their password; it appears in no message.
        timeout_s: Longest wait for a connection, in seconds.
        transaction_limit_s: Longest time of one transaction, in seconds.
        retry_limit_s: How long a transaction is repeated, in seconds.
    """

    def __init__(
        self,
        *,
        uri: str,
        user: str,
        password: str,
        timeout_s: float,
        transaction_limit_s: float = TRANSACTION_LIMIT_S,
        retry_limit_s: float = RETRY_LIMIT_S,
    ) -> None:
        self._uri = uri
        self._user = user
        self._password = password
        self._timeout_s = timeout_s
        self._transaction_limit_s = transaction_limit_s
        self._retry_limit_s = retry_limit_s
        self._lock = threading.Lock()
        self._driver: neo4j.Driver | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client can still be used afterwards."""
        with self._lock:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def read_agent(self) -> str:
        """What the server calls itself, such as `Neo4j/5.26.0`.

        Raises:
            ServiceError: It can't be reached, or refuses the user.
        """

        def ask(driver: neo4j.Driver) -> str:
            return driver.get_server_info().agent

        return self._attempt(ask, action="ask who answers")

    def write(self, statement: str, rows: Sequence[Mapping[str, Any]] = (), *, action: str) -> None:
        """Run a statement once, in one transaction that is committed when this returns.

        The driver may run it again after a failure that passes, even if it had been committed: it must change nothing
        when it is run twice.

        Args:
            statement: Cypher; takes `$rows`.
            rows: What `$rows` is.
            action: What it does, for messages.

        Raises:
            ServiceError: It was not done, or its outcome is unknown.
        """
        import neo4j

        @neo4j.unit_of_work(timeout=self._transaction_limit_s)
        def work(transaction: neo4j.ManagedTransaction) -> None:
            transaction.run(statement, rows=list(rows)).consume()

        def run(driver: neo4j.Driver) -> None:
            with driver.session() as session:
                session.execute_write(work)

        self._attempt(run, action=action)

    def read(self, statement: str, *, action: str) -> list[dict[str, Any]]:
        """All records of a query, by column.

        Args:
            statement: Cypher.
            action: What it does, for messages.

        Raises:
            ServiceError: It could not be read to the end.
        """
        import neo4j

        @neo4j.unit_of_work(timeout=self._transaction_limit_s)
        def work(transaction: neo4j.ManagedTransaction) -> list[dict[str, Any]]:
            return transaction.run(statement).data()

        def run(driver: neo4j.Driver) -> list[dict[str, Any]]:
            with driver.session(default_access_mode=neo4j.READ_ACCESS) as session:
                return session.execute_read(work)

        return self._attempt(run, action=action)

    def _attempt(self, work: Callable[[neo4j.Driver], T], *, action: str) -> T:
        """The work's outcome, within a limit that holds even where the server has stopped answering."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work(self._open()))
            except BaseException as error:
                done.set_exception(error)

        # The driver has no limit on waiting for an answer, and a transaction's own is the server's to keep. Not a pool:
        # Python would wait at its end for a thread that waits for ever.
        threading.Thread(target=run, name="neo4j", daemon=True).start()
        limit_s = self._timeout_s + self._transaction_limit_s + self._retry_limit_s
        try:
            return done.result(timeout=limit_s)
        except Exception as error:
            if not done.done():
                raise TransientError(
                    service="Neo4j", action=action, detail=f"no answer within {limit_s:g} seconds"
                ) from None
            # Not chained: the driver's error may quote what was sent.
            raise classify_neo4j_error(error, action=action, now=dt.datetime.now(dt.UTC)) from None

    def _open(self) -> neo4j.Driver:
        import neo4j

        with self._lock:
            if self._driver is None:
                self._driver = neo4j.GraphDatabase.driver(
                    self._uri,
                    auth=(self._user, self._password),
                    user_agent="platform_assets",
                    connection_timeout=self._timeout_s,
                    connection_acquisition_timeout=2 * self._timeout_s,
                    max_transaction_retry_time=self._retry_limit_s,
                    notifications_min_severity="OFF",
                    telemetry_disabled=True,
                )
            return self._driver
