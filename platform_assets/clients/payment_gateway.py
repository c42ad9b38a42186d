"""The payment gateway client: reads objects of a Stripe account. What they mean is in `payments/gateway_objects.py`."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from urllib.parse import quote

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from platform_assets.clients.gateway_calls import CallLog, timed_http_client
from platform_assets.clients.http_errors import (
    RateLimited,
    ServiceError,
    TransientError,
    classify_stripe_error,
    moment_of,
)

if TYPE_CHECKING:
    import stripe

API_VERSION = "2026-10-28.endive"
"""The pinned version: objects keep their shape whatever the account's own default is."""

T = TypeVar("T")

RETRIES_COUNT = 4
"""Repeats of one call by Stripe's library, which backs off with jitter, on lost connections, 409 and 5xx; and by us on 429,
which the library leaves alone."""

LIMIT_BACKOFF_S = 1.0
"""First wait after a 429: Stripe's limits are per second, and it names no time."""

PAGE_SIZE = 100

ObjectType = Literal["payment_intent", "charge", "refund", "dispute", "balance_transaction", "payout"]

_PATHS: Mapping[str, str] = {
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "balance_transaction": "/v1/balance_transactions",
    "payout": "/v1/payouts",
    "event": "/v1/events",
}


@dataclass(frozen=True)
class GatewayPage:
    """Objects as one answer gave them.

    Attributes:
        objects: As Stripe's API describes them.
        read_at: When the answer was given, by the gateway's clock, to the second; None when it does not say.
    """

    objects: Sequence[Mapping[str, Any]]
    read_at: dt.datetime | None


