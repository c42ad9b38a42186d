"""Reads the marketplace through its contract: what is missing is told column by column, bad rows are set aside.

The contract's columns are `tables/marketplace.py`; what a row must satisfy beyond its types stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from platform_assets.clients.database import Database
from platform_assets.clients.quarantine import Rule, describe_bad_rows, find_bad_rows, validate_rows
from platform_assets.clients.upsert import write_quarantine
from platform_assets.currencies import is_currency
from platform_assets.errors import PlatformError
from platform_assets.tables import marketplace

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

# What a view may have instead of the contract's own type: every value of it is also one of the contract's type.
_COMPATIBLE = {
    "text": ("text", "character varying", "character", "citext"),
    "bigint": ("bigint", "integer", "smallint"),
    "integer": ("integer", "smallint"),
    "double precision": ("double precision", "real", "numeric"),
    "text[]": ("text[]", "character varying[]"),
}


class ContractError(PlatformError):
    """The database lacks tables or columns of the marketplace contract; the message lists all of them."""


@dataclass(frozen=True)
class ContractRead:
    """What a table of the contract held.

    Attributes:
        rows: The good rows, with the contract's columns.
        present_keys: Key of every row that was there, set aside or not: what is set aside is not gone. Of a key of
            several columns this is the first.
        set_aside_keys: Those of which no row is good.
    """

    rows: pd.DataFrame
    present_keys: frozenset[str]
    set_aside_keys: frozenset[str]


def contract_problems(database: Database, *only: sa.Table) -> list[str]:
    """What keeps the database from meeting the contract, a line per table or column; empty when it does.

    Args:
        database: The database.
        *only: Tables to look at; by default all of the contract.
    """
    found = database.read(
        sa.text(
            # A domain reads like the type it is made of.
            "SELECT c.relname AS table_name, a.attname AS column_name, "
            "format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), NULL) AS type_name "
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE n.nspname = 'marketplace' AND a.attnum > 0 AND NOT a.attisdropped "
            "AND c.relkind IN ('r', 'v', 'm', 'f', 'p')"
        )
    )
    actual: dict[str, dict[str, str]] = {}
    for table_name, column_name, type_name in found.itertuples(index=False, name=None):
        actual.setdefault(table_name, {})[column_name] = type_name
    problems = []
    for table in only or marketplace.metadata.sorted_tables:
        if table.name in actual:
            problems += _column_problems(table, actual[table.name])
        else:
            problems.append(
                f"{table.fullname} is missing: create a table or view of that name (docs/contract.md)"
            )
    return problems


def _column_problems(table: sa.Table, actual: Mapping[str, str]) -> list[str]:
    problems = []
    for column in table.columns:
        wanted = str(column.type.compile(_DIALECT)).lower()
        if column.name not in actual:
            problems.append(f"{table.fullname}.{column.name} is missing: {wanted}. {column.comment}")
        elif actual[column.name] not in _COMPATIBLE.get(wanted, (wanted,)):
            problems.append(
                f"{table.fullname}.{column.name} is {actual[column.name]}, but the contract says {wanted}"
            )
    return problems


def _as_contracted(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The column in the contract's own type; a time that Python can't hold, such as `infinity`, is not known."""
    value = sa.cast(column, column.type)
    if not isinstance(column.type, sa.Date | sa.DateTime):
        return value
    return sa.case((value.between(sa.text("'0001-01-02'"), sa.text("'9999-12-30'")), value))


