"""From Stripe's objects to rows of `gateway_transactions`. Pure; money rules only.

What is read and when is `gateway_reads.py`; sums over the rows are `analytics.py`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from platform_assets.clients.jsonable import to_jsonable
from platform_assets.clients.payment_gateway import ObjectType
from platform_assets.clients.quarantine import BadRow
from platform_assets.currencies import is_currency
from platform_assets.payments.gateway_fields import (
    BadObjectError,
    id_of,
    read_amount,
    read_captured,
    read_card,
    read_charge_id,
    read_decline_detail,
    read_failure_code,
    read_instant,
    read_kind,
    read_optional_amount,
    read_text,
)

OBJECT_TYPES: tuple[ObjectType, ...] = (
    "payment_intent",
    "charge",
    "refund",
    "dispute",
    "payout",
    "balance_transaction",
)
"""What is read, in the order in which one links to the next."""

LINKED_TYPES = ("charge", "refund", "dispute", "balance_transaction")
"""What belongs to a payment through a neighbour; an intent names its payment itself, a payout has none."""

TYPE_BY_PREFIX: Mapping[str, ObjectType] = {
    "pi": "payment_intent",
    "ch": "charge",
    "py": "charge",
    "re": "refund",
    "pyr": "refund",
    "dp": "dispute",
    "du": "dispute",
    "txn": "balance_transaction",
    "po": "payout",
}
"""What an id's prefix says of the object; `py` is a charge by other means than a card, `pyr` its refund."""

COLUMNS = [
    "object_id",
    "object_type",
    "payment_id",
    "payment_intent_id",
    "charge_id",
    "source_id",
    "payout_id",
    "customer_id",
    "kind",
    "status",
    "amount_minor",
    "captured_minor",
    "refunded_minor",
    "fee_minor",
    "net_minor",
    "currency",
    "failure_code",
    "advice_code",
    "network_decline_code",
    "reason",
    "card_fingerprint",
    "card_brand",
    "created_at",
    "available_on",
    "observed_at",
]

_NULLABLE_AMOUNTS = ("captured_minor", "refunded_minor", "fee_minor", "net_minor")

# The rest of an object may hold names, addresses, and a client secret that lets its bearer pay.
_KEPT_IN_QUARANTINE = (
    *("id", "object", "created", "available_on", "amount", "fee", "net", "currency", "status", "type"),
    *("source", "charge", "payment_intent", "metadata", "arrival_date", "amount_captured", "amount_refunded"),
)


@dataclass(frozen=True)
class TransactionRows:
    """Rows to write, and objects to set aside.

    Attributes:
        transactions: In the shape of `gateway_transactions`, one row per object.
        bad_rows: Objects that can be no row, with the reason.
    """

    transactions: pd.DataFrame
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `gateway_transactions`, which tells what its columns hold."""

    object_id: str
    object_type: str
    payment_id: str | None
    payment_intent_id: str | None
    charge_id: str | None
    source_id: str | None
    payout_id: str | None
    customer_id: str | None
    kind: str | None
    status: str | None
    amount_minor: int
    captured_minor: int | None
    refunded_minor: int | None
    fee_minor: int | None
    net_minor: int | None
    currency: str
    failure_code: str | None
    advice_code: str | None
    network_decline_code: str | None
    reason: str | None
    card_fingerprint: str | None
    card_brand: str | None
    created_at: dt.datetime
    available_on: dt.date | None
    observed_at: dt.datetime


@dataclass(frozen=True)
class Observation:
    """An object in the state in which the gateway showed it.

    Attributes:
        item: The object as Stripe's API describes it.
        observed_at: When the gateway showed it, by its own clock.
        payout_id: The automatic payout whose list it stood in; None elsewhere.
    """

    item: Mapping[str, Any]
    observed_at: dt.datetime
    payout_id: str | None = None


def find_referenced_ids(items: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of objects and of what they refer to: `known` of `transaction_rows` should hold these."""
    names = ("id", "payment_intent", "charge", "source")
    return {found for item in items for name in names if (found := id_of(item.get(name)))}


def transaction_rows(
    observations: Iterable[Observation], *, known: pd.DataFrame | None = None
) -> TransactionRows:
    """Rows for the objects of one read.

    A refund, dispute or balance transaction often names only its neighbour: its payment and intent are found through
    the charge, refund or dispute, among the objects or in `known`. Of an object that comes twice the state that was
    shown later counts, and none that was shown before the known one; of two of the same second the latter.

    Args:
        observations: Objects with the time at which they were shown.
        known: Rows of `gateway_transactions` with these ids, and those that the objects refer to
            (`find_referenced_ids`).

    Returns:
        Rows, by type and in order of `OBJECT_TYPES`, and objects to set aside.
    """
    latest: dict[str, Observation] = {}
    nameless: list[Observation] = []
    for observation in observations:
        object_id = id_of(observation.item.get("id"))
        if object_id is None:
            nameless.append(observation)
        elif object_id not in latest or latest[object_id].observed_at <= observation.observed_at:
            payout_id = observation.payout_id or (
                latest[object_id].payout_id if object_id in latest else None
            )
            latest[object_id] = replace(observation, payout_id=payout_id)
        elif observation.payout_id:
            latest[object_id] = replace(latest[object_id], payout_id=observation.payout_id)
    links = _known_links(known)
    rows: list[Row] = []
    bad: dict[str, BadRow] = {}
    for observation in (*latest.values(), *nameless):
        own = links.get(str(observation.item.get("id")))
        if own is not None and own.observed_at > observation.observed_at:
            continue
        try:
            rows.append(_row(observation))
        except BadObjectError as error:
            quarantined = _quarantined(observation.item, str(error))
            bad[quarantined.row_key] = quarantined
    return TransactionRows(_frame(_linked(rows, links)), tuple(bad.values()))


