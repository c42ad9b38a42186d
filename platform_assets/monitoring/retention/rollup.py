"""Rolls up some rows of a table by hour, proves that the roll-up says the same, and deletes them: one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.monitoring.retention.policies import RolledUp
from platform_assets.tables.retention import metric_rollups

ROWS = "rows"
"""The measure that counts a table's rows."""


class RollUpDiffersError(Exception):
    """The roll-up does not say what the rows say; the transaction must not be committed."""


@dataclass(frozen=True)
class Totals:
    """One measure over a time range: counts, exact sum and extremes."""

    values_count: int
    nulls_count: int
    value_sum: Fraction
    value_min: Decimal | None
    value_max: Decimal | None


NOTHING = Totals(0, 0, Fraction(), None, None)


def roll_up(
    connection: sa.Connection, policy: RolledUp, start: dt.datetime, end: dt.datetime
) -> tuple[int, int]:
    """Replace the rows from `start` to before `end` by their hourly roll-up.

    Rows that come late into hours that are rolled up already are added to what is there.

    Args:
        connection: The caller's transaction, which must be rolled back when this raises.
        policy: The table and what is kept of it.
        start: Start of an hour.
        end: Start of a later hour.

    Returns:
        Rows deleted, and their bytes.

    Raises:
        RollUpDiffersError: The roll-up's counts, sums or extremes are not those of the rows, or other rows were deleted.
    """
    of_rows = _totals_of_rows(connection, policy, start, end)
    before = _totals_of_rollup(connection, policy, start, end)
    _add(connection, policy, start, end)
    after = _totals_of_rollup(connection, policy, start, end)
    for measure, raw in of_rows.items():
        if _joined(before.get(measure, NOTHING), raw) != after.get(measure, NOTHING):
            raise RollUpDiffersError(
                f"{policy.table.fullname}, {measure}, {start} to {end}: {raw} was added to {before.get(measure)}, "
                f"which came to {after.get(measure)}"
            )
    deleted, bytes_count = delete_rows(connection, policy.table, _within(policy, start, end))
    rows_count = of_rows.get(ROWS, NOTHING).values_count
    if deleted != rows_count:
        raise RollUpDiffersError(
            f"{policy.table.fullname}, {start} to {end}: {rows_count} rows were rolled up, {deleted} deleted"
        )
    return deleted, bytes_count


def delete_rows(
    connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool]
) -> tuple[int, int]:
    """Delete rows; gives how many, and the bytes they had."""
    size = sa.func.pg_column_size(sa.literal_column(f"{table.name}.*"))
    gone = sa.delete(table).where(condition).returning(size.label("size")).cte("gone")
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(gone.c.size), 0)).select_from(gone)
    ).one()
    return int(row[0]), int(row[1])


def _within(policy: RolledUp, start: dt.datetime, end: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.and_(policy.at >= start, policy.at < end)


def _values(policy: RolledUp, start: dt.datetime, end: dt.datetime) -> sa.Subquery:
    """One row for each row of the table and measure: hour, labels, measure, value."""
    measures = {ROWS: sa.literal(1), **policy.expressions}
    each = (
        sa.values(sa.column("metric", sa.Text), sa.column("value", sa.Numeric), name="measured")
        .data([(sa.literal(name), sa.cast(value, sa.Numeric)) for name, value in measures.items()])
        .lateral()
    )
    labels = [part for name in policy.labels for part in (sa.literal(name), policy.table.c[name])]
    return (
        sa.select(
            sa.func.date_trunc("hour", policy.at, "UTC").label("hour"),
            sa.func.jsonb_build_object(*labels, type_=pg.JSONB).label("labels"),
            each.c.metric,
            each.c.value,
        )
        .select_from(policy.table)
        .join(each, sa.true())
        .where(_within(policy, start, end))
        .subquery("figures")
    )


def _aggregates(values: sa.Subquery) -> list[sa.Label[Any]]:
    value = values.c.value
    return [
        sa.func.count(value).label("values_count"),
        (sa.func.count() - sa.func.count(value)).label("nulls_count"),
        sa.func.sum(value).label("value_sum"),
        sa.func.min(value).label("value_min"),
        sa.func.max(value).label("value_max"),
    ]


def _add(connection: sa.Connection, policy: RolledUp, start: dt.datetime, end: dt.datetime) -> None:
    values = _values(policy, start, end)
    key = [values.c.metric, values.c.labels, values.c.hour]
    rolled = sa.select(sa.literal(policy.table.fullname), *key, *_aggregates(values)).group_by(*key)
    table = metric_rollups
    new = pg.insert(table).from_select(
        ["source", *(column.name for column in key), *(each.name for each in _aggregates(values))], rolled
    )
    there, more = table.c, new.excluded
    connection.execute(
        new.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={
                "values_count": there.values_count + more.values_count,
                "nulls_count": there.nulls_count + more.nulls_count,
                "value_sum": sa.func.coalesce(
                    there.value_sum + more.value_sum, there.value_sum, more.value_sum
                ),
                "value_min": sa.func.least(there.value_min, more.value_min),
                "value_max": sa.func.greatest(there.value_max, more.value_max),
            },
        )
    )


def _totals_of_rows(
    connection: sa.Connection, policy: RolledUp, start: dt.datetime, end: dt.datetime
) -> dict[str, Totals]:
    values = _values(policy, start, end)
    rows = connection.execute(sa.select(values.c.metric, *_aggregates(values)).group_by(values.c.metric))
    return _by_measure(rows)


def _totals_of_rollup(
    connection: sa.Connection, policy: RolledUp, start: dt.datetime, end: dt.datetime
) -> dict[str, Totals]:
    table = metric_rollups
    rows = connection.execute(
        sa.select(
            table.c.metric,
            sa.func.sum(table.c.values_count),
            sa.func.sum(table.c.nulls_count),
            sa.func.sum(table.c.value_sum),
            sa.func.min(table.c.value_min),
            sa.func.max(table.c.value_max),
        )
        .where(table.c.source == policy.table.fullname, table.c.hour >= start, table.c.hour < end)
        .group_by(table.c.metric)
    )
    return _by_measure(rows)


def _by_measure(rows: Iterable[Sequence[Any]]) -> dict[str, Totals]:
    return {row[0]: Totals(int(row[1]), int(row[2]), Fraction(row[3] or 0), row[4], row[5]) for row in rows}


def _joined(a: Totals, b: Totals) -> Totals:
    lows = [low for low in (a.value_min, b.value_min) if low is not None]
    highs = [high for high in (a.value_max, b.value_max) if high is not None]
    return Totals(
        a.values_count + b.values_count,
        a.nulls_count + b.nulls_count,
        a.value_sum + b.value_sum,
        min(lows, default=None),
        max(highs, default=None),
    )
