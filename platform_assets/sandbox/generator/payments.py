"""Draws what clients of a generated marketplace owe and pay: twelve months of it, seen by both sides.

Each payment gets a row in the marketplace and, where it came that far, its objects at the gateway.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_assets.sandbox.generator.dice import Dice, Weighted
from platform_assets.sandbox.generator.gateway import (
    DECLINES,
    Attempt,
    Payer,
    PaymentPlan,
    RefundPlan,
    build_objects,
    epoch_s,
)
from platform_assets.sandbox.generator.hiring import Contract
from platform_assets.sandbox.generator.money import round_minor
from platform_assets.sandbox.generator.people import midnight, moment_between, moment_on
from platform_assets.sandbox.stripe.cards import Card
from platform_assets.sandbox.stripe.objects import Object

_HISTORY_DAYS = 365
_PERIOD_DAYS = Weighted({7: 40.0, 14: 45.0, 30: 15.0})
_TERMS_DAYS = Weighted({7: 20.0, 14: 50.0, 30: 30.0})
_NEVER_PAID = frozenset(("lost_card", "stolen_card", "fraudulent", "expired_card", "incorrect_cvc"))


@dataclass(frozen=True)
class _Manners:
    """How a client pays: days until the first attempt, and the chances that it goes wrong."""

    median_delay_days: float
    decline_probability: float
    unpaid_probability: float


_MANNERS = Weighted(
    {
        _Manners(median_delay_days=2.0, decline_probability=0.06, unpaid_probability=0.01): 68.0,
        _Manners(median_delay_days=10.0, decline_probability=0.12, unpaid_probability=0.04): 24.0,
        _Manners(median_delay_days=16.0, decline_probability=0.38, unpaid_probability=0.14): 8.0,
    }
)


@dataclass(frozen=True)
class _Debt:
    """What is to be paid for a period or a milestone."""

    what: str
    amount_minor: int
    requested_on: dt.date


@dataclass(frozen=True)
class PaymentSide:
    """Rows of the marketplace, and the gateway's objects."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)


def draw_payments(
    dice: Dice,
    clients: Sequence[dict[str, Any]],
    contracts: Sequence[Contract],
    *,
    seed: int,
    anchor: dt.date,
) -> PaymentSide:
    """The payments of the twelve months before the anchor, by contract and then in time."""
    drawing = _Drawing(dice, seed, anchor)
    client_by_id = {client["client_id"]: client for client in clients}
    for contract in contracts:
        drawing.add_contract(contract, client_by_id[contract.row["client_id"]])
    return drawing.side


class _Drawing:
    """The payments while they are drawn."""

    def __init__(self, dice: Dice, seed: int, anchor: dt.date) -> None:
        self.side = PaymentSide()
        self._dice = dice
        self._seed = seed
        self._anchor = anchor
        self._now = midnight(anchor)
        self._payers: dict[str, tuple[Payer, _Manners]] = {}
        self._methods: set[str] = set()

    def add_contract(self, contract: Contract, client: dict[str, Any]) -> None:
        """All payments of one contract."""
        if contract.row["started_on"] is None:
            return
        terms_days = self._dice.weighted(_TERMS_DAYS)
        earliest = self._anchor - dt.timedelta(days=_HISTORY_DAYS)
        for debt in _draw_debts(self._dice, contract, self._anchor):
            if earliest <= debt.requested_on < self._anchor:
                self._add_payment(contract.row, client, debt, terms_days)

    def _add_payment(
        self, contract: Mapping[str, Any], client: dict[str, Any], debt: _Debt, terms_days: int
    ) -> None:
        dice = self._dice
        payer, manners = self._payer(client)
        payment_id = f"pay_{len(self.side.rows) + 1:06d}"
        requested_at = moment_on(dice, debt.requested_on)
        attempts, card = self._draw_attempts(requested_at, manners)
        is_paid = bool(attempts) and attempts[-1].decline is None
        canceled_at = None
        if not is_paid and dice.chance(0.06):
            canceled_at = moment_between(dice, attempts[-1].moment if attempts else requested_at, self._now)
        plan = PaymentPlan(
            payment_id=payment_id,
            description=f"{contract['contract_id']}: {debt.what}",
            amount_minor=debt.amount_minor,
            currency=contract["currency"],
            created_at=requested_at,
            attempts=attempts,
            canceled_at=canceled_at,
            refund=self._draw_refund(attempts[-1].moment, debt.amount_minor, contract["currency"])
            if is_paid
            else None,
        )
        intent_id = None
        # A client who has not opened the payment page yet has no intent.
        if attempts or dice.chance(0.7):
            objects = self._build(plan, payer, card)
            intent_id = objects[0]["id"]
            self.side.objects.extend(objects)
        self.side.rows.append(
            _row(plan, contract, intent_id, due_date=debt.requested_on + dt.timedelta(days=terms_days))
        )

    def _payer(self, client: dict[str, Any]) -> tuple[Payer, _Manners]:
        known = self._payers.get(client["client_id"])
        if known is None:
            known = Payer(self._dice, self._seed, client), self._dice.weighted(_MANNERS)
            self._payers[client["client_id"]] = known
            self.side.objects.append(known[0].customer)
            self._keep_method(known[0].payment_method)
        return known

    def _keep_method(self, method: Object) -> None:
        if method["id"] not in self._methods:
            self._methods.add(method["id"])
            self.side.objects.append(method)

    def _build(self, plan: PaymentPlan, payer: Payer, card: Card | None) -> list[Object]:
        method = payer.payment_method
        if card is not None:
            method = payer.with_declining_card(card, epoch_s(plan.created_at))
            self._keep_method(method)
        return build_objects(plan, payer, method, seed=self._seed, now=self._now)

    def _draw_attempts(
        self, requested_at: dt.datetime, manners: _Manners
    ) -> tuple[list[Attempt], Card | None]:
        """Tries to charge until the anchor, and the declining card when another attempt would fail as well."""
        dice = self._dice
        if dice.chance(manners.unpaid_probability):
            return [], None
        attempts: list[Attempt] = []
        moment = requested_at + dt.timedelta(days=dice.lognormal(manners.median_delay_days, 0.7))
        decline = dice.weighted(DECLINES) if dice.chance(manners.decline_probability) else None
        is_final = decline is not None and (_decline_code(decline) in _NEVER_PAID or dice.chance(0.2))
        # Some applications give up after the first decline.
        most = dice.integer(1, 4)
        while (moment := moment.replace(microsecond=0)) < self._now:
            attempts.append(Attempt(moment, decline))
            if decline is None or len(attempts) == most:
                break
            if not is_final and dice.chance(0.65):
                decline = None
            moment += dt.timedelta(days=dice.uniform(0.8, 5.0))
        return attempts, decline if is_final and attempts else None

    def _draw_refund(self, paid_at: dt.datetime, amount_minor: int, currency: str) -> RefundPlan | None:
        dice = self._dice
        draw = dice.uniform()
        moment = paid_at + dt.timedelta(seconds=dice.integer(86_400, 45 * 86_400))
        if draw > 0.04 or moment >= self._now:
            return None
        part = 1.0 if draw < 0.014 else dice.uniform(0.1, 0.6)
        return RefundPlan(moment, min(amount_minor, round_minor(amount_minor * part, currency)))


