"""`platform-assets run` and `checks`: prepares, runs the jobs in this process, and reports."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape

from platform_assets.errors import PlatformError
from platform_assets.local_ui import prepare_dagster_home
from platform_assets.monitoring.checking.model import DEFAULT_HISTORY
from platform_assets.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    import dagster as dg

    from platform_assets.run_progress import RunProgress


PROGRESS_LOGGER = "progress"


class AlreadyRunningError(PlatformError):
    """Another run is at work in the same folder."""


@contextmanager
def exclusive_run(home: Path) -> Iterator[None]:
    """Hold the folder's run lock.

    Raises:
        AlreadyRunningError: Another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    owner = home / "run.pid"
    try:
        with FileLock(home / "run.lock", timeout=0):
            owner.write_text(str(os.getpid()), encoding="utf-8")
            yield
    except Timeout:
        pid = owner.read_text(encoding="utf-8").strip() if owner.exists() else "unknown"
        raise AlreadyRunningError(
            f"Another run (process {pid}) is at work in {home}. Wait for it to end, or stop it, then run again."
        ) from None


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of the settings; an unreachable storage is told at once."""
    prepare_dagster_home(settings)
    import dagster as dg

    from platform_assets.instance import require_storage

    require_storage(settings)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run_platform(settings: Settings, *, data: Path | None) -> int:
    """Load the marketplace (sandbox), refresh everything once, report.

    Args:
        settings: The settings.
        data: Folder to load as the marketplace instead of the generated one; sandbox only.

    Returns:
        Exit status: 1 when a step failed or a check of severity ERROR failed, else 0.
    """
    if data is not None and not settings.is_sandbox:
        raise ConfigurationError(
            "--data loads a demo marketplace, which only the sandbox does: unset PLATFORM_DATABASE_URL, or leave --data out"
        )
    from platform_assets.run_progress import RunProgress

    console = Console(soft_wrap=True)
    progress = RunProgress(console)
    with exclusive_run(settings.home):
        _prepare(settings, data, progress)
        _run_jobs(settings, progress, console)
        status = report_checks(settings, format_="table", write_files=True, console=console)
    return 1 if progress.failures else status


def run_job(settings: Settings, name: str) -> int:
    """Run one job in this process.

    Returns:
        Exit status: 1 when a step failed, else 0.
    """
    from platform_assets.definitions import build_definitions
    from platform_assets.run_progress import RunProgress

    console = Console(soft_wrap=True)
    progress = RunProgress(console)
    with exclusive_run(settings.home):
        definitions = build_definitions(settings, loggers={PROGRESS_LOGGER: progress.logger_definition()})
        with open_instance(settings) as instance:
            _run_job(settings, definitions, name, instance, progress, tags={})
    _tell_failures(progress, console)
    return 1 if progress.failures else 0


def _prepare(settings: Settings, data: Path | None, progress: RunProgress) -> None:
    from platform_assets.clients.database import Database
    from platform_assets.migrations import migrate
    from platform_assets.resources import database_url

    if not settings.is_sandbox:
        return
    world = None
    if data is not None:
        # Read first: a broken folder is told before anything is changed.
        from platform_assets.sandbox.data_folder.gitmatch import read_gitmatch

        with progress.preparing(f"Reading {data}"):
            world = read_gitmatch(data)
    with progress.preparing("Starting the embedded Postgres"):
        url = database_url(settings)
        migrate.upgrade(url)
    from platform_assets.sandbox import demo
    from platform_assets.sandbox.process import ensure_sandbox

    with progress.preparing("Loading the marketplace"), Database(url) as database:
        demo.load_world(settings, database, world or demo.generated_world(settings))
    with progress.preparing("Starting the local GitHub, Stripe and Gemini APIs"):
        ensure_sandbox(settings)


def _run_jobs(settings: Settings, progress: RunProgress, console: Console) -> None:
    from platform_assets.definitions import build_definitions
    from platform_assets.payments.assets import analytics_run_tags
    from platform_assets.resources import open_database
    from platform_assets.schedules import ANALYTICS_JOB, CHECKS_JOB, MAIN_JOB, PARTITIONED, RETRIES_JOB

    definitions = build_definitions(settings, loggers={PROGRESS_LOGGER: progress.logger_definition()})
    started_at = time.monotonic()
    with open_instance(settings) as instance:
        # First, since what they do at the gateway is part of what the rest describes.
        _run_job(settings, definitions, RETRIES_JOB, instance, progress, tags={})
        _run_job(settings, definitions, MAIN_JOB, instance, progress, tags={})
        with open_database(settings) as database:
            tags = analytics_run_tags(database, instance, settings.as_of_day)
        if tags:
            _run_job(settings, definitions, ANALYTICS_JOB, instance, progress, tags=tags)
        else:
            # Without a day to compute its checks are evaluated all the same.
            _run_job(settings, definitions, CHECKS_JOB, instance, progress, tags={}, checks_of=PARTITIONED)
    elapsed_s = time.monotonic() - started_at
    console.print(
        f"  Refreshed in {elapsed_s:.1f} s; derived rows written: {progress.rows_written:,}; "
        f"texts embedded: {progress.texts_embedded:,}",
        highlight=False,
    )
    _tell_failures(progress, console)


def _tell_failures(progress: RunProgress, console: Console) -> None:
    for step, message in progress.failures.items():
        console.print(f"[red]{step} failed:[/red] {escape(message)}", highlight=False)


def _run_job(
    settings: Settings,
    definitions: dg.Definitions,
    name: str,
    instance: dg.DagsterInstance,
    progress: RunProgress,
    *,
    tags: dict[str, str],
    checks_of: str | None = None,
) -> None:
    """Run a job, or only the checks of one asset in it."""
    from dagster._core.utils import make_new_run_id

    from platform_assets.monitoring.runs.heartbeats import beating
    from platform_assets.resources import database_url

    job = definitions.resolve_job_def(name)
    if checks_of is not None:
        keys = definitions.resolve_asset_graph().asset_check_keys
        job = job.get_subset(
            asset_check_selection={key for key in keys if key.asset_key.to_user_string() == checks_of}
        )
    run_id = make_new_run_id()
    with (
        progress.job(name, steps_count=len(job.graph.node_defs)),
        beating(database_url(settings), run_id),
    ):
        # Naming the logger replaces Dagster's own, which would print every event.
        job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags=tags,
            run_config={"loggers": {PROGRESS_LOGGER: {}}},
            run_id=run_id,
        )


def report_checks(
    settings: Settings,
    *,
    format_: str,
    group: str | None = None,
    failed_only: bool = False,
    history: int = DEFAULT_HISTORY,
    write_files: bool = False,
    console: Console | None = None,
) -> int:
    """Print the asset-check report.

    Args:
        settings: The settings.
        format_: `table`, `json`, `html`, `md` or `junit`.
        group: Only the checks of this group.
        failed_only: Only the checks that failed.
        history: How many of the last evaluations of each check to show.
        write_files: Also write HTML and JSON under `<home>/report/`.
        console: Where a table goes; by default standard output.

    Returns:
        Exit status: 1 when a check of severity ERROR has failed.
    """
    from platform_assets.definitions import build_definitions
    from platform_assets.monitoring.checking import report
    from platform_assets.monitoring.checking.states import exit_code, read_check_states

    console = console or Console()
    now = dt.datetime.now(dt.UTC)
    with open_instance(settings) as instance:
        states = read_check_states(
            build_definitions(settings).resolve_asset_graph(),
            instance,
            group=group,
            failed_only=failed_only,
            history=history,
        )
    if format_ == "json":
        click.echo(report.render_json(states, generated_at=now))
    elif format_ == "html":
        click.echo(report.render_html(states, generated_at=now))
    elif format_ == "md":
        from platform_assets.monitoring.checking.markdown import render_markdown

        click.echo(render_markdown(states, generated_at=now), nl=False)
    elif format_ == "junit":
        from platform_assets.monitoring.checking.junit import render_junit

        click.echo(render_junit(states, generated_at=now))
    else:
        report.render_table(states, console, generated_at=now)
    if write_files:
        folder = settings.home / "report"
        report.write_report_files(states, folder, generated_at=now)
        console.print(f"Report: {folder / 'checks.html'} and checks.json", markup=False, highlight=False)
    return exit_code(states)
