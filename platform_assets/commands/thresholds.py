"""`platform-assets thresholds`: the numbers that checks compare with, and bounds that somebody sets in their place."""

from __future__ import annotations

import datetime as dt

import click

from platform_assets.settings import load_settings

_author = click.option(
    "--by", "author", required=True, metavar="NAME", help="Who decides it; the report names them."
)


@click.group()
def thresholds() -> None:
    """The numbers that checks and service levels compare with; another bound can hold for a while.

    The release's numbers and their reasons stand in `thresholds.py`. An override is for what can't wait for a release, or
    holds for a time: it has an author, a reason and, best, an end, and every report shows it.
    """


@thresholds.command("list")
@click.argument("part", default="")
@click.option("--overridden", is_flag=True, help="Only those whose bound is not the release's.")
def list_command(part: str, overridden: bool) -> None:
    """Show the numbers whose name contains PART, with what holds in their place."""
    from rich.console import Console
    from rich.text import Text

    from platform_assets.bounds import catalogue, read_bounds
    from platform_assets.resources import open_database

    with open_database(load_settings()) as database:
        overrides = read_bounds(database, now=dt.datetime.now(dt.UTC)).overrides
    named = {
        name: threshold
        for name, threshold in catalogue().items()
        if part.lower() in name and (not overridden or name in overrides)
    }
    console = Console()
    for name, threshold in sorted(named.items()):
        sign = "≥" if threshold.direction == "at_least" else "≤"
        override = overrides.get(name)
        bound = threshold.bound if override is None else override.bound
        console.print(
            Text.assemble(
                (name, "bold"), f"  {sign} {bound:g} {threshold.unit}  ", (threshold.severity.value, "dim")
            ),
            soft_wrap=True,
        )
        if override is not None:
            told = f"overridden by {override.author}, {_end(override.until_at)}, because {override.reason}"
            console.print(
                Text(f"    {told}; the release has {sign} {threshold.bound:g}", "yellow"), soft_wrap=True
            )
        console.print(Text(f"    {threshold.reason}", "dim"), soft_wrap=True)
    click.echo(f"Shown: {len(named)}; overridden in all: {len(overrides)}.")
    for name in sorted(overrides.keys() - catalogue().keys()):
        console.print(Text(f"{name} is overridden, and this release has no such number: it changes nothing."))


def _end(until_at: dt.datetime | None) -> str:
    return f"until {until_at:%Y-%m-%d %H:%M} UTC" if until_at else "until it is taken back"


@thresholds.command("set")
@click.argument("name")
@click.argument("bound", type=float)
@_author
@click.option("--because", "reason", required=True, metavar="TEXT", help="Why; the report shows it.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    help="When it ends by itself, in UTC; without it, when somebody takes it back.",
)
def set_command(name: str, bound: float, author: str, reason: str, until: dt.datetime | None) -> None:
    """Let BOUND hold for NAME from the next evaluation on.

    For example: thresholds set match_coverage_ratio 0.9 --by ana --because "import of old projects" --until 2026-12-01

    Ratios are numbers from 0 to 1. What was set before ends and is kept on record in `monitoring.benchmark_overrides`.
    """
    from platform_assets.bounds import require_known, set_override
    from platform_assets.resources import open_database

    known = require_known(name)
    now = dt.datetime.now(dt.UTC)
    with open_database(load_settings()) as database, database.transaction() as connection:
        set_override(
            connection,
            name,
            bound,
            author=author,
            reason=reason,
            now=now,
            until_at=until and until.replace(tzinfo=dt.UTC),
        )
    click.echo(f"{name} is now {bound:g} {known.unit} in place of {known.bound:g}, {_end(until)}.")


@thresholds.command("unset")
@click.argument("name")
@_author
def unset_command(name: str, author: str) -> None:
    """Let the release's number hold again for NAME."""
    from platform_assets.bounds import end_override, require_overridden
    from platform_assets.resources import open_database

    now = dt.datetime.now(dt.UTC)
    with open_database(load_settings()) as database, database.transaction() as connection:
        require_overridden(connection, name)
        was_holding = end_override(connection, name, author=author, now=now)
    told = "the release's number holds again" if was_holding else "its time was over already"
    click.echo(f"The override of {name} is taken back: {told}.")
