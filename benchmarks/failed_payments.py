"""A world whose payments have all failed once, for benchmarks and tests of retries. Nothing here charges anybody."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from platform_assets.sandbox.stripe.cards import CARDS
from platform_assets.sandbox.stripe.objects import charge_object, new_object, payment_method_object
from platform_assets.sandbox.world import World
from platform_assets.tables import marketplace

_DECLINE = CARDS["pm_card_chargeDeclinedInsufficientFunds"]


def failed_payments_world(count: int, *, failed_at: dt.datetime) -> World:
    """Payments that failed once for want of funds, each on a card of its own; every other card pays the next time."""
    created = int(failed_at.timestamp())
    objects: list[dict[str, Any]] = []
    rows = []
    for number in range(count):
        card = CARDS["pm_card_visa"] if number % 2 else _DECLINE
        customer = new_object("customer", id=f"cus_{number}", created=created)
        method = payment_method_object(id=f"pm_{number}", created=created, card=card, customer=customer["id"])
        method["card"]["fingerprint"] = f"fingerprint{number}"
        intent = new_object(
            "payment_intent",
            id=f"pi_{number}",
            created=created,
            amount=1_000 + number,
            currency="eur",
            customer=customer["id"],
            metadata={"payment_id": f"P{number}"},
        )
        charge = charge_object(
            id=f"ch_{number}",
            created=created,
            intent=intent,
            payment_method=method,
            decline=_DECLINE,
            balance_transaction=None,
        )
        intent["latest_charge"] = charge["id"]
        intent["last_payment_error"] = {
            "type": "card_error",
            "code": _DECLINE.failure_code,
            "decline_code": _DECLINE.decline_code,
            "advice_code": _DECLINE.advice_code,
            "charge": charge["id"],
            "payment_method": method,
        }
        objects += [customer, method, intent, charge]
        rows.append(_payment(number, failed_at))
    frames = {
        table.name: pd.DataFrame(columns=[column.name for column in table.columns])
        for table in marketplace.metadata.sorted_tables
    }
    return World(
        "failed payments",
        failed_at.date(),
        frames | {"payments": pd.DataFrame(rows)},
        (),
        (),
        (),
        tuple(objects),
    )


def _payment(number: int, failed_at: dt.datetime) -> dict[str, Any]:
    return {
        "payment_id": f"P{number}",
        "contract_id": None,
        "client_id": f"C{number}",
        "amount_minor": 1_000 + number,
        "currency": "EUR",
        "status": "failed",
        "gateway": "stripe",
        "payment_intent_id": f"pi_{number}",
        "refunded_minor": 0,
        "due_date": failed_at.date(),
        "created_at": failed_at,
        "paid_at": None,
        "attempts_count": 1,
        "last_attempt_at": failed_at,
        "failure_code": "insufficient_funds",
        "updated_at": failed_at,
    }