class PaymentGateway:
    """Reads one Stripe account; threads may share it.

    Attributes:
        log: The HTTP calls that were made, until someone keeps them.

    Args:
        url: Root of the API, such as `https://api.stripe.com`.
        api_key: Secret or restricted key; it appears in no message.
        timeout_s: Limit of each call, in seconds.
        retries_count: How often a call is repeated.
    """

    def __init__(
        self, *, url: str, api_key: str, timeout_s: float, retries_count: int = RETRIES_COUNT
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"The Stripe URL must begin with http:// or https://, but it is {url!r}")
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._retries_count = retries_count
        self._lock = threading.Lock()
        self.log = CallLog()
        self._http: stripe.RequestsClient | None = None
        self._stripe: stripe.StripeClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client can still be used afterwards."""
        with self._lock:
            if self._http is not None:
                self._http.close()  # type: ignore[no-untyped-call]  # the library left it without types
            self._http = self._stripe = None

    def list_pages(
        self,
        object_type: ObjectType | Literal["event"],
        *,
        created_gte: dt.datetime | None = None,
        after_id: str | None = None,
        **filters: Any,
    ) -> Iterator[GatewayPage]:
        """Objects of one type, newest first, page after page.

        An object made while the pages are read may be missing, one that changes meanwhile may be seen in its old
        state: the next read starts earlier than this one ended. After an error the oldest objects are missing, so
        that nothing may be taken as read.

        Args:
            object_type: What to list.
            created_gte: Objects made at this time (UTC) or later.
            after_id: Only those that come after this object, as in a list that broke off there.
            filters: The list's own parameters, such as `payout`.

        Yields:
            Pages of objects as Stripe's API describes them; none is empty but a list's only one.

        Raises:
            ServiceError: A page could not be read.
        """
        since = f" created since {created_gte:%Y-%m-%d %H:%M:%S} UTC" if created_gte else ""
        action = f"list objects of type {object_type}{since}"
        parameters: dict[str, Any] = {**filters, "limit": PAGE_SIZE}
        if created_gte is not None:
            # A second is the finest that Stripe knows; the beginning of it includes everything asked for.
            parameters["created"] = {"gte": int(created_gte.timestamp())}
        while True:
            if after_id is not None:
                parameters["starting_after"] = after_id
            # Not the library's own paging: it cannot repeat one page after a 429.
            body, read_at = self._get(_PATHS[object_type], parameters, action=action)
            objects = body.get("data")
            if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
                raise TransientError(
                    service="Stripe", action=action, detail="the answer is no list of objects"
                )
            yield GatewayPage(objects, read_at)
            if not body.get("has_more") or not objects:
                return
            after_id = objects[-1].get("id")
            if not after_id:
                raise TransientError(service="Stripe", action=action, detail="a page's last object has no id")

    def list_objects(
        self, object_type: ObjectType, *, created_gte: dt.datetime
    ) -> Iterator[Mapping[str, Any]]:
        """The objects of `list_pages` one by one."""
        for page in self.list_pages(object_type, created_gte=created_gte):
            yield from page.objects

    def read_page_of_one(self, object_type: ObjectType, object_id: str) -> GatewayPage:
        """One object as it is now; the page is empty when the account has none with that id.

        Raises:
            ServiceError: It could not be read.
        """
        try:
            item, read_at = self._get(
                f"{_PATHS[object_type]}/{quote(object_id, safe='')}",
                {},
                action=f"read the {object_type} {object_id}",
            )
        except ServiceError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return GatewayPage([], None)
            raise
        return GatewayPage([item], read_at)

    def read_object(self, object_type: ObjectType, object_id: str) -> Mapping[str, Any] | None:
        """One object as it is now; None when the account has none with that id.

        Raises:
            ServiceError: It could not be read.
        """
        return next(iter(self.read_page_of_one(object_type, object_id).objects), None)

    def call(self, perform: Callable[[Any], T], *, action: str) -> T:
        """Do something that this client has no method for, with its connection, its waits and its errors.

        Args:
            perform: Gets the library's services (`StripeClient.v1`). Called again after a 429.
            action: What it does, for messages.

        Raises:
            ServiceError: It failed. One that `perform` raises goes through as it is.
        """
        return self._repeated(lambda: perform(self._client().v1), action=action)

    def verify_key(self) -> None:
        """Read a single charge, to see that the gateway answers and that the key may read.

        Raises:
            ServiceError: It can't be reached, or refuses the key.
        """
        self._get(_PATHS["charge"], {"limit": 1}, action="read one charge")

    def _get(
        self, path: str, parameters: Mapping[str, Any], *, action: str
    ) -> tuple[dict[str, Any], dt.datetime | None]:
        """An answer's body as plain JSON, and when it was given by the gateway's clock; None when it does not say."""
        # Raw: objects of the library's own would cost more than all the rest of a read.
        call = partial(self._client().raw_request, "get", path, **parameters)
        response: stripe.StripeResponse = self._repeated(call, action=action)
        body = response.data
        if not isinstance(body, dict):
            raise TransientError(service="Stripe", action=action, detail="the answer is no JSON object")
        return body, moment_of(response.headers)

    def _repeated(self, call: Callable[[], T], *, action: str) -> T:
        """The call's outcome; one that is refused as one too many is repeated with growing waits."""

        def once() -> T:
            try:
                return call()
            except ServiceError:
                raise
            except Exception as error:
                # Not chained: the library's error carries headers.
                raise classify_stripe_error(error, action=action, now=dt.datetime.now(dt.UTC)) from None

        retrying = Retrying(
            stop=stop_after_attempt(self._retries_count + 1),
            wait=wait_exponential_jitter(multiplier=LIMIT_BACKOFF_S),
            retry=retry_if_exception_type(RateLimited),
            reraise=True,
        )
        return retrying(once)

    def _client(self) -> stripe.StripeClient:
        import stripe

        with self._lock:
            if self._stripe is None:
                self._http = timed_http_client(timeout_s=self._timeout_s, log=self.log)
                self._stripe = stripe.StripeClient(
                    self._api_key,
                    stripe_version=API_VERSION,
                    base_addresses={"api": self._url},
                    max_network_retries=self._retries_count,
                    http_client=self._http,
                )
            return self._stripe
