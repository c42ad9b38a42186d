"""The asset of the performance report: reads, writes the page, and keeps what it said."""

import datetime as dt

import dagster as dg
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.performance.page import build_page, render_markdown, write_files
from platform_assets.monitoring.performance.reading import read_figures
from platform_assets.resources import Clock, ReportOptions
from platform_assets.table_assets import measured, table_asset
from platform_assets.tables.performance_report import performance_reports

WINDOW = dt.timedelta(hours=24)


@table_asset(
    performance_reports,
    name="performance_report",
    group="monitoring",
    kinds={"python"},
    deps=[
        "service_level_measurements",
        "service_health_metrics",
        "ai_service_metrics",
        "task_queue_metrics",
        "queue_recovery",
        "metrics_cleanup",
    ],
)
def performance_report(
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
    report_options: dg.ResourceParam[ReportOptions],
) -> dg.MaterializeResult[None]:
    """What to do, with the figures behind it, then service levels, alerts, services, work, queues, recovery and cost.

    Over the last 24 hours. Also in `<home>/report/performance.html` and `.md`.
    """
    now = clock.read()
    figures = read_figures(database, since=now - WINDOW, until=now)
    page = build_page(figures, price=report_options.token_price)
    html, markdown = write_files(page, report_options.folder)
    text = render_markdown(page)
    with database.transaction() as connection:
        connection.execute(sa.delete(performance_reports).where(performance_reports.c.generated_at == now))
        connection.execute(
            sa.insert(performance_reports),
            {
                "generated_at": now,
                "headline": page.headline,
                "advice": [
                    {"urgency": each.urgency, "text": each.text, "because": each.because}
                    for each in page.advice
                ],
                "open_alerts_count": len(figures.alerts),
                "runs_count": int(figures.jobs["runs_count"].sum()),
                "failed_runs_count": int(figures.jobs["failed_count"].sum()),
            },
        )
    return measured(
        database,
        performance_reports,
        1,
        report=dg.MetadataValue.md(text),
        html=dg.MetadataValue.path(html),
        markdown=dg.MetadataValue.path(markdown),
        advice_count=len(page.advice),
        open_alerts_count=len(figures.alerts),
    )


ASSETS = [performance_report]
