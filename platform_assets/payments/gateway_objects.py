"""From Stripe's objects to rows of `gateway_transactions`, and from when on to read them. Pure; money rules only.

Reading is `clients/payment_gateway.py`; sums over the rows are `analytics.py`.
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
from platform_assets.currencies import CurrencyError, is_currency, minor_from_gateway

OBJECT_TYPES: tuple[ObjectType, ...] = ("payment_intent", "charge", "refund", "balance_transaction")
"""What is read, in the order in which one links to the next."""

FIRST_READ_FROM = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
"""Before the gateway existed: where a first read begins."""

OVERLAP = dt.timedelta(days=7)
"""How far a read reaches back before the last one: objects change after they are made, most within days (a bank debit
is decided in up to five working days), and a page that changes while it is read may miss one."""

MAX_AMOUNT = 10**15
"""No payment is as large; sums of so many rows as a table holds stay far within 64 bits."""

UNSETTLED = ("pending", "requires_action")
"""Statuses of charges and refunds that change by themselves, sometimes weeks after they were made."""

_SETTLED: Mapping[ObjectType, frozenset[str]] = {
    "payment_intent": frozenset(("succeeded", "canceled")),
    "charge": frozenset(("succeeded", "failed")),
    # One that succeeded can still come back from the bank.
    "refund": frozenset(("failed", "canceled")),
    "balance_transaction": frozenset(("available",)),
}

_TYPE_BY_PREFIX: Mapping[str, ObjectType] = {
    "pi": "payment_intent",
    "ch": "charge",
    "py": "charge",
    "re": "refund",
    "pyr": "refund",
    "txn": "balance_transaction",
}

COLUMNS = [
    "object_id",
    "object_type",
    "payment_id",
    "payment_intent_id",
    "charge_id",
    "kind",
    "status",
    "amount_minor",
    "fee_minor",
    "net_minor",
    "currency",
    "failure_code",
    "created_at",
    "available_on",
]

# The rest of an object may hold names, addresses, and a client secret that lets its bearer pay.
_KEPT_IN_QUARANTINE = (
    *("id", "object", "created", "available_on", "amount", "fee", "net", "currency", "status", "type"),
    *("source", "charge", "payment_intent", "metadata"),
)


@dataclass(frozen=True)
class Links:
    """What an object belongs to; None where nothing says so."""

    payment_id: str | None
    payment_intent_id: str | None
    charge_id: str | None


@dataclass(frozen=True)
class TransactionRows:
    """Rows to write, and objects to set aside.

    Attributes:
        transactions: In the shape of `gateway_transactions`, one row per object.
        bad_rows: Objects that can be no row, with the reason.
    """

    transactions: pd.DataFrame
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True)
class _Row:
    object_id: str
    object_type: str
    payment_id: str | None
    payment_intent_id: str | None
    charge_id: str | None
    kind: str | None
    status: str | None
    amount_minor: int
    fee_minor: int | None
    net_minor: int | None
    currency: str
    failure_code: str | None
    created_at: dt.datetime
    available_on: dt.date | None
    source_id: str | None

    @property
    def links(self) -> Links:
        return Links(self.payment_id, self.payment_intent_id, self.charge_id)


class _BadObjectError(Exception):
    """An object that can be no row; the text says why."""


def plan_read(read_through: dt.datetime | None, *, overlap: dt.timedelta = OVERLAP) -> dt.datetime:
    """From when on objects are read.

    Args:
        read_through: Up to when everything has been read (UTC): the moment at which the last complete read began, as
            later objects may have been missed; None before the first.
        overlap: How far to reach back.

    Returns:
        The earliest `created` to ask for.
    """
    return FIRST_READ_FROM if read_through is None else max(FIRST_READ_FROM, read_through - overlap)


def find_referenced_ids(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids that objects refer to and that are not among them: `known` of `transaction_rows` should hold these."""
    own, referenced = set(), set()
    for item in objects:
        own.add(_id_of(item.get("id")))
        referenced |= {_id_of(item.get(name)) for name in ("payment_intent", "charge", "source")}
    return {name for name in referenced - own if name}


