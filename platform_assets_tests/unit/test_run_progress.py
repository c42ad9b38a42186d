"""What the main command prints while Dagster works: driven by real runs of small assets."""

import io

import dagster as dg
import pytest
from rich.console import Console

from platform_assets.run_progress import RunProgress
from platform_assets.table_assets import table_asset
from platform_assets.tables import payments as tables

COUNTS = {
    "dagster/row_count": 12,
    "rows_inserted": 3,
    "rows_updated": 2,
    "rows_deleted": 1,
    "rows_unchanged": 6,
    "rows_quarantined": 4,
}


def execute(*assets, **options):
    """Run assets in one job; returns the progress and what it printed."""
    output = io.StringIO()
    progress = RunProgress(Console(file=output, width=200))
    definitions = dg.Definitions(
        assets=assets,
        jobs=[dg.define_asset_job("job")],
        loggers={"progress": progress.logger_definition()},
        executor=dg.in_process_executor,
    )
    job = definitions.resolve_job_def("job")
    with dg.DagsterInstance.ephemeral() as instance, progress.job("job", len(job.graph.node_defs)):
        job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
            **options,
        )
    return progress, output.getvalue()


@dg.asset
def matches():
    return dg.MaterializeResult(metadata=COUNTS)


@dg.asset
def settled():
    return dg.MaterializeResult(metadata=dict.fromkeys(COUNTS, 0) | {"dagster/row_count": 1_234})


def test_a_line_per_asset_tells_its_rows_and_what_changed():
    progress, printed = execute(matches)

    assert "✓ matches 12 rows, 3 inserted, 2 updated, 1 deleted, 4 quarantined (" in printed
    # Rows that were set aside are no derived rows.
    assert progress.rows_written == 6


def test_an_asset_that_changed_nothing_says_so():
    progress, printed = execute(settled)

    assert "✓ settled 1,234 rows, nothing changed (" in printed
    assert progress.rows_written == 0


def test_a_partitioned_run_is_counted_once_not_once_a_day():
    days = dg.DailyPartitionsDefinition(start_date="2026-01-01")

    # As the product's own assets are made, whose decorator knows of Dagster's warning.
    @table_asset(tables.payment_analytics, group="payments", kinds=set(), partitions=days)
    def payment_analytics():
        """Sums."""
        return dg.MaterializeResult(metadata=COUNTS)

    progress, printed = execute(
        payment_analytics,
        tags={
            "dagster/asset_partition_range_start": "2026-01-01",
            "dagster/asset_partition_range_end": "2026-01-05",
        },
    )

    assert progress.rows_written == 6
    assert printed.count("payment_analytics") == 1


def test_a_failed_step_is_told_with_its_cause_and_what_hangs_on_it_is_no_success():
    @dg.asset
    def broken():
        raise ValueError("the reason")

    @dg.asset(deps=[broken])
    def after():
        pass

    progress, printed = execute(broken, after, matches)

    assert list(progress.failures) == ["broken"]
    assert "the reason" in progress.failures["broken"]
    assert "✗ broken" in printed
    assert "✓ after" not in printed
    assert "✓ matches" in printed


def test_a_warning_is_shown_and_chatter_is_not():
    @dg.asset
    def talker(context: dg.AssetExecutionContext):
        context.log.info("chatter")
        context.log.warning("GitHub is [switched off]")

    _, printed = execute(talker)

    assert "chatter" not in printed
    assert "! GitHub is [switched off]" in printed


def test_a_preparation_that_fails_is_not_ticked_off():
    output = io.StringIO()
    progress = RunProgress(Console(file=output, width=200))
    with pytest.raises(ValueError, match="no"), progress.preparing("Loading"):
        raise ValueError("no")
    with progress.preparing("Reading /data [copy]"):
        pass

    assert "✓ Loading" not in output.getvalue()
    assert "✓ Reading /data [copy] (" in output.getvalue()