def _decline_code(card: Card) -> str | None:
    return card.decline_code or card.failure_code


def _row(
    plan: PaymentPlan, contract: Mapping[str, Any], intent_id: str | None, *, due_date: dt.date
) -> dict[str, Any]:
    """The payment as the application knows it, up to date with the gateway."""
    last = plan.attempts[-1] if plan.attempts else None
    declined = [attempt for attempt in plan.attempts if attempt.decline is not None]
    refunded_minor = plan.refund.amount_minor if plan.refund else 0
    if plan.canceled_at is not None:
        status = "cancelled"
    elif last is None:
        status = "pending"
    elif last.decline is not None:
        status = "failed"
    elif plan.refund is None:
        status = "paid"
    else:
        status = "refunded" if refunded_minor == plan.amount_minor else "partially_refunded"
    changes = [plan.created_at]
    changes += [last.moment] if last else []
    changes += [plan.refund.moment] if plan.refund else []
    changes += [plan.canceled_at] if plan.canceled_at else []
    return {
        "payment_id": plan.payment_id,
        "contract_id": contract["contract_id"],
        "client_id": contract["client_id"],
        "amount_minor": plan.amount_minor,
        "currency": plan.currency,
        "status": status,
        "gateway": "stripe",
        "payment_intent_id": intent_id,
        "refunded_minor": refunded_minor,
        "due_date": due_date,
        "created_at": plan.created_at,
        "paid_at": last.moment if last and last.decline is None else None,
        "attempts_count": len(plan.attempts),
        "last_attempt_at": last.moment if last else None,
        "failure_code": _decline_code(declined[-1].decline) if declined and declined[-1].decline else None,
        "updated_at": max(changes),
    }


def _draw_debts(dice: Dice, contract: Contract, anchor: dt.date) -> Iterator[_Debt]:
    """What falls due under a contract, in time: by periods of hours worked, or by milestones."""
    started_on: dt.date = contract.row["started_on"]
    ended_on: dt.date = contract.row["ended_on"] or anchor
    if contract.price_minor is None:
        yield from _draw_periods(dice, contract.row, started_on, ended_on)
    else:
        length_days = (
            (ended_on - started_on).days if contract.row["status"] == "completed" else dice.integer(30, 150)
        )
        yield from _draw_milestones(
            dice, contract.price_minor, contract.row["currency"], started_on, ended_on, max(1, length_days)
        )


def _draw_periods(
    dice: Dice, contract: Mapping[str, Any], started_on: dt.date, ended_on: dt.date
) -> Iterator[_Debt]:
    period_days = dice.weighted(_PERIOD_DAYS)
    start = started_on
    while start < ended_on:
        end = min(start + dt.timedelta(days=period_days), ended_on)
        planned_hours = contract["hours_per_week"] * (end - start).days / 7
        quarters_count = max(1, round(4 * planned_hours * dice.uniform(0.7, 1.1)))
        amount_minor = round_minor(contract["hourly_rate_minor"] * quarters_count / 4, contract["currency"])
        yield _Debt(f"{quarters_count / 4:g} hours from {start} to {end}", amount_minor, end)
        start = end


def _draw_milestones(
    dice: Dice, price_minor: int, currency: str, started_on: dt.date, ended_on: dt.date, length_days: int
) -> Iterator[_Debt]:
    """Parts of about the same size that add up to the price; those after the end of the contract are not owed."""
    count = dice.integer(2, 5)
    asked_minor = 0
    for number in range(1, count + 1):
        requested_on = started_on + dt.timedelta(days=length_days * number // count)
        part_minor = round_minor(price_minor * number / count, currency) - asked_minor
        asked_minor += part_minor
        if part_minor > 0 and requested_on <= ended_on:
            yield _Debt(f"milestone {number} of {count}", part_minor, requested_on)
