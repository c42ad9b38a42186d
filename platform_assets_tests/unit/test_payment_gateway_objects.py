"""Stripe's objects become rows, linked to their payment; what can be no row is set aside with its reason."""

import datetime as dt
import json
import os
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.payments.gateway_objects import (
    COLUMNS,
    FIRST_READ_FROM,
    OVERLAP,
    find_referenced_ids,
    plan_read,
    plan_rereads,
    transaction_rows,
)
from platform_assets.tables import payments as tables

CREATED = int(dt.datetime(2026, 3, 4, 23, 59, 59, tzinfo=dt.UTC).timestamp())
FIXTURES = Path(__file__).parents[3] / "shared" / "data" / "stripe_fixtures3.json"

Object = dict[str, Any]


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
    assert find_referenced_ids(late) == {"ch_1"}
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


def test_the_later_of_two_states_of_an_object_counts() -> None:
    rows = transaction_rows([charge(status="pending"), charge(status="succeeded")]).transactions
    assert rows["status"].tolist() == ["succeeded"]


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
        (charge(object="payout"), "object is 'payout'"),
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


@given(seconds=st.integers(min_value=1_400_000_000, max_value=2_000_000_000))
def test_a_read_reaches_back_behind_the_last_one(seconds: int) -> None:
    read_through = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    assert plan_read(read_through) == read_through - OVERLAP
    assert plan_read(None) == FIRST_READ_FROM


def test_older_objects_are_read_again_when_they_may_have_changed() -> None:
    known = pd.DataFrame(
        [
            ("pi_open", "requires_payment_method"),
            ("pi_paid", "succeeded"),
            ("ch_bank", "pending"),
            ("ch_old", "succeeded"),
            ("re_back", "succeeded"),
            ("ch_1", "pending"),
        ],
        columns=["object_id", "status"],
    )
    objects = [
        charge(),
        charge(id="ch_2", payment_intent="pi_open"),
        charge(id="ch_3", payment_intent="pi_paid"),
        charge(id="ch_4", payment_intent="pi_never_seen"),
        balance(id="txn_2", source="ch_old"),
        balance(id="txn_3", source="re_back"),
        balance(id="txn_4", source="po_1"),
    ]

    rereads = plan_rereads(objects, known=known, quarantined_ids=["txn_9", "ch_2", "row:0f3a"])

    assert rereads == [
        ("charge", "ch_bank"),
        ("payment_intent", "pi_1"),
        ("payment_intent", "pi_never_seen"),
        ("payment_intent", "pi_open"),
        ("refund", "re_back"),
        ("balance_transaction", "txn_9"),
    ]


def test_stripes_own_examples_become_rows() -> None:
    if not FIXTURES.exists():
        assert "CI" not in os.environ, f"{FIXTURES} is missing"
        pytest.skip("no shared data")
    resources = json.loads(FIXTURES.read_text())["resources"]
    examples = [resources[name] for name in ("payment_intent", "charge", "refund", "balance_transaction")]
    rows = transaction_rows(examples)
    assert rows.bad_rows == ()
    assert len(rows.transactions) == 4
