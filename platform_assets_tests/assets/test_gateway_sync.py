"""Reading the gateway: any order, repetition or break of pages and events ends in the same rows."""

import dataclasses
import datetime as dt
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_server import call, change_behaviour, running_sandbox, stripe_client
from scripted_http import Reply, pass_on, serve
from small_world import NOW, WORLD, gateway_client

from platform_assets.clients.http_errors import PermanentError, RateLimited, TransientError
from platform_assets.payments import gateway_sync
from platform_assets.payments.gateway_objects import OBJECT_TYPES, Observation
from platform_assets.payments.gateway_reads import (
    FIRST_READ_FROM,
    OVERLAP,
    Cursor,
    Read,
    plan_events,
    plan_read,
)
from platform_assets.payments.gateway_sync import GatewaySync
from platform_assets.tables import monitoring
from platform_assets.tables.payments import gateway_cursors, gateway_transactions

DAY = dt.timedelta(days=1)
OBJECTS = {item["id"] for item in WORLD.stripe_objects if item["object"] in OBJECT_TYPES}
CREATED = 1_790_000_000


def clear(database):
    with database.transaction() as connection:
        for table in (gateway_transactions, gateway_cursors, monitoring.quarantined_rows):
            connection.execute(sa.delete(table))


def rows(database):
    columns = [c for c in gateway_transactions.columns if c.name not in ("updated_at", "observed_at")]
    with database.transaction() as connection:
        found = connection.execute(sa.select(*columns).order_by("object_id")).mappings().all()
    return [dict(row) for row in found]


def ids(database):
    return {row["object_id"] for row in rows(database)}


def sync(database, url, now=NOW, **options):
    with gateway_client(url, **options) as gateway:
        return GatewaySync(database, gateway, lambda: now).run()


# What happened to one payment, state by state as the gateway showed it; the last state of each object counts.
def states():
    def of(at, kind, name, **fields):
        body = {"id": name, "object": kind, "amount": 500, "currency": "eur", "created": CREATED, **fields}
        return Observation(body, dt.datetime.fromtimestamp(CREATED + at, tz=dt.UTC))

    balance = {"fee": 10, "net": 490, "type": "charge", "source": "ch_1", "available_on": CREATED}
    back = {"amount": -500, "fee": 0, "net": -500, "type": "refund", "source": "re_1"}
    metadata = {"payment_id": "P1"}
    return [
        of(0, "payment_intent", "pi_1", status="requires_payment_method", metadata=metadata),
        of(1, "payment_intent", "pi_1", status="processing", metadata=metadata),
        of(9, "payment_intent", "pi_1", status="succeeded", metadata=metadata),
        of(1, "charge", "ch_1", status="pending", payment_intent="pi_1"),
        of(5, "charge", "ch_1", status="succeeded", payment_intent="pi_1"),
        of(8, "charge", "ch_1", status="succeeded", payment_intent="pi_1", amount_refunded=500),
        of(6, "balance_transaction", "txn_1", **balance, status="pending"),
        of(9, "balance_transaction", "txn_1", **balance, status="available"),
        of(7, "refund", "re_1", status="pending", charge="ch_1"),
        of(8, "refund", "re_1", status="succeeded", charge="ch_1"),
        of(8, "balance_transaction", "txn_2", **{**back, "available_on": CREATED}, status="available"),
        of(2, "dispute", "dp_1", status="lost", charge="ch_1"),
        of(6, "dispute", "dp_1", status="won", charge="ch_1"),
        dataclasses.replace(of(3, "charge", "ch_bad", status="succeeded"), item={"id": "ch_bad"}),
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_repetition_of_what_is_shown_ends_in_the_same_rows(module_database, data):
    def store(batches):
        clear(module_database)
        with gateway_client("http://127.0.0.1:1") as gateway:
            run = GatewaySync(module_database, gateway, lambda: NOW)
            for batch in batches:
                run.store(batch)
            run.link()
        return rows(module_database)

    shown = states()
    order = data.draw(
        st.permutations([*range(len(shown)), *data.draw(st.lists(st.integers(0, len(shown) - 1)))])
    )
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=5)))
    batches = [
        [shown[number] for number in order[start:end]] for start, end in zip([0, *cuts], [*cuts, len(order)])
    ]

    expected = store([shown])

    assert [row["payment_id"] for row in expected] == ["P1"] * 6
    assert [row["status"] for row in expected if row["object_id"] == "dp_1"] == ["won"]
    assert store(batches) == expected


