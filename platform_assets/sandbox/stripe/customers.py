"""What Stripe's calls on customers and payment methods do. Rules only, no HTTP."""

from __future__ import annotations

from platform_assets.sandbox.stripe.cards import CARDS
from platform_assets.sandbox.stripe.ledger import Answer, Effect, Ledger, usable_payment_method
from platform_assets.sandbox.stripe.objects import Object, new_object, payment_method_object
from platform_assets.sandbox.stripe.params import Params, StripeError

CREATE_CUSTOMER_PARAMS = frozenset(
    ("description", "email", "expand", "metadata", "name", "phone", "payment_method")
)
CREATE_METHOD_PARAMS = frozenset(("card", "expand", "metadata", "type"))
UPDATE_METHOD_PARAMS = frozenset(("expand", "metadata"))
ATTACH_METHOD_PARAMS = frozenset(("customer", "expand"))


def create_customer(params: Params, _id: str) -> Effect:
    """`POST /v1/customers`."""
    fields: Object = {name: params.text(name) for name in ("description", "email", "name", "phone")}
    metadata, payment_method = params.metadata(), params.text("payment_method")

    def effect(ledger: Ledger) -> Answer:
        customer = new_object(
            "customer", id=ledger.new_id("cus"), created=ledger.now, metadata=metadata, **fields
        )
        ledger.store.add(customer)
        if payment_method:
            _attach(ledger, payment_method, customer["id"])
        return Answer(customer)

    return effect


def create_method(params: Params, _id: str) -> Effect:
    """`POST /v1/payment_methods` with a test token, such as `tok_visa`, in place of a card's number."""
    if params.required("type") != "card":
        raise StripeError("The sandbox serves payment methods of type card alone.", param="type")
    token = (params.group("card") or {}).get("token")
    card = CARDS.get(f"pm_card_{str(token).removeprefix('tok_')}")
    if card is None:
        raise StripeError(f"No such token: '{token}'", code="resource_missing", param="card[token]")
    metadata = params.metadata()

    def effect(ledger: Ledger) -> Answer:
        method = payment_method_object(id=ledger.new_id("pm"), created=ledger.now, card=card)
        method["metadata"] = metadata
        ledger.store.add(method)
        return Answer(method)

    return effect


def update_method(params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/payment_methods/{id}`: metadata, which may change how the card's issuer answers (`BEHAVIOUR_KEY`)."""
    metadata = params.metadata()

    def effect(ledger: Ledger) -> Answer:
        method = ledger.store.get("payment_method", id)
        method["metadata"] = {
            key: value for key, value in {**method["metadata"], **metadata}.items() if value
        }
        ledger.store.update(method)
        return Answer(method)

    return effect


def attach_method(params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/payment_methods/{id}/attach`; a test card's name makes a new one."""
    customer = params.required("customer")

    def effect(ledger: Ledger) -> Answer:
        ledger.store.get("customer", customer, param="customer")
        return Answer(_attach(ledger, id, customer))

    return effect


def _attach(ledger: Ledger, id: str, customer: str) -> Object:  # noqa: A002  (Stripe's name)
    method = usable_payment_method(ledger, {"customer": customer}, id)
    method["customer"] = customer
    ledger.store.update(method)
    return method
