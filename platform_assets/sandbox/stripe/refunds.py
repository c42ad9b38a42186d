"""What creating a Stripe refund does. Rules only, no HTTP."""

from __future__ import annotations

from platform_assets.sandbox.stripe.ledger import Answer, Effect, Ledger
from platform_assets.sandbox.stripe.objects import Object, formatted, new_object, refund_transaction_object
from platform_assets.sandbox.stripe.params import Params, StripeError, missing

_REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")

CREATE_REFUND_PARAMS = frozenset(("amount", "charge", "expand", "metadata", "payment_intent", "reason"))


def create_refund(params: Params, _id: str) -> Effect:
    """`POST /v1/refunds`."""
    charge_id, intent_id = params.text("charge"), params.text("payment_intent")
    if not (charge_id or intent_id):
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    amount_minor = params.integer("amount", minimum=1)
    reason, metadata = params.choice("reason", _REFUND_REASONS), params.metadata()

    def effect(ledger: Ledger) -> Answer:
        charge = _charge_to_refund(ledger, charge_id, intent_id)
        unrefunded_minor = charge["amount_captured"] - charge["amount_refunded"]
        if unrefunded_minor == 0:
            raise StripeError(
                f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
            )
        asked_minor = unrefunded_minor if amount_minor is None else amount_minor
        if asked_minor > unrefunded_minor:
            raise StripeError(
                f"Refund amount ({formatted(asked_minor, charge['currency'])}) is greater than unrefunded amount on "
                f"charge ({formatted(unrefunded_minor, charge['currency'])})",
                param="amount",
            )
        refund = new_object(
            "refund",
            id=ledger.new_id("re"),
            amount=asked_minor,
            balance_transaction=ledger.new_id("txn"),
            charge=charge["id"],
            created=ledger.now,
            currency=charge["currency"],
            metadata=metadata,
            payment_intent=charge["payment_intent"],
            reason=reason,
        )
        charge["amount_refunded"] += asked_minor
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        ledger.store.add(refund)
        ledger.store.add(refund_transaction_object(id=refund["balance_transaction"], refund=refund))
        ledger.store.update(charge)
        ledger.emit("refund.created", refund)
        ledger.emit("charge.refunded", charge)
        return Answer(refund)

    return effect


def _charge_to_refund(ledger: Ledger, charge_id: str | None, intent_id: str | None) -> Object:
    if intent_id:
        intent = ledger.store.get("payment_intent", intent_id, param="payment_intent")
        if intent["status"] != "succeeded" or not intent["latest_charge"]:
            raise StripeError(
                f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
                code="charge_not_refundable",
                param="payment_intent",
            )
        charge_id = intent["latest_charge"]
    assert charge_id is not None
    charge = ledger.store.find("charge", charge_id)
    if charge is None:
        raise missing("charge", charge_id, param="charge")
    if charge["status"] != "succeeded":
        raise StripeError(
            f"Charge {charge_id} was not successful and can't be refunded.", code="charge_not_refundable"
        )
    return charge
