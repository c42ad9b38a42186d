"""Stripe's objects become rows, linked to their payment; what can be no row is set aside with its reason."""

import datetime as dt
import json
import os
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from platform_assets.payments.gateway_objects import (
    COLUMNS,
    OBJECT_TYPES,
    Observation,
    TransactionRows,
    find_referenced_ids,
)
from platform_assets.payments.gateway_objects import transaction_rows as rows_of_observations
from platform_assets.tables import payments as tables

CREATED = int(dt.datetime(2026, 3, 4, 23, 59, 59, tzinfo=dt.UTC).timestamp())
FIXTURES = Path(__file__).parents[3] / "shared" / "data" / "stripe_fixtures3.json"

Object = dict[str, Any]

SHOWN_AT = dt.datetime(2026, 3, 5, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def transaction_rows(objects: list[Object], *, known: pd.DataFrame | None = None) -> TransactionRows:
    """Rows of objects that were all shown at once."""
    return rows_of_observations([Observation(item, SHOWN_AT) for item in objects], known=known)


def intent(**changes: Any) -> Object:
    basis = {"id": "pi_1", "object": "payment_intent", "amount": 5000, "currency": "usd", "created": CREATED}
    more = {"status": "succeeded", "metadata": {"payment_id": "P1"}, "latest_charge": "ch_1"}
    return {**basis, **more, "client_secret": "pi_1_secret_x", **changes}


def charge(**changes: Any) -> Object:
    basis = {"id": "ch_1", "object": "charge", "amount": 5000, "currency": "usd", "created": CREATED}
    return {**basis, "status": "succeeded", "metadata": {}, "payment_intent": "pi_1", **changes}


def refund(**changes: Any) -> Object:
    basis = {"id": "re_1", "object": "refund", "amount": 700, "currency": "usd", "created": CREATED}
    return {**basis, "status": "succeeded", "metadata": {}, "charge": "ch_1", **changes}


def balance(**changes: Any) -> Object:
    basis = {"id": "txn_1", "object": "balance_transaction", "amount": 5000, "currency": "usd"}
    more = {"fee": 175, "net": 4825, "type": "charge", "source": "ch_1", "status": "available"}
    return {**basis, **more, "created": CREATED, "available_on": CREATED, **changes}


def dispute(**changes: Any) -> Object:
    basis = {"id": "dp_1", "object": "dispute", "amount": 5000, "currency": "usd", "created": CREATED}
    return {**basis, "status": "needs_response", "reason": "fraudulent", "charge": "ch_1", **changes}


def payout(**changes: Any) -> Object:
    basis = {"id": "po_1", "object": "payout", "amount": 4125, "currency": "usd", "created": CREATED}
    more = {"status": "in_transit", "automatic": True, "reconciliation_status": "completed"}
    return {**basis, **more, "arrival_date": CREATED + 86_400, **changes}


def row_of(objects: list[Object], object_id: str, known: pd.DataFrame | None = None) -> dict[str, Any]:
    rows = transaction_rows(objects, known=known)
    assert rows.bad_rows == ()
    (row,) = rows.transactions[rows.transactions["object_id"] == object_id].to_dict("records")
    return {str(name): value for name, value in row.items()}


def reason_of(item: Object) -> str:
    rows = transaction_rows([item])
    assert rows.transactions.empty
    (bad,) = rows.bad_rows
    return bad.reason


def test_columns_are_those_of_the_table() -> None:
    assert [c.name for c in tables.gateway_transactions.columns if c.name != "updated_at"] == COLUMNS
    assert list(transaction_rows([]).transactions.columns) == COLUMNS


def test_a_balance_transaction_keeps_its_sign_fee_net_and_days_in_utc() -> None:
    row = row_of([balance(amount=-700, fee=-20, net=-680, type="refund", source="re_9")], "txn_1")
    assert (row["amount_minor"], row["fee_minor"], row["net_minor"]) == (-700, -20, -680)
    assert (row["kind"], row["currency"], row["available_on"]) == ("refund", "USD", dt.date(2026, 3, 4))
    assert row["created_at"] == dt.datetime(2026, 3, 4, 23, 59, 59, tzinfo=dt.UTC)


def test_every_object_finds_its_payment_through_its_neighbours_in_any_order() -> None:
    objects = [
        balance(),
        balance(id="txn_2", type="refund", source="re_1", amount=-700, fee=0, net=-700),
        refund(),
        charge(),
        intent(),
    ]
    for seed in range(5):
        shuffled = random.Random(seed).sample(objects, len(objects))
        rows = transaction_rows(shuffled).transactions
        assert rows["payment_id"].tolist() == ["P1"] * 5
        assert rows["payment_intent_id"].tolist() == ["pi_1"] * 5
        assert rows["charge_id"].tolist() == ["ch_1"] * 5


def test_neighbours_of_an_earlier_read_link_as_well() -> None:
    earlier = transaction_rows([intent(), charge()]).transactions
    late = [refund(), balance(id="txn_2", type="refund", source="re_1", amount=-700, fee=0, net=-700)]
    assert find_referenced_ids(late) == {"ch_1", "re_1", "txn_2"}
    rows = transaction_rows(late, known=earlier).transactions
    assert rows["payment_id"].tolist() == ["P1", "P1"]
    assert rows["payment_intent_id"].tolist() == ["pi_1", "pi_1"]


def test_a_link_that_is_known_is_not_lost_when_an_object_comes_again_without_it() -> None:
    earlier = transaction_rows([intent(), charge()]).transactions
    row = row_of([charge(payment_intent=None)], "ch_1", known=earlier)
    assert (row["payment_intent_id"], row["payment_id"]) == ("pi_1", "P1")


def test_a_charge_without_an_intent_belongs_to_none() -> None:
    row = row_of([charge(payment_intent=None)], "ch_1")
    assert (row["payment_intent_id"], row["payment_id"], row["charge_id"]) == (None, None, "ch_1")


def test_expanded_references_count_like_plain_ones() -> None:
    assert row_of([balance(source=charge())], "txn_1")["charge_id"] == "ch_1"


def test_a_deleted_customer_is_still_the_one_who_paid() -> None:
    gone = {"id": "cus_1", "object": "customer", "deleted": True}

    assert row_of([charge(id="ch_9", customer=gone)], "ch_9")["customer_id"] == "cus_1"


def test_the_later_of_two_states_of_an_object_counts() -> None:
    rows = transaction_rows([charge(status="pending"), charge(status="succeeded")]).transactions
    assert rows["status"].tolist() == ["succeeded"]


def test_an_older_state_never_replaces_a_newer_one() -> None:
    known = transaction_rows([charge(status="succeeded")]).transactions
    late = [Observation(charge(status="pending"), SHOWN_AT - SECOND)]
    assert rows_of_observations(late, known=known).transactions.empty
    newer = [Observation(charge(status="failed"), SHOWN_AT + SECOND), *late]
    assert rows_of_observations(newer, known=known).transactions["status"].tolist() == ["failed"]


def test_a_dispute_that_is_won_after_it_was_lost_is_won() -> None:
    states = [
        Observation(dispute(status=status), SHOWN_AT + n * SECOND)
        for n, status in enumerate(["lost", "under_review", "won"])
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        rows = rows_of_observations([states[n] for n in order]).transactions
        assert rows["status"].tolist() == ["won"]


def test_what_a_card_a_decline_and_a_dispute_tell_is_kept() -> None:
    declined = charge(
        status="failed",
        failure_code="card_declined",
        outcome={
            "type": "issuer_declined",
            "reason": "insufficient_funds",
            "advice_code": "try_again_later",
            "network_decline_code": "51",
        },
        payment_method_details={"card": {"brand": "visa", "fingerprint": "F1"}},
        customer="cus_1",
    )
    row = row_of([declined, intent()], "ch_1")
    assert (row["card_brand"], row["card_fingerprint"], row["customer_id"]) == ("visa", "F1", "cus_1")
    assert (row["failure_code"], row["advice_code"], row["network_decline_code"]) == (
        "insufficient_funds",
        "try_again_later",
        "51",
    )
    assert (row["captured_minor"], row["refunded_minor"]) == (0, 0)
    row = row_of([dispute(), charge(), intent()], "dp_1")
    assert (row["reason"], row["payment_id"], row["charge_id"]) == ("fraudulent", "P1", "ch_1")


@pytest.mark.parametrize(
    ("changes", "captured"),
    [({}, 5000), ({"captured": False}, 0), ({"amount_captured": 4000}, 4000), ({"status": "pending"}, 0)],
)
def test_what_a_charge_captured_is_told_apart_from_what_it_asked_for(
    changes: dict[str, Any], captured: int
) -> None:
    assert row_of([charge(**changes)], "ch_1")["captured_minor"] == captured


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "automatic"),
        ({"automatic": False}, "manual"),
        ({"reconciliation_status": "in_progress"}, "settling"),
    ],
)
def test_a_payout_says_whether_its_transactions_can_be_asked_for(changes: dict[str, Any], kind: str) -> None:
    row = row_of([payout(amount=-10, **changes)], "po_1")
    assert (row["kind"], row["amount_minor"], row["available_on"]) == (kind, -10, dt.date(2026, 3, 5))


