"""A payment's effective status: the gateway decides about money, and frames and SQL agree on every combination."""

import datetime as dt
import itertools

import pandas as pd
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.payments.status import FACTS, EffectiveStatus, effective_payments, effective_status
from platform_assets.tables import marketplace
from platform_assets.tables.payments import gateway_cursors, gateway_transactions

READ_AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)

NOTHING = {
    "application_status": "pending",
    "intent_status": "requires_payment_method",
    "captured_minor": 0,
    "refunded_minor": 0,
    "lost_minor": 0,
    "has_failed": False,
    "is_changed_since_read": False,
}


def status(**facts):
    return effective_status(pd.DataFrame([NOTHING | facts])).iloc[0]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "pending"),
        ({"has_failed": True}, "failed"),
        ({"intent_status": "processing"}, "processing"),
        ({"intent_status": "canceled"}, "cancelled"),
        ({"application_status": "cancelled"}, "cancelled"),
        # A webhook that never came.
        ({"application_status": "processing", "intent_status": "succeeded", "captured_minor": 100}, "paid"),
        # Paid after it was cancelled here: the money is there.
        ({"application_status": "cancelled", "intent_status": "succeeded", "captured_minor": 100}, "paid"),
        ({"captured_minor": 100, "refunded_minor": 40}, "partially_refunded"),
        ({"captured_minor": 100, "refunded_minor": 100}, "refunded"),
        ({"captured_minor": 100, "refunded_minor": 130}, "refunded"),
        ({"captured_minor": 100, "lost_minor": 100}, "charged_back"),
        ({"captured_minor": 100, "lost_minor": 60, "refunded_minor": 40}, "charged_back"),
        # Marked paid, never captured: believed in, not had.
        ({"application_status": "paid", "has_failed": True}, "failed"),
        ({"application_status": "paid", "is_changed_since_read": True}, "paid"),
        ({"application_status": "paid", "intent_status": ""}, "paid"),
    ],
)
def test_the_gateway_decides_about_money(facts, expected):
    assert status(**facts) == expected


def combinations():
    return [
        dict(zip(FACTS, values))
        for values in itertools.product(
            ("pending", "processing", "paid", "failed", "cancelled", "refunded"),
            ("", "requires_payment_method", "processing", "succeeded", "canceled"),
            (0, 100),
            (0, 40, 100),
            (0, 60, 100),
            (False, True),
            (False, True),
        )
        # Without an intent at the gateway there is no charge of it.
        if values[1] or not (any(values[2:5]) or values[5])
    ]


def test_sql_and_frames_agree_on_every_combination(module_database: Database):
    facts = pd.DataFrame(combinations())
    payments, rows = [], []
    for number, item in enumerate(facts.to_dict("records")):
        intent_id = f"pi_{number}"
        payments.append(
            {
                "payment_id": f"p_{number}",
                "contract_id": None,
                "client_id": "c_1",
                "amount_minor": 100,
                "currency": "EUR",
                "status": item["application_status"],
                "gateway": "stripe",
                "payment_intent_id": intent_id,
                "refunded_minor": 0,
                "due_date": READ_AT.date(),
                "created_at": READ_AT,
                "paid_at": None,
                "attempts_count": None,
                "last_attempt_at": None,
                "failure_code": None,
                "updated_at": READ_AT + (HOUR if item["is_changed_since_read"] else -HOUR),
            }
        )

        def row(name, kind, intent_id=intent_id, **values):
            basis = {"object_id": name, "object_type": kind, "payment_intent_id": intent_id}
            more = {"status": None, "amount_minor": 100, "captured_minor": None, "refunded_minor": None}
            return {**basis, **more, "currency": "EUR", "created_at": READ_AT, **values}

        if item["intent_status"]:
            rows.append(row(intent_id, "payment_intent", status=item["intent_status"]))
        if item["captured_minor"] or item["refunded_minor"]:
            amounts = {name: item[name] for name in ("captured_minor", "refunded_minor")}
            rows.append(row(f"ch_{number}", "charge", status="succeeded", **amounts))
        if item["has_failed"]:
            rows.append(row(f"ch_{number}_f", "charge", status="failed", captured_minor=0, refunded_minor=0))
        if item["lost_minor"]:
            rows.append(row(f"dp_{number}", "dispute", status="lost", amount_minor=item["lost_minor"]))
    with module_database.transaction() as connection:
        connection.execute(sa.schema.CreateSchema("marketplace", if_not_exists=True))
        marketplace.metadata.create_all(connection)
        connection.execute(sa.insert(marketplace.payments), payments)
        connection.execute(sa.insert(gateway_transactions), rows)
        connection.execute(
            sa.insert(gateway_cursors), [{"object_type": "payment_intent", "read_through": READ_AT}]
        )

    read = module_database.read(effective_payments())
    read = read.set_index("payment_id").loc[[f"p_{number}" for number in range(len(facts))]]

    assert len(facts) > 500
    pd.testing.assert_frame_equal(
        read[list(FACTS)].reset_index(drop=True).astype(object), facts.astype(object), check_dtype=False
    )
    assert read["effective_status"].tolist() == effective_status(facts).tolist()
    assert set(read["effective_status"]) == {str(value) for value in EffectiveStatus}
