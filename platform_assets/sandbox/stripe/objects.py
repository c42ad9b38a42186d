"""Stripe's objects as plain dictionaries, and the money rules behind them; no state, no HTTP, no clock.

A world's generator may build its history with the same functions, so that old and new payments look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from platform_assets import currencies
from platform_assets.currencies import gateway_exponent
from platform_assets.sandbox.stripe.defaults import DEFAULTS

Object = dict[str, Any]

SETTLEMENT_DELAY_S = 2 * 24 * 3600
"""A charge's money becomes available two days later, as in most of Stripe's countries."""

# https://docs.stripe.com/currencies (presentment currencies)
_CODES = (
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp "
    "cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk "
    "jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn "
    "nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd szl "
    "thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
CURRENCIES = frozenset(_CODES.split())

_PERCENT_FEE_MILLE = 29
_FIXED_FEES = {1: 30, 10: 100, 100: 3_000}
"""Fixed part of a fee, by the step of the currency's amounts."""


def exponent(currency: str) -> int:
    """Decimal places of the units in which Stripe counts a currency, in either case."""
    return gateway_exponent(currency.upper())


def amount_step(currency: str) -> int:
    """What Stripe's amounts in a currency are multiples of.

    Ten where there are three decimals, of which the last is always 0; a hundred where it counts in hundredths that the
    currency does not have.
    """
    places = exponent(currency)
    return 10 if places == 3 else 10 ** max(0, places - currencies.exponent(currency.upper()))


def fee_minor(amount_minor: int, currency: str) -> int:
    """The gateway's fee for a charge, in its units: 2.9 % rounded half up, plus a fixed part.

    The fixed part is 0.30 of a currency with two decimals, 0.100 with three, and 30 without. Both parts are multiples of
    the currency's step, and the fee never exceeds the charge.
    """
    step = amount_step(currency)
    percentage = (amount_minor * _PERCENT_FEE_MILLE + 500 * step) // (1000 * step) * step
    return min(percentage + _FIXED_FEES[step], amount_minor)


def formatted(amount_minor: int, currency: str) -> str:
    """An amount as Stripe's messages write it: `$5.00`, `¥500`, `1.500 KWD`."""
    places = exponent(currency)
    whole, part = divmod(amount_minor, 10**places)
    number = f"{whole:,}" + (f".{part:0{places}d}" if places else "")
    symbol = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}.get(currency.lower())
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"


@dataclass(frozen=True)
class Card:
    """A test card: what its number looks like and what its issuer answers.

    `failure_code` is None for a card that pays; `decline_code` is the issuer's reason with `card_declined`;
    `must_authenticate` cards ask for 3-D Secure, which nobody answers off session.
    """

    last4: str
    brand: str = "visa"
    failure_code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    message: str | None = None
    must_authenticate: bool = False


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
    "pm_card_authenticationRequired": Card("3184", must_authenticate=True),
    "pm_card_threeDSecure2Required": Card("3220", must_authenticate=True),
}

CARDS_BY_LAST4: Mapping[str, Card] = {card.last4: card for card in CARDS.values()}
"""The issuer's answer hangs on the card alone, so a stored payment method keeps it."""

AUTHENTICATION_DECLINE = _declined(
    "", "authentication_required", "confirm_card_data", "Your card was declined. This transaction requires authentication."
)  # fmt: skip


def payment_method_object(*, id: str, created: int, card: Card, customer: str | None = None) -> Object:  # noqa: A002  (Stripe's name)
    """A card as a payment method."""
    return {
        **DEFAULTS["payment_method"],
        "id": id,
        "created": created,
        "customer": customer,
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "unchecked",
            },
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"sandbox{card.brand}{card.last4}",
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
    }


def charge_object(
    *,
    id: str,  # noqa: A002  (Stripe's name)
    created: int,
    intent: Mapping[str, Any],
    payment_method: Mapping[str, Any] | None,
    decline: Card | None,
    balance_transaction: str | None,
) -> Object:
    """A charge of an intent: paid, or failed as the declining card says."""
    charge: Object = {
        **DEFAULTS["charge"],
        "id": id,
        "created": created,
        "amount": intent["amount"],
        "amount_captured": 0 if decline else intent["amount"],
        "balance_transaction": balance_transaction,
        "captured": decline is None,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(decline),
        "paid": decline is None,
        "payment_intent": intent["id"],
        "payment_method": payment_method["id"] if payment_method else None,
        "payment_method_details": _payment_method_details(payment_method),
        "status": "failed" if decline else "succeeded",
    }
    if decline:
        charge["failure_code"] = decline.failure_code
        charge["failure_message"] = decline.message
    return charge


def _outcome(decline: Card | None) -> Object:
    return {
        "advice_code": decline.advice_code if decline else None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": (decline.decline_code or decline.failure_code) if decline else None,
        "risk_level": "normal",
        "seller_message": "The bank did not return any further details with this decline."
        if decline
        else "Payment complete.",
        "type": "issuer_declined" if decline else "authorized",
    }


def _payment_method_details(payment_method: Mapping[str, Any] | None) -> Object | None:
    if payment_method is None:
        return None
    card = payment_method["card"]
    kept = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "wallet",
    )
    return {"type": "card", "card": {name: card.get(name) for name in kept} | {"network": card.get("brand")}}


def charge_transaction_object(*, id: str, charge: Mapping[str, Any]) -> Object:  # noqa: A002  (Stripe's name)
    """The balance transaction of a paid charge: its amount, the fee, and what is left."""
    fee = fee_minor(charge["amount"], charge["currency"])
    return {
        **DEFAULTS["balance_transaction"],
        "id": id,
        "amount": charge["amount"],
        "available_on": charge["created"] + SETTLEMENT_DELAY_S,
        "created": charge["created"],
        "currency": charge["currency"],
        "description": charge["description"],
        "fee": fee,
        "fee_details": [
            {
                "amount": fee,
                "application": None,
                "currency": charge["currency"],
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        ],
        "net": charge["amount"] - fee,
        "reporting_category": "charge",
        "source": charge["id"],
        "status": "pending",
        "type": "charge",
    }


def refund_transaction_object(*, id: str, refund: Mapping[str, Any]) -> Object:  # noqa: A002  (Stripe's name)
    """The balance transaction of a refund: the amount leaves, and the charge's fee is not given back."""
    return {
        **DEFAULTS["balance_transaction"],
        "id": id,
        "amount": -refund["amount"],
        "available_on": refund["created"],
        "created": refund["created"],
        "currency": refund["currency"],
        "description": "REFUND FOR CHARGE",
        "fee": 0,
        "net": -refund["amount"],
        "reporting_category": "refund",
        "source": refund["id"],
        "status": "available",
        "type": "refund",
    }


def new_object(kind: str, **fields: Any) -> Object:
    """An object of a kind, such as `refund`, with Stripe's defaults where nothing is given."""
    return {**deepcopy(DEFAULTS[kind]), **fields}


def completed(body: Mapping[str, Any]) -> Object:
    """The object with Stripe's default in each field that it lacks."""
    return {**deepcopy(DEFAULTS.get(body["object"], {})), **body}
