"""Whether a failed payment is charged again: only where decline, schedule, card network and hold-out all allow it."""

import dataclasses
import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets import payment_thresholds as thresholds
from platform_assets.payments.retry_policy import (
    HARD_DECLINES,
    SOFT_DECLINES,
    Action,
    Breaker,
    Card,
    CardAttempt,
    DeclineKind,
    FailedPayment,
    RetryPolicy,
    decide,
    decline_kind,
    is_held_out,
    plan,
    reached_cap,
)

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
POLICY = RetryPolicy()
PAYMENT = FailedPayment(
    payment_id="P1",
    payment_intent_id="pi_1",
    amount_minor=1_000,
    currency="EUR",
    first_failed_at=NOW - 2 * DAY,
    last_attempt_at=NOW - 2 * DAY,
    decline_code="insufficient_funds",
    advice_code="try_again_later",
    card=Card("card1", "visa"),
    own_attempts_count=0,
)


def decided(policy=POLICY, attempts=(), is_in_holdout=None, **changes):
    payment = dataclasses.replace(PAYMENT, **changes)
    return decide(payment, policy=policy, now=NOW, card_attempts=attempts, is_in_holdout=is_in_holdout)


def attempts(count, *, ago=HOUR, amount_minor=1_000, currency="EUR"):
    return [CardAttempt(NOW - ago, amount_minor, currency) for _ in range(count)]


@pytest.mark.parametrize(
    ("code", "advice", "kind"),
    [
        ("insufficient_funds", "try_again_later", DeclineKind.SOFT),
        ("insufficient_funds", None, DeclineKind.SOFT),
        ("insufficient_funds", "do_not_try_again", DeclineKind.HARD),
        ("generic_decline", "confirm_card_data", DeclineKind.HARD),
        ("insufficient_funds", "something_new", DeclineKind.UNKNOWN),
        ("stolen_card", "try_again_later", DeclineKind.HARD),
        ("expired_card", None, DeclineKind.HARD),
        ("a_new_code", "try_again_later", DeclineKind.UNKNOWN),
        ("a_new_code", None, DeclineKind.UNKNOWN),
        (None, None, DeclineKind.UNKNOWN),
        (None, "do_not_try_again", DeclineKind.HARD),
    ],
)
def test_the_stricter_of_decline_and_advice_counts(code, advice, kind):
    assert decline_kind(code, advice) is kind


def test_no_decline_is_both_hard_and_soft():
    assert not HARD_DECLINES & SOFT_DECLINES


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        ({}, Action.RETRY, "soft decline"),
        ({"decline_code": "lost_card"}, Action.LEAVE, "hard decline (lost_card"),
        ({"decline_code": "never_heard_of"}, Action.LEAVE, "not known to pass"),
        ({"card": None}, Action.LEAVE, "does not name the card"),
        ({"obstacle": "the intent is canceled"}, Action.LEAVE, "the intent is canceled"),
        ({"last_attempt_at": NOW - 23 * HOUR}, Action.WAIT, "soft decline"),
        ({"last_attempt_at": NOW + DAY}, Action.WAIT, "soft decline"),
        ({"own_attempts_count": 1}, Action.WAIT, "soft decline"),
        ({"own_attempts_count": 1, "last_attempt_at": NOW - 3 * DAY}, Action.RETRY, "soft decline"),
        ({"own_attempts_count": 4, "last_attempt_at": NOW - 20 * DAY}, Action.LEAVE, "used up"),
        ({"first_failed_at": NOW - 31 * DAY}, Action.LEAVE, "too old"),
        ({"first_failed_at": NOW - 29.5 * DAY, "last_attempt_at": NOW - HOUR}, Action.LEAVE, "too old"),
        ({"decline_code": "processing_error", "last_attempt_at": NOW - 7 * HOUR}, Action.RETRY, "soft"),
    ],
)
def test_a_payment_is_retried_waits_or_is_left_for_a_reason(changes, action, reason):
    decision = decided(**changes)

    assert decision.action is action
    assert reason in decision.reason
    assert (decision.due_at is None) == (action is Action.LEAVE)


