"""The ledger of attempts to charge again: read, begun, settled. Every row is committed before the call it stands for.

What is decided is `retry_policy`, what is asked of the gateway is `retries`; here stands only SQL.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database, is_among
from platform_assets.clients.payment_retrier import ConfirmOutcome
from platform_assets.payment_thresholds import NetworkCap
from platform_assets.payments.retry_policy import Card, CardAttempt, FailedPayment, reached_cap
from platform_assets.tables.marketplace import payments
from platform_assets.tables.payment_operations import payment_retry_arms, payment_retry_attempts
from platform_assets.tables.payments import gateway_transactions

OWED_STATUSES = ("pending", "failed")
"""How the application says that a payment is to be charged."""

_CARD_LOCK = "platform_assets/payment_retries/"


@dataclass(frozen=True)
class Attempt:
    """One attempt whose outcome may still be open; attributes are `payment_retry_attempts`' columns."""

    payment_id: str
    attempt: int
    payment_intent_id: str
    parameters: Mapping[str, Any]
    known_charge_ids: tuple[str, ...]
    state: str
    sent_at: dt.datetime

    @property
    def key(self) -> str:
        """Its idempotency key."""
        return idempotency_key(self.payment_id, self.attempt)


def idempotency_key(payment_id: str, attempt: int) -> str:
    """`payment:attempt`, under which the gateway acts once."""
    return f"{payment_id}:{attempt}"


def read_card_attempts(
    connection: sa.Connection, fingerprints: Collection[str], *, since: dt.datetime
) -> dict[str, list[CardAttempt]]:
    """Every attempt on some cards, by card: the gateway's charges, whoever made them, and what was sent and has none yet."""
    charges, attempts = gateway_transactions.c, payment_retry_attempts.c
    made = sa.select(
        charges.card_fingerprint, charges.created_at, charges.amount_minor, charges.currency
    ).where(
        charges.object_type == "charge",
        is_among(charges.card_fingerprint, fingerprints),
        charges.created_at > since,
    )
    is_known = sa.exists().where(charges.object_id == attempts.charge_id)
    sent = sa.select(
        attempts.card_fingerprint, attempts.sent_at, attempts.amount_minor, attempts.currency
    ).where(
        is_among(attempts.card_fingerprint, fingerprints),
        attempts.sent_at > since,
        attempts.state != "refused",
        ~is_known,
    )
    found: dict[str, list[CardAttempt]] = defaultdict(list)
    for fingerprint, *values in connection.execute(made.union_all(sent)):
        found[fingerprint].append(CardAttempt(*values))
    return dict(found)


