"""Builds the Stripe side of a generated payment: intent, charges, refund, balance transactions.

What happened is decided in `generate_payments`; here it becomes objects in the shape of Stripe's API.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from platform_assets.currencies import gateway_from_minor
from platform_assets.sandbox.generator.dice import Dice, Weighted
from platform_assets.sandbox.stripe.cards import CARDS, Card
from platform_assets.sandbox.stripe.objects import (
    Object,
    charge_object,
    charge_transaction_object,
    new_object,
    payment_method_object,
    refund_transaction_object,
)

_GOOD_CARDS = Weighted(
    {
        CARDS["pm_card_visa"]: 45.0,
        CARDS["pm_card_visa_debit"]: 15.0,
        CARDS["pm_card_mastercard"]: 30.0,
        CARDS["pm_card_amex"]: 10.0,
    }
)

_DECLINING_CARDS = {
    card.decline_code or card.failure_code: card for card in CARDS.values() if card.failure_code
}


def _without_test_card(decline_code: str) -> Card:
    """A decline that Stripe documents but has no test card for."""
    return replace(_DECLINING_CARDS["generic_decline"], decline_code=decline_code)


DECLINES = Weighted(
    {
        _DECLINING_CARDS["insufficient_funds"]: 36.0,
        _without_test_card("do_not_honor"): 18.0,
        _DECLINING_CARDS["generic_decline"]: 14.0,
        _without_test_card("try_again_later"): 6.0,
        _DECLINING_CARDS["card_velocity_exceeded"]: 5.0,
        _DECLINING_CARDS["processing_error"]: 4.0,
        _DECLINING_CARDS["expired_card"]: 8.0,
        _DECLINING_CARDS["incorrect_cvc"]: 3.0,
        _DECLINING_CARDS["lost_card"]: 3.0,
        _DECLINING_CARDS["stolen_card"]: 2.0,
        _DECLINING_CARDS["fraudulent"]: 1.0,
    }
)
"""How issuers decline, by frequency."""


@dataclass(frozen=True)
class Attempt:
    """One try to charge; `decline` is None when it succeeded."""

    moment: dt.datetime
    decline: Card | None


@dataclass(frozen=True)
class RefundPlan:
    """Money that went back."""

    moment: dt.datetime
    amount_minor: int


@dataclass(frozen=True)
class PaymentPlan:
    """What happened to one payment at the gateway.

    Attributes:
        payment_id: The marketplace's payment; it stands in the metadata.
        description: What the client sees.
        amount_minor: Amount in minor units.
        currency: ISO 4217 code.
        created_at: When the intent was made.
        attempts: Tries to charge, oldest first; only the last one can have succeeded.
        canceled_at: When the intent was given up; None when it was not.
        refund: What went back after success.
    """

    payment_id: str
    description: str
    amount_minor: int
    currency: str
    created_at: dt.datetime
    attempts: Sequence[Attempt]
    canceled_at: dt.datetime | None
    refund: RefundPlan | None


def gateway_id(prefix: str, *parts: object) -> str:
    """An id as Stripe's look, the same every time for the same parts."""
    return f"{prefix}_{hashlib.sha256('/'.join(map(str, (prefix, *parts))).encode()).hexdigest()[:24]}"


class Payer:
    """A client at the gateway: a customer with a card on file."""

    def __init__(self, dice: Dice, seed: int, client: dict[str, Any]) -> None:
        self._seed = seed
        self._client_id: str = client["client_id"]
        created = epoch_s(client["created_at"])
        customer_id = gateway_id("cus", seed, self._client_id)
        self.payment_method = self._card_on_file(dice.weighted(_GOOD_CARDS), created, customer_id)
        self.customer = new_object(
            "customer",
            id=customer_id,
            created=created,
            email=client["email"],
            name=client["display_name"],
            metadata={"client_id": self._client_id},
            invoice_settings={
                "custom_fields": None,
                "default_payment_method": self.payment_method["id"],
                "footer": None,
                "rendering_options": None,
            },
        )

    def with_declining_card(self, card: Card, created: int) -> Object:
        """Another card of the client, which its issuer goes on declining."""
        return self._card_on_file(card, created, self.customer["id"])

    def _card_on_file(self, card: Card, created: int, customer_id: str) -> Object:
        parts = (self._seed, self._client_id, card.last4, card.brand)
        method = payment_method_object(
            id=gateway_id("pm", *parts), created=created, card=card, customer=customer_id
        )
        # The fingerprint tells cards apart, and no two clients share one.
        method["card"]["fingerprint"] = gateway_id("fp", *parts)[3:19]
        return method


