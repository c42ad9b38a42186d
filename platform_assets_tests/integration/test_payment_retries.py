"""Retries over a real Postgres and the local Stripe API: whatever breaks, nobody is charged twice and no outcome is lost."""

import dataclasses
import datetime as dt
import threading
from collections import Counter
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from sandbox_server import change_behaviour, running_sandbox, stripe_client
from scripted_http import Reply, pass_on, serve
from small_world import gateway_client

from benchmarks.failed_payments import failed_payments_world
from platform_assets.clients.database import Database
from platform_assets.clients.http_errors import PermanentError, ServiceError
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.clients.payment_retrier import PaymentRetrier
from platform_assets.payments.failed_payments import read_failed_payments
from platform_assets.payments.gateway_sync import GatewaySync
from platform_assets.payments.retries import POINTS, RetryRun, plan_retries
from platform_assets.payments.retry_caps import attempts_over_caps
from platform_assets.payments.retry_ledger import begin_attempt, settle_by_person
from platform_assets.payments.retry_policy import Action, RetryPolicy
from platform_assets.sandbox.load import load_marketplace

NOW = dt.datetime.now(dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
COUNT = 100
WORLD = failed_payments_world(COUNT, failed_at=NOW - 2 * DAY)
# Odd ones pay the next time, even ones are declined again.
NUMBERS = iter(range(COUNT))


class Crash(BaseException):
    """Stands for the end of the process: nothing of ours may catch it."""


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory):
    with running_sandbox(tmp_path_factory.mktemp("retries"), loaded=WORLD) as own:
        yield own
        change_behaviour(own, stripe={"error_rate": 0.0, "timeout_rate": 0.0})


@pytest.fixture
def well(endpoints):
    yield endpoints
    change_behaviour(
        endpoints,
        stripe={"error_rate": 0.0, "timeout_rate": 0.0, "limited_rate": 0.0, "after_effect_ratio": 0.5},
    )


@dataclasses.dataclass
class Desk:
    """One failed payment in a database of its own, over the shared gateway."""

    database: object
    endpoints: object
    number: int

    @property
    def payment_id(self):
        return f"P{self.number}"

    @property
    def intent_id(self):
        return f"pi_{self.number}"

    def settle(self, *, now=NOW):
        with gateway_client(self.endpoints.stripe_url) as gateway:
            return RetryRun(
                self.database, PaymentRetrier(gateway), RetryPolicy(), lambda: now, read_through=now
            ).settle()

    def run(self, *, now=NOW, policy=None, crash_at=None, key="sk_test_sandbox", timeout_s=10.0, url=None):
        def probe(point):
            if point == crash_at:
                raise Crash

        url = url or self.endpoints.stripe_url
        with PaymentGateway(url=url, api_key=key, timeout_s=timeout_s, retries_count=0) as gateway:
            run = RetryRun(
                self.database,
                PaymentRetrier(gateway),
                policy or RetryPolicy(),
                lambda: now,
                read_through=now,
                probe=probe,
            )
            return run.run()

    def attempts(self, *columns):
        rows = self.database.read(
            sa.text("SELECT * FROM monitoring.payment_retry_attempts ORDER BY payment_id, attempt")
        )
        return [tuple(row) for row in rows[list(columns)].itertuples(index=False)]

    def states(self):
        return [state for (state,) in self.attempts("state")]

    def charges(self):
        """Of the gateway, as it counts them: status of each charge that was made since the first."""
        with stripe_client(self.endpoints) as stripe:
            charges = stripe.charges.list({"payment_intent": self.intent_id}).data
        return Counter(charge.status for charge in charges if charge.id != f"ch_{self.number}")

    def copy(self, payment, **changes):
        """Another payment that the application asks for in the same way."""
        other = dataclasses.replace(payment, **changes)
        self.execute(
            "INSERT INTO marketplace.payments SELECT (jsonb_populate_record(p, jsonb_build_object('payment_id', "
            "CAST(:other AS text), 'payment_intent_id', CAST(:intent AS text)))).* FROM marketplace.payments p "
            "WHERE payment_id = :own",
            own=payment.payment_id,
            other=other.payment_id,
            intent=other.payment_intent_id,
        )
        return other

    def execute(self, statement, **parameters):
        with self.database.transaction() as connection:
            connection.execute(sa.text(statement), parameters)


