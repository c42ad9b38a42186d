import sqlite3
import threading
import time
import uuid
from contextlib import closing

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_server import call, change_behaviour, charges, running_sandbox, stripe_client, world

from platform_assets.sandbox.process import state_path

CREATED = 1_790_000_000
DAY_S = 86_400


def payouts():
    """Two automatic payouts: the second one pays what became available after the first."""
    first, second = CREATED + 2 * DAY_S + 3, CREATED + 3 * DAY_S
    return tuple(new_object_of_payout(number, at) for number, at in enumerate((first, second), start=1))


def new_object_of_payout(number, at):
    return {
        "object": "payout",
        "id": f"po_{number}",
        "created": at,
        "currency": "usd",
        "amount": 1,
        "automatic": True,
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def sandbox(home):
    objects = (*charges(25, created=CREATED), *payouts())
    with running_sandbox(home, loaded=world(stripe_objects=objects)) as endpoints:
        yield endpoints


@pytest.fixture(scope="module")
def gateway(sandbox):
    with stripe_client(sandbox) as client:
        yield client


def pay(gateway, *, amount=1099, currency="usd", method="pm_card_visa", **options):
    return gateway.payment_intents.create(
        {"amount": amount, "currency": currency, "payment_method": method, "confirm": True, **options}
    )


def unique_key():
    return {"idempotency_key": str(uuid.uuid4())}


# Payment intents


def test_a_confirmed_intent_makes_a_charge_and_a_balance_transaction(gateway):
    intent = gateway.payment_intents.create(
        {"amount": 1099, "currency": "USD", "metadata": {"payment_id": "p-1"}, "description": "Work"}
    )
    assert (intent.status, intent.currency, intent.latest_charge) == ("requires_payment_method", "usd", None)

    confirmed = gateway.payment_intents.confirm(
        intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge.balance_transaction"]}
    )

    charge = confirmed.latest_charge
    assert (confirmed.status, confirmed.amount_received) == ("succeeded", 1099)
    assert (charge.paid, charge.captured, charge.payment_intent) == (True, True, intent.id)
    assert charge.metadata["payment_id"] == "p-1"
    assert charge.payment_method_details.card.last4 == "4242"
    transaction = charge.balance_transaction
    assert (transaction.amount, transaction.fee, transaction.net) == (1099, 62, 1037)
    assert (transaction.type, transaction.status, transaction.source) == ("charge", "pending", charge.id)


@pytest.mark.parametrize(
    ("currency", "amount", "fee"), [("jpy", 10_000, 320), ("kwd", 1_500, 140), ("eur", 200, 36)]
)
def test_fees_know_the_currencys_minor_unit(gateway, currency, amount, fee):
    intent = pay(gateway, amount=amount, currency=currency, expand=["latest_charge.balance_transaction"])

    transaction = intent.latest_charge.balance_transaction
    assert (transaction.currency, transaction.amount, transaction.fee) == (currency, amount, fee)


def test_a_declined_intent_can_be_confirmed_with_another_card(gateway):
    intent = gateway.payment_intents.create({"amount": 2_000, "currency": "usd"})

    with pytest.raises(stripe.CardError) as declined:
        gateway.payment_intents.confirm(
            intent.id, {"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}
        )

    error = declined.value.error
    assert (declined.value.http_status, error.code, error.decline_code) == (
        402,
        "card_declined",
        "insufficient_funds",
    )
    assert error.advice_code == "try_again_later"
    assert error.payment_intent.status == "requires_payment_method"
    after = gateway.payment_intents.retrieve(intent.id)
    assert after.last_payment_error.decline_code == "insufficient_funds"
    assert after.latest_charge == error.charge
    assert after.payment_method is None
    failed = gateway.charges.retrieve(error.charge)
    assert (failed.status, failed.paid, failed.failure_code) == ("failed", False, "card_declined")
    assert failed.balance_transaction is None

    assert (
        gateway.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    )
    tried = gateway.charges.list({"payment_intent": intent.id}).data
    assert [each.status for each in tried] == ["succeeded", "failed"]


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
def test_a_test_card_decides_how_it_is_declined(gateway, method, code, decline_code):
    with pytest.raises(stripe.CardError) as declined:
        pay(gateway, method=method)

    assert declined.value.code == code
    assert declined.value.error.decline_code == decline_code


def test_a_stored_card_goes_on_answering_as_it_did(gateway):
    customer = gateway.customers.create({"email": "billing@example.com"})
    good = gateway.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    bad = gateway.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})

    for _ in range(2):
        assert pay(gateway, method=good.id, customer=customer.id, off_session=True).status == "succeeded"
        with pytest.raises(stripe.CardError):
            pay(gateway, method=bad.id, customer=customer.id, off_session=True)
    stored = gateway.customers.payment_methods.list(customer.id).data
    assert {each.id for each in stored} == {good.id, bad.id}
    with pytest.raises(stripe.InvalidRequestError, match="belongs to the Customer"):
        pay(gateway, method=good.id)