@pytest.mark.parametrize("broken_page", [2, 4, 7])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(503, {"error": {"type": "api_error", "message": "Down"}}), TransientError),
        (Reply(429, {"error": {"type": "invalid_request_error", "message": "Slow"}}), RateLimited),
        (Reply(200, b'{"object": "list", "data": [', cut=True), TransientError),
        (
            Reply(401, {"error": {"type": "invalid_request_error", "message": "Expired API Key"}}),
            PermanentError,
        ),
    ],
    ids=["5xx", "429", "cut", "expired key"],
)
def test_a_first_read_that_breaks_off_goes_on_where_it_was(
    database, endpoints, monkeypatch, broken_page, reply, error
):
    monkeypatch.setattr("platform_assets.clients.payment_gateway.PAGE_SIZE", 10)
    monkeypatch.setattr(gateway_sync, "BATCH_PAGES", 1)
    pages = []

    def answer(request):
        query = parse_qs(urlsplit(request.path).query)
        if "created[gte]" in query:
            pages.append(request.path)
        is_broken = is_failing and len(pages) == broken_page
        return reply if is_broken else pass_on(request, endpoints.stripe_url)

    with serve(answer) as url:
        is_failing = True
        with pytest.raises(error):
            sync(database, url)
        kept = len(ids(database))
        first = list(pages)
        is_failing = False
        pages.clear()
        sync(database, url, NOW + DAY)

    assert 0 < kept < len(OBJECTS)
    assert ids(database) == OBJECTS
    # Nothing that was stored is listed again: only the page that broke off is asked for a second time.
    assert set(first) & set(pages) <= {first[-1]}


def test_pages_that_change_while_they_are_read_lose_nothing(database, tmp_path):
    with running_sandbox(tmp_path, loaded=WORLD) as own, stripe_client(own) as stripe:
        made = []

        def answer(request):
            if request.path.startswith("/v1/balance_transactions") and not made:
                intent = stripe.payment_intents.create(
                    {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
                )
                made.extend([intent.id, intent.latest_charge])
            return pass_on(request, own.stripe_url)

        now = dt.datetime.now(dt.UTC)
        with serve(answer) as url:
            first = sync(database, url, now)
        sync(database, own.stripe_url, now + dt.timedelta(minutes=5))

    assert first.objects_read_again == 1  # the balance transaction told of a charge that no list had shown
    assert set(made) <= ids(database)
    assert len(ids(database)) == len(OBJECTS) + 3


@pytest.mark.parametrize("ahead", [dt.timedelta(minutes=90), dt.timedelta(minutes=-90)], ids=str)
def test_a_clock_that_differs_from_the_gateways_loses_nothing(database, tmp_path, ahead):
    ours = dt.datetime.now(dt.UTC) + ahead
    with running_sandbox(tmp_path, loaded=WORLD) as own, stripe_client(own) as stripe:
        sync(database, own.stripe_url, ours)
        made = stripe.payment_intents.create(
            {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
        )
        sync(database, own.stripe_url, ours + dt.timedelta(minutes=5))

    assert {made.id, made.latest_charge} <= ids(database)


def test_events_tell_of_late_changes_to_old_objects(database, tmp_path):
    def status(name):
        return next(row["status"] for row in rows(database) if row["object_id"] == name)

    [old] = [
        item["id"]
        for item in WORLD.stripe_objects
        if item["object"] == "payment_intent" and item["status"] == "requires_payment_method"
    ][:1]
    now = dt.datetime.now(dt.UTC)
    with running_sandbox(tmp_path, loaded=WORLD) as own, stripe_client(own) as stripe:
        disputed = stripe.payment_intents.create(
            {"amount": 900, "currency": "usd", "payment_method": "pm_card_createDispute", "confirm": True}
        )
        [dispute] = stripe.disputes.list({"payment_intent": disputed.id}).data
        sync(database, own.stripe_url, now)
        assert (status(old), status(dispute.id)) == ("requires_payment_method", "needs_response")
        stripe.payment_intents.cancel(old)
        stripe.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "losing_evidence"}})
        # Far later than what a list reaches back to.
        later = sync(database, own.stripe_url, now + 20 * DAY)
        assert (status(old), status(dispute.id)) == ("canceled", "lost")
        assert later.objects_read_again == 1  # the dispute is young enough to be listed
        call(own, "POST", "/_sandbox/payouts", {"at": int(time.time()) + 5 * 86_400})
        sync(database, own.stripe_url, now + 20 * DAY)

    of_payout = [row for row in rows(database) if row["payout_id"]]
    sums = {}
    for row in of_payout:
        if row["object_type"] == "balance_transaction":
            sums[row["payout_id"]] = sums.get(row["payout_id"], 0) + row["net_minor"]
    assert sums
    assert set(sums.values()) == {0}


