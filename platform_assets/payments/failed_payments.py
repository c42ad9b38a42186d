"""Reads the payments whose last attempt failed, and says what stands in the way of another one. SQL and plain rules only.

Whether one that nothing stands in the way of is charged again is `retry_policy`'s business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.payments.retry_ledger import OWED_STATUSES, idempotency_key
from platform_assets.payments.retry_policy import Card, FailedPayment
from platform_assets.tables.payments import gateway_cursors

MAX_KEY_LENGTH = 255
"""Longest idempotency key that the gateway takes."""

OUTCOME_NOT_KNOWN = "the outcome of an earlier attempt is not known yet"

_FAILED_PAYMENTS = sa.text(
    """
    WITH owed AS (
        SELECT p.payment_id, p.payment_intent_id, p.amount_minor, p.currency, i.status AS intent_status,
            i.amount_minor AS intent_amount_minor, i.currency AS intent_currency,
            count(*) OVER (PARTITION BY p.payment_intent_id) AS payments_count
        FROM marketplace.payments p
        JOIN platform.gateway_transactions i
            ON i.object_type = 'payment_intent' AND i.object_id = p.payment_intent_id
        WHERE p.gateway = 'stripe' AND p.status = ANY(:owed_statuses)
            AND (CAST(:intent_ids AS text[]) IS NULL OR p.payment_intent_id = ANY(:intent_ids))
    ), attempts AS (
        SELECT payment_id, count(*) AS attempts_count, max(sent_at) AS last_sent_at,
            max(state) FILTER (WHERE state IN ('sent', 'needs_person')) AS open_state
        FROM monitoring.payment_retry_attempts
        GROUP BY payment_id
    )
    SELECT o.*, c.*, a.attempts_count, a.last_sent_at, a.open_state,
        EXISTS (
            SELECT FROM platform.gateway_transactions g
            WHERE g.object_type = 'charge' AND g.status IN ('succeeded', 'pending')
                AND (g.payment_id = o.payment_id OR g.payment_intent_id = o.payment_intent_id)
        ) AS is_charged
    FROM owed o
    CROSS JOIN LATERAL (
        SELECT min(g.created_at) FILTER (WHERE g.status = 'failed') AS first_failed_at,
            max(g.created_at) AS last_attempt_at,
            (array_agg(g.failure_code ORDER BY g.created_at DESC, g.object_id DESC))[1] AS decline_code,
            (array_agg(g.advice_code ORDER BY g.created_at DESC, g.object_id DESC))[1] AS advice_code,
            (array_agg(g.card_fingerprint ORDER BY g.created_at DESC, g.object_id DESC))[1] AS card_fingerprint,
            (array_agg(g.card_brand ORDER BY g.created_at DESC, g.object_id DESC))[1] AS card_brand
        FROM platform.gateway_transactions g
        WHERE g.object_type = 'charge' AND g.payment_intent_id = o.payment_intent_id
    ) c
    LEFT JOIN attempts a ON a.payment_id = o.payment_id
    WHERE c.first_failed_at IS NOT NULL
    ORDER BY o.payment_id
    """
)


def read_through(database: Database) -> dt.datetime | None:
    """Up to when all of the gateway has been read (UTC); None when some of it never was."""
    cursors = gateway_cursors.c.read_through
    query = sa.select(sa.func.min(cursors)).having(sa.func.count() == sa.func.count(cursors))
    with database.transaction() as connection:
        through: dt.datetime | None = connection.scalar(query)
    return through


def read_failed_payments(
    database: Database, *, intent_ids: Collection[str] | None = None
) -> list[FailedPayment]:
    """Payments that are owed, have an intent, and whose last attempt failed as far as the gateway's rows tell.

    Args:
        database: The platform's database.
        intent_ids: Only payments with these intents; None for all.
    """
    parameters = {
        "intent_ids": None if intent_ids is None else list(intent_ids),
        "owed_statuses": list(OWED_STATUSES),
    }
    with database.transaction() as connection:
        return [_failed_payment(row) for row in connection.execute(_FAILED_PAYMENTS, parameters)]


def _failed_payment(row: Any) -> FailedPayment:
    last_attempts = [moment for moment in (row.last_attempt_at, row.last_sent_at) if moment is not None]
    attempts_count = row.attempts_count or 0
    return FailedPayment(
        payment_id=row.payment_id,
        payment_intent_id=row.payment_intent_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        first_failed_at=row.first_failed_at,
        last_attempt_at=max(last_attempts),
        decline_code=row.decline_code,
        advice_code=row.advice_code,
        card=Card(row.card_fingerprint, row.card_brand) if row.card_fingerprint else None,
        own_attempts_count=attempts_count,
        obstacle=_obstacle(row, attempts_count),
    )


def _obstacle(row: Any, attempts_count: int) -> str | None:
    if row.open_state == "needs_person":
        return "an earlier attempt waits for a person"
    if row.open_state is not None:
        return OUTCOME_NOT_KNOWN
    if row.is_charged:
        return "the gateway has already charged it"
    if row.payments_count > 1:
        return "another payment has the same intent"
    if (row.amount_minor, row.currency) != (row.intent_amount_minor, row.intent_currency):
        return "the intent is over another amount"
    if len(idempotency_key(row.payment_id, attempts_count + 1)) > MAX_KEY_LENGTH:
        return "the payment's id is too long for an idempotency key"
    return intent_status_obstacle(row.intent_status)


def intent_status_obstacle(status: str | None) -> str | None:
    """Why an intent of this status can't be charged again; None when it can."""
    if status in ("requires_payment_method", "requires_confirmation"):
        return None
    return f"the intent is {(status or 'without status').replace('_', ' ')}"
