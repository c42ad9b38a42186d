import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.currencies import gateway_from_minor, minor_from_gateway
from platform_assets.sandbox.stripe.cards import CARDS
from platform_assets.sandbox.stripe.defaults import DEFAULTS
from platform_assets.sandbox.stripe.objects import (
    CURRENCIES,
    amount_step,
    charge_object,
    charge_transaction_object,
    exponent,
    fee_minor,
    formatted,
    new_object,
    payment_method_object,
    refund_transaction_object,
)

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "stripe_fixtures3.json"

# Fields that Stripe's documentation says are always there, of the kinds that the platform reads.
REQUIRED = {
    "payment_intent": "id object amount amount_received created currency customer last_payment_error latest_charge "
    "livemode metadata payment_method payment_method_types status",
    "charge": "id object amount amount_captured amount_refunded balance_transaction captured created currency "
    "customer disputed failure_code failure_message livemode metadata outcome paid payment_intent refunded status",
    "refund": "id object amount balance_transaction charge created currency metadata payment_intent reason status",
    "balance_transaction": "id object amount available_on created currency exchange_rate fee fee_details net "
    "reporting_category source status type",
}


@pytest.fixture(scope="module")
def published():
    if not FIXTURES.exists() and "CI" not in os.environ:
        pytest.skip("Stripe's published fixtures are not at hand")
    return json.loads(FIXTURES.read_text())["resources"]


def served_objects():
    intent = new_object("payment_intent", id="pi_1", amount=1099, currency="usd", customer="cus_1")
    method = payment_method_object(id="pm_1", created=1, card=CARDS["pm_card_visa"])
    decline = CARDS["pm_card_chargeDeclinedInsufficientFunds"]
    charge = charge_object(
        id="ch_1",
        created=1,
        intent=intent,
        payment_method=method,
        decline=None,
        balance_transaction="txn_1",
    )
    failed = charge_object(
        id="ch_2",
        created=1,
        intent=intent,
        payment_method=method,
        decline=decline,
        balance_transaction=None,
    )
    refund = new_object("refund", id="re_1", amount=99, charge="ch_1", currency="usd", payment_intent="pi_1")
    return [
        intent,
        method,
        charge,
        failed,
        refund,
        charge_transaction_object(id="txn_1", charge=charge),
        refund_transaction_object(id="txn_2", refund=refund),
        new_object("customer", id="cus_1"),
    ]


def differences(served, published, path):
    """Fields served that are not published, or with another JSON type; null is free, as everywhere with Stripe."""
    if served is None or published is None:
        return []
    if isinstance(served, dict) and isinstance(published, dict):
        if path.endswith(".metadata"):
            return []
        unknown = [f"{path}.{name} is not published" for name in served.keys() - published.keys()]
        known = served.keys() & published.keys()
        return unknown + [
            each for name in known for each in differences(served[name], published[name], f"{path}.{name}")
        ]
    return [] if type(served) is type(published) else [f"{path}: {served!r} for {published!r}"]


# The published charge's outcome lacks this one, which https://docs.stripe.com/api/charges/object documents.
DOCUMENTED_ELSEWHERE = {"charge.outcome.risk_level is not published"}


def test_every_served_field_is_stripes_with_its_type(published):
    found = [
        each
        for served in served_objects()
        for each in differences(served, published[served["object"]], served["object"])
    ]

    assert set(found) <= DOCUMENTED_ELSEWHERE


@pytest.mark.parametrize("kind", REQUIRED)
def test_the_fields_that_are_always_there_are_served(kind, published):
    required = set(REQUIRED[kind].split())

    assert required <= DEFAULTS[kind].keys()
    assert required <= published[kind].keys()


@given(st.integers(min_value=1, max_value=99_999_999), st.sampled_from(sorted(CURRENCIES)))
def test_a_fee_is_the_percentage_rounded_half_up_and_the_fixed_part(amount_minor, currency):
    step = amount_step(currency)
    fixed = {1: 30, 10: 100, 100: 3_000}[step]
    amount_minor = max(step, amount_minor // step * step)
    fee = fee_minor(amount_minor, currency)

    assert 0 < fee <= amount_minor
    assert fee % step == 0
    if fee < amount_minor:
        assert abs((fee - fixed) * 1000 - amount_minor * 29) <= 500 * step


def test_fees_of_known_amounts():
    assert fee_minor(1099, "usd") == 32 + 30  # 31.871
    assert fee_minor(10_000, "jpy") == 290 + 30
    assert fee_minor(1_500, "kwd") == 40 + 100  # 43.5, to a multiple of ten
    assert fee_minor(20, "usd") == 20
    assert (
        fee_minor(500_000, "ugx") == 14_500 + 3_000
    )  # 5,000 shillings, counted in hundredths that are always 00


@given(st.integers(min_value=1, max_value=99_999), st.sampled_from(sorted(CURRENCIES)))
def test_every_amount_that_is_served_is_one_in_the_currencys_own_minor_unit(steps_count, currency):
    amount = steps_count * amount_step(currency)

    for served in (amount, fee_minor(amount, currency)):
        own = minor_from_gateway(served, currency.upper())
        assert gateway_from_minor(own, currency.upper()) == served


def test_what_is_left_of_a_charge_and_its_fee_make_up_its_amount():
    charge = new_object("charge", id="ch_1", amount=1099, currency="usd", created=1_700_000_000)
    transaction = charge_transaction_object(id="txn_1", charge=charge)

    assert transaction["net"] + transaction["fee"] == transaction["amount"] == 1099
    assert sum(each["amount"] for each in transaction["fee_details"]) == transaction["fee"]


def test_a_refunds_transaction_takes_the_amount_and_gives_no_fee_back():
    refund = new_object("refund", id="re_1", amount=500, currency="usd", created=1_700_000_000)
    transaction = refund_transaction_object(id="txn_1", refund=refund)

    assert (transaction["amount"], transaction["fee"], transaction["net"]) == (-500, 0, -500)


def test_amounts_are_written_with_the_decimals_of_their_currency():
    assert [exponent(code) for code in ("usd", "JPY", "kwd", "ugx", "mga")] == [2, 0, 3, 2, 0]
    assert formatted(123_456, "usd") == "$1,234.56"
    assert formatted(500, "jpy") == "¥500"
    assert formatted(1_500, "kwd") == "1.500 KWD"