def epoch_s(moment: dt.datetime) -> int:
    """Seconds since 1970, as Stripe writes time."""
    return int(moment.timestamp())


def build_objects(
    plan: PaymentPlan, payer: Payer, method: Object, *, seed: int, now: dt.datetime
) -> list[Object]:
    """All objects of one payment as the gateway shows them at `now`.

    Args:
        plan: What happened.
        payer: Who pays.
        method: The card that was tried.
        seed: Seed of the world; ids depend on it.
        now: End of the history; money that is available later is still pending.
    """
    intent_id = gateway_id("pi", seed, plan.payment_id)
    intent = new_object(
        "payment_intent",
        id=intent_id,
        amount=gateway_from_minor(plan.amount_minor, plan.currency),
        automatic_payment_methods={"allow_redirects": "always", "enabled": True},
        client_secret=f"{intent_id}_{gateway_id('secret', seed, plan.payment_id)}",
        created=epoch_s(plan.created_at),
        currency=plan.currency.lower(),
        customer=payer.customer["id"],
        description=plan.description,
        metadata={"payment_id": plan.payment_id},
        setup_future_usage="off_session",
    )
    objects = [intent]
    for number, attempt in enumerate(plan.attempts, start=1):
        objects += _charge(plan, intent, method, attempt, number, seed)
    if plan.refund is not None:
        objects += _refund(plan.refund, intent, objects[-2], seed)
    if plan.canceled_at is not None:
        intent |= {
            "status": "canceled",
            "canceled_at": epoch_s(plan.canceled_at),
            "cancellation_reason": "requested_by_customer",
        }
    for item in objects:
        if item["object"] == "balance_transaction":
            item["status"] = "available" if item["available_on"] <= epoch_s(now) else "pending"
    return objects


def _charge(
    plan: PaymentPlan, intent: Object, method: Object, attempt: Attempt, number: int, seed: int
) -> list[Object]:
    """The charge of an attempt and, when paid, its balance transaction; the intent is brought up to date."""
    decline = attempt.decline
    transaction_id = None if decline else gateway_id("txn", seed, plan.payment_id, number)
    charge = charge_object(
        id=gateway_id("ch", seed, plan.payment_id, number),
        created=epoch_s(attempt.moment),
        intent=intent,
        payment_method=method,
        decline=decline,
        balance_transaction=transaction_id,
    )
    intent["latest_charge"] = charge["id"]
    if decline is None:
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "payment_method": method["id"],
            "last_payment_error": None,
        }
        return [charge, charge_transaction_object(id=str(transaction_id), charge=charge)]
    intent["last_payment_error"] = {
        "type": "card_error",
        "code": decline.failure_code,
        "message": decline.message,
        "charge": charge["id"],
        # Stripe takes a declined method off the intent and keeps it here.
        "payment_method": method,
        **({"decline_code": decline.decline_code} if decline.decline_code else {}),
        **({"advice_code": decline.advice_code} if decline.advice_code else {}),
    }
    return [charge]


def _refund(refund: RefundPlan, intent: Object, charge: Object, seed: int) -> list[Object]:
    body = new_object(
        "refund",
        id=gateway_id("re", seed, charge["id"]),
        amount=gateway_from_minor(refund.amount_minor, intent["currency"].upper()),
        balance_transaction=gateway_id("txn", seed, charge["id"], "refund"),
        charge=charge["id"],
        created=epoch_s(refund.moment),
        currency=intent["currency"],
        payment_intent=intent["id"],
        reason="requested_by_customer",
    )
    charge["amount_refunded"] = body["amount"]
    charge["refunded"] = body["amount"] == charge["amount"]
    return [body, refund_transaction_object(id=body["balance_transaction"], refund=body)]
