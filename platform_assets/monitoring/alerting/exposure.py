"""Reads who and what waits for assets: money of payments that are not settled, and clients; and assesses problems by it.

The application's own tables are read, so that the figures hold while what is derived from them is broken. How they
weigh is `impact.py`'s business. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from enum import StrEnum

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.currencies import EXPONENTS
from platform_assets.monitoring.alerting.causes import Topology
from platform_assets.monitoring.alerting.impact import Exposure, Impact, MoneyAtRisk, assess_impact
from platform_assets.monitoring.alerting.rules import Problem
from platform_assets.tables.marketplace import payments, projects
from platform_assets.tables.payment_operations import payment_breaks

REQUEST_WINDOW = dt.timedelta(days=90)
"""Amounts at risk are compared with what was requested over this long, as finance reports a quarter."""

READ_TIMEOUT = "5s"
"""A slow marketplace must not keep an alert waiting."""


class Stake(StrEnum):
    """What waits for an asset."""

    OWED = "owed"
    """Payments that clients owe, declined ones included."""
    DECLINED = "declined"
    """Payments whose last attempt was declined."""
    UNRECONCILED = "unreconciled"
    """Differences between two books of payments."""
    PROJECTS = "projects"
    """Open projects, whose clients look at their matches."""


STAKES: dict[str, frozenset[Stake]] = {
    "overdue_payments": frozenset({Stake.OWED}),
    "payment_retries": frozenset({Stake.DECLINED}),
    "payment_reconciliation": frozenset({Stake.UNRECONCILED}),
    "matches": frozenset({Stake.PROJECTS}),
}
"""The assets that somebody waits for; all others matter by what is made from them."""

_DECLINED = "failed"
_OWED = ("pending", "processing", _DECLINED)


class ImpactReader:
    """Assesses problems as things stand at one moment; what it reads, it reads once."""

    def __init__(self, database: Database, topology: Topology, *, now: dt.datetime) -> None:
        """Prepare; nothing is read before it is needed.

        Args:
            database: Where the application's payments and projects are.
            topology: What depends on what.
            now: The present moment.
        """
        self._database, self._now = database, now
        self.topology = topology
        self._exposures: dict[frozenset[Stake], Exposure] = {}

    def assess(self, problem: Problem, assets: Collection[str]) -> Impact:
        """The severity of a problem about some assets, with its calculation."""
        downstream = self.topology.downstream(assets)
        stakes = frozenset(stake for asset in {*assets, *downstream} for stake in STAKES.get(asset, ()))
        if stakes not in self._exposures:
            self._exposures[stakes] = read_exposure(self._database, stakes, now=self._now)
        return assess_impact(problem, assets=assets, downstream=downstream, exposure=self._exposures[stakes])


def read_exposure(database: Database, stakes: Collection[Stake], *, now: dt.datetime) -> Exposure:
    """What is at stake, now.

    A payment counts once, however often it is at stake. When the tables can't be read that is said, and nothing is
    taken for zero.
    """
    if not stakes:
        return Exposure()
    try:
        with database.transaction() as connection:
            connection.execute(sa.text(f"SET LOCAL statement_timeout = '{READ_TIMEOUT}'"))
            money = _read_money(connection, stakes, now)
            clients_count = _count_clients(connection, stakes)
    except sa.exc.DBAPIError as error:
        return Exposure(unknown_because=f"payments and projects can't be read: {type(error.orig).__name__}")
    return Exposure(tuple(money), clients_count)


def _statuses(stakes: Collection[Stake]) -> tuple[str, ...]:
    if Stake.OWED in stakes:
        return _OWED
    return (_DECLINED,) if Stake.DECLINED in stakes else ()


def _read_money(
    connection: sa.Connection, stakes: Collection[Stake], now: dt.datetime
) -> Iterable[MoneyAtRisk]:
    statuses = _statuses(stakes)
    is_at_risk = payments.c.status.in_(statuses)
    # A row that breaks the contract is told by a check of its own.
    is_sound = (payments.c.amount_minor > 0) & payments.c.currency.in_(list(EXPONENTS))
    rows = connection.execute(
        sa.select(
            payments.c.currency,
            sa.func.coalesce(sa.func.sum(payments.c.amount_minor).filter(is_at_risk), 0).label("amount"),
            sa.func.count().filter(is_at_risk).label("payments"),
            sa.func.coalesce(
                sa.func.sum(payments.c.amount_minor).filter(
                    payments.c.created_at > now - REQUEST_WINDOW, payments.c.status != "cancelled"
                ),
                0,
            ).label("requested"),
        )
        .where(is_sound)
        .group_by(payments.c.currency)
    ).all()
    amounts = {row.currency: (int(row.amount), int(row.payments), int(row.requested)) for row in rows}
    if Stake.UNRECONCILED in stakes:
        for currency, amount, count in _read_breaks(connection, statuses):
            owed, owed_count, requested = amounts.get(currency, (0, 0, 0))
            amounts[currency] = (owed + amount, owed_count + count, requested)
    return [
        MoneyAtRisk(currency, amount, count, requested)
        for currency, (amount, count, requested) in sorted(amounts.items())
        if count
    ]


def _read_breaks(
    connection: sa.Connection, counted_statuses: tuple[str, ...]
) -> Iterable[tuple[str, int, int]]:
    is_counted = sa.exists().where(
        payments.c.payment_id == payment_breaks.c.subject_id, payments.c.status.in_(counted_statuses)
    )
    # One difference may show between several books.
    each = (
        sa.select(
            payment_breaks.c.currency,
            sa.func.max(sa.func.abs(payment_breaks.c.amount_minor)).label("amount_minor"),
        )
        .where(payment_breaks.c.closed_on.is_(None), ~is_counted)
        .group_by(payment_breaks.c.currency, payment_breaks.c.subject_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(
            each.c.currency, sa.func.sum(each.c.amount_minor).label("amount"), sa.func.count().label("breaks")
        ).group_by(each.c.currency)
    )
    return [(row.currency, int(row.amount), int(row.breaks)) for row in rows]


def _count_clients(connection: sa.Connection, stakes: Collection[Stake]) -> int:
    clients = []
    if statuses := _statuses(stakes):
        clients.append(sa.select(payments.c.client_id).where(payments.c.status.in_(statuses)))
    if Stake.UNRECONCILED in stakes:
        clients.append(
            sa.select(payments.c.client_id)
            .join(payment_breaks, payment_breaks.c.subject_id == payments.c.payment_id)
            .where(payment_breaks.c.closed_on.is_(None))
        )
    if Stake.PROJECTS in stakes:
        clients.append(sa.select(projects.c.client_id).where(projects.c.status == "open"))
    found = sa.union(*clients).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(found)).scalar_one())
