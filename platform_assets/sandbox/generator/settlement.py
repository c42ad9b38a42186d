"""Draws what happens to generated payments after they are paid: disputes, and the payouts that bring the money home.

Payments themselves are drawn in `payments`; both become objects in the shape of Stripe's API.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence

from platform_assets.sandbox.generator.dice import Dice, Weighted
from platform_assets.sandbox.generator.gateway import epoch_s, gateway_id
from platform_assets.sandbox.generator.people import midnight
from platform_assets.sandbox.stripe.objects import (
    Object,
    dispute_reversal_object,
    dispute_transaction_object,
    new_object,
    payout_transaction_object,
)
from platform_assets.sandbox.stripe.payouts import payout_object

_DISPUTED_SHARE = 0.008
_REASONS = Weighted({"product_unacceptable": 4.0, "fraudulent": 3.0, "duplicate": 1.0, "general": 2.0})
_DAY_S = 86_400
_WEEK_S, _FRIDAY_S = 7 * _DAY_S, _DAY_S


def draw_settlement(dice: Dice, objects: Sequence[Object], *, seed: int, anchor: dt.date) -> list[Object]:
    """Disputes over some of the paid charges, and a payout a week and currency of what became available.

    Args:
        dice: A stream of its own, so that payments stay as they are.
        objects: The payments' objects; charges that are disputed are marked.
        seed: Seed of the world; ids depend on it.
        anchor: End of the history.

    Returns:
        The new objects.
    """
    now = epoch_s(midnight(anchor))
    disputes = [
        item
        for charge in objects
        if charge["object"] == "charge" and charge["status"] == "succeeded" and not charge["amount_refunded"]
        for item in _draw_dispute(dice, charge, seed=seed, now=now)
    ]
    return [*disputes, *_payouts([*objects, *disputes], seed=seed, now=now)]


def _draw_dispute(dice: Dice, charge: Object, *, seed: int, now: int) -> list[Object]:
    if not dice.chance(_DISPUTED_SHARE):
        return []
    opened = charge["created"] + dice.integer(5 * _DAY_S, 60 * _DAY_S)
    closed = opened + dice.integer(20 * _DAY_S, 60 * _DAY_S)
    reason, is_won = dice.weighted(_REASONS), dice.chance(0.5)
    if opened >= now:
        return []
    dispute = new_object(
        "dispute",
        id=gateway_id("dp", seed, charge["id"]),
        amount=charge["amount"],
        charge=charge["id"],
        created=opened,
        currency=charge["currency"],
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="needs_response",
    )
    dispute["evidence_details"]["due_by"] = opened + 20 * _DAY_S
    taken = dispute_transaction_object(id=gateway_id("txn", seed, dispute["id"], "taken"), dispute=dispute)
    transactions = [taken]
    if closed < now:
        dispute["status"] = "won" if is_won else "lost"
        if is_won:
            given_back_id = gateway_id("txn", seed, dispute["id"], "given back")
            transactions.append(dispute_reversal_object(id=given_back_id, created=closed, dispute=dispute))
    dispute["balance_transactions"] = list(transactions)
    charge["disputed"] = True
    return [dispute, *transactions]


def _payouts(objects: Iterable[Object], *, seed: int, now: int) -> list[Object]:
    """Every Friday before `now`, what became available since the last payout, where that is above 0."""
    net_by_day: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for item in objects:
        if item["object"] != "balance_transaction":
            continue
        # The first Friday's midnight at which it is there; the epoch was a Thursday.
        day = -(-(item["available_on"] - _FRIDAY_S) // _WEEK_S) * _WEEK_S + _FRIDAY_S
        if day < now:
            net_by_day[item["currency"]][day] += item["net"]
    payouts: list[Object] = []
    for currency in sorted(net_by_day):
        unpaid = 0
        for day, net in sorted(net_by_day[currency].items()):
            unpaid += net
            if unpaid <= 0:
                continue
            transaction_id = gateway_id("txn", seed, currency, day, "payout")
            payout = payout_object(
                id=gateway_id("po", seed, currency, day),
                created=day,
                amount=unpaid,
                currency=currency,
                transaction_id=transaction_id,
            )
            if payout["arrival_date"] <= now:
                payout["status"] = "paid"
            payouts += [payout, payout_transaction_object(id=transaction_id, payout=payout)]
            unpaid = 0
    return payouts