def test_a_transaction_keeps_the_payout_in_whose_list_it_stood() -> None:
    paid_out = rows_of_observations([Observation(balance(), SHOWN_AT, "po_1")]).transactions
    assert paid_out["payout_id"].tolist() == ["po_1"]
    again = [Observation(balance(), SHOWN_AT + SECOND)]
    assert rows_of_observations(again, known=paid_out).transactions["payout_id"].tolist() == ["po_1"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (charge(status="failed", failure_code="card_declined"), "card_declined"),
        (
            charge(
                status="failed",
                failure_code="card_declined",
                outcome={"type": "issuer_declined", "reason": "insufficient_funds"},
            ),
            "insufficient_funds",
        ),
        (charge(outcome={"type": "manual_review", "reason": "elevated_risk_level"}), None),
        (intent(last_payment_error={"code": "card_declined", "decline_code": "lost_card"}), "lost_card"),
        (intent(last_payment_error={"code": "expired_card"}), "expired_card"),
        (intent(last_payment_error=None), None),
        (refund(status="failed", failure_reason="expired_or_canceled_card"), "expired_or_canceled_card"),
    ],
)
def test_the_failure_code_is_the_issuers_where_it_gave_one(item: Object, code: str | None) -> None:
    assert row_of([item], item["id"])["failure_code"] == code


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (charge(amount=None), "amount is null"),
        ({name: value for name, value in charge().items() if name != "amount"}, "amount is missing"),
        (charge(amount=12.5), "amount is 12.5"),
        (charge(amount="100"), "amount is '100'"),
        (charge(amount=True), "amount is True"),
        (charge(amount=-1), "below 0"),
        (charge(amount=10**16), "beyond"),
        (charge(currency=None), "currency is None"),
        (charge(currency="xau"), "currency is 'xau'"),
        (charge(currency="ugx", amount=501), "no multiple of 100"),
        (charge(created=None), "created is null"),
        (charge(created="2026-03-04"), "created is '2026-03-04'"),
        (charge(created=10**18), "beyond all dates"),
        (charge(id=None), "id is missing"),
        (charge(object="topup"), "object is 'topup'"),
        (charge(amount_refunded=-1), "amount_refunded is -1, below 0"),
        (payout(arrival_date=None), "arrival_date is null"),
        (balance(fee=None), "fee is null"),
        (balance(net=1), "net is not amount less fee"),
        (balance(available_on=None), "available_on is null"),
    ],
)
def test_what_can_be_no_row_is_set_aside_with_its_reason(item: Object, reason: str) -> None:
    assert reason in reason_of(item)