def test_when_events_are_gone_everything_is_read_again(database, endpoints):
    sync(database, endpoints.stripe_url)
    with database.transaction() as connection:
        connection.execute(sa.update(gateway_transactions).values(status="changed meanwhile"))

    soon = sync(database, endpoints.stripe_url, NOW + DAY)
    late = sync(database, endpoints.stripe_url, NOW + 40 * DAY)

    assert soon.writes.updated == 0
    assert late.writes.updated + late.writes.unchanged >= len(OBJECTS)
    assert "changed meanwhile" not in {row["status"] for row in rows(database)}


def test_what_is_set_aside_is_asked_for_again_but_not_all_of_it_at_once(database, endpoints, monkeypatch):
    monkeypatch.setattr(gateway_sync, "MAX_QUARANTINE_REREADS", 3)

    def answer(request):
        reply = pass_on(request, endpoints.stripe_url)
        if not request.path.startswith("/v1/charges"):
            return reply
        body = json.loads(reply.content())
        for item in body.get("data", [body]):
            item["amount"] = None
        return Reply(reply.status, body, reply.headers)

    with serve(answer) as url:
        sync(database, url)
        again = sync(database, url, NOW + DAY)
    good = sync(database, endpoints.stripe_url, NOW + 2 * DAY)

    assert again.objects_read_again == 3
    assert good.objects_read_again == 3
    assert sum(row["object_type"] == "charge" for row in rows(database)) == 3


def test_an_answer_that_never_comes_is_transient(database, endpoints):
    change_behaviour(endpoints, stripe={"timeout_rate": 1.0})
    with pytest.raises(TransientError):
        sync(database, endpoints.stripe_url, timeout_s=0.2)


def test_a_read_reaches_back_behind_the_last_one_and_one_that_broke_off_goes_on():
    through = NOW - DAY
    assert plan_read(Cursor(), now=NOW) == Read(NOW, FIRST_READ_FROM)
    assert plan_read(Cursor(through), now=NOW) == Read(NOW, through - OVERLAP)
    assert plan_read(Cursor(through), now=NOW, due_since=through - DAY) == Read(NOW, through - DAY)
    broken = Cursor(through, through + DAY, FIRST_READ_FROM, "ch_9")
    assert plan_read(broken, now=NOW) == Read(through + DAY, FIRST_READ_FROM, "ch_9")
    assert broken.finished() == Cursor(through + DAY)


def test_events_are_asked_for_as_long_as_the_gateway_has_them():
    assert plan_events(None, now=NOW) is None
    assert plan_events(Cursor(NOW - DAY), now=NOW) == NOW - DAY - OVERLAP
    assert plan_events(Cursor(NOW - 30 * DAY), now=NOW) is None
