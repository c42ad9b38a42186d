"""Daily payment totals of Stripe objects in CSV files: the product's own rows and sums, nothing of its own here.

The reading of the files belongs here; rows are `payments.gateway_objects`, sums are `payments.analytics`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from platform_assets.clients.quarantine import BadRow
from platform_assets.currencies import is_currency
from platform_assets.evaluation.data_errors import EvaluationDataError
from platform_assets.payments.analytics import PAYOUT_KINDS, daily_totals
from platform_assets.payments.gateway_objects import Observation, transaction_rows

FILES = {"balance_transaction": "balance_transaction_data.csv", "charge": "charge_data.csv"}
"""What the measures are made of; of the other files nothing is needed."""

MEASURES = (
    "sales_count",
    "sales_amount_minor",
    "refunds_amount_minor",
    "fees_minor",
    "net_amount_minor",
    "payouts_count",
    "payout_amount_minor",
    "failed_charge_count",
    "failed_charge_amount_minor",
)

_AMOUNTS = ("amount", "fee", "net", "amount_refunded", "amount_captured")
_TIMES = ("created", "available_on")
_REQUIRED = {
    "balance_transaction": ("id", "amount", "currency", "type", "created"),
    "charge": ("id", "amount", "currency", "status", "created"),
}
_NO_VALUE = ("", "null", "none", "nan", "nat", "na", "n/a", "\\n")
"""How exports write that a field has no value, in either case."""

_NO_OBSERVATION_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?")
_EPOCH_MS_DIGITS = 13


def evaluate_payments(folder: Path, *, currency: str | None = None) -> tuple[dict[str, Any], list[BadRow]]:
    """Sum up the objects of a folder by UTC day.

    Args:
        folder: Holds `balance_transaction_data.csv`, `charge_data.csv` or both, with Stripe's amounts and times in UTC.
        currency: Only objects in this currency, in either case; None takes all, which must then be one.

    Returns:
        `days` (each day with its measures) and `total`, in minor units; and the rows that can be no object.

    Raises:
        EvaluationDataError: A file can't be read or lacks a column, there is none, the chosen currency is unknown, or
            several currencies are in them and none was chosen.
    """
    objects = list(_read_objects(folder))
    rows = transaction_rows(Observation(item, _NO_OBSERVATION_TIME) for item in objects)
    if currency is not None and not is_currency(currency.strip().upper()):
        raise EvaluationDataError([f"{currency!r} is no ISO 4217 currency code, such as USD"])
    totals = daily_totals(rows.transactions)
    found = sorted(set(rows.transactions["currency"]))
    if currency is not None:
        totals = totals[totals["currency"] == currency.strip().upper()]
    elif len(found) > 1:
        raise EvaluationDataError(
            [f"several currencies ({', '.join(found)}) are never added: choose one with --currency"]
        )
    days = {
        str(row["day"]): {name: int(row[name]) for name in MEASURES}
        for row in totals.to_dict("records")
        if any(row[name] for name in MEASURES)
    }
    total = {name: sum(day[name] for day in days.values()) for name in MEASURES}
    return {"days": days, "total": total}, list(rows.bad_rows)


def _read_objects(folder: Path) -> Iterator[Mapping[str, Any]]:
    found = {kind: path for kind, name in FILES.items() if (path := folder / name).is_file()}
    if not found:
        raise EvaluationDataError([f"{folder} holds neither {' nor '.join(FILES.values())}"])
    problems: list[str] = []
    for kind, path in found.items():
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            problems.append(f"{path.name} can't be read: {error}")
            continue
        frame.columns = frame.columns.str.strip().str.lower()
        missing = [name for name in _REQUIRED[kind] if name not in frame]
        if missing and len(frame):
            problems.append(f"{path.name} has no column {', '.join(missing)}")
            continue
        for record in frame.to_dict("records"):
            yield _object(kind, {str(name): value.strip() for name, value in record.items()})
    if problems:
        raise EvaluationDataError(problems)


def _object(kind: str, record: Mapping[str, str]) -> dict[str, Any]:
    """A row of a file in the shape of Stripe's API; an empty cell is a field without a value."""
    item: dict[str, Any] = {
        name: None if value.lower() in _NO_VALUE else value for name, value in record.items()
    }
    item["object"] = kind
    for name in _AMOUNTS:
        item[name] = _whole(item.get(name))
    for name in _TIMES:
        item[name] = _seconds(item.get(name))
    for name in ("type", "status"):
        if item.get(name):
            item[name] = str(item[name]).lower()
    # What an export names otherwise than the API: a column `x_id` holds what the API calls `x`.
    for name in ("charge", "payment_intent", "customer"):
        item[name] = item.get(name) or item.get(f"{name}_id")
    if kind == "balance_transaction":
        _complete(item)
    item["captured"] = None if not item.get("captured") else str(item["captured"]).lower() == "true"
    item["metadata"] = None
    return item


def _complete(item: dict[str, Any]) -> None:
    """Fill in what follows from the rest: amount is fee plus net, and only a payout's day is that of its funds."""
    amount, fee, net = item["amount"], item["fee"], item["net"]
    if fee is None and isinstance(amount, int) and isinstance(net, int):
        item["fee"] = amount - net
    elif net is None and isinstance(amount, int) and isinstance(fee, int):
        item["net"] = amount - fee
    if item["available_on"] is None and item["type"] not in PAYOUT_KINDS:
        item["available_on"] = item["created"]


def _whole(text: str | None) -> int | str | None:
    """A whole number, such as `1200`, `-5` or `1200.0`; any other text stays as it is, to be set aside with its reason."""
    match = _WHOLE.fullmatch(text or "")
    return int(match[1]) if match else text


def _seconds(text: str | None) -> int | str | None:
    """Seconds since 1970 of a time in any of the usual spellings, in UTC unless it says otherwise."""
    if text is None:
        return None
    match = _WHOLE.fullmatch(text)
    if match:
        number = int(match[1])
        return number // 1000 if len(match[1].lstrip("+-")) >= _EPOCH_MS_DIGITS else number
    try:
        moment = pd.Timestamp(text)
    except ValueError:
        return text
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return int(moment.timestamp() // 1)