def test_a_card_paid_with_for_future_use_is_kept_for_the_customer(gateway):
    customer = gateway.customers.create({"email": "billing@example.com"}).id
    paid = pay(gateway, customer=customer, setup_future_usage="off_session")

    assert gateway.payment_methods.retrieve(paid.payment_method).customer == customer
    again = pay(gateway, customer=customer, method=paid.payment_method, off_session=True)
    assert again.status == "succeeded"


def test_a_card_that_must_be_authenticated_waits_for_it_or_is_declined_off_session(gateway):
    assert pay(gateway, method="pm_card_authenticationRequired").status == "requires_action"
    with pytest.raises(stripe.CardError) as declined:
        pay(gateway, method="pm_card_authenticationRequired", off_session=True)
    assert declined.value.error.decline_code == "authentication_required"


def test_a_paid_intent_is_not_confirmed_again(gateway):
    intent = pay(gateway)

    with pytest.raises(stripe.InvalidRequestError, match="already succeeded") as error:
        gateway.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})

    assert error.value.code == "payment_intent_unexpected_state"
    assert error.value.error.payment_intent.id == intent.id
    assert len(gateway.charges.list({"payment_intent": intent.id}).data) == 1


def test_an_intent_without_a_payment_method_is_not_confirmed(gateway):
    intent = gateway.payment_intents.create({"amount": 500, "currency": "usd"})

    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method") as error:
        gateway.payment_intents.confirm(intent.id)
    assert error.value.code == "payment_intent_unexpected_state"


def test_a_canceled_intent_stays_canceled(gateway):
    intent = gateway.payment_intents.create({"amount": 500, "currency": "usd"})

    canceled = gateway.payment_intents.cancel(intent.id, {"cancellation_reason": "duplicate"})

    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "duplicate")
    for again in (
        lambda: gateway.payment_intents.cancel(intent.id),
        lambda: gateway.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
        lambda: gateway.payment_intents.update(intent.id, {"amount": 600}),
    ):
        with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
            again()


def test_an_intent_is_updated_until_it_is_paid(gateway):
    intent = gateway.payment_intents.create(
        {"amount": 500, "currency": "usd", "metadata": {"a": "1", "b": "2"}}
    )

    updated = gateway.payment_intents.update(
        intent.id, {"amount": 600, "metadata": {"a": "", "c": "3"}, "payment_method": "pm_card_visa"}
    )

    assert (updated.amount, updated.status) == (600, "requires_confirmation")
    assert updated.metadata.to_dict() == {"b": "2", "c": "3"}
    assert gateway.payment_intents.confirm(intent.id).amount_received == 600


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"currency": "usd"}, "amount"),
        ({"amount": 100}, "currency"),
        ({"amount": 0, "currency": "usd"}, "amount"),
        ({"amount": 1_501, "currency": "kwd"}, "amount"),
        ({"amount": 100, "currency": "zzz"}, "currency"),
        ({"amount": 100, "currency": "usd", "colour": "red"}, "colour"),
        ({"amount": 100, "currency": "usd", "customer": "cus_none"}, "customer"),
        ({"amount": 100, "currency": "usd", "payment_method": "pm_none"}, "payment_method"),
        ({"amount": 100, "currency": "usd", "capture_method": "manual"}, "capture_method"),
        ({"amount": 100, "currency": "usd", "confirm": "maybe"}, "confirm"),
    ],
)
def test_wrong_parameters_are_named(gateway, params, param):
    with pytest.raises(stripe.InvalidRequestError) as error:
        gateway.payment_intents.create(params)

    assert (error.value.http_status, error.value.param) == (400, param)


# Refunds


def test_a_refund_in_parts_ends_with_the_charge_refunded(gateway):
    intent = pay(gateway, amount=1_000)

    part = gateway.refunds.create({"payment_intent": intent.id, "amount": 400, "reason": "duplicate"})
    assert (part.status, part.charge, part.amount) == ("succeeded", intent.latest_charge, 400)
    transaction = gateway.balance_transactions.retrieve(part.balance_transaction)
    assert (transaction.type, transaction.net, transaction.fee) == ("refund", -400, 0)
    charge = gateway.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (400, False)
    assert [each.id for each in charge.refunds.data] == [part.id]

    with pytest.raises(stripe.InvalidRequestError, match=r"\$7.00\) is greater than .* \(\$6.00\)"):
        gateway.refunds.create({"charge": charge.id, "amount": 700})
    assert gateway.refunds.create({"charge": charge.id}).amount == 600
    assert gateway.charges.retrieve(charge.id).refunded
    with pytest.raises(stripe.InvalidRequestError) as error:
        gateway.refunds.create({"charge": charge.id})
    assert error.value.code == "charge_already_refunded"
    assert [each.amount for each in gateway.refunds.list({"payment_intent": intent.id}).data] == [600, 400]


