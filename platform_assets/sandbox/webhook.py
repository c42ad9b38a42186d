"""A stand-in for the application's webhook: applies the gateway's events to `marketplace.payments`. Sandbox only.

What it writes is what the gateway's objects say at that moment, never a step from what was there before: an event
that comes late, twice or out of order ends in the same row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.currencies import minor_from_gateway
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.stripe.objects import Object
from platform_assets.sandbox.stripe.store import StripeStore
from platform_assets.tables.marketplace import payments

_DELIVERED = "webhook_delivered_through"
_LOCK_NAME = "platform_assets/sandbox/webhook"

_STATUSES = {"canceled": "cancelled", "processing": "processing", "requires_action": "processing"}


def deliver_events(state: SandboxState, database: Database) -> int:
    """Apply every event that has not been delivered yet.

    Returns:
        How many payments the events were about.
    """
    if not _undelivered(state)[1]:
        return 0
    store = StripeStore(state)
    with database.transaction() as connection:
        # One after the other, each reading when it is its turn: what was read earlier is never written later.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(_LOCK_NAME, 0))))
        through, intent_ids = _undelivered(state)
        known = [intent for name in sorted(intent_ids) if (intent := store.find("payment_intent", name))]
        for intent in known:
            charges = store.all_where("charge", "payment_intent = ?", intent["id"])
            connection.execute(
                sa.update(payments)
                .where(payments.c.payment_intent_id == intent["id"])
                .values(**dict(_values(intent, charges)), updated_at=sa.func.now())
            )
    # After the application's commit: an event that is lost in between comes again.
    state.connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (_DELIVERED, str(through)),
    )
    return len(known)


def _undelivered(state: SandboxState) -> tuple[int, set[str]]:
    """The last event's place, and the intents that events since the last delivery are about."""
    row = state.connection.execute("SELECT value FROM meta WHERE name = ?", (_DELIVERED,)).fetchone()
    through = int(row["value"]) if row else 0
    # The plus keeps SQLite from its index by kind: what is new is a range of the key, however many events there are.
    events = state.connection.execute(
        "SELECT sequence, coalesce(json_extract(body, '$.data.object.payment_intent'), "
        "json_extract(body, '$.data.object.id')) AS subject FROM stripe_objects "
        "WHERE +object = 'event' AND sequence > ? ORDER BY sequence",
        (through,),
    ).fetchall()
    return (events[-1]["sequence"] if events else through), {row["subject"] for row in events}


def _values(intent: Object, charges: list[Object]) -> Iterator[tuple[str, Any]]:
    """The payment's columns as the gateway's objects have them."""
    currency = intent["currency"].upper()
    paid = [charge for charge in charges if charge["status"] == "succeeded"]
    failed = [charge for charge in charges if charge["status"] == "failed"]
    captured = sum(charge["amount_captured"] for charge in paid)
    refunded = sum(charge["amount_refunded"] for charge in paid)
    if paid:
        status = "paid" if not refunded else "refunded" if refunded == captured else "partially_refunded"
    else:
        status = _STATUSES.get(intent["status"], "failed" if failed else "pending")
    yield "status", status
    yield "refunded_minor", minor_from_gateway(refunded, currency)
    yield "paid_at", _moment(paid[0]["created"]) if paid else None
    yield "attempts_count", len(charges)
    yield "last_attempt_at", _moment(charges[-1]["created"]) if charges else None
    last_outcome = failed[-1]["outcome"] if failed else None
    yield "failure_code", last_outcome["reason"] if last_outcome else None


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
