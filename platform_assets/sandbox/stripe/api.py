"""Stripe's HTTP endpoints: keys, parameters, idempotency, faults, and the table of what is served.

Idempotency is as https://docs.stripe.com/api/idempotent_requests says: a key's first executed call decides its answer
for 24 hours, whatever it was; a call that was refused before execution leaves no trace. A new endpoint is one line in
`_READS`, `_LISTS` or `_WRITES`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platform_assets.sandbox.context import Sandbox
from platform_assets.sandbox.faults import Fault, FaultKind, hold
from platform_assets.sandbox.stripe import customers as stripe_customers
from platform_assets.sandbox.stripe import disputes as stripe_disputes
from platform_assets.sandbox.stripe import payments as stripe_payments
from platform_assets.sandbox.stripe import refunds as stripe_refunds
from platform_assets.sandbox.stripe.ledger import Answer, Effect, Ledger
from platform_assets.sandbox.stripe.params import Params, StripeError, parse_form
from platform_assets.sandbox.stripe.store import StripeStore

KEY_LIFETIME_S = 24 * 3600
"""How long an idempotency key is remembered."""

_MAX_KEY_LENGTH = 255
_LIVE_KEYS = ("sk_live_", "rk_live_")
_EXPIRED_KEYS = ("sk_test_expired", "rk_test_expired")
_TEST_KEYS = ("sk_test_", "rk_test_")
_FAILURE = {
    "error": {
        "message": "Sorry! There was an error while talking to one of our backends.",
        "type": "api_error",
    }
}
_LIMITED = {
    "error": {
        "code": "rate_limit",
        "doc_url": "https://stripe.com/docs/error-codes/rate-limit",
        "message": "Request rate limit exceeded.",
        "type": "invalid_request_error",
    }
}
_PAGE_PARAMS = frozenset(("created", "ending_before", "expand", "limit", "starting_after"))


@dataclass(frozen=True)
class _Write:
    """A POST: the parameters that it takes and what reads them."""

    path: str
    known: frozenset[str]
    prepare: Callable[[Params, str], Effect]


@dataclass(frozen=True)
class _List:
    """A list: whose objects it gives, and the parameters that filter them by a column of the same name."""

    path: str
    kind: str
    filters: tuple[str, ...]
    further: tuple[str, ...] = ()


_READS: Mapping[str, str] = {
    "/v1/payment_intents/{id}": "payment_intent",
    "/v1/charges/{id}": "charge",
    "/v1/refunds/{id}": "refund",
    "/v1/balance_transactions/{id}": "balance_transaction",
    "/v1/customers/{id}": "customer",
    "/v1/payment_methods/{id}": "payment_method",
    "/v1/payouts/{id}": "payout",
    "/v1/disputes/{id}": "dispute",
    "/v1/events/{id}": "event",
}
"""Path of a single object to its kind."""

_LISTS = (
    _List("/v1/payment_intents", "payment_intent", ("customer",)),
    _List("/v1/charges", "charge", ("customer", "payment_intent")),
    _List("/v1/refunds", "refund", ("charge", "payment_intent")),
    _List(
        "/v1/balance_transactions",
        "balance_transaction",
        ("currency", "source", "type"),
        further=("available_on", "payout"),
    ),
    _List("/v1/customers", "customer", ()),
    _List("/v1/payment_methods", "payment_method", ("customer", "type")),
    _List("/v1/customers/{customer}/payment_methods", "payment_method", ("type",)),
    _List("/v1/payouts", "payout", ()),
    _List("/v1/disputes", "dispute", ("charge", "payment_intent")),
    _List("/v1/events", "event", ("type",), further=("types",)),
)

_WRITES = (
    _Write("/v1/payment_intents", stripe_payments.CREATE_INTENT_PARAMS, stripe_payments.create_intent),
    _Write(
        "/v1/payment_intents/{id}",
        stripe_payments.UPDATE_INTENT_PARAMS,
        stripe_payments.update_intent,
    ),
    _Write(
        "/v1/payment_intents/{id}/confirm",
        stripe_payments.CONFIRM_INTENT_PARAMS,
        stripe_payments.confirm_intent,
    ),
    _Write(
        "/v1/payment_intents/{id}/cancel",
        stripe_payments.CANCEL_INTENT_PARAMS,
        stripe_payments.cancel_intent,
    ),
    _Write("/v1/refunds", stripe_refunds.CREATE_REFUND_PARAMS, stripe_refunds.create_refund),
    _Write("/v1/disputes/{id}", stripe_disputes.UPDATE_DISPUTE_PARAMS, stripe_disputes.update_dispute),
    _Write("/v1/disputes/{id}/close", stripe_disputes.CLOSE_DISPUTE_PARAMS, stripe_disputes.close_dispute),
    _Write("/v1/customers", stripe_customers.CREATE_CUSTOMER_PARAMS, stripe_customers.create_customer),
    _Write("/v1/payment_methods", stripe_customers.CREATE_METHOD_PARAMS, stripe_customers.create_method),
    _Write("/v1/payment_methods/{id}", stripe_customers.UPDATE_METHOD_PARAMS, stripe_customers.update_method),
    _Write(
        "/v1/payment_methods/{id}/attach",
        stripe_customers.ATTACH_METHOD_PARAMS,
        stripe_customers.attach_method,
    ),
)


def routes(sandbox: Sandbox) -> list[Route]:
    """The endpoints' routes, below Stripe's root."""
    api = _StripeApi(sandbox)
    return [
        *(Route(each.path, api.endpoint(each.path, api.writing(each)), methods=["POST"]) for each in _WRITES),
        *(Route(each.path, api.endpoint(each.path, api.listing(each)), methods=["GET"]) for each in _LISTS),
        *(
            Route(path, api.endpoint(path, api.reading(kind)), methods=["GET"])
            for path, kind in _READS.items()
        ),
        Route("/{path:path}", api.endpoint("unknown", _unknown), methods=["GET", "POST", "DELETE"]),
    ]


@dataclass(frozen=True)
class _Outcome:
    """The answer to a POST; one that is lost was made and never reaches the caller."""

    response: Response
    is_lost: bool


Handler = Callable[[Request], Awaitable[Response]]


async def _unknown(request: Request) -> Response:
    raise StripeError(f"Unrecognized request URL ({request.method}: {request.url.path}).", status=404)


class _StripeApi:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = StripeStore(sandbox.state)

    def endpoint(self, route: str, handler: Handler) -> Handler:
        """Wrap a handler in what every call goes through: counting, the key, the form of errors."""

        async def serve(request: Request) -> Response:
            self._sandbox.requests["stripe", f"{request.method} {route}"] += 1
            try:
                _check_key(request)
                response = await handler(request)
            except StripeError as error:
                response = _answer(error.body(), status=error.status)
            if version := request.headers.get("stripe-version"):
                response.headers["stripe-version"] = version
            return response

        return serve

    def reading(self, kind: str) -> Handler:
        """Serve single objects of a kind."""

        async def serve(request: Request) -> Response:
            if fault := await self._fault():
                if fault.kind is FaultKind.TIMEOUT:
                    await hold(request)
                return _failure(fault)
            params = Params(_query(request), ("expand",))
            body = self._store.get(kind, request.path_params["id"])
            return _answer(self._store.expanded(body, params.texts("expand")))

        return serve

    def listing(self, listed: _List) -> Handler:
        """Serve a list."""

        async def serve(request: Request) -> Response:
            if fault := await self._fault():
                if fault.kind is FaultKind.TIMEOUT:
                    await hold(request)
                return _failure(fault)
            params = Params(_query(request), {*_PAGE_PARAMS, *listed.filters, *listed.further})
            filters: dict[str, str | None] = {name: params.text(name) for name in listed.filters}
            if "customer" in request.path_params:
                filters["customer"] = self._store.get("customer", request.path_params["customer"])["id"]
            url = request.url.path.removeprefix(request.scope["root_path"])
            page = self._store.page(listed.kind, params, filters, url=url)
            return _answer(self._store.expanded(page, params.texts("expand")))

        return serve

    def writing(self, write: _Write) -> Handler:
        """Serve a POST, once per idempotency key."""

        async def serve(request: Request) -> Response:
            form = (await request.body()).decode("utf-8", errors="replace")
            values = parse_form(parse_qsl(form, keep_blank_values=True))
            key = request.headers.get("idempotency-key")
            with self._claimed(key):
                outcome = await self._execute(write, request, values, key=key)
            if outcome.is_lost:
                await hold(request)
            return outcome.response

        return serve

    @contextmanager
    def _claimed(self, key: str | None) -> Iterator[None]:
        """Keep other calls from using a key while one with it is being executed."""
        if key is None:
            yield
            return
        if len(key) > _MAX_KEY_LENGTH:
            raise StripeError(
                f"Idempotency keys may be {_MAX_KEY_LENGTH} characters long at most.",
                type="idempotency_error",
            )
        if key in self._sandbox.in_flight_keys:
            raise StripeError(
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {key}. Please try again later.",
                status=409,
                type="idempotency_error",
                code="idempotency_key_in_use",
            )
        self._sandbox.in_flight_keys.add(key)
        try:
            yield
        finally:
            self._sandbox.in_flight_keys.discard(key)

    async def _execute(
        self, write: _Write, request: Request, values: dict[str, Any], *, key: str | None
    ) -> _Outcome:
        fault = await self._fault()
        is_lost = fault is not None and fault.kind is FaultKind.TIMEOUT
        if fault and not fault.is_after_effect:
            return _Outcome(_failure(fault), is_lost)
        fingerprint = _fingerprint(request, values)
        if key is not None and (kept := self._kept(key, fingerprint)):
            return _Outcome(_failure(fault) if fault else kept, is_lost)
        params = Params(values, write.known)
        expand = params.texts("expand")
        effect = write.prepare(params, request.path_params.get("id", ""))
        request_id = _new_request_id()
        now = int(time.time())
        with self._sandbox.state.transaction() as connection:
            result = self._result(effect, Ledger(self._store, now), expand)
            if fault and fault.kind is FaultKind.ERROR:
                result = Answer(_FAILURE, status=fault.status)
            # The effect and the answer that the key stands for are kept together, or neither.
            content = _content(result.body)
            if key is not None:
                connection.execute(
                    "INSERT INTO stripe_idempotency VALUES (?, ?, ?, ?, ?, ?)",
                    (key, fingerprint, result.status, content, request_id, now),
                )
        headers = {"request-id": request_id}
        if key is not None:
            headers |= {"idempotency-key": key, "original-request": request_id}
        return _Outcome(_response(content, result.status, headers), is_lost)

    def _result(self, effect: Effect, ledger: Ledger, expand: list[str]) -> Answer:
        """What a call comes to; what it wrote before an error is taken back."""
        connection: sqlite3.Connection = self._sandbox.state.connection
        connection.execute("SAVEPOINT effect")
        try:
            answer = effect(ledger)
            if answer.status == 200:
                answer = Answer(self._store.expanded(answer.body, expand))
        except StripeError as error:
            connection.execute("ROLLBACK TO effect")
            return Answer(error.body(), status=error.status)
        finally:
            connection.execute("RELEASE effect")
        return answer

    def _kept(self, key: str, fingerprint: str) -> Response | None:
        """The answer that a key stands for; None when it is new or forgotten."""
        connection = self._sandbox.state.connection
        connection.execute(
            "DELETE FROM stripe_idempotency WHERE created_at <= ?", (int(time.time()) - KEY_LIFETIME_S,)
        )
        row = connection.execute("SELECT * FROM stripe_idempotency WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if row["fingerprint"] != fingerprint:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
                f"using a key other than '{key}' if you meant to execute a different request.",
                type="idempotency_error",
            )
        headers = {
            "request-id": _new_request_id(),
            "idempotency-key": key,
            "original-request": row["request_id"],
            "idempotent-replayed": "true",
        }
        return _response(row["body"], row["status"], headers)

    async def _fault(self) -> Fault | None:
        faults = self._sandbox.faults["stripe"]
        fault = faults.draw()
        await faults.delay()
        return fault


def _check_key(request: Request) -> None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise StripeError(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
            "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for "
            "details.",
            status=401,
        )
    if key.startswith(_EXPIRED_KEYS):
        raise StripeError(
            f"Expired API Key provided: {key[:8]}********{key[-4:]}", status=401, code="api_key_expired"
        )
    if key.startswith(_LIVE_KEYS):
        raise StripeError("The sandbox refuses live keys. Use a test key: sk_test_….", status=401)
    if not key.startswith(_TEST_KEYS):
        raise StripeError("Invalid API Key provided. The sandbox takes test keys: sk_test_….", status=401)


def _query(request: Request) -> dict[str, Any]:
    return parse_form(request.query_params.multi_items())


def _fingerprint(request: Request, values: dict[str, Any]) -> str:
    content = json.dumps([request.method, request.url.path, values], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _failure(fault: Fault) -> Response:
    return _answer(_LIMITED if fault.kind is FaultKind.LIMITED else _FAILURE, status=fault.status)


def _new_request_id() -> str:
    return f"req_{secrets.token_hex(7)}"


def _content(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False, indent=2)


def _answer(body: Any, *, status: int = 200) -> Response:
    return _response(_content(body), status, {"request-id": _new_request_id()})


def _response(content: str, status: int, headers: Mapping[str, str]) -> Response:
    return Response(content, status_code=status, media_type="application/json", headers=headers)
