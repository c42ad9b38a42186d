"""Versions of a list: one refresh at a time, built beside the live rows, and put in their place at once or not at all.

A version's rows are held in memory until its gates have been measured, so that a refresh that is killed leaves nothing
but its record. What the gates measure is `gates`; which rows there are is the assets' business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

import pandas as pd
import psycopg
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.errors import PlatformError
from platform_assets.matching.digests import content_digest
from platform_assets.matching.gates import Gate
from platform_assets.matching.refresh import Method
from platform_assets.tables.matching import (
    match_bounds,
    match_candidates,
    match_changes,
    match_spares,
    match_versions,
    matches,
)

T = TypeVar("T")

OWNER = "team:matching"

ACCEPT_TAG = "platform/accept_matches"
"""A run with this tag publishes what the gates of churn and exposure would hold back."""

WAIT_S = 240
"""A refresh that finds another at work waits this long; the statement's own limit is 300 s."""

TABLES: dict[str, tuple[sa.Table, ...]] = {
    "match_candidates": (match_candidates, match_spares, match_bounds),
    "matches": (matches,),
}
"""What a version of a list consists of; the first holds its rows."""


class RefreshBusyError(PlatformError):
    """Another refresh of the lists is at work."""


class Alerts(Protocol):
    """Raises and resolves alerts in the caller's transaction: the functions of the alerting domain."""

    def raise_alert(
        self,
        connection: sa.Connection,
        *,
        fingerprint: str,
        severity: Any,
        source: str,
        subject: str,
        owner: str,
        title: str,
        details: dict[str, Any],
        now: dt.datetime,
    ) -> object:
        """Open an alert, or count one more occurrence."""

    def resolve_alert(self, connection: sa.Connection, *, fingerprint: str, now: dt.datetime) -> bool:
        """Close the alert, if it is open."""


@dataclass(frozen=True)
class Version:
    """A published version.

    Attributes:
        version_id: Its id.
        as_of: Day for which it was computed.
        basis: What every row of it hangs on.
        content_digest: Hash of its rows.
        inputs_digest: Hash of what it was computed from; None where that is not kept.
    """

    version_id: int
    as_of: dt.date
    basis: str
    content_digest: int
    inputs_digest: int | None

    def is_of(self, as_of: dt.date, basis: str) -> bool:
        """Whether it was computed for this day on this basis."""
        return self.as_of == as_of and self.basis == basis


@dataclass(frozen=True)
class Outcome:
    """What a refresh of a list came to.

    Attributes:
        state: `published`, `refused`, or `unchanged` when there was nothing to do.
        counts: Rows of the list that were written.
        details: Numbers and names for the run's metadata.
    """

    state: str
    counts: WriteCounts
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Building:
    """A version that is being built.

    Attributes:
        version_id: Its id.
        list_name: The list: a key of `TABLES`.
        base: The live version that it is to replace; None for the first.
    """

    version_id: int
    list_name: str
    base: Version | None


@contextmanager
def one_at_a_time(database: Database, list_name: str) -> Iterator[None]:
    """Hold the right to refresh a list; another one waits.

    The right is a lock of the database that ends with the transaction that holds it, so that a killed refresh gives it
    back, and a pooler of connections can't hand it to somebody else.

    Raises:
        RefreshBusyError: Another refresh has not ended in time.
    """
    with database.transaction() as connection:
        connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{WAIT_S}s", True)))
        try:
            connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"matching/{list_name}", 0)))
            )
        except sa.exc.OperationalError as error:
            if isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise RefreshBusyError(
                    f"Another refresh of {list_name} has been at work for more than {WAIT_S} s. Run again when it has ended."
                ) from error
            raise
        yield


def live_version(source: Database | sa.Connection, list_name: str) -> Version | None:
    """The published version of a list; None when there is none."""
    table = match_versions
    query = sa.select(*(table.c[field.name] for field in fields(Version))).where(
        table.c.list_name == list_name, table.c.state == "published"
    )
    if isinstance(source, sa.Connection):
        row = source.execute(query).one_or_none()
    else:
        with source.transaction() as connection:
            row = connection.execute(query).one_or_none()
    return None if row is None else Version(*row)


def is_intact(database: Database, version: Version, list_name: str) -> bool:
    """Whether the tables hold what was published: what somebody changed since can't be built upon."""
    return content_digest(database, TABLES[list_name]) == version.content_digest


