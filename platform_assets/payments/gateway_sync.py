"""Carries the reading of the gateway out: page by page into `gateway_transactions`, each batch with its place.

A read that breaks off goes on where it was; memory holds a batch at a time, whatever the size of the account. What is
read and when is decided in `gateway_reads.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Literal, TypeVar

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts, is_among, write_quarantine
from platform_assets.clients.http_errors import PermanentError
from platform_assets.clients.payment_gateway import PAGE_SIZE, GatewayPage, ObjectType, PaymentGateway
from platform_assets.payments.gateway_objects import (
    LINKED_TYPES,
    OBJECT_TYPES,
    Observation,
    find_referenced_ids,
    transaction_rows,
)
from platform_assets.payments.gateway_reads import (
    DUE_WITHIN,
    EVENT_TYPES,
    MAX_MISSING_REREADS,
    MAX_QUARANTINE_REREADS,
    Cursor,
    Read,
    find_changed_objects,
    plan_events,
    plan_read,
    type_of_id,
)
from platform_assets.tables import monitoring
from platform_assets.tables.payments import gateway_cursors, gateway_transactions

GATEWAY_SOURCE = "stripe.objects"
"""Name under which bad gateway objects are set aside."""

BATCH_PAGES = 10
"""Pages that are stored in one transaction: enough that its fixed cost does not count, little to read again."""

MAX_LINK_DEPTH = 4
"""From a balance transaction over its refund and its charge to the intent, and once more to see that nothing is left."""

T = TypeVar("T")

_EVENT: Literal["event"] = "event"
_TABLE = gateway_transactions


@dataclass
class SyncCounts:
    """What a run read and wrote.

    Attributes:
        writes: Rows that were inserted, updated or unchanged.
        objects_read: Objects that the gateway showed, the same one as often as it did.
        objects_read_again: Those of them that were asked for one by one.
        payouts_itemized: Payouts whose transactions were read.
    """

    writes: WriteCounts = field(default_factory=WriteCounts)
    objects_read: int = 0
    objects_read_again: int = 0
    payouts_itemized: int = 0


class GatewaySync:
    """One run of reading.

    Args:
        database: Where rows and cursors are kept.
        gateway: What is read.
        read_clock: Gives the present moment (UTC).
    """

    def __init__(
        self, database: Database, gateway: PaymentGateway, read_clock: Callable[[], dt.datetime]
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._read_clock = read_clock
        self._missing: set[str] = set()
        self._changed: dict[str, tuple[ObjectType, int]] = {}
        self._quarantined: set[str] = set()
        self._bad: set[str] = set()
        self.counts = SyncCounts()

    def run(self) -> SyncCounts:
        """Bring the table up to what the gateway shows.

        Raises:
            ServiceError: The gateway could not be read to the end; what was stored by then stays.
        """
        now = self._read_clock()
        cursors = self._read_cursors()
        self._quarantined = self._read_quarantined_ids(now)
        events_from = plan_events(cursors.get(_EVENT), now=now)
        if events_from is None:
            # Without events everything is read from the beginning; those from here on tell what changes meanwhile.
            self._write_cursor(_EVENT, Cursor(read_through=now))
            cursors = {}
        else:
            # Before the lists: what is listed after its event was read can't be older than it.
            self._read_events(events_from)
        for object_type in OBJECT_TYPES:
            if object_type == "balance_transaction":
                # First, so that most of them are stored once, with their payout.
                self._itemize_payouts()
            self._read_list(object_type, cursors.get(object_type, Cursor()), now=now)
        self._reread(self._changed_since_shown())
        self._reread(sorted(self._quarantined))
        missing = self._missing - self._known_ids(self._missing) - self._bad
        self._reread(sorted(missing)[:MAX_MISSING_REREADS])
        self.link()
        self._write_cursor(_EVENT, Cursor(read_through=now))
        return self.counts

    def _read_cursors(self) -> dict[str, Cursor]:
        columns = [column for column in gateway_cursors.columns if column.name != "updated_at"]
        with self._database.transaction() as connection:
            rows = connection.execute(sa.select(*columns)).mappings().all()
        return {row["object_type"]: Cursor(**{name: row[name] for name in asdict(Cursor())}) for row in rows}

    def _write_cursor(
        self, object_type: str, cursor: Cursor, connection: sa.Connection | None = None
    ) -> None:
        frame = pd.DataFrame([{"object_type": object_type, **asdict(cursor)}], dtype=object)
        self._database.upsert(gateway_cursors, frame, connection=connection)

    def _read_events(self, since: dt.datetime) -> None:
        for page in self._gateway.list_pages(_EVENT, created_gte=since, types=list(EVENT_TYPES)):
            for object_id, (object_type, at) in find_changed_objects(page.objects).items():
                known_at = self._changed.get(object_id, (object_type, at))[1]
                self._changed[object_id] = (object_type, max(at, known_at))

    def _changed_since_shown(self) -> list[str]:
        """Objects that changed after they were last shown, as far as seconds can tell."""
        stored = self._database.read(
            sa.select(_TABLE.c.object_id, _TABLE.c.observed_at).where(
                is_among(_TABLE.c.object_id, self._changed)
            )
        )
        shown_at = dict(zip(stored["object_id"], stored["observed_at"].dt.to_pydatetime()))
        return sorted(
            object_id
            for object_id, (_, at) in self._changed.items()
            if object_id not in shown_at or shown_at[object_id].timestamp() <= at
        )

    def _read_list(self, object_type: ObjectType, cursor: Cursor, *, now: dt.datetime) -> None:
        """One kind's objects from the newest to the oldest that is asked for, a batch of pages at a time."""
        due_since = self._due_since(now) if object_type == "balance_transaction" else None
        read = plan_read(cursor, now=now, due_since=due_since)
        try:
            self._store_list(object_type, cursor, read)
        except PermanentError as error:
            if read.after_id is None or error.status not in (400, 404):
                raise
            # The object at which the last read stopped is gone: the account is another one, or was cleared.
            self._store_list(object_type, cursor, Read(read.began_at, read.reads_from))

    def _store_list(self, object_type: ObjectType, cursor: Cursor, read: Read) -> None:
        pages = self._gateway.list_pages(object_type, created_gte=read.reads_from, after_id=read.after_id)
        place = Cursor(cursor.read_through, read.began_at, read.reads_from, read.after_id)
        for batch in _batches(pages, BATCH_PAGES):
            last = batch[-1].objects[-1]["id"] if batch[-1].objects else place.after_id
            place = Cursor(cursor.read_through, read.began_at, read.reads_from, last)
            self.store(_observed(batch, self._read_clock), object_type, place)
        self._write_cursor(object_type, place.finished())

    def _due_since(self, now: dt.datetime) -> dt.datetime | None:
        """Creation of the oldest balance transaction that should have become available by now.

        No event tells of it.
        """
        due = self._database.read(
            sa.select(sa.func.min(_TABLE.c.created_at).label("since")).where(
                _TABLE.c.object_type == "balance_transaction",
                _TABLE.c.created_at >= now - 2 * DUE_WITHIN,
                _TABLE.c.status == "pending",
                _TABLE.c.available_on.between(now.date() - DUE_WITHIN, now.date()),
            )
        )["since"].iloc[0]
        return None if pd.isna(due) else due.to_pydatetime()

    def store(
        self, observations: list[Observation], object_type: str | None = None, place: Cursor | None = None
    ) -> None:
        """Write what was read and, in the same transaction, how far: what is not stored is read again."""
        ids = find_referenced_ids(observation.item for observation in observations)
        known = self._database.read(
            sa.select(
                *(_TABLE.c[name] for name in ("object_id", "payment_id", "payment_intent_id", "charge_id")),
                _TABLE.c.payout_id,
                _TABLE.c.observed_at,
            ).where(is_among(_TABLE.c.object_id, ids))
        )
        rows = transaction_rows(observations, known=known)
        frame = rows.transactions
        own = set(frame["object_id"])
        with self._database.transaction() as connection:
            counts = self._database.upsert(_TABLE, frame, connection=connection)
            self._note_observed(connection, frame, set(known["object_id"]))
            quarantined = write_quarantine(
                connection, GATEWAY_SOURCE, rows.bad_rows, good_keys=list(frame["object_id"])
            )
            if object_type is not None and place is not None:
                self._write_cursor(object_type, place, connection)
        self.counts.writes += counts + WriteCounts(quarantined=quarantined.inserted)
        self.counts.objects_read += len(observations)
        bad = {row.row_key for row in rows.bad_rows}
        shown = own | bad
        self._bad |= bad
        self._quarantined -= shown
        for object_id in shown & self._changed.keys():
            del self._changed[object_id]
        self._missing |= {name for name in ids - own - set(known["object_id"]) if type_of_id(name)}

    @staticmethod
    def _note_observed(connection: sa.Connection, frame: pd.DataFrame, known_ids: set[str]) -> None:
        """Remember when rows that have not changed were shown, or an older state could still replace them."""
        known = frame[frame["object_id"].isin(known_ids)]
        if known.empty:
            return
        shown = (
            sa.func.unnest(
                sa.cast(known["object_id"].tolist(), sa.ARRAY(sa.Text)),
                sa.cast(
                    known["observed_at"].dt.to_pydatetime().tolist(), sa.ARRAY(sa.DateTime(timezone=True))
                ),
            )
            .table_valued("object_id", "observed_at", name="shown")
            .render_derived()
        )
        connection.execute(
            sa.update(_TABLE)
            .where(_TABLE.c.object_id == shown.c.object_id, _TABLE.c.observed_at < shown.c.observed_at)
            # The row itself has not changed.
            .values(observed_at=shown.c.observed_at, updated_at=_TABLE.c.updated_at)
        )

    def _reread(self, object_ids: Iterable[str]) -> None:
        """Read objects one by one as they are now."""
        wanted = [(kind, name) for name in object_ids if (kind := type_of_id(name))]
        for chunk in _batches(wanted, PAGE_SIZE):
            pages = [self._gateway.read_page_of_one(kind, name) for kind, name in chunk]
            self.store(_observed(pages, self._read_clock))
            self.counts.objects_read_again += len(chunk)

    def _read_quarantined_ids(self, now: dt.datetime) -> set[str]:
        """Objects that were set aside and may be good by now; in turns, where there are many."""
        table = monitoring.quarantined_rows
        turn = sa.literal(now.isoformat(timespec="hours"))
        rows = self._database.read(
            sa.select(table.c.row_key)
            .where(table.c.source == GATEWAY_SOURCE)
            .order_by(sa.func.md5(table.c.row_key + turn))
            .limit(MAX_QUARANTINE_REREADS)
        )
        return set(rows["row_key"])

    def _known_ids(self, object_ids: set[str]) -> set[str]:
        known = self._database.read(
            sa.select(_TABLE.c.object_id).where(is_among(_TABLE.c.object_id, object_ids))
        )
        return set(known["object_id"])

    def _itemize_payouts(self) -> None:
        """Let the transactions of new automatic payouts carry their payout; only its own list tells."""
        payouts = self._database.read(
            sa.select(_TABLE.c.object_id)
            .where(
                _TABLE.c.object_type == "payout",
                _TABLE.c.kind == "automatic",
                _TABLE.c.payout_id.is_(None),
            )
            .order_by(_TABLE.c.created_at, _TABLE.c.object_id)
        )
        for batch in _batches(payouts["object_id"], PAGE_SIZE):
            observations: list[Observation] = []
            for payout_id in batch:
                pages = self._gateway.list_pages("balance_transaction", payout=payout_id)
                for some in _batches(pages, BATCH_PAGES):
                    observations += _observed(some, self._read_clock, payout_id=payout_id)
                    if len(observations) >= BATCH_PAGES * PAGE_SIZE:
                        self.store(observations)
                        observations = []
            self.store(observations)
            with self._database.transaction() as connection:
                connection.execute(
                    sa.update(_TABLE)
                    .where(is_among(_TABLE.c.object_id, batch))
                    .values(payout_id=_TABLE.c.object_id)
                )
            self.counts.payouts_itemized += len(batch)

    def link(self) -> None:
        """Give rows whose neighbours came after them what these belong to; what was linked before stays."""
        for _ in range(MAX_LINK_DEPTH):
            linked_count = sum(
                self._link_to(neighbour)
                for neighbour in (_TABLE.c.payment_intent_id, _TABLE.c.source_id, _TABLE.c.charge_id)
            )
            self.counts.writes += WriteCounts(updated=linked_count)
            if not linked_count:
                return

    def _link_to(self, neighbour: sa.Column[str]) -> int:
        child, parent = _TABLE, _TABLE.alias("parent")
        links = ("payment_id", "payment_intent_id", "charge_id")
        statement = (
            sa.update(child)
            .where(
                child.c.object_type.in_(LINKED_TYPES),
                sa.or_(*(child.c[name].is_(None) for name in links)),
                parent.c.object_id == neighbour,
                parent.c.object_id != child.c.object_id,
                sa.or_(*(child.c[name].is_(None) & parent.c[name].is_not(None) for name in links)),
            )
            .values({name: sa.func.coalesce(child.c[name], parent.c[name]) for name in links})
        )
        with self._database.transaction() as connection:
            return connection.execute(statement).rowcount


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _observed(
    pages: Iterable[GatewayPage], read_clock: Callable[[], dt.datetime], *, payout_id: str | None = None
) -> list[Observation]:
    """What pages show; one without the gateway's time counts as shown now."""
    return [
        Observation(item, page.read_at or read_clock(), payout_id) for page in pages for item in page.objects
    ]
