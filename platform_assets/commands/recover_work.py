"""`platform-assets recover`: one round of recovery in this process, and what came of it as a table or JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from platform_assets.commands.showing import length_text, plain, print_json
from platform_assets.settings import ConfigurationError, RecoveryMode, Settings

if TYPE_CHECKING:
    from platform_assets.monitoring.queues.recover import Round
    from platform_assets.monitoring.queues.recovery import Action

_LEFT = "left"
_STYLES = {"worked": "green", "planned": "cyan", "failed": "red", "ineffective": "red", _LEFT: "dim"}
_WORDS = {
    "planned": "would be done",
    "claimed": "not known to be done",
    "done": "done, not proven yet",
    "worked": "done, and it helped",
    "ineffective": "done, and did not help",
    "failed": "could not be done",
    _LEFT: "left alone",
}


def recover_now(settings: Settings, *, is_dry: bool, as_json: bool) -> int:
    """Do one round, print what came of it; gives the exit status.

    Raises:
        ConfigurationError: Recovery is switched off, and this would not only look.
    """
    if settings.recovery == "off" and not is_dry:
        raise ConfigurationError(
            "Recovery is switched off (PLATFORM_RECOVERY=off): add --dry-run to only look, or set it to on."
        )
    from platform_assets.main_run import open_instance
    from platform_assets.monitoring.queues.recover import recover
    from platform_assets.monitoring.queues.timetable import code_timetable
    from platform_assets.resources import open_database

    mode: RecoveryMode = "dry-run" if is_dry else settings.recovery
    now = dt.datetime.now(dt.UTC)
    with (
        Console(stderr=True).status("Looking at queues, runs and schedules …"),
        open_database(settings) as database,
        open_instance(settings) as instance,
    ):
        done = recover(instance, database, code_timetable(), mode=mode, own_run_id=None, now=now)
    if as_json:
        print_json({"mode": mode, "at": now, "skipped_because": done.skipped_because, **_as_json(done)})
    else:
        _print_table(done, mode, now)
    has_failed = any(outcome.state == "failed" for outcome in done.taken)
    return 1 if has_failed or done.skipped_because is not None else 0


def _as_json(done: Round) -> dict[str, Any]:
    return {
        name: [
            {**_action_as_json(each.action), "state": each.state, "error": each.error} for each in outcomes
        ]
        for name, outcomes in (("settled", done.settled), ("taken", done.taken))
    } | {"left": [{**_action_as_json(each.action), "left_because": each.reason} for each in done.left]}


def _action_as_json(action: Action) -> dict[str, Any]:
    return {**vars(action), "details": dict(action.details)}


def _print_table(done: Round, mode: RecoveryMode, now: dt.datetime) -> None:
    console = Console()
    if done.skipped_because is not None:
        console.print(f"Nothing was looked at: {done.skipped_because}. Try again in a minute.")
        return
    if not (done.settled or done.taken or done.left):
        console.print("Nothing is stuck.")
        return
    table = Table(title=f"Stuck work, {now:%Y-%m-%d %H:%M} UTC")
    table.add_column("what")
    table.add_column("about", overflow="fold")
    table.add_column("since", justify="right")
    table.add_column("why", ratio=1, overflow="fold")
    table.add_column("outcome")
    for action, state, why in _lines(done):
        table.add_row(
            action.kind.replace("_", " "),
            plain(action.subject),
            length_text(now - action.problem_since),
            plain(why),
            Text(_WORDS[state], style=_STYLES.get(state, "")),
        )
    console.print(table)
    if mode == "dry-run":
        console.print("Nothing was changed: this was a dry run.", highlight=False)
    else:
        console.print("Every action stands in monitoring.queue_recovery.", highlight=False)


def _lines(done: Round) -> Iterator[tuple[Action, str, str]]:
    """Each action with how it stands, and why."""
    for outcome in (*done.settled, *done.taken):
        error = f" {outcome.error}" if outcome.error else ""
        yield outcome.action, outcome.state, f"{outcome.action.reason}{error}"
    for each in done.left:
        yield each.action, _LEFT, f"{each.action.reason} {each.reason}"
