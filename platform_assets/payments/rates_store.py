"""Exchange rates in `platform.exchange_rates`: loading what a file holds, reading what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.payments.conversion import Rate
from platform_assets.tables.payments import exchange_rates

_KEY = ("base_currency", "quote_currency", "rate_on")


@dataclass(frozen=True)
class LoadCounts:
    """What loading did, in rates."""

    written: int
    unchanged: int


def write_rates(database: Database, rates: Sequence[Rate]) -> LoadCounts:
    """Load rates in one transaction; one that is there already is replaced where it differs."""
    if not rates:
        return LoadCounts(0, 0)
    statement = pg.insert(exchange_rates)
    changed = {name: statement.excluded[name] for name in ("rate", "source")}
    upsert = statement.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={**changed, "updated_at": sa.func.now()},
        where=sa.or_(*(exchange_rates.c[name].is_distinct_from(value) for name, value in changed.items())),
    ).returning(exchange_rates.c.rate_on)
    with database.transaction() as connection:
        written = sum(len(connection.execute(upsert.values(**vars(rate))).all()) for rate in rates)
    return LoadCounts(written, len(rates) - written)


def read_rates_to(database: Database, currency: str) -> list[Rate]:
    """Every rate from or to a currency."""
    columns = [exchange_rates.c[name] for name in (*_KEY, "rate", "source")]
    query = sa.select(*columns).where(
        sa.or_(exchange_rates.c.base_currency == currency, exchange_rates.c.quote_currency == currency)
    )
    with database.transaction() as connection:
        return [Rate(**row) for row in connection.execute(query).mappings()]
