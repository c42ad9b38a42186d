"""Charges again: confirms an existing PaymentIntent, and finds out what became of a confirmation.

Never creates an intent, and never searches. When to charge, and what is written down before, is `payments/retries.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from platform_assets.clients.http_errors import PermanentError, TransientError
from platform_assets.clients.payment_gateway import PaymentGateway

if TYPE_CHECKING:
    import stripe

OutcomeState = Literal["succeeded", "declined", "processing", "needs_customer"]


class KeyMisusedError(PermanentError):
    """The gateway knows the key from a call with other parameters: what was done under it is not what we think."""

    advice = "A person must look at it"


@dataclass(frozen=True)
class ConfirmOutcome:
    """What the gateway says of a confirmation.

    Attributes:
        state: `succeeded`, `declined`, `processing` (the bank decides later) or `needs_customer` (no charge was made).
        charge_id: The charge; None when there is none.
        decline_code: Why it was declined, in the issuer's words where it gave any; else None.
        advice_code: What the network advises after the decline; else None.
    """

    state: OutcomeState
    charge_id: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None


class UnreadableAnswerError(TransientError):
    """The gateway's answer says neither that money moved nor that it did not."""

    advice = "What became of the call is found out by looking at the intent"


class PaymentRetrier:
    """The writing side of the gateway; threads may share it.

    Args:
        gateway: The connection to the account.
    """

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    def read_intent(self, intent_id: str) -> Mapping[str, Any] | None:
        """The intent as it is now; None when the account has none with that id.

        Raises:
            ServiceError: It could not be read.
        """
        return self._gateway.read_object("payment_intent", intent_id)

    def read_charges(self, intent_id: str) -> list[Mapping[str, Any]]:
        """Every charge of an intent, newest first.

        Raises:
            ServiceError: They could not all be read.
        """
        pages = self._gateway.list_pages("charge", payment_intent=intent_id)
        return [charge for page in pages for charge in page.objects]

    def confirm(self, intent_id: str, *, parameters: Mapping[str, Any], key: str) -> ConfirmOutcome:
        """Confirm an intent, once per key.

        Args:
            intent_id: The existing intent.
            parameters: Parameters of the call; the same ones whenever the key is the same.
            key: Idempotency key.

        Returns:
            What became of it. A declined card is an outcome.

        Raises:
            KeyMisusedError: The key was used with other parameters.
            PermanentError: The gateway refused the call, so that nothing was charged.
            TransientError: It is not known whether anything was charged.
            RateLimited: Too many calls; nothing was charged.
        """
        import stripe

        action = f"confirm the payment_intent {intent_id}"

        def perform(services: Any) -> Mapping[str, Any]:
            try:
                # No repeats by the library: an unknown outcome is resolved by looking.
                intent = services.payment_intents.confirm(
                    intent_id, dict(parameters), {"idempotency_key": key, "max_network_retries": 0}
                )
            except stripe.CardError as error:
                return _declined(error)
            except stripe.IdempotencyError as error:
                if error.http_status == 409:
                    raise  # the same call is still under way
                raise KeyMisusedError(
                    service="Stripe",
                    action=action,
                    status=error.http_status,
                    detail=f"the key {key} is known with other parameters",
                ) from None
            body: Mapping[str, Any] = intent.to_dict()
            return body

        return _outcome(self._gateway.call(perform, action=action), action=action)


def _declined(error: stripe.CardError) -> Mapping[str, Any]:
    body = error.json_body
    return body if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping) else {}


def _outcome(body: Mapping[str, Any], *, action: str) -> ConfirmOutcome:
    error = body.get("error")
    if isinstance(error, Mapping):
        return ConfirmOutcome("declined", _text(error.get("charge")), *decline_of(error))
    charge = body.get("latest_charge")
    charge_id = _text(charge.get("id") if isinstance(charge, Mapping) else charge)
    match body.get("status"):
        case "succeeded" | "requires_capture":
            return ConfirmOutcome("succeeded", charge_id)
        case "processing":
            return ConfirmOutcome("processing", charge_id)
        case "requires_action":
            return ConfirmOutcome("needs_customer")
        case "requires_payment_method":
            last_error = body.get("last_payment_error")
            codes = decline_of(last_error) if isinstance(last_error, Mapping) else (None, None)
            return ConfirmOutcome("declined", charge_id, *codes)
        case status:
            raise UnreadableAnswerError(
                service="Stripe", action=action, detail=f"the intent came back with status {status!r}"
            )


def decline_of(error: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Decline code and advice code of an intent's `last_payment_error` or of a card error's body."""
    return _text(error.get("decline_code")) or _text(error.get("code")), _text(error.get("advice_code"))


def charge_outcome(charge: Mapping[str, Any]) -> ConfirmOutcome:
    """What a charge says of the confirmation that made it.

    Raises:
        UnreadableAnswerError: Its status is none that is known.
    """
    charge_id = _text(charge.get("id"))
    match charge.get("status"):
        case "succeeded":
            return ConfirmOutcome("succeeded", charge_id)
        case "pending":
            return ConfirmOutcome("processing", charge_id)
        case "failed":
            outcome = charge.get("outcome")
            outcome = outcome if isinstance(outcome, Mapping) else {}
            code = _text(outcome.get("reason")) or _text(charge.get("failure_code"))
            return ConfirmOutcome("declined", charge_id, code, _text(outcome.get("advice_code")))
        case status:
            raise UnreadableAnswerError(
                service="Stripe", action=f"read the charge {charge_id}", detail=f"its status is {status!r}"
            )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
