"""What is measured on the assets that watch over money; bounds are in `payment_thresholds.py`."""

from collections.abc import Callable

import sqlalchemy as sa

from platform_assets import payment_thresholds as thresholds
from platform_assets.asset_checks import Measurement, freshness_check, table_check
from platform_assets.clients.database import Database
from platform_assets.payments.failed_payments import read_through
from platform_assets.payments.retry_caps import attempts_over_caps
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table
from platform_assets.tables.payment_operations import (
    gateway_metrics,
    payment_breaks,
    payment_reminders,
    payment_retry_attempts,
    receivables,
)

_RESIDUAL = sa.text(
    """
    WITH named AS (
        SELECT leg, day, currency, sum(amount_minor) AS amount_minor
        FROM platform.payment_breaks WHERE closed_on IS NULL
        GROUP BY leg, day, currency
    )
    SELECT coalesce(sum(abs(r.here_minor - r.there_minor - coalesce(n.amount_minor, 0))), 0)::bigint AS residual_minor,
        count(*) AS compared_count,
        count(*) FILTER (WHERE r.leg IS NULL) AS without_day_count
    FROM platform.payment_reconciliation r
    FULL JOIN named n USING (leg, day, currency)
    """
)

_DUPLICATES = sa.text(
    """
    SELECT coalesce(p.payment_id, g.payment_id) AS payment_id, count(*) - 1 AS charges_count
    FROM platform.gateway_transactions g
    LEFT JOIN marketplace.payments p ON p.payment_intent_id = g.payment_intent_id
    WHERE g.object_type = 'charge' AND g.status = 'succeeded' AND coalesce(p.payment_id, g.payment_id) IS NOT NULL
    GROUP BY 1
    HAVING count(*) > 1
    ORDER BY 1
    """
)


def _residual(database: Database, _: Clock) -> Measurement:
    """Summed anew from both tables: what the totals differ by, less what the stored open breaks say."""
    row = database.read(_RESIDUAL).iloc[0]
    # A break of a day without totals has a residual that no sum shows.
    return Measurement(
        int(row["residual_minor"]) + int(row["without_day_count"]), {"compared": int(row["compared_count"])}
    )


def _open_breaks(condition: sa.ColumnElement[bool]) -> Callable[[Database, Clock], Measurement]:
    table = payment_breaks

    def measure(database: Database, _: Clock) -> Measurement:
        rows = database.read(
            sa.select(table)
            .where(table.c.closed_on.is_(None), condition)
            .order_by(sa.func.abs(table.c.amount_minor).desc(), *table.primary_key.columns)
        )
        largest = [
            f"{row.leg} {row.cause} {row.subject_id}: {row.amount_minor} {row.currency}, {row.age_days} days"
            for row in rows.head(20).itertuples()
        ]
        return Measurement(len(rows), {"largest": largest})

    return measure


def _break_age(database: Database, _: Clock) -> Measurement:
    table = payment_breaks.c
    query = sa.select(sa.func.coalesce(sa.func.max(table.age_days), 0).label("days"))
    rows = database.read(query.where(table.closed_on.is_(None), table.cause != "timing"))
    return Measurement(int(rows["days"].iloc[0]))


def _duplicates(database: Database, _: Clock) -> Measurement:
    rows = database.read(_DUPLICATES)
    return Measurement(int(rows["charges_count"].sum()), {"payments": list(rows["payment_id"].head(20))})


def _overdue_ratio(database: Database, _: Clock) -> Measurement:
    """Of the currency in which most of what is owed is overdue; currencies with a handful of payments don't count."""
    rows = read_table(database, receivables)
    rows = rows[
        (rows["as_of"] == rows["as_of"].max()) & (rows["payments_count"] >= thresholds.RATIO_MIN_COUNT)
    ]
    ratios = (rows["overdue_minor"] / rows["outstanding_minor"]).set_axis(rows["currency"])
    worst = float(ratios.max()) if len(ratios) else 0.0
    return Measurement(
        worst, {f"overdue_ratio_{code}": round(float(each), 4) for code, each in ratios.items()}
    )


def _unknown_reminders(database: Database, clock: Clock) -> Measurement:
    table = payment_reminders.c
    limit = clock.read() - thresholds.RETRIES_UNKNOWN_GRACE
    rows = database.read(
        sa.select(table.payment_id).where(table.state == "sending", table.claimed_at < limit)
    )
    return Measurement(len(rows), {"payments": sorted(rows["payment_id"])[:20]})


def _over_caps(database: Database, _: Clock) -> Measurement:
    over = attempts_over_caps(database)
    return Measurement(len(over), {"attempts": over[:20]})


def _attempts(state: str, *, is_old: bool) -> Callable[[Database, Clock], Measurement]:
    table = payment_retry_attempts.c

    def measure(database: Database, clock: Clock) -> Measurement:
        limit = clock.read() - (
            thresholds.RETRIES_UNKNOWN_GRACE if is_old else thresholds.RETRIES_UNKNOWN_GRACE * 0
        )
        rows = database.read(
            sa.select(table.idempotency_key).where(table.state == state, table.sent_at <= limit)
        )
        return Measurement(len(rows), {"attempts": sorted(rows["idempotency_key"])[:20]})

    return measure


