"""The books over GitHub's limits: who may call now, what a call cost, who is blocked. In Postgres, for every process.

The arithmetic is `github_budget.py`. `MemoryLedger` is for a client by itself, such as the doctor's; what shares a token
with others uses `PostgresLedger`.
"""

from __future__ import annotations

import datetime as dt
import random
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, fields

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.clients.github_budget import (
    Budget,
    Call,
    Observed,
    Refusal,
    choose,
    unstated_wait,
)
from platform_assets.tables.github_budget import github_budgets, github_calls

RESOURCES = ("core", "graphql")

_BUDGET_COLUMNS = [field.name for field in fields(Budget)]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Timing:
    """Where a transport has its time from; a measurement may bring a clock of its own.

    Attributes:
        read_clock: Gives the present moment (UTC).
        sleep: Waits for so many seconds.
    """

    read_clock: Callable[[], dt.datetime] = _now
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Books:
    """Everything of a ledger's tokens, open for change."""

    budgets: dict[tuple[str, str], Budget] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)


class Ledger(ABC):
    """Keeps every call within the limits of its token."""

    @abstractmethod
    def _open(self, fingerprints: Sequence[str], *, now: dt.datetime) -> AbstractContextManager[Books]:
        """The books of some tokens, which nobody else changes meanwhile; what is changed in them is kept."""

    def reserve(
        self,
        fingerprints: Sequence[str],
        resource: str,
        points: int,
        *,
        now: dt.datetime,
        lasts_s: float,
        keep_ratio: float = 0.0,
    ) -> Call | Refusal:
        """Set points aside for a call that goes out at once.

        Args:
            fingerprints: The tokens that may make it.
            resource: `graphql` or `core`.
            points: Its primary points; 0 for a free one.
            now: The moment (UTC).
            lasts_s: After so many seconds a call that was never settled no longer counts as in flight.
            keep_ratio: Share of the hourly limit to leave to others.

        Returns:
            The call with the token that it goes to, or why there is none and until when.
        """
        with self._open(fingerprints, now=now) as books:
            mine = [books.budgets[fingerprint, resource] for fingerprint in fingerprints]
            chosen = choose(mine, points, books.calls.values(), now=now, keep_ratio=keep_ratio)
            if isinstance(chosen, Refusal):
                return chosen
            call = Call(
                call_id=secrets.token_hex(16),
                token_fingerprint=chosen.token_fingerprint,
                resource=resource,
                points=points,
                expires_at=now + dt.timedelta(seconds=lasts_s),
            )
            books.calls[call.call_id] = call
            books.budgets[chosen.token_fingerprint, resource] = chosen.started(now=now)
            return call

    def settle(
        self, call: Call, observed: Observed | None, *, now: dt.datetime, is_refused: bool = False
    ) -> None:
        """Note that a call ended, with what its headers said (None when no answer came), and whether for a limit."""
        with self._open([call.token_fingerprint], now=now) as books:
            books.calls.pop(call.call_id, None)
            key = (call.token_fingerprint, call.resource)
            books.budgets[key] = books.budgets[key].answered(call, observed, is_refused=is_refused)

    def note(self, fingerprint: str, seen: Mapping[str, Observed], *, now: dt.datetime) -> None:
        """Note what GitHub says is left, by API."""
        with self._open([fingerprint], now=now) as books:
            for resource, observed in seen.items():
                key = (fingerprint, resource)
                is_quiet = not any(
                    (call.token_fingerprint, call.resource) == key for call in books.calls.values()
                )
                before = books.budgets[key]
                books.budgets[key] = before.told(observed) if is_quiet else before.seen(observed)

    def block(
        self, call: Call, *, is_secondary: bool, stated: dt.datetime | None, now: dt.datetime
    ) -> dt.datetime:
        """Note that GitHub refused a call for a limit.

        Args:
            call: The call.
            is_secondary: Whether it was a secondary limit, which holds for both APIs.
            stated: The moment that GitHub named; None when it named none.
            now: The moment (UTC).

        Returns:
            When the token may be used again.
        """
        with self._open([call.token_fingerprint], now=now) as books:
            refused = books.budgets[call.token_fingerprint, call.resource]
            jitter = random.random()  # noqa: S311  (spreads waits, no secret)
            until = stated or now + unstated_wait(refused.limits_in_row_count, jitter_ratio=jitter)
            for resource in RESOURCES if is_secondary else (call.resource,):
                key = (call.token_fingerprint, resource)
                books.budgets[key] = books.budgets[key].blocked(until)
            return until

    def spendable_points(
        self, fingerprints: Sequence[str], resource: str, *, now: dt.datetime, keep_ratio: float
    ) -> int:
        """Primary points that may be spent by the end of the hour, over all tokens that are not blocked."""
        with self._open(fingerprints, now=now) as books:
            mine = [books.budgets[fingerprint, resource] for fingerprint in fingerprints]
            calls = books.calls.values()
            return sum(
                max(0, int(budget.free_points(calls, now=now) - budget.limit() * keep_ratio))
                for budget in mine
                if budget.blocked_until is None or budget.blocked_until <= now
            )

    def limit_points(self, fingerprints: Sequence[str], resource: str, *, now: dt.datetime) -> int:
        """Primary points an hour over all tokens."""
        with self._open(fingerprints, now=now) as books:
            return sum(books.budgets[fingerprint, resource].limit() for fingerprint in fingerprints)


