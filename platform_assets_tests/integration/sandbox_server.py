"""A small world and a running sandbox server for the tests of the local APIs."""

import datetime as dt
import http.client
import json
import urllib.parse
from contextlib import closing, contextmanager

import requests
import stripe
from github import Auth, Github

from platform_assets.sandbox.process import ensure_sandbox, state_path, stop_sandbox
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.stripe.cards import CARDS
from platform_assets.sandbox.stripe.objects import (
    charge_object,
    charge_transaction_object,
    new_object,
    payment_method_object,
)
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser, World
from platform_assets.settings import Settings

ANCHOR = dt.date(2026, 11, 1)


def instant(day):
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)


def user(login, number, **fields):
    return GithubUser(
        login=login,
        database_id=number,
        name=None,
        bio=None,
        company=None,
        location=None,
        followers_count=number,
        created_at=instant("2015-03-01"),
        updated_at=instant("2026-10-01"),
        **fields,
    )


def repository(name, number, **fields):
    values = {
        "description": f"About {name}",
        "is_fork": False,
        "is_archived": False,
        "stars_count": number,
        "topics": ("parsing", "cli"),
        "languages": {"Shell": 100, "Python": 9_000, "C": 900},
        "created_at": instant("2016-01-01"),
        "pushed_at": instant("2026-10-01") + dt.timedelta(days=number),
    }
    return GithubRepository(name_with_owner=name, database_id=number, **(values | fields))


def contribution(login, name, commits, first, last):
    return GithubContribution(
        login=login,
        name_with_owner=name,
        commits_count=commits,
        first_on=dt.date.fromisoformat(first),
        last_on=dt.date.fromisoformat(last),
        subjects=("Newest", "Older"),
    )


CONTRIBUTIONS = (
    contribution("first-dev", "first-dev/parser", 150, "2022-02-03", "2026-09-30"),
    contribution("first-dev", "an-org/engine", 40, "2025-01-01", "2025-12-31"),
    contribution("second-dev", "an-org/engine", 7, "2025-06-01", "2025-06-03"),
)


def charges(count, *, created):
    """Paid charges, three in every second, each with its intent and balance transaction."""
    method = payment_method_object(id="pm_old", created=created, card=CARDS["pm_card_visa"], customer="cus_1")
    objects = [new_object("customer", id="cus_1", created=created), method]
    for number in range(count):
        at = created + number // 3
        intent = new_object(
            "payment_intent", id=f"pi_{number}", created=at, amount=1_000 + number, customer="cus_1"
        ) | {"status": "succeeded", "latest_charge": f"ch_{number}", "payment_method": "pm_old"}
        charge = charge_object(
            id=f"ch_{number}",
            created=at,
            intent=intent,
            payment_method=method,
            decline=None,
            balance_transaction=f"txn_{number}",
        )
        objects += [intent, charge, charge_transaction_object(id=f"txn_{number}", charge=charge)]
    return tuple(objects)


def world(**fields):
    values = {
        "name": "test",
        "anchor": ANCHOR,
        "marketplace": {},
        "github_users": (user("first-dev", 11), user("second-dev", 12), user("idle-dev", 13)),
        "github_repositories": (
            repository("first-dev/parser", 1),
            repository("first-dev/notes", 2, languages={}, topics=()),
            repository("first-dev/fork", 3, is_fork=True),
            repository("an-org/engine", 4, description=None),
        ),
        "github_contributions": CONTRIBUTIONS,
        "stripe_objects": charges(25, created=1_790_000_000),
    }
    return World(**(values | fields))


@contextmanager
def running_sandbox(home, *, loaded=None, **settings):
    """The endpoints of a server of a home folder's own, with a world loaded."""
    chosen = Settings(home=home, **settings)
    with SandboxState(state_path(home)) as state:
        state.replace_world(loaded or world())
    try:
        yield ensure_sandbox(chosen)
    finally:
        stop_sandbox(home)


def call(endpoints, method, path, body=None, headers=None):
    """Status, headers and body of a plain call; the path begins at the server's root."""
    netloc = urllib.parse.urlsplit(endpoints.github_url).netloc
    with closing(http.client.HTTPConnection(netloc, timeout=10)) as connection:
        connection.request(
            method, path, body=None if body is None else json.dumps(body), headers=headers or {}
        )
        response = connection.getresponse()
        content = response.read().decode()
        is_json = "json" in response.headers.get("content-type", "")
        return response.status, response.headers, json.loads(content) if is_json else content


def change_behaviour(endpoints, **changes):
    """Set faults and limits; returns the whole behaviour."""
    status, _, body = call(endpoints, "PUT", "/_sandbox/faults", changes)
    assert status == 200, body
    return body


def request_counts(endpoints, service):
    return call(endpoints, "GET", "/_sandbox/health")[2]["requests"][service]


@contextmanager
def github_client(endpoints, token="sandbox-token", **options):
    client = Github(
        base_url=endpoints.github_url,
        auth=Auth.Token(token),
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
        **options,
    )
    with closing(client):
        yield client


@contextmanager
def stripe_client(endpoints, key="sk_test_sandbox", *, timeout_s=10.0, retries=0):
    with requests.Session() as session:
        yield stripe.StripeClient(
            key,
            base_addresses={"api": endpoints.stripe_url},
            http_client=stripe.RequestsClient(session=session, timeout=timeout_s),
            max_network_retries=retries,
        ).v1