@pytest.fixture(scope="module")
def filled_template(new_database, endpoints):
    with new_database() as url:
        database = Database(url)
        load_marketplace(database, WORLD)
        with gateway_client(endpoints.stripe_url) as gateway:
            GatewaySync(database, gateway, lambda: NOW).run()
        database.close()
        yield sa.make_url(url).database


@pytest.fixture
def open_desk(new_database, filled_template, well):
    with ExitStack() as stack:

        def make(*, pays):
            number = next(each for each in NUMBERS if each % 2 == pays)
            database = Database(stack.enter_context(new_database(template=filled_template)))
            stack.callback(database.close)
            desk = Desk(database, well, number)
            desk.execute("DELETE FROM marketplace.payments WHERE payment_id <> :p", p=desk.payment_id)
            return desk

        yield make


def test_a_card_that_pays_the_next_time_is_charged_once(open_desk):
    desk = open_desk(pays=True)

    first, again = desk.run(), desk.run()

    assert first.states == {"succeeded": 1}
    assert not again.states
    # As far as the gateway was read it still failed, so that it is only seen on the intent, or waits for its turn.
    assert [each.action for each in again.decisions] == [Action.WAIT]
    assert desk.charges() == {"succeeded": 1}
    [(state, charge_id, key)] = desk.attempts("state", "charge_id", "idempotency_key")
    assert (state, key) == ("succeeded", f"{desk.payment_id}:1")
    assert charge_id.startswith("ch_")


def test_a_card_that_is_declined_again_waits_for_its_next_turn(open_desk):
    desk = open_desk(pays=False)

    first, again, later = desk.run(), desk.run(now=NOW + 2 * DAY), desk.run(now=NOW + 3 * DAY)

    assert (first.states, again.states, later.states) == ({"declined": 1}, {}, {"declined": 1})
    assert desk.attempts("attempt", "state", "decline_code") == [
        (1, "declined", "insufficient_funds"),
        (2, "declined", "insufficient_funds"),
    ]
    assert desk.charges() == {"failed": 2}


@pytest.mark.parametrize("pays", [True, False])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_point_is_made_good_by_the_next_run(open_desk, point, pays):
    desk = open_desk(pays=pays)

    with pytest.raises(Crash):
        desk.run(crash_at=point)
    left = desk.states()
    desk.run(now=NOW + HOUR)

    assert left == ([] if point == "before_row" else ["sent"])
    assert desk.states() == ["succeeded" if pays else "declined"]
    assert desk.charges() == {"succeeded" if pays else "failed": 1}


@pytest.mark.parametrize(
    ("crash_at", "state", "made"), [("before_call", "sent", 0), ("after_call", "succeeded", 1)]
)
def test_settling_alone_finds_out_and_charges_nobody(open_desk, crash_at, state, made):
    desk = open_desk(pays=True)
    with pytest.raises(Crash):
        desk.run(crash_at=crash_at)

    report = desk.settle(now=NOW + HOUR)

    assert report.resolved == {state: 1}
    assert desk.states() == [state]
    assert desk.charges().total() == made
    assert desk.attempts("calls_count") == [(1,)]


@pytest.mark.parametrize("fault", ["timeout_rate", "error_rate"])
@pytest.mark.parametrize("after_effect", [0.0, 1.0])
def test_a_call_without_an_answer_is_found_out_by_looking(open_desk, well, fault, after_effect):
    desk = open_desk(pays=True)

    def strike(point):
        if point == "before_call":
            change_behaviour(well, stripe={fault: 1.0, "after_effect_ratio": after_effect})

    with gateway_client(well.stripe_url, timeout_s=0.5) as gateway:
        report = RetryRun(
            desk.database, PaymentRetrier(gateway), RetryPolicy(), lambda: NOW, read_through=NOW, probe=strike
        ).run()
    change_behaviour(well, stripe={fault: 0.0})
    [(state, detail)] = desk.attempts("state", "detail")
    desk.run(now=NOW + HOUR)

    assert report.states == {"sent": 1}
    assert state == "sent"
    assert "could not confirm" in detail
    assert desk.charges() == {"succeeded": 1}
    assert desk.attempts("state", "calls_count") == [("succeeded", 2 - int(after_effect))]


