"""What the fields of Stripe's objects hold: amounts in ISO's minor units, times, references, reasons of a decline. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from platform_assets.currencies import CurrencyError, minor_from_gateway

MAX_AMOUNT = 10**15
"""No payment is as large; sums of so many rows as a table holds stay far within 64 bits."""


class BadObjectError(Exception):
    """An object that can be no row; the text says why."""


def read_amount(item: Mapping[str, Any], name: str, currency: str, *, may_be_negative: bool) -> int:
    """An amount in ISO's minor units.

    Raises:
        BadObjectError: It is missing, no whole number, out of range, or more exact than the currency.
    """
    amount = read_optional_amount(item, name, currency, may_be_negative=may_be_negative)
    if amount is None:
        raise BadObjectError(f"{name} is {'null' if name in item else 'missing'}")
    return amount


def read_optional_amount(
    item: Mapping[str, Any], name: str, currency: str, *, may_be_negative: bool = False
) -> int | None:
    """An amount in ISO's minor units; None when it is missing.

    Raises:
        BadObjectError: It is no whole number, out of range, or more exact than the currency.
    """
    amount = item.get(name)
    if amount is None:
        return None
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise BadObjectError(f"{name} is {amount!r}, no whole number")
    if abs(amount) > MAX_AMOUNT:
        raise BadObjectError(f"{name} is {amount}, beyond ±{MAX_AMOUNT}")
    if amount < 0 and not may_be_negative:
        raise BadObjectError(f"{name} is {amount}, below 0")
    try:
        return minor_from_gateway(amount, currency)
    except CurrencyError as error:
        raise BadObjectError(f"{name}: {error}") from error


def read_captured(item: Mapping[str, Any], amount_minor: int, currency: str) -> int:
    """What a charge has captured: all of a paid one unless it says otherwise, nothing of any other."""
    if item.get("status") != "succeeded" or item.get("captured") is False:
        return 0
    captured = read_optional_amount(item, "amount_captured", currency)
    return amount_minor if captured is None else captured


def read_kind(item: Mapping[str, Any]) -> str | None:
    """The column `kind`: type of a balance transaction, way of a payout."""
    match item["object"]:
        case "balance_transaction":
            return read_text(item, "type")
        case "payout" if item.get("automatic") is False:
            return "manual"
        case "payout":
            return "settling" if item.get("reconciliation_status") == "in_progress" else "automatic"
        case _:
            return None


def read_card(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is told of the card that was charged; empty for other ways to pay."""
    details = item.get("payment_method_details")
    card = details.get("card") if isinstance(details, Mapping) else None
    return card if isinstance(card, Mapping) else {}


def read_decline_detail(item: Mapping[str, Any], name: str) -> str | None:
    """What a charge or an intent tells of its decline beside the code, such as `advice_code`."""
    holder = {"charge": "outcome", "payment_intent": "last_payment_error"}.get(item["object"])
    details = item.get(holder) if holder else None
    return read_text(details, name) if isinstance(details, Mapping) else None


def read_instant(item: Mapping[str, Any], name: str) -> dt.datetime:
    """A time (UTC).

    Raises:
        BadObjectError: It is missing or no time.
    """
    seconds = item.get(name)
    if seconds is None:
        raise BadObjectError(f"{name} is {'null' if name in item else 'missing'}")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise BadObjectError(f"{name} is {seconds!r}, no time in whole seconds")
    try:
        return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):
        raise BadObjectError(f"{name} is {seconds}, beyond all dates") from None


def read_text(item: Mapping[str, Any], name: str) -> str | None:
    """A text; None when it is missing, empty or no text."""
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def read_charge_id(item: Mapping[str, Any]) -> str | None:
    """The charge that an object names."""
    match item["object"]:
        case "charge":
            return str(item["id"])
        case "payment_intent":
            return id_of(item.get("latest_charge"))
        case "refund" | "dispute":
            return id_of(item.get("charge"))
        case "payout":
            return None
        case _:
            source_id = id_of(item.get("source")) or ""
            return source_id if source_id.startswith(("ch_", "py_")) else None


def read_failure_code(item: Mapping[str, Any]) -> str | None:
    """The issuer's decline code where it gave one, or else the gateway's own code."""
    match item["object"]:
        case "charge":
            code = read_text(item, "failure_code")
            outcome = item.get("outcome")
            # `outcome.reason` is the issuer's only here: with charges that succeed it tells of risk.
            if code and isinstance(outcome, Mapping) and outcome.get("type") == "issuer_declined":
                return read_text(outcome, "reason") or code
            return code
        case "payment_intent":
            error = item.get("last_payment_error")
            return (
                (read_text(error, "decline_code") or read_text(error, "code"))
                if isinstance(error, Mapping)
                else None
            )
        case "refund":
            return read_text(item, "failure_reason")
        case _:
            return None


def id_of(value: Any) -> str | None:
    """The id of a reference, be it plain or expanded to the object itself."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and value else None
