"""`platform-assets`: the command line. Thin commands; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from platform_assets.cli_skills import skills
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
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port on 127.0.0.1."
)
def ui(port: int) -> None:
    """Dagster's UI and daemon, schedules on, until Ctrl-C."""
    from platform_assets.local_ui import serve

    sys.exit(serve(load_settings(), port=port))


@main.command()
@click.option(
    "--format", "format_", type=click.Choice(["table", "json", "html"]), default="table", show_default=True
)
@click.option("--group", help="Only the checks of one group: profiles, matching or payments.")
@click.option("--failed", is_flag=True, help="Only the checks that failed or could not be evaluated.")
def checks(format_: str, group: str | None, failed: bool) -> None:
    """Report on the asset checks: what was measured, what the service level is, and when.

    Exits with 1 when a check of severity ERROR has failed.
    """
    from platform_assets.main_run import report_checks

    sys.exit(report_checks(load_settings(), format_=format_, group=group, failed_only=failed))


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


@main.command("match")
@click.argument("text")
@click.option(
    "--limit",
    type=click.IntRange(1, 500),
    default=20,
    show_default=True,
    help="Most developers to name.",
)
@click.option("--max-rate", help="Highest hourly rate in whole units of --currency, such as 80 or 80.50.")
@click.option("--currency", help="ISO 4217 code of --max-rate; rates in other currencies are not compared.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object with every reason, instead of a table."
)
def match_command(text: str, limit: int, max_rate: str | None, currency: str | None, as_json: bool) -> None:
    r"""Developers for TEXT, which says in a client's words what is to be done; `-` reads it from standard input.

    Searched among active developers who are free within two weeks. Nothing is stored. Exits with 1 when nobody is left.

    \b
    platform-assets match "Rust engineer for a payment gateway, Postgres, Kafka" --max-rate 80 --currency EUR
    """
    from platform_assets.ad_hoc_match import run_match

    text = sys.stdin.read() if text == "-" else text
    sys.exit(
        run_match(load_settings(), text, limit=limit, max_rate=max_rate, currency=currency, as_json=as_json)
    )


@main.group()
def payments() -> None:
    """Failed payments: what is done about them, by hand and by the schedule `retry_failed_payments`."""


@payments.command("retry")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only show what would be done now, and why. Nobody is charged, and the gateway is not called.",
)
def retry_payments(dry_run: bool) -> None:
    """Read the gateway, then charge failed payments again where that is allowed.

    The same as a run of the schedule: each attempt confirms the payment's existing intent, and its row is committed
    before. Off in production until PLATFORM_PAYMENT_RETRIES=on. Exits with 1 when it fails.
    """
    from platform_assets.payment_commands import run_retries, show_plan

    settings = load_settings()
    sys.exit(show_plan(settings) if dry_run else run_retries(settings))


@payments.command("settle")
@click.argument("payment_id")
@click.argument("attempt", type=click.IntRange(min=1))
@click.option(
    "--as",
    "state",
    required=True,
    type=click.Choice(["succeeded", "declined", "refused"]),
    help="What became of it: charged, declined, or never carried out (refused).",
)
@click.option(
    "--charge", "charge_id", help="The gateway's charge, such as ch_…; required unless it was refused."
)
def settle_payment(payment_id: str, attempt: int, state: str, charge_id: str | None) -> None:
    """Write down what a person found out about an attempt that waits for them.

    An attempt whose outcome could not be found out within 23 hours is never sent again, and its payment is not retried
    until somebody has looked at the gateway's dashboard. The check `payment_retries:for_a_person` names them.
    """
    from platform_assets.payment_commands import settle

    if (charge_id is None) != (state == "refused"):
        raise click.UsageError(
            "--charge names the charge of an attempt that was succeeded or declined, and of no other."
        )
    settle(load_settings(), payment_id, attempt, state=state, charge_id=charge_id)


@main.group()
def rates() -> None:
    """Exchange rates, with which the payment report converts."""


@rates.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def rates_import(file: Path) -> None:
    """Load exchange rates from a CSV file with the columns date,base,quote,rate and perhaps source.

    A line `2026-10-30,EUR,USD,1.0842,ECB` says that on that day one euro was 1.0842 dollars. Rates that are there
    already are replaced where they differ; a file with any bad line loads nothing. The report converts to the currency
    in PLATFORM_REPORT_CURRENCY, by the latest rate of the last seven days in either direction.
    """
    from platform_assets.payments.conversion import read_rates
    from platform_assets.payments.rates_store import write_rates
    from platform_assets.resources import open_database

    loaded = read_rates(file)
    database = open_database(load_settings())
    try:
        counts = write_rates(database, loaded)
    finally:
        database.close()
    click.echo(f"{counts.written:,} rates loaded, {counts.unchanged:,} were there already.")