def test_an_unknown_outcome_that_is_too_old_goes_to_a_person_who_settles_it(open_desk):
    desk = open_desk(pays=True)
    with pytest.raises(Crash):
        desk.run(crash_at="before_call")

    still_open = desk.run(now=NOW + dt.timedelta(hours=23), policy=RetryPolicy())
    blocked = desk.run(now=NOW + 3 * DAY)

    assert still_open.resolved == {"needs_person": 1}
    assert desk.states() == ["needs_person"]
    assert [each.reason for each in blocked.decisions] == ["an earlier attempt waits for a person"]
    assert desk.charges() == {}
    assert settle_by_person(desk.database, desk.payment_id, 1, state="refused", charge_id=None, now=NOW)
    assert not settle_by_person(desk.database, desk.payment_id, 1, state="refused", charge_id=None, now=NOW)
    assert desk.run(now=NOW + 3 * DAY).states == {"succeeded": 1}
    assert desk.charges() == {"succeeded": 1}


def test_an_old_unknown_outcome_of_which_the_gateway_has_a_charge_needs_nobody(open_desk):
    desk = open_desk(pays=True)
    with pytest.raises(Crash):
        desk.run(crash_at="after_call")

    desk.run(now=NOW + 9 * DAY)

    assert desk.states() == ["succeeded"]


def test_a_call_is_not_repeated_for_a_payment_that_is_no_longer_owed(open_desk):
    desk = open_desk(pays=True)
    with pytest.raises(Crash):
        desk.run(crash_at="before_call")
    desk.execute("UPDATE marketplace.payments SET status = 'cancelled'")

    report = desk.run(now=NOW + HOUR)

    assert report.resolved == {"sent": 1}
    assert desk.charges() == {}


def test_what_the_application_did_meanwhile_is_seen_before_charging(open_desk, well):
    paid, cancelled, changed = (open_desk(pays=True) for _ in range(3))
    with stripe_client(well) as stripe:
        stripe.payment_intents.confirm(
            paid.intent_id, {"payment_method": f"pm_{paid.number}", "off_session": True}
        )
        stripe.payment_intents.cancel(cancelled.intent_id)
        stripe.payment_intents.update(changed.intent_id, {"amount": 77})

    reports = [desk.run() for desk in (paid, cancelled, changed)]

    assert [list(report.skipped.values()) for report in reports] == [
        ["the intent is succeeded"],
        ["the intent is canceled"],
        ["the intent is over another amount"],
    ]
    assert [desk.states() for desk in (paid, cancelled, changed)] == [[], [], []]


@pytest.mark.parametrize(
    "change",
    ["status = 'cancelled'", "status = 'paid'", "amount_minor = amount_minor - 1", "currency = 'USD'"],
)
def test_what_the_application_decides_while_a_run_is_under_way_is_seen_before_charging(open_desk, change):
    desk = open_desk(pays=True)

    def decide(point):
        if point == "before_row":
            desk.execute(f"UPDATE marketplace.payments SET {change}")

    with gateway_client(desk.endpoints.stripe_url) as gateway:
        report = RetryRun(
            desk.database, PaymentRetrier(gateway), RetryPolicy(), lambda: NOW, read_through=NOW, probe=decide
        ).run()

    assert report.skipped == {desk.payment_id: "the application does not ask for it any more"}
    assert desk.states() == []
    assert desk.charges() == {}


