"""`platform-assets evaluate`: the product's own code on labelled data. The work is in `evaluation/`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
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