def plan_rereads(
    objects: Iterable[Mapping[str, Any]], *, known: pd.DataFrame, quarantined_ids: Iterable[str]
) -> list[tuple[ObjectType, str]]:
    """Older objects to read one by one, since a list by time of creation does not show that they changed.

    An intent that is confirmed weeks after it was made has a new charge, a refund that fails a new balance transaction:
    what new objects refer to is read again unless it is known to be settled. So is what was still under way, and what
    was set aside, which another release may understand.

    Args:
        objects: Objects of one read.
        known: Rows of `gateway_transactions` that these refer to (`find_referenced_ids`) or that are under way.
        quarantined_ids: Ids of objects that were set aside.

    Returns:
        Type and id of each, by id.
    """
    objects = list(objects)
    read = {_id_of(item.get("id")) for item in objects}
    status_by_id = dict(zip(known["object_id"], known["status"]))
    candidates = find_referenced_ids(objects).union(status_by_id, quarantined_ids) - read
    rereads = []
    for object_id in sorted(name for name in candidates if name):
        object_type = _TYPE_BY_PREFIX.get(object_id.partition("_")[0])
        if object_type and status_by_id.get(object_id) not in _SETTLED[object_type]:
            rereads.append((object_type, object_id))
    return rereads


def transaction_rows(
    objects: Iterable[Mapping[str, Any]], *, known: pd.DataFrame | None = None
) -> TransactionRows:
    """Rows for the objects of one read, of all types together.

    A refund or balance transaction often names only its neighbour: its payment and intent are found through the
    charge or refund, among the objects or in `known`. Of an object that comes twice the later one counts.

    Args:
        objects: Objects as Stripe's API describes them.
        known: Rows of `gateway_transactions` that the objects refer to (`find_referenced_ids`).

    Returns:
        Rows, by type and in order of `OBJECT_TYPES`, and objects to set aside.
    """
    rows: dict[str, _Row] = {}
    bad: dict[str, BadRow] = {}
    for item in objects:
        try:
            row = _row(item)
        except _BadObjectError as error:
            quarantined = _quarantined(item, str(error))
            bad[quarantined.row_key] = quarantined
            rows.pop(quarantined.row_key, None)
        else:
            rows[row.object_id] = row
            bad.pop(row.object_id, None)
    linked = _linked(list(rows.values()), _known_links(known))
    return TransactionRows(_frame(linked), tuple(bad.values()))


def _row(item: Mapping[str, Any]) -> _Row:
    object_id = item.get("id")
    if not isinstance(object_id, str) or not object_id:
        raise _BadObjectError("id is missing")
    object_type = item.get("object")
    if object_type not in OBJECT_TYPES:
        raise _BadObjectError(f"object is {object_type!r}, which is none of {', '.join(OBJECT_TYPES)}")
    currency = (_text(item, "currency") or "").upper()
    if not is_currency(currency):
        raise _BadObjectError(f"currency is {item.get('currency')!r}, no known currency")
    is_balance = object_type == "balance_transaction"
    amount = _amount(item, "amount", currency, may_be_negative=is_balance)
    fee = _amount(item, "fee", currency, may_be_negative=True) if is_balance else None
    net = _amount(item, "net", currency, may_be_negative=True) if is_balance else None
    if fee is not None and amount - fee != net:
        raise _BadObjectError("net is not amount less fee")
    metadata = item.get("metadata")
    payment_id = metadata.get("payment_id") if isinstance(metadata, Mapping) else None
    return _Row(
        object_id=object_id,
        object_type=object_type,
        payment_id=str(payment_id) if payment_id else None,
        payment_intent_id=object_id
        if object_type == "payment_intent"
        else _id_of(item.get("payment_intent")),
        charge_id=_charge_id(item),
        kind=_text(item, "type") if is_balance else None,
        status=_text(item, "status"),
        amount_minor=amount,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        failure_code=_failure_code(item),
        created_at=_instant(item, "created"),
        available_on=_instant(item, "available_on").date() if is_balance else None,
        source_id=_id_of(item.get("source")) if is_balance else None,
    )