def begin_attempt(
    database: Database,
    payment: FailedPayment,
    card: Card,
    *,
    parameters: Mapping[str, Any],
    known_charge_ids: Sequence[str],
    caps: Sequence[NetworkCap],
    now: dt.datetime,
) -> Attempt | str:
    """Commit the row of an attempt that is about to be made.

    Attempts on one card, from any process, are counted and begun one after the other, so that no cap is exceeded.

    Returns:
        The attempt, or why it must not be made.
    """
    ledger = payment_retry_attempts
    since = now - max((cap.window for cap in caps), default=dt.timedelta())
    with database.transaction() as connection:
        lock = sa.func.hashtextextended(_CARD_LOCK + card.fingerprint, 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        if not _is_still_owed(connection, payment):
            return "the application does not ask for it any more"
        attempts = read_card_attempts(connection, [card.fingerprint], since=since)
        cap = reached_cap(
            attempts.get(card.fingerprint, ()),
            brand=card.brand,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            now=now,
            caps=caps,
        )
        if cap is not None:
            return f"the card is at its network's cap ({cap.describe()})"
        last = connection.scalar(
            sa.select(sa.func.max(ledger.c.attempt)).where(ledger.c.payment_id == payment.payment_id)
        )
        attempt = (last or 0) + 1
        if last is not None and last > payment.own_attempts_count:
            return "another process has made an attempt meanwhile"
        inserted = connection.scalar(
            pg.insert(ledger)
            .values(
                payment_id=payment.payment_id,
                attempt=attempt,
                payment_intent_id=payment.payment_intent_id,
                idempotency_key=idempotency_key(payment.payment_id, attempt),
                parameters=dict(parameters),
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                card_fingerprint=card.fingerprint,
                card_brand=card.brand,
                known_charge_ids=list(known_charge_ids),
                state="sent",
                calls_count=1,
                sent_at=now,
            )
            .on_conflict_do_nothing()
            .returning(ledger.c.attempt)
        )
        if inserted is None:
            return "another attempt of the payment or its intent is under way"
    return Attempt(
        payment.payment_id,
        attempt,
        payment.payment_intent_id,
        parameters,
        tuple(known_charge_ids),
        "sent",
        now,
    )


def _is_still_owed(connection: sa.Connection, payment: FailedPayment) -> bool:
    """Whether the application asks for the payment as it did when the run began, some hundred attempts ago perhaps."""
    now = payments.c
    query = sa.select(now.status.in_(OWED_STATUSES)).where(
        now.payment_id == payment.payment_id,
        now.payment_intent_id == payment.payment_intent_id,
        now.amount_minor == payment.amount_minor,
        now.currency == payment.currency,
    )
    return bool(connection.scalar(query))


def read_unsettled(database: Database) -> list[Attempt]:
    """Attempts whose outcome is to be found out, oldest first; those that wait for a person are not among them."""
    ledger = payment_retry_attempts
    columns = (
        "payment_id",
        "attempt",
        "payment_intent_id",
        "parameters",
        "known_charge_ids",
        "state",
        "sent_at",
    )
    query = (
        sa.select(*(ledger.c[name] for name in columns))
        .where(ledger.c.state.in_(("sent", "processing")))
        .order_by(ledger.c.sent_at, ledger.c.payment_id)
    )
    with database.transaction() as connection:
        return [
            Attempt(**{**row._mapping, "known_charge_ids": tuple(row.known_charge_ids)})
            for row in connection.execute(query)
        ]


def note_sent_again(database: Database, attempt: Attempt) -> bool:
    """Count another call with an attempt's key, before it is made; False when its outcome is known meanwhile."""
    ledger = payment_retry_attempts
    with database.transaction() as connection:
        updated = connection.execute(
            sa.update(ledger)
            .where(_is(attempt), ledger.c.state == "sent")
            .values(calls_count=ledger.c.calls_count + 1)
        )
    return updated.rowcount == 1


def settle(
    database: Database,
    attempt: Attempt,
    outcome: ConfirmOutcome,
    *,
    now: dt.datetime,
    before_commit: Callable[[], None],
) -> None:
    """Write down what became of an attempt; what is settled already stays as it is."""
    _close(
        database,
        attempt,
        before_commit,
        state=outcome.state,
        charge_id=outcome.charge_id,
        decline_code=outcome.decline_code,
        advice_code=outcome.advice_code,
        detail=None,
        resolved_at=now,
    )


def settle_without_charge(
    database: Database, attempt: Attempt, detail: str, *, now: dt.datetime, before_commit: Callable[[], None]
) -> None:
    """Write down that the gateway made no charge, and what it said instead."""
    _close(database, attempt, before_commit, state="refused", detail=detail, resolved_at=now)


def hand_over(database: Database, attempt: Attempt, detail: str) -> None:
    """Leave an attempt to a person: nothing is sent for its payment until they have settled it."""
    _close(database, attempt, None, state="needs_person", detail=detail)


def note_failure(database: Database, attempt: Attempt, detail: str) -> None:
    """Keep what came back instead of an outcome; the attempt stays open."""
    _close(database, attempt, None, detail=detail)


def _close(
    database: Database, attempt: Attempt, before_commit: Callable[[], None] | None, **values: Any
) -> None:
    ledger = payment_retry_attempts
    with database.transaction() as connection:
        connection.execute(
            sa.update(ledger).where(_is(attempt), ledger.c.state.in_(("sent", "processing"))).values(**values)
        )
        if before_commit is not None:
            before_commit()


def _is(attempt: Attempt) -> sa.ColumnElement[bool]:
    ledger = payment_retry_attempts.c
    return sa.and_(ledger.payment_id == attempt.payment_id, ledger.attempt == attempt.attempt)


def settle_by_person(
    database: Database, payment_id: str, attempt: int, *, state: str, charge_id: str | None, now: dt.datetime
) -> bool:
    """Write down what a person found out about an attempt that waits for them; False when there is none such."""
    ledger = payment_retry_attempts.c
    with database.transaction() as connection:
        updated = connection.execute(
            sa.update(payment_retry_attempts)
            .where(
                ledger.payment_id == payment_id,
                ledger.attempt == attempt,
                ledger.state == "needs_person",
            )
            .values(state=state, charge_id=charge_id, resolved_at=now)
        )
    return updated.rowcount == 1


def count_states(database: Database, *, since: dt.datetime) -> Counter[str]:
    """Number of attempts since a moment, by state."""
    ledger = payment_retry_attempts.c
    query = sa.select(ledger.state, sa.func.count()).where(ledger.sent_at > since).group_by(ledger.state)
    with database.transaction() as connection:
        return Counter(dict(connection.execute(query).all()))


def read_arms(database: Database) -> dict[str, bool]:
    """Payment to whether it is held out, for every one that was ever due."""
    arms = payment_retry_arms.c
    with database.transaction() as connection:
        return dict(connection.execute(sa.select(arms.payment_id, arms.arm == "held_out")).all())


def assign_arms(
    database: Database, payments: Iterable[tuple[FailedPayment, bool]], *, now: dt.datetime
) -> None:
    """Note for payments that are due for the first time whether they are held out; what was noted before stays."""
    known = read_arms(database)
    rows = [
        {
            "payment_id": payment.payment_id,
            "arm": "held_out" if is_held_out else "retried",
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "assigned_at": now,
        }
        for payment, is_held_out in payments
        if payment.payment_id not in known
    ]
    if rows:
        with database.transaction() as connection:
            connection.execute(pg.insert(payment_retry_arms).on_conflict_do_nothing(), rows)
