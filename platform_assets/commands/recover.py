"""`platform-assets recover`: frees stuck work by hand, or says what would be done. The work is in `recover_work.py`."""

from __future__ import annotations

import sys

import click

from platform_assets.settings import load_settings


@click.command()
@click.option("--dry-run", is_flag=True, help="Only look, and say what would be done. Nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def recover(dry_run: bool, as_json: bool) -> None:
    r"""Free stuck work now: runs, pool slots, processes and missed ticks.

    The same as a round of the schedule monitor_and_recover_task_queues, which does it every ten minutes. Each action is
    written to monitoring.queue_recovery before it is carried out, at most one at a time on one thing and 25 in a round, and
    looked at again until it is known whether it helped. What is wrong and left alone is shown, with the reason.

    \b
    platform-assets recover --dry-run          # look first
    platform-assets recover                    # then act
    platform-assets recover --dry-run --json   # for programs

    PLATFORM_RECOVERY=dry-run makes every round a dry one; with PLATFORM_RECOVERY=off only --dry-run looks. Exits with 1 when
    an action could not be carried out, or another round is at work; with 2 when nothing can be looked at. More:
    docs/recovery.md.
    """
    from platform_assets.commands.recover_work import recover_now

    sys.exit(recover_now(load_settings(), is_dry=dry_run, as_json=as_json))