def test_a_charge_of_unknown_status_stops_its_own_payment_alone_and_goes_to_a_person(open_desk):
    desk = open_desk(pays=True)
    with pytest.raises(Crash):
        desk.run(crash_at="after_call")

    def answer(call):
        reply = pass_on(call, desk.endpoints.stripe_url)
        if "/v1/charges" not in call.path:
            return reply
        return dataclasses.replace(reply, body=reply.body.replace(b'"succeeded"', b'"levitating"'))

    with serve(answer) as url:
        reports = [desk.run(url=url, now=NOW + wait) for wait in (HOUR, DAY)]

    assert [report.resolved for report in reports] == [{"sent": 1}, {"needs_person": 1}]
    [(detail, calls_count)] = desk.attempts("detail", "calls_count")
    assert "levitating" in detail
    assert calls_count == 1
    assert desk.charges() == {"succeeded": 1}


@pytest.mark.parametrize("point", ["after_call", "before_commit"])
def test_a_database_that_fails_between_call_and_commit_loses_nothing(open_desk, point):
    desk = open_desk(pays=True)

    def strike(reached):
        if reached == point:
            desk.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    failing = Database(desk.database.engine.url)
    with gateway_client(desk.endpoints.stripe_url) as gateway:
        run = RetryRun(
            failing, PaymentRetrier(gateway), RetryPolicy(), lambda: NOW, read_through=NOW, probe=strike
        )
        if point == "before_commit":
            with pytest.raises(sa.exc.OperationalError):
                run.run()
        else:
            run.run()  # a connection that was lost while idle is made anew
    failing.close()
    left = desk.states()
    desk.run(now=NOW + HOUR)

    assert left == (["sent"] if point == "before_commit" else ["succeeded"])
    assert desk.states() == ["succeeded"]
    assert desk.charges() == {"succeeded": 1}


def test_a_key_that_is_refused_ends_the_run_and_charges_nobody(open_desk):
    desk = open_desk(pays=True)

    with pytest.raises(PermanentError, match="the API key is invalid, expired or revoked") as caught:
        desk.run(key="sk_test_expired123")

    assert "sk_test" not in str(caught.value)
    assert desk.states() == []


def test_a_customer_that_was_deleted_meanwhile_is_charged_nothing_and_not_tried_again(open_desk):
    desk = open_desk(pays=True)
    missing = {
        "type": "invalid_request_error",
        "code": "resource_missing",
        "param": "customer",
        "message": f"No such customer: 'cus_{desk.number}'",
    }
    confirms = []

    def answer(call):
        if not call.path.endswith("/confirm"):
            return pass_on(call, desk.endpoints.stripe_url)
        confirms.append(call.path)
        return Reply(400, {"error": missing}, {"content-type": "application/json"})

    with serve(answer) as url:
        first = desk.run(url=url)
        desk.run(url=url, now=NOW + HOUR)

    assert first.states == {"refused": 1}
    assert len(confirms) == 1
    assert desk.states() == ["refused"]
    assert not desk.charges()


def test_a_gateway_that_does_not_answer_at_all_fails_the_run_and_is_asked_again(open_desk, well):
    desk = open_desk(pays=True)
    change_behaviour(well, stripe={"error_rate": 1.0, "after_effect_ratio": 0.0})
    with pytest.raises(ServiceError):
        desk.run()
    change_behaviour(well, stripe={"error_rate": 0.0})

    assert desk.run().states == {"succeeded": 1}


def test_too_many_calls_stop_the_run_and_leave_nothing_open(open_desk, well):
    desk = open_desk(pays=True)
    change_behaviour(well, stripe={"limited_rate": 1.0})
    report = desk.run()
    change_behaviour(well, stripe={"limited_rate": 0.0})

    assert "Request rate limit exceeded" in report.stopped
    assert desk.run().states == {"succeeded": 1}


def test_rows_that_are_too_old_charge_nobody(open_desk):
    desk = open_desk(pays=True)
    with gateway_client(desk.endpoints.stripe_url) as gateway:
        for through in (None, NOW - 2 * HOUR):
            run = RetryRun(
                desk.database, PaymentRetrier(gateway), RetryPolicy(), lambda: NOW, read_through=through
            )
            assert "too old to charge by" in run.run().stopped
        with pytest.raises(Crash):
            desk.run(crash_at="before_call")
        # Nor is a call repeated: the payment may have been paid in another way since.
        assert run.run().resolved == {"sent": 1}

    assert desk.charges() == {}


