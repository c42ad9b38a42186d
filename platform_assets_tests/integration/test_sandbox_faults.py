import time

import pytest
import requests
import stripe
from github import GithubException
from sandbox_server import call, change_behaviour, github_client, running_sandbox, stripe_client

from platform_assets.sandbox.faults import FaultKind, FaultSettings, FaultSource

FAULTLESS = {"error_rate": 0, "timeout_rate": 0, "latency_ms": 0, "after_effect_ratio": 0.5}
INTENT = {"amount": 700, "currency": "usd"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_sandbox(tmp_path_factory.mktemp("faulty"), sandbox_seed=1) as endpoints:
        yield endpoints


@pytest.fixture
def sandbox(server):
    yield server
    change_behaviour(server, github=FAULTLESS, stripe=FAULTLESS)


def test_the_share_of_faults_is_as_set_and_the_same_for_the_same_seed():
    def drawn(seed):
        source = FaultSource.seeded(
            FaultSettings(error_rate=0.2, timeout_rate=0.1), service="github", seed=seed
        )
        return [source.draw() for _ in range(5_000)]

    faults = drawn(7)
    kinds = [fault.kind for fault in faults if fault]
    assert 900 < kinds.count(FaultKind.ERROR) < 1_100
    assert 430 < kinds.count(FaultKind.TIMEOUT) < 570
    assert faults == drawn(7)
    assert faults != drawn(8)


@pytest.mark.parametrize(
    "settings",
    [{"error_rate": 1.1}, {"error_rate": -0.1}, {"error_rate": 0.6, "timeout_rate": 0.6}, {"latency_ms": -1}],
)
def test_impossible_faults_are_refused(settings):
    with pytest.raises(ValueError, match=r"between|exceed"):
        FaultSettings(**settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"paypal": {}},
        {"stripe": {"rate": 1}},
        {"stripe": {"error_rate": "high"}},
        {"github_limit": -1},
        [],
        {"stripe": 1},
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(sandbox, changes):
    before = call(sandbox, "GET", "/_sandbox/faults")[2]
    status, _, body = call(sandbox, "PUT", "/_sandbox/faults", changes)

    assert status == 400
    assert "can't be set" in body["message"]
    assert call(sandbox, "GET", "/_sandbox/faults")[2] == before


def test_github_fails_with_a_5xx_and_recovers(sandbox):
    change_behaviour(sandbox, github={"error_rate": 1})
    with github_client(sandbox) as github:
        statuses = set()
        for _ in range(12):
            with pytest.raises(GithubException) as error:
                github.get_user("first-dev")
            statuses.add(error.value.status)
        assert statuses == {500, 502, 503}
        with pytest.raises(GithubException) as error:
            github.requester.graphql_query("{ rateLimit { cost } }", {})
        assert error.value.status >= 500
        change_behaviour(sandbox, github={"error_rate": 0})
        assert github.get_user("first-dev").login == "first-dev"


def test_faults_of_one_service_leave_the_other_alone(sandbox):
    change_behaviour(sandbox, github={"error_rate": 1})

    with stripe_client(sandbox) as gateway:
        assert gateway.charges.list().data


def test_latency_delays_every_call(sandbox):
    change_behaviour(sandbox, github={"latency_ms": 200})
    with github_client(sandbox) as github:
        started = time.monotonic()
        github.get_user("first-dev")

    assert time.monotonic() - started >= 0.2


def test_a_call_that_is_never_answered_ends_by_the_callers_own_limit(sandbox):
    change_behaviour(sandbox, github={"timeout_rate": 1}, stripe={"timeout_rate": 1})

    with github_client(sandbox, timeout=1) as github, pytest.raises(requests.Timeout):
        github.get_user("first-dev")
    with stripe_client(sandbox, timeout_s=0.3) as gateway, pytest.raises(stripe.APIConnectionError):
        gateway.charges.list()


@pytest.mark.parametrize("fault", [{"error_rate": 1}, {"timeout_rate": 1}])
def test_a_fault_before_the_effect_leaves_nothing_done_and_the_key_free(sandbox, fault):
    with stripe_client(sandbox, timeout_s=0.5) as gateway:
        intent = gateway.payment_intents.create(INTENT)
        options = {"idempotency_key": f"before-{intent.id}"}
        confirm = (intent.id, {"payment_method": "pm_card_visa"}, options)
        change_behaviour(sandbox, stripe={**fault, "after_effect_ratio": 0})
        with pytest.raises((stripe.APIError, stripe.APIConnectionError)):
            gateway.payment_intents.confirm(*confirm)
        change_behaviour(sandbox, stripe=FAULTLESS)

        assert gateway.payment_intents.retrieve(intent.id).status == "requires_payment_method"
        assert gateway.payment_intents.confirm(*confirm).status == "succeeded"


def test_an_error_after_the_effect_is_the_answer_that_the_key_keeps(sandbox):
    with stripe_client(sandbox) as gateway:
        intent = gateway.payment_intents.create(INTENT)
        options = {"idempotency_key": f"after-{intent.id}"}
        confirm = (intent.id, {"payment_method": "pm_card_visa"}, options)
        change_behaviour(sandbox, stripe={"error_rate": 1, "after_effect_ratio": 1})
        with pytest.raises(stripe.APIError) as first:
            gateway.payment_intents.confirm(*confirm)
        change_behaviour(sandbox, stripe=FAULTLESS)

        assert gateway.payment_intents.retrieve(intent.id).status == "succeeded"
        with pytest.raises(stripe.APIError) as second:
            gateway.payment_intents.confirm(*confirm)
        assert second.value.http_status == first.value.http_status >= 500
        assert second.value.headers["idempotent-replayed"] == "true"
        assert len(gateway.charges.list({"payment_intent": intent.id}).data) == 1


def test_the_answer_lost_to_a_timeout_after_the_effect_is_had_by_the_same_key(sandbox):
    with stripe_client(sandbox, timeout_s=0.5) as gateway:
        intent = gateway.payment_intents.create(INTENT)
        options = {"idempotency_key": f"lost-{intent.id}"}
        confirm = (intent.id, {"payment_method": "pm_card_visa"}, options)
        change_behaviour(sandbox, stripe={"timeout_rate": 1, "after_effect_ratio": 1})
        with pytest.raises(stripe.APIConnectionError):
            gateway.payment_intents.confirm(*confirm)
        change_behaviour(sandbox, stripe=FAULTLESS)

        replayed = gateway.payment_intents.confirm(*confirm)
        assert replayed.status == "succeeded"
        assert replayed.last_response.headers["idempotent-replayed"] == "true"
        assert len(gateway.charges.list({"payment_intent": intent.id}).data) == 1