def _amount(item: Mapping[str, Any], name: str, currency: str, *, may_be_negative: bool) -> int:
    amount = item.get(name)
    if amount is None:
        raise _BadObjectError(f"{name} is {'null' if name in item else 'missing'}")
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise _BadObjectError(f"{name} is {amount!r}, no whole number")
    if abs(amount) > MAX_AMOUNT:
        raise _BadObjectError(f"{name} is {amount}, beyond ±{MAX_AMOUNT}")
    if amount < 0 and not may_be_negative:
        raise _BadObjectError(f"{name} is {amount}, below 0")
    try:
        return minor_from_gateway(amount, currency)
    except CurrencyError as error:
        raise _BadObjectError(f"{name}: {error}") from error


def _instant(item: Mapping[str, Any], name: str) -> dt.datetime:
    seconds = item.get(name)
    if seconds is None:
        raise _BadObjectError(f"{name} is {'null' if name in item else 'missing'}")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise _BadObjectError(f"{name} is {seconds!r}, no time in whole seconds")
    try:
        return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):
        raise _BadObjectError(f"{name} is {seconds}, beyond all dates") from None


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def _charge_id(item: Mapping[str, Any]) -> str | None:
    match item["object"]:
        case "charge":
            return str(item["id"])
        case "payment_intent":
            return _id_of(item.get("latest_charge"))
        case "refund":
            return _id_of(item.get("charge"))
        case _:
            source_id = _id_of(item.get("source")) or ""
            return source_id if source_id.startswith(("ch_", "py_")) else None


def _failure_code(item: Mapping[str, Any]) -> str | None:
    """The issuer's decline code where it gave one, or else the gateway's own code."""
    match item["object"]:
        case "charge":
            code = _text(item, "failure_code")
            outcome = item.get("outcome")
            # `outcome.reason` is the issuer's only here: with charges that succeed it tells of risk.
            if code and isinstance(outcome, Mapping) and outcome.get("type") == "issuer_declined":
                return _text(outcome, "reason") or code
            return code
        case "payment_intent":
            error = item.get("last_payment_error")
            return (
                (_text(error, "decline_code") or _text(error, "code")) if isinstance(error, Mapping) else None
            )
        case "refund":
            return _text(item, "failure_reason")
        case _:
            return None


def _id_of(value: Any) -> str | None:
    """The id of a reference, be it plain or expanded to the object itself."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def _known_links(known: pd.DataFrame | None) -> dict[str, Links]:
    if known is None or known.empty:
        return {}
    columns = known[["object_id", "payment_id", "payment_intent_id", "charge_id"]].astype(object)
    return {
        object_id: Links(*(value if isinstance(value, str) else None for value in values))
        for object_id, *values in columns.itertuples(index=False, name=None)
    }


def _linked(rows: Sequence[_Row], known: Mapping[str, Links]) -> list[_Row]:
    """The rows in order of their types, with the links that their neighbours have."""
    links = dict(known)
    linked = []
    for row in sorted(rows, key=lambda row: (OBJECT_TYPES.index(row.object_type), row.object_id)):
        complete = row
        for neighbour_id in (row.source_id, row.charge_id, row.payment_intent_id, row.object_id):
            neighbour = links.get(neighbour_id or "")
            if neighbour is not None:
                complete = replace(
                    complete,
                    payment_id=complete.payment_id or neighbour.payment_id,
                    payment_intent_id=complete.payment_intent_id or neighbour.payment_intent_id,
                    charge_id=complete.charge_id or neighbour.charge_id,
                )
        intent = links.get(complete.payment_intent_id or "")
        if complete.payment_id is None and intent is not None:
            complete = replace(complete, payment_id=intent.payment_id)
        links[row.object_id] = complete.links
        linked.append(complete)
    return linked


def _frame(rows: Sequence[_Row]) -> pd.DataFrame:
    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in COLUMNS}, dtype=object)
    return frame.astype({"amount_minor": "int64", "fee_minor": "Int64", "net_minor": "Int64"}).assign(
        created_at=pd.to_datetime(frame["created_at"], utc=True)
    )


def _quarantined(item: Mapping[str, Any], reason: str) -> BadRow:
    payload = to_jsonable({name: item[name] for name in _KEPT_IN_QUARANTINE if name in item})
    digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    return BadRow(row_key=_id_of(item.get("id")) or f"row:{digest}", reason=reason, payload=payload)
