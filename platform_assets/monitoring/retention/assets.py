"""The asset that rolls up and purges what was measured, and Dagster's history with it."""

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.monitoring.retention.dagster_history import purge_history
from platform_assets.monitoring.retention.policies import RUN_HISTORY_KEPT
from platform_assets.monitoring.retention.sweep import Swept, record_sweeps, sweep_tables
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, table_asset
from platform_assets.tables.retention import retention_sweeps


@table_asset(retention_sweeps, name="metrics_cleanup", group="monitoring", kinds={"dagster"})
def metrics_cleanup(
    context: dg.AssetExecutionContext, database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Old rows are rolled up by hour, and go only when the roll-up is proven to say the same as they do.

    Dagster's runs go with events, check evaluations and logs; the last of each asset, partition and check stays.
    Payments, attempts at charging and reminders are never purged.
    """
    now = clock.read()
    swept = sweep_tables(database, now=now) + purge_history(context.instance, now=now, keep=RUN_HISTORY_KEPT)
    record_sweeps(database, swept, now=now)
    return measured(
        database,
        retention_sweeps,
        len(swept),
        rows_purged=sum(each.rows_purged for each in swept),
        rows_rolled_up=sum(each.rows_rolled_up for each in swept),
        rows_differing=sum(each.rows_differing for each in swept),
        bytes_freed=sum(each.bytes_freed for each in swept),
        purged=_as_table(swept),
    )


def _as_table(swept: list[Swept]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "source": each.source,
                    "kept_days": each.keep_days,
                    "rows_purged": each.rows_purged,
                    "bytes_freed": each.bytes_freed,
                    "oldest": each.oldest_at.isoformat(timespec="seconds") if each.oldest_at else "",
                }
            )
            for each in swept
        ]
    )


ASSETS = [metrics_cleanup]
