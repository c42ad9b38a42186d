"""What the local Stripe API does after a payment: disputes, payouts, events, and the application's webhook."""

import datetime as dt

import pytest
import sqlalchemy as sa
import stripe
from sandbox_server import call, change_behaviour, running_sandbox, stripe_client, world
from small_world import WORLD

from platform_assets.sandbox.load import load_marketplace
from platform_assets.sandbox.process import state_path
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.webhook import deliver_events

DAY_S = 86_400
_PAYMENT = sa.text("SELECT * FROM marketplace.payments WHERE payment_id = :id")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("settlement")


@pytest.fixture(scope="module")
def sandbox(home):
    with running_sandbox(home, loaded=world(stripe_objects=())) as endpoints:
        yield endpoints


@pytest.fixture(scope="module")
def gateway(sandbox):
    with stripe_client(sandbox) as client:
        yield client


def pay(gateway, method="pm_card_visa", amount=10_000, currency="usd"):
    return gateway.payment_intents.create(
        {"amount": amount, "currency": currency, "payment_method": method, "confirm": True}
    )


def run_payouts(sandbox, gateway, at, currency):
    status, _, body = call(sandbox, "POST", "/_sandbox/payouts", {"at": at})
    assert status == 200, body
    made = [gateway.payouts.retrieve(payout_id) for payout_id in body["payouts"]]
    return [payout for payout in made if payout.currency == currency]


def event_types(gateway, object_id):
    events = gateway.events.list({"limit": 100}).data
    return [event.type for event in events if event.data.object["id"] == object_id]


@pytest.mark.parametrize(
    ("words", "status", "kinds"),
    [
        ("winning_evidence", "won", ["dispute", "dispute_reversal"]),
        ("losing_evidence", "lost", ["dispute"]),
    ],
)
def test_a_dispute_takes_the_amount_and_a_fee_and_gives_the_amount_back_when_won(
    gateway, words, status, kinds
):
    intent = pay(gateway, "pm_card_createDispute")
    [dispute] = gateway.disputes.list({"payment_intent": intent.id}).data
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 10_000)
    assert gateway.charges.retrieve(intent.latest_charge).disputed

    gateway.disputes.update(dispute.id, {"evidence": {"uncategorized_text": words}})

    closed = gateway.disputes.retrieve(dispute.id)
    transactions = gateway.balance_transactions.list({"source": dispute.id}).data
    assert closed.status == status
    assert sorted(item.reporting_category for item in transactions) == kinds
    taken = next(item for item in transactions if item.reporting_category == "dispute")
    assert (taken.amount, taken.fee, taken.net) == (-10_000, 1_500, -11_500)
    assert event_types(gateway, dispute.id) == ["charge.dispute.closed", "charge.dispute.created"]
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        gateway.disputes.close(dispute.id)


def test_a_payout_is_the_sum_of_its_transactions_and_arrives_days_later(gateway, sandbox):
    intent = pay(gateway, currency="eur")
    available_at = gateway.charges.retrieve(intent.latest_charge).created + 2 * DAY_S

    assert run_payouts(sandbox, gateway, available_at - 10, "eur") == []
    [payout] = run_payouts(sandbox, gateway, available_at + 10, "eur")
    assert run_payouts(sandbox, gateway, available_at + 20, "eur") == []

    transactions = gateway.balance_transactions.list({"payout": payout.id}).data
    assert payout.automatic
    assert payout.reconciliation_status == "completed"
    assert {item.type for item in transactions} == {"charge", "payout"}
    assert payout.amount == sum(item.net for item in transactions if item.type != "payout")
    assert sum(item.net for item in transactions) == 0
    assert payout.status == "in_transit"
    run_payouts(sandbox, gateway, payout.arrival_date, "eur")
    assert gateway.payouts.retrieve(payout.id).status == "paid"
    assert event_types(gateway, payout.id) == ["payout.paid", "payout.created"]


