"""Whether and when a failed payment is charged again: declines, waits, card networks' caps, the breaker, the hold-out.

Pure: no clock, no database, no gateway. Numbers come from `payment_thresholds.py`; what was done is `retry_ledger`'s.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from platform_assets import payment_thresholds as thresholds
from platform_assets.payment_thresholds import NetworkCap
from platform_assets.thresholds import Threshold

HARD_DECLINES = frozenset(
    (
        *("lost_card", "stolen_card", "pickup_card", "restricted_card", "fraudulent", "merchant_blacklist"),
        *("security_violation", "highest_risk_level", "elevated_risk_level", "rule", "testmode_decline"),
        *("do_not_try_again", "no_action_taken", "revocation_of_authorization", "stop_payment_order"),
        *("revocation_of_all_authorizations", "invalid_account", "new_account_information_available"),
        *("card_not_supported", "currency_not_supported", "service_not_allowed", "transaction_not_allowed"),
        *("not_permitted", "invalid_amount", "duplicate_transaction", "authentication_required"),
        *("authentication_not_handled", "mobile_device_authentication_required", "offline_pin_required"),
        *("online_or_offline_pin_required", "pin_try_exceeded", "incorrect_pin", "invalid_pin"),
        *("expired_card", "incorrect_cvc", "invalid_cvc", "incorrect_number", "invalid_number"),
        *("incorrect_zip", "incorrect_address", "invalid_expiry_month", "invalid_expiry_year"),
    )
)
"""Declines that the same card gives again, or that only the customer can lift: never tried again.

https://docs.stripe.com/declines/codes, read on 2026-11-23: those whose next step is anything but another attempt.
"""

SOFT_DECLINES = frozenset(
    (
        *("insufficient_funds", "card_velocity_exceeded", "withdrawal_count_limit_exceeded"),
        *("generic_decline", "do_not_honor", "call_issuer", "approve_with_id"),
        *("try_again_later", "processing_error", "issuer_not_available", "reenter_transaction"),
    )
)
"""Declines that pass by themselves: money comes in, limits are reset, an issuer is back. Same source."""

HARD_ADVICE = frozenset(("do_not_try_again", "confirm_card_data"))
"""Advice codes that forbid another attempt with the same card data.