@main.group()
def explain() -> None:
    """Say why something derived is as it is."""


@explain.command("match")
@click.option("--project", "project_id", required=True, help="Id of the project, open or not.")
@click.option("--developer", "developer_id", required=True, help="Id of the developer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def explain_match_command(project_id: str, developer_id: str, as_json: bool) -> None:
    """Why a developer stands where they stand in a project's list, or why not.

    Shows each term of the score with what it was made of, every filter that refuses the pair, and the place in the list
    or the distance to it. Any pair can be asked for. Exits with 2 when there is no such project or developer.
    """
    from rich.console import Console

    from platform_assets.matching import explain
    from platform_assets.matching.tuning import current_weights
    from platform_assets.resources import open_database

    settings = load_settings()
    database = open_database(settings)
    try:
        explanation = explain.explain_match(
            database,
            project_id,
            developer_id,
            as_of=settings.as_of_day,
            weights=current_weights(database, settings.as_of_day),
        )
    finally:
        database.close()
    if as_json:
        click.echo(explain.as_json(explanation))
    else:
        explain.render(explanation, Console())


@explain.command("skill")
@click.option("--developer", required=True, help="Id of the developer in the marketplace.")
@click.option("--skill", required=True, help="Name of the skill in any known spelling, such as Go or golang.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def explain_skill_command(developer: str, skill: str, as_json: bool) -> None:
    """How sure it is that a developer has a skill, and why.

    Shows each piece of evidence with its discounts and what it counts, and the parts of the log-odds, which add up to
    the confidence. Example: platform-assets explain skill --developer dev_00001 --skill golang
    """
    from platform_assets.explain_skill import explain_skill

    explain_skill(load_settings(), developer=developer, skill=skill, as_json=as_json)


@main.group()
def evaluate() -> None:
    """Run the product's own code on labelled data and print its measures as one JSON object.

    Without labels the measures are null; with --run the rankings or probabilities are written as CSV.
    """


_data_option = click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the data.",
)
_run_option = click.option(
    "--run",
    "run_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file to write the results to.",
)
_json_option = click.option("--json", "as_json", is_flag=True, default=True, help="Print JSON (always so).")


@evaluate.command("matching")
@_data_option
@_run_option
@_json_option
def evaluate_matching_command(data: Path, run_path: Path | None, as_json: bool) -> None:
    """Projects against developers: nDCG@10, MRR and recall@100, each project held out in turn."""
    del as_json
    from platform_assets.evaluation.matching import evaluate_matching

    click.echo(json.dumps(evaluate_matching(data, run_path), allow_nan=False))


@evaluate.command("skills")
@_data_option
@_run_option
@_json_option
def evaluate_skills_command(data: Path, run_path: Path | None, as_json: bool) -> None:
    """Sentences against a skill vocabulary: MRR, RP@5 and RP@10 per annotation file."""
    del as_json
    from platform_assets.evaluation.skills import evaluate_skills

    click.echo(json.dumps(evaluate_skills(data, run_path), allow_nan=False))


@evaluate.command("confidence")
@_data_option
@_run_option
@_json_option
def evaluate_confidence_command(data: Path, run_path: Path | None, as_json: bool) -> None:
    """Skill confidence against what developers did next: AUC, Brier score and expected calibration error."""
    del as_json
    from platform_assets.evaluation.confidence import evaluate_confidence

    click.echo(json.dumps(evaluate_confidence(data, run_path), allow_nan=False))


@evaluate.command("payments")
@_data_option
@click.option("--currency", metavar="CODE", help="Only this currency; needed where the files hold several.")
@_json_option
def evaluate_payments_command(data: Path, currency: str | None, as_json: bool) -> None:
    """Stripe objects in CSV files: sales, refunds, fees, net, payouts and failed charges by UTC day, in minor units.

    The folder holds balance_transaction_data.csv, charge_data.csv or both. Rows that can be no object are told on
    standard error. Amounts of different currencies are never added.
    """
    del as_json
    from platform_assets.evaluation.payments import evaluate_payments

    totals, bad_rows = evaluate_payments(data, currency=currency)
    for bad in bad_rows:
        click.echo(f"Set aside: {bad.row_key}: {bad.reason}", err=True)
    click.echo(json.dumps(totals, allow_nan=False))


main.add_command(skills)


if __name__ == "__main__":
    main()
