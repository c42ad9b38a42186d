"""Measures of the gateway: ratios keep their counts, small ones their interval, and currencies apart."""

import datetime as dt

import pandas as pd
import pytest

from platform_assets.clients.gateway_calls import operation_of, outcome_of
from platform_assets.payments.gateway_metrics import measure, newcombe_interval, wilson_interval

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
CHARGE = {
    "object_id": "ch_1",
    "object_type": "charge",
    "payment_intent_id": "pi_1",
    "charge_id": "ch_1",
    "kind": None,
    "status": "succeeded",
    "failure_code": None,
    "amount_minor": 100,
    "fee_minor": None,
    "currency": "EUR",
}


def frame(rows, columns=tuple(CHARGE)):
    return pd.DataFrame([CHARGE | row for row in rows], columns=list(columns))


def measures(charges=(), others=(), calls=(), arms=()):
    rows = measure(
        frame(charges),
        frame(others),
        calls=pd.DataFrame(list(calls), columns=["latency_ms", "outcome"]),
        arms=pd.DataFrame(list(arms), columns=["arm", "amount_minor", "currency", "is_recovered"]),
        measured_at=NOW,
    )
    return {
        (row["currency"], row["metric"] + (f" {row['label']}" if row["label"] else "")): row
        for row in rows.astype(object).where(rows.notna(), None).to_dict("records")
    }


def test_attempts_payments_and_recovery_are_told_apart():
    found = measures(
        [
            {"object_id": "a", "status": "failed", "failure_code": "insufficient_funds"},
            {"object_id": "b", "status": "failed", "failure_code": "do_not_honor"},
            {"object_id": "c"},
            {"object_id": "d", "payment_intent_id": "pi_2", "status": "failed", "amount_minor": 300},
            {"object_id": "e", "payment_intent_id": None},
            {"object_id": "f", "currency": "JPY", "amount_minor": 7},
            {"object_id": "g", "status": "pending"},
        ]
    )

    def ratio(name, currency="EUR"):
        return found[currency, name]["part"], found[currency, name]["total"]

    assert ratio("authorization_per_attempt_ratio") == (2, 5)
    assert ratio("authorization_per_payment_ratio") == (2, 3)
    assert ratio("authorization_per_payment_ratio", "JPY") == (1, 1)
    assert ratio("recovery_ratio") == (1, 2)
    assert ratio("recovered_amount_ratio") == (100, 400)
    assert ratio("decline_share_ratio insufficient_funds") == (1, 3)
    assert ratio("decline_share_ratio unknown") == (1, 3)


def test_fees_refunds_and_disputes_are_shares_of_what_was_paid():
    sale = {"object_type": "balance_transaction", "kind": "charge", "fee_minor": 3}
    found = measures(
        [{}, {"object_id": "ch_2", "payment_intent_id": "pi_2"}],
        [
            sale,
            sale,
            {"object_type": "refund", "amount_minor": 50},
            {"object_type": "refund", "amount_minor": 9, "status": "failed"},
            {"object_type": "dispute"},
            {"object_type": "dispute"},
        ],
    )

    assert found["EUR", "fee_ratio"]["value"] == 0.03
    assert found["EUR", "refunded_amount_ratio"]["value"] == 0.25
    assert (found["EUR", "dispute_ratio"]["part"], found["EUR", "dispute_ratio"]["total"]) == (1, 2)


def test_nothing_to_measure_is_no_value():
    found = measures()

    assert found["", "latency_p95_ms"]["value"] is None
    assert found["", "call_error_ratio"]["value"] is None


def test_latency_and_errors_are_those_of_the_calls():
    found = measures(calls=[(float(each), "ok" if each else "transient") for each in range(101)])

    assert (found["", "latency_p50_ms"]["value"], found["", "latency_p95_ms"]["value"]) == (50.0, 95.0)
    assert (found["", "call_error_ratio"]["part"], found["", "call_error_ratio"]["total"]) == (1, 101)


def test_what_retries_recover_is_the_difference_to_the_holdout():
    arms = [("retried", 100, "EUR", each < 6) for each in range(10)]
    arms += [("held_out", 100, "EUR", each < 2) for each in range(10)]
    found = measures(arms=arms)

    assert found["EUR", "recovery_uplift"]["value"] == pytest.approx(0.4)
    assert found["EUR", "recovery_uplift"]["low"] < 0.4 < found["EUR", "recovery_uplift"]["high"]
    amount = found["EUR", "recovered_uplift_minor_per_payment"]
    assert amount["value"] == pytest.approx(40)
    assert amount["low"] < 40 < amount["high"]


def test_without_a_holdout_nothing_is_claimed():
    assert ("EUR", "recovery_uplift") not in measures(arms=[("retried", 100, "EUR", True)])


def test_intervals_are_those_of_the_literature():
    # Newcombe 1998, table II: 56/70 and 48/80 by method 10; and 0/10 by Wilson, as in his companion paper's table I.
    assert newcombe_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize(
    ("method", "url", "operation"),
    [
        (
            "post",
            "http://127.0.0.1:1/stripe/v1/payment_intents/pi_3Abc9/confirm",
            "POST /v1/payment_intents/{id}/confirm",
        ),
        ("get", "https://api.stripe.com/v1/charges?limit=100&starting_after=ch_1", "GET /v1/charges"),
        ("get", "https://api.stripe.com/v1/balance_transactions/txn_1", "GET /v1/balance_transactions/{id}"),
    ],
)
def test_a_calls_operation_holds_no_id(method, url, operation):
    assert operation_of(method, url) == operation


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (402, "ok"),
        (404, "ok"),
        (429, "rate_limited"),
        (500, "transient"),
        (409, "transient"),
        (None, "transient"),
        (401, "permanent"),
    ],
)
def test_a_calls_outcome_follows_its_status(status, outcome):
    assert outcome_of(status) == outcome
