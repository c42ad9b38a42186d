import datetime as dt
import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from platform_assets.sandbox.generator.generate import generate_world
from platform_assets.sandbox.stripe.cards import CARDS_BY_LAST4
from platform_assets.sandbox.stripe.objects import completed, fee_minor
from platform_assets.sandbox.world import World

ANCHOR = dt.date(2026, 11, 1)
NOW = dt.datetime.combine(ANCHOR, dt.time(), dt.UTC).timestamp()
FIXTURES = Path(__file__).parents[3] / "shared" / "data" / "stripe_fixtures3.json"


@pytest.fixture(scope="module")
def world() -> World:
    return generate_world(seed=20261101, developers_count=1_000, projects_count=200, anchor=ANCHOR)


@pytest.fixture(scope="module")
def objects(world: World) -> dict[str, dict[str, Any]]:
    by_kind: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for body in world.stripe_objects:
        by_kind[body["object"]][body["id"]] = body
    return by_kind


def payments(world: World) -> list[dict[str, Any]]:
    return world.marketplace["payments"].to_dict("records")


def test_each_object_has_an_id_of_its_own(world: World):
    counts = Counter(body["id"] for body in world.stripe_objects)
    assert max(counts.values()) == 1


def test_marketplace_and_gateway_agree_but_for_the_planted_problems(world: World, objects: dict[str, Any]):
    status_at_gateway = {
        "paid": "succeeded",
        "refunded": "succeeded",
        "partially_refunded": "succeeded",
        "failed": "requires_payment_method",
        "pending": "requires_payment_method",
        "cancelled": "canceled",
    }
    amount_breaks, status_breaks = [], []
    for payment in payments(world):
        if payment["payment_intent_id"] is None:
            assert payment["status"] in {"pending", "cancelled"}
            assert payment["attempts_count"] == 0
            continue
        intent = objects["payment_intent"][payment["payment_intent_id"]]
        assert intent["metadata"] == {"payment_id": payment["payment_id"]}
        assert intent["currency"] == payment["currency"].lower()
        if intent["amount"] != payment["amount_minor"]:
            amount_breaks.append(payment["amount_minor"] - intent["amount"])
        if status_at_gateway.get(payment["status"]) != intent["status"]:
            status_breaks.append((payment["status"], intent["status"]))
    assert amount_breaks == [1]
    assert status_breaks == [("processing", "succeeded")]


def test_no_intent_is_captured_twice_and_some_were_tried_several_times(world: World, objects: dict[str, Any]):
    tries = defaultdict(list)
    for charge in objects["charge"].values():
        tries[charge["payment_intent"]].append(charge)
    for intent_id, charges in tries.items():
        charges.sort(key=lambda charge: charge["created"])
        statuses = [charge["status"] for charge in charges]
        assert statuses.count("succeeded") <= 1
        assert "succeeded" not in statuses[:-1]
        assert objects["payment_intent"][intent_id]["latest_charge"] == charges[-1]["id"]
    assert any(len(charges) > 2 for charges in tries.values())
    attempts = {row["payment_intent_id"]: row["attempts_count"] for row in payments(world)}
    assert all(attempts[intent_id] == len(charges) for intent_id, charges in tries.items())


def test_failed_payments_carry_the_decline_code_of_their_last_failed_charge(
    world: World, objects: dict[str, Any]
):
    last_failed: dict[str, Any] = {}
    for charge in sorted(objects["charge"].values(), key=lambda charge: charge["created"]):
        if charge["status"] == "failed":
            assert charge["failure_code"]
            assert charge["failure_message"]
            assert charge["balance_transaction"] is None
            last_failed[charge["payment_intent"]] = charge["outcome"]["reason"]
    for payment in payments(world):
        assert payment["failure_code"] == last_failed.get(payment["payment_intent_id"])
        if payment["status"] == "failed":
            error = objects["payment_intent"][payment["payment_intent_id"]]["last_payment_error"]
            assert payment["failure_code"] == error.get("decline_code", error["code"])
            assert error["payment_method"]["id"] in objects["payment_method"]
    assert {"insufficient_funds", "do_not_honor", "expired_card"} <= set(last_failed.values())


def test_some_failed_payments_can_be_recovered_and_some_cannot(world: World, objects: dict[str, Any]):
    outcomes = set()
    for payment in payments(world):
        if payment["status"] == "failed":
            error = objects["payment_intent"][payment["payment_intent_id"]]["last_payment_error"]
            outcomes.add(CARDS_BY_LAST4[error["payment_method"]["card"]["last4"]].failure_code is None)
    assert outcomes == {True, False}


