"""What is measured on retention; bounds are in `monitoring_thresholds.py`."""

import pandas as pd
import sqlalchemy as sa

from platform_assets.asset_checks import Measurement, freshness_check, table_check
from platform_assets.clients.database import Database
from platform_assets.monitoring_thresholds import RETENTION_OVERDUE_DAYS, ROLLUP_ROWS_DIFFERING
from platform_assets.resources import Clock
from platform_assets.tables.retention import retention_sweeps

ASSET = "metrics_cleanup"

_table = retention_sweeps
_LAST = _table.c.swept_at == sa.select(sa.func.max(_table.c.swept_at)).scalar_subquery()


def _rows_differing(database: Database, _: Clock) -> Measurement:
    rows = database.read(sa.select(_table.c.source, _table.c.rows_differing).where(_LAST))
    if rows.empty:
        return Measurement(None)
    bad = rows[rows["rows_differing"] > 0]
    return Measurement(float(bad["rows_differing"].sum()), {"sources": sorted(bad["source"])})


def _overdue_days(database: Database, clock: Clock) -> Measurement:
    """Days by which the oldest row of any table has outlived its retention period."""
    rows = database.read(
        sa.select(_table.c.source, _table.c.keep_days, _table.c.oldest_at).where(
            _LAST, _table.c.oldest_at.is_not(None)
        )
    )
    now = clock.read()
    # Of Dagster's runs the last of each asset and check stay, however old.
    rows = rows[~rows["source"].str.startswith("dagster.")]
    ages_days = (now - pd.to_datetime(rows["oldest_at"], utc=True)).dt.total_seconds() / 86_400
    overdue_days = ages_days - rows["keep_days"].astype(float)
    if not (overdue_days > 0).any():
        return Measurement(0.0)
    return Measurement(float(overdue_days.max()), {"source": rows["source"].iloc[int(overdue_days.argmax())]})


CHECKS = [
    freshness_check(ASSET),
    table_check(
        asset=ASSET,
        name="rollup_rows_differing",
        threshold=ROLLUP_ROWS_DIFFERING,
        description="Rows that the last sweep left, since their hourly roll-up did not say the same.",
        measure=_rows_differing,
    ),
    table_check(
        asset=ASSET,
        name="overdue",
        threshold=RETENTION_OVERDUE_DAYS,
        description="Days by which a row has outlived its retention period.",
        measure=_overdue_days,
    ),
]
