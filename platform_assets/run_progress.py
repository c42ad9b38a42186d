"""What `platform-assets run` shows while Dagster works: one line per asset, with its time and what it wrote.

Reads Dagster's own events through a logger, so that assets need not know of it.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

COUNTS = ("rows_inserted", "rows_updated", "rows_deleted", "rows_quarantined")


class RunProgress(logging.Handler):
    """Turns Dagster's events into a progress bar and a line per asset.

    Attributes:
        rows_written: Derived rows inserted, updated or deleted by all assets so far.
        texts_embedded: Texts that the embedder had to compute so far.
        failures: Error message by step, of the steps that failed.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(level=logging.DEBUG)
        self.rows_written = 0
        self.texts_embedded = 0
        self.failures: dict[str, str] = {}
        self._console = console
        self._started_at: dict[str, float] = {}
        self._materialized: dict[str, tuple[int, Mapping[str, dg.MetadataValue[Any]]]] = {}
        self._guard = threading.Lock()
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    @contextmanager
    def job(self, name: str, steps_count: int) -> Iterator[None]:
        """Show the progress of one job while the block runs."""
        with self._progress:
            self._task = self._progress.add_task(name, total=steps_count)
            try:
                yield
            finally:
                self._progress.remove_task(self._task)
                self._task = None

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Show that something without steps is going on, and how long it took."""
        started_at = time.monotonic()
        with self._console.status(escape(f"{what} …")):
            yield
        elapsed_s = time.monotonic() - started_at
        self._console.print(f"  ✓ {what} ({elapsed_s:.1f} s)", markup=False, highlight=False)

    def logger_definition(self) -> dg.LoggerDefinition:
        """The Dagster logger that feeds this object."""
        handler = self

        def progress(_: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("platform_assets.progress", level=logging.DEBUG)
            logger.addHandler(handler)
            return logger

        return dg.LoggerDefinition(progress, description="Progress on the terminal.")

    def emit(self, record: logging.LogRecord) -> None:
        """Take one log record of a run."""
        event: dg.DagsterEvent | None = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None:
            message = getattr(record, "dagster_meta", {}).get("orig_message", record.getMessage())
            # What a failure keeps from running is told once, by the report.
            if record.levelno >= logging.WARNING and not message.startswith("Dependencies for step"):
                self._console.print(f"  ! {message}", markup=False, highlight=False)
            return
        with self._guard:
            self._take(event)

    def _take(self, event: dg.DagsterEvent) -> None:
        step = event.step_key or ""
        kind = event.event_type
        if kind is dg.DagsterEventType.STEP_START:
            self._started_at[step] = time.monotonic()
            self._describe(step)
        elif kind is dg.DagsterEventType.ASSET_MATERIALIZATION:
            # One event for each partition, all with the metadata of the one step.
            partitions_count, _ = self._materialized.get(step, (0, {}))
            self._materialized[step] = (
                partitions_count + (event.partition is not None),
                event.materialization.metadata,
            )
        elif kind in {
            dg.DagsterEventType.STEP_SUCCESS,
            dg.DagsterEventType.STEP_FAILURE,
            dg.DagsterEventType.STEP_SKIPPED,
        }:
            if step in self._materialized:
                self._tell(step, *self._materialized.pop(step))
            if kind is dg.DagsterEventType.STEP_FAILURE:
                error = event.step_failure_data.error
                cause = error.cause if error and error.cause else error
                self.failures[step] = cause.message.strip() if cause else "unknown error"
                self._console.print(f"  [red]✗ {step}[/red]", highlight=False)
            if self._task is not None:
                self._progress.advance(self._task)

    def _describe(self, step: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, description=step)

    def _tell(self, step: str, partitions_count: int, metadata: Mapping[str, dg.MetadataValue[Any]]) -> None:
        values = {name: int(metadata[name].value or 0) for name in COUNTS if name in metadata}
        self.rows_written += sum(values.get(name, 0) for name in COUNTS[:3])
        if "texts_computed" in metadata:
            self.texts_embedded += int(metadata["texts_computed"].value or 0)
        changes = ", ".join(
            f"{count:,} {name.removeprefix('rows_')}" for name, count in values.items() if count
        )
        if "rows_measured" in metadata:
            changes = f"{int(metadata['rows_measured'].value or 0):,} measured"
        rows = metadata["dagster/row_count"].value if "dagster/row_count" in metadata else None
        elapsed_s = time.monotonic() - self._started_at.get(step, time.monotonic())
        total = "" if rows is None else f"{rows:,} rows, "
        if partitions_count:
            total += f"{partitions_count:,} partitions computed, "
        self._console.print(
            f"  ✓ {step} [dim]{total}{changes or 'nothing changed'} ({elapsed_s:.1f} s)[/dim]",
            highlight=False,
        )