def test_an_open_breaker_charges_nobody_and_says_why(open_desk):
    desk = open_desk(pays=True)
    desk.execute(
        "INSERT INTO monitoring.payment_retry_attempts (payment_id, attempt, payment_intent_id, idempotency_key, "
        "parameters, amount_minor, currency, card_fingerprint, known_charge_ids, state, calls_count, sent_at) "
        "SELECT 'X' || n, 1, 'pi_x' || n, 'key ' || n, '{}', 1, 'EUR', 'card', '{}', 'declined', 1, :at "
        "FROM generate_series(1, 20) n",
        at=NOW - HOUR,
    )

    report = desk.run()

    assert "20 of 20 attempts of the last 24 hours are declined" in report.stopped
    assert not report.states
    assert desk.charges() == {}


def test_a_payment_that_is_held_out_stays_so_when_the_share_changes(open_desk):
    desk = open_desk(pays=True)

    first, later = desk.run(policy=RetryPolicy(holdout_share=1.0)), desk.run()

    assert [each.action for each in (*first.decisions, *later.decisions)] == [Action.HOLD_OUT] * 2
    assert desk.database.read(sa.text("SELECT arm FROM monitoring.payment_retry_arms"))["arm"].tolist() == [
        "held_out"
    ]
    assert desk.charges() == {}


def test_a_payment_that_was_paid_on_another_intent_is_left(open_desk):
    desk = open_desk(pays=True)
    desk.execute(
        "INSERT INTO platform.gateway_transactions (object_id, object_type, payment_id, payment_intent_id, status, "
        "amount_minor, currency, created_at) VALUES ('ch_other', 'charge', :p, 'pi_other', 'succeeded', 1, 'EUR', :now)",
        p=desk.payment_id,
        now=NOW,
    )

    [decision] = plan_retries(desk.database, RetryPolicy(), now=NOW)

    assert (decision.action, decision.reason) == (Action.LEAVE, "the gateway has already charged it")


def test_two_processes_at_once_never_take_a_card_over_its_cap(open_desk):
    desk = open_desk(pays=True)
    [payment] = read_failed_payments(desk.database)
    payments = [
        desk.copy(payment, payment_id=f"Q{number}", payment_intent_id=f"pi_q{number}") for number in range(30)
    ]
    barrier = threading.Barrier(6)
    outcomes = []

    def work(part):
        barrier.wait()
        outcomes.extend(
            begin_attempt(
                desk.database,
                each,
                payment.card,
                parameters={},
                known_charge_ids=[],
                caps=RetryPolicy().caps,
                now=NOW,
            )
            for each in part
        )

    threads = [threading.Thread(target=work, args=(payments[start::6],)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # The failed charge that there was, and fourteen more.
    assert sum(not isinstance(each, str) for each in outcomes) == 14
    assert attempts_over_caps(desk.database) == []


def test_an_intent_on_which_an_attempt_is_under_way_gets_no_other(open_desk):
    desk = open_desk(pays=True)
    [payment] = read_failed_payments(desk.database)
    other = desk.copy(payment, payment_id="another payment of the same intent")

    begun = [
        begin_attempt(desk.database, each, payment.card, parameters={}, known_charge_ids=[], caps=(), now=NOW)
        for each in (payment, other)
    ]

    assert not isinstance(begun[0], str)
    assert begun[1] == "another attempt of the payment or its intent is under way"


def test_two_processes_at_once_begin_one_attempt_of_a_payment(open_desk):
    desk = open_desk(pays=True)
    [payment] = read_failed_payments(desk.database)
    barrier = threading.Barrier(4)
    outcomes = []

    def work():
        barrier.wait()
        outcomes.append(
            begin_attempt(
                desk.database, payment, payment.card, parameters={}, known_charge_ids=[], caps=(), now=NOW
            )
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(not isinstance(each, str) for each in outcomes) == 1
    assert desk.attempts("attempt") == [(1,)]
