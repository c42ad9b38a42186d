"""What Stripe's calls on payment intents do: create, update, confirm, cancel. Rules only, no HTTP."""

from __future__ import annotations

import secrets

from platform_assets.sandbox.stripe.cards import AUTHENTICATION_DECLINE, Card, card_behind
from platform_assets.sandbox.stripe.disputes import open_dispute
from platform_assets.sandbox.stripe.ledger import Answer, Effect, Ledger, usable_payment_method
from platform_assets.sandbox.stripe.objects import (
    CURRENCIES,
    Object,
    amount_step,
    charge_object,
    charge_transaction_object,
    new_object,
)
from platform_assets.sandbox.stripe.params import Params, StripeError

_MAX_AMOUNT = 99_999_999
_INTENT_TEXTS = (
    "customer",
    "description",
    "receipt_email",
    "statement_descriptor",
    "statement_descriptor_suffix",
)
_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
_CANCELLATION_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


CREATE_INTENT_PARAMS = frozenset(
    {
        *_INTENT_TEXTS,
        "amount",
        "automatic_payment_methods",
        "capture_method",
        "confirm",
        "currency",
        "expand",
        "metadata",
        "off_session",
        "payment_method",
        "payment_method_types",
        "return_url",
        "setup_future_usage",
        "transfer_group",
    }
)
UPDATE_INTENT_PARAMS = frozenset(
    {*_INTENT_TEXTS, "amount", "currency", "expand", "metadata", "payment_method"}
)
CONFIRM_INTENT_PARAMS = frozenset({"expand", "off_session", "payment_method", "return_url"})
CANCEL_INTENT_PARAMS = frozenset({"cancellation_reason", "expand"})


def create_intent(params: Params, _id: str) -> Effect:
    """`POST /v1/payment_intents`."""
    params.required("amount")
    currency = _currency(params.required("currency"))
    amount_minor = _amount(params, currency)
    capture_method = params.choice("capture_method", ("automatic", "automatic_async", "manual"))
    if capture_method == "manual":
        raise StripeError("Manual capture is not served by the sandbox.", param="capture_method")
    fields: Object = {name: params.text(name) for name in (*_INTENT_TEXTS, "transfer_group")}
    fields |= {
        "amount": amount_minor,
        "capture_method": capture_method or "automatic",
        "currency": currency,
        "metadata": params.metadata(),
        "payment_method_types": params.texts("payment_method_types") or ["card"],
        "setup_future_usage": params.choice("setup_future_usage", ("on_session", "off_session")),
    }
    automatic = params.group("automatic_payment_methods")
    if automatic is not None:
        fields["automatic_payment_methods"] = {"enabled": automatic.get("enabled") == "true"}
    payment_method = params.text("payment_method")
    must_confirm, is_off_session = params.flag("confirm"), params.flag("off_session")

    def effect(ledger: Ledger) -> Answer:
        if fields["customer"]:
            ledger.store.get("customer", fields["customer"], param="customer")
        identifier = ledger.new_id("pi")
        intent = new_object(
            "payment_intent",
            id=identifier,
            created=ledger.now,
            client_secret=f"{identifier}_secret_{secrets.token_hex(12)}",
            **fields,
        )
        if payment_method:
            intent["payment_method"] = usable_payment_method(ledger, intent, payment_method)["id"]
            intent["status"] = "requires_confirmation"
        ledger.store.add(intent)
        ledger.emit("payment_intent.created", intent)
        if not must_confirm:
            return Answer(intent)
        return _confirm(ledger, intent, payment_method=None, is_off_session=is_off_session)

    return effect


