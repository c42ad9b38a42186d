"""`platform-assets payments` and `rates`: failed payments by hand, and the rates that reports convert by."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from platform_assets.settings import load_settings


@click.group()
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
    from platform_assets.commands.payment_work import run_retries, show_plan

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
    from platform_assets.commands.payment_work import settle

    if (charge_id is None) != (state == "refused"):
        raise click.UsageError(
            "--charge names the charge of an attempt that was succeeded or declined, and of no other."
        )
    settle(load_settings(), payment_id, attempt, state=state, charge_id=charge_id)


@click.group()
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
    with open_database(load_settings()) as database:
        counts = write_rates(database, loaded)
    click.echo(f"{counts.written:,} rates loaded, {counts.unchanged:,} were there already.")