def begin(
    database: Database,
    list_name: str,
    *,
    method: Method,
    as_of: dt.date,
    basis: str,
    base: Version | None,
    now: dt.datetime,
) -> tuple[Building, int]:
    """Open a version. Whoever holds `one_at_a_time` knows that other open ones were left by refreshes that died.

    Returns:
        The version, and how many others were found abandoned.
    """
    table = match_versions
    with database.transaction() as connection:
        abandoned = connection.execute(
            sa.update(table)
            .where(table.c.list_name == list_name, table.c.state == "building")
            .values(state="abandoned", ended_at=now)
        )
        version_id = connection.execute(
            sa.insert(table)
            .values(
                list_name=list_name,
                state="building",
                method=method,
                as_of=as_of,
                basis=basis,
                base_version_id=base.version_id if base else None,
                started_at=now,
            )
            .returning(table.c.version_id)
        ).scalar_one()
    return Building(version_id, list_name, base), abandoned.rowcount


def publish(
    database: Database,
    building: Building,
    *,
    gates: Sequence[Gate],
    write: Callable[[sa.Connection], T],
    changes: pd.DataFrame,
    alerts: Alerts,
    now: dt.datetime,
    inputs_digest: int | None = None,
) -> T:
    """Put a version in the place of the live one, in one transaction.

    Args:
        database: The database.
        building: The version.
        gates: What was measured; all of them hold.
        write: Writes the version's rows in the transaction.
        changes: What it changes: columns of `monitoring.match_changes` but for the version.
        alerts: Resolves the alert of a version that was held back.
        now: The present moment.
        inputs_digest: Hash of what it was computed from.

    Returns:
        What `write` gives.

    Raises:
        RefreshBusyError: Another version was published since this one was begun.
    """
    table = match_versions
    with database.transaction() as connection:
        live = live_version(connection, building.list_name)
        if (live and live.version_id) != (building.base and building.base.version_id):
            raise RefreshBusyError(
                f"Another refresh published {building.list_name} meanwhile. Run again: it will find less to do."
            )
        result = write(connection)
        rows = TABLES[building.list_name][0]
        connection.execute(
            sa.update(table)
            .where(table.c.list_name == building.list_name, table.c.state == "published")
            .values(state="superseded")
        )
        connection.execute(
            sa.update(table)
            .where(table.c.version_id == building.version_id)
            .values(
                state="published",
                rows_count=sa.select(sa.func.count()).select_from(rows).scalar_subquery(),
                content_digest=content_digest(connection, TABLES[building.list_name]),
                inputs_digest=inputs_digest,
                gates=_written(gates),
                ended_at=now,
            )
        )
        if len(changes):
            numbered = changes.assign(version_id=building.version_id)
            database.upsert(match_changes, numbered, connection=connection)
        alerts.resolve_alert(connection, fingerprint=_fingerprint(building.list_name), now=now)
    return result


def refuse(
    database: Database,
    building: Building,
    *,
    gates: Sequence[Gate],
    alerts: Alerts,
    now: dt.datetime,
) -> None:
    """Keep the live version, write down why, and raise an alert that says so."""
    broken = [gate for gate in gates if not gate.holds]
    with database.transaction() as connection:
        connection.execute(
            sa.update(match_versions)
            .where(match_versions.c.version_id == building.version_id)
            .values(state="refused", gates=_written(gates), ended_at=now)
        )
        alerts.raise_alert(
            connection,
            fingerprint=_fingerprint(building.list_name),
            severity="high",
            source="matching",
            subject=building.list_name,
            owner=OWNER,
            title=f"The new {building.list_name} were not published: {'; '.join(map(str, broken))}",
            details={
                "version_id": building.version_id,
                "live_version_id": building.base.version_id if building.base else None,
                "gates": _written(gates),
                "remedy": "Look at the gates' details. If the change is meant, run precompute_matching_results_job with the tag "
                f"{ACCEPT_TAG}=true, which waives the gates of churn and exposure once.",
            },
            now=now,
        )


def confirm(
    database: Database,
    list_name: str,
    *,
    alerts: Alerts,
    now: dt.datetime,
    inputs_digest: int | None = None,
) -> None:
    """Say that the live version is what a refresh would publish: versions that were held back since are past."""
    table = match_versions
    with database.transaction() as connection:
        connection.execute(
            sa.update(table)
            .where(table.c.list_name == list_name, table.c.state == "refused")
            .values(state="superseded")
        )
        connection.execute(
            sa.update(table)
            .where(
                table.c.list_name == list_name,
                table.c.state == "published",
                table.c.inputs_digest.is_distinct_from(inputs_digest),
            )
            .values(inputs_digest=inputs_digest)
        )
        alerts.resolve_alert(connection, fingerprint=_fingerprint(list_name), now=now)


def _fingerprint(list_name: str) -> str:
    return f"matching/{list_name}/not_published"


def _written(gates: Sequence[Gate]) -> dict[str, Any]:
    return {gate.name: gate.as_dict() for gate in gates}