def _completed(books: Books, fingerprints: Sequence[str], now: dt.datetime) -> None:
    """Give every token its budgets, and end calls that were never settled."""
    for fingerprint in fingerprints:
        for resource in RESOURCES:
            books.budgets.setdefault((fingerprint, resource), Budget(fingerprint, resource, burst_at=now))
    for call in [call for call in books.calls.values() if call.expires_at <= now]:
        key = (call.token_fingerprint, call.resource)
        books.budgets[key] = books.budgets[key].answered(call, None, is_refused=False)
        del books.calls[call.call_id]


class MemoryLedger(Ledger):
    """Books of this process alone."""

    def __init__(self) -> None:
        self._books = Books()
        self._lock = threading.Lock()

    @contextmanager
    def _open(self, fingerprints: Sequence[str], *, now: dt.datetime) -> Iterator[Books]:
        with self._lock:
            _completed(self._books, fingerprints, now)
            yield self._books


class PostgresLedger(Ledger):
    """Books in `monitoring.github_budgets` and `monitoring.github_calls`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def _open(self, fingerprints: Sequence[str], *, now: dt.datetime) -> Iterator[Books]:
        with self._database.transaction() as connection:
            books = self._read(connection, fingerprints, now)
            before = Books(dict(books.budgets), dict(books.calls))
            _completed(books, fingerprints, now)
            yield books
            self._write(connection, before, books)

    def _read(self, connection: sa.Connection, fingerprints: Sequence[str], now: dt.datetime) -> Books:
        new = Books()
        _completed(new, fingerprints, now)
        chosen = github_budgets.c.token_fingerprint.in_(fingerprints)
        # Rows are locked in one order everywhere, so that two processes with several tokens cannot deadlock.
        locked = (
            sa.select(*(github_budgets.c[name] for name in _BUDGET_COLUMNS))
            .where(chosen)
            .order_by(github_budgets.c.token_fingerprint, github_budgets.c.resource)
            .with_for_update()
        )
        rows = connection.execute(locked).all()
        if len(rows) < len(new.budgets):
            values = [asdict(new.budgets[key]) for key in sorted(new.budgets)]
            connection.execute(pg.insert(github_budgets).on_conflict_do_nothing(), values)
            rows = connection.execute(locked).all()
        calls = connection.execute(
            sa.select(*(github_calls.c[field.name] for field in fields(Call))).where(
                github_calls.c.token_fingerprint.in_(fingerprints)
            )
        ).all()
        return Books(
            {(row.token_fingerprint, row.resource): Budget(**row._mapping) for row in rows},
            {row.call_id: Call(**row._mapping) for row in calls},
        )

    def _write(self, connection: sa.Connection, before: Books, after: Books) -> None:
        for key, budget in after.budgets.items():
            if budget != before.budgets[key]:
                connection.execute(
                    sa.update(github_budgets)
                    .where(
                        github_budgets.c.token_fingerprint == budget.token_fingerprint,
                        github_budgets.c.resource == budget.resource,
                    )
                    .values(asdict(budget))
                )
        if ended := before.calls.keys() - after.calls.keys():
            connection.execute(sa.delete(github_calls).where(github_calls.c.call_id.in_(ended)))
        if begun := [asdict(call) for call_id, call in after.calls.items() if call_id not in before.calls]:
            connection.execute(sa.insert(github_calls), begun)