@pytest.mark.parametrize(
    ("brand", "made", "is_capped"),
    [
        ("visa", attempts(14, ago=29 * DAY), False),
        ("visa", attempts(15, ago=29 * DAY), True),
        ("visa", attempts(15, ago=30 * DAY), False),
        ("visa", attempts(50, amount_minor=999), False),
        ("visa", attempts(50, currency="USD"), False),
        ("mastercard", attempts(9, amount_minor=5), False),
        ("mastercard", attempts(10, amount_minor=5), True),
        ("mastercard", attempts(10, ago=DAY), False),
        ("mastercard", attempts(34, ago=2 * DAY), False),
        ("mastercard", attempts(35, ago=2 * DAY, currency="JPY"), True),
        ("amex", attempts(10, amount_minor=5), True),
        (None, attempts(15, ago=29 * DAY), True),
        ("visa", attempts(15, ago=-HOUR), True),
    ],
)
def test_attempts_are_counted_as_the_cards_network_does(brand, made, is_capped):
    assert (decided(attempts=made, card=Card("card1", brand)).action is Action.WAIT) == is_capped


def test_every_cap_says_where_it_comes_from():
    assert all("read on 2026" in cap.source for cap in thresholds.NETWORK_CAPS)


def test_a_payment_once_held_out_stays_so_whatever_the_share_is_now():
    assert decided(is_in_holdout=True).action is Action.HOLD_OUT
    assert decided(policy=RetryPolicy(holdout_share=1.0), is_in_holdout=False).action is Action.RETRY
    assert decided(policy=RetryPolicy(holdout_share=1.0)).action is Action.HOLD_OUT


def test_the_holdout_has_its_share_and_is_the_same_every_time():
    ids = [f"pay_{number}" for number in range(10_000)]
    held_out = [is_held_out(each, 0.2) for each in ids]

    assert 0.18 < sum(held_out) / len(ids) < 0.22
    assert held_out == [is_held_out(each, 0.2) for each in ids]
    assert not any(is_held_out(each, 0.0) for each in ids)
    assert all(is_held_out(each, 1.0) for each in ids)
    assert all(is_held_out(each, 0.5) for each, was in zip(ids, held_out) if was)


CARDS = st.builds(Card, st.sampled_from(["a", "b"]), st.sampled_from(["visa", "mastercard", "amex", None]))
MADE = st.builds(
    CardAttempt,
    st.timedeltas(dt.timedelta(0), 40 * DAY).map(lambda ago: NOW - ago),
    st.sampled_from([1_000, 2_000]),
    st.sampled_from(["EUR", "JPY"]),
)


@given(
    st.lists(st.tuples(CARDS, st.sampled_from([1_000, 2_000]), st.sampled_from(["EUR", "JPY"])), max_size=40),
    st.dictionaries(st.sampled_from(["a", "b"]), st.lists(MADE, max_size=20)),
)
def test_a_plan_never_takes_a_card_over_a_cap(wanted, made):
    payments = [
        dataclasses.replace(
            PAYMENT, payment_id=f"P{number}", card=card, amount_minor=amount, currency=currency
        )
        for number, (card, amount, currency) in enumerate(wanted)
    ]
    decisions = plan(payments, policy=POLICY, now=NOW, card_attempts=made, arms={})

    all_made = {fingerprint: list(rows) for fingerprint, rows in made.items()}
    for each in (each.payment for each in decisions if each.action is Action.RETRY):
        before = all_made.setdefault(each.card.fingerprint, [])
        assert not reached_cap(
            before, brand=each.card.brand, amount_minor=each.amount_minor, currency=each.currency, now=NOW
        )
        before.append(CardAttempt(NOW, each.amount_minor, each.currency))
    assert sorted(each.payment.payment_id for each in decisions) == sorted(
        each.payment_id for each in payments
    )


def test_a_run_has_a_bounded_number_of_attempts():
    payments = [
        dataclasses.replace(PAYMENT, payment_id=f"P{number}", card=Card(f"c{number}", "visa"))
        for number in range(9)
    ]
    decisions = plan(payments, policy=RetryPolicy(attempts_per_run=4), now=NOW, card_attempts={}, arms={})

    assert Counter(each.action for each in decisions) == {Action.RETRY: 4, Action.WAIT: 5}


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ({"declined": 19}, None),
        ({"declined": 20}, "declined"),
        ({"declined": 18, "succeeded": 2}, None),
        ({"succeeded": 15, "sent": 5}, None),
        ({"succeeded": 14, "sent": 5, "needs_person": 1}, "without an outcome"),
        ({}, None),
    ],
)
def test_the_breaker_opens_when_declines_or_unknown_outcomes_rise(states, reason):
    found = Breaker().reason(Counter(states))

    assert found is None if reason is None else reason in found