def test_what_was_not_paid_is_not_refunded(gateway):
    intent = gateway.payment_intents.create({"amount": 500, "currency": "usd"})

    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        gateway.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError, match="No such charge"):
        gateway.refunds.create({"charge": "ch_none"})
    with pytest.raises(stripe.InvalidRequestError, match="payment_intent or charge"):
        gateway.refunds.create({"amount": 5})


# Idempotency


def test_the_same_key_and_parameters_give_the_same_answer_once_more(gateway):
    options, params = unique_key(), {"amount": 700, "currency": "usd"}

    first = gateway.payment_intents.create(params, options)
    second = gateway.payment_intents.create(params, options)

    assert first.id == second.id
    assert "idempotent-replayed" not in first.last_response.headers
    assert second.last_response.headers["idempotent-replayed"] == "true"
    assert second.last_response.headers["original-request"] == first.last_response.headers["request-id"]


def test_a_replayed_confirmation_charges_once(gateway):
    intent = gateway.payment_intents.create({"amount": 700, "currency": "usd"})
    options = unique_key()

    answers = [
        gateway.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}, options)
        for _ in range(3)
    ]

    assert {each.latest_charge for each in answers} == {answers[0].latest_charge}
    assert len(gateway.charges.list({"payment_intent": intent.id}).data) == 1


def test_a_key_is_not_taken_for_other_parameters_or_another_object(gateway):
    options = unique_key()
    intent = gateway.payment_intents.create({"amount": 700, "currency": "usd"}, options)

    with pytest.raises(stripe.IdempotencyError, match="same parameters") as error:
        gateway.payment_intents.create({"amount": 701, "currency": "usd"}, options)
    assert error.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        gateway.payment_intents.cancel(intent.id, options=options)


def test_a_decline_is_the_answer_that_its_key_keeps(gateway):
    intent = gateway.payment_intents.create({"amount": 700, "currency": "usd"})
    options, params = unique_key(), {"payment_method": "pm_card_chargeDeclined"}

    charge_ids = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as error:
            gateway.payment_intents.confirm(intent.id, params, options)
        charge_ids.add(error.value.error.charge)

    assert len(charge_ids) == 1
    assert error.value.headers["idempotent-replayed"] == "true"
    assert len(gateway.charges.list({"payment_intent": intent.id}).data) == 1


def test_a_call_refused_for_its_parameters_leaves_its_key_free(gateway):
    options = unique_key()
    with pytest.raises(stripe.InvalidRequestError):
        gateway.payment_intents.create({"amount": -1, "currency": "usd"}, options)

    assert gateway.payment_intents.create({"amount": 1, "currency": "usd"}, options).amount == 1


def test_a_call_that_the_state_refused_keeps_its_answer(gateway):
    intent = gateway.payment_intents.create({"amount": 700, "currency": "usd"})
    options = unique_key()
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        gateway.payment_intents.confirm(intent.id, options=options)
    gateway.payment_intents.update(intent.id, {"payment_method": "pm_card_visa"})

    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        gateway.payment_intents.confirm(intent.id, options=options)
    assert gateway.payment_intents.confirm(intent.id, options=unique_key()).status == "succeeded"


def test_a_key_is_forgotten_after_a_day(gateway, home):
    options = unique_key()
    first = gateway.payment_intents.create({"amount": 700, "currency": "usd"}, options)
    with closing(sqlite3.connect(state_path(home), timeout=5)) as connection, connection:
        changed = connection.execute(
            "UPDATE stripe_idempotency SET created_at = created_at - 86400 WHERE key = ?",
            (options["idempotency_key"],),
        )
        assert changed.rowcount == 1

    assert gateway.payment_intents.create({"amount": 701, "currency": "usd"}, options).id != first.id