https://docs.stripe.com/declines/card#retrying-issuer-declines, read on 2026-11-23.
"""


class DeclineKind(StrEnum):
    """What a decline means for another attempt."""

    HARD = "hard"
    SOFT = "soft"
    UNKNOWN = "unknown"


def decline_kind(decline_code: str | None, advice_code: str | None) -> DeclineKind:
    """What a decline and the network's advice mean together; the stricter one counts.

    Advice to try again never makes a hard decline soft, and does not make an unknown code known.
    """
    if advice_code in HARD_ADVICE or decline_code in HARD_DECLINES:
        return DeclineKind.HARD
    if decline_code in SOFT_DECLINES and advice_code in (None, "try_again_later"):
        return DeclineKind.SOFT
    return DeclineKind.UNKNOWN


@dataclass(frozen=True)
class Card:
    """A card as the gateway tells it apart; `brand` is None when unknown."""

    fingerprint: str
    brand: str | None


@dataclass(frozen=True)
class CardAttempt:
    """One attempt to charge a card, by whomever: when, and for what."""

    made_at: dt.datetime
    amount_minor: int
    currency: str


def reached_cap(
    attempts: Iterable[CardAttempt],
    *,
    brand: str | None,
    amount_minor: int,
    currency: str,
    now: dt.datetime,
    caps: Sequence[NetworkCap] = thresholds.NETWORK_CAPS,
) -> NetworkCap | None:
    """The first cap that forbids another attempt of this amount on a card now; None when all leave room.

    A network without a published cap, or an unknown one, gets those of all the others.

    Args:
        attempts: Every attempt on the card, paid ones and those of unknown outcome included.
        brand: The card's network, such as `visa`.
        amount_minor: What would be charged.
        currency: In which currency.
        now: When (UTC). Attempts after it, as a clock that is behind sees them, count.
        caps: The caps.
    """
    known = list(attempts)
    has_own = any(cap.brand == brand for cap in caps)
    for cap in caps:
        if has_own and cap.brand != brand:
            continue
        count = sum(
            attempt.made_at > now - cap.window
            and (
                not cap.is_per_amount or (attempt.amount_minor, attempt.currency) == (amount_minor, currency)
            )
            for attempt in known
        )
        if count >= cap.attempts_count:
            return cap
    return None


@dataclass(frozen=True)
class FailedPayment:
    """A payment whose last attempt was declined.

    Attributes:
        payment_id: The marketplace's payment.
        payment_intent_id: Its intent.
        amount_minor: Amount due in minor units.
        currency: ISO 4217 code.
        first_failed_at: When an attempt first failed (UTC).
        last_attempt_at: When one was last made, by whomever (UTC).
        decline_code: Why the last one failed.
        advice_code: What the network advises after it.
        card: The card that was tried; None when the gateway does not name it.
        own_attempts_count: Attempts that the platform made.
        obstacle: Why it can't be retried whatever its decline; None when nothing stands in the way.
    """

    payment_id: str
    payment_intent_id: str
    amount_minor: int
    currency: str
    first_failed_at: dt.datetime
    last_attempt_at: dt.datetime
    decline_code: str | None
    advice_code: str | None
    card: Card | None
    own_attempts_count: int
    obstacle: str | None = None


class Action(StrEnum):
    """What becomes of a failed payment."""

    RETRY = "retry"
    WAIT = "wait"
    HOLD_OUT = "hold out"
    LEAVE = "leave"


@dataclass(frozen=True)
class Decision:
    """What becomes of a failed payment, and why.

    Attributes:
        payment: The payment.
        action: What is done now.
        reason: One phrase for a person.
        due_at: When the next attempt is due (UTC); None when there is none.
    """

    payment: FailedPayment
    action: Action
    reason: str
    due_at: dt.datetime | None = None


@dataclass(frozen=True)
class RetryPolicy:
    """The numbers of the decisions; the defaults are `thresholds.py`'s.

    Attributes:
        waits: Decline code to the waits before the platform's first, second … attempt; the key None holds for others.
        max_age: From the first failure; older payments are left.
        caps: The card networks' caps.
        holdout_share: Share of due payments that are not retried, for comparison.
        attempts_per_run: Most attempts of one run.
        breaker: What stops the retries; None for no breaker.
    """

    waits: Mapping[str | None, Sequence[dt.timedelta]] = field(default_factory=lambda: thresholds.RETRY_WAITS)
    max_age: dt.timedelta = thresholds.RETRY_MAX_AGE
    caps: Sequence[NetworkCap] = thresholds.NETWORK_CAPS
    holdout_share: float = 0.0
    attempts_per_run: int = thresholds.RETRY_ATTEMPTS_PER_RUN
    breaker: Breaker | None = field(default_factory=lambda: Breaker())


@dataclass(frozen=True)
class Breaker:
    """When the retries stop by themselves.

    Attributes:
        window: How far back attempts are looked at; once it has passed without any, retries begin again.
        min_attempts_count: Fewer than this say nothing.
        declined_ratio: Bound of the share that was declined.
        unknown_ratio: Bound of the share that had no outcome at first.
    """

    window: dt.timedelta = thresholds.BREAKER_WINDOW
    min_attempts_count: int = thresholds.BREAKER_MIN_ATTEMPTS
    declined_ratio: Threshold = thresholds.BREAKER_DECLINED_RATIO
    unknown_ratio: Threshold = thresholds.BREAKER_UNKNOWN_RATIO

    def reason(self, states: Counter[str]) -> str | None:
        """Why the retries stop; None when they go on.

        Args:
            states: Number of the window's attempts by state.
        """
        total = states.total()
        if total < self.min_attempts_count:
            return None
        for name, threshold, count in (
            ("declined", self.declined_ratio, states["declined"]),
            ("without an outcome", self.unknown_ratio, states["sent"] + states["needs_person"]),
        ):
            if not threshold.holds(count / total):
                hours = self.window.total_seconds() / 3600
                return (
                    f"{count} of {total} attempts of the last {hours:g} hours are {name}: {threshold.reason}"
                )
        return None


def is_held_out(payment_id: str, holdout_share: float) -> bool:
    """Whether a payment is left alone for comparison: by a hash of its id, so the same every time and of nothing else."""
    digest = hashlib.sha256(f"payment retry hold-out/{payment_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < holdout_share * 2**64


def decide(
    payment: FailedPayment,
    *,
    policy: RetryPolicy,
    now: dt.datetime,
    card_attempts: Iterable[CardAttempt] = (),
    is_in_holdout: bool | None = None,
) -> Decision:
    """What becomes of one failed payment.

    Args:
        payment: The payment.
        policy: The numbers.
        now: The present moment (UTC).
        card_attempts: Every attempt on its card, over all payments.
        is_in_holdout: What was decided when it was first due; None when it never was.
    """

    def leave(reason: str) -> Decision:
        return Decision(payment, Action.LEAVE, reason)

    if payment.obstacle is not None:
        return leave(payment.obstacle)
    kind = decline_kind(payment.decline_code, payment.advice_code)
    if kind is DeclineKind.HARD:
        advice = f", advice {payment.advice_code}" if payment.advice_code in HARD_ADVICE else ""
        return leave(f"hard decline ({payment.decline_code or 'no code'}{advice})")
    if kind is DeclineKind.UNKNOWN:
        return leave(f"decline not known to pass ({payment.decline_code or 'no code'})")
    if payment.card is None:
        return leave("the gateway does not name the card, so its attempts can't be counted")
    waits = policy.waits.get(payment.decline_code, policy.waits[None])
    if payment.own_attempts_count >= len(waits):
        return leave(f"all {len(waits)} attempts are used up")
    due_at = payment.last_attempt_at + waits[payment.own_attempts_count]
    ends_at = payment.first_failed_at + policy.max_age
    if max(due_at, now) > ends_at:
        return leave(f"too old: {policy.max_age.days} days after its first failure nothing is tried")
    if due_at > now:
        return Decision(payment, Action.WAIT, f"soft decline ({payment.decline_code})", due_at)
    held_out = (
        is_held_out(payment.payment_id, policy.holdout_share) if is_in_holdout is None else is_in_holdout
    )
    if held_out:
        return Decision(payment, Action.HOLD_OUT, "left alone for comparison")
    cap = reached_cap(
        card_attempts,
        brand=payment.card.brand,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        now=now,
        caps=policy.caps,
    )
    if cap is not None:
        return Decision(payment, Action.WAIT, f"the card is at its network's cap ({cap.describe()})")
    return Decision(payment, Action.RETRY, f"soft decline ({payment.decline_code})", due_at)


def plan(
    payments: Iterable[FailedPayment],
    *,
    policy: RetryPolicy,
    now: dt.datetime,
    card_attempts: Mapping[str, Sequence[CardAttempt]],
    arms: Mapping[str, bool],
) -> list[Decision]:
    """What becomes of every failed payment; those to retry come first, the longest due of them first.

    Args:
        payments: The failed payments.
        policy: The numbers; what exceeds `attempts_per_run` waits for the next run.
        now: The present moment (UTC).
        card_attempts: Attempts by card fingerprint. Those planned here are counted on top.
        arms: Payment to whether it is held out, for those that were due before.
    """
    planned: dict[str, list[CardAttempt]] = {}
    decisions = []
    retries_count = 0
    for payment in sorted(payments, key=lambda each: (each.last_attempt_at, each.payment_id)):
        fingerprint = payment.card.fingerprint if payment.card else ""
        decision = decide(
            payment,
            policy=policy,
            now=now,
            card_attempts=[*card_attempts.get(fingerprint, ()), *planned.get(fingerprint, ())],
            is_in_holdout=arms.get(payment.payment_id),
        )
        if decision.action is Action.RETRY:
            if retries_count == policy.attempts_per_run:
                decision = Decision(payment, Action.WAIT, "this run's attempts are used up", decision.due_at)
            else:
                retries_count += 1
                planned.setdefault(fingerprint, []).append(
                    CardAttempt(now, payment.amount_minor, payment.currency)
                )
        decisions.append(decision)
    order = list(Action)
    return sorted(decisions, key=lambda each: order.index(each.action))
