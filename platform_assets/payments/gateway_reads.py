"""What of the gateway is read, and when: windows of creation, reads that go on, and events. Pure.

Carrying it out is `gateway_sync.py`; what an object means is `gateway_objects.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from platform_assets.clients.payment_gateway import ObjectType
from platform_assets.payments.gateway_objects import OBJECT_TYPES, TYPE_BY_PREFIX

FIRST_READ_FROM = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
"""Before the gateway existed: where a first read begins."""

OVERLAP = dt.timedelta(hours=2)
"""How far a read reaches back before the last one: a page that changes while it is read may miss an object, lists may
lag behind by seconds, and our clock may differ from the gateway's. Later changes are told by events."""

EVENTS_KEPT = dt.timedelta(days=29)
"""Stripe shows events for 30 days; after a longer pause what changed can't be known, and everything is read again."""

DUE_WITHIN = dt.timedelta(days=14)
"""How long a balance transaction that is overdue to become available is still asked for."""

MAX_QUARANTINE_REREADS = 100
"""Objects that were set aside are asked for again one by one, so many in one run, in turns."""

MAX_MISSING_REREADS = 500
"""Objects that others refer to and no list has shown, likewise."""

EVENT_TYPES = (
    *(f"payment_intent.{name}" for name in ("canceled", "payment_failed", "processing", "requires_action")),
    "payment_intent.succeeded",
    *(f"charge.{name}" for name in ("captured", "expired", "failed", "refunded", "succeeded", "updated")),
    *(f"charge.dispute.{name}" for name in ("closed", "created", "updated")),
    *(f"refund.{name}" for name in ("failed", "updated")),
    *(f"payout.{name}" for name in ("canceled", "failed", "paid", "reconciliation_completed")),
)
"""What tells of a change to an object that is read here; a request may name 20 types at most."""


@dataclass(frozen=True)
class Cursor:
    """How far one kind of object has been read: a row of `gateway_cursors`, which tells what its columns hold."""

    read_through: dt.datetime | None = None
    began_at: dt.datetime | None = None
    reads_from: dt.datetime | None = None
    after_id: str | None = None

    def finished(self) -> Cursor:
        """The cursor once the read under way has come to its end: later objects may have been missed."""
        return Cursor(read_through=self.began_at)


@dataclass(frozen=True)
class Read:
    """One kind's read, to be begun or to go on.

    Attributes:
        began_at: When it began.
        reads_from: The earliest creation to ask for.
        after_id: The last object that is stored already; None at the beginning.
    """

    began_at: dt.datetime
    reads_from: dt.datetime
    after_id: str | None = None


def plan_read(cursor: Cursor, *, now: dt.datetime, due_since: dt.datetime | None = None) -> Read:
    """What to ask for.

    Args:
        cursor: How far this kind has been read.
        now: When the read begins.
        due_since: Creation of the oldest object that is due to have changed by itself; None when there is none.

    Returns:
        The read that was broken off, or a new one.
    """
    if cursor.began_at is not None and cursor.reads_from is not None:
        return Read(cursor.began_at, cursor.reads_from, cursor.after_id)
    if cursor.read_through is None:
        return Read(now, FIRST_READ_FROM)
    starts = [cursor.read_through - OVERLAP, *([due_since] if due_since else [])]
    return Read(now, max(FIRST_READ_FROM, min(starts)))


def plan_events(cursor: Cursor | None, *, now: dt.datetime) -> dt.datetime | None:
    """From when on to read events; None when what has changed can only be known by reading everything."""
    if cursor is None or cursor.read_through is None or cursor.read_through < now - EVENTS_KEPT:
        return None
    return cursor.read_through - OVERLAP


def find_changed_objects(events: Iterable[Mapping[str, Any]]) -> dict[str, tuple[ObjectType, int]]:
    """What events tell of.

    Returns:
        By id, an object's type and the second in which it last changed.
    """
    changed: dict[str, tuple[ObjectType, int]] = {}
    for event in events:
        data = event.get("data")
        item = data.get("object") if isinstance(data, Mapping) else None
        if not isinstance(item, Mapping) or item.get("object") not in OBJECT_TYPES:
            continue
        object_id, at = item.get("id"), event.get("created")
        if isinstance(object_id, str) and isinstance(at, int):
            changed[object_id] = (item["object"], max(at, changed.get(object_id, (None, at))[1]))
    return changed


def type_of_id(object_id: str) -> ObjectType | None:
    """The type that an id's prefix tells; None for what is not read here."""
    return TYPE_BY_PREFIX.get(object_id.partition("_")[0])