def test_a_key_in_use_is_a_conflict(sandbox):
    options, params = unique_key(), {"amount": 700, "currency": "usd"}
    outcomes = []

    def create():
        with stripe_client(sandbox) as gateway:
            try:
                outcomes.append(gateway.payment_intents.create(params, options).id)
            except stripe.APIError as error:
                outcomes.append((error.http_status, error.json_body["error"]["code"]))

    change_behaviour(sandbox, stripe={"latency_ms": 400})
    try:
        threads = [threading.Thread(target=create) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        change_behaviour(sandbox, stripe={"latency_ms": 0})

    conflicts = [each for each in outcomes if each == (409, "idempotency_key_in_use")]
    assert len(conflicts) == 2
    assert len(outcomes) == 3


def test_a_key_may_not_be_endless(gateway):
    with pytest.raises(stripe.IdempotencyError, match="255 characters"):
        gateway.payment_intents.create({"amount": 1, "currency": "usd"}, {"idempotency_key": "k" * 256})


# Lists


OLD = {"created": {"gte": CREATED, "lte": CREATED + 8}}


def test_a_list_is_newest_first_and_stable_within_a_second(gateway):
    found = gateway.charges.list({**OLD, "limit": 100})

    assert [each.id for each in found.data] == [f"ch_{number}" for number in reversed(range(25))]
    assert not found.has_more
    assert len(gateway.charges.list(OLD).data) == 10


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(min_value=1, max_value=30))
def test_pages_of_any_size_show_every_object_once(gateway, size):
    forward = [each.id for each in gateway.charges.list({**OLD, "limit": size}).auto_paging_iter()]
    last = gateway.charges.list({**OLD, "limit": size, "ending_before": "ch_0"})
    backward = [each.id for each in last.auto_paging_iter()]

    assert forward == [f"ch_{number}" for number in reversed(range(25))]
    # The library goes back page by page and gives each page reversed.
    assert backward == [f"ch_{number}" for number in range(1, 25)]


def test_limits_of_time_include_or_exclude_their_second(gateway):
    def ids(**window):
        return {
            each.id
            for each in gateway.charges.list({"created": window, "limit": 100, "customer": "cus_1"}).data
        }

    assert ids(gte=CREATED + 8) == {"ch_24"}
    assert ids(gt=CREATED + 7) == {"ch_24"}
    assert ids(lt=CREATED + 1) == {"ch_0", "ch_1", "ch_2"}
    assert ids(gt=CREATED, lte=CREATED + 1) == {"ch_3", "ch_4", "ch_5"}
    assert len(gateway.charges.list({"created": CREATED, "limit": 100}).data) == 3


def test_lists_are_filtered_and_expanded(gateway):
    (charge,) = gateway.charges.list(
        {"payment_intent": "pi_7", "expand": ["data.balance_transaction", "data.customer"]}
    ).data
    transactions = gateway.balance_transactions.list({"type": "charge", "source": "ch_7"}).data

    assert charge.balance_transaction.id == "txn_7" == transactions[0].id
    assert charge.balance_transaction.status == "available"
    assert charge.customer.object == "customer"
    assert gateway.payment_intents.list({"customer": "cus_none"}).data == []


def test_a_payout_lists_what_it_paid(gateway):
    first = {each.id for each in gateway.balance_transactions.list({"payout": "po_1", "limit": 100}).data}
    second = {each.id for each in gateway.balance_transactions.list({"payout": "po_2", "limit": 100}).data}

    assert first == {f"txn_{number}" for number in range(12)}
    assert second == {f"txn_{number}" for number in range(12, 25)}


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"starting_after": "ch_none"}, "starting_after"),
        ({"created": {"since": 1}}, "created"),
        ({"created": {"gte": "today"}}, "created[gte]"),
        ({"colour": "red"}, "colour"),
        ({"expand": ["data.colour"]}, "expand"),
        ({"expand": ["customer"]}, "expand"),
    ],
)
def test_a_wrong_list_is_told_what_is_wrong(gateway, params, param):
    with pytest.raises(stripe.InvalidRequestError) as error:
        gateway.charges.list(params)

    assert (error.value.http_status, error.value.param) == (400, param)


def test_what_does_not_exist_is_a_404(gateway):
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent: 'pi_none'") as error:
        gateway.payment_intents.retrieve("pi_none")
    assert (error.value.http_status, error.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="No such charge"):
        gateway.charges.retrieve("pi_1")
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        gateway.products.list()


# Keys


def test_a_live_key_is_refused(sandbox):
    for key in ("sk_live_1", "rk_live_1", "something"):
        with stripe_client(sandbox, key) as gateway, pytest.raises(stripe.AuthenticationError) as error:
            gateway.charges.list()
        assert key not in str(error.value)
    status, _, body = call(sandbox, "GET", "/stripe/v1/charges")
    assert (status, body["error"]["type"]) == (401, "invalid_request_error")
    assert "did not provide an API key" in body["error"]["message"]


def test_a_key_may_come_as_the_name_of_basic_authentication(sandbox):
    headers = {"Authorization": "Basic c2tfdGVzdF94Og=="}

    assert call(sandbox, "GET", "/stripe/v1/charges?limit=1", headers=headers)[0] == 200


def test_what_was_created_is_dated_now(gateway):
    before = int(time.time())
    intent = pay(gateway)

    assert before <= intent.created <= int(time.time())
    assert gateway.charges.list({"limit": 1}).data[0].id == intent.latest_charge
