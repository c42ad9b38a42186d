"""What Stripe's disputes do: a client's bank takes a payment back, and the account contests it or gives in. No HTTP."""

from __future__ import annotations

from platform_assets.sandbox.stripe.ledger import Answer, Effect, Ledger
from platform_assets.sandbox.stripe.objects import (
    Object,
    dispute_reversal_object,
    dispute_transaction_object,
    new_object,
)
from platform_assets.sandbox.stripe.params import Params, StripeError

UPDATE_DISPUTE_PARAMS = frozenset(("evidence", "expand", "metadata", "submit"))
CLOSE_DISPUTE_PARAMS = frozenset(("expand",))

_EVIDENCE_OUTCOMES = {"winning_evidence": "won", "losing_evidence": "lost"}
"""What the words of Stripe's test mode as `uncategorized_text` come to. https://docs.stripe.com/testing#evidence"""

_OPEN = ("needs_response", "under_review")
_RESPONSE_TIME_S = 20 * 24 * 3600


def open_dispute(ledger: Ledger, charge: Object, reason: str) -> Object:
    """A dispute over a charge: the amount and a fee leave the balance at once."""
    transaction_id = ledger.new_id("txn")
    dispute = new_object(
        "dispute",
        id=ledger.new_id("dp"),
        amount=charge["amount"],
        charge=charge["id"],
        created=ledger.now,
        currency=charge["currency"],
        payment_intent=charge["payment_intent"],
        reason=reason,
    )
    dispute["evidence_details"]["due_by"] = ledger.now + _RESPONSE_TIME_S
    transaction = dispute_transaction_object(id=transaction_id, dispute=dispute)
    dispute["balance_transactions"] = [transaction]
    charge["disputed"] = True
    ledger.store.update(charge)
    ledger.store.add(dispute)
    ledger.store.add(transaction)
    ledger.emit("charge.dispute.created", dispute)
    return dispute


def update_dispute(params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/disputes/{id}`: evidence; Stripe's two test words decide the dispute at once."""
    text = (params.group("evidence") or {}).get("uncategorized_text")
    outcome = _EVIDENCE_OUTCOMES.get(str(text))

    def effect(ledger: Ledger) -> Answer:
        dispute = _open(ledger, id)
        if text:
            dispute["evidence"]["uncategorized_text"] = str(text)
            dispute["evidence_details"] |= {"has_evidence": True, "submission_count": 1}
            dispute["status"] = "under_review"
        return Answer(_decide(ledger, dispute, outcome) if outcome else _kept(ledger, dispute))

    return effect


def close_dispute(_params: Params, id: str) -> Effect:  # noqa: A002  (Stripe's name)
    """`POST /v1/disputes/{id}/close`: the account gives in."""

    def effect(ledger: Ledger) -> Answer:
        return Answer(_decide(ledger, _open(ledger, id), "lost"))

    return effect


def _open(ledger: Ledger, id: str) -> Object:  # noqa: A002  (Stripe's name)
    dispute = ledger.store.get("dispute", id)
    if dispute["status"] not in _OPEN:
        raise StripeError("This dispute is already closed.", code="dispute_closed")
    return dispute


def _kept(ledger: Ledger, dispute: Object) -> Object:
    ledger.store.update(dispute)
    ledger.emit("charge.dispute.updated", dispute)
    return dispute


def _decide(ledger: Ledger, dispute: Object, outcome: str) -> Object:
    dispute["status"] = outcome
    if outcome == "won":
        reversal = dispute_reversal_object(id=ledger.new_id("txn"), created=ledger.now, dispute=dispute)
        dispute["balance_transactions"] = [*dispute["balance_transactions"], reversal]
        ledger.store.add(reversal)
    ledger.store.update(dispute)
    ledger.emit("charge.dispute.closed", dispute)
    return dispute