def read_contract(database: Database, table: sa.Table) -> ContractRead:
    """Read one table of the contract; rows that break it go to the quarantine under the table's full name.

    Raises:
        ContractError: The table or columns are missing or of another type. What is wrong with the other tables is
            told along, but fails only those who read them.
    """
    if contract_problems(database, table):
        raise ContractError(
            "The database does not meet the marketplace contract:\n"
            + "\n".join(f"  - {line}" for line in contract_problems(database))
        )
    # By key, since the order of rows in a table or view says nothing and must change nothing downstream.
    frame = database.read(
        sa.select(*(_as_contracted(column).label(column.name) for column in table.columns)).order_by(
            *(sa.cast(column, column.type) for column in table.primary_key.columns)
        )
    )
    key = [column.name for column in table.primary_key.columns]
    faults = find_bad_rows(table, frame)
    fit = frame.drop(index=frame.index[list(faults)])
    good, broken = validate_rows(fit, _RULES.get(table.name, ()), key=key)
    bad = [*describe_bad_rows(frame, faults, key), *broken]
    with database.transaction() as connection:
        write_quarantine(connection, table.fullname, bad)
    present_keys = frozenset(frame[key[0]].dropna().astype(str))
    return ContractRead(
        rows=good.reset_index(drop=True),
        present_keys=present_keys,
        set_aside_keys=present_keys - frozenset(good[key[0]]),
    )


def _is_outside(column: str, low: float, high: float) -> Rule:
    return Rule(
        f"{column} is not between {low:g} and {high:g}",
        lambda rows: rows[column].notna() & ~rows[column].between(low, high),
    )


def _is_not_one_of(column: str, *allowed: str) -> Rule:
    return Rule(f"{column} is none of {', '.join(allowed)}", lambda rows: ~rows[column].isin(allowed))


_MONEY_LIMIT = float(2**53)
"""Beyond this an amount in minor units is a slip, and no longer exact as a float in a spreadsheet."""

_UNKNOWN_CURRENCY = Rule(
    "currency is not an ISO 4217 code",
    lambda rows: rows["currency"].notna() & ~rows["currency"].map(is_currency).astype(bool),
)
_UNKNOWN_ZONE = Rule(
    "time_zone is not an IANA time zone",
    lambda rows: rows["time_zone"].notna() & ~rows["time_zone"].isin(available_timezones()),
)


def _has_no_currency(amount: str) -> Rule:
    return Rule(f"{amount} has no currency", lambda rows: rows[amount].notna() & rows["currency"].isna())


_RULES: dict[str, tuple[Rule, ...]] = {
    "developers": (
        _is_outside("hourly_rate_minor", 0, _MONEY_LIMIT),
        _UNKNOWN_CURRENCY,
        _has_no_currency("hourly_rate_minor"),
        _UNKNOWN_ZONE,
        _is_outside("rating_average", 0, 5),
        _is_outside("rating_count", 0, _MONEY_LIMIT),
        _is_outside("capacity_hours_per_week", 0, 168),
    ),
    "projects": (
        _is_outside("max_hourly_rate_minor", 0, _MONEY_LIMIT),
        _UNKNOWN_CURRENCY,
        _has_no_currency("max_hourly_rate_minor"),
        _has_no_currency("budget_minor"),
        _UNKNOWN_ZONE,
        _is_outside("min_overlap_hours", 0, 24),
        _is_outside("hours_per_week", 0, 168),
        _is_outside("budget_minor", 0, _MONEY_LIMIT),
        _is_outside("expected_hours", 0, _MONEY_LIMIT),
        _is_not_one_of("status", "draft", "open", "filled", "closed", "cancelled"),
    ),
    "contracts": (
        _is_outside("hourly_rate_minor", 0, _MONEY_LIMIT),
        _UNKNOWN_CURRENCY,
        _is_outside("client_rating", 0, 5),
        _is_not_one_of("status", "offered", "active", "completed", "cancelled"),
    ),
    "blocks": (_is_not_one_of("blocked_by", "client", "developer"),),
    "clients": (_UNKNOWN_ZONE,),
    "match_events": (
        _is_not_one_of("event_type", "shown", "viewed", "contacted", "interviewed", "hired", "rejected"),
    ),
    "payments": (
        _is_outside("amount_minor", 1, _MONEY_LIMIT),
        _UNKNOWN_CURRENCY,
        _is_outside("refunded_minor", 0, _MONEY_LIMIT),
        _is_not_one_of(
            *(
                "status",
                "pending",
                "processing",
                "paid",
                "failed",
                "partially_refunded",
                "refunded",
                "cancelled",
            )
        ),
    ),
}
