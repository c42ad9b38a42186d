"""How a writing call to Stripe is carried out: its two parts, what it writes to, and what it comes to.

A call has two parts, as Stripe's idempotency needs: reading its parameters, which may refuse it before anything is
done, and the function that this returns, which does it. Only what that function answers, error or not, is kept.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from platform_assets.sandbox.stripe.cards import CARDS
from platform_assets.sandbox.stripe.objects import Object, new_object, payment_method_object
from platform_assets.sandbox.stripe.params import StripeError
from platform_assets.sandbox.stripe.store import StripeStore

_ID_CHARACTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Ledger:
    """Where a call's effects go: the store, and the second in which they happen."""

    store: StripeStore
    now: int

    def new_id(self, prefix: str) -> str:
        """An id as Stripe forms them."""
        return f"{prefix}_{''.join(secrets.choice(_ID_CHARACTERS) for _ in range(24))}"

    def emit(self, type: str, body: Object) -> None:  # noqa: A002  (Stripe's name)
        """Store the event that tells of a change, with the object as it is at this moment."""
        self.store.add(
            new_object(
                "event",
                id=self.new_id("evt"),
                created=self.now,
                data={"object": deepcopy(body)},
                type=type,
            )
        )


@dataclass(frozen=True)
class Answer:
    """What a call came to; a declined card is an answer with an effect, not a failure of the call."""

    body: Object
    status: int = 200


Effect = Callable[[Ledger], Answer]
"""Does what a call asks, within one transaction; may raise StripeError when the state does not allow it."""


def usable_payment_method(ledger: Ledger, intent: Mapping[str, Any], id: str) -> Object:  # noqa: A002  (Stripe's name)
    """A payment method for an intent; a test card's name makes a new one, as with Stripe."""
    if id in CARDS:
        method = payment_method_object(id=ledger.new_id("pm"), created=ledger.now, card=CARDS[id])
        ledger.store.add(method)
        return method
    method = ledger.store.get("payment_method", id, param="payment_method")
    owner = method["customer"]
    if owner and owner != intent["customer"]:
        raise StripeError(
            f"The payment method {id} belongs to the Customer {owner}. Please include the Customer in the `customer` "
            "parameter on the PaymentIntent.",
            param="payment_method",
        )
    return method