def update_intent(params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/payment_intents/{id}`."""
    changes: Object = {name: params.text(name) for name in _INTENT_TEXTS if name in params}
    if "currency" in params:
        changes["currency"] = _currency(params.required("currency"))
    if "amount" in params:
        params.required("amount")
    metadata, payment_method = params.metadata(), params.text("payment_method")

    def effect(ledger: Ledger) -> Answer:
        intent = ledger.store.get("payment_intent", id)
        _require_status(intent, _CONFIRMABLE, "update")
        intent |= changes
        if "amount" in params:
            intent["amount"] = _amount(params, intent["currency"])
        # As with Stripe, an empty value takes a key away.
        intent["metadata"] = {
            key: value for key, value in {**intent["metadata"], **metadata}.items() if value
        }
        if payment_method:
            intent["payment_method"] = usable_payment_method(ledger, intent, payment_method)["id"]
            intent["status"] = "requires_confirmation"
        ledger.store.update(intent)
        return Answer(intent)

    return effect


def confirm_intent(params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/payment_intents/{id}/confirm`."""
    payment_method, is_off_session = params.text("payment_method"), params.flag("off_session")

    def effect(ledger: Ledger) -> Answer:
        intent = ledger.store.get("payment_intent", id)
        return _confirm(ledger, intent, payment_method=payment_method, is_off_session=is_off_session)

    return effect


def cancel_intent(params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/payment_intents/{id}/cancel`."""
    reason = params.choice("cancellation_reason", _CANCELLATION_REASONS)

    def effect(ledger: Ledger) -> Answer:
        intent = ledger.store.get("payment_intent", id)
        _require_status(intent, _CANCELABLE, "cancel")
        intent |= {
            "status": "canceled",
            "canceled_at": ledger.now,
            "cancellation_reason": reason,
            "next_action": None,
        }
        ledger.store.update(intent)
        ledger.emit("payment_intent.canceled", intent)
        return Answer(intent)

    return effect


_DONE = {"cancel": "canceled", "confirm": "confirmed", "update": "updated"}


def _require_status(intent: Object, allowed: tuple[str, ...], verb: str) -> None:
    status = intent["status"]
    if status in allowed:
        return
    if verb == "confirm" and status == "succeeded":
        reason = "it has already succeeded after being previously confirmed."
    else:
        reason = (
            f"it has a status of {status}. Only a PaymentIntent with one of the following statuses may be "
            f"{_DONE[verb]}: {', '.join(allowed)}."
        )
    raise _unexpected_state(intent, f"You cannot {verb} this PaymentIntent because {reason}")


def _unexpected_state(intent: Object, message: str) -> StripeError:
    return StripeError(message, code="payment_intent_unexpected_state", extra={"payment_intent": intent})


def _confirm(ledger: Ledger, intent: Object, *, payment_method: str | None, is_off_session: bool) -> Answer:
    _require_status(intent, _CONFIRMABLE, "confirm")
    chosen = payment_method or intent["payment_method"]
    if chosen is None:
        raise _unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
        )
    method = usable_payment_method(ledger, intent, chosen)
    card = card_behind(method)
    if card.must_authenticate and not is_off_session:
        return _ask_for_authentication(ledger, intent, method)
    if card.must_authenticate:
        card = AUTHENTICATION_DECLINE
    if card.failure_code:
        return _decline(ledger, intent, method, card)
    return _succeed(ledger, intent, method, card)


def _succeed(ledger: Ledger, intent: Object, method: Object, card: Card) -> Answer:
    charge = charge_object(
        id=ledger.new_id("ch"),
        created=ledger.now,
        intent=intent,
        payment_method=method,
        decline=None,
        balance_transaction=ledger.new_id("txn"),
    )
    ledger.store.add(charge)
    ledger.store.add(charge_transaction_object(id=charge["balance_transaction"], charge=charge))
    if intent["setup_future_usage"] and intent["customer"] and not method["customer"]:
        ledger.store.update({**method, "customer": intent["customer"]})
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "next_action": None,
        "payment_method": method["id"],
        "status": "succeeded",
    }
    ledger.store.update(intent)
    ledger.emit("charge.succeeded", charge)
    ledger.emit("payment_intent.succeeded", intent)
    if card.dispute_reason:
        open_dispute(ledger, charge, card.dispute_reason)
    return Answer(intent)


def _decline(ledger: Ledger, intent: Object, method: Object, card: Card) -> Answer:
    charge = charge_object(
        id=ledger.new_id("ch"),
        created=ledger.now,
        intent=intent,
        payment_method=method,
        decline=card,
        balance_transaction=None,
    )
    ledger.store.add(charge)
    error: Object = {
        "charge": charge["id"],
        "code": card.failure_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{(card.failure_code or '').replace('_', '-')}",
        "message": card.message,
        "type": "card_error",
    }
    if card.decline_code:
        error["decline_code"] = card.decline_code
    if card.advice_code:
        error["advice_code"] = card.advice_code
    if card.network_decline_code:
        error["network_decline_code"] = card.network_decline_code
    if card.network_advice_code:
        error["network_advice_code"] = card.network_advice_code
    intent |= {
        "last_payment_error": {**error, "payment_method": method},
        "latest_charge": charge["id"],
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    ledger.store.update(intent)
    ledger.emit("charge.failed", charge)
    ledger.emit("payment_intent.payment_failed", intent)
    return Answer({"error": {**error, "payment_intent": intent, "payment_method": method}}, status=402)


def _ask_for_authentication(ledger: Ledger, intent: Object, method: Object) -> Answer:
    intent |= {
        "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}},
        "payment_method": method["id"],
        "status": "requires_action",
    }
    ledger.store.update(intent)
    ledger.emit("payment_intent.requires_action", intent)
    return Answer(intent)


def _currency(value: str) -> str:
    if value.lower() not in CURRENCIES:
        raise StripeError(
            f"Invalid currency: {value}. Stripe currently supports these currencies: {', '.join(sorted(CURRENCIES))}",
            param="currency",
        )
    return value.lower()


def _amount(params: Params, currency: str) -> int:
    amount_minor = params.integer("amount", minimum=1, maximum=_MAX_AMOUNT)
    assert amount_minor is not None  # its presence was checked
    step = amount_step(currency)
    if amount_minor % step:
        raise StripeError(
            f"Invalid amount: an amount in {currency.upper()} must be a multiple of {step}.", param="amount"
        )
    return amount_minor
