"""Test cards and what their issuers answer: Stripe's own, and any decline code by a payment method's metadata. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Card:
    """A test card: what its number looks like and what its issuer answers.

    `failure_code` is None for a card that pays; `decline_code` is the issuer's reason with `card_declined`;
    `must_authenticate` cards ask for 3-D Secure, which nobody answers off session; what is paid with a card that has a
    `dispute_reason` is disputed at once.
    """

    last4: str
    brand: str = "visa"
    failure_code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    message: str | None = None
    must_authenticate: bool = False
    dispute_reason: str | None = None

    @property
    def network_decline_code(self) -> str | None:
        """The network's own code for the decline (ISO 8583, field 39); None where the issuer did not answer."""
        return _NETWORK_DECLINE_CODES.get(self.decline_code or self.failure_code or "")

    @property
    def network_advice_code(self) -> str | None:
        """Mastercard's merchant advice code; other networks give none here."""
        return _MERCHANT_ADVICE_CODES.get(self.advice_code or "") if self.brand == "mastercard" else None


_NETWORK_DECLINE_CODES: Mapping[str, str] = {
    "do_not_honor": "05",
    "generic_decline": "05",
    "expired_card": "54",
    "fraudulent": "59",
    "incorrect_cvc": "N7",
    "insufficient_funds": "51",
    "lost_card": "41",
    "stolen_card": "43",
    "card_velocity_exceeded": "65",
    "try_again_later": "91",
    "authentication_required": "65",
}
_MERCHANT_ADVICE_CODES: Mapping[str, str] = {
    "confirm_card_data": "01",
    "try_again_later": "02",
    "do_not_try_again": "03",
}


_DECLINED = "Your card was declined."


def _declined(last4: str, decline_code: str, advice_code: str, message: str = _DECLINED) -> Card:
    return Card(
        last4,
        failure_code="card_declined",
        decline_code=decline_code,
        advice_code=advice_code,
        message=message,
    )


# https://docs.stripe.com/testing: the test payment methods and the numbers behind them
CARDS: Mapping[str, Card] = {
    "pm_card_visa": Card("4242"),
    "pm_card_visa_debit": Card("5556"),
    "pm_card_mastercard": Card("4444", brand="mastercard"),
    "pm_card_amex": Card("8431", brand="amex"),
    "pm_card_chargeDeclined": _declined("0002", "generic_decline", "try_again_later"),
    "pm_card_visa_chargeDeclined": _declined("0002", "generic_decline", "try_again_later"),
    "pm_card_chargeDeclinedInsufficientFunds": _declined(
        "9995", "insufficient_funds", "try_again_later", "Your card has insufficient funds."
    ),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _declined(
        "9995", "insufficient_funds", "try_again_later", "Your card has insufficient funds."
    ),
    "pm_card_chargeCustomerFail": _declined("0341", "generic_decline", "try_again_later"),
    "pm_card_visa_chargeDeclinedLostCard": _declined("9987", "lost_card", "do_not_try_again"),
    "pm_card_chargeDeclinedLostCard": _declined("9987", "lost_card", "do_not_try_again"),
    "pm_card_visa_chargeDeclinedStolenCard": _declined("9979", "stolen_card", "do_not_try_again"),
    "pm_card_chargeDeclinedStolenCard": _declined("9979", "stolen_card", "do_not_try_again"),
    "pm_card_chargeDeclinedFraudulent": _declined("0019", "fraudulent", "do_not_try_again"),
    "pm_card_chargeDeclinedVelocityLimitExceeded": _declined(
        "6975", "card_velocity_exceeded", "try_again_later"
    ),
    "pm_card_chargeDeclinedExpiredCard": Card(
        "0069",
        failure_code="expired_card",
        advice_code="confirm_card_data",
        message="Your card has expired.",
    ),
    "pm_card_chargeDeclinedIncorrectCvc": Card(
        "0127",
        failure_code="incorrect_cvc",
        advice_code="confirm_card_data",
        message="Your card's security code is incorrect.",
    ),
    "pm_card_chargeDeclinedProcessingError": Card(
        "0119",
        failure_code="processing_error",
        advice_code="try_again_later",
        message="An error occurred while processing your card. Try again in a little bit.",
    ),
    "pm_card_createDispute": Card("0259", dispute_reason="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Card("2685", dispute_reason="product_not_received"),
    "pm_card_authenticationRequired": Card("3184", must_authenticate=True),
    "pm_card_threeDSecure2Required": Card("3220", must_authenticate=True),
}

CARDS_BY_LAST4: Mapping[str, Card] = {card.last4: card for card in CARDS.values()}
"""The issuer's answer hangs on the card alone, so a stored payment method keeps it."""

AUTHENTICATION_DECLINE = _declined(
    "", "authentication_required", "confirm_card_data", "Your card was declined. This transaction requires authentication."
)  # fmt: skip


DECLINES: Mapping[str, Card] = {
    **{card.decline_code or card.failure_code or "": card for card in CARDS.values() if card.failure_code},
    # Stripe documents these and has no test card for them.
    **{
        code: _declined("0002", code, advice_code)
        for code, advice_code in {
            "do_not_honor": "try_again_later",
            "try_again_later": "try_again_later",
            "issuer_not_available": "try_again_later",
            "pickup_card": "do_not_try_again",
            "transaction_not_allowed": "do_not_try_again",
            "revocation_of_all_authorizations": "do_not_try_again",
            "incorrect_number": "confirm_card_data",
        }.items()
    },
}
"""How an issuer can decline, by decline code."""

BEHAVIOUR_KEY = "sandbox_decline_code"
"""Metadata of a payment method that decides how its issuer answers: a key of `DECLINES`, or `none` for a card that pays."""


def card_behind(payment_method: Mapping[str, Any]) -> Card:
    """What the issuer of a payment method answers: as its metadata say, or else by its number's last digits."""
    details = payment_method["card"] or {}
    by_number = CARDS_BY_LAST4.get(details.get("last4", ""), CARDS["pm_card_visa"])
    code = (payment_method.get("metadata") or {}).get(BEHAVIOUR_KEY)
    if code is None:
        card = by_number
    elif code in DECLINES:
        card = DECLINES[code]
    else:
        card = CARDS["pm_card_visa"]
    return replace(card, brand=details.get("brand", card.brand))