def _row(observation: Observation) -> Row:
    item = observation.item
    object_id = item.get("id")
    if not isinstance(object_id, str) or not object_id:
        raise BadObjectError("id is missing")
    object_type = item.get("object")
    if object_type not in OBJECT_TYPES:
        raise BadObjectError(f"object is {object_type!r}, which is none of {', '.join(OBJECT_TYPES)}")
    currency = (read_text(item, "currency") or "").upper()
    if not is_currency(currency):
        raise BadObjectError(f"currency is {item.get('currency')!r}, no known currency")
    is_balance, is_charge = object_type == "balance_transaction", object_type == "charge"
    # A payout that takes money from the bank, as after refunds, is negative.
    is_signed = is_balance or object_type == "payout"
    amount = read_amount(item, "amount", currency, may_be_negative=is_signed)
    fee = read_amount(item, "fee", currency, may_be_negative=True) if is_balance else None
    net = read_amount(item, "net", currency, may_be_negative=True) if is_balance else None
    if fee is not None and amount - fee != net:
        raise BadObjectError("net is not amount less fee")
    metadata = item.get("metadata")
    payment_id = metadata.get("payment_id") if isinstance(metadata, Mapping) else None
    card = read_card(item) if is_charge else {}
    available = {"balance_transaction": "available_on", "payout": "arrival_date"}.get(object_type)
    return Row(
        object_id=object_id,
        object_type=object_type,
        payment_id=str(payment_id) if payment_id else None,
        payment_intent_id=object_id if object_type == "payment_intent" else id_of(item.get("payment_intent")),
        charge_id=read_charge_id(item),
        source_id=id_of(item.get("source")) if is_balance else None,
        payout_id=observation.payout_id,
        customer_id=id_of(item.get("customer")),
        kind=read_kind(item),
        status=read_text(item, "status"),
        amount_minor=amount,
        captured_minor=read_captured(item, amount, currency) if is_charge else None,
        refunded_minor=read_optional_amount(item, "amount_refunded", currency) or 0 if is_charge else None,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        failure_code=read_failure_code(item),
        advice_code=read_decline_detail(item, "advice_code"),
        network_decline_code=read_decline_detail(item, "network_decline_code"),
        reason=read_text(item, "reason") if object_type in ("dispute", "refund") else None,
        card_fingerprint=read_text(card, "fingerprint"),
        card_brand=read_text(card, "brand"),
        created_at=read_instant(item, "created"),
        available_on=read_instant(item, available).date() if available else None,
        observed_at=observation.observed_at,
    )


@dataclass(frozen=True)
class _Links:
    """What an object belongs to, None where nothing says so, and when that was seen."""

    observed_at: dt.datetime
    payment_id: str | None
    payment_intent_id: str | None
    charge_id: str | None
    payout_id: str | None


def _known_links(known: pd.DataFrame | None) -> dict[str, _Links]:
    if known is None or known.empty:
        return {}
    texts = known[["object_id", "payment_id", "payment_intent_id", "charge_id", "payout_id"]].astype(object)
    moments = known["observed_at"].dt.to_pydatetime()
    return {
        values[0]: _Links(moment, *(value if isinstance(value, str) else None for value in values[1:]))
        for values, moment in zip(texts.itertuples(index=False, name=None), moments)
    }


def _linked(rows: Sequence[Row], known: Mapping[str, _Links]) -> list[Row]:
    """The rows in order of their types, with the links that their neighbours have and those that were known."""
    links = dict(known)
    linked = []
    for row in sorted(rows, key=lambda row: (OBJECT_TYPES.index(row.object_type), row.object_id)):
        payment_id, intent_id, charge_id = row.payment_id, row.payment_intent_id, row.charge_id
        is_linked = row.object_type in LINKED_TYPES
        for neighbour_id in (row.source_id, charge_id, intent_id, row.object_id):
            neighbour = links.get(neighbour_id or "") if is_linked else None
            if neighbour is not None:
                payment_id = payment_id or neighbour.payment_id
                intent_id = intent_id or neighbour.payment_intent_id
                charge_id = charge_id or neighbour.charge_id
        if payment_id is None and is_linked and intent_id in links:
            payment_id = links[intent_id].payment_id
        own = known.get(row.object_id)
        payout_id = row.payout_id or (own.payout_id if own else None)
        links[row.object_id] = _Links(row.observed_at, payment_id, intent_id, charge_id, payout_id)
        linked.append(
            replace(
                row,
                payment_id=payment_id,
                payment_intent_id=intent_id,
                charge_id=charge_id,
                payout_id=payout_id,
            )
        )
    return linked


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in COLUMNS}, dtype=object)
    return frame.astype({"amount_minor": "int64", **dict.fromkeys(_NULLABLE_AMOUNTS, "Int64")}).assign(
        created_at=pd.to_datetime(frame["created_at"], utc=True),
        observed_at=pd.to_datetime(frame["observed_at"], utc=True),
    )


def _quarantined(item: Mapping[str, Any], reason: str) -> BadRow:
    payload = to_jsonable({name: item[name] for name in _KEPT_IN_QUARANTINE if name in item})
    digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    return BadRow(row_key=id_of(item.get("id")) or f"row:{digest}", reason=reason, payload=payload)