def test_a_card_declines_as_its_metadata_say_until_they_change(gateway):
    method = gateway.payment_methods.create(
        {"type": "card", "card": {"token": "tok_mastercard"}, "metadata": {"sandbox_decline_code": "do_not_honor"}}
    )  # fmt: skip
    customer = gateway.customers.create({"name": "A client"})
    gateway.payment_methods.attach(method.id, {"customer": customer.id})
    intent = gateway.payment_intents.create({"amount": 500, "currency": "usd", "customer": customer.id})

    with pytest.raises(stripe.CardError) as declined:
        gateway.payment_intents.confirm(intent.id, {"payment_method": method.id})
    charge = gateway.charges.retrieve(gateway.payment_intents.retrieve(intent.id).latest_charge)
    gateway.payment_methods.update(method.id, {"metadata": {"sandbox_decline_code": "none"}})
    paid = gateway.payment_intents.confirm(intent.id, {"payment_method": method.id})

    assert declined.value.error.decline_code == "do_not_honor"
    assert declined.value.error.advice_code == "try_again_later"
    assert charge.outcome.network_decline_code == "05"
    assert charge.outcome.network_advice_code == "02"
    assert charge.payment_method_details.card.brand == "mastercard"
    assert paid.status == "succeeded"
    assert paid.id == intent.id
    assert sorted(event_types(gateway, intent.id)) == [
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
    ]


def test_events_can_be_asked_for_by_type_and_time(gateway):
    intent = pay(gateway)
    only = gateway.events.list({"types": ["payment_intent.succeeded"], "limit": 100}).data
    later = gateway.events.list({"created": {"gt": intent.created + 30 * DAY_S}}).data

    assert {event.type for event in only} == {"payment_intent.succeeded"}
    assert intent.id in {event.data.object["id"] for event in only}
    assert later == []


def test_one_call_too_many_is_refused_before_anything_is_done(gateway, sandbox):
    before = len(gateway.charges.list({"limit": 100}).data)
    change_behaviour(sandbox, stripe={"limited_rate": 1.0})
    try:
        with pytest.raises(stripe.RateLimitError):
            pay(gateway)
    finally:
        change_behaviour(sandbox, stripe={"limited_rate": 0.0})

    assert len(gateway.charges.list({"limit": 100}).data) == before


def test_an_expired_key_is_told_from_a_wrong_one(sandbox):
    with (
        stripe_client(sandbox, "sk_test_expired_1234") as client,
        pytest.raises(stripe.AuthenticationError, match="Expired API Key"),
    ):
        client.charges.list()


def test_the_webhook_applies_what_happened_once_or_twice_in_any_order(database, tmp_path):
    load_marketplace(database, WORLD)
    open_payment = next(
        row
        for row in WORLD.marketplace["payments"].to_dict("records")
        if row["status"] == "failed" and row["currency"] == "USD"
    )

    def payment():
        rows = database.read(_PAYMENT, {"id": open_payment["payment_id"]}).to_dict("records")
        return rows[0]

    with (
        running_sandbox(tmp_path, loaded=WORLD) as own,
        stripe_client(own) as gateway,
        SandboxState(state_path(tmp_path)) as state,
    ):
        assert deliver_events(state, database) == 0
        intent_id = open_payment["payment_intent_id"]
        with pytest.raises(stripe.CardError):
            gateway.payment_intents.confirm(
                intent_id, {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"}
            )
        assert deliver_events(state, database) == 1
        failed = payment()
        gateway.payment_intents.confirm(intent_id, {"payment_method": "pm_card_visa"})
        gateway.refunds.create({"payment_intent": intent_id, "amount": open_payment["amount_minor"]})
        deliver_events(state, database)
        refunded = payment()
        state.connection.execute("UPDATE meta SET value = '0' WHERE name = 'webhook_delivered_through'")
        deliver_events(state, database)

    assert (failed["status"], failed["failure_code"], failed["attempts_count"]) == (
        "failed",
        "insufficient_funds",
        open_payment["attempts_count"] + 1,
    )
    assert (refunded["status"], refunded["attempts_count"]) == (
        "refunded",
        open_payment["attempts_count"] + 2,
    )
    assert refunded["refunded_minor"] == open_payment["amount_minor"]
    assert refunded["paid_at"] > dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert payment() | {"updated_at": None} == refunded | {"updated_at": None}
