"""The payment gateway client over HTTP: against the sandbox's Stripe API, and a server that misbehaves on demand."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_http import Call, Reply, pass_on, serve

from platform_assets.clients.http_errors import PermanentError, RateLimited, ServiceError, TransientError
from platform_assets.clients.payment_gateway import API_VERSION, PaymentGateway
from platform_assets.payments.gateway_objects import OBJECT_TYPES, Observation, transaction_rows
from platform_assets.payments.gateway_reads import FIRST_READ_FROM
from platform_assets.sandbox.process import SandboxEndpoints, ensure_sandbox, state_path, stop_sandbox
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.world import World
from platform_assets.settings import Settings

KEY = "sk_test_clients0123456789"
START = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
CHARGES_COUNT = 230


def seconds(minutes: int) -> int:
    return int((START + dt.timedelta(minutes=minutes)).timestamp())


def payment(number: int) -> Iterator[dict[str, Any]]:
    basis = {"amount": 1000 + number, "currency": "eur", "created": seconds(number)}
    metadata = {"payment_id": f"P{number}"}
    intent, charge = f"pi_{number}", f"ch_{number}"
    more = {"status": "succeeded", "metadata": metadata}
    yield {**basis, **more, "id": intent, "object": "payment_intent", "latest_charge": charge}
    yield {
        **basis,
        "id": charge,
        "object": "charge",
        "status": "succeeded",
        "metadata": {},
        "payment_intent": intent,
        "balance_transaction": f"txn_{number}",
    }
    yield {
        **basis,
        "id": f"txn_{number}",
        "object": "balance_transaction",
        "type": "charge",
        "fee": 10,
        "net": 990 + number,
        "source": charge,
        "status": "available",
        "available_on": seconds(number) + 172_800,
    }


def make_world() -> World:
    objects = tuple(item for number in range(CHARGES_COUNT) for item in payment(number))
    return World("gateway", START.date(), {}, (), (), (), objects)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("gateway")
    with SandboxState(state_path(path)) as state:
        state.replace_world(make_world())
    yield path
    stop_sandbox(path)


@pytest.fixture
def sandbox(home: Path) -> SandboxEndpoints:
    return ensure_sandbox(Settings(home=home))


def connect(url: str, **options: Any) -> PaymentGateway:
    return PaymentGateway(**{"url": url, "api_key": KEY, "timeout_s": 10, **options})


def list_ids(gateway: PaymentGateway, since: dt.datetime = FIRST_READ_FROM) -> list[str]:
    return [item["id"] for item in gateway.list_objects("charge", created_gte=since)]


def test_all_pages_are_read_newest_first(sandbox: SandboxEndpoints) -> None:
    with connect(sandbox.stripe_url) as gateway:
        assert list_ids(gateway) == [f"ch_{number}" for number in reversed(range(CHARGES_COUNT))]


def test_a_read_begins_with_the_second_it_is_given(sandbox: SandboxEndpoints) -> None:
    since = START + dt.timedelta(minutes=CHARGES_COUNT - 2)
    with connect(sandbox.stripe_url) as gateway:
        assert list_ids(gateway, since) == ["ch_229", "ch_228"]
        assert list_ids(gateway, since + dt.timedelta(seconds=1)) == ["ch_229"]
        assert list_ids(gateway, since + dt.timedelta(milliseconds=900)) == ["ch_229", "ch_228"]


def test_objects_of_all_types_become_linked_rows(sandbox: SandboxEndpoints) -> None:
    with connect(sandbox.stripe_url) as gateway:
        objects = [
            item
            for object_type in OBJECT_TYPES
            for item in gateway.list_objects(object_type, created_gte=FIRST_READ_FROM)
        ]
    rows = transaction_rows(Observation(item, START) for item in objects)
    assert rows.bad_rows == ()
    assert len(rows.transactions) == 3 * CHARGES_COUNT
    assert rows.transactions["payment_id"].notna().all()
    assert rows.transactions["payment_intent_id"].notna().all()


def test_passing_faults_are_outlived(sandbox: SandboxEndpoints) -> None:
    faults = iter([Reply(status, {"error": {"message": "Not now"}}) for status in (500, 409, 429)])

    def answer(call: Call) -> Reply:
        return next(faults, None) or pass_on(call, sandbox.stripe_url)

    with serve(answer) as url, connect(url) as gateway:
        assert len(list_ids(gateway)) == CHARGES_COUNT


def test_calls_carry_the_pinned_version(sandbox: SandboxEndpoints) -> None:
    calls: list[Call] = []

    def answer(call: Call) -> Reply:
        calls.append(call)
        return pass_on(call, sandbox.stripe_url)

    with serve(answer) as url, connect(url) as gateway:
        list_ids(gateway, START + dt.timedelta(days=1))
    assert {call.headers["Stripe-Version"] for call in calls} == {API_VERSION}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(429, {"error": {"message": "Too many", "type": "invalid_request_error"}}), RateLimited),
        (Reply(503, {"error": {"message": "Down", "type": "api_error"}}), TransientError),
        (Reply(200, b'{"object": "li'), TransientError),
        (Reply(200, b'{"object": "list", "data": [', cut=True), TransientError),
        (Reply(200, {"object": "list"}), TransientError),
        (Reply(200, b"[]"), TransientError),
        (
            Reply(400, {"error": {"message": "No such charge", "type": "invalid_request_error"}}),
            PermanentError,
        ),
        (Reply(401, {"error": {"message": f"Invalid API Key provided: {KEY}"}}), PermanentError),
        (Reply(403, {"error": {"message": f"The key {KEY} may not"}}), PermanentError),
    ],
)
def test_a_failure_in_the_middle_is_told_after_what_came_before(
    sandbox: SandboxEndpoints, reply: Reply, expected: type[ServiceError]
) -> None:
    def answer(call: Call) -> Reply:
        return reply if "starting_after" in call.path else pass_on(call, sandbox.stripe_url)

    read: list[str] = []
    with (
        serve(answer) as url,
        connect(url, retries_count=0) as gateway,
        pytest.raises(expected) as caught,
    ):
        read.extend(item["id"] for item in gateway.list_objects("charge", created_gte=FIRST_READ_FROM))
    assert len(read) == 100
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "list objects of type charge created since 2010-01-01" in str(caught.value)


def test_one_object_is_read_as_it_is_and_what_is_not_there_is_none(sandbox: SandboxEndpoints) -> None:
    with connect(sandbox.stripe_url) as gateway:
        item = gateway.read_object("charge", "ch_7")
        assert item is not None
        assert item["payment_intent"] == "pi_7"
        assert gateway.read_object("charge", "ch_none") is None


def test_an_object_that_can_not_be_read_is_no_missing_one() -> None:
    def answer(_: Call) -> Reply:
        return Reply(503, {"error": {"message": "Down", "type": "api_error"}})

    with (
        serve(answer) as url,
        connect(url, retries_count=0) as gateway,
        pytest.raises(TransientError, match="read the charge ch_7"),
    ):
        gateway.read_object("charge", "ch_7")


def test_a_gateway_that_is_down_is_transient() -> None:
    with connect("http://127.0.0.1:1", retries_count=0) as gateway, pytest.raises(TransientError):
        list_ids(gateway)


def test_a_wrong_address_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="http"):
        connect("api.stripe.com")


def test_objects_are_plain_json(sandbox: SandboxEndpoints) -> None:
    with connect(sandbox.stripe_url) as gateway:
        (item,) = gateway.list_objects("payment_intent", created_gte=START + dt.timedelta(minutes=229))
    assert json.loads(json.dumps(item)) == item
    assert item["metadata"] == {"payment_id": "P229"}
