"""The bank's side of the sandbox: automatic payouts of what has become available, and their arrival. No HTTP.

Stripe makes a payout a day and currency; here a day's run happens when it is asked for.
"""

from __future__ import annotations

from platform_assets.sandbox.stripe.ledger import Ledger
from platform_assets.sandbox.stripe.objects import Object, new_object, payout_transaction_object

ARRIVAL_DELAY_S = 2 * 24 * 3600
"""A payout reaches the account's bank two days after it was made."""

BANK_ACCOUNT = "ba_sandbox"


def payout_object(*, id: str, created: int, amount: int, currency: str, transaction_id: str) -> Object:  # noqa: A002  (Stripe's name)
    """An automatic payout on its way."""
    return new_object(
        "payout",
        id=id,
        amount=amount,
        arrival_date=created + ARRIVAL_DELAY_S,
        balance_transaction=transaction_id,
        created=created,
        currency=currency,
        destination=BANK_ACCOUNT,
    )


def run_payouts(ledger: Ledger) -> list[Object]:
    """Let payouts arrive, and pay out what is available in each currency, where that is above 0.

    Returns:
        The new payouts.
    """
    for payout in ledger.store.all_where("payout", "json_extract(body, '$.status') = 'in_transit'"):
        if payout["arrival_date"] <= ledger.now:
            payout["status"] = "paid"
            ledger.store.update(payout)
            ledger.emit("payout.paid", payout)
    return [
        _pay_out(ledger, currency, amount)
        for currency, amount in ledger.store.unpaid_minor(ledger.now).items()
        if amount > 0
    ]


def _pay_out(ledger: Ledger, currency: str, amount: int) -> Object:
    transaction_id = ledger.new_id("txn")
    payout = payout_object(
        id=ledger.new_id("po"),
        created=ledger.now,
        amount=amount,
        currency=currency,
        transaction_id=transaction_id,
    )
    ledger.store.add(payout)
    ledger.store.add(payout_transaction_object(id=transaction_id, payout=payout))
    ledger.emit("payout.created", payout)
    return payout
