"""Stripe's objects as plain dictionaries, and the money rules behind them; no state, no HTTP, no clock.

A world's generator may build its history with the same functions, so that old and new payments look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from platform_assets import currencies
from platform_assets.currencies import gateway_exponent
from platform_assets.sandbox.stripe.cards import Card
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

_DISPUTE_FEES = {1: 1_500, 10: 5_000, 100: 5_000}
"""What a dispute costs, won or lost, by the step of the currency's amounts; 15.00 where it has two decimals."""
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
        "network_advice_code": decline.network_advice_code if decline else None,
        "network_decline_code": decline.network_decline_code if decline else None,
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


def dispute_transaction_object(*, id: str, dispute: Mapping[str, Any]) -> Object:  # noqa: A002  (Stripe's name)
    """The balance transaction with which a dispute takes the amount and a fee."""
    fee = _DISPUTE_FEES[amount_step(dispute["currency"])]
    return {
        **DEFAULTS["balance_transaction"],
        "id": id,
        "amount": -dispute["amount"],
        "available_on": dispute["created"],
        "created": dispute["created"],
        "currency": dispute["currency"],
        "description": f"Chargeback withdrawal for {dispute['charge']}",
        "fee": fee,
        "fee_details": [
            {
                "amount": fee,
                "application": None,
                "currency": dispute["currency"],
                "description": "Dispute fee",
                "type": "stripe_fee",
            }
        ],
        "net": -dispute["amount"] - fee,
        "reporting_category": "dispute",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }


def dispute_reversal_object(*, id: str, created: int, dispute: Mapping[str, Any]) -> Object:  # noqa: A002  (Stripe's name)
    """The balance transaction with which a dispute that was won gives the amount back; the fee stays."""
    return {
        **DEFAULTS["balance_transaction"],
        "id": id,
        "amount": dispute["amount"],
        "available_on": created,
        "created": created,
        "currency": dispute["currency"],
        "description": f"Chargeback reversal for {dispute['charge']}",
        "net": dispute["amount"],
        "reporting_category": "dispute_reversal",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }


def payout_transaction_object(*, id: str, payout: Mapping[str, Any]) -> Object:  # noqa: A002  (Stripe's name)
    """The balance transaction of a payout: its amount leaves the balance."""
    return {
        **DEFAULTS["balance_transaction"],
        "id": id,
        "amount": -payout["amount"],
        "available_on": payout["created"],
        "created": payout["created"],
        "currency": payout["currency"],
        "description": payout["description"],
        "net": -payout["amount"],
        "reporting_category": "payout",
        "source": payout["id"],
        "status": "available",
        "type": "payout",
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
