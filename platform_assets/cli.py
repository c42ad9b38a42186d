"""`platform-assets`: the command line, whose groups of commands are in `commands/`.

Thin commands; everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from platform_assets.commands.alerts import alerts
from platform_assets.commands.evaluate import evaluate
from platform_assets.commands.explain import explain
from platform_assets.commands.match import match
from platform_assets.commands.notifications import notifications
from platform_assets.commands.payments import payments, rates
from platform_assets.commands.recover import recover
from platform_assets.commands.serve import health, serve, ui
from platform_assets.commands.skills import skills
from platform_assets.commands.thresholds import thresholds
from platform_assets.monitoring.checking.model import DEFAULT_HISTORY
from platform_assets.settings import load_settings

EXIT_UNUSABLE = 2


class PlatformGroup(click.Group):
    """A group whose commands end expected errors with one message and exit status 2, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from platform_assets.failures import explain

            explanation = explain(error)
            if explanation is None or os.environ.get("PLATFORM_DEBUG"):
                raise
            _stop(explanation)


def _stop(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(EXIT_UNUSABLE)


@click.group(
    cls=PlatformGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: platform-assets run. Without PLATFORM_DATABASE_URL everything is embedded under .platform/.",
)
@click.version_option(package_name="platform_assets")
def main() -> None:
    """Keeps a freelancing marketplace's profiles, skills, matches and payment analytics fresh."""


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with contributions.jsonl(.gz) and projects.jsonl to load as the marketplace (sandbox only). "
    "Without it the generated marketplace is loaded.",
)
def run(data: Path | None) -> None:
    """Refresh everything once and report on the service levels.

    Exits with 1 when a check of severity ERROR fails. A second run does only what changed.
    """
    from platform_assets.main_run import run_platform

    sys.exit(run_platform(load_settings(), data=data))


@main.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "html", "md", "junit"]),
    default="table",
    show_default=True,
    help="table: for a terminal. json: for programs. html: one page. md: for a chat or a pull request. junit: for a build "
    "server.",
)
@click.option("--group", help="Only the checks of one group: profiles, matching, payments or monitoring.")
@click.option("--failed", is_flag=True, help="Only the checks that failed or could not be evaluated.")
@click.option(
    "--history",
    type=click.IntRange(0, 1000),
    default=DEFAULT_HISTORY,
    show_default=True,
    help="How many of the last evaluations of each check to show, as a small plot.",
)
def checks(format_: str, group: str | None, failed: bool, history: int) -> None:
    """Report on the asset checks: what was measured, what the service level is, and when.

    Exits with 1 when a check of severity ERROR has failed.
    """
    from platform_assets.main_run import report_checks

    sys.exit(
        report_checks(load_settings(), format_=format_, group=group, failed_only=failed, history=history)
    )


@main.command()
def doctor() -> None:
    """Say what is missing: settings, database, schema version, each column of the contract, each service.

    Exits with 2 when something stands in the way.
    """
    from platform_assets.doctor import examine, print_findings

    sys.exit(EXIT_UNUSABLE if print_findings(examine(load_settings())) else 0)


@main.command()
def migrate() -> None:
    """Bring the schemas `platform` and `monitoring` to this release's version."""
    from platform_assets.migrations.migrate import head_revision, upgrade
    from platform_assets.resources import database_url

    upgrade(database_url(load_settings()))
    click.echo(f"The schema is at revision {head_revision()}.")


@main.command()
def stop() -> None:
    """Stop the embedded servers and the UI of this folder. Their data stays."""
    from platform_assets.local_ui import stop_everything

    for line in stop_everything(load_settings()):
        click.echo(line)


@main.command()
def activation() -> None:
    """Write `.platform/env`, the file to source before using the `dagster` command here, and print its path."""
    from platform_assets.local_ui import write_activation

    click.echo(str(write_activation(load_settings())))


for command in (
    *(ui, serve, health, recover, alerts, notifications, thresholds),
    *(match, explain, skills, payments, rates, evaluate),
):
    main.add_command(command)


if __name__ == "__main__":
    main()