def _worst_ratio(
    metric: str, *, pick: Callable[[list[float]], float], of_none: float
) -> Callable[[Database, Clock], Measurement]:
    """The worst currency's value of a measure, at its last taking; small counts don't count."""
    table = gateway_metrics.c

    def measure(database: Database, _: Clock) -> Measurement:
        last = sa.select(sa.func.max(table.measured_at)).scalar_subquery()
        rows = database.read(
            sa.select(table.currency, table.value, table.total).where(
                table.measured_at == last, table.metric == metric, table.value.is_not(None)
            )
        )
        counted = rows[rows["total"] >= thresholds.RATIO_MIN_COUNT]
        values = dict(zip(counted["currency"], counted["value"].astype(float)))
        return Measurement(
            pick(list(values.values())) if values else of_none,
            {f"{metric}_{code}": round(value, 5) for code, value in values.items()},
        )

    return measure


def _gateway_age(database: Database, clock: Clock) -> Measurement:
    through = read_through(database)
    if through is None:
        return Measurement(None, {"read_through": "never"})
    hours = max(0.0, (clock.read() - through).total_seconds() / 3600)
    return Measurement(round(hours, 2), {"read_through": through.isoformat(timespec="seconds")})


_is_timing = payment_breaks.c.cause == "timing"

CHECKS = [
    *(
        freshness_check(asset)
        for asset in ("payment_reconciliation", "overdue_payments", "payment_retries", "gateway_metrics")
    ),
    table_check(
        asset="payment_reconciliation",
        name="residual",
        threshold=thresholds.RECONCILIATION_RESIDUAL_MINOR,
        description="What the two books of a leg differ by and no open break explains, summed over days and currencies.",
        measure=_residual,
    ),
    table_check(
        asset="payment_reconciliation",
        name="open_breaks",
        threshold=thresholds.BREAKS_OPEN,
        description="Open differences between two books, but for those of timing.",
        measure=_open_breaks(~_is_timing),
    ),
    table_check(
        asset="payment_reconciliation",
        name="timing_past_deadline",
        threshold=thresholds.BREAKS_PAST_DEADLINE,
        description="Differences of timing whose deadline is over.",
        measure=_open_breaks(_is_timing & (payment_breaks.c.deadline_on < payment_breaks.c.as_of)),
    ),
    table_check(
        asset="payment_reconciliation",
        name="break_age",
        threshold=thresholds.BREAK_AGE_DAYS,
        description="Age of the oldest open difference, but for those of timing.",
        measure=_break_age,
    ),
    table_check(
        asset="payment_reconciliation",
        name="duplicate_captures",
        threshold=thresholds.DUPLICATE_CAPTURES,
        description="Charges that succeeded for a payment that had one already.",
        measure=_duplicates,
    ),
    table_check(
        asset="overdue_payments",
        name="overdue_ratio",
        threshold=thresholds.OVERDUE_RATIO,
        description="Overdue part of what is owed, in the worst currency.",
        measure=_overdue_ratio,
    ),
    table_check(
        asset="overdue_payments",
        name="unknown_reminders",
        threshold=thresholds.REMINDERS_UNKNOWN,
        description="Reminders of which it is not known whether they went out.",
        measure=_unknown_reminders,
    ),
    table_check(
        asset="payment_retries",
        name="attempts_over_caps",
        threshold=thresholds.ATTEMPTS_OVER_CAPS,
        description="Attempts of the platform that went over a card network's cap.",
        measure=_over_caps,
    ),
    table_check(
        asset="payment_retries",
        name="unknown_outcomes",
        threshold=thresholds.RETRIES_UNKNOWN,
        description="Attempts whose outcome has not been found out for hours.",
        measure=_attempts("sent", is_old=True),
    ),
    table_check(
        asset="payment_retries",
        name="for_a_person",
        threshold=thresholds.RETRIES_FOR_PERSON,
        description="Attempts that wait for a person (`platform-assets payments settle`).",
        measure=_attempts("needs_person", is_old=False),
    ),
    table_check(
        asset="gateway_metrics",
        name="authorization_ratio",
        threshold=thresholds.AUTHORIZATION_RATIO,
        description="Payments authorized of those attempted, in the worst currency.",
        measure=_worst_ratio("authorization_per_payment_ratio", pick=min, of_none=1.0),
    ),
    table_check(
        asset="gateway_metrics",
        name="dispute_ratio",
        threshold=thresholds.DISPUTE_RATIO,
        description="Disputes opened per charge paid, in the worst currency.",
        measure=_worst_ratio("dispute_ratio", pick=max, of_none=0.0),
    ),
    table_check(
        asset="gateway_metrics",
        name="gateway_data_age",
        threshold=thresholds.GATEWAY_DATA_HOURS,
        description="Hours since all of the gateway was read.",
        measure=_gateway_age,
    ),
]