def test_a_bad_object_does_not_stop_the_good_ones() -> None:
    rows = transaction_rows([charge(amount=None), refund(charge=None)])
    assert rows.transactions["object_id"].tolist() == ["re_1"]
    assert [bad.row_key for bad in rows.bad_rows] == ["ch_1"]


def test_quarantine_keeps_no_client_secret_and_no_personal_data() -> None:
    (bad,) = transaction_rows([intent(amount=None, receipt_email="someone@example.org")]).bad_rows
    assert "secret" not in json.dumps(bad.payload)
    assert "example.org" not in json.dumps(bad.payload)
    assert bad.payload["metadata"] == {"payment_id": "P1"}  # type: ignore[call-overload]


def test_an_object_without_an_id_has_the_same_key_at_every_run() -> None:
    keys = {transaction_rows([charge(id=None)]).bad_rows[0].row_key for _ in range(2)}
    assert len(keys) == 1


def test_stripes_counting_becomes_isos() -> None:
    assert row_of([charge(currency="ugx", amount=500)], "ch_1")["amount_minor"] == 5
    assert row_of([charge(currency="jpy", amount=500)], "ch_1")["amount_minor"] == 500


def test_stripes_own_examples_become_rows() -> None:
    if not FIXTURES.exists():
        assert "CI" not in os.environ, f"{FIXTURES} is missing"
        pytest.skip("no shared data")
    resources = json.loads(FIXTURES.read_text())["resources"]
    examples = [resources[name] for name in OBJECT_TYPES]
    rows = transaction_rows(examples)
    assert rows.bad_rows == ()
    assert len(rows.transactions) == len(OBJECT_TYPES)
