"""`platform-assets match`: developers for a text. The work is in `ad_hoc_match.py`."""

from __future__ import annotations

import sys

import click

from platform_assets.settings import load_settings


@click.command()
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
def match(text: str, limit: int, max_rate: str | None, currency: str | None, as_json: bool) -> None:
    r"""Developers for TEXT, which says in a client's words what is to be done; `-` reads it from standard input.

    Searched among active developers who are free within two weeks. Nothing is stored. Exits with 1 when nobody is left.

    \b
    platform-assets match "Rust engineer for a payment gateway, Postgres, Kafka" --max-rate 80 --currency EUR
    """
    from platform_assets.commands.ad_hoc_match import run_match

    text = sys.stdin.read() if text == "-" else text
    sys.exit(
        run_match(load_settings(), text, limit=limit, max_rate=max_rate, currency=currency, as_json=as_json)
    )
