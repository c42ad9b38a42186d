"""`platform-assets recover`: looks for stuck work and frees it, as the schedule does every ten minutes."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from platform_assets.settings import load_settings

if TYPE_CHECKING:
    from platform_assets.monitoring.queues.recover import Round

_STATES = {
    "planned": "would be done",
    "claimed": "taken up",
    "done": "done, to be looked at again",
    "worked": "worked",
    "ineffective": "[red]did not help[/red]",
    "failed": "[red]failed[/red]",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be done; nothing is changed or recorded.")
def recover(dry_run: bool) -> None:
    """Free stuck work: runs whose process is gone or stuck, leaked slots, superseded runs, missed ticks.

    The same as a run of the schedule monitor_and_recover_task_queues, but outside of every queue, so that it works when
    they are all held up. Each action is recorded in monitoring.queue_recovery and looked at again until it is known whether
    it helped. PLATFORM_RECOVERY=dry-run makes this a dry run, PLATFORM_RECOVERY=off keeps it from looking.

    Exits with 1 when an action failed or did not help.
    """
    from platform_assets.main_run import open_instance
    from platform_assets.monitoring.queues.recover import recover as run_round
    from platform_assets.monitoring.queues.timetable import code_timetable
    from platform_assets.resources import open_database

    settings = load_settings()
    is_dry = dry_run and settings.recovery == "on"
    with open_database(settings) as database, open_instance(settings) as instance:
        done = run_round(
            instance,
            database,
            code_timetable(),
            mode="dry-run" if is_dry else settings.recovery,
            own_run_id=None,
            now=dt.datetime.now(dt.UTC),
        )
    _show(done, Console(soft_wrap=True))
    outcomes = [*done.settled, *done.taken]
    sys.exit(any(outcome.state in ("failed", "ineffective") for outcome in outcomes))


def _show(done: Round, console: Console) -> None:
    if done.skipped_because is not None:
        console.print(f"Nothing was looked at: {done.skipped_because}.", highlight=False)
        return
    outcomes = [*done.settled, *done.taken]
    if not outcomes:
        console.print("Nothing is stuck.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("action", "subject", "state", "since (UTC)", "why"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        action = outcome.action
        table.add_row(
            action.kind.value,
            Text(action.subject),
            _STATES[outcome.state],
            f"{action.problem_since:%Y-%m-%d %H:%M}",
            Text(action.reason),
        )
    console.print(table)
    if done.left:
        console.print(f"{len(done.left)} more are left for the next round: one round does only so much.")