def test_balance_transactions_follow_the_money(objects: dict[str, Any]):
    for transaction in objects["balance_transaction"].values():
        assert transaction["net"] == transaction["amount"] - transaction["fee"]
        assert transaction["fee"] == sum(detail["amount"] for detail in transaction["fee_details"])
        assert (transaction["status"] == "available") == (transaction["available_on"] <= NOW)
        if transaction["type"] == "charge":
            charge = objects["charge"][transaction["source"]]
            assert charge["balance_transaction"] == transaction["id"]
            assert transaction["amount"] == charge["amount"] == charge["amount_captured"]
            assert transaction["fee"] == fee_minor(charge["amount"], charge["currency"])
        elif transaction["type"] == "refund":
            refund = objects["refund"][transaction["source"]]
            assert transaction["amount"] == -refund["amount"]
        elif transaction["type"] == "payout":
            payout = objects["payout"][transaction["source"]]
            assert transaction["amount"] == -payout["amount"] < 0
        else:
            dispute = objects["dispute"][transaction["source"]]
            assert transaction["reporting_category"] in {"dispute", "dispute_reversal"}
            assert abs(transaction["amount"]) == dispute["amount"]
    captured = [charge for charge in objects["charge"].values() if charge["paid"]]
    disputes = list(objects["dispute"].values())
    assert {dispute["status"] for dispute in disputes} > {"lost", "won"}
    assert len(objects["balance_transaction"]) == (
        len(captured)
        + len(objects["refund"])
        + len(disputes)
        + sum(dispute["status"] == "won" for dispute in disputes)
        + len(objects["payout"])
    )


def test_payouts_pay_out_all_that_became_available_before_the_last_of_them(objects: dict[str, Any]):
    last_at = defaultdict(int)
    paid_out = defaultdict(int)
    for payout in objects["payout"].values():
        last_at[payout["currency"]] = max(last_at[payout["currency"]], payout["created"])
        paid_out[payout["currency"]] += payout["amount"]
    available = defaultdict(int)
    for transaction in objects["balance_transaction"].values():
        currency = transaction["currency"]
        if transaction["type"] != "payout" and transaction["available_on"] <= last_at[currency]:
            available[currency] += transaction["net"]
    assert paid_out == available
    assert objects["payout"]
    for payout in objects["payout"].values():
        assert payout["status"] == ("paid" if payout["arrival_date"] <= NOW else "in_transit")


def test_refunds_are_full_or_partial_and_never_above_the_charge(world: World, objects: dict[str, Any]):
    refunded = {refund["charge"]: refund for refund in objects["refund"].values()}
    for charge in objects["charge"].values():
        refund = refunded.get(charge["id"])
        assert charge["amount_refunded"] == (refund["amount"] if refund else 0)
        assert charge["refunded"] == (charge["amount_refunded"] == charge["amount"])
        if refund:
            assert 0 < refund["amount"] <= charge["amount"]
            assert refund["created"] > charge["created"]
    for payment in payments(world):
        is_partial = 0 < payment["refunded_minor"] < payment["amount_minor"]
        assert (payment["status"] == "partially_refunded") == is_partial


def test_three_decimal_amounts_end_in_zero(objects: dict[str, Any]):
    amounts = [
        body["amount"]
        for kind in ("payment_intent", "charge", "refund")
        for body in objects[kind].values()
        if body["currency"] == "kwd"
    ]
    assert amounts
    assert all(amount % 10 == 0 for amount in amounts)


def test_some_payments_are_overdue_in_several_stages(world: World):
    days_late = [
        (ANCHOR - row["due_date"]).days
        for row in payments(world)
        if row["status"] in {"pending", "failed"} and row["due_date"] < ANCHOR
    ]
    assert len(days_late) > 20
    for low, high in ((1, 30), (31, 60), (61, 90), (91, 400)):
        assert any(low <= days <= high for days in days_late)


def test_every_card_has_a_fingerprint_of_its_own(objects: dict[str, Any]):
    fingerprints = [method["card"]["fingerprint"] for method in objects["payment_method"].values()]
    assert len(fingerprints) == len(set(fingerprints))
    used = {charge["payment_method_details"]["card"]["fingerprint"] for charge in objects["charge"].values()}
    assert used <= set(fingerprints)


def test_objects_have_the_fields_and_types_of_the_gateways_own_examples(world: World):
    if not FIXTURES.exists():
        assert not os.environ.get("CI"), f"{FIXTURES} is missing"
        pytest.skip("no shared data")
    examples = json.loads(FIXTURES.read_text(encoding="utf-8"))["resources"]
    for body in world.stripe_objects:
        body = completed(body)
        example = examples[body["object"]]
        assert not body.keys() - example.keys(), body["object"]
        for name, value in body.items():
            expected = example[name]
            if value is not None and expected is not None:
                assert type(value) is type(expected), f"{body['object']}.{name}"
